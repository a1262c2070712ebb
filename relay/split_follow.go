package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// splitPauses are the pauses between questions about one split; the last one
// repeats. Sharing takes seconds, rarely longer.
var splitPauses = []time.Duration{
	10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour,
}

// followSplit tells WeChat of a split and of its returns, or asks what became
// of them, and books the answer. Nothing is lost when it fails: the split
// stays due. One goroutine at a time works on a split; that two would do no
// harm is WeChat's promise for equal numbers.
func (s *Service) followSplit(ctx context.Context, key SplitKey) error {
	unlock, err := s.rt.splitting.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	sp, err := s.split(ctx, key)
	if err != nil || sp.DueAt.IsZero() {
		return err
	}
	told, err := s.tellSplit(ctx, &sp)
	if bookErr := s.bookSplit(ctx, key, told); bookErr != nil {
		return outcome(bookErr)
	}
	return err
}

// splitNews is what WeChat said in one round.
type splitNews struct {
	split   *SplitStatement
	refused *GatewayError               // of the split, for good
	failed  string                      // WeChat's code of a refusal that is not final
	returns map[string]*ReturnStatement // by OutReturnNo; ReturnFailed after a refusal
}

// tellSplit makes the calls that are due. Its error is the first one, after
// all were made.
func (s *Service) tellSplit(ctx context.Context, sp *Split) (news splitNews, err error) {
	m, err := s.merchantFor(sp.MchID, sp.SubMchID)
	if err != nil {
		return news, err
	}
	g, ok := m.connections[APIv3].gateway.(SharingGateway)
	if !ok {
		return news, refusef(KindUnavailable, "", "merchant %s has no api_v3 any more", m.Name)
	}
	if sp.Status == SplitProcessing {
		var st SplitStatement
		st, err = tellOrAsk(sp.WeChatID != "", sp.Calls > 0 || s.begunBefore(sp.CreatedAt),
			func() (SplitStatement, error) { return g.Split(ctx, sp) }, func() (SplitStatement, error) { return g.QuerySplit(ctx, sp) })
		switch refused, _ := errors.AsType[*GatewayError](err); {
		case err == nil:
			news.split = &st
		case refusedFinally(err):
			news.refused = refused
		case refused != nil:
			news.failed = refused.Code
		}
	}
	news.returns = make(map[string]*ReturnStatement)
	for i := range sp.Returns {
		r := &sp.Returns[i]
		if r.Status != ReturnProcessing {
			continue
		}
		st, returnErr := tellOrAsk(r.ReturnID != "", sp.Calls > 0 || s.begunBefore(r.CreatedAt),
			func() (ReturnStatement, error) { return g.ReturnSplit(ctx, sp, r) }, func() (ReturnStatement, error) { return g.QueryReturn(ctx, sp, r) })
		if refused, ok := errors.AsType[*GatewayError](returnErr); ok && refusedFinally(returnErr) {
			st = ReturnStatement{Status: ReturnFailed, FailReason: refused.Code}
		}
		if st.Status != "" {
			news.returns[r.OutReturnNo] = &st
		}
		err = errors.Join(err, returnErr)
	}
	return news, err
}

// begunBefore reports whether what was made then was left to the follower: the
// call of its maker may have succeeded before the relay could note it.
func (s *Service) begunBefore(at time.Time) bool { return s.rt.now().Sub(at) >= splitFirstAsk }

// tellOrAsk asks WeChat about what it has accepted, and otherwise tells it. A
// refusal is final only when no earlier call can have succeeded unheard, for
// which WeChat is asked then.
func tellOrAsk[St any](accepted, before bool, tell, ask func() (St, error)) (St, error) {
	if accepted {
		st, err := ask()
		if refused, ok := errors.AsType[*GatewayError](err); ok {
			// WeChat accepted it once: no refusal of a question undoes that.
			err = &GatewayError{Op: refused.Op, HTTPStatus: refused.HTTPStatus, Code: refused.Code, RequestID: refused.RequestID, Retryable: true}
		}
		return st, err
	}
	st, err := tell()
	refusal, ok := errors.AsType[*GatewayError](err)
	if !ok || refusal.Retryable || !before && !refusal.Repeat {
		return st, err
	}
	st, askErr := ask()
	if refused, ok := errors.AsType[*GatewayError](askErr); ok && saysUnknown(refused) {
		return st, err
	}
	if askErr != nil {
		return st, errors.New("refused, but an earlier call may have succeeded")
	}
	return st, nil
}

// refusedFinally reports whether WeChat refused and would again.
func refusedFinally(err error) bool {
	refused, ok := errors.AsType[*GatewayError](err)
	return ok && !refused.Retryable
}

// bookSplit writes what WeChat said, and when it is asked next.
func (s *Service) bookSplit(ctx context.Context, key SplitKey, news splitNews) error {
	// A caller who hangs up must not keep an answer of WeChat from the books.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), bookTimeout)
	defer cancel()
	now := s.rt.now()
	return s.rt.store.Update(ctx, func(tx Tx) error {
		sp, err := tx.Split(key)
		if err != nil {
			return err
		}
		sp.apply(&news)
		sp.DueAt = time.Time{}
		if sp.waiting() {
			sp.DueAt = now.Add(splitPauses[min(sp.Calls, len(splitPauses)-1)])
			sp.Calls++
		}
		return tx.PutSplit(&sp)
	})
}

const bookTimeout = 10 * time.Second

// waiting reports whether something of the split is not final.
func (sp *Split) waiting() bool {
	return sp.Status == SplitProcessing || slices.ContainsFunc(sp.Returns, func(r SplitReturn) bool { return r.Status == ReturnProcessing })
}

// apply moves the split by what WeChat said. What is final stays.
func (sp *Split) apply(news *splitNews) {
	if sp.Status == SplitProcessing {
		sp.applySplit(news)
	}
	sp.Returns = slices.Clone(sp.Returns)
	for i := range sp.Returns {
		r := &sp.Returns[i]
		st := news.returns[r.OutReturnNo]
		if st == nil || r.Status != ReturnProcessing {
			continue
		}
		r.Status, r.FailReason = st.Status, st.FailReason
		if st.ReturnID != "" {
			r.ReturnID = st.ReturnID
		}
	}
}

func (sp *Split) applySplit(news *splitNews) {
	switch {
	case news.refused != nil:
		sp.Status, sp.FailCode = SplitFailed, news.refused.Code
		sp.closeReceivers()
		return
	case news.split == nil:
		if news.failed != "" {
			sp.FailCode = news.failed
		}
		return
	}
	sp.WeChatID, sp.FailCode = news.split.WeChatID, ""
	sp.Receivers = slices.Clone(sp.Receivers)
	open := false
	for i := range sp.Receivers {
		r := &sp.Receivers[i]
		r.Name = "" // WeChat has it, and nobody else needs it
		for _, st := range news.split.Receivers {
			if st.Type == r.Type && st.Account == r.Account && st.AmountFen == r.AmountFen && r.Result == SharePending {
				r.Result, r.FailReason = st.Result, st.FailReason
			}
		}
		open = open || r.Result == SharePending
	}
	if news.split.Finished && !open {
		sp.Status = SplitFinished
	}
}

// closeReceivers ends a split that WeChat refused.
func (sp *Split) closeReceivers() {
	sp.Receivers = slices.Clone(sp.Receivers)
	for i := range sp.Receivers {
		sp.Receivers[i].Result, sp.Receivers[i].Name = ShareClosed, ""
	}
}
