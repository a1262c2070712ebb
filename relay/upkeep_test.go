package relay

import (
	"context"
	"testing"
	"testing/synctest"
)

// TestUpkeep: what is current is kept up, by one goroutine, between start
// and stop.
func TestUpkeep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		running := map[string]int{}
		service := func(name string) *Service {
			return &Service{merchants: map[string]*merchant{
				"quiet": {},
				name: {maintain: func(ctx context.Context) {
					running[name]++
					<-ctx.Done()
					running[name]--
				}},
			}}
		}
		check := func(when string, old, current int) {
			t.Helper()
			synctest.Wait()
			if running["old"] != old || running["new"] != current {
				t.Errorf("%s: %v run, want old %d and new %d", when, running, old, current)
			}
		}
		var u upkeep
		u.use(service("old"))
		check("before start", 0, 0)
		u.start()
		check("after start", 1, 0)
		u.use(service("new"))
		check("after a reload", 0, 1)
		u.use(nil)
		check("without a configuration", 0, 0)
		u.use(service("new"))
		u.stop()
		check("after stop", 0, 0)
		u.use(service("old"))
		check("used after stop", 0, 0)
	})
}
