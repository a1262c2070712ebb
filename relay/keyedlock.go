package relay

import (
	"context"
	"sync"
)

// keyedLocks lets one goroutine at a time work on something that WeChat is
// asked about, such as an order's payments, so that two tabs of one buyer do
// not make two. It spares calls to WeChat; what must never happen twice is
// decided in transactions.
type keyedLocks[K comparable] struct {
	mu   sync.Mutex // guards held
	held map[K]*keyedLock
}

type keyedLock struct {
	slot  chan struct{} // holds one value while locked
	users int
}

// lock waits for the turn at key and returns the function that gives it back.
func (k *keyedLocks[K]) lock(ctx context.Context, key K) (func(), error) {
	k.mu.Lock()
	if k.held == nil {
		k.held = map[K]*keyedLock{}
	}
	l := k.held[key]
	if l == nil {
		l = &keyedLock{slot: make(chan struct{}, 1)}
		k.held[key] = l
	}
	l.users++
	k.mu.Unlock()

	select {
	case l.slot <- struct{}{}:
		return func() { <-l.slot; k.leave(key, l) }, nil
	case <-ctx.Done():
		k.leave(key, l)
		return nil, ctx.Err()
	}
}

func (k *keyedLocks[K]) leave(key K, l *keyedLock) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(k.held, key)
	}
}
