package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// routeTable is contract section 4 as far as it exists, written a second time
// and in another way, for the fuzz test to compare with.
var routeTable = map[route]*regexp.Regexp{
	routeOrders:   regexp.MustCompile(`^/v1/orders$`),
	routeOrder:    regexp.MustCompile(`(?s)^/v1/orders/([^/]+)$`),
	routePayments: regexp.MustCompile(`(?s)^/v1/orders/([^/]+)/payments$`),
	routeClose:    regexp.MustCompile(`(?s)^/v1/orders/([^/]+)/close$`),
	routeRefunds:  regexp.MustCompile(`(?s)^/v1/orders/([^/]+)/refunds$`),
	routeRefund:   regexp.MustCompile(`(?s)^/v1/refunds/([^/]+)$`),
	routeSplits:   regexp.MustCompile(`(?s)^/v1/orders/([^/]+)/profit-sharing$`),
	routeSplit:    regexp.MustCompile(`(?s)^/v1/profit-sharing/([^/]+)$`),
	routeReturns:  regexp.MustCompile(`(?s)^/v1/profit-sharing/([^/]+)/returns$`),
	routeAdmit:    regexp.MustCompile(`^/v1/profit-sharing/receivers$`),
	routeDismiss:  regexp.MustCompile(`^/v1/profit-sharing/receivers/delete$`),
	routeEvents:   regexp.MustCompile(`^/v1/events$`),
	routeEvent:    regexp.MustCompile(`(?s)^/v1/events/([^/]+)$`),
	routeDeliver:  regexp.MustCompile(`(?s)^/v1/events/([^/]+)/deliver$`),
	routeStatic:   regexp.MustCompile(`(?s)^/checkout/-/([^/]+)$`),
	routeCheckout: regexp.MustCompile(`(?s)^/checkout/([^/]+)$`),
	routeStatus:   regexp.MustCompile(`(?s)^/checkout/([^/]+)/status$`),
	routeCode:     regexp.MustCompile(`(?s)^/checkout/([^/]+)/qr\.svg$`),
	routeLogin:    regexp.MustCompile(`^/login$`),
	routeTicket:   regexp.MustCompile(`(?s)^/v1/tickets/([^/]+)$`),
	routeCallback: regexp.MustCompile(`^/wechat/callback$`),
	routeNotify:   regexp.MustCompile(`(?s)^/wechat/notify/([^/]+)$`),
	routeMessages: regexp.MustCompile(`(?s)^/wechat/message/([^/]+)$`),
	routeHealth:   regexp.MustCompile(`^/wechat/health$`),
	routeKey:      regexp.MustCompile(`^/v1/notify-key$`),

	routeAuthorize:    regexp.MustCompile(`^/connect/oauth2/authorize$`),
	routeScan:         regexp.MustCompile(`^/connect/qrconnect$`),
	routeUserToken:    regexp.MustCompile(`^/sns/oauth2/access_token$`),
	routeRefreshToken: regexp.MustCompile(`^/sns/oauth2/refresh_token$`),
	routeUserInfo:     regexp.MustCompile(`^/sns/userinfo$`),
	routeUserAuth:     regexp.MustCompile(`^/sns/auth$`),
	routeSessions:     regexp.MustCompile(`^/v1/mini-program/sessions$`),
	routeDecrypt:      regexp.MustCompile(`(?s)^/v1/mini-program/sessions/([^/]+)/decrypt$`),
	routeVerify:       regexp.MustCompile(`(?s)^/v1/mini-program/sessions/([^/]+)/verify$`),
	routeJSSDK:        regexp.MustCompile(`^/v1/js-sdk$`),
	routeScript:       regexp.MustCompile(`^/v1/js-sdk\.js$`),
	routeAPI:          regexp.MustCompile(`(?s)^(/cgi-bin/.+)$`),
	routeAPIToken:     regexp.MustCompile(`^/cgi-bin/token$`),
	routeAPIStable:    regexp.MustCompile(`^/cgi-bin/stable_token$`),
}

// routePaths has one path for each route.
var routePaths = map[route]string{
	routeOrders:   "/v1/orders",
	routeOrder:    "/v1/orders/A000000001",
	routePayments: "/v1/orders/A000000001/payments",
	routeClose:    "/v1/orders/A000000001/close",
	routeRefunds:  "/v1/orders/A000000001/refunds",
	routeRefund:   "/v1/refunds/R000000001",
	routeSplits:   "/v1/orders/A000000001/profit-sharing",
	routeSplit:    "/v1/profit-sharing/S1",
	routeReturns:  "/v1/profit-sharing/S1/returns",
	routeAdmit:    "/v1/profit-sharing/receivers",
	routeDismiss:  "/v1/profit-sharing/receivers/delete",
	routeEvents:   "/v1/events",
	routeEvent:    "/v1/events/evt_1",
	routeDeliver:  "/v1/events/evt_1/deliver",
	routeCheckout: "/checkout/" + token,
	routeStatus:   "/checkout/" + token + "/status",
	routeCode:     "/checkout/" + token + "/qr.svg",
	routeStatic:   "/checkout/-/checkout.css",
	routeLogin:    "/login",
	routeTicket:   "/v1/tickets/" + ticket,
	routeCallback: "/wechat/callback",
	routeNotify:   "/wechat/notify/main",
	routeMessages: "/wechat/message/shop",
	routeHealth:   "/wechat/health",
	routeKey:      "/v1/notify-key",

	routeAuthorize:    "/connect/oauth2/authorize",
	routeScan:         "/connect/qrconnect",
	routeUserToken:    "/sns/oauth2/access_token",
	routeRefreshToken: "/sns/oauth2/refresh_token",
	routeUserInfo:     "/sns/userinfo",
	routeUserAuth:     "/sns/auth",
	routeSessions:     "/v1/mini-program/sessions",
	routeDecrypt:      "/v1/mini-program/sessions/" + token + "/decrypt",
	routeVerify:       "/v1/mini-program/sessions/" + token + "/verify",
	routeJSSDK:        "/v1/js-sdk",
	routeScript:       "/v1/js-sdk.js",
	routeAPI:          "/cgi-bin/user/info",
	routeAPIToken:     "/cgi-bin/token",
	routeAPIStable:    "/cgi-bin/stable_token",
}

func TestEveryRouteHasPathAndEndpoint(t *testing.T) {
	t.Parallel()
	for rt := routeNone + 1; rt < routeCount; rt++ {
		path, ok := routePaths[rt]
		if !ok {
			t.Errorf("route %d has no path in this test", rt)
			continue
		}
		if got, _ := findRoute(path); got != rt {
			t.Errorf("findRoute(%q) = %d, want %d", path, got, rt)
		}
		if e := endpoints[rt]; e.serve == nil || e.refuse == nil || e.name == "" || e.allow == "" {
			t.Errorf("route of %q has an incomplete endpoint", path)
		}
	}
}

var foreignPaths = []string{
	"", "/", "/index.html", "/v1", "/v1/", "/v1/orders/", "/v1/orders//", "/v1/orders//payments",
	"/v1/orders/A1/", "/v1/orders/A1/payments/", "/v1/orders/A1/cancel", "/v1/orders/A1/payments/x",
	"/V1/orders", "/v1/Orders", "/v1/orders ", "//v1/orders", "/v1//orders", "/v1/./orders", "/v1/x/../orders",
	"/v1%2Forders", "/%76%31/orders", "/v1/orders/A1%2Fpayments/x", "/v1/events/", "/v1/events/e/deliver/",
	"/v1/profit-sharing", "/v1/profit-sharing/", "/v1/profit-sharing/S1/returns/", "/v1/profit-sharing/receivers/add",
	"/checkout", "/checkout/", "/checkout/-/", "/checkout/-/a/b", "/checkout//status", "/checkout/x/qr.png",
	"/wechat", "/wechat/notify", "/wechat/notify/", "/wechat/notify/a/b", "/wechat/callback/", "/wechat/health/x",
	"/v1/mini-program", "/v1/mini-program/sessions/", "/v1/mini-program/sessions/s", "/v1/mini-program/sessions/s/decrypt/", "/v1/js-sdk/", "/v1/js-sdk.JS",
	"/cgi-bin", "/cgi-bin/", "/cgi-binx/token", "/CGI-BIN/token", "//cgi-bin/token", "/cgi%2Dbin/token",
	// Rows of section 4 that come later are not answered half.
	"/v1/refunds", "/v1/refunds/", "/v1/refunds/R1/", "/v1/orders/A1/refunds/R1", "/login/", "/logins", "/v1/tickets", "/v1/tickets/t/x",
	"/connect/oauth2/authorized", "/sns/userinfos", "/wechat/message/", "/wechat/message/shop/x", "/v1/notify-key/", "/v1/notify-key/x",
}

func TestForeignPathsAreLeftAlone(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{})
	for _, path := range foreignPaths {
		if f.Match(path) {
			t.Errorf("Match(%q) = true", path)
		}
	}
}

func TestPrefixOfPublicURL(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"https://example.com/pay", "https://example.com/pay/"} {
		f := newFace(t, &fakeService{}, at(public))
		for path, want := range map[string]bool{
			"/pay/v1/orders":     true,
			"/pay/wechat/health": true,
			"/v1/orders":         false,
			"/payv1/orders":      false,
			"/pay//v1/orders":    false,
			"/pay/pay/v1/orders": false,
			"/PAY/v1/orders":     false,
			"/pay":               false,
		} {
			if got := f.Match(path); got != want {
				t.Errorf("below %s: Match(%q) = %v, want %v", public, path, got, want)
			}
			if got := Matcher(mustURL(t, public), true)(path); got != want {
				t.Errorf("below %s: Matcher of %q = %v, want %v", public, path, got, want)
			}
		}
	}
}

// An escape must not turn one path into another on its way from the match to
// the handler (threats C03).
func TestPathOfKeepsEscapes_C03(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]route{
		"/v1/orders/A1":            routeOrder,
		"/v1/orders/A1?x=%2F":      routeOrder,
		"/v1/orders/A%2Fpayments":  routeOrder, // an order of that odd name, which does not exist
		"/v1/orders/A/payments":    routePayments,
		"/v1/orders%2FA1":          routeNone,
		"/v1%2forders":             routeNone,
		"/%76%31/orders":           routeNone,
		"/wechat/notify/..%2Fmain": routeNotify,
		"/checkout/%2E%2E/status":  routeStatus,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := findRoute(PathOf(u)); got != want {
			t.Errorf("route of %q = %d, want %d", target, got, want)
		}
	}
}

func TestUnknownPathIsNotFound(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{})
	w := f.do(t, http.MethodGet, "/nothing/here", "")
	if body := errorBody(t, w); w.Code != http.StatusNotFound || body.Code != "NOT_FOUND" {
		t.Errorf("got %d %s, want 404 NOT_FOUND", w.Code, body.Code)
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	f := newFace(t, &fakeService{})
	paths := []string{"/index.html", "/v1/orders/A000000001/payments", "/checkout/" + token + "/nothing"}
	if n := testing.AllocsPerRun(100, func() {
		for _, p := range paths {
			f.Match(p)
		}
	}); n != 0 {
		t.Errorf("Match allocates %v times", n)
	}
}

func FuzzFindRoute(f *testing.F) {
	for _, p := range routePaths {
		f.Add(p)
	}
	for _, p := range foreignPaths {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, param := findRoute(path)
		want, wantParam := routeNone, ""
		for rt, form := range routeTable {
			m := form.FindStringSubmatch(path)
			// The files of the pages lie where tokens would, and the receivers
			// where the number of a split would, and the calls for a token
			// where any other would.
			if m == nil || (rt == routeAPI && (path == routePaths[routeAPIToken] || path == routePaths[routeAPIStable])) || (rt == routeSplit && path == routePaths[routeAdmit]) || (rt != routeStatic && strings.HasPrefix(path, "/checkout/-/")) {
				continue
			}
			want = rt
			if len(m) > 1 {
				wantParam = m[1]
			}
		}
		if got != want || param != wantParam {
			t.Errorf("findRoute(%q) = %d %q, want %d %q", path, got, param, want, wantParam)
		}
	})
}

func BenchmarkMatchForeignPath(b *testing.B) {
	f := newFace(b, &fakeService{})
	r := httptest.NewRequest(http.MethodGet, "/assets/app.3f2a.js", nil)
	b.ReportAllocs()
	for b.Loop() {
		if f.Match(PathOf(r.URL)) {
			b.Fatal("matched")
		}
	}
}

func BenchmarkMatchOwnPath(b *testing.B) {
	f := newFace(b, &fakeService{})
	b.ReportAllocs()
	for b.Loop() {
		if !f.Match("/wechat/notify/main") {
			b.Fatal("not matched")
		}
	}
}
