package relay_test

import (
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// lateMoney makes an order whose money came after its close, and returns its
// case.
func (b *bench) lateMoney() (relay.OrderKey, relay.Case) {
	b.t.Helper()
	key := b.order("A000000001")
	if err := b.notify(anomalies[relay.CasePaidAfterClose](b, key)); err != nil {
		b.t.Fatal(err)
	}
	return key, b.onlyCase()
}

func (b *bench) resolve(id string, action relay.CaseAction) (relay.Case, error) {
	b.t.Helper()
	return b.ResolveCase(b.t.Context(), id, relay.Resolution{Action: action, Reason: "the same words", By: "ann"})
}

// TestAcceptedThenRefunded_C09: a refund of a case seems refused, the operator
// accepts the money as the order's, and WeChat tells that the refund went
// through after all. The order must not stay paid with money that it has not.
func TestAcceptedThenRefunded_C09(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund, func(cfg *relay.Config) { cfg.Merchants[0].Anomaly = policies(relay.PolicyHold) })
	key, c := b.lateMoney()
	b.wechat.lose(&relay.GatewayError{Op: "refund", HTTPStatus: 400, Code: "INVALID_REQUEST"})
	if _, err := b.resolve(c.ID, relay.ActionRefund); err != nil {
		t.Fatal(err)
	}
	if err := b.rt.FollowRefunds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c = b.onlyCase(); c.Status != relay.CaseHeld {
		t.Fatalf("case = %+v, want it held again", c)
	}
	if _, err := b.resolve(c.ID, relay.ActionAccept); err != nil {
		t.Fatal(err)
	}
	before := len(b.events())
	if err := b.notifyRefund(b.wechat.refunded(c.OutRefundNo, relay.RefundStateSuccess, time.Now())); err != nil {
		t.Fatal(err)
	}
	if v := b.view(key); v.Status != relay.OrderRefunded || v.RefundedAmount != 100 {
		t.Errorf("order = %s with %d fen back, want it refunded", v.Status, v.RefundedAmount)
	}
	if events := b.events()[before:]; len(events) != 1 || events[0].Type != relay.EventRefundSucceeded {
		t.Errorf("events = %+v, want refund.succeeded", events)
	}
	b.balanced()
}

// TestConsoleRefundOfHeldMoney: part of a duplicate payment is given back in
// WeChat's console. That was never the order's money, so its client is not
// told of a refund.
func TestConsoleRefundOfHeldMoney(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund, func(cfg *relay.Config) { cfg.Merchants[0].Anomaly = policies(relay.PolicyHold) })
	key := b.order("A000000001")
	tr := anomalies[relay.CaseDuplicatePayment](b, key)
	if err := b.notify(tr); err != nil {
		t.Fatal(err)
	}
	before := len(b.events())
	if err := b.notifyRefund(relay.RefundStatement{
		MchID: testMchID, OutRefundNo: "console@1", RefundID: "50001", OutTradeNo: tr.OutTradeNo, TransactionID: tr.TransactionID,
		State: relay.RefundStateSuccess, AmountFen: 30, TotalFen: 100, SuccessTime: b.now(),
	}); err != nil {
		t.Fatal(err)
	}
	if v := b.view(key); v.Status != relay.OrderPaid || v.RefundedAmount != 0 {
		t.Errorf("order = %s with %d fen back, want it paid", v.Status, v.RefundedAmount)
	}
	for _, e := range b.events()[before:] {
		if e.Type == relay.EventRefundSucceeded {
			t.Errorf("the client is told %s of money that its order never had", e.Data)
		}
	}
}

// TestResolveOtherWord: the same operator with the same reason, but another
// action, about a case that has ended is refused: he would believe an order
// paid that is not.
func TestResolveOtherWord(t *testing.T) {
	t.Parallel()
	for first, then := range map[relay.CaseAction]relay.CaseAction{
		relay.ActionDismiss: relay.ActionAccept,
		relay.ActionAccept:  relay.ActionDismiss,
	} {
		t.Run(string(first)+" then "+string(then), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), func(cfg *relay.Config) { cfg.Merchants[0].Anomaly = policies(relay.PolicyHold) })
			_, c := b.lateMoney()
			for range 2 {
				if _, err := b.resolve(c.ID, first); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := b.resolve(c.ID, then); kindOf(err) != relay.KindCaseConflict {
				t.Errorf("%s = %v, want KindCaseConflict", then, err)
			}
		})
	}
}
