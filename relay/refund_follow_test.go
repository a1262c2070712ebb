package relay_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// following runs a test in virtual time with the workers at work. restart
// ends them and begins them anew on the same store, as a new process would.
func following(t *testing.T, test func(t *testing.T, b *bench, restart func()), change ...func(*relay.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		b := newBench(t, store, append(change, mayRefund)...)
		b.rt.Start()
		restart := func() {
			if err := b.rt.Stop(t.Context()); err != nil {
				t.Error(err)
			}
			again := newBench(t, store, append(change, mayRefund)...)
			again.PlayWeChat(b.wechat)
			b.Service, b.rt, b.client = again.Service, again.rt, again.client
			b.rt.Start()
		}
		defer func() {
			if err := b.rt.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		test(t, b, restart)
	})
}

func (b *bench) own(refundNo string) relay.RefundView {
	b.t.Helper()
	v, err := b.Refund(b.t.Context(), b.caller(b.client), refundNo, false)
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// timesOf are the moments, counted from begin, at which a fake is called.
type timesOf struct {
	mu    sync.Mutex // guards times
	begin time.Time
	times []time.Duration
}

func (ts *timesOf) note() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.times = append(ts.times, time.Since(ts.begin))
}

// within reports whether each moment is at or up to slack after the wanted.
func (ts *timesOf) within(want []time.Duration, slack time.Duration) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if len(ts.times) != len(want) {
		return false
	}
	for i, at := range ts.times {
		if at < want[i] || at > want[i]+slack {
			return false
		}
	}
	return true
}

// TestFollowAsks: a refund that WeChat took is asked about at growing
// intervals until its end, and no more after it.
func TestFollowAsks(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		asked := &timesOf{begin: time.Now()}
		b.wechat.onCall = map[string]func(){"query_refund": asked.note}
		key, _ := b.paidOrder("A000000001")
		r := b.giveBack(key, "R1", 30)
		time.Sleep(3 * 24 * time.Hour)
		synctest.Wait()
		pauses := []time.Duration{5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 24 * time.Hour}
		var want []time.Duration
		var at time.Duration
		for _, p := range pauses {
			at += p
			want = append(want, at)
		}
		if !asked.within(want, time.Minute) {
			t.Errorf("asked after %v, want about %v", asked.times, want)
		}
		b.wechat.refunded(r.OutRefundNo, relay.RefundStateSuccess, time.Now())
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		n := b.wechat.counted("query_refund")
		if v := b.own("R1"); v.Status != relay.RefundSucceeded {
			t.Errorf("refund = %+v, want it succeeded", v)
		}
		time.Sleep(3 * 24 * time.Hour)
		synctest.Wait()
		if more := b.wechat.counted("query_refund"); more != n || b.wechat.counted("refund") != 1 {
			t.Errorf("asked %d times after the end, told %d times", more-n, b.wechat.counted("refund"))
		}
	})
}

// TestFollowLostAnswer: WeChat took the refund and we did not hear of it. The
// repeat has the same number, and money goes back once.
func TestFollowLostAnswer(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, restart func()) {
		key, p := b.paidOrder("A000000001")
		b.wechat.lose(errTest)
		r := b.giveBack(key, "R1", 30)
		if r.Status != relay.RefundProcessing || r.RefundID != "" {
			t.Errorf("refund = %+v, want its outcome unknown", r)
		}
		restart()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := b.wechat.counted("refund"); n < 2 {
			t.Errorf("WeChat was told %d times in a minute, want a repeat", n)
		}
		b.wechat.lose(nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if v := b.own("R1"); v.OutRefundNo != r.OutRefundNo || v.RefundID == "" {
			t.Errorf("refund = %+v, want the same number taken", v)
		}
		if sum := b.wechat.givenBack(p.OutTradeNo); sum != 30 {
			t.Errorf("WeChat gives %d fen back, want 30", sum)
		}
	})
}

// TestFollowRefusedRepeat: the answer to the first call is lost, and the
// repeat is refused for good, as by a certificate that ran out. WeChat is
// asked before the refund is called a failure: it took it.
func TestFollowRefusedRepeat(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		took bool
		want relay.RefundStatus
	}{"taken before": {true, relay.RefundProcessing}, "never heard of": {false, relay.RefundFailed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			following(t, func(t *testing.T, b *bench, _ func()) {
				key, _ := b.paidOrder("A000000001")
				if c.took {
					b.wechat.lose(errTest)
				} else {
					b.wechat.failing("refund", errTest)
				}
				b.giveBack(key, "R1", 30)
				b.wechat.failing("refund", &relay.GatewayError{HTTPStatus: 200, Code: "CERT_ERROR"})
				time.Sleep(2 * time.Minute)
				synctest.Wait()
				if v := b.own("R1"); v.Status != c.want || (v.RefundID != "") != c.took {
					t.Errorf("refund = %+v, want %s", v, c.want)
				}
			})
		})
	}
}

// TestFollowRestart: what was made before the process ended is told by the
// next one, when the call that the first had begun can no longer be under way.
func TestFollowRestart(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, restart func()) {
		key, p := b.paidOrder("A000000001")
		b.wechat.failing("refund", errTest)
		b.giveBack(key, "R1", 30)
		b.giveBack(key, "R2", 40)
		if err := b.rt.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(7 * time.Hour) // the machine is down
		b.wechat.failing("refund", nil)
		restart()
		time.Sleep(time.Minute)
		synctest.Wait()
		if first, second := b.own("R1"), b.own("R2"); first.RefundID == "" || second.RefundID == "" {
			t.Errorf("refunds = %+v, %+v; want both taken", first, second)
		}
		if sum := b.wechat.givenBack(p.OutTradeNo); sum != 70 {
			t.Errorf("WeChat gives %d fen back, want 70", sum)
		}
	})
}

// TestFollowNotEnough: a refund that the merchant's balance does not cover is
// tried again under its number for a week, visibly; then its money is free.
func TestFollowNotEnough(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		want  relay.RefundStatus
	}{"filled up in time": {6 * 24 * time.Hour, relay.RefundProcessing}, "never filled up": {8 * 24 * time.Hour, relay.RefundFailed}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			following(t, func(t *testing.T, b *bench, _ func()) {
				key, _ := b.paidOrder("A000000001")
				b.wechat.failing("refund", &relay.GatewayError{HTTPStatus: 403, Code: "NOT_ENOUGH"})
				b.giveBack(key, "R1", 100)
				time.Sleep(c.after)
				synctest.Wait()
				n := b.wechat.counted("refund")
				if most := int(c.after / time.Hour); n < most*6/10 || n > most+1 {
					t.Errorf("WeChat was told %d times in %v, want about once an hour", n, c.after)
				}
				if v := b.own("R1"); v.FailCode != "NOT_ENOUGH" {
					t.Errorf("refund = %+v, want NOT_ENOUGH to be seen", v)
				}
				b.wechat.failing("refund", nil)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				v, o := b.own("R1"), b.view(key)
				if v.Status != c.want || (v.RefundID != "") != (c.want == relay.RefundProcessing) {
					t.Errorf("refund = %+v, want %s", v, c.want)
				}
				if free := o.Status == relay.OrderPaid; free != (c.want == relay.RefundFailed) {
					t.Errorf("order is %s", o.Status)
				}
			})
		})
	}
}

// TestFollowForgotten: WeChat does not know a refund any more that it took.
// It is told again, with the same number.
func TestFollowForgotten(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		key, p := b.paidOrder("A000000001")
		r := b.giveBack(key, "R1", 30)
		b.wechat.forget(r.OutRefundNo)
		time.Sleep(time.Minute)
		synctest.Wait()
		if sum := b.wechat.givenBack(p.OutTradeNo); sum != 30 {
			t.Errorf("WeChat gives %d fen back, want 30", sum)
		}
	})
}

// TestFollowSilentMerchant: a merchant for whom WeChat does not answer keeps
// no other's refunds waiting, and is not called over and over.
func TestFollowSilentMerchant(t *testing.T) {
	t.Parallel()
	two := func(c *relay.Config) {
		second := *c.Merchants[0]
		second.Name, second.MchID = "second", "1900000200"
		c.Merchants = append(c.Merchants, &second)
		c.Clients[1].Merchant = "second"
	}
	following(t, func(t *testing.T, b *bench, _ func()) {
		silentWeChat := &fakeWeChat{payments: map[string]*relay.Transaction{}}
		b.PlayWeChatFor("second", silentWeChat)
		other := b.ClientByID("2000000000000002")
		silentWeChat.failing("refund", errTest)
		for i := range 200 {
			key, _ := b.paidAt("second", silentWeChat, other, fmt.Sprintf("S%d", i))
			b.giveBack(key, fmt.Sprintf("S%d", i), 1)
		}
		key, _ := b.paidOrder("A000000001")
		b.wechat.failing("refund", errTest)
		b.giveBack(key, "R1", 30)
		b.wechat.failing("refund", nil)
		before := silentWeChat.counted("refund")
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if v := b.own("R1"); v.RefundID == "" {
			t.Errorf("refund = %+v after 40 s, want it taken", v)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := silentWeChat.counted("refund") - before; n > 130 {
			t.Errorf("the silent merchant was called %d times in an hour, want about two a minute", n)
		}
		silentWeChat.failing("refund", nil)
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := len(silentWeChat.refunds); n != 200 {
			t.Errorf("WeChat took %d of 200 refunds once it answered", n)
		}
	}, two)
}

// TestFollowPace: a flood of refunds is told at a pace that WeChat allows.
func TestFollowPace(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		b.wechat.failing("refund", errTest)
		for i := range 300 {
			key, _ := b.paidOrder(fmt.Sprintf("A%d", i))
			b.giveBack(key, fmt.Sprintf("R%d", i), 1)
		}
		told := &timesOf{begin: time.Now()}
		b.wechat.mu.Lock()
		b.wechat.fail = nil
		b.wechat.onCall = map[string]func(){"refund": told.note}
		b.wechat.mu.Unlock()
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if len(told.times) != 300 {
			t.Fatalf("%d of 300 told in three minutes", len(told.times))
		}
		for i := range told.times {
			if i >= 10 && told.times[i]-told.times[i-10] < time.Second {
				t.Fatalf("calls %d to %d within %v, want at most 5 a second with a burst of 5", i-10, i, told.times[i]-told.times[i-10])
			}
		}
	})
}

// TestFollowCase: the money of an anomaly goes back by itself and its case
// ends, without a word about the order's own money.
func TestFollowCase(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		key := b.order("A000000001")
		first := b.native(key)
		second, _, err := b.Payable(t.Context(), b.client, key, relay.TradeJSAPI, "o-buyer")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range []relay.Payment{first, second} {
			if err := b.notify(b.wechat.paid(p.OutTradeNo, b.now())); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		v := b.view(key)
		if v.Case == nil || v.Case.Status != relay.CaseRefunding || len(v.Refunds) != 1 || v.Refunds[0].RefundID == "" || v.Refunds[0].Source != relay.RefundByCase {
			t.Fatalf("order = %+v, want its second payment on its way back", v)
		}
		for _, end := range []struct {
			state relay.RefundState
			want  relay.CaseStatus
		}{{relay.RefundStateAbnormal, relay.CaseHeld}, {relay.RefundStateSuccess, relay.CaseRefunded}} {
			b.wechat.refunded(v.Refunds[0].OutRefundNo, end.state, time.Now())
			time.Sleep(25 * time.Hour)
			synctest.Wait()
			v = b.view(key)
			if v.Case.Status != end.want || v.Status != relay.OrderPaid || v.RefundedAmount != 0 {
				t.Errorf("after %s: case %+v, order %s with %d fen back; want the case %s and the order paid", end.state, v.Case, v.Status, v.RefundedAmount, end.want)
			}
		}
		for _, e := range b.events() {
			if e.Type == relay.EventRefundSucceeded || e.Type == relay.EventRefundFailed {
				t.Errorf("event %s about a refund that the client did not ask for", e.Type)
			}
		}
	}, func(c *relay.Config) {
		c.Merchants[0].Anomaly = relay.AnomalyPolicy{DuplicatePayment: relay.PolicyRefund}
	})
}

// TestFollowAsksDespiteRefresh: a client that asks again and again in the
// first minute does not use up the relay's own questions.
func TestFollowAsksDespiteRefresh(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		key, _ := b.paidOrder("A000000001")
		r := b.giveBack(key, "R1", 30)
		for range 12 {
			time.Sleep(6 * time.Second)
			if _, err := b.Refund(t.Context(), b.caller(b.client), "R1", true); err != nil {
				t.Fatal(err)
			}
		}
		b.wechat.refunded(r.OutRefundNo, relay.RefundStateSuccess, time.Now())
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if v := b.own("R1"); v.Status != relay.RefundSucceeded {
			t.Errorf("refund = %+v a quarter of an hour after its end, want it succeeded", v)
		}
	})
}
