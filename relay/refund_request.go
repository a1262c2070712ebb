package relay

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
)

const (
	maxReason = 80 // bytes, v3.md section 12
	// refundWindow is how long after payment WeChat gives money back.
	refundWindow = 365 * 24 * time.Hour
	// refundAnswer bounds how long a client waits for WeChat's word.
	refundAnswer = 8 * time.Second
	// refundWrite bounds what is written after WeChat's word.
	refundWrite = 5 * time.Second
)

// CreateRefundRequest is the body of POST /v1/orders/{order_no}/refunds.
type CreateRefundRequest struct {
	RefundNo string `json:"refund_no"`
	Amount   *int64 `json:"amount"` // fen
	Reason   string `json:"reason"` // shown to the buyer
}

// CreateRefund gives back money of a settled order, all of it or a part. The
// refund is durable before WeChat is told; WeChat's word is waited for a
// while, and what is unknown then is found out later. The same refund with the
// same content answers with its state, with created false; other content is
// KindRefundConflict, and more than is left KindAmountExceeded.
func (s *Service) CreateRefund(ctx context.Context, caller *Caller, orderNo string, req CreateRefundRequest) (v RefundView, created bool, err error) {
	if refusal := checkRefund(caller.Client, &req); refusal != nil {
		return v, false, refusal
	}
	key := OrderKey{ClientID: caller.Client.ID, OrderNo: orderNo}
	number, err := s.rt.random.id(s.rt.now())
	if err != nil {
		return v, false, err
	}
	var stored Refund // read only when Update says that it is done
	var made bool
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		if err := s.claimNonce(tx, caller); err != nil {
			return err
		}
		old, err := refundByNo(tx, caller.Client.ID, req.RefundNo)
		switch {
		case errors.Is(err, ErrNotFound):
			stored, err = s.makeRefund(tx, key, number, &req)
			made = err == nil
			return err
		case err != nil:
			return err
		case old.OrderNo != orderNo || old.AmountFen != *req.Amount || old.Reason != req.Reason:
			return refuse(KindRefundConflict, "refund_no", "this refund exists with other content; use a new refund_no")
		}
		stored = old
		return nil
	})
	if errors.Is(err, ErrNotFound) {
		return v, false, notFound("order")
	}
	if err != nil {
		return v, false, outcome(err)
	}
	if made {
		s.rt.watchers.tell(key)
		return s.pushMade(ctx, &stored), true, nil
	}
	return refundView(&stored), false, nil
}

func checkRefund(c *Client, req *CreateRefundRequest) *Error {
	switch {
	case !c.AllowRefund:
		return refuse(KindNoAuth, "", "this client is not allowed to refund")
	case !defaultOrderNo.MatchString(req.RefundNo):
		return refuse(KindParam, "refund_no", "1 to 32 characters of 0-9 A-Z a-z _ -")
	case req.Amount == nil:
		return refuse(KindParam, "amount", "needed: integer fen")
	case *req.Amount < 1 || *req.Amount > maxAmountFen:
		return refuse(KindParam, "amount", "integer fen from 1 to 1000000000")
	case len(req.Reason) > maxReason || !plainText(req.Reason) || strings.ContainsFunc(req.Reason, beyondBMP):
		return refuse(KindParam, "reason", "at most 80 bytes of UTF-8 without control characters and emoji")
	}
	return nil
}

// beyondBMP finds characters that WeChat refuses (v3.md section 2).
func beyondBMP(r rune) bool { return r > 0xFFFF }

func refundByNo(tx Reader, clientID, refundNo string) (Refund, error) {
	key, err := tx.RefundByNo(clientID, refundNo)
	if err != nil {
		return Refund{}, err
	}
	return tx.Refund(key)
}

// makeRefund stores a refund of an order's settling payment. The request
// that makes it holds the lease, so that the follower does not tell WeChat at
// the same time.
func (s *Service) makeRefund(tx Tx, key OrderKey, number string, req *CreateRefundRequest) (Refund, error) {
	o, err := tx.Order(key)
	if err != nil {
		return Refund{}, err
	}
	if !o.Status.Settled() {
		return Refund{}, refuse(KindOrderConflict, "", "the order is not paid")
	}
	p, err := tx.Payment(PaymentKey{MchID: o.MchID, OutTradeNo: o.PaidBy})
	if err != nil {
		return Refund{}, errors.Join(ErrCorrupt, err)
	}
	now := s.rt.now()
	if now.Sub(p.PaidAt) > refundWindow {
		return Refund{}, refuse(KindOrderConflict, "", "the order was paid more than a year ago; WeChat Pay refunds it no more")
	}
	r := Refund{
		RefundKey: RefundKey{OutRefundNo: number},
		Source:    RefundByClient,
		RefundNo:  req.RefundNo,
		AmountFen: *req.Amount,
		Reason:    req.Reason,
		DueAt:     now.Add(refundLease),
		Calls:     1,
	}
	if err := s.reserveRefund(tx, &p, &o, &r); err != nil {
		return Refund{}, err
	}
	o.countRefunds(&p)
	o.Version++
	if err := tx.PutPayment(&p); err != nil {
		return Refund{}, err
	}
	return r, tx.PutOrder(&o)
}

// pushMade tells WeChat of a refund that was just made and answers with what
// is known then. The client's going away does not end a call that moves
// money; what fails now is the follower's.
func (s *Service) pushMade(ctx context.Context, r *Refund) RefundView {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refundAnswer+refundWrite)
	defer cancel()
	m, err := s.merchantFor(r.MchID, r.SubMchID)
	if err == nil {
		err = s.pushRefund(ctx, m, r, refundAnswer)
	}
	if err != nil {
		s.log.Warn("a refund is made but not taken by WeChat yet; trying again", slog.String("mch_id", r.MchID),
			slog.String("out_refund_no", r.OutRefundNo), slog.Any("error", err))
	}
	now := *r
	err = s.rt.store.View(ctx, func(tx Reader) (err error) {
		now, err = tx.Refund(r.RefundKey)
		return err
	})
	if err != nil {
		now = *r // as it was stored a moment ago
	}
	return refundView(&now)
}
