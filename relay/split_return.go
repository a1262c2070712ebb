package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// SplitReturnRequest is the body of POST
// /v1/profit-sharing/{split_no}/returns.
type SplitReturnRequest struct {
	ReturnNo    string `json:"return_no"`
	Account     string `json:"account"`
	Amount      int64  `json:"amount"`
	Description string `json:"description"`
}

func (req *SplitReturnRequest) check() error {
	switch {
	case !splitNumber.MatchString(req.ReturnNo):
		return refuse(KindParam, "return_no", "1 to 64 characters of 0-9 A-Z a-z _ -")
	case req.Account == "" || len(req.Account) > 32 || !onlyChars(req.Account, isDigit):
		return refuse(KindParam, "account", "the merchant number of a receiver; persons give nothing back")
	case req.Amount < 1 || req.Amount > maxAmountFen:
		return refuse(KindParam, "amount", "integer fen, 1 or more")
	case !shareText(req.Description, maxReceiverText):
		return refuse(KindParam, "description", "1 to 80 bytes of UTF-8 without control characters or emoji")
	}
	return nil
}

// ReturnSplit takes back part of what a receiver of a client's split got. The
// return is durable before WeChat is told. The same return with the same
// content answers as before, with created false; other content is
// KindSplitConflict.
func (s *Service) ReturnSplit(ctx context.Context, caller *Caller, splitNo string, req SplitReturnRequest) (v SplitReturnView, created bool, err error) {
	if err := req.check(); err != nil {
		return v, false, err
	}
	if !caller.Client.AllowSharing {
		return v, false, refuse(KindNoAuth, "", "this client is not allowed profit_sharing")
	}
	key, err := s.splitOf(ctx, caller.Client, splitNo)
	if err != nil {
		return v, false, err
	}
	now := s.rt.now()
	number, err := s.rt.random.id(now)
	if err != nil {
		return v, false, err
	}
	wanted := SplitReturn{
		OutReturnNo: number, ReturnNo: req.ReturnNo, Account: req.Account, AmountFen: req.Amount, Description: req.Description,
		Status: ReturnProcessing, CreatedAt: now,
	}
	made := false // read only when Update says that it is done
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		if err := s.claimNonce(tx, caller); err != nil {
			return err
		}
		sp, err := tx.Split(key)
		if err != nil {
			return err
		}
		made, err = sp.addReturn(&wanted, now)
		if err != nil || !made {
			return err
		}
		return tx.PutSplit(&sp)
	})
	if err != nil {
		return v, false, outcome(err)
	}
	if made {
		if err := s.followSplit(ctx, key); err != nil && refusedFinally(err) {
			return v, false, upstream(err)
		}
	}
	v, err = s.returnNamed(ctx, key, req.ReturnNo)
	return v, made, err
}

// addReturn decides on a return inside the transaction, so that two at once
// cannot take back more than was given. It reports false when the return is
// there already.
func (sp *Split) addReturn(wanted *SplitReturn, now time.Time) (bool, error) {
	if old := sp.returnNo(wanted.ReturnNo); old != nil {
		if old.Account != wanted.Account || old.AmountFen != wanted.AmountFen || old.Description != wanted.Description {
			return false, refuse(KindSplitConflict, "return_no", "this return exists with other content; use a new return_no")
		}
		return false, nil
	}
	switch free := sp.gotFen(wanted.Account) - sp.returningFen(wanted.Account); {
	case now.After(sp.CreatedAt.Add(returnNotAfter)):
		return false, refuse(KindOrderConflict, "", "WeChat Pay takes returns within 180 days of the split")
	case len(sp.Returns) >= maxReturns:
		return false, refusef(KindOrderConflict, "", "at most %d returns of one split", maxReturns)
	case wanted.AmountFen > free:
		return false, refusef(KindAmountExceeded, "amount", "at most %d fen can come back from this receiver", free)
	}
	if !sp.waiting() {
		sp.Calls = 0 // of something else
	}
	sp.Returns = append(slices.Clip(sp.Returns), *wanted)
	sp.DueAt = now.Add(splitFirstAsk)
	return true, nil
}

func (sp *Split) returnNo(no string) *SplitReturn {
	i := slices.IndexFunc(sp.Returns, func(r SplitReturn) bool { return r.ReturnNo == no })
	if i < 0 {
		return nil
	}
	return &sp.Returns[i]
}

func (s *Service) returnNamed(ctx context.Context, key SplitKey, no string) (SplitReturnView, error) {
	sp, err := s.split(ctx, key)
	if err != nil {
		return SplitReturnView{}, outcome(err)
	}
	r := sp.returnNo(no)
	if r == nil {
		return SplitReturnView{}, errors.New("a stored return is not there")
	}
	return returnView(&sp, r), nil
}
