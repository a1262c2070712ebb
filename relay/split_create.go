package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// splitFirstAsk leaves the caller's own call to WeChat some time before the
// follower begins.
const splitFirstAsk = 15 * time.Second

// CreateSplit shares money of a client's paid order, or ends the sharing. The
// split is durable before WeChat is told. The same split with the same
// content answers as before, with created false; other content is
// KindSplitConflict.
func (s *Service) CreateSplit(ctx context.Context, caller *Caller, orderNo string, req SplitRequest) (v SplitView, created bool, err error) {
	if err := req.check(); err != nil {
		return v, false, err
	}
	m, err := s.merchantOf(caller.Client)
	if err != nil {
		return v, false, err
	}
	if _, err := s.sharing(caller.Client, m); err != nil {
		return v, false, err
	}
	sp, err := s.newSplit(caller.Client, orderNo, &req)
	if err != nil {
		return v, false, err
	}
	var key SplitKey // read, as made, only when Update says that it is done
	var made bool
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		if err := s.claimNonce(tx, caller); err != nil {
			return err
		}
		old, err := tx.SplitByNo(sp.ClientID, sp.SplitNo)
		if errors.Is(err, ErrNotFound) {
			err = s.storeSplit(tx, sp)
			key, made = sp.SplitKey, true
			return err
		}
		key = old
		return sameSplit(tx, old, sp, err)
	})
	if err != nil {
		return v, false, outcome(err)
	}
	if made {
		if err := s.followSplit(ctx, key); err != nil && refusedFinally(err) {
			return v, false, upstream(err)
		}
		// Any other failure is followed up; the client asks for the state.
	}
	v, err = s.splitView(ctx, key)
	return v, made, err
}

// sameSplit refuses a number that another split has. err is that of finding
// it.
func sameSplit(tx Tx, key SplitKey, sp *Split, err error) error {
	if err != nil {
		return err
	}
	old, err := tx.Split(key)
	if err != nil {
		return err
	}
	if old.Digest != sp.Digest {
		return refuse(KindSplitConflict, "split_no", "this split exists with other content; use a new split_no")
	}
	return nil
}

// newSplit fills in what does not depend on the order.
func (s *Service) newSplit(c *Client, orderNo string, req *SplitRequest) (*Split, error) {
	now := s.rt.now()
	number, err := s.rt.random.id(now)
	if err != nil {
		return nil, err
	}
	sum, err := digest(orderNo, req)
	if err != nil {
		return nil, err
	}
	sp := &Split{
		SplitKey:    SplitKey{OutOrderNo: number},
		ClientID:    c.ID,
		SplitNo:     req.SplitNo,
		OrderNo:     orderNo,
		Digest:      sum,
		Unfreeze:    req.Unfreeze,
		Description: req.Description,
		Status:      SplitProcessing,
		CreatedAt:   now,
		DueAt:       now.Add(splitFirstAsk),
	}
	if len(req.Receivers) == 0 && sp.Description == "" {
		sp.Description = unfreezeText
	}
	for i := range req.Receivers {
		r := &req.Receivers[i]
		sp.Receivers = append(sp.Receivers, SplitReceiver{
			Type: r.Type, Account: r.Account, Name: r.Name, AmountFen: r.Amount, Description: r.Description, Result: SharePending,
		})
	}
	return sp, nil
}

// storeSplit checks the order and its money, and keeps the split with it, in
// one transaction: two splits at once cannot share the same money (threats
// C09).
func (s *Service) storeSplit(tx Tx, sp *Split) error {
	o, err := tx.Order(OrderKey{ClientID: sp.ClientID, OrderNo: sp.OrderNo})
	if errors.Is(err, ErrNotFound) {
		return notFound("order")
	}
	if err != nil {
		return err
	}
	if err := sharable(&o, sp.CreatedAt); err != nil {
		return err
	}
	p, err := tx.Payment(PaymentKey{MchID: o.MchID, OutTradeNo: o.PaidBy})
	if err != nil {
		return err
	}
	sum, err := sharesOf(tx, &p, &o)
	if err != nil {
		return err
	}
	if err := sum.left(&p, &o, sp.SharedFen()); err != nil {
		return err
	}
	sp.MchID, sp.SubMchID, sp.SubAppID, sp.AppID = p.MchID, p.SubMchID, p.SubAppID, p.AppID
	sp.OutTradeNo, sp.TransactionID = p.OutTradeNo, p.TransactionID
	o.Splits = append(slices.Clip(o.Splits), sp.OutOrderNo)
	o.Version++
	if err := tx.PutOrder(&o); err != nil {
		return err
	}
	return tx.PutSplit(sp)
}
