package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func TestNotifySettles(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	req := goodOrder("A000000001")
	req.Attach, req.Metadata = "for you", json.RawMessage(`{"shelf": 7}`)
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); err != nil {
		t.Fatal(err)
	}
	key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
	p := b.native(key)
	at := time.Date(2026, 11, 21, 21, 20, 0, 0, time.UTC)
	tr := b.wechat.paid(p.OutTradeNo, at)
	if err := b.notify(tr); err != nil {
		t.Fatalf("Notify: %v", err)
	}
	v := b.view(key)
	if v.Status != relay.OrderPaid || v.PaidAmount != 100 || v.TransactionID != tr.TransactionID || v.TradeType != relay.TradeNative || v.PaidAt != "2026-11-22T05:20:00+08:00" {
		t.Errorf("order = %+v, want it paid by %s", v, tr.TransactionID)
	}
	if len(v.Payments) != 1 || v.Payments[0].Status != relay.PaymentPaid {
		t.Errorf("payments = %+v, want one, paid", v.Payments)
	}
	events := b.events()
	if len(events) != 1 || events[0].Type != relay.EventOrderPaid {
		t.Fatalf("events = %+v, want one order.paid", events)
	}
	var data map[string]any
	if err := json.Unmarshal(events[0].Data, &data); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"client_id": vectorClient, "order_no": "A000000001", "amount": 100.0, "currency": "CNY", "status": "paid",
		"out_trade_no": p.OutTradeNo, "transaction_id": tr.TransactionID, "trade_type": "native", "app_id": testAppID,
		"mch_id": testMchID, "paid_at": "2026-11-22T05:20:00+08:00", "attach": "for you",
	} {
		if data[name] != want {
			t.Errorf("data.%s = %v, want %v", name, data[name], want)
		}
	}
	if got := fmt.Sprint(data["payer"], data["metadata"]); got != "map[openid:o-buyer] map[shelf:7]" {
		t.Errorf("payer and metadata = %s", got)
	}
	full, err := b.Event(t.Context(), b.caller(b.client), events[0].ID)
	if err != nil || full.Delivery == nil || full.Delivery.Status != relay.DeliveryPending {
		t.Errorf("event = %+v, %v; want a pending delivery", full, err)
	}
	if _, err := b.Event(t.Context(), b.caller(b.ClientByID("2000000000000002")), events[0].ID); kindOf(err) != relay.KindNotFound {
		t.Errorf("another client reads the event: %v, want KindNotFound (C06)", err)
	}
}

// TestNotifyRepeated_A20_F25_J08 posts one notification a thousand times at
// once: one paid order, one event, all answered success.
func TestNotifyRepeated_A20_F25_J08(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	tr := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
	var wg sync.WaitGroup
	failures := make(chan error, 1000)
	for range 1000 {
		wg.Go(func() {
			if err := b.notify(tr); err != nil {
				failures <- err
			}
		})
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Errorf("a copy was refused: %v", err)
	}
	if n := len(b.events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	if v := b.view(key); v.Status != relay.OrderPaid || v.Case != nil {
		t.Errorf("order = %+v, want it paid without a case", v)
	}
}

// TestNotifyLate_F26: a repeat long after changes nothing.
func TestNotifyLate_F26(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	tr := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
	if err := b.notify(tr); err != nil {
		t.Fatal(err)
	}
	before, _ := json.Marshal(b.view(key))
	b.clock = time.Now().Add(48 * time.Hour)
	if err := b.notify(tr); err != nil {
		t.Errorf("repeat after two days: %v, want success", err)
	}
	if after, _ := json.Marshal(b.view(key)); string(after) != string(before) {
		t.Errorf("order changed from %s to %s", before, after)
	}
}

// TestNotifyCompares_B14_A15_A16_A17_F29 changes one fact of a genuine
// notification at a time. What is foreign is refused; what is ours but
// unequal is kept as a case and answered success; nothing of it settles.
func TestNotifyCompares_B14_A15_A16_A17_F29(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*relay.Transaction)
		kind   relay.Kind // refusal; 0: answered success
		anom   relay.CaseKind
	}{
		{"other merchant", func(tr *relay.Transaction) { tr.MchID = "1900000110" }, relay.KindParam, ""},
		{"other app id", func(tr *relay.Transaction) { tr.AppID = "wx9999999999999999" }, relay.KindParam, ""},
		{"not success", func(tr *relay.Transaction) { tr.State = relay.TradeUserPaying }, relay.KindParam, ""},
		{"paid less", func(tr *relay.Transaction) { tr.TotalFen = 1 }, 0, relay.CaseAmountMismatch},
		{"paid more", func(tr *relay.Transaction) { tr.TotalFen = 101 }, 0, relay.CaseAmountMismatch},
		{"other currency", func(tr *relay.Transaction) { tr.Currency = "HKD" }, 0, relay.CaseAmountMismatch},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			key := b.order("A000000001")
			tr := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
			tc.change(&tr)
			for range 3 { // repeats must not add to it
				if err := b.notify(tr); kindOf(err) != tc.kind {
					t.Fatalf("Notify = %v, want kind %d", err, tc.kind)
				}
			}
			v := b.view(key)
			if v.Status != relay.OrderPaying || v.PaidAmount != 0 {
				t.Errorf("order = %+v, want it unpaid", v)
			}
			events := b.events()
			if tc.anom == "" {
				if v.Case != nil || len(events) != 0 {
					t.Errorf("a refused notification left case %+v and %d events", v.Case, len(events))
				}
				return
			}
			if v.Case == nil || v.Case.Kind != tc.anom || v.Case.Amount != tr.TotalFen || v.Case.ExpectedAmount != 100 {
				t.Errorf("case = %+v, want %s of %d", v.Case, tc.anom, tr.TotalFen)
			}
			if len(events) != 1 || events[0].Type != relay.EventOrderAnomaly {
				t.Errorf("events = %+v, want one order.anomaly", events)
			}
		})
	}
}

// TestNotifyUnknown_A19: money for a number that was never issued is kept
// once, and WeChat is told failure so that it repeats.
func TestNotifyUnknown_A19(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newBench(t, store)
	tr := relay.Transaction{MchID: testMchID, AppID: testAppID, OutTradeNo: "stranger", TransactionID: "42", State: relay.TradeSuccess, TotalFen: 5, Currency: "CNY", SuccessTime: time.Now()}
	for range 2 {
		if err := b.notify(tr); kindOf(err) != relay.KindNotFound {
			t.Fatalf("Notify = %v, want KindNotFound", err)
		}
	}
	var cases []relay.Case
	if err := store.View(t.Context(), func(r relay.Reader) (err error) {
		cases, err = r.Cases("", 10)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 1 || cases[0].Kind != relay.CaseUnknownOrder || cases[0].AmountFen != 5 || cases[0].Payment.OutTradeNo != "stranger" {
		t.Errorf("cases = %+v, want the stranger's 5 fen once", cases)
	}
}

// TestNotifyRefused_A01_B18_F28: what is not genuine changes nothing, and a
// merchant that does not exist answers alike.
func TestNotifyRefused_A01_B18_F28(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	b.native(key)
	forged := b.Notify(t.Context(), "main", relay.RawNotification{})
	unknown := b.Notify(t.Context(), "nobody", relay.RawNotification{})
	if kindOf(forged) != relay.KindSign || kindOf(unknown) != relay.KindSign {
		t.Fatalf("forged: %v, unknown merchant: %v; want KindSign twice", forged, unknown)
	}
	var a, c *relay.Error
	if errors.As(forged, &a) && errors.As(unknown, &c) && a.Message != c.Message {
		t.Errorf("messages differ: %q, %q", a.Message, c.Message)
	}
	if v := b.view(key); v.Status != relay.OrderPaying || len(b.events()) != 0 {
		t.Errorf("order = %+v with %d events, want it untouched", v, len(b.events()))
	}
}

// TestTwoPaymentsPaid_A21: both payments of one order are paid; one settles,
// the other becomes a case, whatever comes first.
func TestTwoPaymentsPaid_A21(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	key := b.order("A000000001")
	first := b.native(key)
	b.wechat.mu.Lock()
	b.wechat.fail = map[string]error{} // WeChat closes the first, but its buyer was faster
	b.wechat.mu.Unlock()
	second, _, err := b.Payable(t.Context(), b.client, key, relay.TradeJSAPI, "o-other")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	var wg sync.WaitGroup
	for _, tr := range []relay.Transaction{b.wechat.paid(first.OutTradeNo, at), b.wechat.paid(second.OutTradeNo, at)} {
		wg.Go(func() {
			for range 20 {
				if err := b.notify(tr); err != nil {
					t.Errorf("Notify: %v", err)
				}
			}
		})
	}
	wg.Wait()
	v := b.view(key)
	if v.Status != relay.OrderPaid || v.PaidAmount != 100 || v.Case == nil || v.Case.Kind != relay.CaseDuplicatePayment || v.Case.Amount != 100 {
		t.Errorf("order = %+v, case = %+v; want it paid once with a duplicate held", v, v.Case)
	}
	if n := len(b.events()); n != 2 {
		t.Errorf("%d events, want order.paid and order.anomaly", n)
	}
}

// TestNotifyStoreTrouble_A24: when the store does not say yes, WeChat is not
// told success.
func TestNotifyStoreTrouble_A24(t *testing.T) {
	t.Parallel()
	store := &troubledStore{Store: memstore.New()}
	b := newBench(t, store)
	key := b.order("A000000001")
	tr := b.wechat.paid(b.native(key).OutTradeNo, time.Now())
	for _, trouble := range []error{fmt.Errorf("%w: disk full", relay.ErrUnavailable), errTest} {
		store.has(trouble)
		if err := b.notify(tr); kindOf(err) != relay.KindUnavailable {
			t.Errorf("Notify with %v = %v, want KindUnavailable", trouble, err)
		}
	}
	store.has(nil)
	if err := b.notify(tr); err != nil || b.view(key).Status != relay.OrderPaid {
		t.Errorf("Notify after recovery = %v, order %s", err, b.view(key).Status)
	}
}

// troubledStore refuses writes while it has trouble.
type troubledStore struct {
	relay.Store

	mu      sync.Mutex // guards trouble, for workers write too
	trouble error
}

// has sets the trouble from now on; nil ends it.
func (s *troubledStore) has(trouble error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = trouble
}

func (s *troubledStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	if trouble != nil {
		return trouble
	}
	return s.Store.Update(ctx, fn)
}

// TestOtherNotificationsAreKept: a genuine statement that settles nothing is
// acknowledged and kept.
func TestOtherNotificationsAreKept(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newBench(t, store)
	p := b.native(b.order("A000000001"))
	b.wechat.notice = &relay.Notification{ID: "EV-R", EventType: "REFUND.SUCCESS", Plaintext: []byte(`{"out_trade_no":"` + p.OutTradeNo + `"}`)}
	if err := b.Notify(t.Context(), "main", relay.RawNotification{}); err != nil {
		t.Fatal(err)
	}
	var kept []relay.Evidence
	if err := store.View(t.Context(), func(r relay.Reader) (err error) {
		kept, err = r.Evidence(p.PaymentKey)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(kept) != 1 || kept[0].EventType != "REFUND.SUCCESS" || !strings.Contains(string(kept[0].Plaintext), p.OutTradeNo) {
		t.Errorf("evidence = %+v, want the refund's statement", kept)
	}
}

// TestEventsPage walks the list by cursor.
func TestEventsPage(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	for i := range 5 {
		key := b.order(fmt.Sprintf("A%d", i))
		if err := b.notify(b.wechat.paid(b.native(key).OutTradeNo, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	seen, after, pages := 0, "", 0
	for more := true; more; pages++ {
		page, err := b.Events(t.Context(), b.caller(b.client), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		seen, after, more = seen+len(page.Events), page.Next, page.HasMore
	}
	if seen != 5 || pages != 3 {
		t.Errorf("%d events on %d pages, want 5 on 3", seen, pages)
	}
	page, err := b.Events(t.Context(), b.caller(b.client), after, 2)
	if err != nil || len(page.Events) != 0 || page.Next != after || page.HasMore {
		t.Errorf("at the end: %+v, %v; want nothing and the same cursor", page, err)
	}
	for _, bad := range []string{"x", "-1", "01", "1 ", "99999999999999999999999"} {
		if _, err := b.Events(t.Context(), b.caller(b.client), bad, 2); kindOf(err) != relay.KindParam {
			t.Errorf("cursor %q: %v, want KindParam", bad, err)
		}
	}
	if page, err := b.Events(t.Context(), b.caller(b.ClientByID("2000000000000002")), "", 200); err != nil || len(page.Events) != 0 {
		t.Errorf("another client sees %d events, %v", len(page.Events), err)
	}
}

// TestOtherNotifications_B14: what is kept is about this merchant, too.
func TestOtherNotifications_B14(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	for name, tc := range map[string]struct {
		plaintext string
		kind      relay.Kind
	}{
		"another merchant": {`{"mchid":"1900000110","out_trade_no":"T1"}`, relay.KindParam},
		"this merchant":    {`{"mchid":"1900000109","out_trade_no":"T1"}`, 0},
		"no merchant":      {`{"out_trade_no":"T1"}`, 0}, // as service providers' have it
		"no object":        {`[]`, 0},
	} {
		b.wechat.notice = &relay.Notification{ID: "EV-" + name, EventType: "REFUND.SUCCESS", Plaintext: []byte(tc.plaintext)}
		if err := b.Notify(t.Context(), "main", relay.RawNotification{}); kindOf(err) != tc.kind || (err == nil) != (tc.kind == 0) {
			t.Errorf("%s: %v, want kind %d", name, err, tc.kind)
		}
	}
}
