package relay_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func (f *fakeWeChat) count(call string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, call+" ") {
			n++
		}
	}
	return n
}

func (f *fakeWeChat) failing(call string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = map[string]error{call: err}
}

// TestPayableTwice: many tabs, one payment, one call to WeChat.
func TestPayableTwice(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	var wg sync.WaitGroup
	numbers := sync.Map{}
	for range 50 {
		wg.Go(func() {
			p, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
			if err != nil {
				t.Errorf("Payable: %v", err)
			}
			numbers.Store(p.OutTradeNo, true)
		})
	}
	wg.Wait()
	if n := b.wechat.count("prepay"); n != 1 || len(b.view(key).Payments) != 1 {
		t.Errorf("%d prepay calls for %d payments, want 1 for 1", n, len(b.view(key).Payments))
	}
}

// TestPrepayStoredFirst: when WeChat's answer is lost, the number is known
// here, and asking again sends the same one.
func TestPrepayStoredFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	b.wechat.failing("prepay", errTest)
	_, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
	if kindOf(err) != relay.KindUpstreamTimeout {
		t.Fatalf("Payable = %v, want KindUpstreamTimeout", err)
	}
	v := b.view(key)
	if v.Status != relay.OrderPaying || len(v.Payments) != 1 || v.Payments[0].Status != relay.PaymentCreated {
		t.Fatalf("order = %+v, want one payment created", v)
	}
	b.wechat.failing("prepay", nil)
	if p := b.native(key); p.OutTradeNo != v.Payments[0].OutTradeNo {
		t.Errorf("asked again with %s, want the same number %s", p.OutTradeNo, v.Payments[0].OutTradeNo)
	}
}

// TestPrepayRefused: WeChat's refusal reaches the caller with its code. The
// next try repeats the number, however often it was refused.
func TestPrepayRefused(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	b.wechat.failing("prepay", &relay.GatewayError{Code: "NO_AUTH"})
	for range 60 { // more than an order has attempts
		_, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
		var known *relay.Error
		if kindOf(err) != relay.KindUpstream || !asError(err, &known) || known.UpstreamCode != "NO_AUTH" {
			t.Fatalf("Payable = %v, want KindUpstream with NO_AUTH", err)
		}
	}
	b.wechat.failing("prepay", nil)
	b.native(key)
	if got := b.statuses(key); !slices.Equal(got, []relay.PaymentStatus{relay.PaymentPending}) {
		t.Errorf("the payments are %v, want the one that was refused, pending", got)
	}
}

// statuses are those of an order's payments, oldest first.
func (b *bench) statuses(key relay.OrderKey) (statuses []relay.PaymentStatus) {
	b.t.Helper()
	for _, p := range b.view(key).Payments {
		statuses = append(statuses, p.Status)
	}
	return statuses
}

// TestNumberRefused: "order number repeated" is none of a client's business.
// The next number is tried within the same call, and no third one: what
// WeChat refuses twice is not about the number.
func TestNumberRefused(t *testing.T) {
	t.Parallel()
	const failed, created, pending, closed = relay.PaymentFailed, relay.PaymentCreated, relay.PaymentPending, relay.PaymentClosed
	for _, tc := range []struct {
		name    string
		code    string
		refused int  // prepay calls that are refused
		known   bool // to WeChat, before it refuses
		fails   bool
		want    []relay.PaymentStatus
	}{
		{"used", "OUT_TRADE_NO_USED", 1, false, false, []relay.PaymentStatus{failed, pending}},
		{"used, v2's spelling", "OUT_TRADE_NO_USED", 1, false, false, []relay.PaymentStatus{failed, pending}},
		{"other content", "INVALID_REQUEST", 1, false, false, []relay.PaymentStatus{failed, pending}},
		{"closed, v2's spelling", "ORDERCLOSED", 1, false, false, []relay.PaymentStatus{closed, pending}},
		{"twice", "INVALID_REQUEST", 2, false, true, []relay.PaymentStatus{failed, created}},
		{"known before", "INVALID_REQUEST", 1, true, false, []relay.PaymentStatus{closed, pending}},
		{"known before, twice", "INVALID_REQUEST", 2, true, true, []relay.PaymentStatus{closed, created}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			key := b.order("A000000001")
			if tc.known {
				b.clock = time.Now().Add(-111 * time.Minute)
				b.native(key)
				b.clock = time.Time{} // the code has run out, so that WeChat is asked again
			}
			b.wechat.refusing(tc.refused, tc.code)
			p, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
			if (err != nil) != tc.fails || err == nil && p.CodeURL == "" {
				t.Errorf("Payable = %+v, %v; want an error: %t", p, err, tc.fails)
			}
			if got := b.statuses(key); !slices.Equal(got, tc.want) {
				t.Errorf("the payments are %v, want %v", got, tc.want)
			}
			if tc.known && b.wechat.count("close") != 1 {
				t.Errorf("%d closes, want one: a payment that WeChat knew may be under way", b.wechat.count("close"))
			}
		})
	}
}

// refusing lets the next prepay calls fail with a code.
func (f *fakeWeChat) refusing(calls int, code string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse, f.refuseCode = calls, code
}

// TestSwitchTradeType closes the old payment at WeChat before the new one is
// made, and finds out when it was paid in the meantime.
func TestSwitchTradeType(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	first := b.native(key)
	second, created, err := b.Payable(t.Context(), b.client, key, relay.TradeJSAPI, "o-1")
	if err != nil || !created || second.PrepayID == "" {
		t.Fatalf("switching = %+v created %t, %v", second, created, err)
	}
	if b.wechat.count("close") != 1 || b.view(key).Payments[0].Status != relay.PaymentClosed {
		t.Errorf("the first payment is %s after %d closes, want it closed by one", b.view(key).Payments[0].Status, b.wechat.count("close"))
	}
	if first.OutTradeNo == second.OutTradeNo {
		t.Error("the number was used again")
	}
	b.wechat.paid(second.OutTradeNo, time.Now())
	if _, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, ""); kindOf(err) != relay.KindOrderPaid {
		t.Errorf("switching away from a paid payment = %v, want KindOrderPaid", err)
	}
	if v := b.view(key); v.Status != relay.OrderPaid || len(b.events()) != 1 {
		t.Errorf("order %s with %d events, want it paid and told", v.Status, len(b.events()))
	}
}

// TestRefresh learns of a payment whose notification never came.
func TestRefresh(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	p := b.native(key)
	if v, err := b.Order(t.Context(), b.caller(b.client), key.OrderNo, true); err != nil || v.Status != relay.OrderPaying {
		t.Fatalf("refresh of an unpaid order = %s, %v", v.Status, err)
	}
	tr := b.wechat.paid(p.OutTradeNo, time.Now())
	for range 3 {
		if v, err := b.Order(t.Context(), b.caller(b.client), key.OrderNo, true); err != nil || v.Status != relay.OrderPaying || b.wechat.count("query") != 1 {
			t.Fatalf("refresh at once = %s, %v after %d questions; want no further question", v.Status, err, b.wechat.count("query"))
		}
	}
	b.clock = time.Now().Add(5 * time.Second)
	if v, err := b.Order(t.Context(), b.caller(b.client), key.OrderNo, true); err != nil || v.Status != relay.OrderPaid {
		t.Errorf("refresh of a paid order = %s, %v; want paid", v.Status, err)
	}
	if err := b.notify(tr); err != nil || len(b.events()) != 1 {
		t.Errorf("the notification afterwards: %v, %d events; want success and 1", err, len(b.events()))
	}
}

// TestCloseOrder closes at WeChat, says so once, and is harmless again.
func TestCloseOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	b.native(key)
	for range 2 {
		v, err := b.CloseOrder(t.Context(), b.caller(b.client), key.OrderNo)
		if err != nil || v.Status != relay.OrderClosed || v.CloseReason != relay.CloseReasonRequested {
			t.Fatalf("CloseOrder = %+v, %v; want closed", v, err)
		}
	}
	if events := b.events(); len(events) != 1 || events[0].Type != relay.EventOrderClosed {
		t.Errorf("events = %+v, want one order.closed", events)
	}
	if _, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, ""); kindOf(err) != relay.KindOrderClosed {
		t.Errorf("paying a closed order = %v, want KindOrderClosed", err)
	}
	paid := b.order("A000000002")
	b.wechat.paid(b.native(paid).OutTradeNo, time.Now())
	if _, err := b.CloseOrder(t.Context(), b.caller(b.client), paid.OrderNo); kindOf(err) != relay.KindOrderPaid {
		t.Errorf("closing an order that WeChat says is paid = %v, want KindOrderPaid", err)
	}
	if v := b.view(paid); v.Status != relay.OrderPaid {
		t.Errorf("order %s, want paid", v.Status)
	}
	if _, err := b.CloseOrder(t.Context(), b.caller(b.client), "nothing"); kindOf(err) != relay.KindNotFound {
		t.Errorf("closing nothing = %v, want KindNotFound", err)
	}
}

// TestExpiry closes orders that ran out, with WeChat asked before and after;
// one that was paid unheard is settled instead.
func TestExpiry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		forgotten, unheard, untouched := b.order("A000000001"), b.order("A000000002"), b.order("A000000003")
		b.native(forgotten)
		p := b.native(unheard)
		b.rt.Start()
		<-time.After(time.Hour)
		b.wechat.paid(p.OutTradeNo, time.Now())
		<-time.After(time.Hour + relay.ExpiryTick + time.Second)
		if err := b.rt.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[relay.OrderKey]relay.OrderStatus{forgotten: relay.OrderClosed, unheard: relay.OrderPaid, untouched: relay.OrderClosed} {
			v := b.view(key)
			if v.Status != want {
				t.Errorf("%s is %s, want %s", key.OrderNo, v.Status, want)
			}
			if want == relay.OrderClosed && v.CloseReason != relay.CloseReasonExpired {
				t.Errorf("%s was closed because %q, want expired", key.OrderNo, v.CloseReason)
			}
		}
		if n := len(b.events()); n != 3 {
			t.Errorf("%d events, want 3", n)
		}
	})
}

// TestExpiryInTrouble: an order whose close fails stays open and is tried
// again later; the others do not wait for it.
func TestExpiryInTrouble(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		stuck := b.order("A000000001")
		b.native(stuck)
		easy := b.order("A000000002")
		b.wechat.failing("query", errTest)
		b.rt.Start()
		<-time.After(2*time.Hour + time.Minute)
		if v := b.view(stuck); v.Status != relay.OrderPaying {
			t.Errorf("order in trouble is %s, want paying", v.Status)
		}
		if v := b.view(easy); v.Status != relay.OrderClosed {
			t.Errorf("order without payments is %s, want closed", v.Status)
		}
		b.wechat.failing("query", nil)
		<-time.After(6 * time.Minute)
		if v := b.view(stuck); v.Status != relay.OrderClosed {
			t.Errorf("order after the trouble is %s, want closed", v.Status)
		}
		if err := b.rt.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestExpirySilentMerchant: when WeChat does not answer for a merchant, its
// orders do not wait for one time-out after the other.
func TestExpirySilentMerchant(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		for i := range 100 {
			b.native(b.order(fmt.Sprintf("A%09d", i)))
		}
		b.rt.Start()
		<-time.After(110 * time.Minute) // nothing is asked between the hour and the expiry
		before := b.wechat.count("query")
		b.wechat.failing("query", errTest)
		<-time.After(11 * time.Minute)
		if n := b.wechat.count("query") - before; n == 0 || n > 8 {
			t.Errorf("WeChat was asked %d times in vain, want about as often as at the same time", n)
		}
		b.wechat.failing("query", nil)
		<-time.After(6 * time.Minute)
		if n := len(b.events()); n != 100 {
			t.Errorf("%d orders were closed after the trouble, want 100", n)
		}
		if err := b.rt.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestCloseHalfDone: WeChat closed the payment, but the answer or what
// follows is lost. The order stays open, so its buyer must not be shown the
// code that nobody can pay any more.
func TestCloseHalfDone(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{"answer to the close", "query after the close"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			token := b.token("A000000001")
			key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
			dead := b.native(key)
			b.wechat.afterClose = func() error {
				if lost == "answer to the close" {
					return errTest
				}
				b.wechat.fail = map[string]error{"query": errTest}
				return nil
			}
			if _, err := b.CloseOrder(t.Context(), b.caller(b.client), key.OrderNo); kindOf(err) != relay.KindUpstreamTimeout {
				t.Fatalf("CloseOrder = %v, want KindUpstreamTimeout", err)
			}
			b.wechat.afterClose, b.wechat.fail = nil, nil
			if code, err := b.CheckoutCode(t.Context(), token); kindOf(err) != relay.KindNotFound {
				t.Errorf("CheckoutCode = %q, %v; want none", code, err)
			}
			p, created, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, "")
			if err != nil || !created || p.OutTradeNo == dead.OutTradeNo || p.CodeURL == dead.CodeURL {
				t.Fatalf("Payable = %s created %t, %v; want a payment in place of the closed one", p.OutTradeNo, created, err)
			}
			if v := b.view(key); len(v.Payments) != 2 || v.Payments[0].Status != relay.PaymentClosed || v.Payments[1].Status != relay.PaymentPending {
				t.Errorf("payments = %+v, want closed and pending", v.Payments)
			}
		})
	}
}

// TestExpiryForgets: an order that could not be closed and was paid otherwise
// is not remembered for ever.
func TestExpiryForgets(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	p := b.native(key)
	b.clock = time.Now().Add(3 * time.Hour)
	b.wechat.failing("query", errTest)
	b.rt.SweepExpired(t.Context())
	if n := b.rt.ExpiryFailures(); n != 1 {
		t.Fatalf("%d orders remembered, want the one in trouble", n)
	}
	b.wechat.failing("query", nil)
	if err := b.notify(b.wechat.paid(p.OutTradeNo, b.clock)); err != nil {
		t.Fatal(err)
	}
	b.rt.SweepExpired(t.Context())
	if n := b.rt.ExpiryFailures(); n != 0 {
		t.Errorf("%d orders remembered after it was paid, want none", n)
	}
}
