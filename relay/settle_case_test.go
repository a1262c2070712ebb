package relay_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// heard is how the relay learns of a payment.
var heard = map[string]func(*bench, relay.OrderKey, relay.Transaction) error{
	"by notification": func(b *bench, _ relay.OrderKey, tr relay.Transaction) error { return b.notify(tr) },
	"by query": func(b *bench, key relay.OrderKey, tr relay.Transaction) error {
		b.wechat.mu.Lock()
		b.wechat.payments[tr.OutTradeNo] = &tr
		b.wechat.mu.Unlock()
		return b.Refresh(b.t.Context(), key)
	},
}

// TestPaidAroundClose_A21: whether money came in time is judged by WeChat's
// time of payment, never by when the relay heard of it. Money that came in
// time settles its order even when the news is hours late; money that came
// after the close or the expiry is a case, and the order stays closed.
func TestPaidAroundClose_A21(t *testing.T) {
	t.Parallel()
	const life = 2 * time.Hour // of an order
	for _, tc := range []struct {
		name    string
		closeAt time.Duration // after creation; 0: not closed
		paidAt  time.Duration
		heardAt time.Duration
		status  relay.OrderStatus
		reason  string
		odd     bool
		events  []relay.EventType
	}{
		{"paid before the close, heard after", time.Hour, 30 * time.Minute, 90 * time.Minute, relay.OrderPaid, "", false, []relay.EventType{relay.EventOrderClosed, relay.EventOrderPaid}},
		{"paid in the second of the close", time.Hour, time.Hour, time.Hour + time.Minute, relay.OrderClosed, relay.CloseReasonRequested, true, []relay.EventType{relay.EventOrderClosed, relay.EventOrderAnomaly}},
		{"paid after the close", time.Hour, time.Hour + time.Minute, 90 * time.Minute, relay.OrderClosed, relay.CloseReasonRequested, true, []relay.EventType{relay.EventOrderClosed, relay.EventOrderAnomaly}},
		{"paid in time, heard after hours without a network", 0, time.Hour, 30 * time.Hour, relay.OrderPaid, "", false, []relay.EventType{relay.EventOrderPaid}},
		{"paid in the second of the expiry", 0, life, life, relay.OrderPaid, "", false, []relay.EventType{relay.EventOrderPaid}},
		{"paid after the expiry, before the relay closed it", 0, life + time.Second, life + time.Minute, relay.OrderClosed, relay.CloseReasonExpired, true, []relay.EventType{relay.EventOrderClosed, relay.EventOrderAnomaly}},
	} {
		for way, hear := range heard {
			t.Run(tc.name+" "+way, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, memstore.New())
				began := time.Now().Truncate(time.Second)
				b.clock = began
				key := b.order("A000000001")
				p := b.native(key)
				if tc.closeAt != 0 {
					b.clock = began.Add(tc.closeAt + 700*time.Millisecond)
					if _, err := b.CloseOrder(t.Context(), b.caller(b.client), key.OrderNo); err != nil {
						t.Fatal(err)
					}
				}
				b.clock = began.Add(tc.heardAt)
				for range 3 {
					if err := hear(b, key, b.wechat.paid(p.OutTradeNo, began.Add(tc.paidAt))); err != nil {
						t.Fatalf("hearing of it: %v", err)
					}
				}
				v := b.view(key)
				if v.Status != tc.status || v.CloseReason != tc.reason || (v.PaidAmount == 100) != (tc.status == relay.OrderPaid) {
					t.Errorf("order = %+v, want it %s %s", v, tc.status, tc.reason)
				}
				if (v.Case != nil) != tc.odd || tc.odd && (v.Case.Kind != relay.CasePaidAfterClose || v.Case.Amount != 100) {
					t.Errorf("case = %+v, want one: %t", v.Case, tc.odd)
				}
				if got := b.eventTypes(); fmt.Sprint(got) != fmt.Sprint(tc.events) {
					t.Errorf("events = %v, want %v", got, tc.events)
				}
				b.rt.SweepExpired(t.Context())
				if after := b.view(key); after.Status != tc.status {
					t.Errorf("the expiry made the order %s", after.Status)
				}
				b.balanced()
			})
		}
	}
}

// anomalies makes each kind of money that cannot settle its order and
// returns WeChat's statement of it.
var anomalies = map[relay.CaseKind]func(*bench, relay.OrderKey) relay.Transaction{
	relay.CaseAmountMismatch: func(b *bench, key relay.OrderKey) relay.Transaction {
		tr := b.wechat.paid(b.native(key).OutTradeNo, b.now().Truncate(time.Second))
		tr.TotalFen = 101
		return tr
	},
	relay.CasePaidAfterClose: func(b *bench, key relay.OrderKey) relay.Transaction {
		p := b.native(key)
		if _, err := b.CloseOrder(b.t.Context(), b.caller(b.client), key.OrderNo); err != nil {
			b.t.Fatal(err)
		}
		return b.wechat.paid(p.OutTradeNo, b.now().Add(time.Minute).Truncate(time.Second))
	},
	relay.CaseDuplicatePayment: func(b *bench, key relay.OrderKey) relay.Transaction {
		first := b.native(key)
		second, _, err := b.Payable(b.t.Context(), b.client, key, relay.TradeJSAPI, "o-other")
		if err != nil {
			b.t.Fatal(err)
		}
		at := b.now().Truncate(time.Second)
		if err := b.notify(b.wechat.paid(first.OutTradeNo, at)); err != nil {
			b.t.Fatal(err)
		}
		return b.wechat.paid(second.OutTradeNo, at)
	},
}

func policies(p relay.CasePolicy) relay.AnomalyPolicy {
	return relay.AnomalyPolicy{DuplicatePayment: p, PaidAfterClose: p, AmountMismatch: p}
}

// TestAnomalies walks each anomaly by each way to hear of it under each
// policy, again and again. What the generations do differently lies before
// the settling; both are walked through the built server in cmd/caddy.
func TestAnomalies_A16_A21_B14(t *testing.T) {
	t.Parallel()
	for kind, happen := range anomalies {
		for way, hear := range heard {
			for _, policy := range []relay.CasePolicy{"", relay.PolicyHold, relay.PolicyRefund} {
				t.Run(fmt.Sprintf("%s %s %s", kind, way, policy), func(t *testing.T) {
					t.Parallel()
					b := newBench(t, memstore.New(), func(c *relay.Config) { c.Merchants[0].Anomaly = policies(policy) })
					key := b.order("A000000001")
					tr := happen(b, key)
					before := len(b.events())
					for range 50 {
						if err := hear(b, key, tr); err != nil {
							t.Fatalf("hearing of it: %v", err)
						}
					}
					events := b.events()
					if len(events) != before+1 || events[before].Type != relay.EventOrderAnomaly {
						t.Fatalf("%d new events, want one order.anomaly", len(events)-before)
					}
					c := b.onlyCase()
					if c.Kind != kind || c.AmountFen != tr.TotalFen || c.TransactionID != tr.TransactionID || c.Order != key {
						t.Errorf("case = %+v, want %s of %d", c, kind, tr.TotalFen)
					}
					if policy == relay.PolicyRefund {
						b.refundedByPolicy(key, &c)
					} else if c.Status != relay.CaseHeld || c.Policy != relay.PolicyHold || len(b.stored(key).Refunds) != 0 {
						t.Errorf("case = %+v, want it held", c)
					}
					b.balanced()
				})
			}
		}
	}
}

// refundedByPolicy follows the money of a case back to the buyer.
func (b *bench) refundedByPolicy(key relay.OrderKey, c *relay.Case) {
	b.t.Helper()
	o := b.stored(key)
	if c.Status != relay.CaseRefunding || len(o.Refunds) != 1 || o.Refunds[0] != c.OutRefundNo {
		b.t.Fatalf("case = %+v with refunds %v, want one under way", c, o.Refunds)
	}
	r := b.refund(c.OutRefundNo)
	if r.AmountFen != c.AmountFen || r.Source != relay.RefundByCase || r.CaseID != c.ID || r.OutTradeNo != c.Payment.OutTradeNo || r.Reason == "" || r.DueAt.IsZero() {
		b.t.Errorf("refund = %+v, want the case's money, due", r)
	}
	before := len(b.events())
	b.endRefund(r, relay.RefundSucceeded)
	b.endRefund(r, relay.RefundSucceeded)
	if got := b.onlyCase(); got.Status != relay.CaseRefunded || got.ResolvedAt.IsZero() {
		b.t.Errorf("afterwards the case is %+v, want it refunded", got)
	}
	events := b.events()
	if len(events) != before+1 {
		b.t.Fatalf("%d new events, want one", len(events)-before)
	}
	var data struct {
		Case    relay.CaseView `json:"case"`
		Version uint64         `json:"version"`
	}
	if err := json.Unmarshal(events[before].Data, &data); err != nil || data.Case.Status != relay.CaseRefunded || data.Version != o.Version+1 {
		b.t.Errorf("the event tells %+v, %v; want the case refunded in version %d", data, err, o.Version+1)
	}
}

// TestCaseRefundFails: money that does not go back waits for the operator,
// and the client is told; the operator can try again.
func TestCaseRefundFails(t *testing.T) {
	t.Parallel()
	for _, status := range []relay.RefundStatus{relay.RefundFailed, relay.RefundAbnormal} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), func(c *relay.Config) { c.Merchants[0].Anomaly = policies(relay.PolicyRefund) })
			key := b.order("A000000001")
			if err := b.notify(anomalies[relay.CaseAmountMismatch](b, key)); err != nil {
				t.Fatal(err)
			}
			first := b.refund(b.onlyCase().OutRefundNo)
			first.FailCode = "NOT_ENOUGH"
			b.endRefund(first, status)
			c := b.onlyCase()
			if c.Status != relay.CaseHeld || c.HeldBecause == "" || len(b.events()) != 2 {
				t.Fatalf("case = %+v with %d events, want it held with a reason, and told", c, len(b.events()))
			}
			b.balanced()
			if status == relay.RefundAbnormal {
				return // its money is still reserved at WeChat
			}
			c, err := b.ResolveCase(t.Context(), c.ID, relay.Resolution{Action: relay.ActionRefund, Reason: "account filled up", By: "ann"})
			if err != nil || c.Status != relay.CaseRefunding || c.OutRefundNo == first.OutRefundNo {
				t.Fatalf("ResolveCase = %+v, %v; want another refund", c, err)
			}
			b.endRefund(first, status) // old news
			b.endRefund(b.refund(c.OutRefundNo), relay.RefundSucceeded)
			if c = b.onlyCase(); c.Status != relay.CaseRefunded || c.ResolvedBy != "ann" || c.Reason != "account filled up" {
				t.Errorf("case = %+v, want it refunded by ann", c)
			}
			b.balanced()
		})
	}
}

// TestDailyRefundLimit: what goes back by policy is bounded by the Beijing
// day and the merchant; the rest waits, visibly.
func TestDailyRefundLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) {
		c.Merchants[0].Anomaly = policies(relay.PolicyRefund)
		c.Merchants[0].Anomaly.DailyRefundFen = 250
	})
	b.clock = time.Date(2026, 11, 22, 15, 59, 0, 0, time.UTC) // a minute before midnight in Beijing
	want := []relay.CaseStatus{relay.CaseRefunding, relay.CaseRefunding, relay.CaseHeld, relay.CaseRefunding}
	for i, status := range want {
		if i == 3 {
			b.clock = b.clock.Add(2 * time.Minute)
		}
		key := b.order(fmt.Sprintf("A%09d", i))
		if err := b.notify(anomalies[relay.CaseAmountMismatch](b, key)); err != nil {
			t.Fatal(err)
		}
		v := b.view(key)
		if v.Case.Status != status {
			t.Errorf("case %d is %s, want %s", i, v.Case.Status, status)
		}
	}
	b.balanced()
}

// TestAnomalyOfAnotherCurrency_A17: money in another currency never goes back
// by itself: a refund would be of as many fen.
func TestAnomalyOfAnotherCurrency_A17(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Merchants[0].Anomaly = policies(relay.PolicyRefund) })
	tr := b.wechat.paid(b.native(b.order("A000000001")).OutTradeNo, time.Now())
	tr.Currency = "HKD"
	if err := b.notify(tr); err != nil {
		t.Fatal(err)
	}
	c := b.onlyCase()
	if c.Status != relay.CaseHeld || c.HeldBecause == "" || c.Currency != "HKD" {
		t.Errorf("case = %+v, want it held", c)
	}
	_, err := b.ResolveCase(t.Context(), c.ID, relay.Resolution{Action: relay.ActionRefund, Reason: "x", By: "ann"})
	if kindOf(err) != relay.KindCaseConflict {
		t.Errorf("refund by the operator = %v, want KindCaseConflict", err)
	}
}

// TestUnknownOrderFound_A19: when a restored store knows the order again, a
// repeated notification settles it and ends the case.
func TestUnknownOrderFound_A19(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newBench(t, store)
	key := b.order("A000000001")
	p := b.native(key)
	tr := b.wechat.paid(p.OutTradeNo, time.Now().Truncate(time.Second))

	lost := memstore.New()
	without := newBench(t, lost)
	for range 3 {
		if err := without.notify(tr); kindOf(err) != relay.KindNotFound {
			t.Fatalf("Notify = %v, want KindNotFound", err)
		}
	}
	c := without.onlyCase()
	if c.Kind != relay.CaseUnknownOrder || c.Status != relay.CaseHeld || c.Policy != relay.PolicyHold {
		t.Errorf("case = %+v, want unknown_order held", c)
	}
	o := b.stored(key)
	if err := lost.Update(t.Context(), func(tx relay.Tx) error {
		return errors.Join(tx.PutOrder(&o), tx.PutPayment(&p))
	}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := without.notify(tr); err != nil {
			t.Fatalf("Notify after the restore = %v, want success", err)
		}
	}
	if v := without.view(key); v.Status != relay.OrderPaid || v.Case != nil {
		t.Errorf("order = %+v, want it paid without a case", v)
	}
	if c = without.onlyCase(); c.Status != relay.CaseResolved || c.Order != key || c.ResolvedBy != "relay" || c.Reason == "" {
		t.Errorf("case = %+v, want it resolved by itself", c)
	}
	without.balanced()
}

// TestSettleCompares_R2_A14_A15 changes what says whose money it is, one
// field at a time: nothing of it is booked.
func TestSettleCompares_R2_A14_A15_A22(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*relay.Transaction){
		"sub merchant":            func(tr *relay.Transaction) { tr.SubMchID = "1900000110" },
		"sub app id":              func(tr *relay.Transaction) { tr.SubAppID = "wx9999999999999999" },
		"attach":                  func(tr *relay.Transaction) { tr.Attach = "x" },
		"a transaction used once": func(tr *relay.Transaction) { tr.TransactionID = "used" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			first := b.wechat.paid(b.native(b.order("A000000000")).OutTradeNo, time.Now())
			first.TransactionID = "used"
			if err := b.notify(first); err != nil {
				t.Fatal(err)
			}
			key := b.order("A000000001")
			genuine := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
			changed := genuine
			change(&changed)
			before := len(b.events())
			if err := b.notify(changed); kindOf(err) != relay.KindParam {
				t.Errorf("Notify = %v, want KindParam", err)
			}
			if v := b.view(key); v.Status != relay.OrderPaying || v.Case != nil || len(b.events()) != before {
				t.Errorf("order = %+v, want it untouched", v)
			}
			if err := b.notify(genuine); err != nil || b.view(key).Status != relay.OrderPaid {
				t.Errorf("the genuine one = %v, order %s; want it paid", err, b.view(key).Status)
			}
			if err := b.notify(changed); name != "a transaction used once" && kindOf(err) != relay.KindParam {
				t.Errorf("changed, after the genuine one = %v, want KindParam", err)
			}
		})
	}
}

// TestTwoTransactionsOfOnePayment_A21: a second and third transaction of one
// payment are cases of their own, held, however often they are told.
func TestTwoTransactionsOfOnePayment_A21(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Merchants[0].Anomaly = policies(relay.PolicyRefund) })
	key := b.order("A000000001")
	tr := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
	for range 3 {
		for _, id := range []string{"one", "two", "three"} {
			tr.TransactionID = id
			if err := b.notify(tr); err != nil {
				t.Fatal(err)
			}
		}
	}
	cases := b.cases()
	if len(cases) != 2 || b.view(key).PaidAmount != 100 || b.view(key).TransactionID != "one" {
		t.Fatalf("cases = %+v, order %+v; want two and the first to settle", cases, b.view(key))
	}
	for _, c := range cases {
		if c.Status != relay.CaseHeld || c.Kind != relay.CaseDuplicatePayment || c.HeldBecause == "" {
			t.Errorf("case = %+v, want it held", c)
		}
	}
	b.balanced()
}

// TestTwoBuyersAtOnce_J08: two buyers pay two payments of one order in the
// same instant, and both are told of a hundred times, by notification and by
// query at once.
func TestTwoBuyersAtOnce_J08(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Merchants[0].Anomaly = policies(relay.PolicyRefund) })
	key := b.order("A000000001")
	first := b.native(key)
	second, _, err := b.Payable(t.Context(), b.client, key, relay.TradeJSAPI, "o-other")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now().Truncate(time.Second)
	var wg sync.WaitGroup
	for _, tr := range []relay.Transaction{b.wechat.paid(first.OutTradeNo, at), b.wechat.paid(second.OutTradeNo, at)} {
		for range 100 {
			wg.Go(func() {
				n := &relay.Notification{ID: "EV-" + tr.TransactionID, Transaction: &tr, Plaintext: []byte(`{}`)}
				if err := b.Settle(b.t.Context(), n); err != nil {
					t.Errorf("settling: %v", err)
				}
			})
		}
	}
	wg.Wait()
	v := b.view(key)
	c := b.onlyCase()
	if v.Status != relay.OrderPaid || v.PaidAmount != 100 || c.Kind != relay.CaseDuplicatePayment || c.Status != relay.CaseRefunding {
		t.Errorf("order = %+v, case = %+v; want it paid once and the duplicate on its way back", v, c)
	}
	if n := len(b.stored(key).Refunds); n != 1 {
		t.Errorf("%d refunds, want 1", n)
	}
	b.balanced()
}

func (b *bench) eventTypes() (types []relay.EventType) {
	for _, e := range b.events() {
		types = append(types, e.Type)
	}
	return types
}

func (b *bench) read(fn func(relay.Reader) error) {
	b.t.Helper()
	if err := b.rt.Store().View(b.t.Context(), fn); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) cases() (cases []relay.Case) {
	b.t.Helper()
	b.read(func(r relay.Reader) (err error) {
		cases, err = r.Cases("", 100)
		return err
	})
	return cases
}

func (b *bench) onlyCase() relay.Case {
	b.t.Helper()
	cases := b.cases()
	if len(cases) != 1 {
		b.t.Fatalf("%d cases, want 1", len(cases))
	}
	return cases[0]
}

func (b *bench) stored(key relay.OrderKey) (o relay.Order) {
	b.t.Helper()
	b.read(func(r relay.Reader) (err error) {
		o, err = r.Order(key)
		return err
	})
	return o
}

func (b *bench) refund(no string) (r relay.Refund) {
	b.t.Helper()
	b.read(func(rd relay.Reader) (err error) {
		r, err = rd.Refund(relay.RefundKey{MchID: testMchID, OutRefundNo: no})
		return err
	})
	return r
}

// endRefund is what the follower of refunds commits.
func (b *bench) endRefund(r relay.Refund, status relay.RefundStatus) {
	b.t.Helper()
	err := b.rt.Store().Update(b.t.Context(), func(tx relay.Tx) error {
		p, err := tx.Payment(relay.PaymentKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo})
		if err != nil {
			return err
		}
		old, err := tx.Refund(r.RefundKey)
		if err != nil {
			return err
		}
		r.Status, r.DueAt = status, time.Time{}
		switch {
		case old.Status == relay.RefundProcessing && status == relay.RefundSucceeded:
			p.RefundedFen += r.AmountFen
		case old.Status == relay.RefundProcessing && status == relay.RefundFailed:
			p.ReservedFen -= r.AmountFen
		}
		if err := errors.Join(tx.PutPayment(&p), tx.PutRefund(&r)); err != nil {
			return err
		}
		return b.CaseRefundEnded(tx, &r, b.now())
	})
	if err != nil {
		b.t.Fatalf("ending a refund: %v", err)
	}
}

// balanced checks that all money that arrived is settled, given back or held:
// each transaction in exactly one of them.
func (b *bench) balanced() {
	b.t.Helper()
	var in, settledFen, heldFen, backFen int64
	seen := map[string]bool{}
	b.read(func(r relay.Reader) error {
		for _, e := range b.wechat.statements() {
			p, err := r.Payment(relay.PaymentKey{MchID: testMchID, OutTradeNo: e})
			if errors.Is(err, relay.ErrNotFound) || p.Status != relay.PaymentPaid {
				continue
			}
			o, err := r.Order(p.Order)
			if err != nil {
				return err
			}
			in += p.PaidFen
			seen[p.TransactionID] = true
			if o.PaidBy == p.OutTradeNo {
				settledFen += p.PaidFen
			}
		}
		cases, err := r.Cases("", 100)
		for _, c := range cases {
			if c.Kind == relay.CaseUnknownOrder && c.Order != (relay.OrderKey{}) {
				continue // settled since
			}
			if !seen[c.TransactionID] {
				in += c.AmountFen
			}
			switch {
			case c.Status == relay.CaseRefunded:
				backFen += c.AmountFen
			case c.Status == relay.CaseResolved && b.stored(c.Order).TransactionID == c.TransactionID: // accepted: settled
			default:
				heldFen += c.AmountFen
			}
		}
		return err
	})
	if in != settledFen+heldFen+backFen {
		b.t.Errorf("%d fen came in, but %d are settled, %d held and %d given back", in, settledFen, heldFen, backFen)
	}
}
