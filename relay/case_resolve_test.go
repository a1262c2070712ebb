package relay_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestResolveCase lets the operator decide about each kind of held money.
func TestResolveCase(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind   relay.CaseKind
		action relay.CaseAction
		status relay.CaseStatus // empty: refused
		order  relay.OrderStatus
		told   []relay.EventType // afterwards
	}{
		{relay.CaseAmountMismatch, relay.ActionRefund, relay.CaseRefunding, relay.OrderPaying, []relay.EventType{relay.EventOrderAnomaly}},
		{relay.CaseAmountMismatch, relay.ActionDismiss, relay.CaseResolved, relay.OrderPaying, []relay.EventType{relay.EventOrderAnomaly}},
		{relay.CaseAmountMismatch, relay.ActionAccept, "", relay.OrderPaying, nil},
		{relay.CasePaidAfterClose, relay.ActionRefund, relay.CaseRefunding, relay.OrderClosed, []relay.EventType{relay.EventOrderAnomaly}},
		{relay.CasePaidAfterClose, relay.ActionDismiss, relay.CaseResolved, relay.OrderClosed, []relay.EventType{relay.EventOrderAnomaly}},
		{relay.CasePaidAfterClose, relay.ActionAccept, relay.CaseResolved, relay.OrderPaid, []relay.EventType{relay.EventOrderPaid, relay.EventOrderAnomaly}},
		{relay.CaseDuplicatePayment, relay.ActionRefund, relay.CaseRefunding, relay.OrderPaid, []relay.EventType{relay.EventOrderAnomaly}},
		{relay.CaseDuplicatePayment, relay.ActionAccept, "", relay.OrderPaid, nil},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.kind, tc.action), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			key := b.order("A000000001")
			if err := b.notify(anomalies[tc.kind](b, key)); err != nil {
				t.Fatal(err)
			}
			id, before := b.onlyCase().ID, len(b.events())
			decision := relay.Resolution{Action: tc.action, Reason: "seen", By: "ann"}
			for range 3 {
				c, err := b.ResolveCase(t.Context(), id, decision)
				if tc.status == "" {
					if kindOf(err) != relay.KindCaseConflict {
						t.Fatalf("ResolveCase = %v, want KindCaseConflict", err)
					}
					continue
				}
				if err != nil || c.Status != tc.status || c.ResolvedBy != "ann" || c.Reason != "seen" {
					t.Fatalf("ResolveCase = %+v, %v; want it %s by ann", c, err, tc.status)
				}
			}
			if v := b.view(key); v.Status != tc.order {
				t.Errorf("order is %s, want %s", v.Status, tc.order)
			}
			if got := b.eventTypes()[before:]; fmt.Sprint(got) != fmt.Sprint(tc.told) {
				t.Errorf("events = %v, want %v", got, tc.told)
			}
			other := decision
			if other.Action = relay.ActionDismiss; tc.action == relay.ActionDismiss {
				other.Action = relay.ActionRefund
			}
			if _, err := b.ResolveCase(t.Context(), id, other); tc.status != "" && kindOf(err) != relay.KindCaseConflict {
				t.Errorf("another word = %v, want KindCaseConflict", err)
			}
			b.balanced()
		})
	}
}

// TestResolveOnce_J08: two operators at once; the money goes back once.
func TestResolveOnce_J08(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	if err := b.notify(anomalies[relay.CasePaidAfterClose](b, key)); err != nil {
		t.Fatal(err)
	}
	id := b.onlyCase().ID
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			action := []relay.CaseAction{relay.ActionRefund, relay.ActionAccept, relay.ActionDismiss}[i%3]
			_, err := b.ResolveCase(t.Context(), id, relay.Resolution{Action: action, Reason: "x", By: fmt.Sprint(i)})
			if err != nil && kindOf(err) != relay.KindCaseConflict {
				t.Errorf("ResolveCase = %v", err)
			}
		})
	}
	wg.Wait()
	c, o := b.onlyCase(), b.stored(key)
	if refunds := len(o.Refunds); c.Status == relay.CaseHeld || refunds != 0 && (refunds != 1 || o.Status != relay.OrderClosed) {
		t.Errorf("case = %+v, order %s with %d refunds; want one decision", c, o.Status, refunds)
	}
	b.balanced()
}

// TestResolveNeedsWords: a decision without a reason is none.
func TestResolveNeedsWords(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	for name, r := range map[string]relay.Resolution{
		"no action":       {Reason: "x"},
		"unknown action":  {Action: "keep", Reason: "x"},
		"no reason":       {Action: relay.ActionDismiss},
		"long reason":     {Action: relay.ActionDismiss, Reason: strings.Repeat("x", 513)},
		"control in text": {Action: relay.ActionDismiss, Reason: "x\ny"},
		"control in name": {Action: relay.ActionDismiss, Reason: "x", By: "a\x1b[2J"},
		"long name":       {Action: relay.ActionDismiss, Reason: "x", By: strings.Repeat("x", 129)},
	} {
		if _, err := b.ResolveCase(t.Context(), "case_1", r); kindOf(err) != relay.KindParam {
			t.Errorf("%s: %v, want KindParam", name, err)
		}
	}
	if _, err := b.ResolveCase(t.Context(), "case_1", relay.Resolution{Action: relay.ActionDismiss, Reason: "x"}); kindOf(err) != relay.KindNotFound {
		t.Errorf("a case that does not exist: %v, want KindNotFound", err)
	}
}

// TestCountCases: metrics see every kind and state.
func TestCountCases(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.clock = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for i := range 3 {
		if err := b.notify(anomalies[relay.CaseAmountMismatch](b, b.order(fmt.Sprintf("A%09d", i)))); err != nil {
			t.Fatal(err)
		}
	}
	counts, err := b.rt.CountCases(t.Context())
	want := relay.CaseCount{Kind: relay.CaseAmountMismatch, Status: relay.CaseHeld, Number: 3, Fen: 303}
	if err != nil || len(counts) != 1 || counts[0] != want {
		t.Errorf("CountCases = %+v, %v; want %+v", counts, err, want)
	}
}
