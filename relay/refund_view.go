package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// RefundView is a refund as its client reads it.
type RefundView struct {
	RefundNo    string       `json:"refund_no,omitempty"` // absent when it was not the client that wanted it
	OutRefundNo string       `json:"out_refund_no"`
	OrderNo     string       `json:"order_no"`
	Amount      int64        `json:"amount"`
	Currency    string       `json:"currency"`
	Status      RefundStatus `json:"status"`
	Reason      string       `json:"reason,omitempty"`
	CreatedAt   string       `json:"created_at"`
	RefundID    string       `json:"refund_id,omitempty"` // WeChat's number, once it took the refund
	SucceededAt string       `json:"succeeded_at,omitempty"`
	FailCode    string       `json:"fail_code,omitempty"` // WeChat's, of the last refusal
	Source      RefundSource `json:"source"`
}

func refundView(r *Refund) RefundView {
	return RefundView{
		RefundNo:    r.RefundNo,
		OutRefundNo: r.OutRefundNo,
		OrderNo:     r.OrderNo,
		Amount:      r.AmountFen,
		Currency:    Currency,
		Status:      r.Status,
		Reason:      r.Reason,
		CreatedAt:   stamp(r.CreatedAt),
		RefundID:    r.RefundID,
		SucceededAt: stamp(r.SucceededAt),
		FailCode:    r.FailCode,
		Source:      r.Source,
	}
}

// refundViews lists the refunds of an order, oldest first.
func refundViews(tx Reader, o *Order) ([]RefundView, error) {
	views := make([]RefundView, 0, len(o.Refunds))
	for _, no := range o.Refunds {
		r, err := tx.Refund(RefundKey{MchID: o.MchID, OutRefundNo: no})
		if err != nil {
			return nil, err
		}
		views = append(views, refundView(&r))
	}
	return views, nil
}

// Refund tells a client the state of its refund. With refresh WeChat is asked
// first, unless nothing more is expected of it or it was asked a moment ago.
func (s *Service) Refund(ctx context.Context, caller *Caller, refundNo string, refresh bool) (RefundView, error) {
	r, err := s.refundOf(ctx, caller, refundNo)
	if err != nil || !refresh || r.DueAt.IsZero() {
		return refundView(&r), err
	}
	if err := s.refreshRefund(ctx, r.RefundKey); err != nil {
		return RefundView{}, outcome(err)
	}
	r, err = s.refundOf(ctx, caller, refundNo)
	return refundView(&r), err
}

// refundOf finds a client's refund; another client's is as unknown as one
// that nobody made (threats C06).
func (s *Service) refundOf(ctx context.Context, caller *Caller, refundNo string) (r Refund, err error) {
	err = s.rt.store.View(ctx, func(tx Reader) (err error) {
		r, err = refundByNo(tx, caller.Client.ID, refundNo)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return r, notFound("refund")
	}
	return r, outcome(err)
}

// refreshRefund makes the refund's next call now. One that is under way, or
// was made less than askSpacing ago, stands for it; so does WeChat's wish
// to be left alone for a while.
func (s *Service) refreshRefund(ctx context.Context, key RefundKey) error {
	r, ok, err := s.claimRefund(ctx, key, func(r *Refund, now time.Time) bool {
		return !r.DueAt.IsZero() && (r.RefundID != "" && s.rt.askedRefunds.allow(key, now) || isDue(r, now))
	})
	if err != nil || !ok {
		return err
	}
	m, err := s.merchantFor(r.MchID, r.SubMchID)
	if err != nil {
		return err
	}
	if err := s.pushRefund(ctx, m, &r, refundAnswer); err != nil {
		s.log.Info("asking about a refund failed; its client reads what is known",
			slog.String("mch_id", r.MchID), slog.String("out_refund_no", r.OutRefundNo), slog.Any("error", err))
		return upstream(err)
	}
	return nil
}

// refreshRefunds asks about what may have gone back of an order without our
// hearing of it: its refunds that have not ended, and where WeChat lists
// refunds, those of its console.
func (s *Service) refreshRefunds(ctx context.Context, key OrderKey) error {
	o, payments, err := s.orderWithPayments(ctx, key)
	if err != nil {
		return err
	}
	for i := range payments {
		p := &payments[i]
		m := s.byNumber[merchantID{p.MchID, p.SubMchID}]
		if m != nil && p.Status == PaymentPaid && s.rt.askedLists.allow(p.PaymentKey, s.rt.now()) {
			s.findRefunds(ctx, m, p, p.TransactionID)
		}
	}
	for _, no := range o.Refunds {
		if err := s.refreshRefund(ctx, RefundKey{MchID: o.MchID, OutRefundNo: no}); err != nil {
			return err
		}
	}
	return nil
}
