package relay_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const dispatchClient = "1000000000000001"

// reply is what a fake receiver does with one request.
type reply struct {
	status     int
	body       string
	retryAfter string
	err        error
	after      time.Duration // how long it takes
	panics     bool
}

// call is one request as the fake receiver saw it.
type call struct {
	id        string
	host      string
	body      string
	signature string
	start     time.Time
	end       time.Time
}

// receiver plays every client's site. It notices when two requests for one
// event are under way at once.
type receiver struct {
	answer func(n int, c call) reply // n counts the requests for the event, from 0

	mu      sync.Mutex
	calls   map[string][]call
	under   map[string]int
	total   int
	overlap int
}

func newReceiver(answer func(n int, c call) reply) *receiver {
	return &receiver{answer: answer, calls: make(map[string][]call), under: make(map[string]int)}
}

func (r *receiver) Send(ctx context.Context, req *http.Request, _ []netip.Prefix) (safehttp.Result, error) {
	c := call{
		id: req.Header.Get("Webhook-Id"), host: req.URL.Host,
		signature: req.Header.Get("Webhook-Signature"), start: time.Now(),
	}
	if c.id == "" {
		c.id = req.URL.Query().Get("event_id")
	}
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return safehttp.Result{}, err
		}
		c.body = string(b)
	}
	r.mu.Lock()
	n := len(r.calls[c.id])
	r.under[c.id]++
	if r.under[c.id] > 1 {
		r.overlap++
	}
	r.calls[c.id] = append(r.calls[c.id], c)
	r.total++
	a := r.answer(n, c)
	r.mu.Unlock()

	err := a.err
	if a.after > 0 {
		timer := time.NewTimer(a.after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = &safehttp.Error{Reason: safehttp.ReasonTimeout, Err: ctx.Err()}
		}
	}
	r.mu.Lock()
	r.under[c.id]--
	r.calls[c.id][n].end = time.Now()
	r.mu.Unlock()
	if a.panics {
		panic("secret words")
	}
	if err != nil {
		return safehttp.Result{}, err
	}
	return safehttp.Result{Status: a.status, Body: []byte(a.body), RetryAfter: a.retryAfter}, nil
}

func (r *receiver) of(id string) []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls[id]...)
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

func always(a reply) func(int, call) reply {
	return func(int, call) reply { return a }
}

// world is a store with a dispatcher on it, which can be restarted.
type world struct {
	t        *testing.T
	store    relay.Store
	receiver *receiver
	options  relay.DispatcherOptions
	dsp      *relay.Dispatcher

	mu       sync.Mutex
	reports  []relay.DispatchReport
	troubles map[relay.DispatchTrouble]int
}

func newWorld(t *testing.T, answer func(int, call) reply) *world {
	t.Helper()
	w := &world{
		t: t, store: memstore.New(), receiver: newReceiver(answer),
		troubles: make(map[relay.DispatchTrouble]int),
	}
	w.options = relay.DispatcherOptions{
		Store: w.store, Sender: w.receiver,
		Settings: func(string) (relay.DeliverySettings, bool) {
			return relay.DeliverySettings{
				NotifySecrets: []relay.Secret{relay.NewSecret("abcdef0123456789ABCDEF0123456789")},
			}, true
		},
		Logger: slog.New(slog.DiscardHandler),
		Jitter: func() float64 { return 0 },
		Observe: relay.DispatchObserver{
			Attempt: func(r relay.DispatchReport) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.reports = append(w.reports, r)
			},
			Trouble: func(k relay.DispatchTrouble) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.troubles[k]++
			},
		},
	}
	return w
}

func (w *world) start() {
	w.t.Helper()
	w.dsp = relay.NewDispatcher(w.options)
	w.dsp.Start()
}

func (w *world) stop() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	if err := w.dsp.Stop(ctx); err != nil {
		w.t.Errorf("Stop: %v", err)
	}
}

// crash ends the dispatcher without letting attempts finish.
func (w *world) crash() {
	ctx, cancel := context.WithCancel(w.t.Context())
	cancel()
	_ = w.dsp.Stop(ctx)
}

func (w *world) update(fn func(relay.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.t.Context(), fn); err != nil {
		w.t.Fatalf("Update: %v", err)
	}
}

// tell commits one event for the host and wakes the dispatcher, as the settle
// path does.
func (w *world) tell(id, host string, edit ...func(*relay.Delivery)) relay.Delivery {
	w.t.Helper()
	d := w.commit(id, host, edit...)
	if w.dsp != nil {
		w.dsp.Wake(d.Destination(), d.NextAt())
	}
	return d
}

func (w *world) commit(id, host string, edit ...func(*relay.Delivery)) relay.Delivery {
	w.t.Helper()
	e := relay.Event{
		ID: id, ClientID: dispatchClient, Type: relay.EventOrderPaid, OrderNo: "A000000001", CreatedAt: w.now(),
		Body: fmt.Appendf(nil, `{"type":"order.paid","data":{"client_id":%q,"order_no":"A000000001","amount":1}}`, dispatchClient),
	}
	d := relay.NewDelivery(&e, "https://"+host+"/notify", relay.NotifyStandard, relay.DefaultSchedule(), w.now())
	for _, f := range edit {
		f(&d)
	}
	w.update(func(tx relay.Tx) error {
		if err := tx.AddEvent(&e); err != nil {
			return err
		}
		return tx.PutDelivery(&d)
	})
	return d
}

func (w *world) now() time.Time {
	if w.options.Now != nil {
		return w.options.Now().UTC()
	}
	return time.Now().UTC()
}

func (w *world) request(id string) {
	w.t.Helper()
	var d relay.Delivery
	w.update(func(tx relay.Tx) (err error) {
		d, err = relay.RequestDelivery(tx, id, w.now())
		return err
	})
	w.dsp.Wake(d.Destination(), d.NextAt())
}

func (w *world) delivery(id string) relay.Delivery {
	w.t.Helper()
	var d relay.Delivery
	if err := w.store.View(w.t.Context(), func(r relay.Reader) (err error) {
		d, err = r.Delivery(id)
		return err
	}); err != nil {
		w.t.Fatalf("Delivery(%q): %v", id, err)
	}
	return d
}

func (w *world) attempts(id string) []relay.Attempt {
	w.t.Helper()
	var rows []relay.Attempt
	if err := w.store.View(w.t.Context(), func(r relay.Reader) (err error) {
		rows, err = r.Attempts(id)
		return err
	}); err != nil {
		w.t.Fatalf("Attempts(%q): %v", id, err)
	}
	return rows
}

func (w *world) noOverlap() {
	w.t.Helper()
	w.receiver.mu.Lock()
	defer w.receiver.mu.Unlock()
	if w.receiver.overlap != 0 {
		w.t.Errorf("%d requests overlapped another one for the same event", w.receiver.overlap)
	}
}

func (w *world) troubled(k relay.DispatchTrouble) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.troubles[k]
}

// cancelDelivery ends a chain while the dispatcher works on it.
func cancelDelivery(tx relay.Tx, eventID string) error {
	d, err := tx.Delivery(eventID)
	if err != nil {
		return err
	}
	d.Status, d.DueAt, d.ManualDueAt = relay.DeliveryCancelled, time.Time{}, time.Time{}
	return tx.PutDelivery(&d)
}

// pass lets virtual time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantOffsets(t *testing.T, calls []call, from time.Time, want []time.Duration) {
	t.Helper()
	var got []time.Duration
	for _, c := range calls {
		got = append(got, c.start.Sub(from))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("attempts at %v, want %v", got, want)
	}
}
