package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	refundTick      = 5 * time.Second
	refundBatch     = 10_000           // due refunds looked at per round at most
	refundTurn      = 50               // calls for one merchant before the others have their turn
	refundMerchants = 8                // merchants called at the same time
	refundRate      = 5                // calls per second and merchant; WeChat stops those that fail at 6 (v2.md section 11)
	refundSilence   = 30 * time.Second // pause after WeChat did not answer for a merchant
	refundCall      = 20 * time.Second // bound on one call; with refundWrite after it, within refundLease
	refundHomeless  = time.Hour        // pause of a refund whose merchant is not configured
)

// refundFollower tells WeChat of refunds and asks what became of them, until
// their final state. What is due when is in the store, so that a restart
// goes on where the last one ended. Each merchant has its own pace, and one
// for which WeChat does not answer is left alone for a while, so that it
// keeps no other waiting.
//
// Its goroutine is begun by start; that and those of the merchants end with
// stop, which waits for them.
type refundFollower struct {
	*rounds
	rt    *Runtime
	turns sync.WaitGroup

	mu        sync.Mutex // guards merchants
	merchants map[string]*refundPace
}

// refundPace is what is known in memory of one merchant number.
type refundPace struct {
	busy        bool // its turn is under way
	silentUntil time.Time
	limit       *rate.Limiter
}

func newRefundFollower(rt *Runtime) *refundFollower {
	f := &refundFollower{rt: rt, merchants: map[string]*refundPace{}}
	f.rounds = newRounds(refundTick, f.round)
	return f
}

// stop also ends the turns under way.
func (f *refundFollower) stop() {
	f.rounds.stop()
	f.turns.Wait()
}

// round gives each merchant with due refunds its turn.
func (f *refundFollower) round(ctx context.Context) {
	s := f.rt.current.Load()
	if s == nil {
		return
	}
	now := f.rt.now()
	var due []Task
	err := f.rt.store.View(ctx, func(r Reader) (err error) {
		due, err = r.Tasks(TaskFollowRefund, now, refundBatch)
		return err
	})
	if err != nil {
		f.rt.log.Load().Warn("looking for due refunds failed", slog.Any("error", err))
		return
	}
	turns := make(map[string][]RefundKey)
	for _, t := range due {
		if len(turns[t.MchID]) < refundTurn {
			turns[t.MchID] = append(turns[t.MchID], RefundKey{MchID: t.MchID, OutRefundNo: t.Number})
		}
	}
	for mchID, keys := range turns { // in random order, so that nobody is always last
		if pace := f.begin(mchID, now); pace != nil {
			f.turns.Go(func() { f.turn(ctx, s, mchID, pace, keys) })
		}
	}
}

// begin takes a merchant's turn; nil when it has one already, is silent, or
// too many others have theirs.
func (f *refundFollower) begin(mchID string, now time.Time) *refundPace {
	f.mu.Lock()
	defer f.mu.Unlock()
	pace := f.merchants[mchID]
	if pace == nil {
		pace = &refundPace{limit: rate.NewLimiter(refundRate, refundRate)}
		f.merchants[mchID] = pace
	}
	busy := 0
	for _, p := range f.merchants {
		if p.busy {
			busy++
		}
	}
	if pace.busy || busy >= refundMerchants || now.Before(pace.silentUntil) {
		return nil
	}
	pace.busy = true
	return pace
}

func (f *refundFollower) end(pace *refundPace, silent bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	pace.busy = false
	if silent {
		pace.silentUntil = f.rt.now().Add(refundSilence)
	}
}

// turn makes one call for each refund, at the merchant's pace, until WeChat
// is silent.
func (f *refundFollower) turn(ctx context.Context, s *Service, mchID string, pace *refundPace, keys []RefundKey) {
	silent := false
	defer func() {
		f.end(pace, silent)
		if len(keys) == refundTurn && !silent {
			f.wake() // there may be more
		}
	}()
	for _, key := range keys {
		if pace.limit.Wait(ctx) != nil {
			return
		}
		err := f.follow(ctx, s, key)
		if err == nil || ctx.Err() != nil {
			continue // what is broken off by stop is repeated after the next start
		}
		f.rt.log.Load().Warn("a refund did not get on; trying again later", slog.String("mch_id", mchID),
			slog.String("out_refund_no", key.OutRefundNo), slog.Any("error", err))
		var refused *GatewayError
		if !errors.As(err, &refused) && !errors.Is(err, errForeignRefund) {
			silent = true
			return
		}
	}
}

// follow makes one call for a refund that is due.
func (f *refundFollower) follow(ctx context.Context, s *Service, key RefundKey) error {
	ctx, cancel := context.WithTimeout(ctx, refundCall+refundWrite)
	defer cancel()
	r, ok, err := s.claimRefund(ctx, key, isDue)
	if err != nil || !ok {
		return err
	}
	m := s.byNumber[merchantID{r.MchID, r.SubMchID}]
	if m == nil {
		return s.postponeRefund(ctx, &r, refundHomeless, r.FailCode)
	}
	return s.pushRefund(ctx, m, &r, refundCall)
}
