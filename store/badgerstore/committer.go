package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

const (
	// maxGroup is how many requests are committed together at most.
	maxGroup = 512
	// maxQueue is how many requests may wait; those whose callers gave up
	// during a stall stay in the queue until it ends.
	maxQueue = 16384
)

var (
	errClosed    = errors.New("the store is closed")
	errQueueFull = errors.New("too many requests wait for the disk")
	errTooBig    = errors.New("the transaction is too large")
)

// request is one call of Update.
type request struct {
	ctx  context.Context //nolint:containedctx // the call's own, which ends with it
	fn   func(relay.Tx) error
	done chan error // holds the one answer
}

var requests = sync.Pool{New: func() any { return &request{done: make(chan error, 1)} }}

// queue holds the requests that wait for the committer.
type queue struct {
	mu      sync.Mutex // guards what follows
	waiting []*request
	closed  bool
	wake    chan struct{} // has room for one
}

func (q *queue) add(r *request) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return errClosed
	case len(q.waiting) >= maxQueue:
		return errQueueFull
	}
	q.waiting = append(q.waiting, r)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return nil
}

// take moves up to n waiting requests to the end of into.
func (q *queue) take(into []*request, n int) []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.waiting))
	into = append(into, q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return into
}

// end reports whether the queue is closed and empty.
func (q *queue) end() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed && len(q.waiting) == 0
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// committer is the one goroutine that writes. It runs the requests that came
// while the last group went to disk, one after the other on the same state,
// and commits what they wrote in one transaction with one sync. A request
// that fails leaves nothing behind, and nobody is answered before the commit:
// even a refusal may rest on what another request of the group has written.
type committer struct {
	s    *Store
	over *overlay
	reqs []*request // of the running group
	errs []error    // their answers

	seq      uint64 // last committed group
	eventSeq uint64 // last event
	limit    int    // bytes after which a group takes no more requests
	maxCount int
	maxSize  int
	sweep    nonceSweep
	written  int // bytes since the files' modes were looked at
}

// run works until the queue is closed and empty.
func (c *committer) run() {
	for {
		if c.reqs = c.s.queue.take(c.reqs[:0], maxGroup); len(c.reqs) == 0 {
			if c.s.queue.end() {
				return
			}
			<-c.s.queue.wake
			continue
		}
		c.group()
	}
}

// group runs, commits and answers one group.
func (c *committer) group() {
	began := c.s.opts.Now()
	c.errs = c.errs[:0]
	c.over.reset()
	err := c.s.refusal(began)
	if err == nil {
		err = c.runAndCommit()
	}
	for i, r := range c.reqs {
		if err != nil {
			r.done <- err
		} else {
			r.done <- c.errs[i]
		}
		c.reqs[i] = nil
	}
	if err == nil && c.s.opts.Hooks.Committed != nil {
		c.s.opts.Hooks.Committed(len(c.errs), c.s.opts.Now().Sub(began))
	}
}

func (c *committer) runAndCommit() error {
	txn := c.s.db.NewTransaction(true)
	defer txn.Discard()
	src := staged{committed{txn}, c.over}
	eventSeq := c.eventSeq
	for i := 0; i < len(c.reqs); i++ {
		c.errs = append(c.errs, c.runOne(src, c.reqs[i], &eventSeq))
		if c.full() {
			c.s.queue.giveBack(c.reqs[i+1:])
			c.reqs = c.reqs[:i+1]
			break
		}
		if i == len(c.reqs)-1 && len(c.reqs) < maxGroup {
			c.reqs = c.s.queue.take(c.reqs, maxGroup-len(c.reqs))
		}
	}
	if len(c.over.rows) == 0 {
		return nil
	}
	if err := c.sweep.step(src, c.s.opts.Now()); err != nil {
		c.s.alarm("sweeping nonces: " + err.Error())
		c.over.rollBack()
	}
	return c.commit(txn, eventSeq)
}

// full tells that the next request could make the transaction too large.
func (c *committer) full() bool {
	return c.over.size > c.limit || len(c.over.rows) > c.maxCount/3
}

// runOne runs a request on the group's state.
func (c *committer) runOne(src staged, r *request, eventSeq *uint64) error {
	if err := ended(r.ctx); err != nil {
		return err
	}
	seq := *eventSeq
	t := &tx{reader: reader{src: src, marks: c.s.marks, seq: c.seq}, over: c.over, eventSeq: eventSeq}
	err := call(func() error { return r.fn(t) })
	t.ended = true
	if err == nil && (c.over.size > c.maxSize || len(c.over.rows) > c.maxCount) {
		err = errTooBig
	}
	if err != nil {
		c.over.rollBack()
		*eventSeq = seq
		return err
	}
	c.over.accept()
	return nil
}

// commit makes the group durable. An error means that nobody knows whether
// it is: Badger shows rows whose sync failed, and reports an error for
// neighbours that were written.
func (c *committer) commit(txn *badger.Txn, eventSeq uint64) error {
	seq := c.seq + 1
	row, err := store.Seal(nil, store.KindMeta, appendSequence(nil, seq, eventSeq))
	if err != nil {
		return err
	}
	if err := c.write(txn, row); err != nil {
		return c.s.poisoned(err)
	}
	c.seq, c.eventSeq = seq, eventSeq
	c.protect()
	c.s.marks.committed(c.over.rows, seq)
	c.s.snapshots.replace(c.s.db, seq)
	if err := c.s.water.record(seq, eventSeq); err != nil {
		return c.s.poisoned(fmt.Errorf("writing the high-water mark: %w", err))
	}
	return nil
}

// protect takes others' rights from files that Badger has made, now and then.
func (c *committer) protect() {
	if c.written += c.over.size; int64(c.written) < c.s.opts.MemTableSize/2 {
		return
	}
	c.written = 0
	if err := c.s.dir.protect(); err != nil {
		c.s.alarm("protecting the store's files: " + err.Error())
	}
}

func (c *committer) write(txn *badger.Txn, sequence []byte) error {
	if err := txn.Set(keySequence, sequence); err != nil {
		return err
	}
	for _, w := range c.over.rows {
		var err error
		if w.row == nil {
			err = txn.Delete(w.key)
		} else {
			err = txn.Set(w.key, w.row)
		}
		if err != nil {
			return err
		}
	}
	return c.s.commitTxn(txn)
}

// giveBack returns requests that did not run to the head of the queue.
func (q *queue) giveBack(rs []*request) {
	if len(rs) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting = append(append(make([]*request, 0, len(rs)+len(q.waiting)), rs...), q.waiting...)
}

// call turns a panic of fn into an error, so that one bad request ends alone.
func call(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
		}
	}()
	return fn()
}

func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
	}
	return nil
}

func unavailable(err error) error {
	return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
}

// submit hands fn to the committer and waits.
func (s *Store) submit(ctx context.Context, fn func(relay.Tx) error) error {
	r := requests.Get().(*request)
	r.ctx, r.fn = ctx, fn
	if err := s.queue.add(r); err != nil {
		return unavailable(err)
	}
	select {
	case err := <-r.done:
		r.ctx, r.fn = nil, nil
		requests.Put(r)
		return err
	case <-ctx.Done():
		return ended(ctx) // the committer may still hold r
	}
}
