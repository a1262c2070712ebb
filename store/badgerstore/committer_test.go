package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
)

// F07: after a commit that failed nothing is acknowledged and nothing is
// written any more, although the engine would go on; what was acknowledged
// can still be read, and what failed cannot.
func TestPoison_F07(t *testing.T) {
	t.Parallel()
	for _, landed := range []bool{false, true} {
		t.Run(fmt.Sprint("landed=", landed), func(t *testing.T) {
			t.Parallel()
			testPoison(t, landed)
		})
	}
}

func testPoison(t *testing.T, landed bool) {
	errDisk := errors.New("input/output error")
	fail, commits := false, 0
	o := small(t.TempDir())
	o.commit = func(txn *badger.Txn) error {
		commits++
		if !fail {
			return txn.Commit()
		}
		if landed { // as when the sync fails after the write
			if err := txn.Commit(); err != nil {
				t.Errorf("Commit: %v", err)
			}
		}
		return errDisk
	}
	var told []error
	o.Hooks.Poisoned = func(err error) { told = append(told, err) }
	s := mustOpen(t, o)
	putOrders(t, s, 0, 3)
	fail = true
	update := func(id string) error {
		return s.Update(t.Context(), func(tx relay.Tx) error { return putOrder(tx, id) })
	}
	err := update("failed")
	if !errors.Is(err, relay.ErrUnavailable) || !errors.Is(err, errDisk) {
		t.Errorf("Update that failed: got %v, want ErrUnavailable and the cause", err)
	}
	fail = false
	before := commits
	for range 3 {
		if err := update("later"); !errors.Is(err, relay.ErrUnavailable) {
			t.Errorf("Update afterwards: got %v, want ErrUnavailable", err)
		}
	}
	if commits != before {
		t.Errorf("commits after the failure: got %d, want none", commits-before)
	}
	health := s.Health(t.Context())
	if !errors.Is(health, relay.ErrUnavailable) {
		t.Errorf("Health: got %v, want ErrUnavailable", health)
	}
	wantText(t, health, "input/output error", "restart")
	if len(told) != 1 {
		t.Errorf("Hooks.Poisoned: got %d calls, want 1", len(told))
	}
	for id, want := range map[string]bool{"0": true, "1": true, "2": true, "failed": false, "later": false} {
		if got := hasOrder(t, s, id); got != want {
			t.Errorf("order %q is there: got %v, want %v", id, got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	again := mustOpen(t, small(s.opts.Path))
	verified(t, again)
	if got := hasOrder(t, again, "failed"); got != landed {
		t.Errorf("order %q after a restart: got %v, want %v", "failed", got, landed)
	}
	putOrders(t, again, 10, 11)
}

// F09: the disk stalls. The caller's context ends its waiting, the row may
// land, and readers do not wait at all.
func TestStalledCommit_F09(t *testing.T) {
	t.Parallel()
	stall, reached := make(chan struct{}), make(chan struct{})
	var once sync.Once
	o := small(t.TempDir())
	o.commit = func(txn *badger.Txn) error {
		once.Do(func() { close(reached) })
		<-stall
		return txn.Commit()
	}
	s := mustOpen(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		first <- s.Update(ctx, func(tx relay.Tx) error { return putOrder(tx, "stalled") })
	}()
	<-reached
	var ran bool
	second := make(chan error, 1)
	go func() {
		second <- s.Update(ctx, func(relay.Tx) error { ran = true; return nil })
	}()
	if hasOrder(t, s, "stalled") { // does not hang
		t.Error("an order is visible before its commit")
	}
	cancel()
	for _, done := range []chan error{first, second} {
		if err := <-done; !errors.Is(err, relay.ErrUnavailable) || !errors.Is(err, context.Canceled) {
			t.Errorf("Update: got %v, want ErrUnavailable and context.Canceled", err)
		}
	}
	close(stall)
	putOrders(t, s, 0, 1) // waits for the stalled group
	if !hasOrder(t, s, "stalled") {
		t.Error("the stalled commit did not land")
	}
	if ran {
		t.Error("a function ran whose context had ended")
	}
}

// Requests that wait while a group is on its way to the disk share the next
// one, and a caller alone does not wait for others.
func TestGroups(t *testing.T) {
	t.Parallel()
	step, reached := make(chan struct{}), make(chan struct{})
	var groups []int
	o := small(t.TempDir())
	o.commit = func(txn *badger.Txn) error {
		reached <- struct{}{}
		<-step
		return txn.Commit()
	}
	o.Hooks.Committed = func(n int, took time.Duration) {
		groups = append(groups, n)
		if took < 0 {
			t.Errorf("took: got %v", took)
		}
	}
	s := mustOpen(t, o)
	var waiting []*request
	put := func(id string) {
		r := &request{ctx: t.Context(), fn: func(tx relay.Tx) error { return putOrder(tx, id) }, done: make(chan error, 1)}
		if err := s.queue.add(r); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, r)
	}
	put("alone")
	<-reached
	for i := range 20 {
		put(fmt.Sprint(i))
	}
	step <- struct{}{}
	<-reached
	step <- struct{}{}
	for _, r := range waiting {
		if err := <-r.done; err != nil {
			t.Errorf("Update: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if len(groups) != 2 || groups[0] != 1 || groups[1] != 20 {
		t.Errorf("groups: got %v, want [1 20]", groups)
	}
}

// A transaction that Badger could not take is refused alone.
func TestTooBig(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		for i := range 20 {
			e := relay.Event{ID: fmt.Sprint(i), ClientID: "c", Body: make([]byte, 30<<10)}
			if err := tx.AddEvent(&e); err != nil {
				return err
			}
		}
		return nil
	})
	if !errors.Is(err, errTooBig) {
		t.Errorf("Update: got %v, want %v", err, errTooBig)
	}
	// Many that fit one by one are spread over groups.
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			e := relay.Event{ID: fmt.Sprint("fits", i), ClientID: "c", Body: make([]byte, 30<<10)}
			if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.AddEvent(&e) }); err != nil {
				t.Errorf("Update %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if r := verified(t, s); r.Events != 64 {
		t.Errorf("events: got %d, want 64", r.Events)
	}
}

// A Tx that its function kept is dead.
func TestKeptTx(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	var kept relay.Tx
	if err := s.Update(t.Context(), func(tx relay.Tx) error { kept = tx; return putOrder(tx, "1") }); err != nil {
		t.Fatal(err)
	}
	if err := putOrder(kept, "2"); !errors.Is(err, errTxOver) {
		t.Errorf("PutOrder on a kept Tx: got %v, want %v", err, errTxOver)
	}
}
