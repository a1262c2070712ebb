package relay

import (
	"context"
	"errors"
	"strings"
	"time"
)

// saysPaid reports whether WeChat refused because the payment was made.
func saysPaid(e *GatewayError) bool { return hasCode(e, "ORDERPAID") }

// saysUnknown reports whether WeChat never heard of the payment.
func saysUnknown(e *GatewayError) bool {
	return hasCode(e, "ORDERNOTEXIST") || hasCode(e, "RESOURCENOTEXISTS")
}

// saysClosed reports whether WeChat closed the payment already.
func saysClosed(e *GatewayError) bool { return hasCode(e, "ORDERCLOSED") }

// saysSpoilt reports whether WeChat will never take the payment's number:
// it was used, or known with other content.
func saysSpoilt(e *GatewayError) bool {
	return hasCode(e, "OUTTRADENOUSED") || hasCode(e, "INVALIDREQUEST")
}

// hasCode compares codes without underscores: both spellings occur (v3.md
// section 8).
func hasCode(e *GatewayError, code string) bool {
	return strings.ReplaceAll(e.Code, "_", "") == code
}

// upstream turns a failed call to WeChat into what a caller may read.
func upstream(err error) error {
	var refused *GatewayError
	var known *Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &refused):
		return &Error{Kind: KindUpstream, Message: "WeChat Pay refused", UpstreamCode: refused.Code, Err: err}
	default:
		return &Error{Kind: KindUpstreamTimeout, Message: "WeChat Pay did not answer; the outcome is unknown and will be looked up", Err: err}
	}
}

// ask queries WeChat about a payment and books what it says. It reports
// whether the payment is paid.
func (s *Service) ask(ctx context.Context, m *merchant, p *Payment) (paid bool, err error) {
	t, err := m.gateway(p.API).Query(ctx, p)
	var refused *GatewayError
	if errors.As(err, &refused) && saysUnknown(refused) {
		return false, nil
	}
	if err != nil {
		return false, upstream(err)
	}
	if t.MchID != p.MchID || t.OutTradeNo != p.OutTradeNo {
		return false, &Error{Kind: KindUpstream, Message: "WeChat Pay answered about another payment"}
	}
	switch t.State {
	case TradeSuccess, TradeRefund:
	case TradeClosed:
		return false, s.noteClosed(ctx, p)
	default:
		return false, nil
	}
	_, err = s.settle(ctx, &t, queryEvidence(&t, s.rt.now()))
	if err == nil && t.State == TradeRefund {
		s.findRefunds(ctx, m, p, t.TransactionID)
	}
	return err == nil, err
}

// askNow asks WeChat about a payment because somebody wants to know, unless
// it was asked just before. It reports whether the payment is paid.
func (s *Service) askNow(ctx context.Context, m *merchant, p *Payment) (paid bool, err error) {
	if !s.rt.askedPayments.allow(p.PaymentKey, s.rt.now()) {
		return false, nil
	}
	return s.ask(ctx, m, p)
}

// closePayment closes an unpaid payment at WeChat and notes it. A payment in
// progress may still win against the close, so WeChat is asked before and
// after (v3.md section 11). It reports whether the payment is paid instead.
//
// What the buyer pays with is forgotten before WeChat is told: if we do not
// hear what came of the close, nobody may be shown a code that is dead.
func (s *Service) closePayment(ctx context.Context, m *merchant, p *Payment) (paid bool, err error) {
	if paid, err = s.ask(ctx, m, p); paid || err != nil || !p.Live() {
		return paid, err
	}
	if err := s.forgetPrepaid(ctx, p); err != nil {
		return false, err
	}
	err = m.gateway(p.API).Close(ctx, p)
	var refused *GatewayError
	switch {
	case err == nil:
	case errors.As(err, &refused) && saysPaid(refused):
	case errors.As(err, &refused) && (saysClosed(refused) || saysUnknown(refused)):
	default:
		return false, upstream(err)
	}
	if paid, err = s.ask(ctx, m, p); paid || err != nil {
		return paid, err
	}
	return false, s.noteClosed(ctx, p)
}

// noteClosed notes that WeChat takes no money for the payment any more.
func (s *Service) noteClosed(ctx context.Context, p *Payment) error {
	if !p.Live() {
		return nil
	}
	return s.changePayment(ctx, p, func(cur *Payment) bool {
		if !cur.Live() {
			return false
		}
		cur.Status = PaymentClosed
		return true
	})
}

// afterPaid says what a payment that turned out paid means for whoever works
// on its order: KindOrderPaid when it settled the order. Money that did not
// is a case by now, and stands in nobody's way.
func (s *Service) afterPaid(ctx context.Context, key OrderKey) error {
	var o Order
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		o, err = r.Order(key)
		return err
	})
	if err == nil && o.Status.Settled() {
		err = refuse(KindOrderPaid, "", "the order is paid")
	}
	return err
}

// forgetPrepaid makes the payment one that WeChat must be asked for again
// before it is shown to a buyer.
func (s *Service) forgetPrepaid(ctx context.Context, p *Payment) error {
	if p.PrepaidAt.IsZero() {
		return nil
	}
	return s.changePayment(ctx, p, func(cur *Payment) bool {
		cur.PrepayID, cur.CodeURL, cur.H5URL, cur.PrepaidAt = "", "", "", time.Time{}
		return cur.Status != PaymentPaid
	})
}

// refresh asks WeChat about the payments of an order that may have been made
// without our hearing of it.
func (s *Service) refresh(ctx context.Context, key OrderKey) error {
	_, payments, err := s.orderWithPayments(ctx, key)
	if err != nil {
		return err
	}
	for i := range payments {
		p := &payments[i]
		m := s.byNumber[merchantID{p.MchID, p.SubMchID}]
		if m == nil || p.Status == PaymentPaid || p.Status == PaymentFailed {
			continue
		}
		if _, err := s.askNow(ctx, m, p); err != nil {
			return err
		}
	}
	return nil
}
