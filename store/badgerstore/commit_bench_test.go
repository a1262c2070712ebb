package badgerstore

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// BenchmarkCommit compares the grouped commit with Badger's own, one durable
// transaction for each caller, at the same options and with rows of the same
// size: three for each commit, some 650 bytes. Only ratios within one run
// count.
func BenchmarkCommit(b *testing.B) {
	for _, callers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("grouped/callers=%d", callers), func(b *testing.B) {
			var groups, requests atomic.Int64
			s := mustOpen(b, Options{Path: b.TempDir(), Hooks: Hooks{Committed: func(n int, _ time.Duration) {
				groups.Add(1)
				requests.Add(int64(n))
			}}})
			perCaller(b, callers, func(n int64) error {
				p, e, a := threeRecords(n)
				return s.Update(b.Context(), func(tx relay.Tx) error {
					if err := tx.PutPayment(p); err != nil {
						return err
					}
					if err := tx.PutEvidence(e); err != nil {
						return err
					}
					return tx.AddAttempt(a)
				})
			})
			b.ReportMetric(float64(requests.Load())/float64(groups.Load()), "commits/group")
		})
		b.Run(fmt.Sprintf("each/callers=%d", callers), func(b *testing.B) {
			o := Options{Path: b.TempDir()}.withDefaults()
			db, err := badger.Open(o.badger(nil))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = db.Close() })
			row := make([]byte, 200)
			perCaller(b, callers, func(n int64) error {
				return db.Update(func(txn *badger.Txn) error {
					for _, k := range []string{"p", "v", "a"} {
						if err := txn.Set(fmt.Appendf(nil, "%s-merchant-%020d", k, n), row); err != nil {
							return err
						}
					}
					return nil
				})
			})
		})
	}
}

func threeRecords(n int64) (*relay.Payment, *relay.Evidence, *relay.Attempt) {
	k := relay.PaymentKey{MchID: "1900000001", OutTradeNo: fmt.Sprintf("%020d", n)}
	at := storetest.T0
	return &relay.Payment{
			PaymentKey: k, TradeType: relay.TradeNative, AppID: "wx0123456789abcdef", AmountFen: 100,
			Description: "a description of usual length", NotifyURL: "https://pay.example/notify", Status: relay.PaymentPaid,
			CreatedAt: at, ExpiresAt: at,
		}, &relay.Evidence{Payment: k, ID: "EV-2018022511223320873", Source: "notification", ReceivedAt: at, Plaintext: make([]byte, 130)},
		&relay.Attempt{EventID: k.OutTradeNo, Number: 1, StartedAt: at, Duration: time.Second, HTTPStatus: 200, Answer: make([]byte, 150)}
}

// perCaller spreads b.N calls over the callers.
func perCaller(b *testing.B, callers int, call func(n int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				if err := call(n); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
