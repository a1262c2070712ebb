package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	publicURL = "https://pay.example.com"
	clientID  = "1000000000000001"
	token     = "AbCdEfGhIjKlMnOpQrStU_"
	browserID = "browser-0123456789abcdef"
)

// fakeService is relay as the routes see it: it writes down who was called
// and answers what a test tells it to.
type fakeService struct {
	fakeSharing
	fakeCodeRelay
	fakeMini
	fakeLogins
	fakeMessages
	fakePages
	fakeServerAPI

	mu    sync.Mutex // guards calls
	calls []string

	authenticate   func(relay.SignedRequest) error
	authenticateV2 func(relay.CompatRequest) error
	checkNonce     error
	createOrder    func(relay.CreateOrderRequest) (relay.CreatedOrderView, bool, error)
	order          func(orderNo string, refresh bool) (relay.OrderView, error)
	createPayment  func(orderNo string, req relay.CreatePaymentRequest) (relay.PaymentInvocation, bool, error)
	closeOrder     func(orderNo string) (relay.OrderView, error)
	createRefund   func(string, relay.CreateRefundRequest) (v relay.RefundView, created bool, err error)
	refund         func(string, bool) (relay.RefundView, error)
	events         func(after string, limit int) (relay.EventPage, error)
	event          func(id string) (relay.EventView, error)
	deliver        func(id string) (relay.EventView, error)
	checkout       func(relay.CheckoutRequest) (relay.CheckoutResult, error)
	status         func(token string) (relay.CheckoutStatus, error)
	watch          func(token string) (<-chan struct{}, func(), error)
	code           func(token string) (string, error)
	login          func(relay.LoginCallback) (string, error)
	notify         func(context.Context, string, relay.RawNotification) error
	sandbox        bool
}

func (f *fakeService) called(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, name)
}

func (f *fakeService) callList() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.calls, " ")
}

func (f *fakeService) Authenticate(req relay.SignedRequest) (*relay.Caller, error) {
	f.called("authenticate")
	if f.authenticate != nil {
		if err := f.authenticate(req); err != nil {
			return nil, err
		}
	}
	return &relay.Caller{Client: &relay.Client{ID: clientID}}, nil
}

func (f *fakeService) AuthenticateV2(req relay.CompatRequest) (*relay.Caller, error) {
	f.called("authenticate v2")
	if f.authenticateV2 != nil {
		if err := f.authenticateV2(req); err != nil {
			return nil, err
		}
	}
	return &relay.Caller{Client: &relay.Client{ID: clientID}}, nil
}

func (f *fakeService) CheckNonce(context.Context, *relay.Caller) error {
	f.called("nonce")
	return f.checkNonce
}

func (f *fakeService) CreateOrder(_ context.Context, _ *relay.Caller, req relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error) {
	f.called("create order")
	return f.createOrder(req)
}

func (f *fakeService) Order(_ context.Context, _ *relay.Caller, orderNo string, refresh bool) (relay.OrderView, error) {
	f.called("order")
	return f.order(orderNo, refresh)
}

func (f *fakeService) CreatePayment(_ context.Context, _ *relay.Caller, orderNo string, req relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error) {
	f.called("create payment")
	return f.createPayment(orderNo, req)
}

func (f *fakeService) CloseOrder(_ context.Context, _ *relay.Caller, orderNo string) (relay.OrderView, error) {
	f.called("close order")
	return f.closeOrder(orderNo)
}

func (f *fakeService) CreateRefund(_ context.Context, _ *relay.Caller, orderNo string, req relay.CreateRefundRequest) (v relay.RefundView, created bool, err error) {
	f.called("create refund")
	return f.createRefund(orderNo, req)
}

func (f *fakeService) Refund(_ context.Context, _ *relay.Caller, refundNo string, refresh bool) (relay.RefundView, error) {
	f.called("refund")
	return f.refund(refundNo, refresh)
}

func (f *fakeService) Events(_ context.Context, _ *relay.Caller, after string, limit int) (relay.EventPage, error) {
	f.called("events")
	return f.events(after, limit)
}

func (f *fakeService) Event(_ context.Context, _ *relay.Caller, id string) (relay.EventView, error) {
	f.called("event")
	return f.event(id)
}

func (f *fakeService) Deliver(_ context.Context, _ *relay.Caller, id string) (relay.EventView, error) {
	f.called("deliver")
	return f.deliver(id)
}

func (f *fakeService) Sandbox() bool { return f.sandbox }

func (f *fakeService) Checkout(_ context.Context, req relay.CheckoutRequest) (relay.CheckoutResult, error) {
	f.called("checkout")
	return f.checkout(req)
}

func (f *fakeService) CheckoutStatus(_ context.Context, token string) (relay.CheckoutStatus, error) {
	f.called("status")
	return f.status(token)
}

func (f *fakeService) WatchCheckout(_ context.Context, token string) (changed <-chan struct{}, stop func(), err error) {
	f.called("watch")
	return f.watch(token)
}

func (f *fakeService) CheckoutCode(_ context.Context, token string) (string, error) {
	f.called("code")
	return f.code(token)
}

func (f *fakeService) LoginCallback(_ context.Context, cb relay.LoginCallback) (string, error) {
	f.called("login")
	return f.login(cb)
}

func (f *fakeService) Notify(ctx context.Context, merchantName string, n relay.RawNotification) error {
	f.called("notify")
	return f.notify(ctx, merchantName, n)
}

// face is a Handler on a fake service, with its log in memory.
type face struct {
	*Handler
	service *fakeService
	log     *bytes.Buffer
}

func newFace(tb testing.TB, service *fakeService, change ...func(*Options)) face {
	tb.Helper()
	f := face{service: service, log: new(bytes.Buffer)}
	o := Options{
		Service:   service,
		PublicURL: mustURL(tb, publicURL),
		Ready:     func(context.Context) error { return nil },
		Logger:    slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	h, err := New(o)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	f.Handler = h
	return f
}

func at(address string) func(*Options) {
	return func(o *Options) {
		u, err := url.Parse(address)
		if err != nil {
			panic(err)
		}
		o.PublicURL = u
	}
}

func mustURL(tb testing.TB, s string) *url.URL {
	tb.Helper()
	u, err := url.Parse(s)
	if err != nil {
		tb.Fatalf("parsing %q: %v", s, err)
	}
	return u
}

// do sends a request with header lines given as name, value, name, value.
func (f face) do(tb testing.TB, method, target, body string, header ...string) *httptest.ResponseRecorder {
	tb.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w
}

// errorBody reads an error body, strictly.
func errorBody(tb testing.TB, w *httptest.ResponseRecorder) failure {
	tb.Helper()
	var f failure
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		tb.Fatalf("error body: %v", err)
	}
	return f
}

func refusal(kind relay.Kind, message string) error {
	return &relay.Error{Kind: kind, Message: message}
}

func TestNewNeedsWhatItCannotGuess(t *testing.T) {
	t.Parallel()
	full := func() Options {
		return Options{
			Service:   &fakeService{},
			PublicURL: mustURL(t, publicURL),
			Ready:     func(context.Context) error { return nil },
		}
	}
	if _, err := New(full()); err != nil {
		t.Fatalf("New with all: %v", err)
	}
	for name, drop := range map[string]func(*Options){
		"service":      func(o *Options) { o.Service = nil },
		"public url":   func(o *Options) { o.PublicURL = nil },
		"health check": func(o *Options) { o.Ready = nil },
		"plain prefix": func(o *Options) { o.PublicURL = mustURL(t, "https://pay.example.com/a%2Fb") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := full()
			drop(&o)
			if _, err := New(o); err == nil {
				t.Error("New accepted it")
			}
		})
	}
}

func TestDefaultsAreUsable(t *testing.T) {
	t.Parallel()
	h, err := New(Options{
		Service:   &fakeService{order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, errors.New("boom") }},
		PublicURL: mustURL(t, publicURL),
		Ready:     func(context.Context) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 10 {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v1/orders/A1", nil))
		id := w.Header().Get("Request-Id")
		if len(id) != 16 || strings.Trim(id, "0123456789abcdef") != "" {
			t.Errorf("request id %q, want 16 hexadecimal characters", id)
		}
		seen[id] = true
	}
	if len(seen) != 10 {
		t.Errorf("10 requests got %d ids", len(seen))
	}
}

func TestPeerIP(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.1:1234":    "192.0.2.1",
		"[2001:db8::1]:443": "2001:db8::1",
		"@":                 "", // a Unix socket
	} {
		// Forwarded addresses are the server's to judge (threats I07).
		r := &http.Request{RemoteAddr: address, Header: http.Header{"X-Forwarded-For": {"8.8.8.8"}}}
		if got := peerIP(r); got != want {
			t.Errorf("peerIP(%q) = %q, want %q", address, got, want)
		}
	}
}
