package relay

import (
	"container/heap"
	"time"
)

const (
	dispatchFirstLimit = 2
	dispatchMaxLimit   = 32
	// dispatchAhead bounds the due ids that are read ahead for one queue.
	dispatchAhead = 64
	// A destination at which this many attempts in a row failed gets at most
	// one each dispatchPace, whatever is overdue there.
	dispatchPaceAfter = 32
	dispatchPace      = 10 * time.Millisecond
	// dispatchMaxParked bounds the deliveries of one destination that are put
	// aside.
	dispatchMaxParked   = 256
	dispatchParkFirst   = time.Minute
	dispatchParkLongest = time.Hour
)

// dispatchQueue is what is known in memory of one destination. The
// Dispatcher's mutex guards it.
type dispatchQueue struct {
	key Destination

	wakeAt time.Time // when to look at it next; zero: only when woken
	index  int       // in the heap; -1 when not in it
	next   *dispatchQueue
	listed bool // in one of the lists of ready queues

	ahead    []DueItem // due, read from the store, not begun
	unread   bool      // the store may hold due work that ahead does not
	fetching bool      // somebody reads it

	inflight map[string]struct{} // event ids of attempts under way
	parked   map[string]dispatchParked
	active   int // slots taken; inflight and a fetch
	limit    int // of active
	failures int // in a row

	heldUntil time.Time // nothing is begun before
	unsettled bool      // held because the client has no settings
	usedAt    time.Time
}

// dispatchParked is a delivery put aside, because its records cannot be read
// or because of a fault of our own.
type dispatchParked struct {
	until time.Time
	pause time.Duration
}

// idle reports whether nothing waits, as far as memory knows.
func (q *dispatchQueue) idle() bool {
	return q.active == 0 && !q.listed && q.index < 0 && len(q.ahead) == 0 && !q.unread
}

// succeeded and failed adapt the limit to what the destination bears.
func (q *dispatchQueue) succeeded() {
	q.failures = 0
	q.limit = min(q.limit+1, dispatchMaxLimit)
}

func (q *dispatchQueue) failed() {
	q.failures++
	q.limit = max(q.limit/2, 1)
}

// park puts a delivery aside, for longer each time.
func (q *dispatchQueue) park(id string, now time.Time) {
	p := q.parked[id]
	p.pause = min(max(2*p.pause, dispatchParkFirst), dispatchParkLongest)
	p.until = now.Add(p.pause)
	if q.parked == nil {
		q.parked = make(map[string]dispatchParked)
	}
	q.parked[id] = p
}

// queue finds or makes the queue of a destination.
func (dsp *Dispatcher) queue(d Destination) *dispatchQueue {
	q := dsp.queues[d]
	if q == nil {
		q = &dispatchQueue{key: d, index: -1, limit: dispatchFirstLimit, inflight: make(map[string]struct{})}
		dsp.queues[d] = q
	}
	q.usedAt = dsp.now()
	return q
}

// forgetIdle drops queues that were idle for long.
func (dsp *Dispatcher) forgetIdle() {
	limit := dsp.now().Add(-dispatchForget)
	for key, q := range dsp.queues {
		if q.idle() && len(q.parked) == 0 && q.usedAt.Before(limit) {
			delete(dsp.queues, key)
		}
	}
}

// expect makes the queue be looked at when due.
func (dsp *Dispatcher) expect(q *dispatchQueue, due time.Time) {
	if due.IsZero() {
		return
	}
	due = laterOf(due, q.heldUntil)
	if !due.After(dsp.now()) {
		q.unread = true
		dsp.list(q)
		return
	}
	if q.index >= 0 {
		if due.Before(q.wakeAt) {
			q.wakeAt = due
			heap.Fix(&dsp.waiting, q.index)
		}
	} else {
		q.wakeAt = due
		heap.Push(&dsp.waiting, q)
	}
	if q.index == 0 {
		dsp.kickLoop()
	}
}

// hold begins nothing at the queue before the given time.
func (dsp *Dispatcher) hold(q *dispatchQueue, until time.Time) {
	q.heldUntil = laterOf(q.heldUntil, until)
	if q.index >= 0 && q.wakeAt.Before(q.heldUntil) {
		q.wakeAt = q.heldUntil
		heap.Fix(&dsp.waiting, q.index)
	}
}

func (dsp *Dispatcher) kickLoop() {
	select {
	case dsp.kick <- struct{}{}:
	default:
	}
}

// list puts the queue at the end of the ready ones, unless it is there or
// has no slot free: a slot that becomes free lists it again.
func (dsp *Dispatcher) list(q *dispatchQueue) {
	if q.listed || q.active >= q.limit {
		return
	}
	q.listed = true
	if q.failures > 0 {
		dsp.failing.push(q)
	} else {
		dsp.healthy.push(q)
	}
}

// pump gives free slots to ready queues in turn. Failing destinations get at
// most half of all slots, so that any number of dead ones leaves room for
// the living. While the store does not take outcomes nothing is begun.
func (dsp *Dispatcher) pump() {
	for dsp.state == dispatcherRunning && dsp.unrecorded == 0 && dsp.inFlight < dsp.o.MaxInFlight {
		q, bad := dsp.nextReady()
		if q == nil {
			return
		}
		q.listed = false
		if now := dsp.now(); q.heldUntil.After(now) {
			dsp.expect(q, q.heldUntil)
			continue
		}
		item, ok := dsp.take(q)
		if !ok {
			if q.fetching || !q.unread {
				continue
			}
			q.fetching, q.unread = true, false
		}
		q.active++
		dsp.inFlight++
		if bad {
			dsp.badFlight++
		}
		if len(q.ahead) > 0 || q.unread && !q.fetching {
			dsp.list(q)
		}
		dsp.spawn(q, item, bad)
	}
}

// nextReady takes the next queue from one list or the other.
func (dsp *Dispatcher) nextReady() (q *dispatchQueue, bad bool) {
	mayFail := !dsp.failing.empty() && dsp.badFlight < max(dsp.o.MaxInFlight/2, 1)
	if mayFail && (dsp.preferBad || dsp.healthy.empty()) {
		dsp.preferBad = false
		return dsp.failing.pop(), true
	}
	dsp.preferBad = true
	return dsp.healthy.pop(), false
}

// take begins one of the deliveries that were read ahead. None of them is
// under way: reading skips those, and ahead is empty before each reading.
func (dsp *Dispatcher) take(q *dispatchQueue) (DueItem, bool) {
	if len(q.ahead) == 0 {
		q.ahead = nil
		return DueItem{}, false
	}
	item := q.ahead[0]
	q.ahead = q.ahead[1:]
	q.inflight[item.EventID] = struct{}{}
	return item, true
}

// sort puts what the store listed where it belongs: due now ahead, the first
// that is due later into the heap. It reports whether all of it was due.
func (dsp *Dispatcher) sort(q *dispatchQueue, items []DueItem) (allDue bool) {
	now := dsp.now()
	for _, item := range items {
		if item.DueAt.After(now) {
			dsp.expect(q, item.DueAt)
			return false
		}
		if _, busy := q.inflight[item.EventID]; busy {
			continue
		}
		if p, ok := q.parked[item.EventID]; ok && p.until.After(now) {
			dsp.expect(q, p.until)
			continue
		}
		q.ahead = append(q.ahead, item)
	}
	return true
}

// dispatchList is a first-in, first-out list of queues.
type dispatchList struct{ head, tail *dispatchQueue }

func (l *dispatchList) empty() bool { return l.head == nil }

func (l *dispatchList) push(q *dispatchQueue) {
	if l.tail == nil {
		l.head = q
	} else {
		l.tail.next = q
	}
	l.tail = q
}

func (l *dispatchList) pop() *dispatchQueue {
	q := l.head
	if q == nil {
		return nil
	}
	l.head, q.next = q.next, nil
	if l.head == nil {
		l.tail = nil
	}
	return q
}

// dispatchHeap orders queues by when to look at them.
type dispatchHeap []*dispatchQueue

func (h dispatchHeap) Len() int           { return len(h) }
func (h dispatchHeap) Less(i, j int) bool { return h[i].wakeAt.Before(h[j].wakeAt) }

func (h dispatchHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is for package heap.
func (h *dispatchHeap) Push(x any) {
	q := x.(*dispatchQueue)
	q.index = len(*h)
	*h = append(*h, q)
}

// Pop is for package heap.
func (h *dispatchHeap) Pop() any {
	old := *h
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	q.index = -1
	return q
}

func (h *dispatchHeap) remove(q *dispatchQueue) {
	heap.Remove(h, q.index)
	q.wakeAt = time.Time{}
}
