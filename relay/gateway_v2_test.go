package relay

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

var wireKeyV2 = strings.Repeat("k", 32)

// wireGatewayV2 is a gateway to a WeChat that wants one request with these
// fields and answers it with others.
func wireGatewayV2(t *testing.T, path string, want, answer payv2.Message) *gatewayV2 {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		m, err := payv2.ParseMessage(body)
		if err != nil {
			t.Errorf("request %q: %v", body, err)
		}
		st, err := payv2.VerifyRequest(m, []byte(wireKeyV2))
		if err != nil || st != payv2.SignHMACSHA256 {
			t.Errorf("request signed by %s: %v", st, err)
		}
		for _, name := range []string{"nonce_str", "sign", "sign_type"} {
			delete(m, name)
		}
		expected := maps.Clone(want)
		maps.Copy(expected, payv2.Message{"appid": "wx1", "mch_id": "1900000109"})
		if r.URL.Path != path || !maps.Equal(m, expected) {
			t.Errorf("WeChat was asked\n%s %q\nwant\n%s %q", r.URL.Path, m, path, expected)
		}
		fields := payv2.Message{"appid": "wx1", "mch_id": "1900000109", "result_code": "SUCCESS"}
		maps.Copy(fields, answer)
		reply, err := payv2.SignedReply(fields, []byte(wireKeyV2), st, rand.Reader)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(reply)
	}))
	t.Cleanup(server.Close)
	m := &Merchant{Name: "main", MchID: "1900000109", APIv2: &APIv2Credentials{
		Key: NewSecret(wireKeyV2), SignType: V2SignHMACSHA256, Certificate: &tls.Certificate{Certificate: [][]byte{[]byte("test")}},
	}}
	g, err := newGatewayV2(m, Platform{PayAPI: server.URL}, &Runtime{clock: time.Now, random: random{rand.Reader}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// with returns a copy of fields with others set.
func with(fields payv2.Message, others ...string) payv2.Message {
	m := maps.Clone(fields)
	for i := 0; i+1 < len(others); i += 2 {
		m[others[i]] = others[i+1]
	}
	return m
}

// TestGatewayV2Prepay: every trade type, for direct merchants and for sub
// merchants of a provider, reads at WeChat as the documents say.
func TestGatewayV2Prepay(t *testing.T) {
	t.Parallel()
	base := payv2.Message{
		"body": "tea", "out_trade_no": "number0001", "total_fee": "100", "fee_type": "CNY", "spbill_create_ip": nobodysIP,
		"time_expire": "20261122132000", "notify_url": "https://pay.example.com/n",
	}
	jsapi := with(base, "trade_type", "JSAPI", "openid", "o1")
	partner := with(base, "trade_type", "JSAPI", "sub_mch_id", "1900000209", "sub_appid", "wx9")
	native := with(base, "trade_type", "NATIVE", "product_id", "number0001")
	code := payv2.Message{"trade_type": "NATIVE", "prepay_id": "wx2", "code_url": "weixin://1"}
	tests := []struct {
		name    string
		change  func(*Payment)
		request payv2.Message
		answer  payv2.Message
		want    Prepaid
	}{
		{"native", func(*Payment) {}, native, code, Prepaid{CodeURL: "weixin://1"}},
		{"jsapi", func(p *Payment) { p.TradeType, p.OpenID = TradeJSAPI, "o1" }, jsapi, payv2.Message{"trade_type": "JSAPI", "prepay_id": "wx2"}, Prepaid{PrepayID: "wx2"}},
		{"mini-program", func(p *Payment) { p.TradeType, p.OpenID = TradeMiniProgram, "o1" }, jsapi, payv2.Message{"trade_type": "JSAPI", "prepay_id": "wx2"}, Prepaid{PrepayID: "wx2"}},
		{"app", func(p *Payment) { p.TradeType = TradeApp }, with(base, "trade_type", "APP"), payv2.Message{"trade_type": "APP", "prepay_id": "wx2"}, Prepaid{PrepayID: "wx2"}},
		{
			"h5",
			func(p *Payment) { p.TradeType, p.PayerIP = TradeH5, "203.0.113.7" },
			with(base, "trade_type", "MWEB", "spbill_create_ip", "203.0.113.7", "scene_info", `{"h5_info":{"type":"Wap","wap_url":"https://pay.example.com","wap_name":"pay.example.com"}}`),
			payv2.Message{"trade_type": "MWEB", "prepay_id": "wx2", "mweb_url": "https://wx.tenpay.com/x"},
			Prepaid{H5URL: "https://wx.tenpay.com/x"},
		},
		{"profit sharing", func(p *Payment) { p.ProfitSharing = true }, with(native, "profit_sharing", "Y"), code, Prepaid{CodeURL: "weixin://1"}},
		{"attach", func(p *Payment) { p.Attach = "a & b=c" }, with(native, "attach", "a & b=c"), code, Prepaid{CodeURL: "weixin://1"}},
		{"A14 words that read like a field", func(p *Payment) { p.Description = "tea&total_fee=1" }, with(native, "body", "tea＆total_fee=1"), code, Prepaid{CodeURL: "weixin://1"}},
		{
			"A14 words that get too long",
			func(p *Payment) { p.Description = "&a=" + strings.Repeat("茶", 41) },
			with(native, "body", "＆a="+strings.Repeat("茶", 40)), code,
			Prepaid{CodeURL: "weixin://1"},
		},
		{
			"provider, payer in its app",
			func(p *Payment) {
				p.SubMchID, p.SubAppID, p.TradeType, p.OpenID = "1900000209", "wx9", TradeJSAPI, "o1"
			},
			with(partner, "openid", "o1"),
			payv2.Message{"trade_type": "JSAPI", "prepay_id": "wx2"},
			Prepaid{PrepayID: "wx2"},
		},
		{
			"provider, payer in the merchant's app",
			func(p *Payment) {
				p.SubMchID, p.SubAppID, p.PayerAppID, p.TradeType, p.OpenID = "1900000209", "wx9", "wx9", TradeJSAPI, "o1"
			},
			with(partner, "sub_openid", "o1"),
			payv2.Message{"trade_type": "JSAPI", "prepay_id": "wx2"},
			Prepaid{PrepayID: "wx2"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := wirePayment(func(p *Payment) { p.PayerIP = nobodysIP; tt.change(p) })
			got, err := wireGatewayV2(t, "/pay/unifiedorder", tt.request, tt.answer).Prepay(t.Context(), p)
			if err != nil || got != tt.want {
				t.Errorf("Prepay = %+v, %v, want %+v", got, err, tt.want)
			}
		})
	}
	g := wireGatewayV2(t, "", nil, nil)
	for name, change := range map[string]func(*Payment){
		"A14 attach that reads like a field": func(p *Payment) { p.Attach = "x&total_fee=1" },
		"unknown trade type":                 func(p *Payment) { p.TradeType = "micropay" },
	} {
		_, err := g.Prepay(t.Context(), wirePayment(change))
		if refused, ok := errors.AsType[*Error](err); !ok || refused.Kind != KindParam {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestGatewayV2Repeats: the same payment is told in the same words
// whatever the time, the zone and the configuration are.
func TestGatewayV2Repeats(t *testing.T) {
	t.Parallel()
	p := wirePayment(func(p *Payment) { p.TradeType, p.PayerIP = TradeH5, "203.0.113.7" })
	first, err := unifiedOrderV2(p)
	if err != nil {
		t.Fatal(err)
	}
	moved := *p
	moved.ExpiresAt = p.ExpiresAt.In(time.FixedZone("elsewhere", -9*60*60))
	moved.Status, moved.PrepayID, moved.H5URL, moved.PrepaidAt = PaymentPending, "wx", "https://x", time.Now()
	second, err := unifiedOrderV2(&moved)
	if err != nil {
		t.Fatal(err)
	}
	if !second.TimeExpire.Equal(first.TimeExpire) {
		t.Error("another time")
	}
	second.TimeExpire = first.TimeExpire
	if !reflect.DeepEqual(first, second) {
		t.Errorf("first %+v, then %+v", first, second)
	}
}

func TestGatewayV2QueryAndClose(t *testing.T) {
	t.Parallel()
	sub := wirePayment(func(p *Payment) { p.SubMchID, p.SubAppID = "1900000209", "wx9" })
	asked := payv2.Message{"out_trade_no": "number0001", "sub_mch_id": "1900000209", "sub_appid": "wx9"}
	paid := payv2.Message{
		"sub_mch_id": "1900000209", "sub_appid": "wx9", "out_trade_no": "number0001", "transaction_id": "4200", "trade_type": "JSAPI", "trade_state": "SUCCESS",
		"total_fee": "100", "cash_fee": "90", "bank_type": "CMC", "attach": "x", "openid": "o1", "time_end": "20261122132000",
	}
	want := Transaction{
		MchID: "1900000109", AppID: "wx1", SubMchID: "1900000209", SubAppID: "wx9", OutTradeNo: "number0001", TransactionID: "4200", TradeType: "JSAPI",
		State: TradeSuccess, TotalFen: 100, PayerFen: 90, Currency: "CNY", OpenID: "o1", BankType: "CMC", Attach: "x",
		SuccessTime: time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC),
	}
	tests := []struct {
		name   string
		answer payv2.Message
		want   func(*Transaction)
	}{
		{"paid", paid, func(*Transaction) {}},
		{"paid in the merchant's app", with(paid, "sub_openid", "o2"), func(w *Transaction) { w.OpenID = "o2" }},
		{"other currency", with(paid, "fee_type", "HKD"), func(w *Transaction) { w.Currency = "HKD" }},
		{"refunded since", with(paid, "trade_state", "REFUND"), func(w *Transaction) { w.State = TradeRefund }},
		{"unpaid", payv2.Message{"out_trade_no": "number0001", "trade_state": "NOTPAY"}, func(w *Transaction) {
			*w = Transaction{MchID: "1900000109", AppID: "wx1", OutTradeNo: "number0001", State: TradeNotPay, Currency: "CNY"}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := wireGatewayV2(t, "/pay/orderquery", asked, tt.answer).Query(t.Context(), sub)
			if err != nil {
				t.Fatal(err)
			}
			w := want
			tt.want(&w)
			if m, err := payv2.ParseAnswer(got.Raw); err != nil || m["trade_state"] != string(w.State) || m["sign"] == "" {
				t.Errorf("raw %q, %v", got.Raw, err)
			}
			if got.Raw = nil; !reflect.DeepEqual(got, w) {
				t.Errorf("got %+v, want %+v", got, w)
			}
		})
	}
	if err := wireGatewayV2(t, "/pay/closeorder", asked, nil).Close(t.Context(), sub); err != nil {
		t.Errorf("Close = %v", err)
	}
	closed := payv2.Message{"result_code": "FAIL", "err_code": "ORDERCLOSED"}
	if err := wireGatewayV2(t, "/pay/closeorder", asked, closed).Close(t.Context(), sub); err != nil {
		t.Errorf("Close of a closed payment = %v", err)
	}
}

// TestGatewayV2Refused_H03: WeChat's codes reach relay, its words do not (threats
// H03).
func TestGatewayV2Refused_H03(t *testing.T) {
	t.Parallel()
	asked := payv2.Message{"out_trade_no": "number0001"}
	tests := []struct {
		code, words, want string
		retryable         bool
		is                func(*GatewayError) bool
	}{
		{"ORDERPAID", "oMarker paid", "ORDERPAID", false, saysPaid},
		{"ORDERNOTEXIST", "", "ORDERNOTEXIST", false, saysUnknown},
		{"ORDERCLOSED", "", "ORDERCLOSED", false, saysClosed},
		{"OUT_TRADE_NO_USED", "", "OUT_TRADE_NO_USED", false, saysSpoilt},
		{"INVALID_REQUEST", "201 商户订单号重复", "OUT_TRADE_NO_USED", false, saysSpoilt},
		{"NOAUTH", "", "NOAUTH", false, func(*GatewayError) bool { return true }},
	}
	for _, tt := range tests {
		answer := payv2.Message{"result_code": "FAIL", "err_code": tt.code, "err_code_des": tt.words}
		_, err := wireGatewayV2(t, "/pay/orderquery", asked, answer).Query(t.Context(), wirePayment(func(*Payment) {}))
		refused, ok := errors.AsType[*GatewayError](err)
		if !ok || refused.Code != tt.want || refused.Retryable != tt.retryable || !tt.is(refused) || strings.Contains(err.Error(), "oMarker") {
			t.Errorf("%s: %v", tt.code, err)
		}
	}
	var outcomes []string
	g := &gatewayV2{observe: func(op, outcome string) { outcomes = append(outcomes, op+" "+outcome) }}
	err := g.told("prepay", &payv2.APIError{Op: "unifiedorder", HTTPStatus: 200, ReturnFail: true, Message: "签名错误 oMarker"})
	if want := "prepay: WeChat answered 200 RETURN_FAIL"; err.Error() != want {
		t.Errorf("told = %q, want %q", err, want)
	}
	if err := g.told("query", errors.New("reset")); err == nil || err.Error() != "query: reset" {
		t.Errorf("told = %v, want the failure of the query", err)
	}
	if err := g.told("close", nil); err != nil {
		t.Errorf("told = %v, want nothing", err)
	}
	if got, want := strings.Join(outcomes, ", "), "prepay refused, query failed, close ok"; got != want {
		t.Errorf("observed %s, want %s", got, want)
	}
}

func TestGatewayV2Invoke(t *testing.T) {
	t.Parallel()
	g := wireGatewayV2(t, "", nil, nil)
	p := wirePayment(func(p *Payment) { p.SubMchID, p.SubAppID, p.PayerAppID = "1900000209", "wx9", "wx9" })
	page, err := g.InvokeJSAPI(p)
	if err != nil || page.AppID != "wx9" || page.Package != "prepay_id=wxprepay" || payv2.VerifyJSAPI(payv2.JSAPIInvocation(page), []byte(wireKeyV2)) != nil {
		t.Errorf("InvokeJSAPI = %+v, %v", page, err)
	}
	app, err := g.InvokeApp(p)
	if err != nil || app.AppID != "wx9" || app.PartnerID != "1900000109" || payv2.VerifyApp(payv2.AppInvocation(app), []byte(wireKeyV2), payv2.SignHMACSHA256) != nil {
		t.Errorf("InvokeApp = %+v, %v", app, err)
	}
}

func TestGatewayV2Refund(t *testing.T) {
	t.Parallel()
	base := payv2.Message{
		"out_refund_no": "refund0001", "total_fee": "100", "refund_fee": "40", "refund_fee_type": "CNY", "refund_desc": "broken", "notify_url": "https://pay.example.com/n",
	}
	answer := payv2.Message{"transaction_id": "4200", "out_trade_no": "number0001", "out_refund_no": "refund0001", "refund_id": "5030", "refund_fee": "40", "total_fee": "100"}
	for name, tt := range map[string]struct {
		change  func(*Refund)
		request payv2.Message
	}{
		"by WeChat's number": {func(*Refund) {}, with(base, "transaction_id", "4200")},
		"by our number":      {func(r *Refund) { r.TransactionID = "" }, with(base, "out_trade_no", "number0001")},
		"provider":           {func(r *Refund) { r.SubMchID, r.SubAppID = "1900000209", "wx9" }, with(base, "transaction_id", "4200", "sub_mch_id", "1900000209", "sub_appid", "wx9")},
		"A14 reason":         {func(r *Refund) { r.Reason = "&a=" + strings.Repeat("x", 77) }, with(base, "transaction_id", "4200", "refund_desc", "＆a="+strings.Repeat("x", 75))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := wireRefund(func(r *Refund) { r.AppID = "wx1"; tt.change(r) })
			got, err := wireGatewayV2(t, "/secapi/pay/refund", tt.request, answer).Refund(t.Context(), asked)
			if err != nil || len(got.Raw) == 0 {
				t.Fatal(err)
			}
			want := RefundStatement{
				MchID: "1900000109", SubMchID: asked.SubMchID, OutRefundNo: "refund0001", RefundID: "5030", OutTradeNo: "number0001", TransactionID: "4200",
				State: RefundStateProcessing, AmountFen: 40, TotalFen: 100,
			}
			if got.Raw = nil; !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestGatewayV2QueryRefund(t *testing.T) {
	t.Parallel()
	answer := payv2.Message{
		"transaction_id": "4200", "out_trade_no": "number0001", "total_fee": "100", "refund_count": "1",
		"refund_id_0": "5030", "out_refund_no_0": "refund0001", "refund_fee_0": "40", "refund_status_0": "PROCESSING",
	}
	done := time.Date(2026, 11, 22, 5, 21, 0, 0, time.UTC)
	for status, want := range map[string]RefundState{
		"PROCESSING": RefundStateProcessing, "SUCCESS": RefundStateSuccess, "REFUNDCLOSE": RefundStateClosed, "CHANGE": RefundStateAbnormal, "NEW": RefundStateProcessing,
	} {
		told := with(answer, "refund_status_0", status)
		if status == "SUCCESS" {
			told["refund_success_time_0"] = "2026-11-22 13:21:00"
		}
		g := wireGatewayV2(t, "/pay/refundquery", payv2.Message{"out_refund_no": "refund0001"}, told)
		got, err := g.QueryRefund(t.Context(), wireRefund(func(r *Refund) { r.AppID = "wx1" }))
		if err != nil || got.State != want || got.RefundID != "5030" || got.AmountFen != 40 || got.TotalFen != 100 || got.TransactionID != "4200" ||
			got.MchID != "1900000109" || got.OutTradeNo != "number0001" || got.Unsigned || (status == "SUCCESS") != got.SuccessTime.Equal(done) {
			t.Errorf("%s: got %+v, %v", status, got, err)
		}
	}
	// All refunds of a payment, those of the console too.
	two := with(answer, "refund_count", "2", "refund_id_1", "5031", "out_refund_no_1", "console1", "refund_fee_1", "7", "refund_status_1", "SUCCESS")
	paid := wirePayment(func(p *Payment) { p.TransactionID, p.SubMchID = "4200", "1900000209" })
	asked := payv2.Message{"transaction_id": "4200", "offset": "0", "sub_mch_id": "1900000209"}
	list, err := wireGatewayV2(t, "/pay/refundquery", asked, two).ListRefunds(t.Context(), paid)
	if err != nil || len(list) != 2 || list[1].OutRefundNo != "console1" || list[1].AmountFen != 7 || list[1].SubMchID != "1900000209" {
		t.Errorf("list %+v, %v", list, err)
	}
	none := payv2.Message{"result_code": "FAIL", "err_code": "REFUNDNOTEXIST"}
	if list, err := wireGatewayV2(t, "/pay/refundquery", asked, none).ListRefunds(t.Context(), paid); err != nil || len(list) != 0 {
		t.Errorf("of a payment without refunds: %+v, %v", list, err)
	}
}

// TestGatewayV2Notifications: a payment is believed by its signature, a refund
// is marked as what nobody signed (threats A01, A23).
func TestGatewayV2Notifications_A01_A23(t *testing.T) {
	t.Parallel()
	g := wireGatewayV2(t, "", nil, nil)
	payment, err := payv2.NewPaymentNotification(&payv2.Transaction{
		AppID: "wx1", MchID: "1900000109", OutTradeNo: "number0001", TransactionID: "4200", TradeType: payv2.TradeNative, OpenID: "o1",
		TotalFen: 100, CashFen: 100, BankType: "OTHERS", TimeEnd: time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC),
	}, []byte(wireKeyV2), payv2.SignHMACSHA256, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n, err := g.ParseNotification(t.Context(), RawNotification{Body: payment})
	if err != nil || n.ID != "v2-4200" || n.API != APIv2 || n.EventType != "TRANSACTION.SUCCESS" || n.Refund != nil ||
		n.Transaction.State != TradeSuccess || n.Transaction.TotalFen != 100 || n.Transaction.OpenID != "o1" || len(n.Plaintext) == 0 {
		t.Fatalf("payment: %+v, %v", n, err)
	}
	refund, err := payv2.NewRefundNotification(&payv2.RefundNotice{
		AppID: "wx1", MchID: "1900000109", OutTradeNo: "number0001", TransactionID: "4200", RefundID: "5030", OutRefundNo: "refund0001",
		TotalFen: 100, RefundFen: 40, Status: payv2.RefundChange,
	}, []byte(wireKeyV2), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	n, err = g.ParseNotification(t.Context(), RawNotification{Body: refund})
	if err != nil || n.ID != "v2-5030-ABNORMAL" || n.EventType != "REFUND.ABNORMAL" || n.Transaction != nil || !n.Refund.Unsigned ||
		n.Refund.State != RefundStateAbnormal || n.Refund.AmountFen != 40 || n.Refund.OutRefundNo != "refund0001" || n.Refund.MchID != "1900000109" {
		t.Fatalf("refund: %+v, %v", n, err)
	}
	for reason, body := range map[string]string{
		"missing_signature": `<xml><return_code>SUCCESS</return_code></xml>`,
		"signature":         strings.Replace(string(payment), "[100]", "[101]", 1),
		"signature_type":    strings.Replace(string(payment), "[HMAC-SHA256]", "[MD5]", 1),
		"malformed":         strings.Replace(string(payment), "<xml>", "<!DOCTYPE xml><xml>", 1),
	} {
		_, err := g.ParseNotification(t.Context(), RawNotification{Body: []byte(body)})
		if refused, ok := errors.AsType[*VerificationError](err); !ok || refused.Reason != reason {
			t.Errorf("%s: %v", reason, err)
		}
	}
	if _, err := g.ParseNotification(t.Context(), RawNotification{Body: refund[:len(refund)-1]}); err == nil {
		t.Error("a cut notification is taken")
	}
}

// A merchant of both generations takes the notifications of both at one
// address, each by its own keys (threats A22).
func TestMerchantOfBothGenerations_A22(t *testing.T) {
	t.Parallel()
	m := &merchant{Merchant: &Merchant{}, connections: map[API]connection{APIv2: {parser: wireGatewayV2(t, "", nil, nil)}}, prefer: APIv2}
	_, err := m.parse(t.Context(), RawNotification{Body: []byte("\ufeff <xml></xml>")})
	if refused, ok := errors.AsType[*VerificationError](err); !ok || refused.Reason != "malformed" && refused.Reason != "missing_signature" {
		t.Errorf("XML: %v", err)
	}
	_, err = m.parse(t.Context(), RawNotification{Body: []byte(`{"id":"EV-1"}`)})
	if refused, ok := errors.AsType[*VerificationError](err); !ok || refused.Reason != "generation" {
		t.Errorf("JSON: %v", err)
	}
	if m.gateway(APIv3) != m.gateway(APIv2) {
		t.Error("a payment of v3 is not followed by the generation that is left")
	}
}
