package relay

import (
	"context"
	"sync"
)

// upkeep runs what a configuration needs done in the background, such as
// the renewal of platform certificates, for the configuration that is
// current and no other. It belongs to the Runtime; its goroutines end with
// the next configuration or with stop, which waits for them.
type upkeep struct {
	mu      sync.Mutex // guards all below
	begun   bool
	stopped bool
	current *Service
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// start begins the upkeep of the configuration in use.
func (u *upkeep) start() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.begun = true
	u.begin()
}

// use replaces the configuration that is kept up.
func (u *upkeep) use(s *Service) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end()
	u.current = s
	u.begin()
}

// stop ends the upkeep for good.
func (u *upkeep) stop() {
	u.mu.Lock()
	u.stopped = true
	u.end()
	u.mu.Unlock()
	u.running.Wait()
}

func (u *upkeep) end() {
	if u.cancel != nil {
		u.cancel()
		u.cancel = nil
	}
}

func (u *upkeep) begin() {
	if !u.begun || u.stopped || u.current == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	u.cancel = cancel
	for _, m := range u.current.merchants {
		for _, c := range m.connections {
			if c.maintain != nil {
				u.running.Go(func() { c.maintain(ctx) })
			}
			if g, ok := c.gateway.(refundBiller); ok {
				s := u.current
				u.running.Go(func() { s.readBills(ctx, m, g) })
			}
		}
	}
}
