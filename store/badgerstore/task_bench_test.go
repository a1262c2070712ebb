package badgerstore

import (
	"fmt"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// askingStore holds n payments that WeChat is to be asked about, a
// millisecond after one another.
func askingStore(b *testing.B, n int) *Store {
	b.Helper()
	s := mustOpen(b, Options{Path: b.TempDir(), Floor: 1})
	for i := 0; i < n; {
		err := s.Update(b.Context(), func(tx relay.Tx) error {
			for end := min(n, i+800); i < end; i++ {
				p := askedPayment(i)
				if err := tx.PutPayment(&p); err != nil {
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

func askedPayment(i int) relay.Payment {
	return relay.Payment{
		PaymentKey: relay.PaymentKey{MchID: "1900000109", OutTradeNo: fmt.Sprintf("%032d", i)},
		Order:      relay.OrderKey{ClientID: "client0123456789", OrderNo: fmt.Sprint(i)},
		TradeType:  relay.TradeNative, AmountFen: 100, Status: relay.PaymentPending, Description: "a book",
		AskAt: storetest.T0.Add(time.Duration(i) * time.Millisecond),
	}
}

// BenchmarkTasks measures finding due work beside ever more that waits: an
// empty tick, a tick that finds 100, and asking 100 and putting them behind
// the others, which leaves 100 removed entries at the front each time. The
// ratios to waiting=10000 count.
func BenchmarkTasks(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		if n > 10_000 && testing.Short() {
			continue
		}
		b.Run(fmt.Sprintf("waiting=%d", n), func(b *testing.B) {
			s := askingStore(b, n)
			b.Run("empty tick", func(b *testing.B) {
				for b.Loop() {
					takeTasks(b, s, storetest.T0.Add(-1), 0)
				}
			})
			b.Run("100 due", func(b *testing.B) {
				for b.Loop() {
					takeTasks(b, s, storetest.T0.Add(1000*time.Hour), 100)
				}
			})
			b.Run("ask 100", func(b *testing.B) {
				for b.Loop() {
					askAgain(b, s, takeTasks(b, s, storetest.T0.Add(1e6*time.Hour), 100))
				}
			})
			b.Run("empty tick behind removed", func(b *testing.B) {
				for b.Loop() {
					takeTasks(b, s, storetest.T0.Add(-1), 0)
				}
			})
		})
	}
}

func takeTasks(b *testing.B, s *Store, until time.Time, want int) (tasks []relay.Task) {
	b.Helper()
	err := s.View(b.Context(), func(r relay.Reader) (err error) {
		tasks, err = r.Tasks(relay.TaskAskPayment, until, 100)
		return err
	})
	if err != nil || len(tasks) != want {
		b.Fatalf("got %d tasks, %v, want %d", len(tasks), err, want)
	}
	return tasks
}

// askAgain moves tasks behind all others.
func askAgain(b *testing.B, s *Store, tasks []relay.Task) {
	b.Helper()
	err := s.Update(b.Context(), func(tx relay.Tx) error {
		for _, task := range tasks {
			p, err := tx.Payment(relay.PaymentKey{MchID: task.MchID, OutTradeNo: task.Number})
			if err != nil {
				return err
			}
			p.Asks++
			p.AskAt = p.AskAt.Add(1000 * time.Hour)
			if err := tx.PutPayment(&p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}
