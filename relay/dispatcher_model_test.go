package relay_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// checkChain holds what was seen of one event against the promises: never
// early, spaced by the gap rule, never two at once, thirteen after the first
// unless a success ended it, the same bytes.
func checkChain(t *testing.T, w *world, id string, from time.Time) {
	t.Helper()
	schedule := relay.DefaultSchedule()
	rows, calls := w.attempts(id), w.receiver.of(id)
	k, last := 0, time.Time{}
	for i, row := range rows {
		if row.Number != i+1 {
			t.Errorf("%s: row %d has number %d", id, i, row.Number)
		}
		if row.Manual {
			continue
		}
		if k > 0 {
			offset, distance := schedule[k-1], schedule[k-1]
			if k > 1 {
				distance -= schedule[k-2]
			}
			if row.StartedAt.Before(from.Add(offset)) {
				t.Errorf("%s: attempt %d at %v, before its %v", id, k, row.StartedAt.Sub(from), offset)
			}
			if gap := row.StartedAt.Sub(last); gap < min(distance, 5*time.Minute) {
				t.Errorf("%s: attempt %d only %v after the one before", id, k, gap)
			}
		}
		k, last = k+1, row.StartedAt.Add(row.Duration)
	}
	d := w.delivery(id)
	switch d.Status {
	case relay.DeliveryDelivered:
	case relay.DeliveryExhausted:
		if k != 14 {
			t.Errorf("%s: exhausted after %d attempts of the schedule, want 14", id, k)
		}
	default:
		t.Errorf("%s: still %s, %+v", id, d.Status, d)
	}
	if len(calls) < len(rows) {
		t.Errorf("%s: %d rows for %d requests", id, len(rows), len(calls))
	}
	for _, c := range calls {
		if c.body != calls[0].body {
			t.Errorf("%s: bytes changed between attempts", id)
		}
	}
}

// F23, F24, F34, F39: random histories of receivers that fail, hang and
// recover, of requests by hand, of clean stops and crashes with downtimes of
// a minute to three days.
func TestDispatcher_F24_RandomHistories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { randomHistory(t, rand.New(rand.NewPCG(seed, 24))) })
		})
	}
}

func randomHistory(t *testing.T, random *rand.Rand) {
	up := random.Float64() / 3
	w := newWorld(t, nil)
	answers := rand.New(rand.NewPCG(random.Uint64(), 2))
	w.receiver.answer = func(int, call) reply { // called under the receiver's mutex
		switch x := answers.Float64(); {
		case x < up:
			return reply{status: 200, after: time.Duration(answers.IntN(3000)) * time.Millisecond}
		case x < up+0.1:
			return reply{after: time.Hour}
		case x < up+0.2:
			return reply{status: 503, retryAfter: fmt.Sprint(answers.IntN(1000))}
		default:
			return reply{status: 500, after: time.Duration(answers.IntN(500)) * time.Millisecond}
		}
	}
	var mu sync.Mutex
	jitter := rand.New(rand.NewPCG(random.Uint64(), 1))
	w.options.Jitter = func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return jitter.Float64()
	}
	w.start()
	from := make(map[string]time.Time)
	for i := range 5 + random.IntN(10) {
		id := fmt.Sprint("evt_", i)
		from[id] = time.Now()
		w.tell(id, fmt.Sprintf("h%d.example", random.IntN(3)))
		if random.IntN(3) == 0 {
			pass(time.Duration(random.Int64N(int64(2 * time.Hour))))
		}
	}
	for range random.IntN(6) {
		pass(time.Duration(random.Int64N(int64(6 * time.Hour))))
		switch random.IntN(3) {
		case 0:
			w.stop()
			pass(time.Minute + time.Duration(random.Int64N(int64(72*time.Hour))))
			w.start()
		case 1:
			w.crash()
			pass(time.Duration(random.Int64N(int64(10 * time.Minute))))
			w.start()
		case 2:
			w.request(fmt.Sprint("evt_", random.IntN(len(from))))
		}
	}
	pass(100 * time.Hour)
	w.stop()
	w.noOverlap()
	for id, at := range from {
		checkChain(t, w, id, at)
	}
}

// F24: exact times after an outage. Thirteen are made in all, spaced by the
// gaps, and the chain is back on its schedule when that allows.
func TestDispatcher_F24_Downtime(t *testing.T) {
	m := time.Minute
	tests := []struct {
		name string
		up   time.Duration // before the outage
		down time.Duration
		want []time.Duration // after the event, from the first made after the outage
	}{
		{"short, nothing missed", 90 * time.Second, 20 * time.Second, []time.Duration{2 * m, 3 * m, 4 * m, 5 * m, 10 * m}},
		{
			"twenty minutes", 90 * time.Second, 20 * m,
			// Overdue at 21.5 min: at once, then by gaps, then on schedule.
			[]time.Duration{21*m + 30*time.Second, 22*m + 30*time.Second, 23*m + 30*time.Second, 24*m + 30*time.Second, 29*m + 30*time.Second, 34*m + 30*time.Second, 39*m + 30*time.Second, 60 * m},
		},
		{
			"three days", 90 * time.Second, 72 * 60 * m,
			func() []time.Duration {
				at := 90*time.Second + 72*60*m
				out := []time.Duration{at}
				for _, gap := range []time.Duration{m, m, m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m, 5 * m} {
					at += gap
					out = append(out, at)
				}
				return out
			}(),
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(reply{status: 500}))
				w.start()
				begin := time.Now()
				w.tell("evt_1", "shop.example")
				pass(tt.up)
				w.stop()
				before := w.receiver.count()
				pass(tt.down)
				w.start()
				pass(100 * time.Hour)
				w.stop()
				calls := w.receiver.of("evt_1")
				if len(calls) != 14 {
					t.Errorf("%d attempts in all, want 14", len(calls))
				}
				wantOffsets(t, calls[before:min(before+len(tt.want), len(calls))], begin, tt.want)
				checkChain(t, w, "evt_1", begin)
			})
		})
	}
}

// F24, F21: after downtime, and after a forward jump of the clock, the first
// attempts are spread, per destination, over half a minute.
func TestDispatcher_F24_CatchUpIsSpread(t *testing.T) {
	tests := []struct {
		name string
		late func(w *world, clock *skew)
	}{
		{"downtime", func(w *world, _ *skew) { pass(2 * time.Hour); w.start() }},
		{"clock jump", func(w *world, clock *skew) {
			w.start()
			pass(time.Second)
			clock.jump(2 * time.Hour)
			pass(59 * time.Second)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(reply{status: 200}))
				clock := &skew{}
				w.options.Now = clock.now
				random := rand.New(rand.NewPCG(1, 2))
				var mu sync.Mutex
				w.options.Jitter = func() float64 {
					mu.Lock()
					defer mu.Unlock()
					return random.Float64()
				}
				for i := range 200 {
					w.commit(fmt.Sprint("evt_", i), fmt.Sprintf("h%d.example", i), func(d *relay.Delivery) { d.DueAt = d.DueAt.Add(time.Hour) })
				}
				tt.late(w, clock)
				defer w.stop()
				begin := time.Now()
				pass(time.Minute)
				wantSpread(t, w, begin)
			})
		})
	}
}

func wantSpread(t *testing.T, w *world, begin time.Time) {
	t.Helper()
	perSecond := make(map[int]int)
	for i := range 200 {
		calls := w.receiver.of(fmt.Sprint("evt_", i))
		if len(calls) != 1 {
			t.Fatalf("%d attempts of %d, want 1", len(calls), i)
		}
		at := calls[0].start.Sub(begin)
		if at > 31*time.Second {
			t.Errorf("first attempt after %v, want within 30s", at)
		}
		perSecond[int(at/time.Second)]++
	}
	if len(perSecond) < 25 {
		t.Errorf("attempts fell into %d of 30 seconds, want them spread", len(perSecond))
	}
	for s, n := range perSecond {
		if n > 20 {
			t.Errorf("%d attempts in second %d, want them spread", n, s)
		}
	}
}

// skew is a wall clock that can be set.
type skew struct {
	mu     sync.Mutex
	offset time.Duration
}

func (s *skew) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.offset)
}

func (s *skew) jump(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offset += d
}

// F21: the wall clock is set back while a failing destination is paused for a
// moment. The pause is over when that moment is, not when the wall clock says
// so: what is committed afterwards is told soon.
func TestDispatcher_F21_PauseOutlastsNoJump(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, always(reply{status: 500}))
		clock := &skew{}
		w.options.Now = clock.now
		w.start()
		defer w.stop()
		for i := range 64 {
			w.tell(fmt.Sprint("evt_", i), "shop.example")
		}
		pass(5 * time.Second)
		clock.jump(-24 * time.Hour)
		w.tell("evt_after", "shop.example")
		pass(2 * time.Minute)
		if got := len(w.receiver.of("evt_after")); got == 0 {
			t.Error("nothing was told in two minutes after the clock was set back")
		}
	})
}

// F21, F52: the wall clock jumps in the middle of a chain. Nothing is early
// by the wall, nothing is lost, at most one attempt is made per gap.
func TestDispatcher_F21_ClockJumps(t *testing.T) {
	year := 365 * 24 * time.Hour
	for _, jump := range []time.Duration{time.Hour, year, -time.Hour, -year, 2 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, always(reply{status: 500}))
				clock := &skew{}
				w.options.Now = clock.now
				w.start()
				defer w.stop()
				from := clock.now()
				w.tell("evt_1", "shop.example")
				pass(150 * time.Second) // three made
				if got := w.receiver.count(); got != 3 {
					t.Fatalf("%d attempts after 150 s, want 3", got)
				}
				clock.jump(jump)
				real := time.Now()
				pass(100*time.Hour + max(0, -jump))
				if w.troubled(relay.DispatchClockTrouble) == 0 {
					t.Error("the jump was not reported")
				}
				calls := w.receiver.of("evt_1")
				if len(calls) != 14 {
					t.Errorf("%d attempts, want 14", len(calls))
				}
				for i := 4; i < len(calls); i++ {
					if gap := calls[i].start.Sub(calls[i-1].end); gap < time.Minute {
						t.Errorf("attempt %d only %v of real time after the one before", i, gap)
					}
				}
				if jump > 0 {
					if first := calls[3].start.Sub(real); first > 3*time.Minute {
						t.Errorf("a forward jump was noticed after %v", first)
					}
				}
				checkChain(t, w, "evt_1", from)
			})
		})
	}
}
