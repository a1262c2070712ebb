package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// loopbackReceivers answers on every loopback address; it returns the port.
func loopbackReceivers(b *testing.B) int {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &http.Server{
		ReadHeaderTimeout: time.Minute,
		Handler:           http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }),
	}
	go func() { _ = s.Serve(l) }()
	b.Cleanup(func() { _ = s.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func receiverAddress(i, port int) string {
	return fmt.Sprintf("http://127.1.%d.%d:%d/notify", i/250, i%250+1, port)
}

var benchNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// BenchmarkDeliver is P8: deliveries from the store to committed results over
// loopback, with the bare guarded client beside it.
func BenchmarkDeliver(b *testing.B) {
	for _, hosts := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("hosts=%d/bare", hosts), func(b *testing.B) { benchmarkBare(b, hosts) })
		b.Run(fmt.Sprintf("hosts=%d/dispatcher", hosts), func(b *testing.B) { benchmarkDispatcher(b, hosts) })
	}
}

func benchmarkBare(b *testing.B, hosts int) {
	port := loopbackReceivers(b)
	client := safehttp.New(safehttp.Options{Allow: benchNetworks})
	defer client.Close()
	body := bytes.Repeat([]byte("x"), 500)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range 64 {
		wg.Go(func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					return
				}
				req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, receiverAddress(int(i)%hosts, port), bytes.NewReader(body))
				if err == nil {
					_, err = client.Do(b.Context(), req)
				}
				if err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchmarkDispatcher(b *testing.B, hosts int) {
	port := loopbackReceivers(b)
	client := safehttp.New(safehttp.Options{Allow: benchNetworks})
	defer client.Close()
	runDispatcher(b, hosts, func(i int) string { return receiverAddress(i, port) }, relay.NewSender(client))
}

func runDispatcher(b *testing.B, hosts int, address func(i int) string, sender relay.Sender) {
	store := memstore.New()
	fillDeliveries(b, store, b.N, func(i int) string { return address(i % hosts) })
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	dsp := relay.NewDispatcher(relay.DispatcherOptions{
		Store: store, Sender: sender, Logger: slog.New(slog.DiscardHandler),
		Settings: func(string) (relay.DeliverySettings, bool) {
			return relay.DeliverySettings{NotifySecrets: []relay.Secret{relay.NewSecret("abcdef0123456789ABCDEF0123456789")}}, true
		},
		Observe: relay.DispatchObserver{Attempt: func(r relay.DispatchReport) {
			if r.Outcome != relay.DispatchDelivered {
				b.Errorf("not delivered: %s", r.Failure)
			}
			if left.Add(-1) == 0 {
				close(done)
			}
		}},
	})
	b.ReportAllocs()
	b.ResetTimer()
	dsp.Start()
	<-done
	b.StopTimer()
	if err := dsp.Stop(context.WithoutCancel(b.Context())); err != nil {
		b.Error(err)
	}
}

// BenchmarkDispatch is the dispatcher's own work for one delivery: what is
// left of BenchmarkDeliver without HTTP.
func BenchmarkDispatch(b *testing.B) {
	for _, hosts := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("hosts=%d", hosts), func(b *testing.B) {
			runDispatcher(b, hosts, func(i int) string { return receiverAddress(i, 80) }, instantSender{})
		})
	}
}

type instantSender struct{}

func (instantSender) Send(context.Context, *http.Request, []netip.Prefix) (safehttp.Result, error) {
	return safehttp.Result{Status: 200}, nil
}

func fillDeliveries(b *testing.B, store relay.Store, n int, address func(i int) string) {
	b.Helper()
	now := time.Now().UTC()
	for first := 0; first < n; first += 1000 {
		err := store.Update(b.Context(), func(tx relay.Tx) error {
			for i := first; i < min(first+1000, n); i++ {
				e := relay.Event{
					ID: fmt.Sprintf("evt_%09d", i), ClientID: dispatchClient, Type: relay.EventOrderPaid, OrderNo: "A000000001",
					CreatedAt: now, Body: bytes.Repeat([]byte("x"), 500),
				}
				d := relay.NewDelivery(&e, address(i), relay.NotifyStandard, relay.DefaultSchedule(), now)
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
}

// BenchmarkWake is the cost of telling the dispatcher of work due later, with
// many destinations waiting (P7).
func BenchmarkWake(b *testing.B) {
	for _, destinations := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprintf("destinations=%d", destinations), func(b *testing.B) {
			dsp := relay.NewDispatcher(relay.DispatcherOptions{
				Store: memstore.New(), Sender: newReceiver(always(reply{status: 200})), Logger: slog.New(slog.DiscardHandler),
				Settings: func(string) (relay.DeliverySettings, bool) { return relay.DeliverySettings{}, false },
			})
			origins := make([]relay.Destination, destinations)
			due := time.Now().Add(24 * time.Hour)
			for i := range origins {
				origins[i] = relay.Destination{ClientID: dispatchClient, Origin: fmt.Sprintf("https://h%d.example:443", i)}
				dsp.Wake(origins[i], due.Add(time.Duration(i)*time.Millisecond))
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				dsp.Wake(origins[i%destinations], due.Add(-time.Duration(i)*time.Microsecond))
				i++
			}
		})
	}
}
