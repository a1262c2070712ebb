package relay

import (
	"errors"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// holdMoney keeps money that cannot settle its order as a case, visible to
// operator and client, and gives it back at once if the merchant's policy
// says so.
func (st *settlement) holdMoney(tx Tx, p *Payment, o *Order, kind CaseKind) error {
	st.result = anomalous
	c := st.newCase(kind)
	if known, err := st.known(tx, c); known || err != nil {
		st.result = repeated
		return err
	}
	if p.Status != PaymentPaid {
		st.notePayment(p)
	}
	c.Order, c.ExpectedFen = o.OrderKey, o.AmountFen
	o.CaseID = c.ID
	if err := st.expire(tx, o, kind); err != nil {
		return err
	}
	if err := st.followPolicy(tx, c, p, o); err != nil {
		return err
	}
	o.Version++
	if err := tx.PutCase(c); err != nil {
		return err
	}
	return st.write(tx, p, o, EventOrderAnomaly, c)
}

// expire closes an order whose money came after its time, before its own
// expiry does.
func (st *settlement) expire(tx Tx, o *Order, kind CaseKind) error {
	if kind != CasePaidAfterClose || !o.Status.Open() {
		return nil
	}
	o.Status, o.CloseReason, o.ClosedAt = OrderClosed, CloseReasonExpired, st.now
	o.Version++
	return st.tell(tx, fact{id: st.closedID, kind: EventOrderClosed, order: o, at: st.now})
}

// followPolicy gives the money of a new case back, if it may go by itself.
func (st *settlement) followPolicy(tx Tx, c *Case, p *Payment, o *Order) error {
	m := st.svc.byNumber[merchantID{p.MchID, p.SubMchID}]
	if m == nil {
		c.HeldBecause = "the merchant is not configured"
		return nil
	}
	if c.Policy = m.Anomaly.policy(c.Kind); c.Policy != PolicyRefund {
		return nil
	}
	return st.giveBackByPolicy(tx, m, c, p, o)
}

func (st *settlement) giveBackByPolicy(tx Tx, m *merchant, c *Case, p *Payment, o *Order) error {
	day := TallyKey{Name: "refund:" + m.MchID + ":" + m.SubMchID, Day: beijing.Day(st.now)}
	gone, err := tx.Tally(day)
	if err != nil {
		return err
	}
	if c.AmountFen > m.Anomaly.dailyRefundFen()-gone {
		c.HeldBecause = "the daily limit of automatic refunds is reached"
		return nil
	}
	refused, err := st.svc.giveBack(tx, c, p, o, st.refundNo)
	if err != nil {
		return err
	}
	if refused != "" {
		c.HeldBecause = refused
		return nil
	}
	st.refund = true
	return tx.PutTally(day, gone+c.AmountFen)
}

// policy is what happens to the money of a case of one kind.
func (a *AnomalyPolicy) policy(kind CaseKind) CasePolicy {
	policy := PolicyHold
	switch kind {
	case CaseDuplicatePayment:
		policy = a.DuplicatePayment
	case CasePaidAfterClose:
		policy = a.PaidAfterClose
	case CaseAmountMismatch:
		policy = a.AmountMismatch
	case CaseUnknownOrder: // may be found again
	}
	if policy == "" {
		return PolicyHold
	}
	return policy
}

func (a *AnomalyPolicy) dailyRefundFen() int64 {
	if a.DailyRefundFen == 0 {
		return DefaultDailyRefundFen
	}
	return a.DailyRefundFen
}

// keepUnknown books money for a number that we never issued, or that a
// restored store has lost. WeChat is told failure, so that it repeats.
func (st *settlement) keepUnknown(tx Tx) error {
	st.result = unknownOrder
	c := st.newCase(CaseUnknownOrder)
	c.Policy = PolicyHold
	if known, err := st.known(tx, c); known || err != nil {
		return err
	}
	if err := tx.PutEvidence(st.evidence); err != nil {
		return err
	}
	return tx.PutCase(c)
}

// known reports whether the same money made the same case before. Cases that
// were made before their ids told are found by their payment.
func (st *settlement) known(tx Tx, c *Case) (bool, error) {
	_, err := tx.Case(c.ID)
	if err == nil || !errors.Is(err, ErrNotFound) {
		return err == nil, err
	}
	old, err := tx.CaseOf(c.Kind, c.Payment)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return old.TransactionID == c.TransactionID, err
}

// endUnknown ends the case of money whose order is known again.
func (st *settlement) endUnknown(tx Tx, o *Order) error {
	c, err := tx.CaseOf(CaseUnknownOrder, PaymentKey{MchID: st.t.MchID, OutTradeNo: st.t.OutTradeNo})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || c.Status != CaseHeld || c.TransactionID != st.t.TransactionID {
		return err
	}
	c.Status, c.Order = CaseResolved, o.OrderKey
	c.ResolvedAt, c.ResolvedBy, c.Reason = st.now, resolvedByRelay, "the order was found"
	return tx.PutCase(&c)
}

func (st *settlement) newCase(kind CaseKind) *Case {
	return &Case{
		ID:            caseID(kind, st.t),
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
