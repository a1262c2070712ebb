package storetest

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

func testErrorLeavesNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	leavesNothing(t, s, func() error {
		return s.Update(t.Context(), func(tx relay.Tx) error {
			if err := newRecords().put(tx); err != nil {
				t.Errorf("put: %v", err)
			}
			return errRefused
		})
	}, func(err error) bool { return err == errRefused }) //nolint:errorlint // must come back unwrapped
}

func testPanicLeavesNothing(t *testing.T, b Backend) {
	s := b.Open(t)
	leavesNothing(t, s, func() error {
		return s.Update(t.Context(), func(tx relay.Tx) error {
			if err := newRecords().put(tx); err != nil {
				t.Errorf("put: %v", err)
			}
			panic("out of order")
		})
	}, func(err error) bool { return err != nil && strings.Contains(err.Error(), "out of order") })
}

func leavesNothing(t *testing.T, s relay.Store, try func() error, right func(error) bool) {
	t.Helper()
	check := func(rd relay.Reader) error {
		r := newRecords()
		_, err := rd.Order(r.order.OrderKey)
		wantIs(t, "Order", err, relay.ErrNotFound)
		_, err = rd.OrderByToken(r.order.Token)
		wantIs(t, "OrderByToken", err, relay.ErrNotFound)
		_, err = rd.Event(r.event.ClientID, r.event.ID)
		wantIs(t, "Event", err, relay.ErrNotFound)
		_, err = rd.CaseOf(r.held.Kind, r.held.Payment)
		wantIs(t, "CaseOf", err, relay.ErrNotFound)
		_, err = rd.Refund(r.refund.RefundKey)
		wantIs(t, "Refund", err, relay.ErrNotFound)
		_, err = rd.RefundByNo(r.refund.ClientID, r.refund.RefundNo)
		wantIs(t, "RefundByNo", err, relay.ErrNotFound)
		_, err = rd.Split(r.split.SplitKey)
		wantIs(t, "Split", err, relay.ErrNotFound)
		_, err = rd.SplitByNo(r.split.ClientID, r.split.SplitNo)
		wantIs(t, "SplitByNo", err, relay.ErrNotFound)
		_, err = rd.Payer(r.payer.OpenID)
		wantIs(t, "Payer", err, relay.ErrNotFound)
		fen, err := rd.Tally(r.day)
		wantEqual(t, "Tally", fen, int64(0))
		for _, kind := range []relay.TaskKind{relay.TaskAskPayment, relay.TaskFollowRefund, relay.TaskFollowSplit} {
			tasks, err := rd.Tasks(kind, T0.Add(1000*time.Hour), 9)
			if err != nil || len(tasks) > 0 {
				t.Errorf("Tasks of %s: got %v, %v, want none", kind, tasks, err)
			}
		}
		ev, err4 := rd.Evidence(r.evidence.Payment)
		es, err2 := rd.Events(r.event.ClientID, 0, 9)
		as, err3 := rd.Attempts(r.attempt.EventID)
		if len(ev)+len(es)+len(as)+len(queues(t, rd)) > 0 {
			t.Errorf("lists: got %v %v %v, want none", ev, es, as)
		}
		return errors.Join(err, err2, err3, err4)
	}
	if err := try(); !right(err) {
		t.Errorf("Update: got %v", err)
	}
	view(t, s, check)
	// A failure beside others in the same group takes nothing of theirs.
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			update(t, s, func(tx relay.Tx) error { return tx.PutOrder(order("other", fmt.Sprint(i))) })
		})
		wg.Go(func() {
			if err := try(); !right(err) {
				t.Errorf("Update: got %v", err)
			}
		})
	}
	wg.Wait()
	view(t, s, func(rd relay.Reader) error {
		for i := range 8 {
			if _, err := rd.Order(relay.OrderKey{ClientID: "other", OrderNo: fmt.Sprint(i)}); err != nil {
				t.Errorf("Order %d: %v", i, err)
			}
		}
		return check(rd)
	})
}

func testSeesItsWrites(t *testing.T, b Backend) {
	s := b.Open(t)
	update(t, s, func(tx relay.Tx) error {
		o := order("c", "1")
		for v := range uint64(3) {
			o.Version = v
			if err := tx.PutOrder(o); err != nil {
				return err
			}
			got, err := tx.Order(o.OrderKey)
			if err != nil {
				return err
			}
			wantEqual(t, "Version", got.Version, v)
		}
		e1, e2 := event("c", "e1"), event("c", "e2")
		if err := all(tx.AddEvent(e1), tx.AddEvent(e2)); err != nil {
			return err
		}
		es, err := tx.Events("c", 0, 9)
		wantEqual(t, "Events", es, []relay.Event{*e1, *e2})
		return err
	})
}

// Two orders always hold the same sum, whoever looks.
func testViewIsConsistent(t *testing.T, b Backend) {
	s := b.Open(t)
	one, two := order("c", "1"), order("c", "2")
	one.AmountFen, two.AmountFen = 500, 500
	update(t, s, func(tx relay.Tx) error { return all(tx.PutOrder(one), tx.PutOrder(two)) })
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				update(t, s, func(tx relay.Tx) error {
					a, err := tx.Order(one.OrderKey)
					b, err2 := tx.Order(two.OrderKey)
					if err := errors.Join(err, err2); err != nil {
						return err
					}
					a.AmountFen -= int64(w*50 + i)
					b.AmountFen += int64(w*50 + i)
					return all(tx.PutOrder(&a), tx.PutOrder(&b))
				})
			}
		})
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				view(t, s, func(rd relay.Reader) error {
					a, err := rd.Order(one.OrderKey)
					b, err2 := rd.Order(two.OrderKey)
					if sum := a.AmountFen + b.AmountFen; sum != 1000 {
						t.Errorf("sum: got %d, want 1000", sum)
					}
					return errors.Join(err, err2)
				})
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// 64 callers read, add one and write: no addition is lost, and each sees a
// number of its own.
func testSerialisable(t *testing.T, b Backend) {
	const callers, each = 64, 10
	s := b.Open(t)
	update(t, s, func(tx relay.Tx) error {
		o := order("c", "counter")
		o.Version = 0
		return tx.PutOrder(o)
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := map[uint64]bool{}
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				fail := (c+i)%9 == 0
				var got uint64
				err := s.Update(t.Context(), func(tx relay.Tx) error {
					o, err := tx.Order(relay.OrderKey{ClientID: "c", OrderNo: "counter"})
					if err != nil {
						return err
					}
					o.Version++
					got = o.Version
					if err := tx.PutOrder(&o); err != nil || !fail {
						return err
					}
					return errRefused
				})
				if fail {
					wantIs(t, "Update", err, errRefused)
					continue
				}
				if err != nil {
					t.Errorf("Update: %v", err)
				}
				mu.Lock()
				if seen[got] {
					t.Errorf("number %d was given twice", got)
				}
				seen[got] = true
				mu.Unlock()
				// What Update acknowledged, View shows.
				view(t, s, func(rd relay.Reader) error {
					o, err := rd.Order(relay.OrderKey{ClientID: "c", OrderNo: "counter"})
					if o.Version < got {
						t.Errorf("View after Update: got %d, want at least %d", o.Version, got)
					}
					return err
				})
			}
		})
	}
	wg.Wait()
	view(t, s, func(rd relay.Reader) error {
		o, err := rd.Order(relay.OrderKey{ClientID: "c", OrderNo: "counter"})
		wantEqual(t, "counter", o.Version, uint64(len(seen)))
		return err
	})
}

func claim(t *testing.T, s relay.Store, client, nonce string, now time.Time) error {
	t.Helper()
	return s.Update(t.Context(), func(tx relay.Tx) error { return tx.ClaimNonce(client, nonce, now) })
}

// J03: nonces are bounded by the window, and only claims write.
func testNonces(t *testing.T, b Backend) {
	s := b.Open(t)
	edge := time.Unix(0, 0).Add(1_000_000 * relay.NonceWindow).UTC() // where windows meet
	for _, c := range []struct {
		name          string
		client, nonce string
		now           time.Time
		want          error
	}{
		{"first", "c", "n", T0, nil},
		{"again", "c", "n", T0, relay.ErrReplayed},
		{"just inside the window", "c", "n", T0.Add(relay.NonceWindow - time.Nanosecond), relay.ErrReplayed},
		{"another client", "d", "n", T0, nil},
		{"another nonce", "c", "m", T0, nil},
		{"a clock set back", "c", "m", T0.Add(-time.Minute), relay.ErrReplayed},
		{"after the window", "c", "n", T0.Add(relay.NonceWindow), nil},
		{"after the window, again", "c", "n", T0.Add(relay.NonceWindow + 1), relay.ErrReplayed},
		{"at an edge", "c", "edge", edge, nil},
		// Requests reach the store in another order than their times.
		{"before the edge", "c", "edge", edge.Add(-time.Nanosecond), relay.ErrReplayed},
		{"after the edge", "c", "edge", edge.Add(time.Nanosecond), relay.ErrReplayed},
	} {
		if err := claim(t, s, c.client, c.nonce, c.now); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	// One transaction sees its own claim, and a failed one leaves none.
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		if err := tx.ClaimNonce("c", "twice", T0); err != nil {
			return err
		}
		return tx.ClaimNonce("c", "twice", T0)
	})
	wantIs(t, "claimed twice in one transaction", err, relay.ErrReplayed)
	if err := claim(t, s, "c", "twice", T0); err != nil {
		t.Errorf("after a failed transaction: got %v, want nil", err)
	}
}

// Sweeping old nonces takes none that still counts.
func testNonceWindows(t *testing.T, b Backend) {
	s := b.Open(t)
	for i := range 200 {
		now := T0.Add(time.Duration(i) * relay.NonceWindow / 10)
		if err := claim(t, s, "c", fmt.Sprint("n", i), now); err != nil {
			t.Fatalf("nonce %d: %v", i, err)
		}
		for j := max(0, i-9); j <= i; j++ {
			wantIs(t, fmt.Sprintf("nonce %d at %d", j, i), claim(t, s, "c", fmt.Sprint("n", j), now), relay.ErrReplayed)
		}
	}
}

func testNonceReopen(t *testing.T, b Backend) {
	s := b.Open(t)
	if err := claim(t, s, "c", "n", T0); err != nil {
		t.Fatal(err)
	}
	s = b.Reopen(t, s)
	wantIs(t, "after reopening", claim(t, s, "c", "n", T0.Add(time.Minute)), relay.ErrReplayed)
}

func testNonceUsed(t *testing.T, b Backend) {
	s := b.Open(t)
	if err := claim(t, s, "c", "n", T0); err != nil {
		t.Fatal(err)
	}
	view(t, s, func(rd relay.Reader) error {
		nr, ok := rd.(relay.NonceReader)
		if !ok {
			t.Skip("the store's readers do not tell used nonces")
		}
		for _, c := range []struct {
			nonce string
			now   time.Time
			want  bool
		}{
			{"n", T0.Add(time.Minute), true},
			{"n", T0.Add(relay.NonceWindow), false},
			{"m", T0, false},
		} {
			got, err := nr.NonceUsed("c", c.nonce, c.now)
			if err != nil || got != c.want {
				t.Errorf("NonceUsed(%s, %v): got %v, %v, want %v", c.nonce, c.now, got, err, c.want)
			}
		}
		return nil
	})
}
