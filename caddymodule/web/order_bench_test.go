package web_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/badgerstore"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// BenchmarkCreateOrder is path P5 of the budgets: signed request, durable
// order, answer, over loopback HTTP; generator and server share the cores.
func BenchmarkCreateOrder(b *testing.B) {
	b.Run("memstore", func(b *testing.B) { benchmarkCreateOrder(b, memstore.New()) })
	b.Run("badgerstore", func(b *testing.B) {
		store, err := badgerstore.Open(badgerstore.Options{Path: b.TempDir()})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := store.Close(); err != nil {
				b.Errorf("closing store: %v", err)
			}
		})
		benchmarkCreateOrder(b, store)
	})
}

func benchmarkCreateOrder(b *testing.B, store relay.Store) {
	b.Helper()
	w := newWorldOn(b, store, func(c *relay.Config) { c.Clients[0].Rate = 1e6 })
	w.browser.Transport = &http.Transport{MaxIdleConnsPerHost: 256}
	b.Cleanup(w.browser.CloseIdleConnections)
	var number atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w.createOrder(fmt.Sprintf("B%09d", number.Add(1)))
		}
	})
}
