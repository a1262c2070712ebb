package relay_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// F33, G08: one site hangs with 10^4 notifications waiting for it; 50 healthy
// ones are told at once all the same.
func TestDispatcher_F33_Isolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ int, c call) reply {
			if c.host == "dead.example" {
				return reply{after: time.Hour}
			}
			return reply{status: 200, after: 5 * time.Millisecond}
		})
		for i := range 10_000 {
			w.commit(fmt.Sprint("evt_dead_", i), "dead.example")
		}
		w.start()
		defer w.stop()
		for i := range 1000 {
			w.tell(fmt.Sprint("evt_", i), fmt.Sprintf("h%d.example", i%50))
			pass(10 * time.Millisecond)
		}
		pass(time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		var late []time.Duration
		for _, r := range w.reports {
			if r.Outcome == relay.DispatchDelivered {
				late = append(late, r.Lateness)
			}
		}
		slices.Sort(late)
		if len(late) != 1000 {
			t.Fatalf("%d healthy deliveries, want 1000", len(late))
		}
		if p99 := late[989]; p99 > 10*time.Millisecond {
			t.Errorf("healthy p99 lateness = %v, want next to nothing", p99)
		}
		if s := w.dsp.Stats(); s.InFlight > 4 || s.Failing != 1 {
			t.Errorf("stats = %+v, want the dead site in few slots", s)
		}
	})
}

// F33: more dead sites than there are slots leave half of the slots to the
// living.
func TestDispatcher_F33_ManyDeadSites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ int, c call) reply {
			if c.host[0] == 'd' {
				return reply{after: time.Hour}
			}
			return reply{status: 200}
		})
		w.options.MaxInFlight = 20
		w.start()
		defer w.stop()
		for i := range 200 {
			w.tell(fmt.Sprint("evt_dead_", i), fmt.Sprintf("d%d.example", i%100))
		}
		pass(5 * time.Minute) // every dead site is known as one
		begin := time.Now()
		for i := range 10 {
			w.tell(fmt.Sprint("evt_", i), fmt.Sprintf("h%d.example", i))
		}
		synctest.Wait()
		for i := range 10 {
			calls := w.receiver.of(fmt.Sprint("evt_", i))
			if len(calls) != 1 || calls[0].start.Sub(begin) > 0 {
				t.Errorf("healthy %d was called %d times, want once at once", i, len(calls))
			}
		}
	})
}

// G07: 10 000 parked notifications revive at a site that fails at once: it is
// called by few at a time and at most a hundred times a second, and nothing
// is lost. When it recovers, the limit grows again.
func TestDispatcher_G07_Amplification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		healed := false
		w := newWorld(t, func(int, call) reply {
			mu.Lock()
			defer mu.Unlock()
			if healed {
				return reply{status: 200, after: 10 * time.Millisecond}
			}
			return reply{status: 500}
		})
		for i := range 10_000 {
			w.commit(fmt.Sprint("evt_", i), "shop.example")
		}
		w.start()
		defer w.stop()
		pass(10 * time.Second)
		if got := w.receiver.count(); got > 1100 || got < 500 {
			t.Errorf("%d requests in 10 s at a failing site, want about 100 a second", got)
		}
		mu.Lock()
		healed = true
		mu.Unlock()
		before := w.receiver.count()
		pass(10 * time.Second)
		if got := w.receiver.count() - before; got < 8000 {
			t.Errorf("%d requests in 10 s after the site recovered, want the backlog gone", got)
		}
		pass(time.Hour)
		for i := range 10_000 {
			if d := w.delivery(fmt.Sprint("evt_", i)); d.Status != relay.DeliveryDelivered {
				t.Fatalf("evt_%d is %s", i, d.Status)
			}
		}
	})
}

// faultyStore fails on demand.
type faultyStore struct {
	*memstore.Store
	mu     sync.Mutex
	update func() (land bool, err error) // nil: works
	view   func() error
}

func (s *faultyStore) fail(update func() (bool, error), view func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.update, s.view = update, view
}

func (s *faultyStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	s.mu.Lock()
	update := s.update
	s.mu.Unlock()
	if update == nil {
		return s.Store.Update(ctx, fn)
	}
	land, err := update()
	if land {
		if e := s.Store.Update(ctx, fn); e != nil {
			return e
		}
	}
	return err
}

func (s *faultyStore) View(ctx context.Context, fn func(relay.Reader) error) error {
	s.mu.Lock()
	view := s.view
	s.mu.Unlock()
	if view != nil {
		if err := view(); err != nil {
			return err
		}
	}
	return s.Store.View(ctx, fn)
}

// F10, F44: the store takes no outcome for an hour. The outcome is offered
// again, not the request; nothing else is begun meanwhile; it is recorded
// once, also when an earlier commit landed after all.
func TestDispatcher_StoreRefusesOutcome(t *testing.T) {
	for _, land := range []bool{false, true} {
		t.Run(fmt.Sprint("lands ", land), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &faultyStore{Store: memstore.New()}
				w := newWorld(t, always(reply{status: 500}))
				w.store, w.options.Store = store, store
				w.start()
				defer w.stop()
				begin := time.Now()
				for i := range 100 {
					w.tell(fmt.Sprint("evt_", i), fmt.Sprintf("h%d.example", i%50), func(d *relay.Delivery) {
						d.DueAt = d.DueAt.Add(time.Duration(i+1) * time.Second)
					})
				}
				var mu sync.Mutex
				tries := 0
				store.fail(func() (bool, error) {
					mu.Lock()
					defer mu.Unlock()
					tries++
					return land, fmt.Errorf("%w: full", relay.ErrUnavailable)
				}, nil)
				pass(time.Hour)
				if got := w.receiver.count(); got > 1 {
					t.Errorf("%d requests while nothing could be recorded, want the first alone", got)
				}
				if s := w.dsp.Stats(); s.Unrecorded == 0 || s.InFlight == 0 {
					t.Errorf("stats = %+v, want the outcome waiting", s)
				}
				mu.Lock()
				if tries > 4*140 {
					t.Errorf("%d commits tried in an hour, want pauses of up to 30 s", tries)
				}
				mu.Unlock()
				store.fail(nil, nil)
				pass(100 * time.Hour)
				w.noOverlap()
				for i := range 100 {
					id := fmt.Sprint("evt_", i)
					if got := len(w.receiver.of(id)); got != 14 {
						t.Fatalf("%s: %d requests, want 14: none repeated", id, got)
					}
					checkChain(t, w, id, begin)
				}
			})
		})
	}
}

// The store cannot be read for a while: no spinning, and all is made up.
func TestDispatcher_StoreUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &faultyStore{Store: memstore.New()}
		w := newWorld(t, always(reply{status: 200}))
		w.store, w.options.Store = store, store
		for i := range 50 {
			w.commit(fmt.Sprint("evt_", i), fmt.Sprintf("h%d.example", i%5))
		}
		reads := 0
		var mu sync.Mutex
		store.fail(nil, func() error {
			mu.Lock()
			defer mu.Unlock()
			reads++
			return fmt.Errorf("%w: opening", relay.ErrUnavailable)
		})
		w.start()
		defer w.stop()
		w.tell("evt_50", "h0.example")
		pass(time.Minute)
		mu.Lock()
		if reads > 200 || reads < 10 {
			t.Errorf("%d reads in a minute, want about one a second", reads)
		}
		mu.Unlock()
		store.fail(nil, nil)
		pass(40 * time.Second)
		for i := range 51 {
			if d := w.delivery(fmt.Sprint("evt_", i)); d.Status != relay.DeliveryDelivered {
				t.Errorf("evt_%d is %s after the store came back", i, d.Status)
			}
		}
	})
}

// damagedStore cannot read some events.
type damagedStore struct {
	*memstore.Store
	damaged func(id string) bool
}

func (s *damagedStore) View(ctx context.Context, fn func(relay.Reader) error) error {
	return s.Store.View(ctx, func(r relay.Reader) error { return fn(damagedReader{r, s.damaged}) })
}

type damagedReader struct {
	relay.Reader
	damaged func(id string) bool
}

func (r damagedReader) Event(clientID, id string) (relay.Event, error) {
	if r.damaged(id) {
		return relay.Event{}, relay.ErrCorrupt
	}
	return r.Reader.Event(clientID, id)
}

// F16: damaged records at the head of a queue are put aside and reported;
// what stands behind them is delivered, and nobody spins.
func TestDispatcher_F16_DamagedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &damagedStore{Store: memstore.New(), damaged: func(id string) bool { return id < "evt_0100" }}
		w := newWorld(t, always(reply{status: 200}))
		w.store, w.options.Store = store, store
		for i := range 200 {
			w.commit(fmt.Sprintf("evt_%04d", i), "shop.example")
			pass(time.Millisecond)
		}
		w.start()
		defer w.stop()
		pass(30 * time.Second)
		for i := 100; i < 200; i++ {
			if d := w.delivery(fmt.Sprintf("evt_%04d", i)); d.Status != relay.DeliveryDelivered {
				t.Fatalf("evt_%04d is %s, want delivered", i, d.Status)
			}
		}
		if s := w.dsp.Stats(); s.Parked != 100 {
			t.Errorf("%d parked, want 100", s.Parked)
		}
		pass(24 * time.Hour)
		if got := w.troubled(relay.DispatchRecordTrouble); got > 100*40 {
			t.Errorf("%d reports in a day, want pauses that grow to an hour", got)
		}
	})
}

// A record that contradicts itself, over but with an attempt planned, is put
// aside without a call and without spinning.
func TestDispatcher_Contradiction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 200}))
		w.start()
		defer w.stop()
		w.tell("evt_1", "shop.example", func(d *relay.Delivery) { d.Status = relay.DeliveryCancelled })
		w.tell("evt_2", "shop.example")
		pass(time.Hour)
		if got := w.troubled(relay.DispatchRecordTrouble); got == 0 || got > 10 {
			t.Errorf("reported %d times in an hour, want a few", got)
		}
		if len(w.receiver.of("evt_1")) != 0 || len(w.receiver.of("evt_2")) != 1 {
			t.Error("want no call for the cancelled one and one for the other")
		}
	})
}

// An address or body from which no request can be made ends as exhausted,
// visible, instead of circling for ever.
func TestDispatcher_UnusableNotification(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 200}))
		w.start()
		defer w.stop()
		w.tell("evt_1", "shop.example", func(d *relay.Delivery) { d.Format = "carrier_pigeon" })
		pass(48 * time.Hour)
		d, rows := w.delivery("evt_1"), w.attempts("evt_1")
		if d.Status != relay.DeliveryExhausted || len(rows) != 14 || rows[0].Failure != "unusable notification" {
			t.Errorf("delivery = %+v, attempts %+v", d, rows)
		}
		if w.receiver.count() != 0 {
			t.Error("something was sent")
		}
	})
}

// What is stored of a failure is a short reason: no address, whatever the
// cause said (H rows on quiet records).
func TestDispatcher_FailureHoldsNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{err: errors.New("dial tcp 10.1.2.3:443: oops")}))
		w.start()
		defer w.stop()
		w.tell("evt_1", "shop.example")
		w.tell("evt_2", "shop.example")
		synctest.Wait()
		if got := w.attempts("evt_1")[0].Failure; got != string(safehttp.ReasonOf(nil)) {
			t.Errorf("failure = %q, want the fixed word", got)
		}
	})
}
