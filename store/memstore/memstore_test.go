package memstore_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
	"github.com/wxrelay/wxrelay/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{
		Open: func(*testing.T) relay.Store { return memstore.New() },
		Reopen: func(t *testing.T, s relay.Store) relay.Store {
			t.Helper()
			m := s.(*memstore.Store)
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			m.Reopen()
			return m
		},
	})
}

// A bubble ends only when nothing of the store's is left running, and its
// clock moves only when nothing of the store's runs.
func TestVirtualTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		began := time.Now()
		tick := time.NewTicker(time.Minute)
		defer tick.Stop()
		for range 3 {
			now := <-tick.C
			d := &relay.Delivery{EventID: "e", ClientID: "c", URL: "https://a.example/", DueAt: now}
			if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutDelivery(d) }); err != nil {
				t.Fatal(err)
			}
		}
		err := s.View(t.Context(), func(r relay.Reader) error {
			return r.Destinations(func(_ relay.Destination, at time.Time) bool {
				if want := began.Add(3 * time.Minute); !at.Equal(want) {
					t.Errorf("due: got %v, want %v", at, want)
				}
				return true
			})
		})
		if err != nil {
			t.Error(err)
		}
	})
}
