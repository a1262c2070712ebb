package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// failing is a service of which every part fails with err.
func failing(err error) *fakeService {
	return &fakeService{
		authenticate:  func(relay.SignedRequest) error { return err },
		checkout:      func(relay.CheckoutRequest) (relay.CheckoutResult, error) { return relay.CheckoutResult{}, err },
		status:        func(string) (relay.CheckoutStatus, error) { return relay.CheckoutStatus{}, err },
		watch:         func(string) (<-chan struct{}, func(), error) { return nil, nil, err },
		code:          func(string) (string, error) { return "", err },
		login:         func(relay.LoginCallback) (string, error) { return "", err },
		notify:        func(context.Context, string, relay.RawNotification) error { return err },
		fakeLogins:    fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) { return relay.LoginStart{}, err }},
		createOrder:   nil,
		createPayment: nil,
	}
}

// methodOf is a method that a route takes.
func methodOf(rt route) string {
	if endpoints[rt].allow == allowPost {
		return http.MethodPost
	}
	return http.MethodGet
}

func TestOtherMethodsAreRefused_A25(t *testing.T) {
	t.Parallel()
	service := failing(errors.New("reached"))
	f := newFace(t, service)
	for rt, path := range routePaths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "PROPFIND"} {
			if slices.Contains(strings.Split(endpoints[rt].allow, ", "), method) {
				continue
			}
			w := f.do(t, method, path, "out_trade_no=1&total_fee=1", "Content-Type", "application/x-www-form-urlencoded")
			if w.Code != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: status %d, want 405", method, path, w.Code)
			}
			if got, want := w.Header().Get("Allow"), endpoints[rt].allow; got != want {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, want)
			}
		}
	}
	if got := service.callList(); got != "" {
		t.Errorf("relay was called: %s", got)
	}
}

func TestMethodNotAllowedSpeaksTheRoutesForm(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{})
	if got := errorBody(t, f.do(t, http.MethodDelete, "/v1/orders", "")).Code; got != "METHOD_NOT_ALLOWED" {
		t.Errorf("API: code %q", got)
	}
	if got := f.do(t, http.MethodGet, "/wechat/notify/main", "").Body.String(); got != `{"code":"FAIL","message":"method not allowed"}` {
		t.Errorf("notification: %s", got)
	}
	if got := f.do(t, http.MethodPost, "/checkout/"+token, "").Header().Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("page: Content-Type %q", got)
	}
}

func TestPanicStaysInItsRequest_H16(t *testing.T) {
	t.Parallel()
	for name, thrown := range map[string]any{
		"text":         "secret 0123456789ABCDEF",
		"error":        errors.New("secret 0123456789ABCDEF"),
		"runtime":      nil, // an index out of range
		"typed struct": struct{ Secret string }{"secret 0123456789ABCDEF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{order: func(orderNo string, _ bool) (relay.OrderView, error) {
				if thrown == nil {
					_ = []int{}[len(orderNo)]
				}
				panic(thrown)
			}})
			w := f.do(t, http.MethodGet, "/v1/orders/A1", "")
			if body := errorBody(t, w); w.Code != http.StatusInternalServerError || body.Code != "INTERNAL" || body.RequestID == "" {
				t.Errorf("got %d %+v, want 500 INTERNAL", w.Code, body)
			}
			log := f.log.String()
			if !strings.Contains(log, "panic") || strings.Count(log, "\n") != 1 {
				t.Errorf("want one line about the panic, got %s", log)
			}
			if strings.Contains(log, "0123456789ABCDEF") {
				t.Errorf("the log holds what was thrown: %s", log)
			}
		})
	}
}

func TestPanicOfEveryRouteIsAnswered_H16(t *testing.T) {
	t.Parallel()
	boom := func() { panic("boom") }
	service := &fakeService{
		authenticate: func(relay.SignedRequest) error { boom(); return nil },
		checkout:     func(relay.CheckoutRequest) (r relay.CheckoutResult, err error) { boom(); return },
		status:       func(string) (s relay.CheckoutStatus, err error) { boom(); return },
		code:         func(string) (s string, err error) { boom(); return },
		login:        func(relay.LoginCallback) (s string, err error) { boom(); return },
		notify:       func(context.Context, string, relay.RawNotification) error { boom(); return nil },
	}
	service.boom = boom
	service.begin = func(relay.LoginRequest) (s relay.LoginStart, err error) { boom(); return }
	f := newFace(t, service, func(o *Options) { o.Ready = func(context.Context) error { boom(); return nil } })
	for rt, path := range routePaths {
		if rt == routeStatic || rt == routeKey || rt == routeScript || rt == routeJSSDK || rt == routeAPIStable {
			continue // ask nobody, the last two not before they know who asks
		}
		query := "?state=s&code=c" + snsQueries[rt]
		if rt == routeLogin {
			query = "?state=s" // every other parameter is refused before
		}
		w := f.do(t, methodOf(rt), path+query, "")
		if w.Code != http.StatusInternalServerError {
			t.Errorf("%s: status %d, want 500", path, w.Code)
		}
	}
}

func TestAbortedHandlersStayAborted(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{order: func(string, bool) (relay.OrderView, error) { panic(http.ErrAbortHandler) }})
	defer func() {
		if got := recover(); got != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
			t.Errorf("recovered %v, want http.ErrAbortHandler", got)
		}
	}()
	f.do(t, http.MethodGet, "/v1/orders/A1", "")
}

func TestRefusalLeavesOneLine_H02_H03(t *testing.T) {
	t.Parallel()
	const marked = "MARKED"
	f := newFace(t, &fakeService{
		createOrder: func(relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error) {
			return v, false, &relay.Error{Kind: relay.KindUpstream, Message: "WeChat refused", Err: errors.New("cause\nwith a line\x1b[2J")}
		},
	}, func(o *Options) {
		o.RequestID = func() string { return "req-1" }
		o.ClientIP = func(*http.Request) string { return "192.0.2.7" }
	})
	f.do(t, http.MethodPost, "/v1/orders", `{"order_no":"`+marked+`"}`,
		"Content-Type", "application/json", "Authorization", marked, "Cookie", marked+"="+marked, "User-Agent", marked+"\x1b[1m")
	log := f.log.String()
	if strings.Count(log, "\n") != 1 {
		t.Errorf("want one line, got %q", log)
	}
	if strings.Contains(log, marked) {
		t.Errorf("the log holds what the request carried: %s", log)
	}
	for _, want := range []string{
		`"level":"ERROR"`, `"request_id":"req-1"`, `"route":"orders"`, `"status":502`, `"code":"UPSTREAM_ERROR"`,
		`"client_ip":"192.0.2.7"`, `"client_id":"` + clientID + `"`, `cause\nwith a line`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s: %s", want, log)
		}
	}
}

func TestLogNeverHoldsPathsOrQueries_H03(t *testing.T) {
	t.Parallel()
	f := newFace(t, failing(refusal(relay.KindNotFound, "no such page")))
	for rt, path := range routePaths {
		if rt != routeHealth && rt != routeStatic && rt != routeScript {
			f.do(t, methodOf(rt), path+"?code=c0de&state=st4te&sig=s1g", "")
		}
	}
	log := f.log.String()
	if lines := strings.Count(log, "\n"); lines != len(routePaths)-3 {
		t.Errorf("%d lines, want %d", lines, len(routePaths)-3)
	}
	for _, marked := range []string{token, ticket, "c0de", "st4te", "s1g"} {
		if strings.Contains(log, marked) {
			t.Errorf("the log holds %q", marked)
		}
	}
}

func TestSuccessIsNotLogged(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil }})
	f.do(t, http.MethodGet, "/v1/orders/A1", "")
	f.do(t, http.MethodGet, "/wechat/health", "")
	if f.log.Len() > 0 {
		t.Errorf("logged %s", f.log)
	}
}

func TestAbandonedRequestsAreNoFailures(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, context.Canceled }})
	f.do(t, http.MethodGet, "/v1/orders/A1", "")
	if log := f.log.String(); !strings.Contains(log, `"level":"DEBUG"`) {
		t.Errorf("want level DEBUG: %s", log)
	}
}

// deafWriter is a connection whose other end is gone.
type deafWriter struct{ http.ResponseWriter }

func (deafWriter) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAnswersThatCannotBeSentAreNoFailures(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil }})
	f.ServeHTTP(deafWriter{httptest.NewRecorder()}, httptest.NewRequest(http.MethodGet, "/v1/orders/A1", nil))
	if log := f.log.String(); !strings.Contains(log, `"level":"DEBUG"`) || !strings.Contains(log, "broken pipe") {
		t.Errorf("want one line of level DEBUG with the cause: %s", log)
	}
}

// Nothing in an answer may come from headers that anybody can set (threats
// I05, I06).
func TestHostAndForwardedHeadersAreIgnored_I05_I06(t *testing.T) {
	t.Parallel()
	const planted = "evil.example"
	service := failing(refusal(relay.KindNotFound, "no such page"))
	service.authenticate = nil
	service.order = func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil }
	service.checkout = func(relay.CheckoutRequest) (relay.CheckoutResult, error) {
		return relay.CheckoutResult{Page: relay.CheckoutPage{State: relay.CheckoutWrongPlace}, BrowserID: browserID}, nil
	}
	service.login = func(relay.LoginCallback) (string, error) { return publicURL + "/checkout/" + token, nil }
	f := newFace(t, service)
	for rt, path := range routePaths {
		r := httptest.NewRequest(methodOf(rt), path+"?code=c&state=s", strings.NewReader(`{}`))
		r.Host = planted
		for _, name := range []string{
			"X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-For", "X-Forwarded-Server", "Forwarded", "X-Original-Url",
			"X-Rewrite-Url", "X-Host", "Referer", "Origin", "X-Real-Ip",
		} {
			r.Header.Set(name, planted)
		}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), planted) {
			t.Errorf("%s: the body holds the planted name", path)
		}
		for name, values := range w.Header() {
			if strings.Contains(strings.Join(values, " "), planted) {
				t.Errorf("%s: header %s holds the planted name", path, name)
			}
		}
		if got := w.Header().Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("%s: other origins may read it: %s", path, got)
		}
	}
}

func TestEveryAnswerIsGuarded_I08_I12(t *testing.T) {
	t.Parallel()
	f := newFace(t, failing(refusal(relay.KindNotFound, "no such page")))
	for rt, path := range routePaths {
		if rt == routeScript {
			continue // is the same for everybody
		}
		w := f.do(t, methodOf(rt), path, "")
		h := w.Header()
		if h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Content-Type") == "" {
			t.Errorf("%s: Cache-Control %q, X-Content-Type-Options %q, Content-Type %q", path,
				h.Get("Cache-Control"), h.Get("X-Content-Type-Options"), h.Get("Content-Type"))
		}
		if h.Get("Request-Id") == "" {
			t.Errorf("%s: no Request-Id", path)
		}
	}
}

// Whatever a browser gets below these paths, page, answer of a script or
// refusal, runs nothing of others and stands in no frame (threats I03, I04,
// E13).
func TestBrowserAnswersAreGuarded_I03_I04_E13(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]face{
		"refused": newFace(t, failing(refusal(relay.KindNotFound, "no such page"))),
		"failed":  newFace(t, failing(errors.New("boom"))),
	} {
		for _, rt := range []route{routeCheckout, routeStatus, routeCode, routeStatic, routeLogin, routeCallback} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				h := f.do(t, method, routePaths[rt]+"?state=s&code=c", "").Header()
				if h.Get("X-Frame-Options") != "DENY" || h.Get("Referrer-Policy") != "no-referrer" ||
					!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") ||
					!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
					t.Errorf("%s: %s %s: %v", name, method, routePaths[rt], h)
				}
			}
		}
	}
}
