package caddymodule

import (
	"context"
	"sync"
)

// users counts the requests that use an engine, so that its store is not
// closed under them: requests of an old configuration outlive Stop and
// Cleanup of it. The zero value is ready.
type users struct {
	mu     sync.Mutex // guards everything below
	count  int
	closed bool
	idle   chan struct{} // closed when the last user leaves; nil before drain
}

// enter counts a user in, or reports false when it is too late.
func (u *users) enter() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.count++
	return true
}

// leave counts a user out. Each successful enter is answered by one leave.
func (u *users) leave() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count--
	if u.count == 0 && u.idle != nil {
		close(u.idle)
		u.idle = nil
	}
}

// drain lets nobody in any more and waits until all have left or ctx ends.
func (u *users) drain(ctx context.Context) error {
	u.mu.Lock()
	u.closed = true
	if u.count == 0 {
		u.mu.Unlock()
		return nil
	}
	if u.idle == nil {
		u.idle = make(chan struct{})
	}
	idle := u.idle
	u.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
