package relay

import (
	"context"
	"errors"
	"time"
)

// settlement is one statement of WeChat that money arrived, with its
// evidence, on its way into the books. Names that the transaction may need
// are made before it, because the transaction itself does no I/O.
type settlement struct {
	svc      *Service
	t        *Transaction
	evidence *Evidence
	now      time.Time
	eventID  string
	closedID string // of the event of an order that closes by this
	refundNo string // of the refund that a policy may order

	// What became of it.
	result settleResult
	told   []*Delivery // the chains that were started
	order  OrderKey
	refund bool // the money is on its way back
}

// settleResult says what a statement of WeChat did.
type settleResult string

const (
	settled      settleResult = "settled"
	repeated     settleResult = "repeated"
	anomalous    settleResult = "case"
	unknownOrder settleResult = "unknown_order"
)

// errForeign refuses a statement about somebody else's money: another
// merchant or app id than the payment was made for, other words than were
// sent with it, or a transaction that paid something else.
var errForeign = refuse(KindParam, "", "notification is for another merchant, app id or payment")

// settle books money that WeChat says arrived: verified, decrypted, and now
// compared and committed, in one transaction with its evidence, the event
// and the schedule for telling the site. Repeats find what the first one did
// and change nothing (threats A20, faults F25, F26).
func (s *Service) settle(ctx context.Context, t *Transaction, evidence *Evidence) (settleResult, error) {
	known, err := s.alreadyBooked(ctx, t)
	if err != nil || known {
		return repeated, err
	}
	st := &settlement{svc: s, t: t, evidence: evidence, now: s.rt.now()}
	if err := st.nameThings(); err != nil {
		return "", err
	}
	if err := s.rt.store.Update(ctx, st.apply); err != nil {
		return "", outcome(err)
	}
	s.wake(st.told...)
	if st.order != (OrderKey{}) && st.result != repeated {
		s.rt.watchers.tell(st.order)
	}
	if st.refund {
		s.rt.refunds.wake()
	}
	return st.result, nil
}

// wake begins chains that a transaction has stored.
func (s *Service) wake(told ...*Delivery) {
	for _, d := range told {
		if d != nil {
			s.rt.dispatcher.Wake(d.Destination(), d.NextAt())
		}
	}
}

// alreadyBooked spares the store a write for the repeats that WeChat sends
// until it hears our answer.
func (s *Service) alreadyBooked(ctx context.Context, t *Transaction) (bool, error) {
	var p Payment
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		p, err = r.Payment(PaymentKey{MchID: t.MchID, OutTradeNo: t.OutTradeNo})
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return err == nil && bookedAs(&p, t), outcome(err)
}

func bookedAs(p *Payment, t *Transaction) bool {
	return p.Status == PaymentPaid && p.TransactionID == t.TransactionID && owned(p, t)
}

// owned reports whether a statement is about the payment that we made, by
// everything that says whose money it is (threats R2). What WeChat hands back
// unchanged must be what was sent, for the text that v2 signs does not tell
// where a value ends (threats A14). WeChat's documents call sub_appid and
// attach optional in what it says, so that their absence proves nothing.
func owned(p *Payment, t *Transaction) bool {
	return p.MchID == t.MchID && p.SubMchID == t.SubMchID && p.AppID == t.AppID &&
		(t.SubAppID == "" || t.SubAppID == p.SubAppID) &&
		(t.Attach == "" || t.Attach == p.Attach)
}

func (st *settlement) nameThings() error {
	for _, name := range []*string{&st.eventID, &st.closedID, &st.refundNo} {
		id, err := st.svc.rt.random.id(st.now)
		if err != nil {
			return err
		}
		*name = id
	}
	st.eventID, st.closedID = "evt_"+st.eventID, "evt_"+st.closedID
	return nil
}

// apply is the transaction.
func (st *settlement) apply(tx Tx) error {
	p, err := tx.Payment(PaymentKey{MchID: st.t.MchID, OutTradeNo: st.t.OutTradeNo})
	if errors.Is(err, ErrNotFound) {
		return st.keepUnknown(tx)
	}
	if err != nil {
		return err
	}
	if !owned(&p, st.t) {
		return errForeign
	}
	if err := st.firstUse(tx, &p); err != nil {
		return err
	}
	o, err := tx.Order(p.Order)
	if err != nil {
		return err
	}
	st.order = o.OrderKey
	if bookedAs(&p, st.t) {
		st.result = repeated
		return nil
	}
	if err := tx.PutEvidence(st.evidence); err != nil {
		return err
	}
	if err := st.endUnknown(tx, &o); err != nil {
		return err
	}
	return st.book(tx, &p, &o)
}

// firstUse refuses a transaction that paid another payment before: it is one
// sum of money, and must not settle twice (threats R2).
func (st *settlement) firstUse(tx Tx, p *Payment) error {
	used, err := tx.PaymentByTransaction(st.t.MchID, st.t.TransactionID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err == nil && used != p.PaymentKey:
		return errForeign
	default:
		return err
	}
}

// book settles the order, or keeps the money as a case.
func (st *settlement) book(tx Tx, p *Payment, o *Order) error {
	kind := st.judge(p, o)
	if kind != "" {
		return st.holdMoney(tx, p, o, kind)
	}
	if p.Status != PaymentPaid {
		st.notePayment(p)
	}
	settleOrder(o, p)
	st.result = settled
	return st.write(tx, p, o, EventOrderPaid, nil)
}

// judge says what is odd about money; nothing when it settles its order.
func (st *settlement) judge(p *Payment, o *Order) CaseKind {
	switch {
	case st.t.TotalFen != p.AmountFen || st.t.TotalFen != o.AmountFen || st.t.Currency != Currency:
		return CaseAmountMismatch
	case p.Status == PaymentPaid || o.Status.Settled():
		return CaseDuplicatePayment
	case !paidInTime(o, st.t.SuccessTime):
		return CasePaidAfterClose
	default:
		return ""
	}
}

// paidInTime judges by WeChat's time of payment, never by when we heard of
// it: news of a payment may be hours late, after a time without a network for
// one. WeChat tells whole seconds, so that a payment in the second of the
// close counts as after it: the client was told that the order is closed.
func paidInTime(o *Order, at time.Time) bool {
	if at.After(o.ExpiresAt) {
		return false
	}
	return o.Status.Open() || at.Before(o.ClosedAt.Truncate(time.Second))
}

// settleOrder moves an order to paid by a payment. An order that was closed
// meanwhile is not so any more; its client learns by the event's version
// which news is the last.
func settleOrder(o *Order, p *Payment) {
	o.Status, o.CloseReason, o.ClosedAt = OrderPaid, "", time.Time{}
	o.PaidFen = p.PaidFen
	o.PaidAt = p.PaidAt
	o.TransactionID = p.TransactionID
	o.TradeType = p.TradeType
	o.PaidBy = p.OutTradeNo
	o.PayerOpenID = p.PayerOpenID
	o.PaidAppID = p.AppID
	o.Version++
}

func (st *settlement) notePayment(p *Payment) {
	p.Status = PaymentPaid
	p.AskAt = time.Time{}
	p.TransactionID = st.t.TransactionID
	p.PaidFen = st.t.TotalFen
	p.PayerFen = st.t.PayerFen
	p.PaidAt = st.t.SuccessTime
	p.PayerOpenID = st.t.OpenID
	p.BankType = st.t.BankType
}

// write puts payment, order, event and chain.
func (st *settlement) write(tx Tx, p *Payment, o *Order, kind EventType, c *Case) error {
	if err := tx.PutPayment(p); err != nil {
		return err
	}
	if err := tx.PutOrder(o); err != nil {
		return err
	}
	return st.tell(tx, fact{id: st.eventID, kind: kind, order: o, payment: p, anomaly: c, at: st.now})
}

func (st *settlement) tell(tx Tx, f fact) error {
	d, err := st.svc.tell(tx, f)
	if d != nil {
		st.told = append(st.told, d)
	}
	return err
}
