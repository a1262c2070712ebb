package sandbox

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// testNow is the time of tests whose clock stands still.
var testNow = time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)

// shopFunc plays the merchant's server behind notify_url.
type shopFunc func(*http.Request) (*http.Response, error)

func (f shopFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answer makes a merchant that answers every notification with this status.
func answer(status int) shopFunc {
	return func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return nil, err
			}
		}
		return reply(r, status, ""), nil
	}
}

// reply makes an answer of the merchant.
func reply(r *http.Request, status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// clock is a clock that a test sets while the sandbox's goroutines read it.
type clock struct {
	mu sync.Mutex // guards at
	at time.Time
}

func newClock(at time.Time) *clock { return &clock{at: at} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// newSandbox makes a sandbox that is closed when the test ends. Its clock
// stands still and its merchant takes every notification, unless o says
// otherwise.
func newSandbox(t *testing.T, o Options) *Sandbox {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return testNow }
	}
	if o.Transport == nil {
		o.Transport = answer(http.StatusNoContent)
	}
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// call is a signed APIv3 call that a test may spoil before it is sent.
type call struct {
	method, target, body string
	at                   time.Time
	mchID, serial        string
	header               http.Header // added or, with an empty value, removed
	authorization        func(string) string
	sentBody, sentTarget string // when not what was signed
}

// send signs and sends the call.
func (c call) send(t *testing.T, s *Sandbox) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, c.request(t))
	return w
}

// request signs the call.
func (c call) request(t *testing.T) *http.Request {
	t.Helper()
	at := c.at
	if at.IsZero() {
		at = testNow
	}
	a := payv3.Authorization{
		MchID: DefaultMchID, Nonce: "nonce0123456789ABCDEF", SerialNo: DefaultCertificateSerial,
		Timestamp: strconv.FormatInt(at.Unix(), 10),
	}
	if c.mchID != "" {
		a.MchID = c.mchID
	}
	if c.serial != "" {
		a.SerialNo = c.serial
	}
	var err error
	message := payv3.RequestMessage(c.method, c.target, a.Timestamp, a.Nonce, []byte(c.body))
	if a.Signature, err = payv3.Sign(merchantKey(), message); err != nil {
		t.Fatalf("signing: %v", err)
	}
	body, target := c.body, c.target
	if c.sentBody != "" {
		body = c.sentBody
	}
	if c.sentTarget != "" {
		target = c.sentTarget
	}
	r := httptest.NewRequest(c.method, target, strings.NewReader(body))
	r.Header = http.Header{
		"Accept": {"application/json"}, "User-Agent": {"test"}, "Authorization": {a.String()},
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.authorization != nil {
		r.Header.Set("Authorization", c.authorization(a.String()))
	}
	for name, values := range c.header {
		if r.Header[name] = values; len(values) == 0 {
			r.Header.Del(name)
		}
	}
	return r
}

// prepayBody makes the body of a prepay call; changes replace or, with nil,
// remove members.
func prepayBody(t *testing.T, changes map[string]any) string {
	t.Helper()
	body := map[string]any{
		"appid": DefaultAppID, "mchid": DefaultMchID, "description": "一本书", "out_trade_no": "T00001",
		"notify_url": "http://127.0.0.1/wechat/notify/main", "amount": map[string]any{"total": 100},
	}
	maps.Copy(body, changes)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("encoding: %v", err)
	}
	return string(encoded)
}

// payer is a valid payer of JSAPI calls.
func payer() map[string]any { return map[string]any{"openid": OpenID(DefaultAppID, "ming")} }

// native is a prepay call for NATIVE.
func native(body string) call {
	return call{method: http.MethodPost, target: "/v3/pay/transactions/native", body: body}
}

// jsapi is a prepay call for JSAPI.
func jsapi(body string) call {
	return call{method: http.MethodPost, target: "/v3/pay/transactions/jsapi", body: body}
}

// query is a call that asks for an order.
func query(outTradeNo string) call {
	return call{method: http.MethodGet, target: "/v3/pay/transactions/out-trade-no/" + outTradeNo + "?mchid=" + DefaultMchID}
}

// closing is a call that closes an order.
func closing(outTradeNo string) call {
	return call{
		method: http.MethodPost, target: "/v3/pay/transactions/out-trade-no/" + outTradeNo + "/close",
		body: `{"mchid":"` + DefaultMchID + `"}`,
	}
}

// mustStatus fails the test unless the answer has this status.
func mustStatus(t *testing.T, w *httptest.ResponseRecorder, want int) {
	t.Helper()
	if w.Code != want {
		t.Fatalf("status = %d, want %d; body %s", w.Code, want, w.Body)
	}
}

// errorOf decodes a refusal.
func errorOf(t *testing.T, w *httptest.ResponseRecorder) errorBody {
	t.Helper()
	var e errorBody
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil {
		t.Fatalf("decoding the refusal %q: %v", w.Body, err)
	}
	return e
}

// post sends JSON to the control panel.
func post(t *testing.T, s *Sandbox, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// get asks for a page.
func get(s *Sandbox, target string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

// ring knows the keys of the sandbox as a merchant does.
func ring(t *testing.T) *payv3.KeyRing {
	t.Helper()
	keys, err := payv3.NewKeyRing(payv3.KeyRingOptions{
		PublicKeys:   map[string]*rsa.PublicKey{DefaultPublicKeyID: DefaultCredentials().PublicKey},
		Certificates: true,
		Known:        []*x509.Certificate{platformCertificate(), rotatedCertificate()},
	})
	if err != nil {
		t.Fatalf("NewKeyRing: %v", err)
	}
	return keys
}

func TestMatch(t *testing.T) {
	t.Parallel()
	tests := map[string]bool{
		"/v3/certificates":          true,
		"/pay/unifiedorder":         true,
		"/sns/userinfo":             true,
		"/cgi-bin/stable_token":     true,
		"/connect/oauth2/authorize": true,
		"/sandbox":                  true,
		"/sandbox/pay":              true,
		"/shop/":                    true,
		"/":                         false,
		"/v3x":                      false,
		"/sandboxes":                false,
		"/shopping":                 false,
		"/wechat/notify/main":       false,
	}
	for path, want := range tests {
		if got := Match(path); got != want {
			t.Errorf("Match(%q) = %v, want %v", path, got, want)
		}
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := New(Options{
		TimeScale: 2,
		MaxOrders: -1,
		Accounts: []Account{
			{AppID: "nonsense", Secret: "x"},
			{AppID: "wx1", Secret: ""},
			{AppID: "wx2", Secret: "x"},
			{AppID: "wx2", Secret: "x"},
			{AppID: "wx3", Secret: "x", Kind: "robot"},
		},
		Merchants: []Merchant{
			{MchID: "x"},
			{MchID: "2", APIv3Key: []byte("short")},
			{MchID: "3", AppIDs: []string{"wx404"}},
			{MchID: "4", APIv2Key: []byte("short")},
			{MchID: "5", SubMerchants: []SubMerchant{{MchID: "x"}}},
			{MchID: "6", SubMerchants: []SubMerchant{{MchID: "7", AppIDs: []string{"wx404"}}}},
		},
	})
	if err == nil {
		t.Fatal("New accepted nonsense")
	}
	for _, want := range []string{
		"time scale", "order limit", `"nonsense"`, `"wx1"`, `"wx2": listed twice`, `no kind "robot"`,
		`merchant "x"`, `merchant "2"`, `merchant "3"`, `merchant "4"`, `merchant "5"`, `merchant "6"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %s: %v", want, err)
		}
	}
}

func TestUnknownPathsAreAnsweredPlainly(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for _, path := range []string{"/pay/micropay", "/secapi/pay/reverse", "/v3/refund/domestic/refund", "/shop/"} {
		if w := get(s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status = %d, want 404", path, w.Code)
		}
	}
}

func TestCredentialsDescribeTheSandbox(t *testing.T) {
	t.Parallel()
	w := get(newSandbox(t, Options{}), "/sandbox/credentials")
	mustStatus(t, w, http.StatusOK)
	var c credentialsReply
	if err := json.Unmarshal(w.Body.Bytes(), &c); err != nil {
		t.Fatalf("decoding: %v", err)
	}
	key, err := payv3.ParsePrivateKey([]byte(c.PrivateKey))
	if err != nil || !key.Equal(DefaultCredentials().PrivateKey) {
		t.Errorf("private key does not parse to the merchant's: %v", err)
	}
	public, err := payv3.ParsePublicKey([]byte(c.PublicKey))
	if err != nil || !public.Equal(DefaultCredentials().PublicKey) {
		t.Errorf("public key does not parse to the platform's: %v", err)
	}
	certificate, err := payv3.ParseCertificate([]byte(c.Certificate))
	if err != nil || payv3.CertificateSerial(certificate) != c.CertificateSerial {
		t.Errorf("certificate does not have the serial %s: %v", c.CertificateSerial, err)
	}
	if len(c.APIv3Key) != 32 || !strings.Contains(c.APIv3Key, "SANDBOX") {
		t.Errorf("APIv3 key %q is not 32 bytes that spell SANDBOX", c.APIv3Key)
	}
	if len(c.APIv2Key) != 32 || !strings.Contains(c.APIv2Key, "SANDBOX") || !apiV2KeyForm.MatchString(c.APIv2Key) {
		t.Errorf("APIv2 key %q is not 32 letters and digits that spell SANDBOX", c.APIv2Key)
	}
	kinds := map[AccountKind]string{}
	for _, a := range c.Accounts {
		kinds[a.Kind] = a.AppID
		if len(a.AppID) != 18 || len(a.AppSecret) != 32 || !strings.Contains(a.AppSecret, "SANDBOX") {
			t.Errorf("account %+v: want an app id of 18 characters and a secret of 32 that spells SANDBOX", a)
		}
	}
	want := map[AccountKind]string{
		OfficialAccount: DefaultAppID, MiniProgram: DefaultMiniProgramAppID,
		MobileApp: DefaultMobileAppID, WebsiteApp: DefaultWebsiteAppID,
	}
	if !maps.Equal(kinds, want) || c.SubMchID != DefaultSubMchID || c.SubAppID != DefaultSubAppID {
		t.Errorf("accounts = %v, sub merchant %s with %s", kinds, c.SubMchID, c.SubAppID)
	}
	if len(c.Users) != len(testUsers) || c.Users[0].OpenID != OpenID(DefaultAppID, "ming") {
		t.Errorf("users = %+v", c.Users)
	}
}

// Every call and page at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{MaxOrders: 20})
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			number := "RACE" + strconv.Itoa(1000+i)
			native(prepayBody(t, map[string]any{"out_trade_no": number})).send(t, s)
			post(t, s, "/sandbox/faults", `{"fault":"doubled"}`)
			post(t, s, "/sandbox/pay", `{"out_trade_no":"`+number+`"}`)
			query(number).send(t, s)
			refunding(refundBody(t, "R"+number, 10, map[string]any{"out_trade_no": number})).send(t, s)
			refundQuery("R"+number).send(t, s)
			post(t, s, "/sandbox/refund", `{"out_trade_no":"`+number+`","amount":1}`)
			billing("bill_date=2026-11-22").send(t, s)
			token := stable(t, s, i%5 == 0).AccessToken
			get(s, "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token)
			get(s, oldTarget)
			get(s, "/connect/qrconnect?"+websiteQuery("s"))
			for _, waiting := range s.scans.open() {
				post(t, s, "/sandbox/scan/"+waiting.ID, `{"decision":"allow"}`)
				get(s, "/sandbox/wait/"+waiting.Key+"/go")
			}
			get(s, sessionTarget(miniLogin(t, s, `{}`)))
			post(t, s, "/sandbox/mini-data", `{}`)
			get(s, "/sandbox/calls")
			closing(number).send(t, s)
			get(s, "/sandbox")
			get(s, "/sandbox/live")
			get(s, "/sandbox/notifications")
		})
	}
	group.Wait()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if body := get(s, "/sandbox/live").Body; !bytes.Contains(body.Bytes(), []byte("RACE")) {
		t.Error("no order is shown after all")
	}
}
