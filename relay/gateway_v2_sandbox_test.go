package relay

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// playedWeChat is a sandbox behind a server, a merchant's gateway to it, and
// what it posts to the merchant.
type playedWeChat struct {
	t       *testing.T
	url     string
	gateway *gatewayV2
	notify  string // the merchant's address
	told    chan Notification
}

func playWeChatV2(t *testing.T) *playedWeChat {
	t.Helper()
	s, err := sandbox.New(sandbox.Options{TimeScale: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	wechat := httptest.NewServer(s)
	w := &playedWeChat{t: t, url: wechat.URL, told: make(chan Notification, 4)}
	credentials := sandbox.DefaultCredentials()
	certificate := credentials.ClientCertificate()
	m := &Merchant{Name: "main", MchID: credentials.MchID, APIv2: &APIv2Credentials{
		Key: NewSecret(string(credentials.APIv2Key)), SignType: V2SignHMACSHA256, Certificate: &certificate,
	}}
	w.gateway, err = newGatewayV2(m, Platform{PayAPI: wechat.URL}, &Runtime{clock: time.Now, random: random{rand.Reader}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	merchant := httptest.NewServer(http.HandlerFunc(w.serveNotification))
	w.notify = merchant.URL + "/notify"
	t.Cleanup(func() {
		_ = s.Close()
		wechat.Close()
		merchant.Close()
	})
	return w
}

func (w *playedWeChat) serveNotification(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.t.Error(err)
	}
	n, err := w.gateway.ParseNotification(r.Context(), RawNotification{Header: r.Header, Body: body})
	if err != nil {
		w.t.Errorf("notification: %v", err)
		_, _ = rw.Write(payv2.FailReply("refused"))
		return
	}
	w.told <- n
	_, _ = rw.Write(payv2.SuccessReply())
}

// post works the sandbox's control panel.
func (w *playedWeChat) post(path, body string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := platformHTTP().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		w.t.Fatalf("POST %s: %d", path, resp.StatusCode)
	}
}

// TestGatewayV2WithTheSandbox: every trade type from the order to the refund
// of the last fen, over a wire on which everything is verified.
func TestGatewayV2WithTheSandbox(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Payment)
		fits   func(Prepaid) bool
	}{
		{"native", func(p *Payment) { p.TradeType = TradeNative }, func(a Prepaid) bool { return strings.HasPrefix(a.CodeURL, "weixin://") }},
		{"jsapi", func(p *Payment) { p.TradeType, p.OpenID = TradeJSAPI, sandbox.OpenID(sandbox.DefaultAppID, "ming") }, func(a Prepaid) bool { return a.PrepayID != "" }},
		{"h5", func(p *Payment) { p.TradeType, p.PayerIP = TradeH5, "203.0.113.7" }, func(a Prepaid) bool { return strings.Contains(a.H5URL, "checkmweb") }},
		{"app", func(p *Payment) { p.TradeType, p.AppID = TradeApp, sandbox.DefaultMobileAppID }, func(a Prepaid) bool { return a.PrepayID != "" }},
		{"mini-program", func(p *Payment) {
			p.TradeType, p.AppID, p.OpenID = TradeMiniProgram, sandbox.DefaultMiniProgramAppID, sandbox.OpenID(sandbox.DefaultMiniProgramAppID, "ming")
		}, func(a Prepaid) bool { return a.PrepayID != "" }},
		{"jsapi for a sub merchant's own user", func(p *Payment) {
			p.TradeType, p.SubMchID, p.SubAppID = TradeJSAPI, sandbox.DefaultSubMchID, sandbox.DefaultSubAppID
			p.PayerAppID, p.OpenID = sandbox.DefaultSubAppID, sandbox.OpenID(sandbox.DefaultSubAppID, "ming")
		}, func(a Prepaid) bool { return a.PrepayID != "" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := playWeChatV2(t)
			p := &Payment{
				PaymentKey: PaymentKey{MchID: sandbox.DefaultMchID, OutTradeNo: "2KWPBgLlAfxdpx2AI54pPJ85f4W"}, AppID: sandbox.DefaultAppID,
				AmountFen: 100, Description: "一本书 & <Tom>", NotifyURL: w.notify, PayerIP: nobodysIP, ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second),
			}
			if tt.change(p); p.PayerAppID == "" {
				p.PayerAppID = p.AppID
			}
			w.payAndRefund(p, tt.fits)
		})
	}
}

func (w *playedWeChat) payAndRefund(p *Payment, fits func(Prepaid) bool) {
	w.t.Helper()
	t, g, ctx := w.t, w.gateway, w.t.Context()
	for try := range 2 { // the second one repeats
		if answer, err := g.Prepay(ctx, p); err != nil || !fits(answer) {
			t.Fatalf("try %d: Prepay = %+v, %v", try, answer, err)
		}
	}
	if got, err := g.Query(ctx, p); err != nil || got.State != TradeNotPay {
		t.Errorf("before: Query = %+v, %v", got, err)
	}
	w.post("/sandbox/pay", `{"out_trade_no":"`+p.OutTradeNo+`"}`)
	told := (<-w.told).Transaction
	asked, err := g.Query(ctx, p)
	if err != nil || told == nil || asked.State != TradeSuccess || asked.TransactionID != told.TransactionID || told.TotalFen != 100 ||
		told.AppID != p.AppID || told.SubMchID != p.SubMchID || asked.OpenID != told.OpenID || p.OpenID != "" && told.OpenID != p.OpenID {
		t.Fatalf("told %+v, asked %+v, %v", told, asked, err)
	}
	err = g.Close(ctx, p)
	if refused, ok := errors.AsType[*GatewayError](err); !ok || !saysPaid(refused) {
		t.Errorf("Close of a paid payment = %v", err)
	}
	p.TransactionID = told.TransactionID
	for _, part := range []struct {
		no  string
		fen int64
	}{{"R1", 30}, {"R2", 70}} {
		r := &Refund{
			RefundKey: RefundKey{MchID: p.MchID, OutRefundNo: part.no}, SubMchID: p.SubMchID, SubAppID: p.SubAppID, AppID: p.AppID,
			OutTradeNo: p.OutTradeNo, TransactionID: p.TransactionID, AmountFen: part.fen, TotalFen: 100, NotifyURL: w.notify,
		}
		accepted, err := g.Refund(ctx, r)
		if err != nil {
			t.Fatalf("Refund %s: %v", part.no, err)
		}
		notice := (<-w.told).Refund
		done, err := g.QueryRefund(ctx, r)
		if err != nil || notice == nil || !notice.Unsigned || done.State != RefundStateSuccess || done.RefundID != accepted.RefundID ||
			notice.RefundID != done.RefundID || notice.AmountFen != part.fen || done.AmountFen != part.fen || done.SuccessTime.IsZero() {
			t.Errorf("told %+v, asked %+v, %v", notice, done, err)
		}
	}
	if list, err := g.ListRefunds(ctx, p); err != nil || len(list) != 2 {
		t.Errorf("ListRefunds = %+v, %v", list, err)
	}
	if got, err := g.Query(ctx, p); err != nil || got.State != TradeRefund {
		t.Errorf("after: Query = %+v, %v", got, err)
	}
}

// TestGatewayV2ConsoleRefund: what was refunded in WeChat's console is told in
// the form of v2, and found by asking.
func TestGatewayV2ConsoleRefund(t *testing.T) {
	t.Parallel()
	w := playWeChatV2(t)
	p := &Payment{
		PaymentKey: PaymentKey{MchID: sandbox.DefaultMchID, OutTradeNo: "number0001"}, AppID: sandbox.DefaultAppID, PayerAppID: sandbox.DefaultAppID,
		TradeType: TradeNative, AmountFen: 100, Description: "tea", NotifyURL: w.notify, PayerIP: nobodysIP, ExpiresAt: time.Now().Add(time.Hour).Truncate(time.Second),
	}
	if _, err := w.gateway.Prepay(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.post("/sandbox/pay", `{"out_trade_no":"number0001"}`)
	p.TransactionID = (<-w.told).Transaction.TransactionID
	if list, err := w.gateway.ListRefunds(t.Context(), p); err != nil || len(list) != 0 {
		t.Errorf("before: %+v, %v", list, err)
	}
	w.post("/sandbox/refund", `{"out_trade_no":"number0001","amount":40,"format":"v2"}`)
	notice := (<-w.told).Refund
	list, err := w.gateway.ListRefunds(t.Context(), p)
	if err != nil || len(list) != 1 || notice == nil || list[0].OutRefundNo != notice.OutRefundNo || list[0].AmountFen != 40 || list[0].State != RefundStateSuccess {
		t.Errorf("told %+v, found %+v, %v", notice, list, err)
	}
}
