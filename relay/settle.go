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
	caseID   string

	// What became of it.
	result settleResult
	told   *Delivery // the chain that was started
	order  OrderKey
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
// merchant or app id than the payment was made for.
var errForeign = refuse(KindParam, "", "notification is for another merchant or app id")

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
	if st.told != nil {
		s.rt.dispatcher.Wake(st.told.Destination(), st.told.NextAt())
	}
	if st.order != (OrderKey{}) && st.result != repeated {
		s.rt.watchers.tell(st.order)
	}
	return st.result, nil
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
	return p.Status == PaymentPaid && p.TransactionID == t.TransactionID && p.AppID == t.AppID
}

func (st *settlement) nameThings() error {
	event, err := st.svc.rt.random.id(st.now)
	if err != nil {
		return err
	}
	anomaly, err := st.svc.rt.random.id(st.now)
	if err != nil {
		return err
	}
	st.eventID, st.caseID = "evt_"+event, "case_"+anomaly
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
	if p.AppID != st.t.AppID {
		return errForeign
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
	kind, odd := st.anomaly(&p, &o)
	if err := tx.PutEvidence(st.evidence); err != nil {
		return err
	}
	if odd {
		return st.holdMoney(tx, &p, &o, kind)
	}
	return st.markPaid(tx, &p, &o)
}

// anomaly decides whether money can settle its order. An order that was
// closed stays so, even when WeChat's time of payment lies before the close:
// its client was told and may have given the goods to somebody else (threats
// A21).
func (st *settlement) anomaly(p *Payment, o *Order) (CaseKind, bool) {
	switch {
	case st.t.TotalFen != p.AmountFen || st.t.TotalFen != o.AmountFen || st.t.Currency != Currency:
		return CaseAmountMismatch, true
	case p.Status == PaymentPaid || o.Status.Settled():
		return CaseDuplicatePayment, true
	case !o.Status.Open():
		return CasePaidAfterClose, true
	default:
		return "", false
	}
}

// markPaid moves payment and order to paid and starts telling the client.
func (st *settlement) markPaid(tx Tx, p *Payment, o *Order) error {
	st.notePayment(p)
	o.Status = OrderPaid
	o.PaidFen = st.t.TotalFen
	o.PaidAt = st.t.SuccessTime
	o.TransactionID = st.t.TransactionID
	o.TradeType = p.TradeType
	o.PaidBy = p.OutTradeNo
	o.PayerOpenID = st.t.OpenID
	o.PaidAppID = st.t.AppID
	o.Version++
	st.result = settled
	return st.write(tx, p, o, EventOrderPaid, nil)
}

// holdMoney keeps money that cannot settle its order as a case, visible to
// operator and client.
func (st *settlement) holdMoney(tx Tx, p *Payment, o *Order, kind CaseKind) error {
	st.result = anomalous
	if c, err := tx.CaseOf(kind, p.PaymentKey); err == nil && c.TransactionID == st.t.TransactionID {
		st.result = repeated
		return nil
	} else if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if p.Status != PaymentPaid {
		st.notePayment(p)
	}
	c := st.newCase(kind)
	c.Order, c.ExpectedFen = o.OrderKey, o.AmountFen
	o.CaseID = c.ID
	o.Version++
	if err := tx.PutCase(c); err != nil {
		return err
	}
	return st.write(tx, p, o, EventOrderAnomaly, c)
}

// keepUnknown books money for a number that we never issued, or that a
// restored store has lost. WeChat is told failure, so that it repeats.
func (st *settlement) keepUnknown(tx Tx) error {
	st.result = unknownOrder
	key := PaymentKey{MchID: st.t.MchID, OutTradeNo: st.t.OutTradeNo}
	_, err := tx.CaseOf(CaseUnknownOrder, key)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return err
	}
	if err := tx.PutEvidence(st.evidence); err != nil {
		return err
	}
	return tx.PutCase(st.newCase(CaseUnknownOrder))
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

func (st *settlement) newCase(kind CaseKind) *Case {
	return &Case{
		ID:            st.caseID,
		Kind:          kind,
		Status:        CaseHeld,
		Payment:       PaymentKey{MchID: st.t.MchID, OutTradeNo: st.t.OutTradeNo},
		TransactionID: st.t.TransactionID,
		AmountFen:     st.t.TotalFen,
		Currency:      st.t.Currency,
		AppID:         st.t.AppID,
		PaidAt:        st.t.SuccessTime,
		CreatedAt:     st.now,
	}
}

// write puts payment, order, event and chain.
func (st *settlement) write(tx Tx, p *Payment, o *Order, kind EventType, c *Case) error {
	if err := tx.PutPayment(p); err != nil {
		return err
	}
	if err := tx.PutOrder(o); err != nil {
		return err
	}
	d, err := st.svc.tell(tx, fact{id: st.eventID, kind: kind, order: o, payment: p, anomaly: c, at: st.now})
	st.told = d
	return err
}
