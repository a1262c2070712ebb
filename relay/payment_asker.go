package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

const (
	askTick      = 5 * time.Second        // how often due payments are looked for
	askBatch     = 200                    // payments claimed in one transaction
	askBatches   = 50                     // transactions of one look at most
	askPerSecond = 10                     // questions about one merchant's payments
	askAtOnce    = 4                      // of those, under way at the same time
	askMerchants = 8                      // merchants that are asked about at the same time
	askGap       = 125 * time.Millisecond // between payments that are put off, somewhat more than askPerSecond leaves
	askSilence   = time.Minute            // pause for a merchant for whom WeChat does not answer
	askLease     = 5 * time.Minute        // after which a claimed payment is due again if nothing was recorded
	askRecord    = 5 * time.Second        // bound on recording what came of a round
)

// asker asks WeChat about unpaid payments when they are due. A flood of
// unpaid orders costs a bounded number of questions: what exceeds a
// merchant's rate is put off, spread over the time that the rate needs, and
// so does not stand before the payments of other merchants. Its one goroutine
// is begun by start; that and those of rounds under way are ended, and waited
// for, by stop.
type asker struct {
	*rounds
	rt     *Runtime
	asking sync.WaitGroup
	slots  chan struct{} // one value for each merchant that is asked about

	mu     sync.Mutex // guards queues and what is in them
	queues map[string]*askQueue
}

// askQueue is what is remembered of one merchant number.
type askQueue struct {
	limit       *rate.Limiter
	busy        bool      // a round is under way
	next        time.Time // where the payment that is put off next goes
	silentUntil time.Time
}

func newAsker(rt *Runtime) *asker {
	a := &asker{rt: rt, slots: make(chan struct{}, askMerchants), queues: map[string]*askQueue{}}
	a.rounds = newRounds(askTick, a.sweep)
	return a
}

// stop also ends what the rounds began.
func (a *asker) stop() {
	a.rounds.stop()
	a.asking.Wait()
}

// sweep claims what is due and begins to ask, by the configuration that is
// current.
func (a *asker) sweep(ctx context.Context) {
	s := a.rt.current.Load()
	if s == nil {
		return
	}
	for range askBatches {
		round := &askRound{asker: a, svc: s, now: a.rt.now()}
		due, err := round.claim(ctx)
		if err != nil {
			a.rt.log.Load().Warn("looking for payments to ask about failed", slog.Any("error", err))
		}
		for mchID, payments := range round.asked {
			a.asking.Go(func() { round.ask(ctx, mchID, payments) })
		}
		if err != nil || due < askBatch || round.moved == 0 {
			return
		}
	}
}

// askRound is what is claimed in one transaction.
type askRound struct {
	*asker
	svc   *Service
	now   time.Time
	asked map[string][]Payment // to ask about, by merchant number
	moved int
}

// claim takes what is due from the list before anything is asked, so that a
// crash repeats a question rather than loses it. It returns how many tasks
// were found.
func (x *askRound) claim(ctx context.Context) (int, error) {
	var tasks []Task
	err := x.rt.store.View(ctx, func(r Reader) (err error) {
		tasks, err = r.Tasks(TaskAskPayment, x.now, askBatch)
		return err
	})
	if err != nil || len(tasks) == 0 {
		return 0, err
	}
	times := make([]time.Time, len(tasks)) // zero: ask now
	x.mu.Lock()
	for i := range tasks {
		times[i] = x.queue(tasks[i].MchID).admit(x.now)
	}
	x.mu.Unlock()
	var asked map[string][]Payment // the transaction may outlive Update
	moved := 0
	err = x.rt.store.Update(ctx, func(tx Tx) error {
		asked, moved = map[string][]Payment{}, 0
		for i := range tasks {
			p, err := x.take(tx, tasks[i], times[i])
			switch {
			case errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt):
				continue // for the check of the store to report
			case err != nil:
				return err
			}
			moved++
			if p != nil {
				asked[p.MchID] = append(asked[p.MchID], *p)
			}
		}
		return nil
	})
	if err != nil {
		return len(tasks), err
	}
	x.asked, x.moved = asked, moved
	x.mu.Lock()
	for mchID := range asked {
		x.queue(mchID).busy = true
	}
	x.mu.Unlock()
	return len(tasks), nil
}

// take moves one payment on in the list; nil when it is not asked about now.
func (x *askRound) take(tx Tx, t Task, putOff time.Time) (*Payment, error) {
	p, err := tx.Payment(PaymentKey{MchID: t.MchID, OutTradeNo: t.Number})
	if err != nil {
		return nil, err
	}
	if p.AskAt.After(x.now) {
		return nil, nil //nolint:nilnil // somebody else was faster: nothing to ask
	}
	ask := putOff.IsZero() && p.Live()
	if putOff.IsZero() {
		putOff = x.now.Add(askLease)
	}
	p.askAt(putOff)
	if err := tx.PutPayment(&p); err != nil || !ask {
		return nil, err
	}
	return &p, nil
}

// askAt sets when a payment is asked about, unless that is left to its
// order's expiry, or nothing is left to ask.
func (p *Payment) askAt(at time.Time) {
	if !p.Live() || !at.Before(p.ExpiresAt) {
		at = time.Time{}
	}
	p.AskAt = at
}

// queue is what is remembered of a merchant number; a.mu is held.
func (a *asker) queue(mchID string) *askQueue {
	q := a.queues[mchID]
	if q == nil {
		q = &askQueue{limit: rate.NewLimiter(askPerSecond, int(askPerSecond*askTick/time.Second))}
		a.queues[mchID] = q
	}
	return q
}

// admit says when a due payment is asked about: now, which is zero, or later.
func (q *askQueue) admit(now time.Time) time.Time {
	if !q.busy && !now.Before(q.silentUntil) && q.limit.AllowN(now, 1) {
		return time.Time{}
	}
	return q.later(now)
}

// later is a place for a payment that is put off.
func (q *askQueue) later(now time.Time) time.Time {
	at := now.Add(askTick)
	for _, t := range []time.Time{q.silentUntil, q.next} {
		if t.After(at) {
			at = t
		}
	}
	q.next = at.Add(askGap)
	return at
}

// ask asks about claimed payments of one merchant number and records when
// each is asked about again.
func (x *askRound) ask(ctx context.Context, mchID string, payments []Payment) {
	select {
	case x.slots <- struct{}{}:
		defer func() { <-x.slots }()
	case <-ctx.Done():
	}
	answered := make([]bool, len(payments))
	var silent atomic.Bool
	var asking sync.WaitGroup
	hands := make(chan struct{}, askAtOnce)
	for i := range payments {
		hands <- struct{}{}
		if ctx.Err() != nil || silent.Load() {
			break
		}
		asking.Go(func() {
			defer func() { <-hands }()
			err := x.askOne(ctx, &payments[i])
			answered[i] = err == nil
			if doubtful(err) {
				silent.Store(true)
			}
		})
	}
	asking.Wait()
	x.record(ctx, mchID, payments, answered, silent.Load())
}

// askOne asks about one payment. A refusal that will be the same next time
// leaves the payment to its schedule.
func (x *askRound) askOne(ctx context.Context, p *Payment) error {
	m, err := x.svc.merchantFor(p.MchID, p.SubMchID)
	if err != nil {
		return nil //nolint:nilerr // its merchant may come back into the configuration
	}
	_, err = x.svc.ask(ctx, m, p)
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	x.rt.log.Load().Warn("asking WeChat about a payment failed; trying again later",
		slog.String("out_trade_no", p.OutTradeNo), slog.Any("error", err))
	if refused, ok := errors.AsType[*GatewayError](err); ok && !refused.Retryable {
		return nil
	}
	return err
}

// doubtful reports whether an answer makes it likely that the next question
// is in vain too.
func doubtful(err error) bool {
	if refused, ok := errors.AsType[*GatewayError](err); ok {
		return refused.Retryable
	}
	known, ok := errors.AsType[*Error](err)
	return ok && known.Kind == KindUpstreamTimeout
}

// record ends a round, also one that stop broke off: payments whose question
// was answered follow their schedule, all others come soon.
func (x *askRound) record(ctx context.Context, mchID string, payments []Payment, answered []bool, silent bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askRecord)
	defer cancel()
	now := x.rt.now()
	x.mu.Lock()
	q := x.queue(mchID)
	q.busy = false
	if silent {
		q.silentUntil, q.next = now.Add(askSilence), time.Time{}
	}
	soon := make([]time.Time, len(payments))
	for i := range payments {
		if !answered[i] {
			soon[i] = q.later(now)
		}
	}
	x.mu.Unlock()
	err := x.rt.store.Update(ctx, func(tx Tx) error {
		for i := range payments {
			p, err := tx.Payment(payments[i].PaymentKey)
			if err != nil {
				return err
			}
			if answered[i] {
				p.Asks++
				p.AskAt = x.svc.nextAsk(&p, now)
			} else {
				p.askAt(soon[i])
			}
			if err := tx.PutPayment(&p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		x.rt.log.Load().Warn("recording what WeChat was asked failed; asking again later", slog.Any("error", err))
	}
}
