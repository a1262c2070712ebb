package relay

import "sync"

// maxWatchers bounds how many pages may wait for news at once; those beyond
// poll instead.
const maxWatchers = 10000

// watchers tell waiting pages that an order changed. It belongs to the
// Runtime: an order may be paid through a newer configuration than the one
// whose page waits.
type watchers struct {
	mu      sync.Mutex // guards waiting and count
	waiting map[OrderKey]map[chan struct{}]struct{}
	count   int
}

// watch returns a channel that gets a value after each change, and the
// function that ends the watch.
func (w *watchers) watch(key OrderKey) (<-chan struct{}, func(), bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count >= maxWatchers {
		return nil, nil, false
	}
	c := make(chan struct{}, 1)
	if w.waiting == nil {
		w.waiting = map[OrderKey]map[chan struct{}]struct{}{}
	}
	if w.waiting[key] == nil {
		w.waiting[key] = map[chan struct{}]struct{}{}
	}
	w.waiting[key][c] = struct{}{}
	w.count++
	return c, sync.OnceFunc(func() { w.forget(key, c) }), true
}

func (w *watchers) forget(key OrderKey, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting[key], c)
	if len(w.waiting[key]) == 0 {
		delete(w.waiting, key)
	}
	w.count--
}

// tell wakes those who watch the order. A page that has not read the last
// wake-up yet will read the newest state anyway.
func (w *watchers) tell(key OrderKey) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.waiting[key] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
