package relay

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestUpkeep: what is current is kept up, by one goroutine, between start
// and stop.
func TestUpkeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var oldRuns, newRuns atomic.Int32
		service := func(runs *atomic.Int32) *Service {
			return &Service{merchants: map[string]*merchant{
				"quiet": {},
				"busy": {connections: map[API]connection{APIv2: {}, APIv3: {maintain: func(ctx context.Context) {
					runs.Add(1)
					<-ctx.Done()
					runs.Add(-1)
				}}}},
			}}
		}
		check := func(when string, old, current int32) {
			t.Helper()
			synctest.Wait()
			if oldRuns.Load() != old || newRuns.Load() != current {
				t.Errorf("%s: %d old and %d new run, want %d and %d", when, oldRuns.Load(), newRuns.Load(), old, current)
			}
		}
		var u upkeep
		u.use(service(&oldRuns))
		check("before start", 0, 0)
		u.start()
		check("after start", 1, 0)
		u.use(service(&newRuns))
		check("after a reload", 0, 1)
		u.use(nil)
		check("without a configuration", 0, 0)
		u.use(service(&newRuns))
		u.stop()
		check("after stop", 0, 0)
		u.use(service(&oldRuns))
		check("used after stop", 0, 0)
	})
}
