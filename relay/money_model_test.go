package relay_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/badgerstore"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestMoneyModel_A21_C09_F24 lets buyers, shops, WeChat and restarts do what
// they like, in random order, and compares every store after every step with
// a reference that knows nothing but the rules: when money settles an order,
// when it is odd, what may go back. All money that came in is settled, held
// or given back, always.
func TestMoneyModel_A21_C09_F24(t *testing.T) {
	t.Parallel()
	stores := map[string]func(*testing.T) modelStore{"memstore": openMem, "badgerstore": openBadger}
	policies := map[string]relay.AnomalyPolicy{
		"held": {},
		"refunded": {
			DuplicatePayment: relay.PolicyRefund, PaidAfterClose: relay.PolicyRefund, AmountMismatch: relay.PolicyRefund,
		},
		"up to a limit": {DuplicatePayment: relay.PolicyRefund, PaidAfterClose: relay.PolicyRefund, DailyRefundFen: 250},
	}
	for name, open := range stores {
		for how, policy := range policies {
			for seed := range uint64(4) {
				t.Run(fmt.Sprintf("%s/%s/%d", name, how, seed), func(t *testing.T) {
					t.Parallel()
					h := &history{t: t, rng: rand.New(rand.NewPCG(seed, 7)), store: open(t), policy: policy}
					h.begin()
					for range 400 {
						h.step()
						h.check()
						if t.Failed() {
							t.Fatalf("after:\n%s", h.story())
						}
					}
				})
			}
		}
	}
}

// modelStore is a store that can be closed and opened again.
type modelStore struct {
	relay.Store
	reopen func(*testing.T) relay.Store
}

func openMem(*testing.T) modelStore {
	s := memstore.New()
	return modelStore{s, func(*testing.T) relay.Store { s.Reopen(); return s }}
}

func openBadger(t *testing.T) modelStore {
	t.Helper()
	dir := t.TempDir()
	var current *badgerstore.Store
	open := func(t *testing.T) relay.Store {
		t.Helper()
		if current != nil {
			if err := current.Close(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := badgerstore.Open(badgerstore.Options{Path: dir})
		if err != nil {
			t.Fatal(err)
		}
		current = s
		return s
	}
	t.Cleanup(func() {
		// Whatever happened, records and indexes fit each other (the oracle I).
		report, err := current.Verify(context.WithoutCancel(t.Context()))
		if err == nil {
			err = report.Err()
		}
		if err := errors.Join(err, current.Close()); err != nil {
			t.Error(err)
		}
	})
	return modelStore{open(t), open}
}

// history is a life of a relay and what the reference makes of it.
type history struct {
	t      *testing.T
	rng    *rand.Rand
	store  modelStore
	policy relay.AnomalyPolicy
	b      *bench
	said   []string

	orders   []*refOrder
	payments []*refPayment
	refunds  []*refRefund // that the shop asked for
}

// refOrder is an order by the rules.
type refOrder struct {
	key      relay.OrderKey
	closed   time.Time // zero: not closed
	expires  time.Time
	settled  *refPayment
	payments []*refPayment
}

func (o *refOrder) open() bool { return o.settled == nil && o.closed.IsZero() }

// refPayment is a payment by the rules.
type refPayment struct {
	no      string
	order   *refOrder
	live    bool // not closed here, and not known to be paid
	paid    *relay.Transaction
	learned bool
	odd     relay.CaseKind // why its money settled nothing
}

type refRefund struct {
	no, out string
	p       *refPayment
	fen     int64
	status  relay.RefundStatus
}

func (h *history) begin() {
	h.b = newBench(h.t, h.store.Store, func(c *relay.Config) {
		c.Merchants[0].Anomaly = h.policy
		c.Clients[0].AllowRefund = true
	})
	h.b.clock = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
}

// restart opens the store again under a new relay; WeChat and the clock stay.
func (h *history) restart() {
	was := h.b
	h.store.Store = h.store.reopen(h.t)
	h.begin()
	h.b.clock, h.b.wechat = was.clock, was.wechat
	h.b.PlayWeChat(h.b.wechat)
}

func (h *history) say(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

func (h *history) story() string {
	text := ""
	for i, s := range h.said {
		text += fmt.Sprintf("%3d %s\n", i, s)
	}
	return text
}

// pick prefers the newest: what is over and done with is seldom worth a step.
func pick[T any](h *history, list []T) (one T, ok bool) {
	if len(list) == 0 {
		return one, false
	}
	if h.rng.IntN(4) > 0 {
		list = list[max(0, len(list)-4):]
	}
	return list[h.rng.IntN(len(list))], true
}

// step does one thing, and the same thing by the rules.
func (h *history) step() {
	switch h.rng.IntN(22) {
	case 0:
		h.create()
	case 1, 2, 3, 4:
		h.prepare()
	case 5, 6, 7:
		h.buyerPays()
	case 8, 9, 20, 21:
		h.notify()
	case 10:
		h.close()
	case 11, 16:
		h.wait()
	case 12:
		h.refresh()
	case 13, 17, 18:
		h.askForRefund()
	case 14, 19:
		h.refundEnds()
	case 15:
		h.say("restart")
		h.restart()
	}
}

func (h *history) create() {
	key := h.b.order(fmt.Sprintf("M%09d", len(h.orders)))
	h.orders = append(h.orders, &refOrder{key: key, expires: h.b.stored(key).ExpiresAt})
	h.say("create %s", key.OrderNo)
}

// prepare asks for a way to pay: the living one, or another, which closes it.
func (h *history) prepare() {
	o, ok := pick(h, h.orders)
	if !ok {
		return
	}
	trade, openID := relay.TradeNative, ""
	if h.rng.IntN(2) == 0 {
		trade, openID = relay.TradeJSAPI, "o-buyer"
	}
	h.say("pay %s by %s", o.key.OrderNo, trade)
	p, created, err := h.b.Payable(h.t.Context(), h.b.client, o.key, trade, openID)

	usable := o.open() && h.b.now().Before(o.expires)
	if usable {
		for _, q := range o.payments {
			if !q.live {
				continue
			}
			if h.tradeOf(q) != trade {
				h.refClosePayment(q)
			} else if q.paid != nil {
				continue // WeChat is not asked while the code is fresh
			}
		}
		usable = o.open()
	}
	if err == nil && !usable {
		h.t.Errorf("a payment of %s was made, but it cannot be paid", o.key.OrderNo)
	}
	if err != nil && usable {
		h.t.Errorf("a payment of %s: %v", o.key.OrderNo, err)
	}
	if err == nil && created {
		made := &refPayment{no: p.OutTradeNo, order: o, live: true}
		o.payments, h.payments = append(o.payments, made), append(h.payments, made)
		h.say("  made payment %d", len(h.payments)-1)
	}
}

// tradeOf is how a payment can be paid.
func (h *history) tradeOf(p *refPayment) relay.TradeType {
	for _, v := range h.b.view(p.order.key).Payments {
		if v.OutTradeNo == p.no {
			return v.TradeType
		}
	}
	return ""
}

// buyerPays at WeChat, sometimes a payment that was closed meanwhile, and
// sometimes another amount.
func (h *history) buyerPays() {
	p, ok := pick(h, h.payments)
	if !ok || p.paid != nil || !p.live && h.rng.IntN(2) > 0 {
		return
	}
	t := h.b.wechat.paid(p.no, h.b.now().Truncate(time.Second))
	if h.rng.IntN(8) == 0 {
		t.TotalFen = 1 + h.rng.Int64N(200)
		h.b.wechat.mu.Lock()
		h.b.wechat.payments[p.no].TotalFen = t.TotalFen
		h.b.wechat.mu.Unlock()
	}
	p.paid = &t
	h.say("the buyer pays %d of %s: %d fen", slices.Index(h.payments, p), p.order.key.OrderNo, t.TotalFen)
}

// notify tells of any payment that was made, the first time or again.
func (h *history) notify() {
	p, ok := pick(h, h.payments)
	if !ok || p.paid == nil {
		return
	}
	h.say("notify %d", slices.Index(h.payments, p))
	if err := h.b.notify(*p.paid); err != nil {
		h.t.Errorf("notification: %v", err)
	}
	h.learn(p)
}

func (h *history) close() {
	o, ok := pick(h, h.orders)
	if !ok {
		return
	}
	h.say("close %s", o.key.OrderNo)
	_, err := h.b.CloseOrder(h.t.Context(), h.b.caller(h.b.client), o.key.OrderNo)
	h.refClose(o)
	if closed := !o.closed.IsZero(); (err == nil) != closed || err != nil && kindOf(err) != relay.KindOrderPaid {
		h.t.Errorf("close = %v, want closed %t", err, closed)
	}
}

// wait lets time pass, and mostly expired orders be closed.
func (h *history) wait() {
	h.b.clock = h.b.clock.Add([]time.Duration{0, time.Second, time.Minute, 10 * time.Minute, 10 * time.Minute, 3 * time.Hour}[h.rng.IntN(6)])
	h.say("wait until %s", h.b.clock.Format(time.TimeOnly))
	if h.rng.IntN(2) == 0 {
		return // the worker is late
	}
	h.b.rt.SweepExpired(h.t.Context())
	for _, o := range h.orders {
		if o.open() && !o.expires.After(h.b.now()) {
			h.refClose(o)
		}
	}
}

func (h *history) refresh() {
	o, ok := pick(h, h.orders)
	if !ok {
		return
	}
	h.say("refresh %s", o.key.OrderNo)
	h.b.clock = h.b.clock.Add(10 * time.Second) // WeChat is not asked twice in a row
	if err := h.b.Refresh(h.t.Context(), o.key); err != nil {
		h.t.Errorf("refresh: %v", err)
	}
	for _, p := range o.payments {
		if p.paid != nil {
			h.learn(p)
		}
	}
}

func (h *history) askForRefund() {
	o, ok := pick(h, h.orders)
	if !ok {
		return
	}
	no, fen := fmt.Sprintf("R%d", h.rng.IntN(12+2*len(h.refunds))), 1+h.rng.Int64N(60)
	h.say("refund %s: %s of %d fen", o.key.OrderNo, no, fen)
	v, created, err := h.b.CreateRefund(h.t.Context(), h.b.caller(h.b.client), o.key.OrderNo, relay.CreateRefundRequest{RefundNo: no, Amount: &fen})
	known := slices.IndexFunc(h.refunds, func(r *refRefund) bool { return r.no == no })
	allowed := known < 0 && o.settled != nil && fen <= o.settled.paid.TotalFen-h.reserved(o.settled)
	same := known >= 0 && h.refunds[known].p.order == o && h.refunds[known].fen == fen
	if created != allowed || (err == nil) != (allowed || same) {
		h.t.Errorf("refund = created %t, %v; want it made %t, known %t", created, err, allowed, same)
	}
	if created {
		h.refunds = append(h.refunds, &refRefund{no: no, out: v.OutRefundNo, p: o.settled, fen: fen, status: relay.RefundProcessing})
	}
}

// reserved is what went or is going back of a payment by the shop's wish.
func (h *history) reserved(p *refPayment) (fen int64) {
	for _, r := range h.refunds {
		if r.p == p && r.status != relay.RefundFailed {
			fen += r.fen
		}
	}
	return fen
}

// refundEnds lets WeChat end a refund, of the shop or of a case, and tell it,
// sometimes twice.
func (h *history) refundEnds() {
	if err := h.b.rt.FollowRefunds(h.t.Context()); err != nil { // WeChat is told of those of cases
		h.t.Errorf("following refunds: %v", err)
	}
	h.b.wechat.mu.Lock()
	var numbers []string
	for _, no := range slices.Sorted(maps.Keys(h.b.wechat.refunds)) {
		if h.b.wechat.refunds[no].State == relay.RefundStateProcessing || h.rng.IntN(4) == 0 {
			numbers = append(numbers, no)
		}
	}
	h.b.wechat.mu.Unlock()
	no, ok := pick(h, numbers)
	if !ok {
		return
	}
	h.b.wechat.mu.Lock()
	ended := h.b.wechat.refunds[no].State
	h.b.wechat.mu.Unlock()
	switch ended {
	case relay.RefundStateSuccess, relay.RefundStateClosed: // told again
	case relay.RefundStateAbnormal:
		ended = []relay.RefundState{ended, relay.RefundStateSuccess}[h.rng.IntN(2)]
	case relay.RefundStateProcessing:
		ended = []relay.RefundState{relay.RefundStateSuccess, relay.RefundStateSuccess, relay.RefundStateClosed, relay.RefundStateAbnormal}[h.rng.IntN(4)]
	}
	st := h.b.wechat.refunded(no, ended, h.b.now())
	h.say("refund %s ends: %s", no, ended)
	if err := h.b.notifyRefund(st); err != nil {
		h.t.Errorf("refund notification: %v", err)
	}
	if i := slices.IndexFunc(h.refunds, func(r *refRefund) bool { return r.out == no }); i >= 0 {
		h.refunds[i].status = map[relay.RefundState]relay.RefundStatus{
			relay.RefundStateSuccess: relay.RefundSucceeded, relay.RefundStateClosed: relay.RefundFailed, relay.RefundStateAbnormal: relay.RefundAbnormal,
		}[ended]
	}
}

// learn is the rule of settling: what WeChat says of a payment, heard now.
func (h *history) learn(p *refPayment) {
	if p.learned {
		return
	}
	p.learned, p.live = true, false
	o, at := p.order, p.paid.SuccessTime
	switch {
	case p.paid.TotalFen != 100:
		p.odd = relay.CaseAmountMismatch
	case o.settled != nil:
		p.odd = relay.CaseDuplicatePayment
	case at.After(o.expires), !o.closed.IsZero() && !at.Before(o.closed.Truncate(time.Second)):
		p.odd = relay.CasePaidAfterClose
		if o.open() {
			o.closed = h.b.now()
		}
	default:
		o.settled, o.closed = p, time.Time{}
	}
}

// refClosePayment is the rule of closing a payment: ask, close, ask.
func (h *history) refClosePayment(p *refPayment) {
	if p.paid != nil {
		h.learn(p)
		return
	}
	p.live = false
}

// refClose is the rule of closing an order.
func (h *history) refClose(o *refOrder) {
	for _, p := range o.payments {
		if p.live && o.open() {
			h.refClosePayment(p)
		}
	}
	if o.open() {
		o.closed = h.b.now()
	}
}

// check compares the store with the reference.
func (h *history) check() {
	h.t.Helper()
	for _, o := range h.orders {
		h.checkOrder(o)
	}
	for i, p := range h.payments {
		got := h.payment(p)
		if known := got.Status == relay.PaymentPaid; known != p.learned {
			h.t.Errorf("payment %d is %s, want it known as paid %t", i, got.Status, p.learned)
		}
		if live := got.Live(); live != p.live {
			h.t.Errorf("payment %d is %s, want it live %t", i, got.Status, p.live)
		}
		if got.RefundedFen > got.ReservedFen || got.ReservedFen > got.PaidFen {
			h.t.Errorf("payment %d: %d of %d of %d fen went back", i, got.RefundedFen, got.ReservedFen, got.PaidFen)
		}
	}
	h.checkCases()
	h.checkBalance()
}

func (h *history) payment(p *refPayment) (got relay.Payment) {
	h.b.read(func(r relay.Reader) (err error) {
		got, err = r.Payment(relay.PaymentKey{MchID: testMchID, OutTradeNo: p.no})
		return err
	})
	return got
}

func (h *history) checkOrder(o *refOrder) {
	h.t.Helper()
	got := h.b.stored(o.key)
	var back, going int64
	for _, r := range h.refunds {
		if r.p.order == o && r.status == relay.RefundSucceeded {
			back += r.fen
		} else if r.p.order == o && r.status != relay.RefundFailed {
			going += r.fen // an abnormal one too: WeChat has the money, and the merchant's console gives it back
		}
	}
	want := relay.OrderCreated
	switch {
	case o.settled == nil && !o.closed.IsZero():
		want = relay.OrderClosed
	case o.settled == nil && len(o.payments) > 0:
		want = relay.OrderPaying
	case o.settled == nil:
	case going > 0:
		want = relay.OrderRefunding
	case back == o.settled.paid.TotalFen:
		want = relay.OrderRefunded
	case back > 0:
		want = relay.OrderPartiallyRefunded
	default:
		want = relay.OrderPaid
	}
	if got.Status != want || got.RefundedFen != back {
		h.t.Errorf("order %s is %s with %d fen given back, want %s with %d", o.key.OrderNo, got.Status, got.RefundedFen, want, back)
	}
	if o.settled != nil && (got.PaidBy != o.settled.no || got.PaidFen != o.settled.paid.TotalFen) {
		h.t.Errorf("order %s is paid by %s with %d fen, want %s with %d", o.key.OrderNo, got.PaidBy, got.PaidFen, o.settled.no, o.settled.paid.TotalFen)
	}
}

// checkCases wants exactly one case for each odd payment.
func (h *history) checkCases() {
	h.t.Helper()
	odd := map[string]relay.CaseKind{}
	for _, p := range h.payments {
		if p.odd != "" {
			odd[p.no] = p.odd
		}
	}
	for _, c := range h.b.cases() {
		if odd[c.Payment.OutTradeNo] != c.Kind {
			h.t.Errorf("case %s of %s, want %q", c.Kind, c.Payment.OutTradeNo, odd[c.Payment.OutTradeNo])
		}
		delete(odd, c.Payment.OutTradeNo)
	}
	if len(odd) > 0 {
		h.t.Errorf("no case for %v", odd)
	}
}

// checkBalance wants each fen that came in at one place: with its order, held
// as a case, or given back.
func (h *history) checkBalance() {
	h.t.Helper()
	var in, settledFen, held, back int64
	for _, p := range h.payments {
		if p.learned {
			in += p.paid.TotalFen
		}
	}
	for _, o := range h.orders {
		got := h.b.stored(o.key)
		settledFen += got.PaidFen - got.RefundedFen
		h.b.read(func(r relay.Reader) error {
			for _, no := range got.Refunds {
				refund, err := r.Refund(relay.RefundKey{MchID: testMchID, OutRefundNo: no})
				if err != nil {
					return err
				}
				if refund.Status == relay.RefundSucceeded {
					back += refund.AmountFen
				}
			}
			return nil
		})
	}
	var today int64
	for _, c := range h.b.cases() {
		if c.Status != relay.CaseRefunded {
			held += c.AmountFen
		}
		if c.Status == relay.CaseRefunding || c.Status == relay.CaseRefunded {
			today += c.AmountFen
		}
	}
	if in != settledFen+held+back {
		h.t.Errorf("%d fen came in: %d settled, %d held, %d given back", in, settledFen, held, back)
	}
	limit := cmp.Or(h.policy.DailyRefundFen, relay.DefaultDailyRefundFen)
	if days := int64(h.b.now().Sub(time.Date(2026, 11, 21, 16, 0, 0, 0, time.UTC))/(24*time.Hour)) + 1; today > days*limit {
		h.t.Errorf("%d fen went back by policy within %d days of at most %d", today, days, limit)
	}
}
