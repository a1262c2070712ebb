package relay_test

import (
	"context"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// listingWeChat lists what somebody gave back in its console.
type listingWeChat struct {
	*fakeWeChat
	console []relay.RefundStatement
}

func (w *listingWeChat) ListRefunds(context.Context, *relay.Payment) ([]relay.RefundStatement, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.console, w.called("list_refunds", "")
}

// givenBackUnheard lets the buyer pay, and somebody give fen of it back in
// WeChat's console, while the relay hears nothing.
func (b *bench) givenBackUnheard(p relay.Payment, fen int64) {
	b.t.Helper()
	tr := b.wechat.paid(p.OutTradeNo, b.now())
	tr.State = relay.TradeRefund
	b.wechat.mu.Lock()
	b.wechat.payments[p.OutTradeNo] = &tr
	b.wechat.mu.Unlock()
	b.PlayWeChat(&listingWeChat{b.wechat, []relay.RefundStatement{{
		MchID: testMchID, OutRefundNo: "console@1", RefundID: "50001", OutTradeNo: p.OutTradeNo, TransactionID: tr.TransactionID,
		State: relay.RefundStateSuccess, AmountFen: fen, TotalFen: 100, SuccessTime: b.now(),
	}}})
}

func bothGenerations(cfg *relay.Config) {
	cfg.Merchants[0].APIv2 = &relay.APIv2Credentials{Key: relay.NewSecret(strings.Repeat("v", 32)), SignType: relay.V2SignHMACSHA256}
}

// TestPaidAndGivenBackUnheard: the relay learns by query that an order was
// paid and its money given back in the console meanwhile. Its client must not
// be left to deliver.
func TestPaidAndGivenBackUnheard(t *testing.T) {
	t.Parallel()
	for fen, status := range map[int64]relay.OrderStatus{100: relay.OrderRefunded, 30: relay.OrderPartiallyRefunded} {
		t.Run(string(status), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), bothGenerations)
			key := b.order("A000000001")
			b.givenBackUnheard(b.native(key), fen)
			for range 2 {
				if err := b.Refresh(t.Context(), key); err != nil {
					t.Fatal(err)
				}
			}
			if v := b.view(key); v.Status != status || v.RefundedAmount != fen || v.PaidAmount != 100 {
				t.Errorf("order = %s with %d fen back, want it %s", v.Status, v.RefundedAmount, status)
			}
			if types := b.eventTypes(); len(types) != 2 || types[0] != relay.EventOrderPaid || types[1] != relay.EventRefundSucceeded {
				t.Errorf("events = %v, want order.paid and refund.succeeded", types)
			}
			b.balanced()
		})
	}
}

// TestCaseGivenBackUnheard: the policy orders the refund of money that the
// console has given back already. WeChat refuses, and the case has ended well.
func TestCaseGivenBackUnheard(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), bothGenerations, func(cfg *relay.Config) { cfg.Merchants[0].Anomaly = policies(relay.PolicyRefund) })
	key := b.order("A000000001")
	p := b.native(key)
	if _, err := b.CloseOrder(t.Context(), b.caller(b.client), key.OrderNo); err != nil {
		t.Fatal(err)
	}
	b.clock = b.now().Add(relay.ExpiryTick)
	b.givenBackUnheard(p, 100)
	if err := b.Refresh(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	b.wechat.failing("refund", &relay.GatewayError{Op: "refund", HTTPStatus: 400, Code: "INVALID_REQUEST"})
	if err := b.rt.FollowRefunds(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := b.onlyCase(); c.Status != relay.CaseRefunded || c.ResolvedBy != "merchant console" {
		t.Errorf("case = %+v, want it given back by the console", c)
	}
	b.balanced()
}
