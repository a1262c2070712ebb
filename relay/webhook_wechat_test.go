package relay

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

const receiverID = "1000000000000001" // a client, who is a merchant to itself

var (
	receiverAt  = time.Date(2026, 11, 22, 0, 20, 30, 0, time.UTC)
	receiverKey = sync.OnceValue(func() *NotifyKey {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		k, err := NewNotifyKey(private)
		if err != nil {
			panic(err)
		}
		return k
	})
)

// paidFact is a settled payment of 100 fen, of which the buyer paid 90.
func paidFact(trade TradeType) *fact {
	return &fact{
		id: "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W", kind: EventOrderPaid, at: receiverAt,
		order: &Order{OrderKey: OrderKey{ClientID: receiverID, OrderNo: "A000000001"}, AmountFen: 100, Attach: "<for> & you ]]> 测试"},
		payment: &Payment{
			PaymentKey: PaymentKey{MchID: "1900000109", OutTradeNo: "T1"}, AppID: "wx8888888888888888", TradeType: trade,
			Status: PaymentPaid, TransactionID: "4200001", PaidFen: 100, PayerFen: 90, PaidAt: receiverAt.Add(-time.Second),
			PayerOpenID: "o-buyer", BankType: "CMB_DEBIT",
		},
	}
}

func refundFact(kind EventType, status RefundStatus, source RefundSource) *fact {
	f := paidFact(TradeJSAPI)
	f.kind = kind
	f.refund = &Refund{
		RefundKey: RefundKey{MchID: "1900000109", OutRefundNo: "R-ours"}, ClientID: receiverID, OrderNo: "A000000001",
		Source: source, AmountFen: 50, TotalFen: 100, Status: status, RefundID: "5000001", UserAccount: "支付用户零钱",
	}
	if source == RefundByClient {
		f.refund.RefundNo = "R000000001"
	}
	if status == RefundSucceeded {
		f.refund.SucceededAt = receiverAt
	}
	return f
}

// resigned makes the event and the delivery of a fact as tell does.
func resigned(t *testing.T, f *fact, format NotifyFormat) (*Event, *Delivery) {
	t.Helper()
	payload, told, err := f.wechatPayload(format)
	if err != nil || !told {
		t.Fatalf("wechatPayload = %t, %v, want something to tell", told, err)
	}
	e := &Event{ID: f.id, ClientID: f.order.ClientID, Type: f.kind, CreatedAt: f.at}
	return e, &Delivery{EventID: e.ID, ClientID: e.ClientID, URL: "https://shop.example/notify?x=1", Format: format, Payload: payload}
}

func attemptOf(t *testing.T, e *Event, d *Delivery, a webhookAttempt) (http.Header, []byte) {
	t.Helper()
	req, err := buildWebhook(t.Context(), e, d, []Secret{webhookSecret, NewSecret(strings.Repeat("o", 32))}, a)
	if err != nil {
		t.Fatalf("buildWebhook: %v", err)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatal(err)
	}
	if req.Method != http.MethodPost || req.URL.String() != d.URL || req.ContentLength != int64(len(body)) || req.Header.Get("Webhook-Id") != e.ID {
		t.Errorf("%s %s, %d bytes, header %v", req.Method, req.URL, req.ContentLength, req.Header)
	}
	return req.Header, body
}

// v2Receiver is a site that verifies as WeChat's v2 SDKs do.
func v2Receiver(t *testing.T, secret Secret, st V2SignType) *payv2.Client {
	t.Helper()
	c, err := payv2.NewClient(payv2.ClientOptions{MchID: receiverID, Key: secret.Reveal(), SignType: st})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// v3Receiver is a site that verifies as WeChat's v3 SDKs do, with the relay's
// key in the place of WeChat's.
func v3Receiver(t *testing.T, secret Secret, now time.Time) *payv3.Client {
	t.Helper()
	public, err := payv3.ParsePublicKey(receiverKey().PublicPEM())
	if err != nil {
		t.Fatal(err)
	}
	keys, err := payv3.NewKeyRing(payv3.KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{receiverKey().ID(): public}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := payv3.NewClient(payv3.ClientOptions{
		MchID: receiverID, CertificateSerial: strings.Repeat("A", 40), PrivateKey: receiverKey().private,
		APIv3Key: secret.Reveal(), Keys: keys, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var wechatSpelling = map[TradeType]string{
	TradeJSAPI: "JSAPI", TradeMiniProgram: "JSAPI", TradeNative: "NATIVE", TradeApp: "APP", TradeH5: "MWEB",
}

func TestWeChatV2_Payment(t *testing.T) {
	t.Parallel()
	for trade, spelling := range wechatSpelling {
		for _, st := range []V2SignType{V2SignHMACSHA256, V2SignMD5, ""} {
			t.Run(string(trade)+" "+string(st), func(t *testing.T) {
				t.Parallel()
				e, d := resigned(t, paidFact(trade), NotifyWeChatV2)
				h, body := attemptOf(t, e, d, webhookAttempt{At: receiverAt, SignType: st})
				if !strings.HasPrefix(h.Get("Content-Type"), "text/xml") {
					t.Errorf("Content-Type = %q", h.Get("Content-Type"))
				}
				if st == "" {
					st = V2SignHMACSHA256
				}
				n, err := v2Receiver(t, webhookSecret, st).ParseNotification(body)
				if err != nil {
					t.Fatalf("the receiver refuses: %v", err)
				}
				p := *n.Payment
				p.TimeEnd = p.TimeEnd.UTC()
				want := payv2.Transaction{
					AppID: "wx8888888888888888", MchID: receiverID, OutTradeNo: "A000000001", TransactionID: "4200001",
					TradeType: payv2.TradeType(spelling), TradeState: "SUCCESS", OpenID: "o-buyer", TotalFen: 100, CashFen: 90, FeeType: "CNY",
					BankType: "CMB_DEBIT", Attach: "<for> & you ]]> 测试", TimeEnd: receiverAt.Add(-time.Second),
				}
				if p != want {
					t.Errorf("got %+v\nwant %+v", p, want)
				}
				if n.Fields["time_end"] != "20261122082029" || n.Fields["is_subscribe"] != "N" || n.Fields["result_code"] != "SUCCESS" {
					t.Errorf("fields = %v", n.Fields)
				}
				// MD5 is WeChat's default and goes unnamed.
				if named := n.Fields["sign_type"]; named != "" != (st == V2SignHMACSHA256) {
					t.Errorf("sign_type = %q with %s", named, st)
				}
			})
		}
	}
}

func TestWeChatV3_Payment(t *testing.T) {
	t.Parallel()
	for trade, spelling := range wechatSpelling {
		t.Run(string(trade), func(t *testing.T) {
			t.Parallel()
			e, d := resigned(t, paidFact(trade), NotifyWeChatV3)
			h, body := attemptOf(t, e, d, webhookAttempt{At: receiverAt, Key: receiverKey()})
			n, err := v3Receiver(t, webhookSecret, receiverAt.Add(time.Minute)).ParseNotification(t.Context(), h, body)
			if err != nil {
				t.Fatalf("the receiver refuses: %v", err)
			}
			if n.ID != e.ID || n.EventType != "TRANSACTION.SUCCESS" || n.Serial != receiverKey().ID() || !n.CreateTime.Equal(receiverAt) {
				t.Errorf("envelope = %+v", n)
			}
			got, err := n.Transaction()
			if err != nil {
				t.Fatal(err)
			}
			if *got.Payer != (payv3.Payer{OpenID: "o-buyer"}) || *got.Amount != (payv3.Amount{Total: 100, PayerTotal: 90, Currency: "CNY", PayerCurrency: "CNY"}) {
				t.Errorf("payer and amount = %+v, %+v", got.Payer, got.Amount)
			}
			got.Payer, got.Amount = nil, nil
			want := payv3.Transaction{
				AppID: "wx8888888888888888", MchID: receiverID, OutTradeNo: "A000000001", TransactionID: "4200001",
				TradeType: spelling, TradeState: "SUCCESS", TradeStateDesc: "支付成功", BankType: "CMB_DEBIT",
				Attach: "<for> & you ]]> 测试", SuccessTime: "2026-11-22T08:20:29+08:00",
			}
			if *got != want {
				t.Errorf("got %+v\nwant %+v", *got, want)
			}
			if !strings.HasPrefix(h.Get("Content-Type"), "application/json") || h.Get("Wechatpay-Signature-Type") != "WECHATPAY2-SHA256-RSA2048" {
				t.Errorf("header = %v", h)
			}
		})
	}
}

func TestWeChat_Refund(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fact   *fact
		number string
		source string
		v2     payv2.RefundStatus
		event  string
		done   bool
	}{
		{"succeeded", refundFact(EventRefundSucceeded, RefundSucceeded, RefundByClient), "R000000001", "API", "SUCCESS", "REFUND.SUCCESS", true},
		{"abnormal", refundFact(EventRefundFailed, RefundAbnormal, RefundByClient), "R000000001", "API", "CHANGE", "REFUND.ABNORMAL", false},
		{"closed", refundFact(EventRefundFailed, RefundFailed, RefundByClient), "R000000001", "API", "REFUNDCLOSE", "REFUND.CLOSED", false},
		{"by the console", refundFact(EventRefundSucceeded, RefundSucceeded, RefundByConsole), "R-ours", "VENDOR_PLATFORM", "SUCCESS", "REFUND.SUCCESS", true},
	} {
		t.Run(c.name+" v2", func(t *testing.T) {
			t.Parallel()
			e, d := resigned(t, c.fact, NotifyWeChatV2)
			_, body := attemptOf(t, e, d, webhookAttempt{At: receiverAt})
			n, err := v2Receiver(t, webhookSecret, V2SignHMACSHA256).ParseNotification(body)
			if err != nil {
				t.Fatalf("the receiver refuses: %v", err)
			}
			want := payv2.RefundNotice{
				AppID: "wx8888888888888888", MchID: receiverID, TransactionID: "4200001", OutTradeNo: "A000000001", RefundID: "5000001",
				OutRefundNo: c.number, TotalFen: 100, RefundFen: 50, SettlementRefundFen: 50, Status: c.v2, Source: c.source,
				Receiver: "支付用户零钱",
			}
			if c.done {
				want.SuccessTime = receiverAt
			}
			if *n.Refund != want {
				t.Errorf("got %+v\nwant %+v", *n.Refund, want)
			}
		})
		t.Run(c.name+" v3", func(t *testing.T) {
			t.Parallel()
			e, d := resigned(t, c.fact, NotifyWeChatV3)
			h, body := attemptOf(t, e, d, webhookAttempt{At: receiverAt, Key: receiverKey()})
			n, err := v3Receiver(t, webhookSecret, receiverAt).ParseNotification(t.Context(), h, body)
			if err != nil {
				t.Fatalf("the receiver refuses: %v", err)
			}
			r, err := n.Refund()
			if err != nil {
				t.Fatal(err)
			}
			want := payv3.RefundNotice{
				MchID: receiverID, TransactionID: "4200001", OutTradeNo: "A000000001", RefundID: "5000001", OutRefundNo: c.number,
				Status: r.Status, UserReceivedAccount: "支付用户零钱", Amount: payv3.RefundAmount{Total: 100, Refund: 50, PayerTotal: 90, PayerRefund: 45},
			}
			if c.done {
				want.SuccessTime = "2026-11-22T08:20:30+08:00"
			}
			if n.EventType != c.event || *r != want {
				t.Errorf("%s %+v\nwant %s %+v", n.EventType, *r, c.event, want)
			}
		})
	}
}

// A provider's buyer is told in the app that his openid belongs to.
func TestWeChat_ServiceProvider(t *testing.T) {
	t.Parallel()
	f := paidFact(TradeMiniProgram)
	f.payment.SubMchID, f.payment.SubAppID = "1900000110", "wx9999999999999999"
	if got := f.transactionV3(); got.AppID != "wx9999999999999999" || got.MchID != receiverID || got.SubMchID != "" {
		t.Errorf("v3: %+v", got)
	}
	f.payment.SubAppID = ""
	if got := f.transactionV2(); got.AppID != "wx8888888888888888" || got.SubMchID != "" {
		t.Errorf("v2: %+v", got)
	}
}

// What WeChat never tells, or the client could not place, is told by the
// events alone.
func TestWeChat_NotTold(t *testing.T) {
	t.Parallel()
	closed, odd := paidFact(TradeNative), paidFact(TradeNative)
	closed.kind, closed.payment = EventOrderClosed, nil
	odd.kind, odd.anomaly = EventOrderAnomaly, &Case{ID: "case_1"}
	refused := refundFact(EventRefundFailed, RefundFailed, RefundByClient)
	refused.refund.RefundID = ""
	for name, f := range map[string]*fact{
		"closed": closed, "anomaly": odd,
		"refund that WeChat refused": refused,
		"refund of a case":           refundFact(EventRefundSucceeded, RefundSucceeded, RefundByCase),
	} {
		for _, format := range []NotifyFormat{NotifyWeChatV2, NotifyWeChatV3} {
			if payload, told, err := f.wechatPayload(format); told || err != nil || payload != nil {
				t.Errorf("%s, %s: got %s, %t, %v, want nothing", name, format, payload, told, err)
			}
		}
	}
}

// A bank that nobody named is OTHERS, because receivers want the field.
func TestWeChat_NoBank(t *testing.T) {
	t.Parallel()
	f := paidFact(TradeNative)
	f.payment.BankType = ""
	e, d := resigned(t, f, NotifyWeChatV2)
	_, body := attemptOf(t, e, d, webhookAttempt{})
	if n, err := v2Receiver(t, webhookSecret, V2SignHMACSHA256).ParseNotification(body); err != nil || n.Payment.BankType != "OTHERS" {
		t.Errorf("got %+v, %v", n, err)
	}
}

// A14: a value that holds "&name=" could be taken apart under the same
// signature; the relay never signs one.
func TestWeChatV2_MovedBorder_A14(t *testing.T) {
	t.Parallel()
	for attach, want := range map[string]string{
		"x&attach_z=1": "", "&total_fee=1": "", "x&key=": "", "a&b": "a&b", "1=2&": "1=2&", "a& b=1": "a& b=1",
	} {
		f := paidFact(TradeNative)
		f.order.Attach = attach
		if got := f.transactionV2().Attach; got != want {
			t.Errorf("attach %q is told as %q, want %q", attach, got, want)
		}
		if got := f.transactionV3().Attach; got != attach {
			t.Errorf("v3: attach %q is told as %q", attach, got)
		}
	}
}

// B of the oracle words: the body is the same on every attempt, and another
// event's or another client's has nothing in common with it.
func TestWeChat_BodyIsStable_F34(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		fact   *fact
		format NotifyFormat
	}{
		{"v2 payment", paidFact(TradeNative), NotifyWeChatV2},
		{"v3 payment", paidFact(TradeNative), NotifyWeChatV3},
		{"v2 refund", refundFact(EventRefundSucceeded, RefundSucceeded, RefundByClient), NotifyWeChatV2},
		{"v3 refund", refundFact(EventRefundSucceeded, RefundSucceeded, RefundByClient), NotifyWeChatV3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e, d := resigned(t, c.fact, c.format)
			h1, first := attemptOf(t, e, d, webhookAttempt{At: receiverAt, Nonce: "1", Key: receiverKey()})
			h2, second := attemptOf(t, e, d, webhookAttempt{At: receiverAt.Add(24 * time.Hour), Nonce: "2", Key: receiverKey()})
			if !bytes.Equal(first, second) {
				t.Errorf("bodies differ:\n%s\n%s", first, second)
			}
			if c.format == NotifyWeChatV3 {
				for _, name := range []string{"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"} {
					if h1.Get(name) == h2.Get(name) {
						t.Errorf("%s is the same on both attempts", name)
					}
				}
				if _, err := v3Receiver(t, webhookSecret, receiverAt.Add(24*time.Hour)).ParseNotification(t.Context(), h2, second); err != nil {
					t.Errorf("a day later: %v", err)
				}
			}
			other := *e
			other.ID = "evt_other"
			if _, third := attemptOf(t, &other, d, webhookAttempt{At: receiverAt, Key: receiverKey()}); bytes.Equal(nonceOf(t, third), nonceOf(t, first)) {
				t.Error("two events share a nonce")
			}
		})
	}
}

// nonceOf finds the nonce in a body of either generation.
func nonceOf(t *testing.T, body []byte) []byte {
	t.Helper()
	for _, mark := range []string{`"nonce":"`, "<nonce_str><![CDATA["} {
		if _, after, ok := bytes.Cut(body, []byte(mark)); ok {
			return after[:min(12, len(after))]
		}
	}
	t.Fatalf("no nonce in %s", body)
	return nil
}

// A forger without the secret or without the relay's key is not believed, nor
// is a body that was changed on the way.
func TestWeChat_Forged(t *testing.T) {
	t.Parallel()
	wrong := NewSecret(strings.Repeat("w", 32))
	t.Run("v2, another secret", func(t *testing.T) {
		t.Parallel()
		for _, f := range []*fact{paidFact(TradeNative), refundFact(EventRefundSucceeded, RefundSucceeded, RefundByClient)} {
			e, d := resigned(t, f, NotifyWeChatV2)
			_, body := attemptOf(t, e, d, webhookAttempt{})
			if n, err := v2Receiver(t, wrong, V2SignHMACSHA256).ParseNotification(body); err == nil {
				t.Errorf("believed: %+v", n)
			}
		}
	})
	t.Run("v2, changed", func(t *testing.T) {
		t.Parallel()
		e, d := resigned(t, paidFact(TradeNative), NotifyWeChatV2)
		_, body := attemptOf(t, e, d, webhookAttempt{})
		body = bytes.Replace(body, []byte("[100]"), []byte("[900]"), 1)
		if _, err := v2Receiver(t, webhookSecret, V2SignHMACSHA256).ParseNotification(body); err == nil {
			t.Error("believed")
		}
	})
	e, d := resigned(t, paidFact(TradeNative), NotifyWeChatV3)
	h, body := attemptOf(t, e, d, webhookAttempt{At: receiverAt, Key: receiverKey()})
	for name, try := range map[string]func(context.Context) error{
		"v3, another secret": func(ctx context.Context) error {
			_, err := v3Receiver(t, wrong, receiverAt).ParseNotification(ctx, h, body)
			return err
		},
		"v3, too late": func(ctx context.Context) error {
			_, err := v3Receiver(t, webhookSecret, receiverAt.Add(10*time.Minute)).ParseNotification(ctx, h, body)
			return err
		},
		"v3, changed": func(ctx context.Context) error {
			_, err := v3Receiver(t, webhookSecret, receiverAt).ParseNotification(ctx, h, append(slices.Clone(body), ' '))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if try(t.Context()) == nil {
				t.Error("believed")
			}
		})
	}
}

// A damaged payload or a missing key is an error that shows nothing.
func TestBuildWebhook_WeChatRefuses(t *testing.T) {
	t.Parallel()
	paid := &Event{ID: "evt_1", Type: EventOrderPaid}
	refunded := &Event{ID: "evt_1", Type: EventRefundSucceeded}
	for _, c := range []struct {
		name    string
		event   *Event
		format  NotifyFormat
		payload string
		secret  string
		key     *NotifyKey
		address string
	}{
		{"v2, no payload", paid, NotifyWeChatV2, "", "", nil, ""},
		{"v2, no object", paid, NotifyWeChatV2, `["secret-words"]`, "", nil, ""},
		{"v2, empty object", paid, NotifyWeChatV2, `{}`, "", nil, ""},
		{"v2, no texts", paid, NotifyWeChatV2, `{"secret-words":1}`, "", nil, ""},
		{"v2, address is no URL", paid, NotifyWeChatV2, `{"a":"1"}`, "", nil, "https://secret-words%zz"},
		{"v3, no key", paid, NotifyWeChatV3, `{}`, "", nil, ""},
		{"v3, secret too short", paid, NotifyWeChatV3, `{}`, "secret-words", receiverKey(), ""},
		{"v3, no refund", refunded, NotifyWeChatV3, `secret-words`, "", receiverKey(), ""},
		{"v3, refund under way", refunded, NotifyWeChatV3, `{"refund_status":"PROCESSING"}`, "", receiverKey(), ""},
		{"v3, address is no URL", paid, NotifyWeChatV3, `{}`, "", receiverKey(), "https://secret-words%zz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			secret, address := webhookSecret, "https://shop.example/"
			if c.secret != "" {
				secret = NewSecret(c.secret)
			}
			if c.address != "" {
				address = c.address
			}
			d := &Delivery{URL: address, Format: c.format, Payload: []byte(c.payload)}
			req, err := buildWebhook(t.Context(), c.event, d, []Secret{secret}, webhookAttempt{At: receiverAt, Key: c.key})
			if err == nil || req != nil {
				t.Fatalf("buildWebhook = %v, %v, want an error", req, err)
			}
			if strings.Contains(err.Error(), "secret-words") {
				t.Errorf("the error shows what it was given: %v", err)
			}
		})
	}
}

// F31, G06: success is what WeChat takes for it, and nothing else.
func TestJudgeWebhook_WeChat_F31_G06(t *testing.T) {
	t.Parallel()
	const ok = "<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>"
	reset := &safehttp.Error{Reason: safehttp.ReasonReset, Err: errors.New("10.0.0.1 said no")}
	notV2 := failure("answer is not SUCCESS", 0)
	for _, c := range []struct {
		name   string
		res    safehttp.Result
		err    error
		v2, v3 webhookVerdict
	}{
		{"WeChat's v2 answer", safehttp.Result{Status: 200, Body: []byte(ok)}, nil, delivered, delivered},
		{"without the message", safehttp.Result{Status: 200, Body: []byte("<xml><return_code>SUCCESS</return_code></xml>")}, nil, delivered, delivered},
		{"FAIL", safehttp.Result{Status: 200, Body: []byte(strings.Replace(ok, "SUCCESS", "FAIL", 1))}, nil, notV2, delivered},
		{"blanks around it", safehttp.Result{Status: 200, Body: []byte("\r\n" + ok + " \n")}, nil, delivered, delivered},
		{"a byte order mark before it", safehttp.Result{Status: 200, Body: []byte("\ufeff" + ok)}, nil, notV2, delivered},
		{"document type", safehttp.Result{Status: 200, Body: []byte("<!DOCTYPE xml>" + ok)}, nil, notV2, delivered},
		{"two of them", safehttp.Result{Status: 200, Body: []byte(ok + ok)}, nil, notV2, delivered},
		{"the word", safehttp.Result{Status: 200, Body: []byte("success")}, nil, notV2, delivered},
		{"JSON", safehttp.Result{Status: 200, Body: []byte(`{"code":"SUCCESS"}`)}, nil, notV2, delivered},
		{"HTML with the word", safehttp.Result{Status: 200, Body: []byte("<html>SUCCESS</html>")}, nil, notV2, delivered},
		{"empty", safehttp.Result{Status: 200}, nil, notV2, delivered},
		{"cut", safehttp.Result{Status: 200, Body: []byte(ok), Truncated: true}, nil, notV2, delivered},
		{"reset in the body", safehttp.Result{Status: 200, Body: []byte(ok), Truncated: true}, reset, failure("reset", 0), delivered},
		{"no content", safehttp.Result{Status: 204}, nil, failure("status 204", 0), delivered},
		{"created", safehttp.Result{Status: 201, Body: []byte(ok)}, nil, failure("status 201", 0), failure("status 201", 0)},
		{"accepted", safehttp.Result{Status: 202, Body: []byte(ok)}, nil, failure("status 202", 0), failure("status 202", 0)},
		{"redirect", safehttp.Result{Status: 302, Body: []byte(ok)}, nil, failure("status 302", 0), failure("status 302", 0)},
		{"gone", safehttp.Result{Status: 410}, nil, gone, gone},
		{"too many", safehttp.Result{Status: 429, RetryAfter: "120"}, nil, failure("status 429", 2*time.Minute), failure("status 429", 2*time.Minute)},
		{"error with the answer", safehttp.Result{Status: 500, Body: []byte(ok)}, nil, failure("status 500", 0), failure("status 500", 0)},
		{"no answer", safehttp.Result{}, reset, failure("reset", 0), failure("reset", 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := judgeWebhook(NotifyWeChatV2, &c.res, c.err, receiverAt); got != c.v2 {
				t.Errorf("wechat_v2: %+v, want %+v", got, c.v2)
			}
			if got := judgeWebhook(NotifyWeChatV3, &c.res, c.err, receiverAt); got != c.v3 {
				t.Errorf("wechat_v3: %+v, want %+v", got, c.v3)
			}
		})
	}
}

func TestPayerShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ fen, paid, payer, want int64 }{
		{50, 100, 100, 50},
		{50, 100, 90, 45},
		{1, 3, 2, 0},
		{3, 3, 2, 2},
		{50, 100, 0, 0},
		{7, 0, 0, 7},
		{1_000_000_000, 1_000_000_000, 999_999_999, 999_999_999},
	} {
		if got := payerShare(c.fen, &Payment{PaidFen: c.paid, PayerFen: c.payer}); got != c.want {
			t.Errorf("payerShare(%d of %d, %d) = %d, want %d", c.fen, c.paid, c.payer, got, c.want)
		}
	}
}

// H03: the relay's own key prints its id.
func TestNotifyKey(t *testing.T) {
	t.Parallel()
	k := receiverKey()
	again, err := NewNotifyKey(k.private)
	if err != nil || again.ID() != k.ID() {
		t.Errorf("the same key has the ids %s and %s, %v", k.ID(), again.ID(), err)
	}
	if err := CheckPublicKeyID(k.ID()); err != nil || len(k.ID()) != len("PUB_KEY_ID_")+28 {
		t.Errorf("id %q: %v", k.ID(), err)
	}
	text, err := json.Marshal(k)
	if printed := k.String() + k.GoString() + k.LogValue().String() + string(text); err != nil || strings.Count(printed, "PUB_KEY_ID_") != 4 || len(printed) > 4*len(k.ID())+2 {
		t.Errorf("printed as %s, %v", printed, err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no key that small")
	}
	for name, private := range map[string]*rsa.PrivateKey{"none": nil, "1024 bits": small} {
		if k, err := NewNotifyKey(private); err == nil {
			t.Errorf("%s: got %v, want an error", name, k)
		}
	}
}

func FuzzWeChatPayload(f *testing.F) {
	f.Add([]byte(`{"return_code":"SUCCESS","total_fee":"1"}`), true)
	f.Add([]byte(`{"refund_status":"SUCCESS"}`), false)
	f.Add([]byte(`null`), false)
	f.Fuzz(func(t *testing.T, payload []byte, paid bool) {
		e := &Event{ID: "evt_1", Type: EventRefundSucceeded, CreatedAt: receiverAt}
		if paid {
			e.Type = EventOrderPaid
		}
		for _, format := range []NotifyFormat{NotifyWeChatV2, NotifyWeChatV3} {
			d := &Delivery{URL: "https://shop.example/", Format: format, Payload: payload}
			req, err := buildWebhook(t.Context(), e, d, []Secret{webhookSecret}, webhookAttempt{At: receiverAt, Key: receiverKey()})
			if (err == nil) != (req != nil) {
				t.Errorf("%s: got %v, %v", format, req, err)
			}
		}
	})
}
