package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func TestCreateOrderAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.clock = time.Date(2026, 11, 21, 22, 0, 0, 500, time.UTC)
	v, created, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder("A000000001"))
	if err != nil || !created {
		t.Fatalf("CreateOrder = created %t, %v", created, err)
	}
	token := strings.TrimPrefix(v.CheckoutURL, "https://pay.example.com/checkout/")
	if !regexp.MustCompile(`^[0-9A-Za-z_-]{22}$`).MatchString(token) {
		t.Errorf("checkout_url = %s, want a token of 22 characters", v.CheckoutURL)
	}
	v.CheckoutURL = ""
	want := relay.CreatedOrderView{
		OrderNo: "A000000001", Status: "created", Amount: 100, Currency: "CNY",
		CreatedAt: "2026-11-22T06:00:00+08:00", ExpiresAt: "2026-11-22T08:00:00+08:00",
	}
	if v != want {
		t.Errorf("CreateOrder = %+v, want %+v", v, want)
	}
}

// TestCreateOrder_C08 sends the same number again.
func TestCreateOrder_C08(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].AllowSharing = true })
	first, _, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder("T1"))
	if err != nil {
		t.Fatal(err)
	}
	same := goodOrder("T1")
	same.ExpiresIn = new(int64(7200))
	same.NotifyURL = "https://books.example.com/notify"
	again, created, err := b.CreateOrder(t.Context(), b.caller(b.client), same)
	if err != nil || created || again != first {
		t.Errorf("the same order with its defaults spelled out = %+v created %t, %v; want %+v", again, created, err, first)
	}
	for name, change := range map[string]func(*relay.CreateOrderRequest){
		"amount":         func(r *relay.CreateOrderRequest) { r.Amount = new(int64(1)) },
		"description":    func(r *relay.CreateOrderRequest) { r.Description = "another" },
		"attach":         func(r *relay.CreateOrderRequest) { r.Attach = "x" },
		"openid":         func(r *relay.CreateOrderRequest) { r.OpenID = "o-1" },
		"notify_url":     func(r *relay.CreateOrderRequest) { r.NotifyURL = "https://books.example.com/other" },
		"return_url":     func(r *relay.CreateOrderRequest) { r.ReturnURL = "https://books.example.com/" },
		"expires_in":     func(r *relay.CreateOrderRequest) { r.ExpiresIn = new(int64(60)) },
		"profit_sharing": func(r *relay.CreateOrderRequest) { r.ProfitSharing = true },
		"metadata":       func(r *relay.CreateOrderRequest) { r.Metadata = json.RawMessage(`{"a":1}`) },
	} {
		req := goodOrder("T1")
		change(&req)
		if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); kindOf(err) != relay.KindOrderConflict {
			t.Errorf("other %s: %v, want KindOrderConflict", name, err)
		}
	}
}

// TestCreateOrder_C07_C06: two clients may use one number, and neither sees
// the other's.
func TestCreateOrder_C07_C06(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	other := b.ClientByID("2000000000000002")
	b.order("T1")
	if _, err := b.Order(t.Context(), b.caller(other), "T1", false); kindOf(err) != relay.KindNotFound {
		t.Errorf("another client's order: %v, want KindNotFound", err)
	}
	req := goodOrder("T1")
	req.Amount = new(int64(7))
	if _, created, err := b.CreateOrder(t.Context(), b.caller(other), req); err != nil || !created {
		t.Fatalf("the same number at another client: created %t, %v", created, err)
	}
	if v := b.view(relay.OrderKey{ClientID: vectorClient, OrderNo: "T1"}); v.Amount != 100 {
		t.Errorf("amount = %d, want 100", v.Amount)
	}
}

// TestCreateOrderRefuses_C11_C12_C13_C21 covers what may be wrong with an
// order; nothing of it may be stored.
func TestCreateOrderRefuses_C11_C12_C13_C21(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].MaxAmountFen = 5000 })
	for _, tc := range []struct {
		name   string
		change func(*relay.CreateOrderRequest)
		field  string
		kind   relay.Kind
	}{
		{"no number", func(r *relay.CreateOrderRequest) { r.OrderNo = "" }, "order_no", relay.KindParam},
		{"33 characters", func(r *relay.CreateOrderRequest) { r.OrderNo = strings.Repeat("a", 33) }, "order_no", relay.KindParam},
		{"full width", func(r *relay.CreateOrderRequest) { r.OrderNo = "Ｔ１" }, "order_no", relay.KindParam},
		{"zero width joiner", func(r *relay.CreateOrderRequest) { r.OrderNo = "T\u200d1" }, "order_no", relay.KindParam},
		{"NUL", func(r *relay.CreateOrderRequest) { r.OrderNo = "T\x001" }, "order_no", relay.KindParam},
		{"newline at the end", func(r *relay.CreateOrderRequest) { r.OrderNo = "T1\n" }, "order_no", relay.KindParam},
		{"path", func(r *relay.CreateOrderRequest) { r.OrderNo = "../x" }, "order_no", relay.KindParam},
		{"leading blank", func(r *relay.CreateOrderRequest) { r.OrderNo = " T1" }, "order_no", relay.KindParam},
		{"no amount", func(r *relay.CreateOrderRequest) { r.Amount = nil }, "amount", relay.KindParam},
		{"zero", func(r *relay.CreateOrderRequest) { r.Amount = new(int64(0)) }, "amount", relay.KindParam},
		{"negative", func(r *relay.CreateOrderRequest) { r.Amount = new(int64(-1)) }, "amount", relay.KindParam},
		{"too much for WeChat", func(r *relay.CreateOrderRequest) { r.Amount = new(int64(1_000_000_001)) }, "amount", relay.KindParam},
		{"too much for the client", func(r *relay.CreateOrderRequest) { r.Amount = new(int64(5001)) }, "amount", relay.KindNoAuth},
		{"no description", func(r *relay.CreateOrderRequest) { r.Description = "" }, "description", relay.KindParam},
		{"long description", func(r *relay.CreateOrderRequest) { r.Description = strings.Repeat("a", 513) }, "description", relay.KindParam},
		{"header injection", func(r *relay.CreateOrderRequest) { r.Description = "a\r\nX-Evil: 1" }, "description", relay.KindParam},
		{"bidi override", func(r *relay.CreateOrderRequest) { r.Description = "a\u202eb" }, "description", relay.KindParam},
		{"invalid UTF-8", func(r *relay.CreateOrderRequest) { r.Description = "a\xff" }, "description", relay.KindParam},
		{"long attach", func(r *relay.CreateOrderRequest) { r.Attach = strings.Repeat("a", 128) }, "attach", relay.KindParam},
		{"control in attach", func(r *relay.CreateOrderRequest) { r.Attach = "a\x1b[31m" }, "attach", relay.KindParam},
		{"short life", func(r *relay.CreateOrderRequest) { r.ExpiresIn = new(int64(59)) }, "expires_in", relay.KindParam},
		{"long life", func(r *relay.CreateOrderRequest) { r.ExpiresIn = new(int64(604801)) }, "expires_in", relay.KindParam},
		{"odd openid", func(r *relay.CreateOrderRequest) { r.OpenID = "o 1" }, "openid", relay.KindParam},
		{"metadata list", func(r *relay.CreateOrderRequest) { r.Metadata = json.RawMessage(`[1]`) }, "metadata", relay.KindParam},
		{"metadata null", func(r *relay.CreateOrderRequest) { r.Metadata = json.RawMessage(`null`) }, "metadata", relay.KindParam},
		{"large metadata", func(r *relay.CreateOrderRequest) {
			r.Metadata = json.RawMessage(`{"a":"` + strings.Repeat("x", 4096) + `"}`)
		}, "metadata", relay.KindParam},
	} {
		req := goodOrder("T1")
		tc.change(&req)
		_, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req)
		var known *relay.Error
		if !errors.As(err, &known) || known.Kind != tc.kind || known.Field != tc.field {
			t.Errorf("%s: %v, want kind %d of field %s", tc.name, err, tc.kind, tc.field)
		}
	}
	if _, err := b.Order(t.Context(), b.caller(b.client), "T1", false); kindOf(err) != relay.KindNotFound {
		t.Errorf("a refused order is there: %v", err)
	}
	exact := goodOrder("T2")
	exact.Description, exact.Attach = strings.Repeat("书", 170)+"ab", strings.Repeat("a", 127)
	exact.Amount, exact.ExpiresIn = new(int64(5000)), new(int64(604800))
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), exact); err != nil {
		t.Errorf("an order at its bounds: %v", err)
	}
}

// TestOrderAddresses_D01_D02_D03_D04_D05_D06_D07_D08 tries to leave the client's origins.
func TestOrderAddresses_D01_D02_D03_D04_D05_D06_D07_D08(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	for _, address := range []string{
		"https://books.example.com.evil.example/cb", "https://books.example.comx/", "https://evil.example/books.example.com",
		"https://books.example.com@evil.example/", "https://books.example.com:443@evil.example/", `https://evil.example\@books.example.com/`,
		`/\evil.example`, "//books.example.com/", "///evil.example", "https:/books.example.com", "https:books.example.com",
		"https://bооks.example.com/", "https://books.example.com。evil.example/", "https://books．example.com/",
		"https://books.example.com/#x", "https://books.example.com/?a=b", "javascript:alert(1)//books.example.com", "data:text/html,x",
		"weixin://books.example.com/", "http://books.example.com/", "https://books.example.com:8443/", "https://books.example.com/\r\nX: y",
		"https://books.example.com/%0d%0a" + "\n", "https://books.example.com/cb%0d%0aSet-Cookie:a=b", "https://books.example.com/%00",
		"https%3A%2F%2Fbooks.example.com%2F", " https://books.example.com/", "",
		"https://", "https:///path", "https://user@books.example.com/", "https://sub.books.example.com/", "https://*.example.com/",
	} {
		for _, field := range []string{"notify_url", "return_url"} {
			req := goodOrder("T1")
			if field == "notify_url" {
				req.NotifyURL = address
			} else {
				req.ReturnURL = address
			}
			_, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req)
			if address == "" {
				continue
			}
			var known *relay.Error
			if !errors.As(err, &known) || known.Kind != relay.KindParam || known.Field != field {
				t.Errorf("%s %q: %v, want it refused", field, address, err)
			}
		}
	}
	good := goodOrder("T2")
	good.NotifyURL, good.ReturnURL = "https://books.example.com/pay/notify;x=1", "https://books.example.com:443/%b6%a9%b5%a5"
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), good); err != nil {
		t.Errorf("addresses on the client's origin: %v", err)
	}
}

// TestOrderNumberRule: a client's own rule stands beside the general one.
func TestOrderNumberRule(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].OrderNo = regexp.MustCompile(`^[0-9A-Za-z]{10}$`) })
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder("A00000001")); kindOf(err) != relay.KindParam {
		t.Errorf("nine characters: %v, want KindParam", err)
	}
	b.order("A000000001")
}

// TestNonce_C05: a nonce works once per client, and the check before the
// write tells as well as the write itself.
func TestNonce_C05(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	caller := relay.CallerFor(b.client, "nonce-of-one-write")
	if err := b.CheckNonce(t.Context(), caller); err != nil {
		t.Fatalf("fresh nonce: %v", err)
	}
	if _, _, err := b.CreateOrder(t.Context(), caller, goodOrder("T1")); err != nil {
		t.Fatal(err)
	}
	if err := b.CheckNonce(t.Context(), caller); kindOf(err) != relay.KindReplayed {
		t.Errorf("CheckNonce after use: %v, want KindReplayed", err)
	}
	if _, _, err := b.CreateOrder(t.Context(), caller, goodOrder("T2")); kindOf(err) != relay.KindReplayed {
		t.Errorf("write with a used nonce: %v, want KindReplayed", err)
	}
	if err := b.CheckNonce(t.Context(), relay.CallerFor(b.ClientByID("2000000000000002"), "nonce-of-one-write")); err != nil {
		t.Errorf("the same nonce of another client: %v", err)
	}
}

// TestSendable cuts descriptions to what WeChat takes.
func TestSendable(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"short", "a book", "a book"},
		{"emoji go", "书📚 a", "书 a"},
		{"nothing left", "📚", "-"},
		{"cut at a border", strings.Repeat("书", 43), strings.Repeat("书", 42)},
		{"ASCII fills up", strings.Repeat("a", 200), strings.Repeat("a", 127)},
	} {
		if got := relay.Sendable(tc.in); got != tc.want {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.want)
		}
	}
}

// TestOwnAddress_F10: the relay never calls itself, though it may call a
// site behind its own name.
func TestOwnAddress_F10(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) {
		c.Clients[0].AllowOrigins = append(c.Clients[0].AllowOrigins, "https://pay.example.com")
	})
	for _, address := range []string{
		"https://pay.example.com/wechat/notify/main", "https://pay.example.com/v1/orders", "https://PAY.example.com:443/v1/events/x/deliver",
		"https://pay.example.com/checkout/x", "https://pay.example.com/connect/qrconnect", "https://pay.example.com/cgi-bin/token",
	} {
		req := goodOrder("T1")
		req.NotifyURL = address
		if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); kindOf(err) != relay.KindParam {
			t.Errorf("notify_url %s: %v, want KindParam", address, err)
		}
	}
	req := goodOrder("T1")
	req.NotifyURL = "https://pay.example.com/shop/notify"
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); err != nil {
		t.Errorf("a site behind the relay's name: %v", err)
	}
}

// lateStore says of writes that their outcome is unknown, and lets them land
// afterwards.
type lateStore struct {
	relay.Store
	late   atomic.Bool
	landed sync.WaitGroup
}

func (s *lateStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	if !s.late.Load() {
		return s.Store.Update(ctx, fn)
	}
	s.landed.Go(func() { _ = s.Store.Update(context.WithoutCancel(ctx), fn) })
	return fmt.Errorf("%w: too slow", relay.ErrUnavailable)
}

// TestUnknownOutcome: what was reported as unavailable lands after all. The
// callers repeat, and find what they asked for, once.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	store := &lateStore{Store: memstore.New()}
	b := newBench(t, store)
	key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
	var number string
	steps := []struct {
		name string
		do   func() error
	}{
		{"create", func() error {
			_, created, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder(key.OrderNo))
			if created {
				t.Error("create was answered as made: it was made by the first try")
			}
			return err
		}},
		{"pay", func() error {
			p, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
			number = p.OutTradeNo
			return err
		}},
		{"settle", func() error {
			return b.notify(b.wechat.paid(b.view(key).Payments[0].OutTradeNo, time.Now()))
		}},
	}
	for _, step := range steps {
		store.late.Store(true)
		if err := step.do(); kindOf(err) != relay.KindUnavailable && !errors.Is(err, relay.ErrUnavailable) {
			t.Fatalf("%s = %v, want it unavailable", step.name, err)
		}
		store.landed.Wait()
		store.late.Store(false)
		if err := step.do(); err != nil {
			t.Fatalf("%s again = %v", step.name, err)
		}
	}
	v := b.view(key)
	if v.Status != relay.OrderPaid || len(v.Payments) != 1 || v.Payments[0].OutTradeNo != number {
		t.Errorf("order = %+v, want it paid by its one payment", v)
	}
	if n := len(b.events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}

	other := b.order("A000000002")
	b.native(other)
	for i := range 2 {
		store.late.Store(i == 0)
		_, _ = b.CloseOrder(t.Context(), b.caller(b.client), other.OrderNo)
		store.landed.Wait()
	}
	if v := b.view(other); v.Status != relay.OrderClosed || len(b.events()) != 2 {
		t.Errorf("order %s with %d events in all, want it closed and told once", v.Status, len(b.events()))
	}
}

// TestDailyAmount: the orders of one Beijing day may not exceed the client's
// limit, however many ask at once; the next day begins anew.
func TestDailyAmount(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].DailyFen = 1000 })
	b.clock = time.Date(2026, 11, 22, 15, 59, 59, 0, time.UTC) // a second before midnight in Beijing
	var wg sync.WaitGroup
	var made, refused atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			_, _, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder(fmt.Sprintf("A%09d", i)))
			var known *relay.Error
			switch {
			case err == nil:
				made.Add(1)
			case asError(err, &known) && known.Kind == relay.KindNoAuth && known.Field == "amount":
				refused.Add(1)
			default:
				t.Errorf("CreateOrder = %v", err)
			}
		})
	}
	wg.Wait()
	if made.Load() != 10 || refused.Load() != 10 {
		t.Errorf("%d orders of 100 fen made and %d refused, want 10 and 10", made.Load(), refused.Load())
	}
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.ClientByID("2000000000000002")), goodOrder("B000000001")); err != nil {
		t.Errorf("another client's order: %v", err)
	}
	b.clock = b.clock.Add(time.Second)
	if _, created, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder("A000000100")); err != nil || !created {
		t.Errorf("on the next day: created %t, %v", created, err)
	}
	if _, created, err := b.CreateOrder(t.Context(), b.caller(b.client), goodOrder("A000000100")); err != nil || created {
		t.Errorf("the same order again: created %t, %v; want it as it was, and not counted", created, err)
	}
}

// TestProfitSharingNeedsLeave: freezing money for receivers is a permission
// of its own.
func TestProfitSharingNeedsLeave(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[1].AllowSharing = true })
	req := goodOrder("A000000001")
	req.ProfitSharing = true
	var known *relay.Error
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); !asError(err, &known) || known.Kind != relay.KindNoAuth || known.Field != "profit_sharing" {
		t.Errorf("without leave: %v, want KindNoAuth for profit_sharing", err)
	}
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.ClientByID("2000000000000002")), req); err != nil {
		t.Errorf("with leave: %v", err)
	}
}
