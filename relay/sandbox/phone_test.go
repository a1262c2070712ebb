package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// No page can be taken for WeChat's, and none runs foreign code (H15).
func TestEveryPageSaysSandbox_H15(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for _, target := range []string{
		"/sandbox", "/sandbox/", "/sandbox/jsapi", "/connect/oauth2/authorize",
		"/connect/oauth2/authorize?" + authorizeQuery(scopeUserInfo, "s"), h5Path,
		"/connect/qrconnect?" + websiteQuery("s"), "/sandbox/scan/unknown",
	} {
		w := get(s, target)
		if !strings.Contains(w.Body.String(), page.Banner) {
			t.Errorf("%s: no banner", target)
		}
		policy := w.Header().Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy = %q", target, policy)
		}
		if strings.Contains(w.Body.String(), "<script>") || strings.Contains(w.Body.String(), "style=") || strings.Contains(w.Body.String(), "onclick") {
			t.Errorf("%s: something inline is on the page", target)
		}
	}
}

func TestPhoneSpeaksTwoLanguages(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for header, want := range map[string]string{
		"":                       "买家的手机",
		"zh-CN,zh;q=0.9,en;q=.8": "买家的手机",
		"en-GB":                  "The buyer&#39;s phone",
		"fr, en;q=0.5, zh;q=0.3": "The buyer&#39;s phone",
		"fr":                     "买家的手机",
	} {
		r := httptest.NewRequest(http.MethodGet, "/sandbox", nil)
		r.Header.Set("Accept-Language", header)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		mustStatus(t, w, http.StatusOK)
		if !strings.Contains(w.Body.String(), want) && !strings.Contains(w.Body.String(), strings.ReplaceAll(want, "&#39;", "'")) {
			t.Errorf("Accept-Language %q: the page does not say %q", header, want)
		}
	}
}

func TestLivePageShowsWhatHappens(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, map[string]any{"description": "<b>书</b>"})).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"api_429"}`), http.StatusOK)
	live := get(s, "/sandbox/live").Body.String()
	for _, want := range []string{"T00001", "¥1.00", "NOTPAY", `name="outcome" value="success"`, "&lt;b&gt;书&lt;/b&gt;", "api_429"} {
		if !strings.Contains(live, want) {
			t.Errorf("an unpaid order: the page does not show %q", want)
		}
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	s.notifier.group.Wait()
	live = get(s, "/sandbox/live").Body.String()
	if !strings.Contains(live, "SUCCESS") || !strings.Contains(live, ">204<") || strings.Contains(live, `value="success"`) {
		t.Errorf("a paid order: %s", live)
	}
	var log struct {
		Attempts []attempt `json:"attempts"`
	}
	if err := json.Unmarshal(get(s, "/sandbox/notifications").Body.Bytes(), &log); err != nil || len(log.Attempts) != 1 || !log.Attempts[0].Success {
		t.Errorf("notifications = %+v, %v", log, err)
	}
}

func TestHandOver(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	hand := func(who string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/sandbox/user", strings.NewReader("user="+who))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	w := hand("ada")
	mustStatus(t, w, http.StatusSeeOther)
	if cookies := w.Result().Cookies(); len(cookies) != 1 || cookies[0].Value != "ada" || !cookies[0].HttpOnly {
		t.Errorf("cookies = %v", cookies)
	}
	mustStatus(t, hand("nobody"), http.StatusBadRequest)
}

func TestAssets(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for name, kind := range map[string]string{"style.css": "text/css", "live.js": "text/javascript", "phone.js": "text/javascript", "scan.js": "text/javascript"} {
		w := get(s, "/sandbox/assets/"+name)
		mustStatus(t, w, http.StatusOK)
		if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, kind) {
			t.Errorf("%s: Content-Type = %q", name, got)
		}
	}
	for _, name := range []string{"layout.html", "..%2fphone.go", "x"} {
		if w := get(s, "/sandbox/assets/"+name); w.Code != http.StatusNotFound {
			t.Errorf("%s: status = %d, want 404", name, w.Code)
		}
	}
}

// The host of a request becomes part of a script, so nothing but a host may
// come through.
func TestBridgeNamesTheSandbox(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for host, want := range map[string]string{
		"localhost:8080":    "'http://localhost:8080'",
		"[::1]:80":          "'http://[::1]:80'",
		"a';alert(1);//'.b": "'http://aalert1.b'",
	} {
		r := httptest.NewRequest(http.MethodGet, "/sandbox/bridge.js", nil)
		r.Host = host
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		mustStatus(t, w, http.StatusOK)
		if !strings.Contains(w.Body.String(), "const origin = "+want+";") {
			t.Errorf("%s: the script does not say %s", host, want)
		}
	}
}

// invocation signs what a page pays with.
func invocation(t *testing.T, s *Sandbox) url.Values {
	t.Helper()
	w := jsapi(prepayBody(t, map[string]any{"payer": payer()})).send(t, s)
	mustStatus(t, w, http.StatusOK)
	var made struct {
		PrepayID string `json:"prepay_id"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	c := DefaultCredentials()
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID: c.MchID, CertificateSerial: c.CertificateSerial, PrivateKey: c.PrivateKey, APIv3Key: c.APIv3Key, Keys: ring(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	v, err := client.InvokeJSAPI(DefaultAppID, made.PrepayID)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"appId": {v.AppID}, "timeStamp": {v.TimeStamp}, "nonceStr": {v.NonceStr},
		"package": {v.Package}, "signType": {v.SignType}, "paySign": {v.PaySign},
	}
}

// decide posts the decision of the payment window.
func decide(s *Sandbox, values url.Values, decision string) *httptest.ResponseRecorder {
	values.Set("decision", decision)
	r := httptest.NewRequest(http.MethodPost, "/sandbox/jsapi", strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestPaymentWindow(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	values := invocation(t, s)
	w := get(s, "/sandbox/jsapi?"+values.Encode())
	mustStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), "¥1.00") {
		t.Errorf("the window does not show the amount: %s", w.Body)
	}
	if w = decide(s, values, "cancel"); !strings.Contains(w.Body.String(), `data-result="`+bridgeCancel+`"`) {
		t.Errorf("after cancel: %s", w.Body)
	}
	if w = decide(s, values, "pay"); !strings.Contains(w.Body.String(), `data-result="`+bridgeOK+`"`) {
		t.Errorf("after pay: %s", w.Body)
	}
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.TradeState != "SUCCESS" || got.TradeType != "JSAPI" {
		t.Errorf("transaction = %+v", got)
	}
	if w = decide(s, values, "pay"); !strings.Contains(w.Body.String(), `data-result="`+bridgeFail+`"`) {
		t.Errorf("after paying twice: %s", w.Body)
	}
}

func TestPaymentWindowRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	good := invocation(t, s)
	for name, change := range map[string][2]string{
		"other nonce":     {"nonceStr", "x"},
		"other time":      {"timeStamp", "1"},
		"other app id":    {"appId", "wx404"},
		"other prepay id": {"package", "prepay_id=x"},
		"bare prepay id":  {"package", "x"},
		"MD5":             {"signType", "MD5"},
		"no signature":    {"paySign", ""},
	} {
		values := url.Values{}
		for key := range good {
			values.Set(key, good.Get(key))
		}
		values.Set(change[0], change[1])
		if w := get(s, "/sandbox/jsapi?"+values.Encode()); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status = %d, want 400", name, w.Code)
		}
		if w := decide(s, values, "pay"); w.Code != http.StatusBadRequest {
			t.Errorf("%s: paying gives %d, want 400", name, w.Code)
		}
	}
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.TradeState != "NOTPAY" {
		t.Errorf("state = %s, want NOTPAY", got.TradeState)
	}
}
