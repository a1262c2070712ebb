package relay

import (
	"context"
	"errors"
	"log/slog"
	"slices"
)

// refundLister knows all refunds of a payment; APIv2 alone can be asked so.
type refundLister interface {
	ListRefunds(ctx context.Context, p *Payment) ([]RefundStatement, error)
}

// findRefunds books what went back of a payment before the relay heard that it
// was made, by the hand of somebody in WeChat's console: its client must not
// take it for paid. Payments of APIv3 are found by APIv2 too (v2.md section 1);
// a merchant without it learns of them by notification alone.
func (s *Service) findRefunds(ctx context.Context, m *merchant, p *Payment, transactionID string) {
	g, ok := m.connections[APIv2].gateway.(refundLister)
	if !ok {
		return
	}
	paid := *p
	paid.TransactionID = transactionID
	list, err := g.ListRefunds(ctx, &paid)
	for i := range list {
		_, bookErr := s.settleRefund(ctx, m, &list[i], refundEvidence(&list[i], s.rt.now()))
		err = errors.Join(err, bookErr)
	}
	if err != nil {
		s.log.Warn("WeChat says that money of a payment went back, but not how much; look into its console",
			slog.String("mch_id", p.MchID), slog.String("out_trade_no", p.OutTradeNo), slog.Any("error", err))
	}
}

// bookConsole books a refund that somebody made in WeChat's own console, so
// that order, sums and client know of it. One of a payment that we do not
// have is kept as evidence alone: the merchant may take money elsewhere too.
func (x *refundSettlement) bookConsole(tx Tx) error {
	if x.evidence != nil {
		x.evidence.Payment = PaymentKey{MchID: x.st.MchID, OutTradeNo: x.st.OutTradeNo}
	}
	p, err := tx.Payment(PaymentKey{MchID: x.st.MchID, OutTradeNo: x.st.OutTradeNo})
	if errors.Is(err, ErrNotFound) {
		return x.keep(tx, refundUnknown)
	}
	if err != nil {
		return err
	}
	if p.SubMchID != x.st.SubMchID || (x.st.TransactionID != "" && p.TransactionID != "" && p.TransactionID != x.st.TransactionID) {
		return errForeignRefund
	}
	status := statusOf(x.st.State)
	switch {
	case p.Status != PaymentPaid:
		return x.keep(tx, refundUnknown)
	case status == RefundFailed:
		return x.keep(tx, refundRepeated) // it came to nothing, and nobody waits for it
	case x.st.AmountFen < 1 || x.st.AmountFen > p.PaidFen-p.RefundedFen:
		return x.keep(tx, refundExcessive)
	}
	o, err := tx.Order(p.Order)
	if err != nil {
		return err
	}
	r := unknownRefund(x.key.OutRefundNo, &p)
	r.AmountFen, r.CreatedAt = x.st.AmountFen, x.now
	if err := x.joinCase(tx, &r); err != nil {
		return err
	}
	o.Refunds = append(slices.Clip(o.Refunds), r.OutRefundNo)
	if err := tx.PutOrder(&o); err != nil {
		return err
	}
	return x.move(tx, &r, status)
}

// keep stores the evidence and nothing else.
func (x *refundSettlement) keep(tx Tx, result refundResult) error {
	x.result = result
	if x.evidence == nil {
		return nil
	}
	return tx.PutEvidence(x.evidence)
}

// unknownRefund is what is known of a refund that somebody else made: enough
// to ask about it.
func unknownRefund(outRefundNo string, p *Payment) Refund {
	return Refund{
		RefundKey:     RefundKey{MchID: p.MchID, OutRefundNo: outRefundNo},
		ClientID:      p.Order.ClientID,
		OrderNo:       p.Order.OrderNo,
		Source:        RefundByConsole,
		API:           p.API,
		SubMchID:      p.SubMchID,
		SubAppID:      p.SubAppID,
		AppID:         p.AppID,
		OutTradeNo:    p.OutTradeNo,
		TransactionID: p.TransactionID,
		TotalFen:      p.PaidFen,
		Status:        RefundProcessing,
	}
}

// byConsole notes who gave the money of a case back.
func (c *Case) byConsole() {
	c.ResolvedBy, c.Reason = "merchant console", "refunded in WeChat's merchant console"
}

// joinCase finds the case whose money the operator gave back in WeChat's
// console instead of here.
func (x *refundSettlement) joinCase(tx Tx, r *Refund) error {
	for _, kind := range []CaseKind{CaseDuplicatePayment, CasePaidAfterClose, CaseAmountMismatch} {
		c, err := tx.CaseOf(kind, PaymentKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if c.Status != CaseHeld || c.AmountFen != r.AmountFen || c.TransactionID != r.TransactionID {
			continue
		}
		c.Status, c.OutRefundNo, c.HeldBecause = CaseRefunding, r.OutRefundNo, ""
		c.byConsole()
		r.CaseID = c.ID
		return tx.PutCase(&c)
	}
	return nil
}
