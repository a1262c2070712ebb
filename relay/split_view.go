package relay

import (
	"context"
	"errors"
)

// SplitView is a split as its client reads it. Names of receivers are not
// told again.
type SplitView struct {
	SplitNo    string              `json:"split_no"`
	OrderNo    string              `json:"order_no"`
	OutOrderNo string              `json:"out_order_no"`
	Status     SplitStatus         `json:"status"`
	Receivers  []SplitReceiverView `json:"receivers"`
	Unfreeze   bool                `json:"unfreeze"`
	Returns    []SplitReturnView   `json:"returns"`
	FailCode   string              `json:"fail_code,omitempty"`
	CreatedAt  string              `json:"created_at"`
}

// SplitReceiverView is one receiver in it.
type SplitReceiverView struct {
	Type        ReceiverType `json:"type"`
	Account     string       `json:"account"`
	Amount      int64        `json:"amount"`
	Description string       `json:"description"`
	Result      ShareResult  `json:"result"`
	FailReason  string       `json:"fail_reason,omitempty"`
}

// SplitReturnView is one return in it.
type SplitReturnView struct {
	ReturnNo    string            `json:"return_no"`
	OutReturnNo string            `json:"out_return_no"`
	SplitNo     string            `json:"split_no"`
	Account     string            `json:"account"`
	Amount      int64             `json:"amount"`
	Description string            `json:"description"`
	Status      SplitReturnStatus `json:"status"`
	FailReason  string            `json:"fail_reason,omitempty"`
	CreatedAt   string            `json:"created_at"`
}

// Split tells a client the state of its split; another client's does not
// exist (threats C06). With refresh WeChat is asked first, unless nothing more
// is expected of it or it was asked a moment ago.
func (s *Service) Split(ctx context.Context, caller *Caller, splitNo string, refresh bool) (SplitView, error) {
	key, err := s.splitOf(ctx, caller.Client, splitNo)
	if err != nil {
		return SplitView{}, err
	}
	if refresh && s.rt.askedSplits.allow(key, s.rt.now()) {
		if err := s.followSplit(ctx, key); err != nil {
			return SplitView{}, upstream(err)
		}
	}
	return s.splitView(ctx, key)
}

// splitOf finds a client's split.
func (s *Service) splitOf(ctx context.Context, c *Client, splitNo string) (key SplitKey, err error) {
	err = s.rt.store.View(ctx, func(r Reader) error {
		key, err = r.SplitByNo(c.ID, splitNo)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return key, notFound("split")
	}
	return key, outcome(err)
}

func (s *Service) splitView(ctx context.Context, key SplitKey) (SplitView, error) {
	sp, err := s.split(ctx, key)
	if err != nil {
		return SplitView{}, outcome(err)
	}
	v := SplitView{
		SplitNo:    sp.SplitNo,
		OrderNo:    sp.OrderNo,
		OutOrderNo: sp.OutOrderNo,
		Status:     sp.Status,
		Receivers:  make([]SplitReceiverView, 0, len(sp.Receivers)),
		Unfreeze:   sp.Unfreeze,
		Returns:    make([]SplitReturnView, 0, len(sp.Returns)),
		FailCode:   sp.FailCode,
		CreatedAt:  stamp(sp.CreatedAt),
	}
	for i := range sp.Receivers {
		r := &sp.Receivers[i]
		v.Receivers = append(v.Receivers, SplitReceiverView{
			Type: r.Type, Account: r.Account, Amount: r.AmountFen, Description: r.Description, Result: r.Result, FailReason: r.FailReason,
		})
	}
	for i := range sp.Returns {
		v.Returns = append(v.Returns, returnView(&sp, &sp.Returns[i]))
	}
	return v, nil
}

func returnView(sp *Split, r *SplitReturn) SplitReturnView {
	return SplitReturnView{
		ReturnNo:    r.ReturnNo,
		OutReturnNo: r.OutReturnNo,
		SplitNo:     sp.SplitNo,
		Account:     r.Account,
		Amount:      r.AmountFen,
		Description: r.Description,
		Status:      r.Status,
		FailReason:  r.FailReason,
		CreatedAt:   stamp(r.CreatedAt),
	}
}

// split reads a split.
func (s *Service) split(ctx context.Context, key SplitKey) (sp Split, err error) {
	err = s.rt.store.View(ctx, func(r Reader) error {
		sp, err = r.Split(key)
		return err
	})
	return sp, err
}
