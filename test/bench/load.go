package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// result is what a load showed.
type result struct {
	calls    int
	took     time.Duration
	p50, p99 time.Duration
	cpu      time.Duration // of the server, user and system
}

// rate is calls per second.
func (r result) rate() float64 { return float64(r.calls) / r.took.Seconds() }

// cpuEach is the server's processor time of one call.
func (r result) cpuEach() time.Duration {
	return (r.cpu / time.Duration(r.calls)).Round(100 * time.Nanosecond)
}

// spread makes n calls from so many workers at once and stops at the first
// error.
func spread(ctx context.Context, workers, n int, call func(ctx context.Context, worker, i int) error) (result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	latencies := make([]time.Duration, n)
	var group sync.WaitGroup
	began := time.Now()
	for worker := range workers {
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				at := time.Now()
				if err := call(ctx, worker, i); err != nil {
					cancel(err)
					return
				}
				latencies[i] = time.Since(at)
			}
		})
	}
	group.Wait()
	took := time.Since(began)
	if err := context.Cause(ctx); err != nil {
		return result{}, err
	}
	slices.Sort(latencies)
	return result{calls: n, took: took, p50: latencies[n/2], p99: latencies[n*99/100]}, nil
}
