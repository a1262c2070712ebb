package relay

import (
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

const wireSerial = "PUB_KEY_ID_0000000000000024101100397200000006"

var wireKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func wirePlatform(t *testing.T) *payv3.Platform {
	t.Helper()
	p, err := payv3.NewPlatform(payv3.PlatformOptions{Keys: []payv3.PlatformKey{{Serial: wireSerial, Private: wireKey()}}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// wireGateway is a gateway to a WeChat that wants one request, written as
// "METHOD target body", and gives one answer to it.
func wireGateway(t *testing.T, want string, status int, answer string) *gatewayV3 {
	t.Helper()
	platform := wirePlatform(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if got := strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body)); got != want {
			t.Errorf("WeChat was asked\n%s\nwant\n%s", got, want)
		}
		if err := platform.SignHeaders(w.Header(), wireSerial, []byte(answer)); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	m := &Merchant{Name: "main", MchID: "1900000109", APIv3: &APIv3Credentials{
		Key: NewSecret(strings.Repeat("k", 32)), CertificateSerial: strings.Repeat("A", 40), PrivateKey: wireKey(),
		PublicKeys: map[string]*rsa.PublicKey{wireSerial: &wireKey().PublicKey},
	}}
	g, err := newGatewayV3(m, Platform{PayAPI: server.URL}, &Runtime{clock: time.Now, random: random{rand.Reader}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func wirePayment(change func(*Payment)) *Payment {
	p := &Payment{
		PaymentKey: PaymentKey{MchID: "1900000109", OutTradeNo: "number0001"}, TradeType: TradeNative, AppID: "wx1", PayerAppID: "wx1",
		AmountFen: 100, Description: "tea", NotifyURL: "https://pay.example.com/n", PrepayID: "wxprepay",
		ExpiresAt: time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC),
	}
	change(p)
	return p
}

// TestGatewayV3Prepay: every trade type, for direct merchants and for sub
// merchants of a provider, reads at WeChat as the documents say.
func TestGatewayV3Prepay(t *testing.T) {
	t.Parallel()
	expires := stamp(wirePayment(func(*Payment) {}).ExpiresAt)
	tail := `"description":"tea","out_trade_no":"number0001","time_expire":"` + expires + `","notify_url":"https://pay.example.com/n","amount":{"total":100,"currency":"CNY"}`
	direct := func(trade, more string) string {
		return `POST /v3/pay/transactions/` + trade + ` {"appid":"wx1","mchid":"1900000109",` + tail + more + `}`
	}
	partner := func(trade, sub, more string) string {
		return `POST /v3/pay/partner/transactions/` + trade + ` {"sp_appid":"wx1","sp_mchid":"1900000109",` + sub + tail + more + `}`
	}
	tests := []struct {
		name    string
		change  func(*Payment)
		request string
		answer  string
		want    Prepaid
	}{
		{"native", func(*Payment) {}, direct("native", ""), `{"code_url":"weixin://1"}`, Prepaid{CodeURL: "weixin://1"}},
		{"jsapi", func(p *Payment) { p.TradeType, p.OpenID = TradeJSAPI, "o1" }, direct("jsapi", `,"payer":{"openid":"o1"}`), `{"prepay_id":"wx2"}`, Prepaid{PrepayID: "wx2"}},
		{"mini-program", func(p *Payment) { p.TradeType, p.OpenID = TradeMiniProgram, "o1" }, direct("jsapi", `,"payer":{"openid":"o1"}`), `{"prepay_id":"wx2"}`, Prepaid{PrepayID: "wx2"}},
		{"app", func(p *Payment) { p.TradeType = TradeApp }, direct("app", ""), `{"prepay_id":"wx2"}`, Prepaid{PrepayID: "wx2"}},
		{
			"h5", func(p *Payment) { p.TradeType, p.PayerIP = TradeH5, "203.0.113.7" },
			direct("h5", `,"scene_info":{"payer_client_ip":"203.0.113.7","h5_info":{"type":"Wap"}}`), `{"h5_url":"https://wx.tenpay.com/x"}`,
			Prepaid{H5URL: "https://wx.tenpay.com/x"},
		},
		{"profit sharing", func(p *Payment) { p.ProfitSharing = true }, direct("native", `,"settle_info":{"profit_sharing":true}`), `{"code_url":"weixin://1"}`, Prepaid{CodeURL: "weixin://1"}},
		{"provider", func(p *Payment) { p.SubMchID = "1900000209" }, partner("native", `"sub_mchid":"1900000209",`, ""), `{"code_url":"weixin://1"}`, Prepaid{CodeURL: "weixin://1"}},
		{
			"provider, payer in its app", func(p *Payment) {
				p.SubMchID, p.SubAppID, p.TradeType, p.OpenID = "1900000209", "wx9", TradeJSAPI, "o1"
			},
			partner("jsapi", `"sub_appid":"wx9","sub_mchid":"1900000209",`, `,"payer":{"sp_openid":"o1"}`), `{"prepay_id":"wx2"}`,
			Prepaid{PrepayID: "wx2"},
		},
		{
			"provider, payer in the merchant's app", func(p *Payment) {
				p.SubMchID, p.SubAppID, p.PayerAppID, p.TradeType, p.OpenID = "1900000209", "wx9", "wx9", TradeJSAPI, "o1"
			},
			partner("jsapi", `"sub_appid":"wx9","sub_mchid":"1900000209",`, `,"payer":{"sub_openid":"o1"}`), `{"prepay_id":"wx2"}`,
			Prepaid{PrepayID: "wx2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := wireGateway(t, tt.request, http.StatusOK, tt.answer).Prepay(t.Context(), wirePayment(tt.change))
			if err != nil || got != tt.want {
				t.Errorf("Prepay = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
}

func TestGatewayV3QueryAndClose(t *testing.T) {
	t.Parallel()
	sub := wirePayment(func(p *Payment) { p.SubMchID = "1900000209" })
	const statement = `{"sp_appid":"wx1","sp_mchid":"1900000109","sub_mchid":"1900000209","out_trade_no":"number0001","transaction_id":"4200",` +
		`"trade_type":"JSAPI","trade_state":"SUCCESS","success_time":"2026-11-22T13:20:00+08:00","payer":{"sp_openid":"o1"},"amount":{"total":100}}`
	g := wireGateway(t, "GET /v3/pay/partner/transactions/out-trade-no/number0001?sp_mchid=1900000109&sub_mchid=1900000209", http.StatusOK, statement)
	if got, err := g.Query(t.Context(), sub); err != nil || got.SubMchID != "1900000209" || got.OpenID != "o1" || got.State != TradeSuccess {
		t.Errorf("Query = %+v, %v", got, err)
	}
	g = wireGateway(t, `POST /v3/pay/partner/transactions/out-trade-no/number0001/close {"sp_mchid":"1900000109","sub_mchid":"1900000209"}`, http.StatusNoContent, "")
	if err := g.Close(t.Context(), sub); err != nil {
		t.Errorf("Close = %v", err)
	}
	// A provider's statement is none about the provider's own payment.
	g = wireGateway(t, "GET /v3/pay/transactions/out-trade-no/number0001?mchid=1900000109", http.StatusOK, statement)
	if got, err := g.Query(t.Context(), wirePayment(func(*Payment) {})); err == nil {
		t.Errorf("Query = %+v, want it refused", got)
	}
}

func TestGatewayV3Invoke(t *testing.T) {
	t.Parallel()
	g := wireGateway(t, "", http.StatusOK, "")
	p := wirePayment(func(p *Payment) { p.SubMchID, p.SubAppID, p.PayerAppID = "1900000209", "wx9", "wx9" })
	page, err := g.InvokeJSAPI(p)
	if err != nil || page.AppID != "wx9" || payv3.VerifyJSAPI(payv3.JSAPIInvocation(page), &wireKey().PublicKey) != nil {
		t.Errorf("InvokeJSAPI = %+v, %v", page, err)
	}
	app, err := g.InvokeApp(p)
	if err != nil || app.AppID != "wx9" || payv3.VerifyAPP(payv3.APPInvocation(app), "1900000109", &wireKey().PublicKey) != nil {
		t.Errorf("InvokeApp = %+v, %v", app, err)
	}
}

func wireRefund(change func(*Refund)) *Refund {
	r := &Refund{
		RefundKey: RefundKey{MchID: "1900000109", OutRefundNo: "refund0001"}, OutTradeNo: "number0001", TransactionID: "4200",
		AmountFen: 40, TotalFen: 100, Reason: "broken", NotifyURL: "https://pay.example.com/n",
	}
	change(r)
	return r
}

func TestGatewayV3Refund(t *testing.T) {
	t.Parallel()
	const tail = `"out_refund_no":"refund0001","reason":"broken","notify_url":"https://pay.example.com/n","amount":{"refund":40,"total":100,"currency":"CNY"}}`
	const post = "POST /v3/refund/domestic/refunds "
	reply := func(status, more string) string {
		return `{"refund_id":"5030","out_refund_no":"refund0001","transaction_id":"4200","out_trade_no":"number0001","status":"` + status + `"` + more +
			`,"amount":{"total":100,"refund":40,"payer_total":100,"payer_refund":40,"currency":"CNY"}}`
	}
	want := RefundStatement{
		MchID: "1900000109", OutRefundNo: "refund0001", RefundID: "5030", OutTradeNo: "number0001", TransactionID: "4200",
		State: RefundStateProcessing, AmountFen: 40, TotalFen: 100,
	}
	done := time.Date(2026, 11, 22, 5, 21, 0, 0, time.UTC)
	tests := []struct {
		name    string
		change  func(*Refund)
		query   bool
		request string
		answer  string
		want    func(*RefundStatement)
	}{
		{"accepted", func(*Refund) {}, false, post + `{"transaction_id":"4200",` + tail, reply("PROCESSING", ""), func(*RefundStatement) {}},
		{"by our number", func(r *Refund) { r.TransactionID = "" }, false, post + `{"out_trade_no":"number0001",` + tail, reply("PROCESSING", ""), func(*RefundStatement) {}},
		{
			"provider", func(r *Refund) { r.SubMchID = "1900000209" }, false, post + `{"sub_mchid":"1900000209","transaction_id":"4200",` + tail,
			reply("PROCESSING", ""), func(w *RefundStatement) { w.SubMchID = "1900000209" },
		},
		{
			"done", func(*Refund) {}, true, "GET /v3/refund/domestic/refunds/refund0001", reply("SUCCESS", `,"success_time":"2026-11-22T13:21:00+08:00"`),
			func(w *RefundStatement) { w.State, w.SuccessTime = RefundStateSuccess, done },
		},
		{
			"provider asks", func(r *Refund) { r.SubMchID = "1900000209" }, true, "GET /v3/refund/domestic/refunds/refund0001?sub_mchid=1900000209", reply("ABNORMAL", ""),
			func(w *RefundStatement) { w.State, w.SubMchID = RefundStateAbnormal, "1900000209" },
		},
		{"closed", func(*Refund) {}, true, "GET /v3/refund/domestic/refunds/refund0001", reply("CLOSED", ""), func(w *RefundStatement) { w.State = RefundStateClosed }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := wireGateway(t, tt.request, http.StatusOK, tt.answer)
			call := g.Refund
			if tt.query {
				call = g.QueryRefund
			}
			got, err := call(t.Context(), wireRefund(tt.change))
			if err != nil || string(got.Raw) != tt.answer {
				t.Fatalf("got %+v, %v", got, err)
			}
			w := want
			tt.want(&w)
			if got.Raw = nil; !reflect.DeepEqual(got, w) {
				t.Errorf("got %+v, want %+v", got, w)
			}
		})
	}
}

// TestGatewayV3RefundRefused: what WeChat refuses for good is told with its
// code, as final.
func TestGatewayV3RefundRefused(t *testing.T) {
	t.Parallel()
	for code, status := range map[string]int{"NOT_ENOUGH": 403, "INVALID_REQUEST": 400, "RESOURCE_NOT_EXISTS": 404, "PARAM_ERROR": 400} {
		g := wireGateway(t, "GET /v3/refund/domestic/refunds/refund0001", status, `{"code":"`+code+`","message":"x"}`)
		_, err := g.QueryRefund(t.Context(), wireRefund(func(*Refund) {}))
		if refused, ok := errors.AsType[*GatewayError](err); !ok || refused.Code != code || refused.Retryable {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// TestGatewayV3Notifications_B13: each kind of event is read as what it is.
func TestGatewayV3Notifications_B13(t *testing.T) {
	t.Parallel()
	const refund = `{"sp_mchid":"1900000109","sub_mchid":"1900000209","transaction_id":"4200","out_trade_no":"number0001","refund_id":"5030",` +
		`"out_refund_no":"refund0001","refund_status":"SUCCESS","success_time":"2026-11-22T13:21:00+08:00","user_received_account":"x",` +
		`"amount":{"total":100,"refund":40,"payer_total":100,"payer_refund":40}}`
	const payment = `{"appid":"wx1","mchid":"1900000109","out_trade_no":"number0001","transaction_id":"4200","trade_state":"SUCCESS",` +
		`"success_time":"2026-11-22T13:20:00+08:00","amount":{"total":100}}`
	const other = `{"mchid":"1900000109"}`
	tests := []struct {
		name, event, original, plaintext string
		payment, refund, refused         bool
	}{
		{"payment", "TRANSACTION.SUCCESS", "transaction", payment, true, false, false},
		{"refund", "REFUND.SUCCESS", "refund", refund, false, true, false},
		{"other", "COMPLAINT.CREATE", "complaint", other, false, false, false},
		{"refund called a payment", "TRANSACTION.SUCCESS", "transaction", refund, false, false, true},
		{"payment called a refund", "REFUND.SUCCESS", "refund", payment, false, false, true},
		{"success called closed", "REFUND.CLOSED", "refund", refund, false, false, true},
	}
	g := wireGateway(t, "", http.StatusOK, "")
	platform := wirePlatform(t)
	cipher, err := payv3.NewCipher([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body, err := platform.NewNotification(cipher, "EV-1", tt.event, tt.original, "x", []byte(tt.plaintext))
			if err != nil {
				t.Fatal(err)
			}
			raw := RawNotification{Header: http.Header{}, Body: body}
			if err := platform.SignHeaders(raw.Header, wireSerial, body); err != nil {
				t.Fatal(err)
			}
			n, err := g.ParseNotification(t.Context(), raw)
			if (err != nil) != tt.refused || (n.Transaction != nil) != tt.payment || (n.Refund != nil) != tt.refund {
				t.Fatalf("ParseNotification = %+v, %v", n, err)
			}
			if tt.refund && (n.API != APIv3 || n.Refund.SubMchID != "1900000209" || n.Refund.AmountFen != 40 || n.Refund.SuccessTime.IsZero() || n.Refund.Unsigned) {
				t.Errorf("refund %+v", n.Refund)
			}
		})
	}
}
