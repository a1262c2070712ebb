package web

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

const ticket = "0123456789abcdef0123456789ABCDEF"

// fakeLogins is the part of the fake relay that logs browsers in.
type fakeLogins struct {
	begin  func(relay.LoginRequest) (relay.LoginStart, error)
	redeem func(string) (relay.TicketView, error)
}

func (f *fakeLogins) BeginLogin(_ context.Context, req relay.LoginRequest) (relay.LoginStart, error) {
	if f.begin == nil {
		return relay.LoginStart{}, nil
	}
	return f.begin(req)
}

func (f *fakeLogins) RedeemTicket(_ context.Context, _ *relay.Caller, ticket string) (relay.TicketView, error) {
	if f.redeem == nil {
		return relay.TicketView{}, nil
	}
	return f.redeem(ticket)
}

// loginTo is the address of a login with what a site sends.
func loginTo(redirectURI, more string) string {
	return "/login?client_id=" + clientID + "&redirect_uri=" + url.QueryEscape(redirectURI) + more
}

const goodBack = "https://books.example.com/登录?a=%2541+b&c=1"

func TestLoginTellsRelayWhatTheSiteSent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query, agent string
		want         relay.LoginRequest
	}{
		"least": {
			loginTo(goodBack, "&state=a%26b%0D%0A%FF+%2B"), weChatAgent,
			relay.LoginRequest{RedirectURI: goodBack, State: "a&b\r\n\xff +", HasState: true, Surroundings: relay.SurroundWeChat},
		},
		"most": {
			loginTo(goodBack, "&state=s&scope=snsapi_userinfo&account=shop"), phoneAgent,
			relay.LoginRequest{RedirectURI: goodBack, State: "s", HasState: true, Scope: "snsapi_userinfo", Account: "shop", Surroundings: relay.SurroundPhone},
		},
		"shared in WeChat": {
			loginTo(goodBack, "&state=s&from=singlemessage&isappinstalled=0"), desktopAgent,
			relay.LoginRequest{RedirectURI: goodBack, State: "s", HasState: true, Surroundings: relay.SurroundDesktop},
		},
		"without state": {loginTo(goodBack, ""), desktopAgent, relay.LoginRequest{RedirectURI: goodBack, Surroundings: relay.SurroundDesktop}},
	} {
		var got relay.LoginRequest
		f := newFace(t, &fakeService{fakeLogins: fakeLogins{begin: func(req relay.LoginRequest) (relay.LoginStart, error) {
			got = req
			return relay.LoginStart{Redirect: "https://open.example/x", BrowserID: "new-browser-0123456789"}, nil
		}}})
		w := f.do(t, http.MethodGet, c.query, "", "User-Agent", c.agent, "Cookie", "__Host-wxrelay="+browserID)
		c.want.Purpose, c.want.ClientID, c.want.BrowserID = relay.LoginForTicket, clientID, browserID
		if got != c.want {
			t.Errorf("%s: relay got %+v, want %+v", name, got, c.want)
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "https://open.example/x" || !strings.HasPrefix(w.Header().Get("Set-Cookie"), "__Host-wxrelay=new-browser-") {
			t.Errorf("%s: %d %v", name, w.Code, w.Header())
		}
	}
}

// TestLoginForm_D09: each parameter is one that is known, once.
func TestLoginForm_D09(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{fakeLogins: fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) {
		t.Error("relay was asked")
		return relay.LoginStart{}, nil
	}}})
	for _, more := range []string{
		"&state=a&state=b", "&redirect_uri=https%3A%2F%2Fevil.example", "&client_id=2000000000000002", "&code=mine&state=s", "&ticket=x", "&state=%zz",
		"&state=a;b=c", "&response_type=code&state=s", "&redirect_ur%69=x",
	} {
		w := f.do(t, http.MethodGet, loginTo(goodBack, more), "", "Accept-Language", "en")
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), `data-state="bad_request"`) {
			t.Errorf("%s: %d to %q, want a page", more, w.Code, w.Header().Get("Location"))
		}
	}
}

// TestLoginRefused: an unknown site gets a page and nothing else.
func TestLoginRefused(t *testing.T) {
	t.Parallel()
	f := newFace(t, failing(refusal(relay.KindNoAuth, "not registered")))
	w := f.do(t, http.MethodGet, loginTo("https://evil.example/", "&state=st4te"), "")
	if w.Code != http.StatusForbidden || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	checkTexts(t, w.Body.String(), []string{`data-state="login_refused"`}, []string{"evil.example", "st4te"})
	if log := f.log.String(); strings.Contains(log, "st4te") || strings.Contains(log, "evil") {
		t.Errorf("the log holds the query: %s", log)
	}
}

// TestLoginInFrame_E20_I04: a silent login is never a part of another page.
func TestLoginInFrame_E20_I04(t *testing.T) {
	t.Parallel()
	for dest, want := range map[string]int{"": 303, "document": 303, "iframe": 400, "frame": 400, "embed": 400, "object": 400, "fencedframe": 400} {
		f := newFace(t, &fakeService{fakeLogins: fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) {
			return relay.LoginStart{Redirect: "https://open.example/x"}, nil
		}}})
		var header []string
		if dest != "" {
			header = []string{"Sec-Fetch-Dest", dest}
		}
		if w := f.do(t, http.MethodGet, loginTo(goodBack, "&state=s"), "", header...); w.Code != want {
			t.Errorf("%q: %d, want %d", dest, w.Code, want)
		}
	}
}

// TestLoginInAPopup: a site may log in in a window of its own, as pages with a
// code to scan are opened, and hear of it there: the redirects on the way do
// not part the window from the page that opened it. Our pages do.
func TestLoginInAPopup(t *testing.T) {
	t.Parallel()
	const policy = "Cross-Origin-Opener-Policy"
	leads := newFace(t, &fakeService{login: func(relay.LoginCallback) (string, error) { return goodBack[:26], nil }, fakeLogins: fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) {
		return relay.LoginStart{Redirect: "https://open.example/x"}, nil
	}}})
	refuses := newFace(t, failing(refusal(relay.KindNoAuth, "not registered")))
	connect := "?appid=" + clientID + "&redirect_uri=" + url.QueryEscape(goodBack) + "&response_type=code&scope=snsapi_login&state=s"
	for _, target := range []string{
		loginTo(goodBack, "&state=s"), "/connect/oauth2/authorize" + connect, "/connect/qrconnect" + connect, "/wechat/callback?code=c&state=s",
	} {
		if w := leads.do(t, http.MethodGet, target, ""); w.Code != http.StatusSeeOther || w.Header().Get(policy) != "" {
			t.Errorf("%.30s leads on with %d and %s %q, want none", target, w.Code, policy, w.Header().Get(policy))
		}
		if w := refuses.do(t, http.MethodGet, target, ""); w.Code != http.StatusForbidden || w.Header().Get(policy) != "same-origin" {
			t.Errorf("%.30s is refused with %d and %s %q, want same-origin", target, w.Code, policy, w.Header().Get(policy))
		}
	}
}

// TestLoginPage_E26_I05: who asks, and the address as it was opened at the
// configured host.
func TestLoginPage_E26_I05(t *testing.T) {
	t.Parallel()
	for onPhone, state := range map[bool]string{false: "login_desktop", true: "login_phone"} {
		f := newFace(t, &fakeService{sandbox: true, fakeLogins: fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) {
			return relay.LoginStart{Page: relay.LoginPage{Site: "books & co", Host: "books.example.com", OnPhone: onPhone}}, nil
		}}}, at("https://example.com/pay"))
		target := "/pay/login?client_id=1&state=%E6%B5%8B"
		w := f.do(t, http.MethodGet, "https://evil.example"+target, "", "Host", "evil.example", "X-Forwarded-Host", "evil.example")
		if w.Code != http.StatusOK || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", state, w.Code, w.Header())
		}
		checkTexts(t, w.Body.String(), []string{
			`data-state="` + state + `"`, "books &amp; co", "books.example.com", "<svg xmlns", "SANDBOX",
			`value="https://example.com/pay/login?client_id=1&amp;state=%E6%B5%8B"`,
		}, []string{"evil.example"})
	}
}

// TestLoginErrors: what a visitor can do is on the page.
func TestLoginErrors(t *testing.T) {
	t.Parallel()
	const again = "https://open.example/authorize?state=s#wechat_redirect"
	nobody := &relay.Error{Kind: relay.KindNoAuth, Message: "limited view"}
	busy := &relay.Error{Kind: relay.KindRate, Message: "too many"}
	for name, c := range map[string]struct {
		err    error
		status int
		retry  string
		has    []string
		not    []string
	}{
		"snapshot": {
			&relay.LoginError{Err: nobody, Snapshot: true, Again: again}, 403, "",
			[]string{`data-state="snapshot"`, `id="again" class="main" href="` + again + `"`},
			[]string{`class="detail"`},
		},
		"rate": {&relay.LoginError{Err: busy, Wait: time.Minute}, 429, "60", []string{`data-state="too_many"`, `http-equiv="refresh" content="60"`}, nil},
	} {
		w := newFace(t, failing(c.err)).do(t, http.MethodGet, "/wechat/callback?code=c&state=s", "", "Accept-Language", "en")
		if w.Code != c.status || w.Header().Get("Retry-After") != c.retry {
			t.Errorf("%s: %d, Retry-After %q", name, w.Code, w.Header().Get("Retry-After"))
		}
		checkTexts(t, w.Body.String(), c.has, c.not)
	}
}

func TestRedeemTicket(t *testing.T) {
	t.Parallel()
	view := relay.TicketView{OpenID: "o-1", AppID: "wx1", Scope: "snsapi_base"}
	service := &fakeService{fakeLogins: fakeLogins{redeem: func(got string) (relay.TicketView, error) {
		if got != ticket {
			return relay.TicketView{}, refusal(relay.KindNotFound, "no such ticket")
		}
		return view, nil
	}}}
	for name, c := range map[string]struct {
		target, body, media string
		status              int
		answer              string
	}{
		"without a body": {"/v1/tickets/" + ticket, "", "", 200, `{"openid":"o-1","app_id":"wx1","scope":"snsapi_base"}`},
		"empty object":   {"/v1/tickets/" + ticket, "{}", "application/json", 200, `{"openid":"o-1","app_id":"wx1","scope":"snsapi_base"}`},
		"unknown":        {"/v1/tickets/x", "", "", 404, ""},
		"with members":   {"/v1/tickets/" + ticket, `{"a":1}`, "application/json", 400, ""},
		"with a query":   {"/v1/tickets/" + ticket + "?a=1", "", "", 400, ""},
	} {
		var header []string
		if c.media != "" {
			header = []string{"Content-Type", c.media}
		}
		w := newFace(t, service).do(t, http.MethodPost, c.target, c.body, header...)
		if w.Code != c.status || c.answer != "" && w.Body.String() != c.answer {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, w.Body, c.status, c.answer)
		}
	}
	if calls := service.callList(); !strings.HasPrefix(calls, "authenticate nonce") {
		t.Errorf("calls %q, want the signature and the nonce first", calls)
	}
}

func TestSecretPath_H04(t *testing.T) {
	t.Parallel()
	h := newFace(t, &fakeService{}, at("https://example.com/pay"))
	for path, want := range map[string]bool{
		"/pay/v1/js-sdk":            true,
		"/pay/v1/tickets/" + ticket: true, "/pay/v1/orders/A1": false, "/v1/tickets/" + ticket: false, "/pay/login": false,
	} {
		if got := h.SecretPath(path); got != want {
			t.Errorf("SecretPath(%q) = %t", path, got)
		}
	}
}
