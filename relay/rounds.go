package relay

import (
	"context"
	"time"
)

// rounds does work in rounds, one after the other: at each tick, and when
// somebody says that there is some. Its one goroutine is begun by start and
// ended, and waited for, by stop; both may be called once each, stop also
// without start.
type rounds struct {
	tick   time.Duration
	do     func(context.Context)
	woken  chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
}

func newRounds(tick time.Duration, do func(context.Context)) *rounds {
	return &rounds{tick: tick, do: do, woken: make(chan struct{}, 1)}
}

func (r *rounds) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel, r.done = cancel, make(chan struct{})
	go r.run(ctx)
}

func (r *rounds) stop() {
	if r.cancel == nil {
		return
	}
	r.cancel()
	<-r.done
}

// wake asks for a round now. It never blocks.
func (r *rounds) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

func (r *rounds) run(ctx context.Context) {
	defer close(r.done)
	tick := time.NewTicker(r.tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.woken:
		}
		r.do(ctx)
	}
}
