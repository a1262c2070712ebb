package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := NewClient(ClientOptions{
		MchID: "19000x", CertificateSerial: "XYZ", APIv3Key: APIv3Key("short-secret"), BaseURL: "wechat", BackupURL: "https://b/?q=1", AttemptTimeout: -1,
	})
	if err == nil {
		t.Fatal("NewClient succeeds")
	}
	for _, want := range []string{
		"merchant number", "certificate serial", "private key", "key ring", "APIv3 key has 12 bytes", "absolute http", "a query", "attempt timeout",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "short-secret") {
		t.Errorf("%v has the key", err)
	}
}

func TestNewClientDefaults(t *testing.T) {
	t.Parallel()
	c, err := NewClient(ClientOptions{
		MchID: testMchID, CertificateSerial: strings.ToLower(testSerial), PrivateKey: testKeys().merchant,
		APIv3Key: APIv3Key(testAPIv3Key), Keys: publicKeyRing(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.hosts.Len() != 2 || c.hosts.URL(0) != DefaultBaseURL || c.hosts.URL(1) != DefaultBackupURL || c.serial != testSerial ||
		c.attemptTimeout != DefaultAttemptTimeout || c.userAgent == "" || c.http == nil || c.now == nil || c.rand == nil {
		t.Errorf("got %+v", c)
	}
	c = newTestClient(t, func(o *ClientOptions) { o.BackupURL = "" })
	if c.hosts.Len() != 1 {
		t.Errorf("an own address without a backup has %d addresses", c.hosts.Len())
	}
}

func goodPrepay() *PrepayRequest {
	return &PrepayRequest{
		AppID: "wxd678efh567hg6787", MchID: testMchID, Description: "测试 <b>", OutTradeNo: "A000000001",
		NotifyURL: "https://pay.example.com/n", Amount: Amount{Total: 100, Currency: "CNY"},
	}
}

// wechat plays WeChat for one call: it verifies the request like WeChat and
// answers with body.
func wechat(t *testing.T, method, target, wantBody string, status int, body string) *http.Client {
	t.Helper()
	p := publicKeyPlatform(t)
	return serve(func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if r.Method != method || r.URL.RequestURI() != target {
			t.Errorf("got %s %s, want %s %s", r.Method, r.URL.RequestURI(), method, target)
		}
		if string(got) != wantBody {
			t.Errorf("got body %s, want %s", got, wantBody)
		}
		if err := VerifyRequest(r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), got, &testKeys().merchant.PublicKey, testNow); err != nil {
			t.Error(err)
		}
		if a, err := ParseAuthorization(r.Header.Get("Authorization")); err != nil || a.MchID != testMchID || a.SerialNo != testSerial {
			t.Errorf("authorization %+v, %v", a, err)
		}
		h := r.Header
		if h.Get("Accept") != "application/json" || h.Get("User-Agent") != "wxrelay" || h.Get(headerSerial) != testPublicKey ||
			(h.Get("Content-Type") == "application/json") != (wantBody != "") {
			t.Errorf("headers %v", h)
		}
		reply(t, w, p, testPublicKey, status, body)
	})
}

func TestClientPrepay(t *testing.T) {
	t.Parallel()
	const wantBody = `{"appid":"wxd678efh567hg6787","mchid":"1900000001","description":"测试 \u003cb\u003e","out_trade_no":"A000000001",` +
		`"notify_url":"https://pay.example.com/n","amount":{"total":100,"currency":"CNY"}}`
	calls := map[string]func(*Client, context.Context, *PrepayRequest) (string, error){
		"jsapi": (*Client).PrepayJSAPI, "native": (*Client).PrepayNative,
	}
	answers := map[string]string{
		"jsapi": `{"prepay_id":"wx201410272009395522657a690389285100"}`, "native": `{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}`,
	}
	for kind, call := range calls {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			target := "/v3/pay/transactions/" + kind
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, wantBody, 200, answers[kind]) })
			got, err := call(c, t.Context(), goodPrepay())
			if err != nil || got == "" || !strings.Contains(answers[kind], got) {
				t.Errorf("got %q, %v", got, err)
			}
			for _, answer := range []string{`{}`, ``, `{"prepay_id":"","code_url":""}`, `{"prepay_id":1}`, `{"prepay_id":"a","prepay_id":"b","code_url":"a","code_url":"b"}`} {
				c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, wantBody, 200, answer) })
				if got, err := call(c, t.Context(), goodPrepay()); err == nil || got != "" {
					t.Errorf("answer %s: got %q, %v", answer, got, err)
				}
			}
			other := goodPrepay()
			other.MchID = "1900000002"
			if _, err := call(newTestClient(t, nil), t.Context(), other); err == nil || !strings.Contains(err.Error(), "another merchant") {
				t.Errorf("other merchant: %v", err)
			}
		})
	}
}

func TestPrepayRequestLeavesOutWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	full := goodPrepay()
	full.TimeExpire, full.Attach = "2026-11-22T15:20:00+08:00", "x"
	full.Payer, full.SettleInfo = &Payer{OpenID: "o"}, &SettleInfo{ProfitSharing: true}
	got, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	const tail = `"amount":{"total":100,"currency":"CNY"},"payer":{"openid":"o"},"settle_info":{"profit_sharing":true}}`
	if !strings.HasSuffix(string(got), tail) || !strings.Contains(string(got), `"time_expire":"2026-11-22T15:20:00+08:00","attach":"x"`) {
		t.Errorf("got %s", got)
	}
}

func TestClientQuery(t *testing.T) {
	t.Parallel()
	const unpaid = `{"appid":"wxd678efh567hg6787","mchid":"1900000001","out_trade_no":"A000000001","trade_state":"NOTPAY","trade_state_desc":"未支付","promotion_detail":[]}`
	byNumber := func(c *Client) (*Transaction, []byte, error) {
		return c.TransactionByOutTradeNo(context.Background(), "A000000001")
	}
	byID := func(c *Client) (*Transaction, []byte, error) {
		return c.TransactionByID(context.Background(), "1217752501201407033233368018")
	}
	const numberTarget = "/v3/pay/transactions/out-trade-no/A000000001?mchid=1900000001"
	const idTarget = "/v3/pay/transactions/id/1217752501201407033233368018?mchid=1900000001"
	tests := []struct {
		name   string
		call   func(*Client) (*Transaction, []byte, error)
		target string
		answer string
		state  string // empty for an error
	}{
		{"paid", byNumber, numberTarget, goodTransaction, "SUCCESS"},
		{"paid, by id", byID, idTarget, goodTransaction, "SUCCESS"},
		{"unpaid", byNumber, numberTarget, unpaid, "NOTPAY"},
		{"refunded", byNumber, numberTarget, strings.Replace(goodTransaction, `"SUCCESS"`, `"REFUND"`, 1), "REFUND"},
		{"other number", byNumber, numberTarget, strings.Replace(goodTransaction, "A000000001", "A000000002", 1), ""},
		{"other id", byID, idTarget, strings.Replace(goodTransaction, "1217752501201407033233368018", "2", 1), ""},
		{"other merchant", byNumber, numberTarget, strings.Replace(goodTransaction, testMchID, "1900000002", 1), ""},
		{"paid without amount", byNumber, numberTarget, strings.Replace(unpaid, "NOTPAY", "SUCCESS", 1), ""},
		{"B15 duplicate", byNumber, numberTarget, strings.Replace(unpaid, `{`, `{"trade_state":"SUCCESS",`, 1), ""},
		{"no body", byNumber, numberTarget, ``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodGet, tt.target, "", 200, tt.answer) })
			got, raw, err := tt.call(c)
			if tt.state == "" {
				if err == nil || got != nil || raw != nil {
					t.Errorf("got %+v, %s, %v", got, raw, err)
				}
				return
			}
			if err != nil || got.TradeState != tt.state || string(raw) != tt.answer {
				t.Errorf("got %+v, %s, %v", got, raw, err)
			}
		})
	}
}

func TestClientClose(t *testing.T) {
	t.Parallel()
	const target = "/v3/pay/transactions/out-trade-no/A000000001/close"
	c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, `{"mchid":"1900000001"}`, 204, "") })
	if err := c.CloseTransaction(t.Context(), "A000000001"); err != nil {
		t.Error(err)
	}
}

// TestClientNumbers: a number must not turn into another address, and odd but
// legal ones must be signed as they are sent.
func TestClientNumbers(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, nil)
	for _, number := range []string{"", "12345", "..", "A00000/../x", "A00000?mchid=1", "A00000%2F", "A00000 1", "测试测试", strings.Repeat("1", 33)} {
		if _, _, err := c.TransactionByOutTradeNo(t.Context(), number); !errors.Is(err, errOutTradeNo) {
			t.Errorf("query of %q: %v", number, err)
		}
		if err := c.CloseTransaction(t.Context(), number); !errors.Is(err, errOutTradeNo) {
			t.Errorf("close of %q: %v", number, err)
		}
	}
	for _, id := range []string{"", "..", "1/2", "1?x", strings.Repeat("1", 33)} {
		if _, _, err := c.TransactionByID(t.Context(), id); err == nil {
			t.Errorf("query of id %q succeeds", id)
		}
	}
	c = newTestClient(t, func(o *ClientOptions) {
		o.HTTP = wechat(t, http.MethodPost, "/v3/pay/transactions/out-trade-no/a_-%7C%2A9/close", `{"mchid":"1900000001"}`, 204, "")
	})
	if err := c.CloseTransaction(t.Context(), "a_-|*9"); err != nil {
		t.Error(err)
	}
}
