package relay

import (
	"crypto/sha256"
	"errors"
	"time"

	"github.com/segmentio/ksuid"
)

// refundReasons is what the buyer reads when the money of a case goes back.
var refundReasons = map[CaseKind]string{
	CaseDuplicatePayment: "重复付款 paid twice",
	CasePaidAfterClose:   "订单已关闭 paid after the order was closed",
	CaseAmountMismatch:   "金额不符 wrong amount",
}

// giveBack orders the refund of a case's money in the transaction that
// decides on it. What makes it impossible is returned as refused, in words,
// with nothing changed. The caller puts case, payment and order.
func (s *Service) giveBack(tx Tx, c *Case, p *Payment, o *Order, outRefundNo string) (refused string, err error) {
	switch {
	case c.Currency != Currency:
		return "money in another currency goes back in WeChat's merchant console", nil
	case c.TransactionID != p.TransactionID:
		return "the second transaction of one payment goes back in WeChat's merchant console", nil
	}
	r := Refund{
		RefundKey: RefundKey{MchID: p.MchID, OutRefundNo: outRefundNo},
		Source:    RefundByCase,
		CaseID:    c.ID,
		AmountFen: c.AmountFen,
		Reason:    refundReasons[c.Kind],
	}
	err = s.reserveRefund(tx, p, o, &r)
	if known, ok := errors.AsType[*Error](err); ok {
		return known.Message, nil
	}
	if err != nil {
		return "", err
	}
	c.Status, c.OutRefundNo, c.HeldBecause = CaseRefunding, outRefundNo, ""
	return "", nil
}

// caseRefundEnded moves a case on in the transaction in which its refund
// ends. Money that did not go back waits for the operator again. It returns
// the chain that tells the client; the caller wakes it after the commit.
func (s *Service) caseRefundEnded(tx Tx, r *Refund, now time.Time) (*Delivery, error) {
	c, err := tx.Case(r.CaseID)
	if err != nil {
		return nil, err
	}
	mended := c.Status == CaseHeld && r.Status == RefundSucceeded // an abnormal one, by hand
	if c.OutRefundNo != r.OutRefundNo || (c.Status != CaseRefunding && !mended) {
		return nil, nil //nolint:nilnil // a repeat, or news of an earlier refund: nothing to tell
	}
	switch r.Status {
	case RefundSucceeded:
		c.Status, c.ResolvedAt, c.HeldBecause = CaseRefunded, now, ""
		if c.ResolvedBy == "" {
			c.ResolvedBy, c.Reason = resolvedByRelay, "refunded by policy"
		}
	case RefundFailed:
		p, err := tx.Payment(c.Payment)
		if err != nil {
			return nil, err
		}
		if p.TransactionID == c.TransactionID && p.RefundedFen >= c.AmountFen {
			c.Status, c.ResolvedAt = CaseRefunded, now // somebody was faster, which is why WeChat refused
			c.byConsole()
			break
		}
		c.hold("the refund failed" + because(r.FailCode))
	case RefundAbnormal:
		c.hold("the buyer's card does not take the refund" + because(r.FailCode) + "; finish it in WeChat's merchant console")
	default:
		return nil, nil //nolint:nilnil // still on its way
	}
	if err := tx.PutCase(&c); err != nil {
		return nil, err
	}
	id, err := stepID(now, r.OutRefundNo, string(r.Status))
	if err != nil {
		return nil, err
	}
	return s.tellCase(tx, &c, id, now)
}

// hold puts a case back to the operator.
func (c *Case) hold(because string) {
	c.Status, c.HeldBecause = CaseHeld, because
	c.ResolvedBy, c.Reason = "", ""
}

func because(code string) string {
	if code == "" {
		return ""
	}
	return ": " + code
}

// stepID names the event of a step that happens once, inside a transaction,
// where nothing random is read.
func stepID(now time.Time, step ...string) (string, error) {
	h := sha256.New()
	for _, s := range step {
		_, _ = h.Write(append([]byte(s), 0)) // never fails
	}
	k, err := ksuid.FromParts(now, h.Sum(nil)[:16])
	return "evt_" + k.String(), err
}

// tellCase tells the client of the case's order that the case moved on. The
// money of an unknown order has nobody to be told.
func (s *Service) tellCase(tx Tx, c *Case, eventID string, now time.Time) (*Delivery, error) {
	if c.Order == (OrderKey{}) {
		return nil, nil //nolint:nilnil // nobody to tell is the answer, not a failure
	}
	o, err := tx.Order(c.Order)
	if err != nil {
		return nil, err
	}
	p, err := tx.Payment(c.Payment)
	if err != nil {
		return nil, err
	}
	o.Version++
	if err := tx.PutOrder(&o); err != nil {
		return nil, err
	}
	return s.tell(tx, fact{id: eventID, kind: EventOrderAnomaly, order: &o, payment: &p, anomaly: c, at: now})
}
