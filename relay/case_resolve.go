package relay

import (
	"context"
	"errors"
	"time"
)

// CaseAction is what an operator decides about held money.
type CaseAction string

// The actions.
const (
	// ActionRefund gives the money back now.
	ActionRefund CaseAction = "refund"
	// ActionDismiss ends the case; the money stays, and was seen to elsewhere.
	ActionDismiss CaseAction = "dismiss"
	// ActionAccept takes money that came after the close as the payment of
	// its order. Only for CasePaidAfterClose: an amount that the client did
	// not ask for would pass as one that it did.
	ActionAccept CaseAction = "accept"
)

// What bounds the operator's words and name, in bytes.
const (
	maxResolutionReason = 512
	maxResolvedBy       = 128
)

// Resolution is an operator's decision about a case.
type Resolution struct {
	Action CaseAction
	Reason string // needed: 1..512 bytes of text
	By     string // who decided, for the record
}

// Check refuses a decision that says too little or too much.
func (r *Resolution) Check() error {
	switch r.Action {
	case ActionRefund, ActionDismiss, ActionAccept:
	default:
		return refuse(KindParam, "action", "refund, dismiss or accept")
	}
	if r.Reason == "" || len(r.Reason) > maxResolutionReason || !plainText(r.Reason) {
		return refusef(KindParam, "reason", "needed: why, in 1 to %d bytes of text on one line", maxResolutionReason)
	}
	if len(r.By) > maxResolvedBy || !plainText(r.By) {
		return refusef(KindParam, "by", "who decides, in at most %d bytes of text", maxResolvedBy)
	}
	return nil
}

// resolution is a Resolution on its way into the books.
type resolution struct {
	Resolution
	svc      *Service
	caseID   string
	now      time.Time
	paidID   string // of the event of an order that is paid by this
	caseEvt  string
	refundNo string

	result Case
	told   []*Delivery
}

// ResolveCase ends a case by an operator's word. The same word again changes
// nothing; another word about a case that has ended is KindCaseConflict.
func (s *Service) ResolveCase(ctx context.Context, id string, r Resolution) (Case, error) {
	if err := r.Check(); err != nil {
		return Case{}, err
	}
	x := &resolution{Resolution: r, svc: s, caseID: id, now: s.rt.now()}
	for _, name := range []*string{&x.paidID, &x.caseEvt, &x.refundNo} {
		made, err := s.rt.random.id(x.now)
		if err != nil {
			return Case{}, err
		}
		*name = made
	}
	x.paidID, x.caseEvt = "evt_"+x.paidID, "evt_"+x.caseEvt
	err := s.rt.store.Update(ctx, x.apply)
	if errors.Is(err, ErrNotFound) {
		return Case{}, notFound("case")
	}
	if err != nil {
		return Case{}, outcome(err)
	}
	s.wake(x.told...)
	if x.result.Status == CaseRefunding {
		s.rt.refunds.wake()
	}
	if x.result.Order != (OrderKey{}) {
		s.rt.watchers.tell(x.result.Order)
	}
	if x.result.Status == CaseRefunding {
		s.rt.refunds.wake()
	}
	return x.result, nil
}

// apply is the transaction.
func (x *resolution) apply(tx Tx) error {
	c, err := tx.Case(x.caseID)
	if err != nil {
		return err
	}
	if c.Status != CaseHeld {
		x.result = c
		return x.repeats(tx, &c)
	}
	switch x.Action {
	case ActionRefund:
		err = x.refund(tx, &c)
	case ActionAccept:
		err = x.accept(tx, &c)
	default:
		x.end(&c)
	}
	if err != nil {
		return err
	}
	c.ResolvedBy, c.Reason = x.By, x.Reason
	if err := tx.PutCase(&c); err != nil {
		return err
	}
	x.result = c
	return x.tell(x.svc.tellCase(tx, &c, x.caseEvt, x.now))
}

// repeats lets the word that ended a case be said again, for an operator who
// did not hear the answer.
func (x *resolution) repeats(r Reader, c *Case) error {
	done, err := ended(r, c)
	if err != nil {
		return err
	}
	if done == x.Action && c.Reason == x.Reason && c.ResolvedBy == x.By {
		return nil
	}
	return refusef(KindCaseConflict, "", "the case is %s already", c.Status)
}

// ended says by which action a case that is not held was ended. Accepted money
// is what its order is paid by.
func ended(r Reader, c *Case) (CaseAction, error) {
	switch {
	case c.Status == CaseRefunding || c.Status == CaseRefunded:
		return ActionRefund, nil
	case c.Kind != CasePaidAfterClose:
		return ActionDismiss, nil
	}
	o, err := r.Order(c.Order)
	if err == nil && o.PaidBy == c.Payment.OutTradeNo {
		return ActionAccept, nil
	}
	return ActionDismiss, err
}

func (x *resolution) end(c *Case) { c.Status, c.ResolvedAt = CaseResolved, x.now }

func (x *resolution) tell(d *Delivery, err error) error {
	if d != nil {
		x.told = append(x.told, d)
	}
	return err
}

func (x *resolution) refund(tx Tx, c *Case) error {
	if c.Kind == CaseUnknownOrder {
		return refuse(KindCaseConflict, "action", "give the money of an unknown order back in WeChat's merchant console, then dismiss the case")
	}
	p, o, err := x.books(tx, c)
	if err != nil {
		return err
	}
	refused, err := x.svc.giveBack(tx, c, &p, &o, x.refundNo)
	if err != nil {
		return err
	}
	if refused != "" {
		return refuse(KindCaseConflict, "action", refused)
	}
	if err := tx.PutPayment(&p); err != nil {
		return err
	}
	return tx.PutOrder(&o)
}

func (x *resolution) accept(tx Tx, c *Case) error {
	if c.Kind != CasePaidAfterClose {
		return refuse(KindCaseConflict, "action", "only money that came after the close can be accepted; refund or dismiss this")
	}
	p, o, err := x.books(tx, c)
	switch {
	case err != nil:
		return err
	case o.Status.Settled():
		return refuse(KindCaseConflict, "action", "the order is paid by another payment; refund or dismiss this")
	case p.ReservedFen > 0:
		return refuse(KindCaseConflict, "action", "some of the money went back; refund or dismiss the rest")
	}
	settleOrder(&o, &p)
	x.end(c)
	if err := tx.PutOrder(&o); err != nil {
		return err
	}
	return x.tell(x.svc.tell(tx, fact{id: x.paidID, kind: EventOrderPaid, order: &o, payment: &p, at: x.now}))
}

func (x *resolution) books(tx Tx, c *Case) (p Payment, o Order, err error) {
	if p, err = tx.Payment(c.Payment); err != nil {
		return p, o, err
	}
	o, err = tx.Order(c.Order)
	return p, o, err
}

// CaseFilter picks cases from the list of all.
type CaseFilter struct {
	Status CaseStatus // empty: every one
	After  string     // id after which to go on; empty: from the beginning
	Limit  int        // 1..200
}

// CasePage is a part of the list of cases, oldest payment first.
type CasePage struct {
	Cases   []Case
	Next    string // with HasMore: the After of the next page
	HasMore bool
}

// Cases lists anomalies for the operator.
func (s *Service) Cases(ctx context.Context, f CaseFilter) (page CasePage, err error) {
	if f.Limit < 1 || f.Limit > 200 {
		return page, refuse(KindParam, "limit", "1 to 200")
	}
	switch f.Status {
	case "", CaseHeld, CaseRefunding, CaseRefunded, CaseResolved:
	default:
		return page, refuse(KindParam, "status", "held, refunding, refunded or resolved")
	}
	err = s.rt.store.View(ctx, func(r Reader) error {
		page, err = casesOf(r, f)
		return err
	})
	return page, outcome(err)
}

// caseStep is how many cases are read at a time.
const caseStep = 200

func casesOf(r Reader, f CaseFilter) (page CasePage, err error) {
	for after := f.After; ; {
		some, err := r.Cases(after, caseStep)
		if err != nil {
			return page, err
		}
		for i := range some {
			if f.Status != "" && some[i].Status != f.Status {
				continue
			}
			if len(page.Cases) == f.Limit {
				page.HasMore = true
				return page, nil
			}
			page.Cases = append(page.Cases, some[i])
			page.Next = some[i].ID
		}
		if len(some) < caseStep {
			return page, nil
		}
		after = some[len(some)-1].ID
	}
}

// Case reads one anomaly for the operator.
func (s *Service) Case(ctx context.Context, id string) (c Case, err error) {
	err = s.rt.store.View(ctx, func(r Reader) (err error) {
		c, err = r.Case(id)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return c, notFound("case")
	}
	return c, outcome(err)
}
