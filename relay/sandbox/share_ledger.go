package sandbox

import (
	"slices"
	"time"
)

// addReceiver lets a merchant share with somebody; adding twice is harmless.
func (l *ledger) addReceiver(r receiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.receivers, r) {
		l.receivers = append(l.receivers, r)
	}
}

// removeReceiver ends what addReceiver began; doing it twice is harmless.
func (l *ledger) removeReceiver(r receiver) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.receivers = slices.DeleteFunc(l.receivers, func(known receiver) bool { return known == r })
}

// share starts a share, or finds the one that the same request started
// before.
func (l *ledger) share(asked share, ratio int64, happens func(name string) *fault) (made share, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if known := l.shares[asked.shareKey]; known != nil {
		if known.Content != asked.Content {
			return share{}, false, errOtherContent
		}
		return known.copied(), false, nil
	}
	o, err := l.paidOrder(asked.MchID, asked.SubMchID, asked.TransactionID)
	if err != nil {
		return share{}, false, err
	}
	if err := l.shareIssue(o, &asked, ratio, now, happens); err != nil {
		return share{}, false, err
	}
	if asked.UnfreezeOnly {
		asked.Parts[0].AmountFen = o.frozen(now)
	} else {
		o.SharedFen += asked.sum()
		o.SplitFen += asked.sum()
	}
	o.FrozenFen = o.frozen(now) - asked.sum()
	if asked.Unfreeze {
		o.FrozenFen = 0
	}
	asked.OutTradeNo = o.OutTradeNo
	asked.OrderID = l.newID("9997", now)
	asked.State = shareProcessing
	asked.CreatedAt = now
	asked.Closed = !asked.UnfreezeOnly && happens(faultShareClosed) != nil
	for i := range asked.Parts {
		asked.Parts[i].Result = resultPending
		asked.Parts[i].DetailID = l.newID("9996", now)
		asked.Parts[i].CreatedAt = now
	}
	kept := asked.copied()
	l.shares[asked.shareKey] = &kept
	o.Shares = append(o.Shares, asked.OutOrderNo)
	return asked, true, nil
}

// paidOrder finds the paid order of a transaction. One of another sub
// merchant does not exist. The caller holds mu.
func (l *ledger) paidOrder(mchID, subMchID, transactionID string) (*order, error) {
	for _, o := range l.orders {
		if o.MchID == mchID && o.SubMchID == subMchID && o.Paid() && o.TransactionID == transactionID {
			return o, nil
		}
	}
	return nil, errNoOrder
}

// shareIssue says why a new share is refused (v3.md 16). The caller holds mu.
func (l *ledger) shareIssue(o *order, asked *share, ratio int64, now time.Time, happens func(name string) *fault) error {
	switch {
	case !o.ProfitSharing:
		return errNotShared
	case len(o.Shares) >= maxShares:
		return errShareTooMany
	case now.Sub(o.PaidAt) < shareEarliest && happens(faultShareTooSoon) != nil:
		return errShareTooSoon
	case o.frozen(now) == 0:
		return errShareOver
	case asked.UnfreezeOnly:
		return nil
	case asked.sum() > o.frozen(now):
		return errShareExceeds
	case o.SplitFen+asked.sum() > o.PaidFen*ratio/10000:
		return errShareRatio
	}
	for _, part := range asked.Parts {
		who := receiver{MchID: asked.MchID, SubMchID: asked.SubMchID, Kind: part.Kind, Account: part.Account}
		if !slices.Contains(l.receivers, who) {
			return errNoReceiver
		}
	}
	return nil
}

// finishShare ends a share. The money of a receiver whose account does not
// work is the merchant's own again.
func (l *ledger) finishShare(key shareKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sh := l.shares[key]
	if sh == nil || sh.State != shareProcessing {
		return
	}
	sh.State = shareFinished
	o := l.orders[orderKey{MchID: key.MchID, OutTradeNo: sh.OutTradeNo}]
	for i := range sh.Parts {
		part := &sh.Parts[i]
		part.FinishedAt = l.now()
		part.Result = resultSuccess
		if i == 0 && sh.Closed {
			part.Result, part.FailReason = resultClosed, failAccount
			o.SharedFen -= part.AmountFen
			o.SplitFen -= part.AmountFen
		}
	}
}

// findShare returns a share by its number.
func (l *ledger) findShare(key shareKey) (share, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if sh := l.shares[key]; sh != nil {
		return sh.copied(), nil
	}
	return share{}, errNoShare
}

// shareByID finds the number of a share by WeChat's own.
func (l *ledger) shareByID(mchID, orderID string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for key, sh := range l.shares {
		if key.MchID == mchID && sh.OrderID == orderID {
			return key.OutOrderNo, nil
		}
	}
	return "", errNoShare
}

// unsplit is what of a paid order can still be shared.
func (l *ledger) unsplit(mchID, transactionID string) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, o := range l.orders {
		if o.MchID == mchID && o.Paid() && o.TransactionID == transactionID {
			if !o.ProfitSharing {
				return 0, errNotShared
			}
			return o.frozen(l.now()), nil
		}
	}
	return 0, errNoOrder
}

// returnShare starts a return, or finds the one that the same request
// started before.
func (l *ledger) returnShare(asked shareReturn, happens func(name string) *fault) (made shareReturn, fresh bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if known := l.returns[asked.returnKey]; known != nil {
		if !known.sameRequest(&asked) {
			return shareReturn{}, false, errOtherContent
		}
		return *known, false, nil
	}
	part, err := l.returnable(&asked, now)
	if err != nil {
		return shareReturn{}, false, err
	}
	part.ReturnedFen += asked.AmountFen
	asked.ReturnID = l.newID("9995", now)
	asked.Result = returnProcessing
	asked.CreatedAt = now
	asked.Fails = happens(faultReturnFailed) != nil
	l.returns[asked.returnKey] = &asked
	return asked, true, nil
}

// returnable finds the part that a return gives back from. The caller holds
// mu.
func (l *ledger) returnable(asked *shareReturn, now time.Time) (*sharePart, error) {
	sh := l.shares[shareKey{MchID: asked.MchID, OutOrderNo: asked.OutOrderNo}]
	switch {
	case sh == nil || sh.SubMchID != asked.SubMchID:
		return nil, errNoShare
	case sh.State != shareFinished:
		return nil, errReturnEarly
	case now.Sub(sh.CreatedAt) > returnPeriod:
		return nil, errReturnOverdue
	}
	asked.OrderID = sh.OrderID
	for i := range sh.Parts {
		part := &sh.Parts[i]
		if part.Kind != receiverMerchant || part.Account != asked.ReturnMchID || part.Result != resultSuccess || sh.UnfreezeOnly {
			continue
		}
		if asked.AmountFen > part.AmountFen-part.ReturnedFen {
			return nil, errReturnExceeds
		}
		return part, nil
	}
	return nil, errReturnFrom
}

// finishReturn ends a return: the money is the merchant's again, or it stays
// with the receiver.
func (l *ledger) finishReturn(key returnKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.returns[key]
	if r == nil || r.Result != returnProcessing {
		return
	}
	r.FinishedAt = l.now()
	sh := l.shares[shareKey{MchID: key.MchID, OutOrderNo: r.OutOrderNo}]
	if r.Fails {
		r.Result, r.FailReason = returnFailed, failAccount
		for i := range sh.Parts {
			if part := &sh.Parts[i]; part.Kind == receiverMerchant && part.Account == r.ReturnMchID {
				part.ReturnedFen -= r.AmountFen
			}
		}
		return
	}
	r.Result = returnSuccess
	l.orders[orderKey{MchID: key.MchID, OutTradeNo: sh.OutTradeNo}].SharedFen -= r.AmountFen
}

// findReturn returns a return by its number.
func (l *ledger) findReturn(key returnKey) (shareReturn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r := l.returns[key]; r != nil {
		return *r, nil
	}
	return shareReturn{}, errNoReturn
}

// forgetShares removes the shares of an order that is forgotten. The caller
// holds mu.
func (l *ledger) forgetShares(o *order) {
	for _, number := range o.Shares {
		delete(l.shares, shareKey{MchID: o.MchID, OutOrderNo: number})
		for key, r := range l.returns {
			if key.MchID == o.MchID && r.OutOrderNo == number {
				delete(l.returns, key)
			}
		}
	}
}
