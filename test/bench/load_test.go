package main

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

func TestSpreadCallsEachOnce(t *testing.T) {
	t.Parallel()
	const calls = 1000
	var made [calls]atomic.Int32
	r, err := spread(t.Context(), 8, calls, func(_ context.Context, _, i int) error {
		made[i].Add(1)
		return nil
	})
	if err != nil || r.calls != calls {
		t.Fatalf("spread = %+v, %v", r, err)
	}
	for i := range made {
		if n := made[i].Load(); n != 1 {
			t.Errorf("call %d was made %d times", i, n)
		}
	}
}

func TestSpreadStopsAtError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	var made atomic.Int32
	_, err := spread(t.Context(), 1, 1000, func(context.Context, int, int) error {
		made.Add(1)
		return broken
	})
	if !errors.Is(err, broken) || made.Load() != 1 {
		t.Errorf("spread = %v after %d calls, want the first error at once", err, made.Load())
	}
}

func TestMedianIsByRate(t *testing.T) {
	t.Parallel()
	one := func(calls int) result { return result{calls: calls, took: time.Second} }
	if got := median([]result{one(3), one(1), one(2)}); got.calls != 2 {
		t.Errorf("median = %+v, want the one with 2 calls per second", got)
	}
}
