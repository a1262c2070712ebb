package relay_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestAskedOnSchedule: a payment whose notification never comes is asked
// about on the backoff, in direct mode sooner, and settles when WeChat says
// so; then nothing is asked any more.
func TestAskedOnSchedule(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		mode   relay.CallbackMode
		paidAt time.Duration
		within time.Duration
		asks   int
	}{
		{"relay, in the first minute", relay.CallbackRelay, 30 * time.Second, time.Minute, 1},
		{"relay, after two questions", relay.CallbackRelay, 6 * time.Minute, 15 * time.Minute, 3},
		{"direct, at once", relay.CallbackDirect, 10 * time.Second, 15 * time.Second, 1},
		{"direct, after three questions", relay.CallbackDirect, 70 * time.Second, 2 * time.Minute, 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Callback = tc.mode })
				key := b.order("A000000001")
				p := b.native(key)
				b.rt.Start()
				<-time.After(tc.paidAt)
				b.wechat.paid(p.OutTradeNo, time.Now())
				<-time.After(tc.within - tc.paidAt + relay.AskTick + time.Second)
				if v := b.view(key); v.Status != relay.OrderPaid {
					t.Errorf("after %v the order is %s, want paid", tc.within, v.Status)
				}
				<-time.After(100 * time.Minute)
				if n := b.wechat.count("query"); n != tc.asks {
					t.Errorf("WeChat was asked %d times, want %d", n, tc.asks)
				}
				b.stop()
			})
		})
	}
}

// TestAskingEnds: neither closed payments nor those of other merchants'
// configurations are asked about for ever; what WeChat closed is noted.
func TestAskingEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		key := b.order("A000000001")
		p := b.native(key)
		b.wechat.mu.Lock()
		b.wechat.payments[p.OutTradeNo].State = relay.TradeClosed // in WeChat's own console
		b.wechat.mu.Unlock()
		b.rt.Start()
		<-time.After(90 * time.Minute)
		if v := b.view(key); v.Status != relay.OrderPaying || v.Payments[0].Status != relay.PaymentClosed {
			t.Errorf("order = %+v, want it open with its payment closed", v)
		}
		if n := b.wechat.count("query"); n != 1 {
			t.Errorf("WeChat was asked %d times, want once", n)
		}
		b.stop()
	})
}

// TestAskingSurvivesRestart: what was due while the relay was down is asked
// once, and what a stop broke off is asked again.
func TestAskingSurvivesRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := newBench(t, store)
		key := b.order("A000000001")
		p := b.native(key)
		b.rt.Start()
		<-time.After(30 * time.Second)
		b.stop()
		b.wechat.paid(p.OutTradeNo, time.Now())
		<-time.After(50 * time.Minute)

		again := newBench(t, store)
		again.PlayWeChat(b.wechat)
		again.rt.Start()
		<-time.After(relay.AskTick + time.Second)
		if v := again.view(key); v.Status != relay.OrderPaid || v.Case != nil {
			t.Errorf("order = %+v, want it paid after the restart", v)
		}
		if n := b.wechat.count("query"); n != 1 {
			t.Errorf("WeChat was asked %d times, want once", n)
		}
		again.stop()
	})
}

// TestAskingInAFlood_J01: ten thousand unpaid payments of one merchant cost a
// bounded number of questions a second, all of them are asked about in the
// end, and the payment of another merchant does not wait for them.
func TestAskingInAFlood_J01(t *testing.T) {
	t.Parallel()
	const flood = 10_000
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := newBench(t, store, secondMerchant)
		o := b.stored(b.order("A000000000"))
		p := b.native(o.OrderKey)
		err := store.Update(t.Context(), func(tx relay.Tx) error {
			for i := range flood - 1 {
				p.OutTradeNo = fmt.Sprintf("flood%09d", i)
				if err := tx.PutPayment(&p); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second) // the flood is older
		b.client = b.ClientByID("2000000000000002")
		other := b.order("B000000001")
		b.wechat.paid(b.native(other).OutTradeNo, time.Now())
		b.rt.Start()
		<-time.After(time.Minute + relay.AskTick + time.Second)
		if v := b.view(other); v.Status != relay.OrderPaid {
			t.Errorf("the other merchant's order is %s, want paid in time", v.Status)
		}
		if n := b.wechat.count("query"); n < 100 || n > 11*60+50 {
			t.Errorf("%d questions in a minute, want about 8 a second and never more than 10", n)
		}
		<-time.After(45 * time.Minute)
		asked := 0
		b.read(func(r relay.Reader) error {
			for i := range flood - 1 {
				p, err := r.Payment(relay.PaymentKey{MchID: testMchID, OutTradeNo: fmt.Sprintf("flood%09d", i)})
				if err != nil {
					return err
				}
				if p.Asks > 0 {
					asked++
				}
			}
			return nil
		})
		if asked != flood-1 {
			t.Errorf("%d payments were asked about in 46 minutes, want all %d", asked, flood-1)
		}
		b.stop()
	})
}

// TestAskingWhenWeChatIsDown: an hour without WeChat costs a handful of
// questions a minute, and afterwards everything that was paid is learnt.
func TestAskingWhenWeChatIsDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const orders = 200
		b := newBench(t, memstore.New())
		for i := range orders {
			p := b.native(b.order(fmt.Sprintf("A%09d", i)))
			b.wechat.paid(p.OutTradeNo, time.Now())
		}
		b.wechat.failing("query", errTest)
		b.rt.Start()
		<-time.After(time.Hour)
		if n := b.wechat.count("query"); n < 10 || n > 60*4 {
			t.Errorf("WeChat was asked %d times in an hour without it, want a few a minute", n)
		}
		b.wechat.failing("query", nil)
		<-time.After(5 * time.Minute)
		if n := len(b.eventTypes()); n != orders {
			t.Errorf("%d of %d orders are known to be paid", n, orders)
		}
		b.stop()
	})
}

// TestAskingKeepsWhatTheStoreRefused: an answer that could not be stored is
// asked for again soon, not by the schedule.
func TestAskingKeepsWhatTheStoreRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &troubledStore{Store: memstore.New()}
		b := newBench(t, store)
		key := b.order("A000000001")
		b.wechat.paid(b.native(key).OutTradeNo, time.Now())
		<-time.After(30 * time.Second)
		store.has(relay.ErrUnavailable)
		b.rt.Start()
		<-time.After(3 * time.Minute)
		synctest.Wait()
		store.has(nil)
		<-time.After(2 * relay.AskTick)
		if v := b.view(key); v.Status != relay.OrderPaid {
			t.Errorf("order is %s, want paid", v.Status)
		}
		b.stop()
	})
}

// secondMerchant lets the second client sell for a merchant of its own.
func secondMerchant(c *relay.Config) {
	second := *c.Merchants[0]
	second.Name, second.MchID = "second", "1900000110"
	c.Merchants = append(c.Merchants, &second)
	c.Clients[1].Merchant = "second"
}
