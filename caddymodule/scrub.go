package caddymodule

import (
	"context"
	"log/slog"
	"time"

	"github.com/wxrelay/wxrelay/store/badgerstore"
)

const (
	scrubFirst = time.Hour      // from the start, so that restarts do not put it off for ever
	scrubEvery = 24 * time.Hour // afterwards
)

// verifier is the optional power of a store to read all its rows.
type verifier interface {
	Verify(ctx context.Context) (*badgerstore.Report, error)
}

// scrub reads the whole store once a day, so that damage is found while
// backups of the undamaged rows still exist, and that no payment waits
// without standing in the schedule (badger.md section 5). Its one goroutine
// is begun by startScrub and ended, and waited for, by stop.
type scrub struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func startScrub(store verifier, logger *slog.Logger, problems func(int)) *scrub {
	ctx, cancel := context.WithCancel(context.Background())
	s := &scrub{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		timer := time.NewTimer(scrubFirst)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
				scrubOnce(ctx, store, logger, problems)
				timer.Reset(scrubEvery)
			}
		}
	}()
	return s
}

func scrubOnce(ctx context.Context, store verifier, logger *slog.Logger, problems func(int)) {
	report, err := store.Verify(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		logger.Error("reading the store to check it failed", "error", err)
	default:
		problems(report.Problems)
		if err := report.Err(); err != nil {
			logger.Error("the store has rows that are damaged or do not fit; restore a backup", "problems", report.Problems, "error", err)
			return
		}
		logger.Info("the store was checked and is whole", "orders", report.Orders, "deliveries_waiting", report.Waiting)
	}
}

// stop ends the check, also in the middle. It may be called on nil.
func (s *scrub) stop() {
	if s == nil {
		return
	}
	s.cancel()
	<-s.done
}
