package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func mayRefund(cfg *relay.Config) {
	for _, c := range cfg.Clients {
		c.AllowRefund = true
	}
}

func wantRefund(no string, fen int64) relay.CreateRefundRequest {
	return relay.CreateRefundRequest{RefundNo: no, Amount: &fen, Reason: "too late"}
}

// paidOrder makes an order of 100 fen and lets the buyer pay it.
func (b *bench) paidOrder(no string) (relay.OrderKey, relay.Payment) {
	b.t.Helper()
	key := b.order(no)
	p := b.native(key)
	if err := b.notify(b.wechat.paid(p.OutTradeNo, b.now())); err != nil {
		b.t.Fatal(err)
	}
	return key, p
}

// paidAt is paidOrder for another client, whose merchant has a WeChat of its
// own.
func (b *bench) paidAt(merchant string, wechat *fakeWeChat, c *relay.Client, no string) (relay.OrderKey, relay.Payment) {
	b.t.Helper()
	if _, _, err := b.CreateOrder(b.t.Context(), b.caller(c), goodOrder(no)); err != nil {
		b.t.Fatal(err)
	}
	key := relay.OrderKey{ClientID: c.ID, OrderNo: no}
	p, _, err := b.Payable(b.t.Context(), c, key, relay.TradeNative, "")
	if err != nil {
		b.t.Fatal(err)
	}
	tr := wechat.paid(p.OutTradeNo, b.now())
	wechat.mu.Lock()
	wechat.notice = &relay.Notification{ID: "EV-" + tr.TransactionID, EventType: "TRANSACTION.SUCCESS", Transaction: &tr, Plaintext: []byte(`{}`)}
	wechat.mu.Unlock()
	if err := b.Notify(b.t.Context(), merchant, relay.RawNotification{}); err != nil {
		b.t.Fatal(err)
	}
	return key, p
}

func (b *bench) giveBack(key relay.OrderKey, no string, fen int64) relay.RefundView {
	b.t.Helper()
	v, created, err := b.CreateRefund(b.t.Context(), b.caller(b.ClientByID(key.ClientID)), key.OrderNo, wantRefund(no, fen))
	if err != nil || !created {
		b.t.Fatalf("CreateRefund(%s, %d) = created %t, %v", no, fen, created, err)
	}
	return v
}

// notifyRefund posts a genuine refund notification.
func (b *bench) notifyRefund(st relay.RefundStatement) error {
	b.wechat.mu.Lock()
	b.wechat.notice = &relay.Notification{ID: "EV-" + st.RefundID + string(st.State), EventType: "REFUND." + string(st.State), Refund: &st, Plaintext: []byte(`{}`)}
	b.wechat.mu.Unlock()
	return b.Notify(b.t.Context(), "main", relay.RawNotification{})
}

// called counts the calls of a kind.
func (f *fakeWeChat) counted(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, kind+" ") {
			n++
		}
	}
	return n
}

// lose makes refunds take effect without our hearing of it.
func (f *fakeWeChat) lose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lostRefund = err
}

// forget loses a refund that was taken.
func (f *fakeWeChat) forget(outRefundNo string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.refunds, outRefundNo)
}

// givenBack is the sum that WeChat gave or gives back of a payment.
func (f *fakeWeChat) givenBack(outTradeNo string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum int64
	for _, r := range f.refunds {
		if r.OutTradeNo == outTradeNo && r.State != relay.RefundStateClosed {
			sum += r.AmountFen
		}
	}
	return sum
}

// TestRefundInParts gives an order back in two parts, each told of.
func TestRefundInParts(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	first := b.giveBack(key, "R1", 30)
	if first.Status != relay.RefundProcessing || first.RefundID == "" || first.Amount != 30 || first.OrderNo != key.OrderNo || first.Reason != "too late" || first.Source != relay.RefundByClient {
		t.Errorf("first refund = %+v, want it taken by WeChat", first)
	}
	if v := b.view(key); v.Status != relay.OrderRefunding || v.RefundedAmount != 0 || len(v.Refunds) != 1 {
		t.Errorf("order on the way = %s, %d fen, %d refunds; want refunding", v.Status, v.RefundedAmount, len(v.Refunds))
	}
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	if err := b.notifyRefund(b.wechat.refunded(first.OutRefundNo, relay.RefundStateSuccess, at)); err != nil {
		t.Fatalf("refund notification: %v", err)
	}
	if v := b.view(key); v.Status != relay.OrderPartiallyRefunded || v.RefundedAmount != 30 || v.Refunds[0].SucceededAt != "2026-11-22T09:00:00+08:00" {
		t.Errorf("order after the first part = %+v", v)
	}
	second := b.giveBack(key, "R2", 70)
	if err := b.notifyRefund(b.wechat.refunded(second.OutRefundNo, relay.RefundStateSuccess, at)); err != nil {
		t.Fatal(err)
	}
	v := b.view(key)
	if v.Status != relay.OrderRefunded || v.RefundedAmount != 100 || v.PaidAmount != 100 {
		t.Errorf("order at the end = %s, %d of %d fen; want all refunded", v.Status, v.RefundedAmount, v.PaidAmount)
	}
	events := b.events()
	if len(events) != 3 || events[1].Type != relay.EventRefundSucceeded || events[2].Type != relay.EventRefundSucceeded {
		t.Fatalf("events = %+v, want order.paid and two refund.succeeded", events)
	}
	var data struct {
		OrderNo    string            `json:"order_no"`
		Status     relay.OrderStatus `json:"status"`
		OutTradeNo string            `json:"out_trade_no"`
		Refund     relay.RefundView  `json:"refund"`
	}
	if err := json.Unmarshal(events[2].Data, &data); err != nil {
		t.Fatal(err)
	}
	if data.OrderNo != key.OrderNo || data.Status != relay.OrderRefunded || data.OutTradeNo != p.OutTradeNo || data.Refund.RefundNo != "R2" || data.Refund.Amount != 70 {
		t.Errorf("event data = %+v", data)
	}
}

// TestRefundRepeated: the same request is the same refund, however often it
// comes, and WeChat's word changes things once.
func TestRefundRepeated(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	first := b.giveBack(key, "R1", 30)
	again, created, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R1", 30))
	if err != nil || created || again.OutRefundNo != first.OutRefundNo {
		t.Errorf("repeat = %+v, created %t, %v; want the first again", again, created, err)
	}
	if n := b.wechat.counted("refund"); n != 1 || b.wechat.givenBack(p.OutTradeNo) != 30 {
		t.Errorf("WeChat was told %d times and gives %d fen back", n, b.wechat.givenBack(p.OutTradeNo))
	}
	st := b.wechat.refunded(first.OutRefundNo, relay.RefundStateSuccess, b.now())
	for range 3 {
		if err := b.notifyRefund(st); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(b.events()); n != 2 {
		t.Errorf("%d events, want order.paid and one refund.succeeded", n)
	}
	if v := b.view(key); v.RefundedAmount != 30 {
		t.Errorf("refunded %d fen, want 30", v.RefundedAmount)
	}
}

// TestRefundRefusals: what cannot be given back is refused before WeChat
// hears of it.
func TestRefundRefusals_C09_C11_C12(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	unpaid := b.order("A000000002")
	b.giveBack(key, "R1", 60)
	for name, c := range map[string]struct {
		order string
		req   relay.CreateRefundRequest
		kind  relay.Kind
		field string
	}{
		"101 of 100":           {key.OrderNo, wantRefund("R2", 101), relay.KindAmountExceeded, "amount"},
		"more than is left":    {key.OrderNo, wantRefund("R2", 41), relay.KindAmountExceeded, "amount"},
		"negative":             {key.OrderNo, wantRefund("R2", -1), relay.KindParam, "amount"},
		"nothing":              {key.OrderNo, wantRefund("R2", 0), relay.KindParam, "amount"},
		"no amount":            {key.OrderNo, relay.CreateRefundRequest{RefundNo: "R2"}, relay.KindParam, "amount"},
		"no number":            {key.OrderNo, wantRefund("", 1), relay.KindParam, "refund_no"},
		"odd number":           {key.OrderNo, wantRefund("R 2", 1), relay.KindParam, "refund_no"},
		"long number":          {key.OrderNo, wantRefund(strings.Repeat("R", 33), 1), relay.KindParam, "refund_no"},
		"same number, other":   {key.OrderNo, wantRefund("R1", 40), relay.KindRefundConflict, "refund_no"},
		"number of another":    {unpaid.OrderNo, wantRefund("R1", 60), relay.KindRefundConflict, "refund_no"},
		"unpaid order":         {unpaid.OrderNo, wantRefund("R2", 1), relay.KindOrderConflict, ""},
		"no such order":        {"A000000009", wantRefund("R2", 1), relay.KindNotFound, ""},
		"long reason":          {key.OrderNo, relay.CreateRefundRequest{RefundNo: "R2", Amount: new(int64(1)), Reason: strings.Repeat("x", 81)}, relay.KindParam, "reason"},
		"line break in reason": {key.OrderNo, relay.CreateRefundRequest{RefundNo: "R2", Amount: new(int64(1)), Reason: "a\nb"}, relay.KindParam, "reason"},
		"emoji in reason":      {key.OrderNo, relay.CreateRefundRequest{RefundNo: "R2", Amount: new(int64(1)), Reason: "😀"}, relay.KindParam, "reason"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := b.CreateRefund(t.Context(), b.caller(b.client), c.order, c.req)
			var known *relay.Error
			if !errors.As(err, &known) || known.Kind != c.kind || known.Field != c.field {
				t.Errorf("CreateRefund = %v, want kind %d on %q", err, c.kind, c.field)
			}
		})
	}
	t.Cleanup(func() {
		if n := b.wechat.counted("refund"); n != 1 {
			t.Errorf("WeChat was told %d refunds, want 1", n)
		}
	})
}

// TestRefundNotAllowed: a client needs the word refund in its allow line, and
// a merchant without the certificate that v2 wants cannot refund.
func TestRefundNotAllowed(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	b.client.AllowRefund = false
	if _, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R1", 1)); kindOf(err) != relay.KindNoAuth {
		t.Errorf("without permission: %v, want KindNoAuth", err)
	}
	b.client.AllowRefund = true
	b.OnlyV2("main")
	if _, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R1", 1)); kindOf(err) != relay.KindNoAuth {
		t.Errorf("without certificate: %v, want KindNoAuth", err)
	}
	if v := b.view(key); len(v.Refunds) != 0 || v.Status != relay.OrderPaid {
		t.Errorf("order = %+v, want nothing stored", v)
	}
}

// TestRefundAfterAYear: WeChat gives money back for a year.
func TestRefundAfterAYear(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	b.clock = time.Now().Add(366 * 24 * time.Hour)
	if _, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R1", 1)); kindOf(err) != relay.KindOrderConflict {
		t.Errorf("CreateRefund = %v, want KindOrderConflict", err)
	}
}

// TestRefundRace_C09 asks for all of the money back thirty-two times at once,
// under different numbers: one wins, and no more than was paid goes back.
func TestRefundRace_C09(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	for _, fen := range []int64{40, 60} {
		var taken, exceeded atomic.Int32
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				_, _, err := b.CreateRefund(context.WithoutCancel(t.Context()), b.caller(b.client), key.OrderNo, wantRefund(fmt.Sprintf("R%d-%d", fen, i), fen))
				switch {
				case err == nil:
					taken.Add(1)
				case kindOf(err) == relay.KindAmountExceeded:
					exceeded.Add(1)
				default:
					t.Errorf("refund %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if want := map[int64]int32{40: 2, 60: 0}[fen]; taken.Load() != want || exceeded.Load() != 32-want {
			t.Errorf("%d times %d fen were taken and %d refused, want %d", taken.Load(), fen, exceeded.Load(), want)
		}
	}
	if sum := b.wechat.givenBack(p.OutTradeNo); sum != 80 {
		t.Errorf("WeChat gives %d fen back, want 80", sum)
	}
}

// TestRefundOfOthers_C06: another client's order and refund are as unknown as
// ones that never were, and two clients may use one number.
func TestRefundOfOthers_C06(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	b.giveBack(key, "R1", 30)
	other := b.ClientByID("2000000000000002")
	_, _, foreign := b.CreateRefund(t.Context(), b.caller(other), key.OrderNo, wantRefund("R1", 30))
	_, _, absent := b.CreateRefund(t.Context(), b.caller(other), "nothing", wantRefund("R1", 30))
	if kindOf(foreign) != relay.KindNotFound || foreign.Error() != absent.Error() {
		t.Errorf("refunding another's order: %v, an unknown one: %v; want the same KindNotFound", foreign, absent)
	}
	_, foreign = b.Refund(t.Context(), b.caller(other), "R1", true)
	_, absent = b.Refund(t.Context(), b.caller(other), "R9", true)
	if kindOf(foreign) != relay.KindNotFound || foreign.Error() != absent.Error() {
		t.Errorf("reading another's refund: %v, an unknown one: %v; want the same KindNotFound", foreign, absent)
	}
	if v, err := b.Refund(t.Context(), b.caller(b.client), "R1", false); err != nil || v.Amount != 30 {
		t.Errorf("reading the own refund = %+v, %v", v, err)
	}
}

// TestRefundRefused: WeChat's word that nothing will go back ends the refund
// and frees its money; what is not its last word leaves it on its way.
func TestRefundRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status relay.RefundStatus
		code   string
	}{
		"buyer's account":  {&relay.GatewayError{HTTPStatus: 403, Code: "USER_ACCOUNT_ABNORMAL"}, relay.RefundFailed, "USER_ACCOUNT_ABNORMAL"},
		"too old":          {&relay.GatewayError{HTTPStatus: 200, Code: "TRADE_OVERDUE"}, relay.RefundFailed, "TRADE_OVERDUE"},
		"no money":         {&relay.GatewayError{HTTPStatus: 403, Code: "NOT_ENOUGH"}, relay.RefundProcessing, "NOT_ENOUGH"},
		"no money, v2":     {&relay.GatewayError{HTTPStatus: 200, Code: "NOTENOUGH"}, relay.RefundProcessing, "NOTENOUGH"},
		"too soon":         {&relay.GatewayError{HTTPStatus: 429, Code: "FREQUENCY_LIMITED", Retryable: true}, relay.RefundProcessing, "FREQUENCY_LIMITED"},
		"too soon, v2":     {&relay.GatewayError{HTTPStatus: 200, Code: "INVALID_REQ_TOO_MUCH"}, relay.RefundProcessing, "INVALID_REQ_TOO_MUCH"},
		"WeChat's trouble": {&relay.GatewayError{HTTPStatus: 500, Code: "SYSTEM_ERROR", Retryable: true}, relay.RefundProcessing, "SYSTEM_ERROR"},
		"repeat, v2":       {&relay.GatewayError{HTTPStatus: 200, Code: "BIZERR_NEED_RETRY"}, relay.RefundProcessing, "BIZERR_NEED_RETRY"},
		"a proxy's page":   {&relay.GatewayError{HTTPStatus: 403}, relay.RefundProcessing, ""},
		"cut line":         {errTest, relay.RefundProcessing, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), mayRefund)
			key, _ := b.paidOrder("A000000001")
			b.wechat.failing("refund", c.err)
			v := b.giveBack(key, "R1", 100)
			if v.Status != c.status || v.FailCode != c.code || v.RefundID != "" {
				t.Errorf("refund = %+v, want %s with code %q", v, c.status, c.code)
			}
			wantOrder, wantEvents := relay.OrderRefunding, 1
			if c.status == relay.RefundFailed {
				wantOrder, wantEvents = relay.OrderPaid, 2
			}
			if o := b.view(key); o.Status != wantOrder || o.RefundedAmount != 0 {
				t.Errorf("order = %s with %d fen back, want %s", o.Status, o.RefundedAmount, wantOrder)
			}
			events := b.events()
			if len(events) != wantEvents || c.status == relay.RefundFailed && events[1].Type != relay.EventRefundFailed {
				t.Errorf("events = %+v, want %d", events, wantEvents)
			}
			b.wechat.failing("refund", nil)
			_, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R2", 100))
			if free := err == nil; free != (c.status == relay.RefundFailed) {
				t.Errorf("refunding again: %v, want it possible: %t", err, c.status == relay.RefundFailed)
			}
		})
	}
}

// TestRefundEnds: each end that WeChat gives a refund, by notification and by
// query, with what follows.
func TestRefundEnds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		state  relay.RefundState
		status relay.RefundStatus
		code   string
		order  relay.OrderStatus
		back   int64
		event  relay.EventType
	}{
		{relay.RefundStateSuccess, relay.RefundSucceeded, "", relay.OrderPartiallyRefunded, 30, relay.EventRefundSucceeded},
		{relay.RefundStateClosed, relay.RefundFailed, "CLOSED", relay.OrderPaid, 0, relay.EventRefundFailed},
		{relay.RefundStateAbnormal, relay.RefundAbnormal, "ABNORMAL", relay.OrderRefunding, 0, relay.EventRefundFailed},
	} {
		for _, by := range []string{"notification", "query"} {
			t.Run(string(c.state)+" by "+by, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, memstore.New(), mayRefund)
				key, _ := b.paidOrder("A000000001")
				r := b.giveBack(key, "R1", 30)
				st := b.wechat.refunded(r.OutRefundNo, c.state, b.now())
				if by == "notification" {
					if err := b.notifyRefund(st); err != nil {
						t.Fatal(err)
					}
				}
				v, err := b.Refund(t.Context(), b.caller(b.client), "R1", true)
				if err != nil || v.Status != c.status || v.FailCode != c.code || (v.SucceededAt != "") != (c.status == relay.RefundSucceeded) {
					t.Errorf("refund = %+v, %v; want %s, %q", v, err, c.status, c.code)
				}
				if o := b.view(key); o.Status != c.order || o.RefundedAmount != c.back {
					t.Errorf("order = %s with %d fen back, want %s with %d", o.Status, o.RefundedAmount, c.order, c.back)
				}
				if events := b.events(); len(events) != 2 || events[1].Type != c.event {
					t.Errorf("events = %+v, want %s", events, c.event)
				}
			})
		}
	}
}

// TestRefundAbnormalMended: what the merchant mends in WeChat's console ends
// well here too, and nothing turns back from there.
func TestRefundAbnormalMended(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	r := b.giveBack(key, "R1", 100)
	for _, state := range []relay.RefundState{
		relay.RefundStateAbnormal, relay.RefundStateAbnormal, relay.RefundStateSuccess, relay.RefundStateAbnormal, relay.RefundStateClosed,
	} {
		if err := b.notifyRefund(b.wechat.refunded(r.OutRefundNo, state, b.now())); err != nil {
			t.Errorf("%s: %v", state, err)
		}
	}
	if v := b.view(key); v.Status != relay.OrderRefunded || v.Refunds[0].Status != relay.RefundSucceeded || v.Refunds[0].FailCode != "" {
		t.Errorf("order = %+v, want it refunded", v)
	}
	if n := len(b.events()); n != 3 {
		t.Errorf("%d events, want order.paid, refund.failed, refund.succeeded", n)
	}
}

// TestRefundStatementsCompared_A15_A16_B14 changes one fact of a genuine
// statement at a time: it is refused, and nothing changes.
func TestRefundStatementsCompared_A15_A16_B14(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, _ := b.paidOrder("A000000001")
	r := b.giveBack(key, "R1", 30)
	_, otherPayment := b.paidOrder("A000000002")
	genuine := b.wechat.refunded(r.OutRefundNo, relay.RefundStateSuccess, b.now())
	for name, change := range map[string]func(*relay.RefundStatement){
		"merchant":          func(st *relay.RefundStatement) { st.MchID = "1900000110" },
		"sub merchant":      func(st *relay.RefundStatement) { st.SubMchID = "1900000110" },
		"payment":           func(st *relay.RefundStatement) { st.OutTradeNo = otherPayment.OutTradeNo },
		"unknown payment":   func(st *relay.RefundStatement) { st.OutTradeNo = "nothing" },
		"transaction":       func(st *relay.RefundStatement) { st.TransactionID = "42" },
		"WeChat's number":   func(st *relay.RefundStatement) { st.RefundID = "42" },
		"amount":            func(st *relay.RefundStatement) { st.AmountFen = 31 },
		"amount of payment": func(st *relay.RefundStatement) { st.TotalFen = 1000 },
	} {
		st := genuine
		change(&st)
		if err := b.notifyRefund(st); kindOf(err) != relay.KindParam {
			t.Errorf("another %s: Notify = %v, want KindParam", name, err)
		}
	}
	if v := b.view(key); v.Status != relay.OrderRefunding || v.Refunds[0].Status != relay.RefundProcessing {
		t.Errorf("order = %+v, want nothing changed", v)
	}
}

// TestRefundUnsigned_A23: a v2 notification that decrypts proves nothing. The
// one with spliced blocks says success; WeChat, asked, says something else,
// and that counts.
func TestRefundUnsigned_A23(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	r := b.giveBack(key, "R1", 30)
	forged := b.wechat.refunded(r.OutRefundNo, relay.RefundStateProcessing, b.now())
	forged.State, forged.Unsigned = relay.RefundStateSuccess, true
	if err := b.notifyRefund(forged); err != nil {
		t.Errorf("Notify = %v, want success: what it is about is being followed", err)
	}
	if v := b.view(key); v.Status != relay.OrderRefunding || v.RefundedAmount != 0 {
		t.Errorf("a forged success made the order %s with %d fen back", v.Status, v.RefundedAmount)
	}
	for name, change := range map[string]func(*relay.RefundStatement){
		"a refund that is not": func(st *relay.RefundStatement) { st.OutRefundNo = "made-up" },
		"another payment":      func(st *relay.RefundStatement) { st.OutTradeNo = "made-up" },
		"nothing of ours":      func(st *relay.RefundStatement) { st.OutTradeNo, st.OutRefundNo = "made-up", "made-up" },
	} {
		st := forged
		change(&st)
		if err := b.notifyRefund(st); kindOf(err) != relay.KindParam {
			t.Errorf("%s: Notify = %v, want KindParam", name, err)
		}
	}
	b.wechat.failing("query_refund", errTest)
	if err := b.notifyRefund(forged); kindOf(err) != relay.KindUnavailable {
		t.Errorf("while WeChat does not answer: %v, want KindUnavailable, so that it repeats", err)
	}
	b.wechat.failing("query_refund", nil)
	genuine := b.wechat.refunded(r.OutRefundNo, relay.RefundStateSuccess, b.now())
	genuine.Unsigned, genuine.AmountFen = true, 100 // the sum is spliced, the end is true
	if err := b.notifyRefund(genuine); err != nil {
		t.Fatal(err)
	}
	if v := b.view(key); v.Status != relay.OrderPartiallyRefunded || v.RefundedAmount != 30 {
		t.Errorf("order = %s with %d fen back, want what WeChat said when asked", v.Status, v.RefundedAmount)
	}
	if sum := b.wechat.givenBack(p.OutTradeNo); sum != 30 {
		t.Errorf("WeChat gives back %d", sum)
	}
}

// TestConsoleRefund: a refund made in WeChat's own console is booked as
// WeChat tells it, and one beyond what was paid is not.
func TestConsoleRefund(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	st := relay.RefundStatement{
		MchID: testMchID, OutRefundNo: "console@1", RefundID: "50001", OutTradeNo: p.OutTradeNo, TransactionID: "4200" + p.OutTradeNo,
		State: relay.RefundStateSuccess, AmountFen: 70, TotalFen: 100, SuccessTime: b.now(),
	}
	for range 2 {
		if err := b.notifyRefund(st); err != nil {
			t.Fatal(err)
		}
	}
	v := b.view(key)
	if v.Status != relay.OrderPartiallyRefunded || v.RefundedAmount != 70 || len(v.Refunds) != 1 || v.Refunds[0].Source != relay.RefundByConsole || v.Refunds[0].RefundNo != "" {
		t.Errorf("order = %+v, want 70 fen back by the console", v)
	}
	if events := b.events(); len(events) != 2 || events[1].Type != relay.EventRefundSucceeded {
		t.Errorf("events = %+v, want one refund.succeeded", events)
	}
	if _, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R1", 31)); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("31 of the 30 left: %v, want KindAmountExceeded", err)
	}
	more := st
	more.OutRefundNo, more.RefundID, more.AmountFen = "console@2", "50002", 31
	if err := b.notifyRefund(more); err != nil {
		t.Errorf("a sum that cannot be: %v, want it kept and answered", err)
	}
	elsewhere := st
	elsewhere.OutRefundNo, elsewhere.OutTradeNo = "console@3", "of-another-system"
	if err := b.notifyRefund(elsewhere); err != nil {
		t.Errorf("a refund of another system's payment: %v, want it kept and answered", err)
	}
	if after := b.view(key); after.RefundedAmount != 70 || len(after.Refunds) != 1 || after.Status != v.Status {
		t.Errorf("order = %+v, want it unchanged", after)
	}
}

// TestConsoleRefundOvertakesOurs: the console gives back what a refund of
// ours, not taken yet, had reserved. Ours fails, and the sums are right.
func TestConsoleRefundOvertakesOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	b.wechat.failing("refund", &relay.GatewayError{Code: "NOT_ENOUGH", HTTPStatus: 403})
	ours := b.giveBack(key, "R1", 60)
	if err := b.notifyRefund(relay.RefundStatement{
		MchID: testMchID, OutRefundNo: "console@1", RefundID: "50001", OutTradeNo: p.OutTradeNo, TransactionID: "4200" + p.OutTradeNo,
		State: relay.RefundStateSuccess, AmountFen: 100, TotalFen: 100, SuccessTime: b.now(),
	}); err != nil {
		t.Fatal(err)
	}
	if v := b.view(key); v.Status != relay.OrderRefunded || v.RefundedAmount != 100 {
		t.Errorf("order = %s with %d fen back, want refunded", v.Status, v.RefundedAmount)
	}
	b.wechat.failing("refund", &relay.GatewayError{Code: "INVALID_REQUEST", HTTPStatus: 400})
	b.clock = time.Now().Add(2 * time.Hour)
	if v, err := b.Refund(t.Context(), b.caller(b.client), "R1", true); err != nil || v.Status != relay.RefundFailed {
		t.Errorf("%s = %+v, %v; want it failed", ours.OutRefundNo, v, err)
	}
	if v := b.view(key); v.Status != relay.OrderRefunded || v.RefundedAmount != 100 {
		t.Errorf("order = %s with %d fen back, want refunded", v.Status, v.RefundedAmount)
	}
}

// TestRefundNewsBeforePayment: the first we hear of a payment may be that it
// is refunded.
func TestRefundNewsBeforePayment(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key := b.order("A000000001")
	p := b.native(key)
	tr := b.wechat.paid(p.OutTradeNo, b.now())
	if err := b.notifyRefund(relay.RefundStatement{
		MchID: testMchID, OutRefundNo: "console@1", RefundID: "50001", OutTradeNo: p.OutTradeNo, TransactionID: tr.TransactionID,
		State: relay.RefundStateSuccess, AmountFen: 100, TotalFen: 100, SuccessTime: b.now(),
	}); err != nil {
		t.Fatal(err)
	}
	if v := b.view(key); v.Status != relay.OrderRefunded || v.PaidAmount != 100 {
		t.Errorf("order = %+v, want it paid and refunded", v)
	}
}
