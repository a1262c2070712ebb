package sandbox

import (
	"errors"
	"fmt"
	"time"
)

// The rules of refunds (v2.md 11).
const (
	refundPeriod  = 365 * 24 * time.Hour
	refundSpacing = time.Minute
	maxRefunds    = 50

	// refundDelay is how long a refund is processed, before scaling.
	refundDelay = 2 * time.Second
)

// refundStatus is the state of a refund, spelled as v3 does; v2 calls CLOSED
// REFUNDCLOSE and ABNORMAL CHANGE.
type refundStatus string

const (
	refundProcessing refundStatus = "PROCESSING"
	refundSuccess    refundStatus = "SUCCESS"
	refundClosed     refundStatus = "CLOSED"
	refundAbnormal   refundStatus = "ABNORMAL"
)

// Conditions that the ledger reports of refunds. Beside these it reports
// errNoOrder, errNotPaid and errOtherContent.
var (
	errNoRefund        = errors.New("no such refund")
	errRefundAmount    = errors.New("the refund exists with another amount")
	errRefundTotal     = errors.New("the total is not what the order was paid with")
	errRefundExceeds   = errors.New("more than what was paid would be refunded")
	errRefundTooMany   = errors.New("the order has 50 refunds")
	errRefundOverdue   = errors.New("the order was paid more than a year ago")
	errRefundTooSoon   = errors.New("the last refund of the order is less than a minute old")
	errNotEnough       = errors.New("the merchant's balance is not enough")
	errRefundNotBroken = errors.New("the refund is not abnormal")
)

// refundKey names a refund: the number is unique per merchant, and over all
// sub merchants of a service provider.
type refundKey struct{ MchID, OutRefundNo string }

// refund is a refund as WeChat's side knows it. Values are copies; the
// ledger keeps its own.
type refund struct {
	refundKey
	API           generation // form of its notification
	Console       bool       // made in WeChat's own console, not by the API
	SubMchID      string
	OutTradeNo    string
	TransactionID string
	TotalFen      int64 // of the order
	RefundFen     int64
	Reason        string
	FundsAccount  string // AVAILABLE or UNSETTLED, as asked; may be empty
	NotifyURL     string // empty: where the merchant's console says
	Serial        string // platform key that signs the notification

	RefundID   string
	Status     refundStatus
	Outcome    refundStatus // what it will be
	AsksLeft   int          // above 0: so many queries until it goes on
	CreatedAt  time.Time
	FinishedAt time.Time
}

// order names the order that the refund belongs to.
func (r *refund) order() orderKey { return orderKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo} }

// succeededAt tells when the money arrived; zero when it did not.
func (r *refund) succeededAt() time.Time {
	if r.Status != refundSuccess {
		return time.Time{}
	}
	return r.FinishedAt
}

// sameRequest compares a repeated request with the first one. The order is
// compared by its number, whichever id the request named.
func (r *refund) sameRequest(asked *refund) error {
	switch {
	case r.OutTradeNo != asked.OutTradeNo || r.SubMchID != asked.SubMchID:
		return errOtherContent
	case r.RefundFen != asked.RefundFen || r.TotalFen != asked.TotalFen:
		return errRefundAmount
	case r.Reason != asked.Reason:
		return errOtherContent
	}
	return nil
}

// refund starts a refund, or finds the one that the same request started
// before. asked names the order by OutTradeNo, TransactionID or both. happens
// tells of the faults that shall happen.
func (l *ledger) refund(asked refund, happens func(name string) *fault) (made refund, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	o, err := l.refundable(&asked, now)
	if err != nil {
		return refund{}, false, err
	}
	if known := l.refunds[asked.refundKey]; known != nil {
		return *known, false, known.sameRequest(&asked)
	}
	if err := l.refundIssue(o, &asked, now, happens); err != nil {
		return refund{}, false, err
	}
	asked.RefundID = l.newID("9998", now)
	asked.CreatedAt = now
	asked.Status = refundProcessing
	asked.decide(happens)
	l.refunds[asked.refundKey] = &asked
	o.State = stateRefund
	o.Refunds = append(o.Refunds, asked.OutRefundNo)
	o.RefundedFen += asked.RefundFen
	// Frozen money goes back before the merchant's own (v2.md 11).
	o.FrozenFen -= min(o.FrozenFen, asked.RefundFen)
	return asked, true, nil
}

// decide settles how the refund will end.
func (r *refund) decide(happens func(name string) *fault) {
	r.Outcome = refundSuccess
	switch {
	case happens(faultRefundAbnormal) != nil:
		r.Outcome = refundAbnormal
	case happens(faultRefundClosed) != nil:
		r.Outcome = refundClosed
	}
	if f := happens(faultRefundStuck); f != nil {
		r.AsksLeft = max(f.Asks, 1)
	}
}

// refundable finds the order of a refund and fills in what names it. An
// order of another sub merchant does not exist. The caller holds mu.
func (l *ledger) refundable(asked *refund, now time.Time) (*order, error) {
	var o *order
	if asked.OutTradeNo != "" {
		o = l.find(asked.order(), now)
	} else {
		for _, candidate := range l.orders {
			if candidate.MchID == asked.MchID && candidate.TransactionID == asked.TransactionID && asked.TransactionID != "" {
				o = candidate
			}
		}
	}
	switch {
	case o == nil || o.SubMchID != asked.SubMchID || asked.TransactionID != "" && asked.TransactionID != o.TransactionID:
		return nil, errNoOrder
	case !o.Paid():
		return nil, errNotPaid
	}
	asked.OutTradeNo, asked.TransactionID = o.OutTradeNo, o.TransactionID
	return o, nil
}

// refundIssue says why a new refund of a paid order is refused (v2.md 11).
// The caller holds mu.
func (l *ledger) refundIssue(o *order, asked *refund, now time.Time, happens func(name string) *fault) error {
	switch {
	case asked.TotalFen != o.PaidFen:
		return errRefundTotal
	case asked.RefundFen < 1 || asked.RefundFen > o.Refundable():
		return errRefundExceeds
	case len(o.Refunds) >= maxRefunds:
		return errRefundTooMany
	case now.Sub(o.PaidAt) > refundPeriod:
		return errRefundOverdue
	case asked.RefundFen > o.Refundable()-o.SharedFen, happens(faultRefundNotEnough) != nil:
		// What receivers got must come back first: the sandbox's merchants
		// have no other money.
		return errNotEnough
	}
	if len(o.Refunds) == 0 {
		return nil
	}
	last := l.refunds[refundKey{MchID: o.MchID, OutRefundNo: o.Refunds[len(o.Refunds)-1]}]
	if now.Sub(last.CreatedAt) < refundSpacing && happens(faultRefundTooSoon) != nil {
		return errRefundTooSoon
	}
	return nil
}

// finishRefund ends a refund that is processed; it reports false when there
// was nothing to end. The money of a closed refund stays with the merchant.
func (l *ledger) finishRefund(key refundKey) (refund, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refunds[key]
	if r == nil || r.Status != refundProcessing {
		return refund{}, false
	}
	r.Status = r.Outcome
	r.AsksLeft = 0
	r.FinishedAt = l.now()
	if r.Status == refundClosed {
		l.orders[r.order()].RefundedFen -= r.RefundFen
	}
	return *r, true
}

// askRefund returns a refund to who asks for it. It reports ripe when this
// was the query that a stuck refund waited for.
func (l *ledger) askRefund(key refundKey) (r refund, ripe bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.refunds[key]
	if known == nil {
		return refund{}, false, errNoRefund
	}
	if known.Status == refundProcessing && known.AsksLeft > 0 {
		known.AsksLeft--
		ripe = known.AsksLeft == 0
	}
	return *known, ripe, nil
}

// refundByID finds the number of a refund by WeChat's own.
func (l *ledger) refundByID(mchID, refundID string) (refundKey, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, r := range l.refunds {
		if key.MchID == mchID && r.RefundID == refundID {
			return key, nil
		}
	}
	return refundKey{}, errNoRefund
}

// orderOfRefund returns the order that a refund belongs to.
func (l *ledger) orderOfRefund(key refundKey) (order, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refunds[key]
	if r == nil {
		return order{}, errNoRefund
	}
	return *l.orders[r.order()], nil
}

// refundsOf lists the refunds of an order, oldest first.
func (l *ledger) refundsOf(key orderKey) []refund {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := l.orders[key]
	if o == nil {
		return nil
	}
	list := make([]refund, 0, len(o.Refunds))
	for _, number := range o.Refunds {
		list = append(list, *l.refunds[refundKey{MchID: key.MchID, OutRefundNo: number}])
	}
	return list
}

// mendRefund takes up an abnormal refund again, with an account that works.
func (l *ledger) mendRefund(key refundKey) (refund, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.refunds[key]
	switch {
	case r == nil:
		return refund{}, errNoRefund
	case r.Status != refundAbnormal:
		return refund{}, errRefundNotBroken
	}
	r.Status, r.Outcome = refundProcessing, refundSuccess
	r.FinishedAt = time.Time{}
	return *r, nil
}

// refund starts a refund as either generation of the API asks for it, and
// sees to its end.
func (s *Sandbox) refund(asked refund) (refund, error) {
	made, fresh, err := s.ledger.refund(asked, s.faults.happens)
	if err != nil || !fresh {
		return made, err
	}
	return made, s.processRefund(&made)
}

// processRefund lets a refund end after its time; a stuck one waits until it
// is asked for.
func (s *Sandbox) processRefund(r *refund) error {
	if r.AsksLeft > 0 {
		return nil
	}
	key := r.refundKey
	if err := s.notifier.after(s.notifier.scaled(refundDelay), func() { s.finishRefund(key) }); err != nil {
		return fmt.Errorf("processing a refund: %w", err)
	}
	return nil
}

// lookUpRefund returns a refund to a query of either generation.
func (s *Sandbox) lookUpRefund(key refundKey) (refund, error) {
	r, ripe, err := s.ledger.askRefund(key)
	if err == nil && ripe {
		s.finishRefund(key)
		r, _, err = s.ledger.askRefund(key)
	}
	return r, err
}

// finishRefund ends a refund and tells the merchant.
func (s *Sandbox) finishRefund(key refundKey) {
	done, ended := s.ledger.finishRefund(key)
	if !ended {
		return
	}
	if err := s.notifyRefund(&done); err != nil {
		s.log.Warn("sandbox: notifying a refund", "out_refund_no", done.OutRefundNo, "error", err)
	}
}

// notifyRefund starts to notify of a refund that ended.
func (s *Sandbox) notifyRefund(r *refund) error {
	o, err := s.ledger.byNumber(r.order())
	if err != nil {
		return err
	}
	note, err := s.refundNotification(&o, r)
	if err != nil {
		return err
	}
	if note.url == "" {
		return nil // the merchant asked for none
	}
	return s.notifier.start(note)
}
