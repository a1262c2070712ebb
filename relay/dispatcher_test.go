package relay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
)

// F23: every attempt fails, so the first and thirteen more are made, each at
// its time, with the same bytes.
func TestDispatcher_F23_AllFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 500, body: strings.Repeat("x", 2000)}))
		w.start()
		defer w.stop()
		begin := time.Now()
		w.tell("evt_1", "shop.example")
		pass(72 * time.Hour)

		calls := w.receiver.of("evt_1")
		wantOffsets(t, calls, begin, append([]time.Duration{0}, relay.DefaultSchedule()...))
		d := w.delivery("evt_1")
		if d.Status != relay.DeliveryExhausted || !d.NextAt().IsZero() || d.Attempts != 14 || d.Tries != 14 {
			t.Errorf("delivery = %+v, want exhausted after 14", d)
		}
		rows := w.attempts("evt_1")
		if len(rows) != 14 {
			t.Fatalf("%d attempt rows, want 14", len(rows))
		}
		signatures := make(map[string]bool)
		for i, row := range rows {
			if row.Number != i+1 || row.Manual || row.HTTPStatus != 500 || row.Failure != "status 500" || len(row.Answer) != 1024 {
				t.Errorf("attempt %d = %+v with %d bytes, want number, status 500, 1 KiB", i+1, row, len(row.Answer))
			}
			if calls[i].body != calls[0].body || calls[i].body == "" {
				t.Errorf("attempt %d sent %q, want the bytes of the first", i+1, calls[i].body)
			}
			signatures[calls[i].signature] = true
		}
		if len(signatures) != len(rows) {
			t.Errorf("%d distinct signatures, want %d: each covers its own timestamp", len(signatures), len(rows))
		}
	})
}

// F23: success at attempt k stops the chain there.
func TestDispatcher_F23_SuccessAt(t *testing.T) {
	for k := range 14 {
		t.Run(fmt.Sprint(k), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(n int, _ call) reply {
					if n < k {
						return reply{err: &safehttp.Error{Reason: safehttp.ReasonRefused}}
					}
					return reply{status: 204}
				})
				w.start()
				defer w.stop()
				w.tell("evt_1", "shop.example")
				pass(72 * time.Hour)
				if got := w.receiver.count(); got != k+1 {
					t.Errorf("%d attempts, want %d", got, k+1)
				}
				rows := w.attempts("evt_1")
				if d := w.delivery("evt_1"); d.Status != relay.DeliveryDelivered || !d.NextAt().IsZero() || len(rows) != k+1 {
					t.Errorf("delivery = %+v with %d rows, want delivered with %d", d, len(rows), k+1)
				}
				if k > 0 && rows[0].Failure != "refused" {
					t.Errorf("failure = %q, want refused", rows[0].Failure)
				}
			})
		})
	}
}

// A receiver that hangs pushes what follows by the gap rule, never early and
// never two at once.
func TestDispatcher_F32_HangingReceiverKeepsGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{after: time.Hour}))
		w.start()
		defer w.stop()
		begin := time.Now()
		w.tell("evt_1", "shop.example")
		pass(30 * time.Hour)
		calls := w.receiver.of("evt_1")
		if len(calls) != 14 {
			t.Fatalf("%d attempts, want 14", len(calls))
		}
		for i, c := range calls[1:] {
			if c.start.Before(begin.Add(relay.DefaultSchedule()[i])) {
				t.Errorf("attempt %d at %v, before its time", i+1, c.start.Sub(begin))
			}
			if gap := c.start.Sub(calls[i].end); gap < time.Minute {
				t.Errorf("attempt %d began %v after the one before, want a minute at least", i+1, gap)
			}
		}
		if took := calls[0].end.Sub(calls[0].start); took > 10*time.Second {
			t.Errorf("an attempt took %v, want at most 10s", took)
		}
		w.noOverlap()
	})
}

// 410 ends the chain; Retry-After delays within the schedule (F31, G07).
func TestDispatcher_F31_GoneAndRetryAfter(t *testing.T) {
	tests := []struct {
		name   string
		first  reply
		want   []time.Duration
		status relay.DeliveryStatus
	}{
		{"gone", reply{status: 410}, []time.Duration{0}, relay.DeliveryCancelled},
		{"retry after 90 s", reply{status: 429, retryAfter: "90"}, []time.Duration{0, 90 * time.Second}, relay.DeliveryDelivered},
		{"retry after 1 s is not early", reply{status: 503, retryAfter: "1"}, []time.Duration{0, time.Minute}, relay.DeliveryDelivered},
		{"retry after a day is cut", reply{status: 503, retryAfter: "86400"}, []time.Duration{0, 2 * time.Minute}, relay.DeliveryDelivered},
		{"redirect", reply{status: 302}, []time.Duration{0, time.Minute}, relay.DeliveryDelivered},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(n int, _ call) reply {
					if n == 0 {
						return tt.first
					}
					return reply{status: 200}
				})
				w.start()
				defer w.stop()
				begin := time.Now()
				w.tell("evt_1", "shop.example")
				pass(48 * time.Hour)
				wantOffsets(t, w.receiver.of("evt_1"), begin, tt.want)
				if d := w.delivery("evt_1"); d.Status != tt.status {
					t.Errorf("status = %s, want %s", d.Status, tt.status)
				}
			})
		})
	}
}

// F38: while a client is disabled its deliveries wait, unspent, and nobody
// spins; when it is back all attempts are made.
func TestDispatcher_F38_DisabledClientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 500}))
		var mu sync.Mutex
		enabled, asked := false, 0
		settings := w.options.Settings
		w.options.Settings = func(id string) (relay.DeliverySettings, bool) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			s, _ := settings(id)
			return s, enabled
		}
		w.start()
		defer w.stop()
		for i := range 100 {
			w.tell(fmt.Sprint("evt_", i), "shop.example")
		}
		pass(10 * time.Hour)
		mu.Lock()
		// Once a minute, and once more for each of the few in the slots.
		if asked > 3*10*60 {
			t.Errorf("settings asked %d times in 10 h, want about once a minute", asked)
		}
		enabled = true
		mu.Unlock()
		if got := w.receiver.count(); got != 0 {
			t.Errorf("%d attempts to a disabled client", got)
		}
		if w.troubled(relay.DispatchSettingsTrouble) == 0 {
			t.Error("the disabled client was not reported")
		}
		w.dsp.SettingsChanged()
		synctest.Wait()
		if got := w.receiver.count(); got == 0 {
			t.Error("no attempt right after the client was enabled")
		}
		pass(30 * time.Hour)
		for i := range 100 {
			id := fmt.Sprint("evt_", i)
			if d := w.delivery(id); d.Status != relay.DeliveryExhausted || d.Attempts != 14 {
				t.Fatalf("%s = %+v, want exhausted after 14", id, d)
			}
		}
	})
}

// F38: a chain whose address was edited moves to the new destination.
func TestDispatcher_F38_EditedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ int, c call) reply {
			if c.host == "old.example" {
				return reply{status: 500}
			}
			return reply{status: 200}
		})
		w.start()
		defer w.stop()
		w.tell("evt_1", "old.example")
		pass(30 * time.Second)
		w.update(func(tx relay.Tx) error {
			d, err := tx.Delivery("evt_1")
			if err != nil {
				return err
			}
			d.URL = "https://new.example/notify"
			return tx.PutDelivery(&d)
		})
		pass(2 * time.Minute) // nobody woke the dispatcher: the minute's look finds it
		calls := w.receiver.of("evt_1")
		if len(calls) != 2 || calls[1].host != "new.example" {
			t.Errorf("calls = %+v, want a second one at new.example", calls)
		}
	})
}

// F38: a cancelled chain is not attempted again: neither the one under way,
// nor one that was read ahead already.
func TestDispatcher_F38_Cancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 500, after: 5 * time.Second}))
		var last relay.Delivery
		for i := range 4 {
			last = w.commit(fmt.Sprint("evt_", i), "shop.example")
		}
		w.start()
		defer w.stop()
		w.dsp.Wake(last.Destination(), last.NextAt())
		pass(time.Second) // two are under way, two wait
		w.update(func(tx relay.Tx) error {
			for _, id := range []string{"evt_0", "evt_2"} {
				if err := cancelDelivery(tx, id); err != nil {
					return err
				}
			}
			return nil
		})
		pass(48 * time.Hour)
		for i, want := range []int{1, 14, 0, 14} {
			id := fmt.Sprint("evt_", i)
			if got := len(w.receiver.of(id)); got != want || len(w.attempts(id)) != want || w.delivery(id).Tries != want {
				t.Errorf("%s: %d attempts, %d recorded, want %d", id, got, len(w.attempts(id)), want)
			}
		}
		if d := w.delivery("evt_0"); d.Status != relay.DeliveryCancelled {
			t.Errorf("delivery = %+v, want cancelled", d)
		}
	})
}

// F39: 100 parallel wishes race the automatic attempt; never two at once, and
// the thirteen stay thirteen.
func TestDispatcher_F39_ManualRacesAutomatic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 500, after: 2 * time.Second}))
		w.start()
		defer w.stop()
		w.tell("evt_1", "shop.example")
		var wg sync.WaitGroup
		for i := range 100 {
			wg.Go(func() {
				<-time.After(time.Duration(i*97) * time.Millisecond)
				w.request("evt_1")
			})
		}
		wg.Wait()
		pass(48 * time.Hour)
		w.noOverlap()
		manual, scheduled := 0, 0
		for i, row := range w.attempts("evt_1") {
			if row.Number != i+1 {
				t.Errorf("attempt row %d has number %d", i, row.Number)
			}
			if row.Manual {
				manual++
			} else {
				scheduled++
			}
		}
		if scheduled != 14 || manual == 0 || manual > 10 {
			t.Errorf("%d scheduled and %d manual attempts, want 14 and 1..10", scheduled, manual)
		}
		if d := w.delivery("evt_1"); d.Status != relay.DeliveryExhausted || d.Attempts != 14 || d.Tries != 14+manual {
			t.Errorf("delivery = %+v", d)
		}
	})
}

// Sending by hand works whatever became of the chain; success ends it.
func TestDispatcher_F39_ManualInEachState(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*relay.Delivery)
		answer  int
		want    relay.DeliveryStatus
		calls   int
	}{
		{"exhausted, fails", func(d *relay.Delivery) { d.Status, d.DueAt = relay.DeliveryExhausted, time.Time{} }, 500, relay.DeliveryExhausted, 1},
		{"exhausted, succeeds", func(d *relay.Delivery) { d.Status, d.DueAt = relay.DeliveryExhausted, time.Time{} }, 200, relay.DeliveryDelivered, 1},
		{"cancelled, succeeds", func(d *relay.Delivery) { d.Status, d.DueAt = relay.DeliveryCancelled, time.Time{} }, 200, relay.DeliveryDelivered, 1},
		{"delivered, fails", func(d *relay.Delivery) { d.Status, d.DueAt = relay.DeliveryDelivered, time.Time{} }, 500, relay.DeliveryDelivered, 1},
		{"delivered, gone", func(d *relay.Delivery) { d.Status, d.DueAt = relay.DeliveryDelivered, time.Time{} }, 410, relay.DeliveryDelivered, 1},
		{"pending, succeeds", func(d *relay.Delivery) { d.Attempts, d.DueAt = 1, d.DueAt.Add(time.Hour) }, 200, relay.DeliveryDelivered, 1},
		{"pending, gone", func(d *relay.Delivery) { d.Attempts, d.DueAt = 1, d.DueAt.Add(time.Hour) }, 410, relay.DeliveryCancelled, 1},
		{"pending, fails", func(d *relay.Delivery) { d.Attempts, d.DueAt = 13, d.DueAt.Add(time.Hour) }, 500, relay.DeliveryExhausted, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(reply{status: tt.answer}))
				w.start()
				defer w.stop()
				w.tell("evt_1", "shop.example", tt.prepare)
				pass(time.Minute)
				if n := w.receiver.count(); n != 0 {
					t.Fatalf("%d attempts before anybody asked", n)
				}
				w.request("evt_1")
				synctest.Wait()
				rows := w.attempts("evt_1")
				if len(rows) != 1 || !rows[0].Manual {
					t.Fatalf("attempts = %+v, want one by hand at once", rows)
				}
				pass(24 * time.Hour)
				d := w.delivery("evt_1")
				if d.Status != tt.want || w.receiver.count() != tt.calls || !d.ManualDueAt.IsZero() {
					t.Errorf("%+v after %d calls, want %s after %d", d, w.receiver.count(), tt.want, tt.calls)
				}
			})
		})
	}
}

// F51: a panic inside an attempt is ours. The client loses no attempt.
func TestDispatcher_F51_Panic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		w := newWorld(t, func(n int, c call) reply {
			return reply{status: 200, panics: n < 3 && c.id == "evt_1"}
		})
		w.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.start()
		w.tell("evt_1", "shop.example")
		w.tell("evt_2", "shop.example")
		synctest.Wait()
		if d := w.delivery("evt_2"); d.Status != relay.DeliveryDelivered {
			t.Errorf("the other delivery is %s, want delivered", d.Status)
		}
		pass(10 * time.Minute)
		w.stop()
		if d := w.delivery("evt_1"); d.Status != relay.DeliveryDelivered || d.Tries != 1 || len(w.attempts("evt_1")) != 1 {
			t.Errorf("delivery = %+v, want delivered at its first counted attempt", d)
		}
		if got := w.troubled(relay.DispatchPanicTrouble); got != 3 {
			t.Errorf("%d panics reported, want 3", got)
		}
		if strings.Contains(log.String(), "secret words") || !strings.Contains(log.String(), "panicked") {
			t.Errorf("log = %s, want the panic without its words", log.String())
		}
	})
}

// F34: a site that dies after it has processed gets the same id and bytes.
func TestDispatcher_F34_SameBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(n int, _ call) reply {
			if n == 0 {
				return reply{err: &safehttp.Error{Reason: safehttp.ReasonReset, Err: errors.New("1.2.3.4: reset")}}
			}
			return reply{status: 200}
		})
		w.start()
		defer w.stop()
		w.tell("evt_1", "shop.example")
		pass(2 * time.Minute)
		calls := w.receiver.of("evt_1")
		if len(calls) != 2 || calls[0].body != calls[1].body || calls[0].signature == calls[1].signature {
			t.Errorf("calls = %+v, want two with equal bytes and their own signatures", calls)
		}
		if rows := w.attempts("evt_1"); rows[0].Failure != "reset" {
			t.Errorf("failure = %q, want the reason alone", rows[0].Failure)
		}
	})
}

// Start and Stop, in every order.
func TestDispatcher_StartStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 200}))
		d := relay.NewDispatcher(w.options)
		if err := d.Stop(t.Context()); err != nil {
			t.Errorf("Stop before Start: %v", err)
		}
		d.Start()
		d.Wake(relay.Destination{}, time.Now())
		if err := d.Stop(t.Context()); err != nil {
			t.Errorf("second Stop: %v", err)
		}

		w.dsp = relay.NewDispatcher(w.options)
		w.tell("evt_1", "shop.example") // woken before Start
		w.dsp.Start()
		w.dsp.Start()
		synctest.Wait()
		if got := w.receiver.count(); got != 1 {
			t.Errorf("%d attempts, want 1", got)
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(w.stop)
		}
		wg.Wait()
		w.tell("evt_2", "shop.example")
		pass(time.Hour)
		if got := w.receiver.count(); got != 1 {
			t.Errorf("%d attempts after Stop, want none further", got)
		}
	})
}

// Stop waits for what is under way, and breaks it off when its patience
// ends; what was broken off is unrecorded and due for the next dispatcher.
func TestDispatcher_StopWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 200, after: 6 * time.Second}))
		w.start()
		w.tell("evt_1", "shop.example")
		synctest.Wait()
		w.stop()
		if d := w.delivery("evt_1"); d.Status != relay.DeliveryDelivered {
			t.Errorf("status = %s, want delivered: Stop waits", d.Status)
		}

		w.start()
		w.tell("evt_2", "shop.example")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := w.dsp.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop = %v, want its deadline", err)
		}
		if d := w.delivery("evt_2"); d.Tries != 0 || d.Status != relay.DeliveryPending {
			t.Errorf("delivery = %+v, want unrecorded", d)
		}
		w.start()
		pass(7 * time.Second)
		if d := w.delivery("evt_2"); d.Status != relay.DeliveryDelivered || d.Tries != 1 {
			t.Errorf("delivery = %+v, want delivered by the next dispatcher", d)
		}
		w.stop()
	})
}

// F50: goroutines do not pile up: at rest there is the loop alone, after Stop
// not even that. Not parallel: no other test's dispatcher runs beside it.
func TestDispatcher_F50_NoLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 200}))
		for round := range 20 {
			w.start()
			for i := range 250 {
				w.tell(fmt.Sprintf("evt_%d_%d", round, i), fmt.Sprintf("h%d.example", i%10))
			}
			synctest.Wait()
			wantGoroutines(t, "at rest", 1)
			w.stop()
			synctest.Wait()
			wantGoroutines(t, "after Stop", 0)
		}
		if got := w.receiver.count(); got != 5000 {
			t.Errorf("%d attempts, want 5000", got)
		}
	})
}

// wantGoroutines counts the goroutines that run a dispatcher's code.
func wantGoroutines(t *testing.T, when string, want int) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	got := 0
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "relay.(*Dispatcher).") {
			got++
		}
	}
	if got != want {
		t.Fatalf("%d goroutines of the dispatcher %s, want %d:\n%s", got, when, want, stacks)
	}
}
