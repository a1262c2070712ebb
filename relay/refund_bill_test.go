package relay_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// billingWeChat is a WeChat that gives out bills.
type billingWeChat struct {
	*fakeWeChat

	billing sync.Mutex // guards all below
	bills   map[string][]relay.BilledRefund
	asked   []string
	failure error
}

func (w *billingWeChat) BilledRefunds(_ context.Context, day time.Time, subMchID string) ([]relay.BilledRefund, error) {
	w.billing.Lock()
	defer w.billing.Unlock()
	w.asked = append(w.asked, beijing.Day(day)+subMchID)
	return w.bills[beijing.Day(day)], w.failure
}

func (w *billingWeChat) days() []string {
	w.billing.Lock()
	defer w.billing.Unlock()
	return slices.Clone(w.asked)
}

// consoleWeChat is a WeChat that lists the refunds of a payment.
type consoleWeChat struct{ *fakeWeChat }

func (w consoleWeChat) ListRefunds(_ context.Context, p *relay.Payment) ([]relay.RefundStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.called("list_refunds", p.OutTradeNo); err != nil {
		return nil, err
	}
	var list []relay.RefundStatement
	for _, r := range w.refunds {
		if r.OutTradeNo == p.OutTradeNo {
			list = append(list, *r)
		}
	}
	return list, nil
}

// byConsole makes a refund in WeChat's console.
func (f *fakeWeChat) byConsole(p *relay.Payment, no string, fen int64, state relay.RefundState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refunds == nil {
		f.refunds = map[string]*relay.RefundStatement{}
	}
	t := f.payments[p.OutTradeNo]
	t.State = relay.TradeRefund
	f.refunds[no] = &relay.RefundStatement{
		MchID: p.MchID, OutRefundNo: no, RefundID: "5000" + no, OutTradeNo: p.OutTradeNo, TransactionID: t.TransactionID,
		State: state, AmountFen: fen, TotalFen: t.TotalFen, SuccessTime: t.SuccessTime,
	}
}

// TestBillsFindConsoleRefunds: nobody tells us of a refund made in WeChat's
// console; the bill of its day does, in the morning after, and each bill is
// read once, over restarts too.
func TestBillsFindConsoleRefunds(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, restart func()) {
		w := &billingWeChat{fakeWeChat: b.wechat, bills: map[string][]relay.BilledRefund{}}
		b.PlayWeChat(w)
		key, p := b.paidOrder("A000000001")
		ours := b.giveBack(key, "R1", 20)
		b.wechat.refunded(ours.OutRefundNo, relay.RefundStateSuccess, time.Now())
		b.wechat.byConsole(&p, "console@1", 30, relay.RefundStateProcessing)
		today := beijing.Day(time.Now())
		w.bills[today] = []relay.BilledRefund{
			{OutRefundNo: ours.OutRefundNo, OutTradeNo: p.OutTradeNo},
			{OutRefundNo: "console@1", OutTradeNo: p.OutTradeNo},
			{OutRefundNo: "elsewhere", OutTradeNo: "of-another-system"},
			{OutRefundNo: "made-up", OutTradeNo: p.OutTradeNo},
		}
		b.rt.Use(b.Service) // begins with the bills
		time.Sleep(36 * time.Hour)
		synctest.Wait()
		v := b.view(key)
		if len(v.Refunds) != 2 || v.Refunds[1].Source != relay.RefundByConsole || v.Refunds[1].Amount != 30 || v.Status != relay.OrderRefunding || v.RefundedAmount != 20 {
			t.Fatalf("order = %+v, want the console's 30 fen on their way", v)
		}
		b.wechat.refunded("console@1", relay.RefundStateSuccess, time.Now())
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if v := b.view(key); v.Status != relay.OrderPartiallyRefunded || v.RefundedAmount != 50 {
			t.Errorf("order = %s with %d fen back, want 50: what the bill found is followed", v.Status, v.RefundedAmount)
		}
		restart()
		b.PlayWeChat(w)
		b.rt.Use(b.Service)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		days := w.days()
		slices.Sort(days)
		if !slices.Contains(days, today) || len(slices.Compact(slices.Clone(days))) != len(days) {
			t.Errorf("bills asked for: %v, want each day once, today among them", days)
		}
	})
}

// TestBillLate: a bill that is not ready, or cannot be had, is asked for
// again later, and not before half past ten of the next morning.
func TestBillLate(t *testing.T) {
	t.Parallel()
	following(t, func(t *testing.T, b *bench, _ func()) {
		w := &billingWeChat{fakeWeChat: b.wechat, failure: errors.New("not made yet")}
		b.PlayWeChat(w)
		b.rt.Use(b.Service)
		time.Sleep(150 * time.Minute)
		synctest.Wait()
		if days := w.days(); len(days) != 3 || days[0] != days[2] {
			t.Fatalf("bills asked for: %v, want the oldest, hourly", days)
		}
		w.billing.Lock()
		w.failure = nil
		w.billing.Unlock()
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		days := w.days()
		newest := slices.Max(days)
		if due := beijing.Day(time.Now().Add(-10*time.Hour-30*time.Minute).AddDate(0, 0, -1)); newest != due {
			t.Errorf("newest bill asked for is of %s, want %s", newest, due)
		}
	})
}

// TestListFindsConsoleRefunds: where WeChat lists a payment's refunds, a
// client that asks for fresh news gets those of the console, and so does the
// question that first says that a payment was made.
func TestListFindsConsoleRefunds(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund, bothGenerations)
	b.PlayWeChat(consoleWeChat{b.wechat})
	key, p := b.paidOrder("A000000001")
	b.wechat.byConsole(&p, "console@1", 30, relay.RefundStateSuccess)
	late := b.order("A000000002")
	unheard := b.native(late)
	b.wechat.paid(unheard.OutTradeNo, b.now())
	b.wechat.byConsole(&unheard, "console@2", 100, relay.RefundStateSuccess)
	for range 3 {
		for _, k := range []relay.OrderKey{key, late} {
			if _, err := b.Order(t.Context(), b.caller(b.client), k.OrderNo, true); err != nil {
				t.Fatal(err)
			}
		}
	}
	if v := b.view(key); v.Status != relay.OrderPartiallyRefunded || v.RefundedAmount != 30 {
		t.Errorf("order = %s with %d fen back, want 30", v.Status, v.RefundedAmount)
	}
	if v := b.view(late); v.Status != relay.OrderRefunded || v.PaidAmount != 100 {
		t.Errorf("order = %s with %d fen paid, want it paid and refunded", v.Status, v.PaidAmount)
	}
	if n := b.wechat.counted("list_refunds"); n > 3 {
		t.Errorf("WeChat was asked for %d lists in a moment", n)
	}
}

// TestConsoleRefundEndsCase: the operator gives a case's money back in
// WeChat's console instead of here.
func TestConsoleRefundEndsCase(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
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
	if v := b.view(key); v.Case == nil || v.Case.Status != relay.CaseHeld {
		t.Fatalf("order = %+v, want a held case", v)
	}
	held := b.view(key).Case.OutTradeNo
	b.wechat.byConsole(&relay.Payment{PaymentKey: relay.PaymentKey{MchID: testMchID, OutTradeNo: held}}, "console@1", 100, relay.RefundStateSuccess)
	b.wechat.mu.Lock()
	st := *b.wechat.refunds["console@1"]
	b.wechat.mu.Unlock()
	if err := b.notifyRefund(st); err != nil {
		t.Fatal(err)
	}
	v := b.view(key)
	if v.Case.Status != relay.CaseRefunded || v.Case.OutRefundNo != "console@1" || v.Status != relay.OrderPaid || v.RefundedAmount != 0 {
		t.Errorf("order = %+v with case %+v; want the case refunded and the order paid", v, v.Case)
	}
}
