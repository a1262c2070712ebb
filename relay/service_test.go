package relay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
)

// vectorSecret and vectorClient are those of contract section 3.5.
const (
	vectorSecret = "0123456789abcdef0123456789ABCDEF"
	vectorClient = "1000000000000001"
)

// bench is a Service on a store in memory, with a WeChat that the test
// plays.
type bench struct {
	*relay.Service
	t      *testing.T
	wechat *fakeWeChat
	client *relay.Client
	rt     *relay.Runtime
	clock  time.Time // wall clock; zero means time.Now
}

var (
	merchantKey = sync.OnceValue(newTestKey)
	platformKey = sync.OnceValue(newTestKey)
)

func newTestKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

const (
	testMchID = "1900000109"
	testAppID = "wx8888888888888888"
)

func testConfig(tb testing.TB) *relay.Config {
	tb.Helper()
	public, err := url.Parse("https://pay.example.com")
	if err != nil {
		tb.Fatal(err)
	}
	client := func(id, name string) *relay.Client {
		return &relay.Client{
			Name: name, ID: id, Merchant: "main",
			Secrets:       []relay.Secret{relay.NewSecret(vectorSecret)},
			NotifySecrets: []relay.Secret{relay.NewSecret(strings.Repeat("n", 32))},
			NotifyURL:     "https://" + name + ".example.com/notify",
			AllowOrigins:  []string{"https://" + name + ".example.com"},
			Notify:        relay.NotifyStandard,
			Allow:         []relay.TradeType{relay.TradeJSAPI, relay.TradeNative},
			Rate:          50,
			Schedule:      relay.DefaultSchedule(),
		}
	}
	return &relay.Config{
		PublicURL: public,
		Accounts:  []*relay.Account{{Name: "shop", Kind: relay.AccountOfficial, AppID: testAppID, Secret: relay.NewSecret(strings.Repeat("a", 32))}},
		Merchants: []*relay.Merchant{{Name: "main", MchID: testMchID, Accounts: []string{"shop"}, APIv3: &relay.APIv3Credentials{
			Key: relay.NewSecret(strings.Repeat("k", 32)), CertificateSerial: strings.Repeat("A", 40), PrivateKey: merchantKey(),
			PublicKeys: map[string]*rsa.PublicKey{"PUB_KEY_ID_0000000000000024101100397200000006": &platformKey().PublicKey},
		}}},
		Clients: []*relay.Client{client(vectorClient, "books"), client("2000000000000002", "songs")},
	}
}

func newBench(t *testing.T, store relay.Store, change ...func(*relay.Config)) *bench {
	t.Helper()
	cfg := testConfig(t)
	for _, c := range change {
		c(cfg)
	}
	b := &bench{t: t, wechat: &fakeWeChat{payments: map[string]*relay.Transaction{}}, client: cfg.Clients[0]}
	rt, err := relay.NewRuntime(relay.RuntimeOptions{
		Store: store, Now: b.now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler), Sender: refusingSender{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.Service, err = relay.NewService(cfg, rt, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	b.PlayWeChat(b.wechat)
	b.rt = rt
	rt.Use(b.Service)
	return b
}

func (b *bench) now() time.Time {
	if b.clock.IsZero() {
		return time.Now()
	}
	return b.clock
}

var nonces atomic.Int64

func (b *bench) caller(c *relay.Client) *relay.Caller {
	return relay.CallerFor(c, "nonce-0000000000"+strconv.FormatInt(nonces.Add(1), 10))
}

// order makes an order of 100 fen.
func (b *bench) order(no string) relay.OrderKey {
	b.t.Helper()
	_, created, err := b.CreateOrder(b.t.Context(), b.caller(b.client), goodOrder(no))
	if err != nil || !created {
		b.t.Fatalf("CreateOrder(%s) = created %t, %v", no, created, err)
	}
	return relay.OrderKey{ClientID: b.client.ID, OrderNo: no}
}

func goodOrder(no string) relay.CreateOrderRequest {
	return relay.CreateOrderRequest{OrderNo: no, Amount: new(int64(100)), Description: "a book"}
}

// native makes a NATIVE payment of the order.
func (b *bench) native(key relay.OrderKey) relay.Payment {
	b.t.Helper()
	p, _, err := b.Payable(b.t.Context(), b.client, key, relay.TradeNative, "")
	if err != nil {
		b.t.Fatalf("making a payment: %v", err)
	}
	return p
}

func (b *bench) view(key relay.OrderKey) relay.OrderView {
	b.t.Helper()
	v, err := b.Order(b.t.Context(), &relay.Caller{Client: b.ClientByID(key.ClientID)}, key.OrderNo, false)
	if err != nil {
		b.t.Fatalf("Order(%s): %v", key.OrderNo, err)
	}
	return v
}

func (b *bench) events() []relay.EventView {
	b.t.Helper()
	page, err := b.Events(b.t.Context(), &relay.Caller{Client: b.client}, "", 200)
	if err != nil {
		b.t.Fatal(err)
	}
	return page.Events
}

// notify posts a genuine notification.
func (b *bench) notify(tr relay.Transaction) error {
	b.wechat.mu.Lock()
	b.wechat.notice = &relay.Notification{ID: "EV-" + tr.TransactionID, EventType: "TRANSACTION.SUCCESS", Transaction: &tr, Plaintext: []byte(`{}`)}
	b.wechat.mu.Unlock()
	return b.Notify(b.t.Context(), "main", relay.RawNotification{})
}

// fakeWeChat plays WeChat's side of the Gateway.
type fakeWeChat struct {
	mu       sync.Mutex // guards all below
	payments map[string]*relay.Transaction
	told     map[string]relay.Payment // as Prepay got it last
	refunds  map[string]*relay.RefundStatement
	calls    []string
	fail     map[string]error  // by call
	onCall   map[string]func() // by call
	notice   *relay.Notification
	openID   string
	snapshot bool
	users    map[string]relay.LoginUser // by code; else openID
	refused  map[string]error           // by code

	refuse     int    // so many prepay calls are refused
	refuseCode string // with this code

	afterClose func() error  // answers a close that took effect
	lostRefund error         // answers a refund that took effect
	exchanging chan struct{} // gets a value when an exchange begins, and ends it with another
}

func (f *fakeWeChat) called(name, no string) error {
	f.calls = append(f.calls, name+" "+no)
	if seen := f.onCall[name]; seen != nil {
		seen()
	}
	return f.fail[name]
}

func (f *fakeWeChat) Prepay(_ context.Context, p *relay.Payment) (relay.Prepaid, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.called("prepay", p.OutTradeNo); err != nil {
		return relay.Prepaid{}, err
	}
	if f.refuse > 0 {
		f.refuse--
		return relay.Prepaid{}, &relay.GatewayError{Code: f.refuseCode}
	}
	if t := f.payments[p.OutTradeNo]; t != nil && t.State == relay.TradeSuccess {
		return relay.Prepaid{}, &relay.GatewayError{Code: "ORDER_PAID"}
	} else if t != nil && t.State == relay.TradeClosed {
		return relay.Prepaid{}, &relay.GatewayError{Code: "ORDER_CLOSED"}
	}
	f.payments[p.OutTradeNo] = &relay.Transaction{
		MchID: p.MchID, AppID: p.AppID, SubMchID: p.SubMchID, SubAppID: p.SubAppID, Attach: p.Attach,
		OutTradeNo: p.OutTradeNo, TotalFen: p.AmountFen, Currency: relay.Currency, State: relay.TradeNotPay,
	}
	if f.told == nil {
		f.told = map[string]relay.Payment{}
	}
	f.told[p.OutTradeNo] = *p
	switch p.TradeType {
	case relay.TradeNative:
		return relay.Prepaid{CodeURL: "weixin://wxpay/bizpayurl?pr=" + p.OutTradeNo}, nil
	case relay.TradeH5:
		return relay.Prepaid{H5URL: "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=" + p.OutTradeNo}, nil
	default:
		return relay.Prepaid{PrepayID: "prepay-" + p.OutTradeNo}, nil
	}
}

func (f *fakeWeChat) Query(_ context.Context, p *relay.Payment) (relay.Transaction, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	no := p.OutTradeNo
	if err := f.called("query", no); err != nil {
		return relay.Transaction{}, err
	}
	t := f.payments[no]
	if t == nil {
		return relay.Transaction{}, &relay.GatewayError{Code: "ORDER_NOT_EXIST"}
	}
	return *t, nil
}

func (f *fakeWeChat) Close(_ context.Context, p *relay.Payment) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	no := p.OutTradeNo
	if err := f.called("close", no); err != nil {
		return err
	}
	if t := f.payments[no]; t != nil {
		if t.State == relay.TradeSuccess {
			return &relay.GatewayError{Code: "ORDER_PAID"}
		}
		t.State = relay.TradeClosed
	}
	if f.afterClose != nil {
		return f.afterClose()
	}
	return nil
}

func (f *fakeWeChat) InvokeJSAPI(p *relay.Payment) (relay.JSAPIInvocation, error) {
	return relay.JSAPIInvocation{AppID: p.PayerAppID, Package: "prepay_id=" + p.PrepayID}, nil
}

func (f *fakeWeChat) InvokeApp(p *relay.Payment) (relay.AppInvocation, error) {
	return relay.AppInvocation{AppID: p.PayerAppID, PrepayID: p.PrepayID}, nil
}

// Refund takes a refund and repeats what it said when it comes again. Its
// money is on its way until refunded is called.
func (f *fakeWeChat) Refund(_ context.Context, r *relay.Refund) (relay.RefundStatement, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.called("refund", r.OutRefundNo); err != nil {
		return relay.RefundStatement{}, err
	}
	if known := f.refunds[r.OutRefundNo]; known != nil {
		return *known, f.lostRefund
	}
	if f.refunds == nil {
		f.refunds = map[string]*relay.RefundStatement{}
	}
	f.refunds[r.OutRefundNo] = &relay.RefundStatement{
		MchID: r.MchID, SubMchID: r.SubMchID, OutRefundNo: r.OutRefundNo, RefundID: "5000" + r.OutRefundNo,
		OutTradeNo: r.OutTradeNo, TransactionID: r.TransactionID, State: relay.RefundStateProcessing,
		AmountFen: r.AmountFen, TotalFen: r.TotalFen,
	}
	return *f.refunds[r.OutRefundNo], f.lostRefund
}

func (f *fakeWeChat) QueryRefund(_ context.Context, r *relay.Refund) (relay.RefundStatement, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.called("query_refund", r.OutRefundNo); err != nil {
		return relay.RefundStatement{}, err
	}
	known := f.refunds[r.OutRefundNo]
	if known == nil {
		return relay.RefundStatement{}, &relay.GatewayError{Code: "RESOURCE_NOT_EXISTS"}
	}
	return *known, nil
}

// refunded ends a refund and returns WeChat's statement of it.
func (f *fakeWeChat) refunded(outRefundNo string, state relay.RefundState, at time.Time) relay.RefundStatement {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.refunds[outRefundNo]
	r.State = state
	if state == relay.RefundStateSuccess {
		r.SuccessTime = at
	}
	return *r
}

func (f *fakeWeChat) ParseNotification(context.Context, relay.RawNotification) (relay.Notification, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.notice == nil {
		return relay.Notification{}, &relay.VerificationError{Reason: "signature"}
	}
	return *f.notice, nil
}

func (f *fakeWeChat) AuthorizeURL(redirectURI, scope, state string) string {
	return "https://open.example/authorize?scope=" + scope + "&state=" + state + "&redirect_uri=" + url.QueryEscape(redirectURI)
}

func (f *fakeWeChat) Exchange(_ context.Context, code string) (relay.LoginResult, error) {
	if f.exchanging != nil {
		f.exchanging <- struct{}{}
		<-f.exchanging
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.called("exchange", code); err != nil {
		return relay.LoginResult{}, err
	}
	if err := f.refused[code]; err != nil {
		return relay.LoginResult{}, err
	}
	user, known := f.users[code]
	if !known {
		user.OpenID = f.openID
	}
	return relay.LoginResult{User: user, Snapshot: f.snapshot}, nil
}

// paid lets the buyer pay and returns WeChat's statement of it.
func (f *fakeWeChat) paid(no string, at time.Time) relay.Transaction {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.payments[no]
	t.State, t.TransactionID, t.SuccessTime, t.OpenID = relay.TradeSuccess, "4200"+no, at, "o-buyer"
	return *t
}

// statements lists the numbers that WeChat knows.
func (f *fakeWeChat) statements() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.payments))
}

var errTest = errors.New("the line is cut")

// refusingSender fails every attempt; deliveries are tested elsewhere.
type refusingSender struct{}

func (refusingSender) Send(context.Context, *http.Request, []netip.Prefix) (safehttp.Result, error) {
	return safehttp.Result{}, errTest
}

func kindOf(err error) relay.Kind {
	if known, ok := errors.AsType[*relay.Error](err); ok {
		return known.Kind
	}
	return 0
}

func asError(err error, target **relay.Error) bool { return errors.As(err, target) }
