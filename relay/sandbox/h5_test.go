package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// h5Scene is what H5 asks to know of the buyer.
func h5Scene(address string) map[string]any {
	return map[string]any{"payer_client_ip": address, "h5_info": map[string]any{"type": "Wap"}}
}

// h5 is a prepay call for H5.
func h5(body string) call {
	return call{method: http.MethodPost, target: "/v3/pay/transactions/h5", body: body}
}

// h5URLOf creates an H5 order and returns its address.
func h5URLOf(t *testing.T, s *Sandbox, at time.Time) *url.URL {
	t.Helper()
	c := h5(prepayBody(t, map[string]any{"scene_info": h5Scene("203.0.113.7")}))
	c.at = at
	w := c.send(t, s)
	mustStatus(t, w, http.StatusOK)
	var made struct {
		H5URL string `json:"h5_url"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(made.H5URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// navigate opens an address as a browser does that comes from referer.
func navigate(s *Sandbox, target, referer string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone) Safari")
	if referer != "" {
		r.Header.Set("Referer", referer)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// decideH5 posts the buyer's decision.
func decideH5(s *Sandbox, u *url.URL, decision, redirect, who string) *httptest.ResponseRecorder {
	form := u.Query()
	form.Set("decision", decision)
	form.Set("redirect_url", redirect)
	r := httptest.NewRequest(http.MethodPost, "/sandbox/h5", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(&http.Cookie{Name: userCookie, Value: who})
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

const shopPage = "http://127.0.0.1:8080/checkout/x"

func TestPrepayH5(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	u := h5URLOf(t, s, testNow)
	if u.Host != "example.com" || u.Path != h5Path || u.Query().Get("prepay_id") == "" || u.Query().Get("package") == "" {
		t.Errorf("h5_url = %s, want one of the sandbox itself", u)
	}
	if again := h5URLOf(t, s, testNow); again.String() == u.String() {
		t.Error("the repeat gives the old address")
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"h5_url":"`+u.String()+`"}`), http.StatusNotFound)
}

func TestPrepayH5Refuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	scene := func(changes map[string]any) map[string]any {
		all := h5Scene("203.0.113.7")
		for name, value := range changes {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return map[string]any{"scene_info": all}
	}
	for name, test := range map[string]struct {
		changes map[string]any
		field   string
	}{
		"no scene":         {nil, "/scene_info"},
		"no address":       {scene(map[string]any{"payer_client_ip": nil}), "/scene_info/payer_client_ip"},
		"no h5_info":       {scene(map[string]any{"h5_info": nil}), "/scene_info/h5_info"},
		"no type":          {scene(map[string]any{"h5_info": map[string]any{}}), "/scene_info/h5_info/type"},
		"other type":       {scene(map[string]any{"h5_info": map[string]any{"type": "wap"}}), "/scene_info/h5_info/type"},
		"loopback":         {scene(map[string]any{"payer_client_ip": "127.0.0.1"}), "/scene_info/payer_client_ip"},
		"loopback, IPv6":   {scene(map[string]any{"payer_client_ip": "::1"}), "/scene_info/payer_client_ip"},
		"loopback, mapped": {scene(map[string]any{"payer_client_ip": "::ffff:127.0.0.1"}), "/scene_info/payer_client_ip"},
		"no real address":  {scene(map[string]any{"payer_client_ip": "0.0.0.0"}), "/scene_info/payer_client_ip"},
		"with a payer":     {map[string]any{"scene_info": h5Scene("203.0.113.7"), "payer": payer()}, "/payer"},
	} {
		w := h5(prepayBody(t, test.changes)).send(t, s)
		mustStatus(t, w, http.StatusBadRequest)
		if e := errorOf(t, w); e.Code != "PARAM_ERROR" || e.Detail == nil || e.Detail.Field != test.field {
			t.Errorf("%s: refusal = %s, want one of %s", name, w.Body, test.field)
		}
	}
}

func TestMiddlePageOpensTheWindow(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	u := h5URLOf(t, s, testNow)
	back := "http://127.0.0.1:8080/checkout/x?paid=maybe"
	w := navigate(s, u.RequestURI()+"&redirect_url="+url.QueryEscape(back), shopPage, nil)
	mustStatus(t, w, http.StatusOK)
	for _, want := range []string{"¥1.00", `name="decision" value="pay"`, `value="http://127.0.0.1:8080/checkout/x?paid=maybe"`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the window does not show %q: %s", want, w.Body)
		}
	}
	if policy := w.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' http://127.0.0.1:8080;") {
		t.Errorf("the browser may not go back: policy %q", policy)
	}
	w = decideH5(s, u, "pay", back, "ming")
	mustStatus(t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != back {
		t.Errorf("Location = %q, want %q", got, back)
	}
	got := transactionOf(t, query("T00001").send(t, s).Body.Bytes())
	if got.TradeState != "SUCCESS" || got.TradeType != "MWEB" || got.Payer.OpenID != OpenID(DefaultAppID, "ming") {
		t.Errorf("transaction = %+v", got)
	}
}

// WeChat comes back whatever the outcome was.
func TestMiddlePageComesBackAfterCancel(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	u := h5URLOf(t, s, testNow)
	w := decideH5(s, u, "cancel", shopPage, "ming")
	mustStatus(t, w, http.StatusSeeOther)
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.TradeState != "NOTPAY" {
		t.Errorf("state = %s, want NOTPAY", got.TradeState)
	}
}

// The browser goes to no other domain than the merchant's, whatever stands in
// redirect_url.
func TestMiddlePageRedirectsToTheMerchantOnly(t *testing.T) {
	t.Parallel()
	for _, redirect := range []string{
		"", "https://evil.example/", "//evil.example/", "javascript:alert(1)", "http://127.0.0.1@evil.example/",
		"http://127.0.0.1:8080@evil.example/", "http://127.0.0.1\\@evil.example/", "http://user@127.0.0.1/", "/sandbox", "%zz",
	} {
		s := newSandbox(t, Options{})
		u := h5URLOf(t, s, testNow)
		shown := navigate(s, u.RequestURI()+"&redirect_url="+url.QueryEscape(redirect), shopPage, nil)
		if strings.Contains(shown.Body.String(), "evil") || strings.Contains(shown.Header().Get("Content-Security-Policy"), "evil") {
			t.Errorf("%q is on the page", redirect)
		}
		w := decideH5(s, u, "pay", redirect, "ming")
		if w.Code != http.StatusOK || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "支付成功") {
			t.Errorf("%q: %d to %q", redirect, w.Code, w.Header().Get("Location"))
		}
	}
}

func TestMiddlePageRefuses(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	u := h5URLOf(t, s, testNow)
	wechat := func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla/5.0 MicroMessenger/8.0") }
	hong := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: userCookie, Value: "hong"}) }
	other := strings.Replace(u.RequestURI(), "package=", "package=1", 1)
	tests := []struct {
		name, target, referer string
		change                func(*http.Request)
		says                  string
	}{
		{"no Referer", u.RequestURI(), "", nil, h5NoReferer},
		{"Referer without host", u.RequestURI(), "about:blank", nil, h5NoReferer},
		{"other domain", u.RequestURI(), "https://other.example/", nil, h5OtherHost},
		{"in WeChat", u.RequestURI(), shopPage, wechat, h5InWeChat},
		{"other package", other, shopPage, nil, h5Expired},
		{"no order", h5Path, shopPage, nil, h5Expired},
		{"first user", u.RequestURI(), shopPage, nil, ""},
		{"another user", u.RequestURI(), shopPage, hong, h5OtherUser},
		{"first user again", u.RequestURI(), shopPage, nil, ""},
	}
	for _, test := range tests {
		w := navigate(s, test.target, test.referer, test.change)
		if test.says == "" {
			mustStatus(t, w, http.StatusOK)
			continue
		}
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), test.says) {
			t.Errorf("%s: %d, want 400 with %q", test.name, w.Code, test.says)
		}
	}
	if w := decideH5(s, u, "pay", "", "hong"); w.Code != http.StatusBadRequest {
		t.Errorf("another user pays: %d", w.Code)
	}
	clock.set(testNow.Add(h5Life))
	if w := navigate(s, u.RequestURI(), shopPage, nil); !strings.Contains(w.Body.String(), h5Expired) {
		t.Errorf("after five minutes: %d", w.Code)
	}
	// Whoever opened it in time may take longer.
	if w := decideH5(s, u, "pay", "", "ming"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "支付成功") {
		t.Errorf("paying after six minutes: %d", w.Code)
	}
	if w := navigate(s, u.RequestURI(), shopPage, nil); !strings.Contains(w.Body.String(), h5Paid) {
		t.Errorf("after the payment: %d", w.Code)
	}
}

func TestMiddlePageOfAClosedOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	u := h5URLOf(t, s, testNow)
	mustStatus(t, closing("T00001").send(t, s), http.StatusNoContent)
	if w := navigate(s, u.RequestURI(), shopPage, nil); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), h5Closed) {
		t.Errorf("status = %d", w.Code)
	}
	if w := decideH5(s, u, "pay", "", "ming"); !strings.Contains(w.Body.String(), "支付失败") {
		t.Errorf("paying a closed order: %s", w.Body)
	}
}

func TestPayByH5URL(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	u := h5URLOf(t, s, clock.now())
	pay := func(raw string) *httptest.ResponseRecorder { return post(t, s, "/sandbox/pay", `{"h5_url":"`+raw+`"}`) }
	mustStatus(t, pay("http://example.com/other?"+u.RawQuery), http.StatusNotFound)
	mustStatus(t, pay(strings.Replace(u.String(), "package=", "package=1", 1)), http.StatusNotFound)
	clock.set(testNow.Add(h5Life))
	mustStatus(t, pay(u.String()), http.StatusNotFound)
	u = h5URLOf(t, s, clock.now())
	if got := resultOf(t, pay(u.String()+"&redirect_url=x")); got.TradeState != "SUCCESS" {
		t.Errorf("result = %+v", got)
	}
}

// A merchant whose pages are not where it is notified registers their domain.
func TestMiddlePageOfRegisteredDomains(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: []Merchant{{
		MchID: DefaultMchID, APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID}, H5Domains: []string{"pay.example.com"},
		Certificates: []MerchantCertificate{{Serial: DefaultCertificateSerial, PublicKey: &merchantKey().PublicKey}},
	}}})
	u := h5URLOf(t, s, testNow)
	if w := navigate(s, u.RequestURI(), shopPage, nil); !strings.Contains(w.Body.String(), h5OtherHost) {
		t.Errorf("from notify_url's host: %d", w.Code)
	}
	mustStatus(t, navigate(s, u.RequestURI(), "https://PAY.example.com/", nil), http.StatusOK)
	if w := decideH5(s, u, "pay", "https://pay.example.com/back", "ming"); w.Header().Get("Location") != "https://pay.example.com/back" {
		t.Errorf("goes back to %q", w.Header().Get("Location"))
	}
}

// Whatever stands in redirect_url, a browser that follows what comes out of
// it stays on the registered domain.
func FuzzRedirectTarget(f *testing.F) {
	for _, seed := range []string{
		shopPage, "", "//evil.example/", "http:/\\127.0.0.1", "http://127.0.0.1:80@evil.example/", "HTTP://127.0.0.1", "http://127.0.0.1%2eevil.example/",
	} {
		f.Add(seed)
	}
	s, err := New(Options{})
	if err != nil {
		f.Fatalf("New: %v", err)
	}
	o := &order{orderKey: orderKey{MchID: DefaultMchID}, NotifyURL: "http://127.0.0.1/n"}
	f.Fuzz(func(t *testing.T, raw string) {
		target := s.redirectTarget(o, raw)
		if target == nil {
			return
		}
		again, err := url.Parse(target.String())
		if err != nil || again.Hostname() != "127.0.0.1" || again.User != nil || again.Scheme != "http" && again.Scheme != "https" {
			t.Errorf("%q leads to %q, %v", raw, target, err)
		}
		if !strings.HasPrefix(target.String(), again.Scheme+"://127.0.0.1") {
			t.Errorf("%q is written as %q", raw, target)
		}
	})
}
