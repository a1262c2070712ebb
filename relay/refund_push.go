package relay

import (
	"context"
	"errors"
	"time"
)

const (
	// refundLease is how long a claim keeps others from a refund: longer than
	// a call to WeChat and what is written after it take.
	refundLease = 30 * time.Second
	// refundPatience is how long a refund that the merchant's balance cannot
	// cover, or whose payment is not ready, is asked for again.
	refundPatience = 7 * 24 * time.Hour
	// abnormalPatience is how long WeChat is asked about a refund that the
	// merchant must mend in WeChat's console.
	abnormalPatience = 90 * 24 * time.Hour
)

// Pauses before WeChat is told of a refund again, and before it is asked what
// became of one that it took; the last ones repeat. Repeats have the same
// number and cannot refund twice (v2.md section 11).
var (
	tellPauses = []time.Duration{30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour}
	askPauses  = []time.Duration{5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}
)

// askAgeShare is how many times its age a refund waits at most: as the pauses
// have it after their first one.
const askAgeShare = 6

// pauseAfter is the pause after a number of calls.
func pauseAfter(pauses []time.Duration, calls int) time.Duration {
	return pauses[min(max(calls, 0), len(pauses)-1)]
}

// nextAsk is when WeChat is asked next about a refund that it took; zero when
// nothing more is expected of it.
func (r *Refund) nextAsk(now time.Time) time.Time {
	switch {
	case r.Status == RefundProcessing:
		// Its client's questions count as calls, and must not put off ours: no
		// pause is longer than the schedule has it at the refund's age.
		longest := max(askAgeShare*now.Sub(r.CreatedAt), askPauses[0])
		return now.Add(min(pauseAfter(askPauses, r.Calls), longest))
	case r.Status == RefundAbnormal && now.Before(r.CreatedAt.Add(abnormalPatience)):
		return now.Add(24 * time.Hour) // mended by hand, in its own time
	default:
		return time.Time{}
	}
}

// claimRefund takes a refund that is due for one call to WeChat, so that a
// crash or a second claimant repeats the call rather than loses it. It
// reports false when the refund is not due any more.
func (s *Service) claimRefund(ctx context.Context, key RefundKey, due func(*Refund, time.Time) bool) (Refund, bool, error) {
	var claimed Refund // read only when Update says that it is done
	var ok bool
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		r, err := tx.Refund(key)
		if err != nil {
			return err
		}
		now := s.rt.now()
		if !due(&r, now) {
			return nil
		}
		r.Calls++
		r.DueAt = now.Add(refundLease)
		claimed, ok = r, true
		return tx.PutRefund(&r)
	})
	return claimed, ok, err
}

// isDue says that a refund waits for its next call.
func isDue(r *Refund, now time.Time) bool { return !r.DueAt.IsZero() && !r.DueAt.After(now) }

// pushRefund makes one call for a claimed refund: WeChat is told of it until
// it takes it, and asked about it from then on. WeChat's answer is waited for
// that long. It returns an error when the outcome is unknown; what is known
// is on stable storage then.
func (s *Service) pushRefund(ctx context.Context, m *merchant, r *Refund, within time.Duration) error {
	st, err := s.callRefund(ctx, m, r, within)
	if err == nil {
		var label string
		label, err = s.settleRefund(ctx, m, &st, refundEvidence(&st, s.rt.now()))
		if err == nil || label == "unavailable" {
			return err // with the lease running, the call is made again
		}
	}
	var refused *GatewayError
	if !errors.As(err, &refused) {
		return errors.Join(err, s.postponeRefund(ctx, r, r.nextPause(), r.FailCode))
	}
	return s.refundRefused(ctx, r, refused)
}

// callRefund tells WeChat of a refund or asks about it. One that WeChat took
// and does not know any more is told again, with the same number.
func (s *Service) callRefund(ctx context.Context, m *merchant, r *Refund, within time.Duration) (RefundStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	g := m.gateway(r.API)
	if r.RefundID == "" {
		return s.tellRefund(ctx, g, r)
	}
	st, err := g.QueryRefund(ctx, r)
	var refused *GatewayError
	if errors.As(err, &refused) && saysNoRefund(refused) && r.Source != RefundByConsole {
		return g.Refund(ctx, r)
	}
	return st, err
}

// tellRefund asks WeChat to give the money back. A refusal of a repeat may be
// about an earlier call of which we did not hear that it went through, so
// that it counts only when WeChat says that it has no such refund.
func (s *Service) tellRefund(ctx context.Context, g Gateway, r *Refund) (RefundStatement, error) {
	st, err := g.Refund(ctx, r)
	var refused *GatewayError
	if !errors.As(err, &refused) || refusalOfRefund(refused) != refusedForGood || r.Calls <= 1 && !refused.Repeat {
		return st, err
	}
	st, asked := g.QueryRefund(ctx, r)
	var unknown *GatewayError
	switch {
	case errors.As(asked, &unknown) && saysNoRefund(unknown):
		return RefundStatement{}, err
	case asked != nil:
		return RefundStatement{}, unclear{asked}
	default:
		return st, nil
	}
}

// unclear hides WeChat's refusal of a question from those who would take it
// for a refusal of the refund.
type unclear struct{ cause error }

func (e unclear) Error() string { return "asking about a refused refund: " + e.cause.Error() }

// nextPause is how long a refund waits after a call whose outcome is unknown.
func (r *Refund) nextPause() time.Duration {
	if r.RefundID != "" {
		return pauseAfter(askPauses, r.Calls)
	}
	return pauseAfter(tellPauses, r.Calls-1)
}

// refundRefused decides what WeChat's refusal means for a refund.
func (s *Service) refundRefused(ctx context.Context, r *Refund, refused *GatewayError) error {
	if r.RefundID != "" { // it took the refund; what it refused is to tell
		return errors.Join(refused, s.postponeRefund(ctx, r, r.nextPause(), r.FailCode))
	}
	old := s.rt.now().Sub(r.CreatedAt) >= refundPatience
	switch refusalOfRefund(refused) {
	case refusedTooSoon:
		return s.postponeRefund(ctx, r, time.Minute, refused.Code)
	case refusedForNow:
		if !old {
			return s.postponeRefund(ctx, r, time.Hour, refused.Code)
		}
	case refusedUnclear:
		return errors.Join(refused, s.postponeRefund(ctx, r, r.nextPause(), refused.Code))
	case refusedForGood:
	}
	return s.commitRefund(ctx, &refundSettlement{svc: s, key: r.RefundKey, refusal: refused.Code})
}

// refundRefusalClass says what a refusal to take a refund is worth.
type refundRefusalClass int

const (
	refusedUnclear refundRefusalClass = iota // same number again, with growing pauses
	refusedTooSoon                           // same number again in a minute
	refusedForNow                            // same number again, hourly: something must change first
	refusedForGood
)

// refusalOfRefund sorts WeChat's codes (v2.md sections 11 and 18, v3.md
// section 12).
func refusalOfRefund(e *GatewayError) refundRefusalClass {
	switch {
	case hasCode(e, "FREQUENCYLIMITED"), hasCode(e, "FREQUENCYLIMIT"), hasCode(e, "INVALIDREQTOOMUCH"),
		hasCode(e, "RATELIMITED"), hasCode(e, "RATELIMITEXCEEDED"), e.HTTPStatus == 429:
		return refusedTooSoon
	case hasCode(e, "ORDERNOTREADY"):
		return refusedTooSoon
	case hasCode(e, "NOTENOUGH"):
		return refusedForNow
	case e.Retryable, hasCode(e, "SYSTEMERROR"), hasCode(e, "BIZERRNEEDRETRY"):
		return refusedUnclear
	case e.Code == "": // a proxy's page, not WeChat's word
		return refusedUnclear
	default:
		return refusedForGood
	}
}

// saysNoRefund reports whether WeChat has no refund of that number (v2.md
// section 11, v3.md section 8).
func saysNoRefund(e *GatewayError) bool {
	return hasCode(e, "REFUNDNOTEXIST") || hasCode(e, "REFUNDNOTEXISTS") || hasCode(e, "RESOURCENOTEXISTS")
}

// postponeRefund sets when the next call is due, unless news came meanwhile.
func (s *Service) postponeRefund(ctx context.Context, claimed *Refund, pause time.Duration, code string) error {
	return s.rt.store.Update(ctx, func(tx Tx) error {
		r, err := tx.Refund(claimed.RefundKey)
		if err != nil || r.DueAt.IsZero() || r.Calls != claimed.Calls || r.RefundID != claimed.RefundID {
			return err
		}
		r.DueAt, r.FailCode = s.rt.now().Add(pause), code
		return tx.PutRefund(&r)
	})
}

// refundEvidence is the evidence of an answer to our own call.
func refundEvidence(st *RefundStatement, now time.Time) *Evidence {
	return &Evidence{
		Payment:    PaymentKey{MchID: st.MchID, OutTradeNo: st.OutTradeNo},
		ID:         "query-" + st.RefundID + "-" + string(st.State),
		Source:     evidenceQuery,
		ReceivedAt: now,
		EventType:  string(st.State),
		Plaintext:  st.Raw,
	}
}
