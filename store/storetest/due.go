package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	siteA = "https://a.example/notify"
	siteB = "https://b.example:8443/notify"
)

func dest(client, origin string) relay.Destination {
	return relay.Destination{ClientID: client, Origin: origin}
}

var (
	destA = dest("c", "https://a.example:443")
	destB = dest("c", "https://b.example:8443")
)

// queues reads the whole due index: each destination's earliest time and its
// events in order.
func queues(t *testing.T, rd relay.Reader) map[relay.Destination][]relay.DueItem {
	t.Helper()
	got := map[relay.Destination][]relay.DueItem{}
	earliest := map[relay.Destination]time.Time{}
	if err := rd.Destinations(func(d relay.Destination, at time.Time) bool {
		if _, twice := earliest[d]; twice {
			t.Errorf("Destinations: %v came twice", d)
		}
		earliest[d] = at
		return true
	}); err != nil {
		t.Errorf("Destinations: %v", err)
	}
	for d, at := range earliest {
		items, err := rd.Due(d, 1<<20)
		if err != nil {
			t.Errorf("Due: %v", err)
		}
		if len(items) == 0 || !items[0].DueAt.Equal(at) {
			t.Errorf("Destinations: %v has %d items, the earliest is not at %v", d, len(items), at)
		}
		if !slices.IsSortedFunc(items, func(a, b relay.DueItem) int { return a.DueAt.Compare(b.DueAt) }) {
			t.Errorf("Due: %v is not in order", d)
		}
		got[d] = items
	}
	return got
}

func wantDue(t *testing.T, s relay.Store, want map[relay.Destination][]relay.DueItem) {
	t.Helper()
	view(t, s, func(rd relay.Reader) error { wantEqual(t, "due index", queues(t, rd), want); return nil })
	update(t, s, func(tx relay.Tx) error { wantEqual(t, "due index in Update", queues(t, tx), want); return nil })
}

func putDelivery(t *testing.T, s relay.Store, d *relay.Delivery) {
	t.Helper()
	update(t, s, func(tx relay.Tx) error { return tx.PutDelivery(d) })
}

func testDueMoves(t *testing.T, b Backend) {
	s := b.Open(t)
	at := func(m int) time.Time { return T0.Add(time.Duration(m) * time.Minute).UTC() }
	type due = map[relay.Destination][]relay.DueItem
	d := delivery("c", "e1", siteA, at(5))
	putDelivery(t, s, d)
	wantDue(t, s, due{destA: {{EventID: "e1", DueAt: at(5)}}})
	d.DueAt = at(9)
	putDelivery(t, s, d)
	wantDue(t, s, due{destA: {{EventID: "e1", DueAt: at(9)}}})
	d.ManualDueAt = at(2) // asked for by hand, before
	putDelivery(t, s, d)
	wantDue(t, s, due{destA: {{EventID: "e1", DueAt: at(2)}}})
	d.ManualDueAt = at(20) // and after
	putDelivery(t, s, d)
	wantDue(t, s, due{destA: {{EventID: "e1", DueAt: at(9)}}})
	d.DueAt = time.Time{}
	putDelivery(t, s, d)
	wantDue(t, s, due{destA: {{EventID: "e1", DueAt: at(20)}}})
	d.URL = siteB // the client's address changed
	putDelivery(t, s, d)
	wantDue(t, s, due{destB: {{EventID: "e1", DueAt: at(20)}}})
	d.ManualDueAt = time.Time{}
	putDelivery(t, s, d)
	wantDue(t, s, due{})
	d.DueAt = at(1)
	putDelivery(t, s, d)
	wantDue(t, s, due{destB: {{EventID: "e1", DueAt: at(1)}}})
}

func testDueByDestination(t *testing.T, b Backend) {
	s := b.Open(t)
	want := map[relay.Destination][]relay.DueItem{}
	for i, c := range []struct {
		client, url string
		dest        relay.Destination
	}{
		{"c", siteA, destA},
		{"c", "HTTPS://A.Example:443/other?x=1", destA},
		{"c", siteB, destB},
		{"d", siteA, dest("d", "https://a.example:443")},
		{"c", "http://a.example/", dest("c", "http://a.example:80")},
		{"c", "https://[2001:db8::1]/n", dest("c", "https://[2001:db8::1]:443")},
		{"c", "https://user@a.example", destA},
	} {
		at := T0.Add(time.Duration(i) * time.Minute)
		id := fmt.Sprint("e", i)
		putDelivery(t, s, delivery(c.client, id, c.url, at))
		want[c.dest] = append(want[c.dest], relay.DueItem{EventID: id, DueAt: at})
	}
	wantDue(t, s, want)
	view(t, s, func(rd relay.Reader) error {
		items, err := rd.Due(destA, 2)
		wantEqual(t, "Due with a limit", items, want[destA][:2])
		calls := 0
		if err := rd.Destinations(func(relay.Destination, time.Time) bool { calls++; return false }); err != nil {
			t.Errorf("Destinations: %v", err)
		}
		wantEqual(t, "calls of Destinations that was stopped", calls, 1)
		return err
	})
}

func testDueInsideUpdate(t *testing.T, b Backend) {
	s := b.Open(t)
	putDelivery(t, s, delivery("c", "old", siteA, T0.Add(time.Hour)))
	putDelivery(t, s, delivery("c", "gone", siteA, T0.Add(2*time.Hour)))
	gone, early, other := delivery("c", "gone", siteA, time.Time{}), delivery("c", "early", siteA, T0), delivery("d", "other", siteA, T0)
	want := map[relay.Destination][]relay.DueItem{
		destA:                              {{EventID: "early", DueAt: T0}, {EventID: "old", DueAt: T0.Add(time.Hour)}},
		dest("d", "https://a.example:443"): {{EventID: "other", DueAt: T0}},
	}
	change := func(tx relay.Tx) error {
		return all(tx.PutDelivery(gone), tx.PutDelivery(early), tx.PutDelivery(other))
	}
	before := map[relay.Destination][]relay.DueItem{
		destA: {{EventID: "old", DueAt: T0.Add(time.Hour)}, {EventID: "gone", DueAt: T0.Add(2 * time.Hour)}},
	}
	wantDue(t, s, before)
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		wantEqual(t, "due index inside", queues(t, tx), want)
		return errRefused
	})
	wantIs(t, "Update", err, errRefused)
	wantDue(t, s, before) // what failed left no trace
	update(t, s, change)
	wantDue(t, s, want)
}

func testDueReopen(t *testing.T, b Backend) {
	s := b.Open(t)
	want := map[relay.Destination][]relay.DueItem{}
	for i := range 20 {
		client, id, at := fmt.Sprint("client", i%3), fmt.Sprint("e", i), T0.Add(time.Duration(i)*time.Second)
		d := delivery(client, id, siteA, at)
		putDelivery(t, s, d)
		want[d.Destination()] = append(want[d.Destination()], relay.DueItem{EventID: id, DueAt: at})
	}
	s = b.Reopen(t, s)
	wantDue(t, s, want)
}

// A queue is worked off from its head and filled again, while it is read.
func testDueDrains(t *testing.T, b Backend) {
	s := b.Open(t)
	rng := rand.New(rand.NewPCG(1, 2))
	model := map[string]*relay.Delivery{}
	for step := range 400 {
		id := fmt.Sprint("e", rng.IntN(30))
		d := delivery(fmt.Sprint("c", rng.IntN(2)), id, siteA, time.Time{})
		if old := model[id]; old != nil {
			d.ClientID = old.ClientID
		}
		if rng.IntN(3) > 0 {
			d.DueAt = T0.Add(time.Duration(rng.IntN(1000)) * time.Second)
		}
		err := s.Update(t.Context(), func(tx relay.Tx) error {
			if err := tx.PutDelivery(d); err != nil || step%5 > 0 {
				return err
			}
			return errRefused
		})
		if err == nil {
			model[id] = d
		}
		want := map[relay.Destination][]relay.DueItem{}
		for _, d := range model {
			if !d.DueAt.IsZero() {
				want[d.Destination()] = append(want[d.Destination()], relay.DueItem{EventID: d.EventID, DueAt: d.DueAt})
			}
		}
		view(t, s, func(rd relay.Reader) error {
			got := queues(t, rd)
			for d := range want {
				sortItems(want[d])
				sortItems(got[d])
			}
			wantEqual(t, fmt.Sprint("due index after step ", step), got, want)
			return nil
		})
		if t.Failed() {
			return
		}
	}
}

func sortItems(items []relay.DueItem) {
	slices.SortFunc(items, func(a, b relay.DueItem) int {
		if c := a.DueAt.Compare(b.DueAt); c != 0 {
			return c
		}
		return len(a.EventID)*1000 - len(b.EventID)*1000 + int(a.EventID[len(a.EventID)-1]) - int(b.EventID[len(b.EventID)-1])
	})
}

// Readers beside writers always see an index that fits the deliveries of
// their own snapshot.
func testDueBesideWriters(t *testing.T, b Backend) {
	s := b.Open(t)
	var writers, readers sync.WaitGroup
	stop := make(chan struct{})
	for w := range 4 {
		writers.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 7))
			for range 150 {
				d := delivery("c", fmt.Sprint("e", w, "_", rng.IntN(6)), siteA, time.Time{})
				if rng.IntN(2) > 0 {
					d.DueAt = T0.Add(time.Duration(rng.IntN(100)) * time.Second)
				}
				if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutDelivery(d) }); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	check := func(rd relay.Reader) error {
		want := 0
		for w := range 4 {
			for i := range 6 {
				if d, err := rd.Delivery(fmt.Sprint("e", w, "_", i)); err == nil && !d.DueAt.IsZero() {
					want++
				}
			}
		}
		if got := len(queues(t, rd)[destA]); got != want {
			t.Errorf("due index: got %d entries, want %d", got, want)
		}
		return nil
	}
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					view(t, s, check)
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
	view(t, s, check)
}
