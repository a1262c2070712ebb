package relay

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"
)

// confirmWithin bounds the question that an unsigned statement causes: WeChat
// waits five seconds for the answer to its notification.
const confirmWithin = 3 * time.Second

// refundResult says what a statement about a refund did.
type refundResult string

const (
	refundSettled   refundResult = "refund_settled"   // the refund moved on
	refundRepeated  refundResult = "refund_repeated"  // all of it was known
	refundForeign   refundResult = "refund_foreign"   // about no refund or payment of this merchant as we know it
	refundUnknown   refundResult = "refund_unknown"   // of a payment that we do not have; kept as evidence
	refundExcessive refundResult = "refund_excessive" // more than was paid; kept as evidence, booked nowhere
)

// errForeignRefund refuses a statement that does not fit the refund it names.
var errForeignRefund = refuse(KindParam, "", "notification is for another refund")

// settleRefund books what WeChat says of a refund, in one transaction with
// its evidence, what it does to payment, order or case, the event and the
// schedule for telling the site. Repeats change nothing, and nothing moves
// backwards. A statement that nobody signed is believed only after WeChat was
// asked (threats A23). It returns a word for metrics.
func (s *Service) settleRefund(ctx context.Context, m *merchant, st *RefundStatement, evidence *Evidence) (string, error) {
	if st.MchID != m.MchID || st.SubMchID != m.SubMchID {
		return string(refundForeign), errForeignRefund
	}
	known, paid, err := s.refundBefore(ctx, st)
	if err != nil {
		return "unavailable", outcome(err)
	}
	if known != nil && known.says(st) {
		return string(refundRepeated), nil
	}
	if st.Unsigned {
		if st, err = s.confirmRefund(ctx, m, st, known, paid); err != nil {
			return refundRefusal(err)
		}
		evidence.Source, evidence.Plaintext = evidenceQuery, st.Raw
	}
	if known == nil && paid != nil && paid.Status != PaymentPaid {
		if err := s.learnPayment(ctx, m, paid); err != nil {
			return refundRefusal(err)
		}
	}
	x := &refundSettlement{svc: s, st: st, evidence: evidence}
	if err := s.commitRefund(ctx, x); err != nil {
		return refundRefusal(err)
	}
	return string(x.result), nil
}

// refundRefusal turns a failure into a word for metrics and what WeChat is
// answered: what cannot be decided now is repeated.
func refundRefusal(err error) (string, error) {
	var known *Error
	switch {
	case errors.Is(err, errForeignRefund):
		return string(refundForeign), err
	case errors.As(err, &known) && known.Kind == KindUnavailable:
		return "unavailable", err
	default:
		return "unavailable", &Error{Kind: KindUnavailable, Message: "cannot take this now", Err: err}
	}
}

// refundBefore reads the refund and the payment that a statement names; nil
// for what does not exist.
func (s *Service) refundBefore(ctx context.Context, st *RefundStatement) (known *Refund, paid *Payment, err error) {
	err = s.rt.store.View(ctx, func(tx Reader) error {
		r, err := tx.Refund(RefundKey{MchID: st.MchID, OutRefundNo: st.OutRefundNo})
		if err == nil {
			known = &r
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		p, err := tx.Payment(PaymentKey{MchID: st.MchID, OutTradeNo: st.OutTradeNo})
		if err == nil {
			paid = &p
		} else if !errors.Is(err, ErrNotFound) {
			return err
		}
		return nil
	})
	return known, paid, err
}

// says reports whether the refund is already where a statement puts it.
func (r *Refund) says(st *RefundStatement) bool {
	return r.Status.Final() && r.Status == statusOf(st.State) && r.fits(st) && r.RefundID == st.RefundID
}

// fits compares a statement with the refund that we asked for: a number that
// fits by chance, or by somebody's wish, must not move money.
func (r *Refund) fits(st *RefundStatement) bool {
	return r.MchID == st.MchID && r.SubMchID == st.SubMchID && r.OutRefundNo == st.OutRefundNo &&
		r.OutTradeNo == st.OutTradeNo && r.AmountFen == st.AmountFen &&
		(st.TotalFen == 0 || r.TotalFen == st.TotalFen) &&
		(r.TransactionID == "" || st.TransactionID == "" || r.TransactionID == st.TransactionID) &&
		(r.RefundID == "" || st.RefundID == "" || r.RefundID == st.RefundID)
}

func statusOf(state RefundState) RefundStatus {
	switch state {
	case RefundStateSuccess:
		return RefundSucceeded
	case RefundStateClosed:
		return RefundFailed
	case RefundStateAbnormal:
		return RefundAbnormal
	default:
		return RefundProcessing
	}
}

// confirmRefund asks WeChat about a refund that an unsigned notification
// names. Only its answer is believed. A notification about neither a refund
// nor a payment of ours causes no question.
func (s *Service) confirmRefund(ctx context.Context, m *merchant, st *RefundStatement, known *Refund, paid *Payment) (*RefundStatement, error) {
	switch {
	case known != nil && known.OutTradeNo != st.OutTradeNo, known == nil && paid == nil:
		return nil, errForeignRefund
	case known == nil:
		unknown := unknownRefund(st.OutRefundNo, paid)
		known = &unknown
	}
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	said, err := m.gateway(known.API).QueryRefund(ctx, known)
	var refused *GatewayError
	switch {
	case errors.As(err, &refused) && saysNoRefund(refused):
		return nil, errForeignRefund
	case err != nil:
		return nil, err
	case said.Unsigned, said.MchID != st.MchID, said.SubMchID != st.SubMchID, said.OutRefundNo != st.OutRefundNo:
		return nil, errForeignRefund
	}
	return &said, nil
}

// learnPayment books a payment of which we first hear by its refund.
func (s *Service) learnPayment(ctx context.Context, m *merchant, p *Payment) error {
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	_, err := s.ask(ctx, m, p)
	return err
}

// refundSettlement is news of one refund on its way into the books: a
// statement of WeChat, or its refusal to take the refund.
type refundSettlement struct {
	svc      *Service
	st       *RefundStatement
	evidence *Evidence // nil when there is nothing to keep
	now      time.Time
	eventID  string

	// refusal is set instead of st when WeChat refused key for good.
	refusal string
	key     RefundKey

	// What became of it.
	result refundResult
	refund Refund // as it is now
	told   *Delivery
	order  OrderKey
}

// commitRefund runs the transaction and tells whoever waits for its outcome.
func (s *Service) commitRefund(ctx context.Context, x *refundSettlement) error {
	x.now = s.rt.now()
	if x.st != nil {
		x.key = RefundKey{MchID: x.st.MchID, OutRefundNo: x.st.OutRefundNo}
	}
	id, err := s.rt.random.id(x.now)
	if err != nil {
		return err
	}
	x.eventID = "evt_" + id
	if err := s.rt.store.Update(ctx, x.apply); err != nil {
		return outcome(err)
	}
	if x.result == refundExcessive {
		s.log.Error("WeChat reports a refund beyond what was paid; it is kept as evidence and booked nowhere",
			slog.String("mch_id", x.key.MchID), slog.String("out_refund_no", x.key.OutRefundNo))
	}
	s.wake(x.told)
	if x.order != (OrderKey{}) {
		s.rt.watchers.tell(x.order)
	}
	if x.result == refundSettled && x.refund.Status.Final() {
		s.observeRefund(&x.refund)
	}
	return nil
}

func (s *Service) observeRefund(r *Refund) {
	if s.rt.observe.Refund != nil {
		s.rt.observe.Refund(r.Source, r.Status)
	}
}

// apply is the transaction.
func (x *refundSettlement) apply(tx Tx) error {
	r, err := tx.Refund(x.key)
	switch {
	case errors.Is(err, ErrNotFound) && x.st != nil:
		return x.bookConsole(tx)
	case err != nil:
		return err
	}
	status := RefundFailed
	if x.st != nil {
		if !r.fits(x.st) {
			return errForeignRefund
		}
		status = statusOf(x.st.State)
	}
	if r.mayBecome(status) {
		return x.move(tx, &r, status)
	}
	x.result, x.refund = refundRepeated, r
	if r.DueAt.IsZero() {
		return nil
	}
	r.DueAt = r.nextAsk(x.now)
	return tx.PutRefund(&r)
}

// mayBecome reports whether news moves a refund on. WeChat's word that money
// went back is believed whatever was thought before: a refusal that we took
// for final may have been of a repeat whose first call went through.
func (r *Refund) mayBecome(status RefundStatus) bool {
	switch r.Status {
	case RefundProcessing:
		return true
	case RefundAbnormal:
		return status == RefundSucceeded || status == RefundFailed
	case RefundFailed:
		return status == RefundSucceeded || status == RefundAbnormal
	default:
		return false
	}
}

// move brings the refund to its new state and everything that depends on it.
func (x *refundSettlement) move(tx Tx, r *Refund, status RefundStatus) error {
	accepted := r.RefundID != ""
	x.note(r, status)
	if err := tx.PutRefund(r); err != nil {
		return err
	}
	x.result, x.refund = refundSettled, *r
	if status == RefundProcessing && accepted {
		x.result = refundRepeated // it is on its way, as we knew
		return nil
	}
	if x.evidence != nil {
		x.evidence.Payment = PaymentKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo}
		if err := tx.PutEvidence(x.evidence); err != nil {
			return err
		}
	}
	if status == RefundProcessing && r.Source != RefundByConsole {
		return nil // its money was reserved when it was made
	}
	return x.book(tx, r)
}

// note writes the news into the refund.
func (x *refundSettlement) note(r *Refund, status RefundStatus) {
	if x.st == nil {
		r.Status, r.FailCode, r.DueAt = status, x.refusal, time.Time{}
		return
	}
	if r.RefundID == "" {
		r.RefundID, r.Calls = x.st.RefundID, 0 // from here on it is asked about, no more asked for
	}
	r.Status, r.FailCode = status, ""
	r.UserAccount = cmp.Or(x.st.UserAccount, r.UserAccount)
	r.DueAt = r.nextAsk(x.now)
	switch status {
	case RefundProcessing:
	case RefundSucceeded:
		if r.SucceededAt = x.st.SuccessTime; r.SucceededAt.IsZero() {
			r.SucceededAt = x.now
		}
	default:
		r.FailCode = string(x.st.State)
	}
}

// book brings payment, order and case up to date with their refund. The order
// and its client hear of its own money alone: what a case holds never was, nor
// is it when somebody gives it back in WeChat's console. Money that an operator
// accepted after a refund seemed to fail is the order's.
func (x *refundSettlement) book(tx Tx, r *Refund) error {
	p, o, err := paymentAndOrder(tx, r)
	if err != nil {
		return err
	}
	if p != nil {
		if err := sumRefunds(tx, p, o, r); err != nil {
			return err
		}
		if err := tx.PutPayment(p); err != nil {
			return err
		}
	}
	if o != nil {
		x.order = o.OrderKey
	}
	if r.CaseID != "" && r.Status.Final() {
		if x.told, err = x.svc.caseRefundEnded(tx, r, x.now); err != nil {
			return err
		}
	}
	if o == nil || o.PaidBy != p.OutTradeNo {
		return nil
	}
	o.countRefunds(p)
	o.Version++
	if err := tx.PutOrder(o); err != nil {
		return err
	}
	return x.tellClient(tx, r, p, o)
}

func (x *refundSettlement) tellClient(tx Tx, r *Refund, p *Payment, o *Order) (err error) {
	if !r.Status.Final() {
		return nil
	}
	kind := EventRefundFailed
	if r.Status == RefundSucceeded {
		kind = EventRefundSucceeded
	}
	x.told, err = x.svc.tell(tx, fact{id: x.eventID, kind: kind, order: o, payment: p, refund: r, at: x.now})
	return err
}

// paymentAndOrder reads what a refund belongs to; nil for what is not there,
// as with the money of an unknown order.
func paymentAndOrder(tx Reader, r *Refund) (*Payment, *Order, error) {
	p, err := tx.Payment(PaymentKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo})
	if errors.Is(err, ErrNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if p.Order == (OrderKey{}) {
		return &p, nil, nil
	}
	o, err := tx.Order(p.Order)
	return &p, &o, err
}

// sumRefunds counts what went back of a payment and what is on its way, from
// its refunds as they stand. An abnormal refund keeps its money reserved:
// WeChat still holds it for the buyer, and takes no other refund of it.
func sumRefunds(tx RefundReader, p *Payment, o *Order, current *Refund) error {
	numbers := []string{current.OutRefundNo}
	if o != nil {
		numbers = o.Refunds
	}
	var back, away int64
	for _, no := range numbers {
		r := *current
		if no != current.OutRefundNo {
			var err error
			if r, err = tx.Refund(RefundKey{MchID: p.MchID, OutRefundNo: no}); err != nil {
				return err
			}
		}
		switch {
		case r.OutTradeNo != p.OutTradeNo:
		case r.Status == RefundSucceeded:
			back += r.AmountFen
		case r.Status != RefundFailed:
			away += r.AmountFen
		}
	}
	// A refund made in WeChat's console may take money that one of ours, not
	// accepted yet, has reserved. WeChat will refuse ours.
	p.RefundedFen = min(back, p.PaidFen)
	p.ReservedFen = min(back+away, p.PaidFen)
	return nil
}

// countRefunds brings the order to where the refunds of its payment put it.
func (o *Order) countRefunds(p *Payment) {
	o.RefundedFen = p.RefundedFen
	switch {
	case p.ReservedFen > p.RefundedFen:
		o.Status = OrderRefunding
	case o.RefundedFen == 0:
		o.Status = OrderPaid
	case o.RefundedFen >= o.PaidFen:
		o.Status = OrderRefunded
	default:
		o.Status = OrderPartiallyRefunded
	}
}
