package badgerstore

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// waitingStore holds n waiting deliveries with their events, spread over 50
// destinations.
func waitingStore(b *testing.B, n int) *Store {
	b.Helper()
	s := mustOpen(b, Options{Path: b.TempDir(), Floor: 1})
	body := make([]byte, 300)
	for i := 0; i < n; {
		err := s.Update(b.Context(), func(tx relay.Tx) error {
			for end := min(n, i+400); i < end; i++ {
				id := fmt.Sprintf("evt_%027d", i)
				at := storetest.T0.Add(time.Duration(i) * time.Millisecond)
				e := relay.Event{ID: id, ClientID: "client0123456789", Type: relay.EventOrderPaid, CreatedAt: at, Body: body}
				d := relay.Delivery{
					EventID: id, ClientID: e.ClientID, URL: fmt.Sprintf("https://shop%d.example/notify", i%50), Format: relay.NotifyStandard,
					Status: relay.DeliveryPending, CallbackAt: at, DueAt: at, Schedule: []time.Duration{time.Minute, time.Hour},
				}
				if err := tx.AddEvent(&e); err != nil {
					return err
				}
				if err := tx.PutDelivery(&d); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return s
}

// BenchmarkDue measures finding due work beside ever more that waits: an
// empty tick, a tick that takes 100, and taking 100 and putting them back.
// The ratios to waiting=10000 count.
func BenchmarkDue(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		if n > 10_000 && testing.Short() {
			continue
		}
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			s := waitingStore(b, n)
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.Run("empty tick", func(b *testing.B) {
				for b.Loop() {
					tick(b, s)
				}
			})
			b.Run("100 due", func(b *testing.B) {
				take(b, s, 100) // the first look fills the heads
				for b.Loop() {
					take(b, s, 100)
				}
			})
			b.Run("take and put back 100", func(b *testing.B) {
				for b.Loop() {
					putBack(b, s, take(b, s, 100))
				}
				b.ReportMetric((float64(after.HeapInuse)-float64(before.HeapInuse))/float64(n), "heap-B/waiting")
			})
			b.Run("open", func(b *testing.B) { benchmarkOpen(b, s) })
		})
	}
}

// tick looks at all destinations, as a runner does when nothing is due.
func tick(b *testing.B, s *Store) {
	b.Helper()
	err := s.View(b.Context(), func(r relay.Reader) error {
		return r.Destinations(func(relay.Destination, time.Time) bool { return true })
	})
	if err != nil {
		b.Fatal(err)
	}
}

// take lists the first n due items over all destinations.
func take(b *testing.B, s *Store, n int) (items []relay.DueItem) {
	b.Helper()
	err := s.View(b.Context(), func(r relay.Reader) error {
		var dests []relay.Destination
		if err := r.Destinations(func(d relay.Destination, _ time.Time) bool {
			dests = append(dests, d)
			return true
		}); err != nil {
			return err
		}
		for _, d := range dests {
			due, err := r.Due(d, n/len(dests)+1)
			if err != nil {
				return err
			}
			items = append(items, due...)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return items
}

// putBack records an attempt of each and moves it behind all others.
func putBack(b *testing.B, s *Store, items []relay.DueItem) {
	b.Helper()
	err := s.Update(b.Context(), func(tx relay.Tx) error {
		for _, it := range items {
			d, err := tx.Delivery(it.EventID)
			if err != nil {
				return err
			}
			d.Attempts++
			d.DueAt = d.DueAt.Add(1000 * time.Hour)
			if err := tx.PutDelivery(&d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchmarkOpen measures the start after a clean stop and after a kill, until
// the first due work is found.
func benchmarkOpen(b *testing.B, s *Store) {
	// Nothing must change while the directory is copied.
	if err := s.db.Flatten(1); err != nil {
		b.Fatal(err)
	}
	killed := crashed(b, s)
	for _, c := range []struct{ name, dir string }{{"after a kill", killed}, {"after a clean stop", killed}} {
		b.Run(c.name, func(b *testing.B) {
			began := time.Now()
			again, err := Open(Options{Path: c.dir, Floor: 1})
			if err != nil {
				b.Fatal(err)
			}
			take(b, again, 100)
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/start")
			if err := again.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
