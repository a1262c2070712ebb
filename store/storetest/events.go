package storetest

import (
	"fmt"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func testEvents(t *testing.T, b Backend) {
	s := b.Open(t)
	var seqs []uint64
	for i := range 5 {
		e := event("c", fmt.Sprint("evt_", i))
		update(t, s, func(tx relay.Tx) error { return tx.AddEvent(e) })
		if n := len(seqs); e.Seq == 0 || n > 0 && e.Seq <= seqs[n-1] {
			t.Fatalf("Seq of event %d: got %d after %v, want it to grow", i, e.Seq, seqs)
		}
		seqs = append(seqs, e.Seq)
	}
	err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.AddEvent(event("c", "evt_3")) })
	wantIs(t, "AddEvent again", err, store.ErrExists)
	list := func(rd relay.Reader, after uint64, limit int) (got []uint64) {
		es, err := rd.Events("c", after, limit)
		if err != nil {
			t.Errorf("Events: %v", err)
		}
		for _, e := range es {
			got = append(got, e.Seq)
		}
		return got
	}
	check := func(rd relay.Reader) error {
		wantEqual(t, "Events from the start", list(rd, 0, 9), seqs)
		wantEqual(t, "Events after the second", list(rd, seqs[1], 2), seqs[2:4])
		wantEqual(t, "Events after the last", list(rd, seqs[4], 9), []uint64(nil))
		wantEqual(t, "Events after the greatest number", list(rd, ^uint64(0), 9), []uint64(nil))
		return nil
	}
	view(t, s, check)
	update(t, s, func(tx relay.Tx) error { return check(tx) })
}

// A client must not read another's events, even with their ids.
func testEventOfAnotherClient(t *testing.T, b Backend) {
	s := b.Open(t)
	update(t, s, func(tx relay.Tx) error { return tx.AddEvent(event("c", "evt_1")) })
	view(t, s, func(rd relay.Reader) error {
		_, err := rd.Event("d", "evt_1")
		wantIs(t, "Event of another client", err, relay.ErrNotFound)
		es, err := rd.Events("d", 0, 9)
		if len(es) > 0 {
			t.Errorf("Events of another client: got %d, want none", len(es))
		}
		return err
	})
}

func testEventSeqReopen(t *testing.T, b Backend) {
	s := b.Open(t)
	var last uint64
	for i := range 3 {
		e := event("c", fmt.Sprint("evt_", i))
		update(t, s, func(tx relay.Tx) error { return tx.AddEvent(e) })
		if e.Seq <= last {
			t.Errorf("Seq after reopening: got %d, want more than %d", e.Seq, last)
		}
		last = e.Seq
		s = b.Reopen(t, s)
	}
}

// A reader that always goes on after the last Seq it saw sees every event,
// although writers commit beside it.
func testEventsCursor(t *testing.T, b Backend) {
	const writers, each = 8, 40
	s := b.Open(t)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				fail := i%7 == 3
				err := s.Update(t.Context(), func(tx relay.Tx) error {
					if err := tx.AddEvent(event("c", fmt.Sprint("evt_", w, "_", i))); err != nil || !fail {
						return err
					}
					return errRefused
				})
				if (err != nil) != fail {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	seen := map[string]bool{}
	var cursor uint64
	read := func() {
		view(t, s, func(rd relay.Reader) error {
			es, err := rd.Events("c", cursor, 7)
			for _, e := range es {
				if e.Seq <= cursor || seen[e.ID] {
					t.Errorf("event %s with Seq %d came after %d", e.ID, e.Seq, cursor)
				}
				cursor, seen[e.ID] = e.Seq, true
			}
			return err
		})
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		read()
	}
	for n := -1; n != len(seen); {
		n = len(seen)
		read()
	}
	if want := writers * (each - 6); len(seen) != want {
		t.Errorf("the cursor saw %d events, want %d", len(seen), want)
	}
}
