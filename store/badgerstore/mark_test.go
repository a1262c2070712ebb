package badgerstore

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// counting is a source that counts what a reader walks over.
type counting struct {
	committed
	scans int
	lows  []string
}

func (c *counting) scan(prefix, start, low []byte, fn visit) error {
	c.scans++
	c.lows = append(c.lows, string(low))
	return c.committed.scan(prefix, start, low, fn)
}

// looking runs fn with a reader that counts.
func looking(t *testing.T, s *Store, fn func(*reader, *counting)) {
	t.Helper()
	if err := s.view(t.Context(), func(r *reader) error {
		c := &counting{committed: r.src.(committed)}
		r.src = c
		fn(r, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func waitAt(t testing.TB, s *Store, id string, due time.Time) {
	t.Helper()
	d := relay.Delivery{EventID: id, ClientID: "c", URL: "https://a.example/", DueAt: due}
	if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutDelivery(&d) }); err != nil {
		t.Fatal(err)
	}
}

func destinations(t *testing.T, r *reader) (n int, earliest time.Time) {
	t.Helper()
	if err := r.Destinations(func(_ relay.Destination, at time.Time) bool {
		n++
		earliest = at
		return true
	}); err != nil {
		t.Error(err)
	}
	return n, earliest
}

// An empty tick costs no scan; removing the head costs one, which begins
// where the head was and not at the tombstones before it.
func TestMarksSaveScans(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	at := func(i int) time.Time { return storetest.T0.Add(time.Duration(i) * time.Second) }
	for i := range 50 {
		waitAt(t, s, fmt.Sprint("e", i), at(i))
	}
	scans := 0
	for i := range 40 {
		looking(t, s, func(r *reader, c *counting) {
			if _, earliest := destinations(t, r); !earliest.Equal(at(i)) {
				t.Errorf("earliest: got %v, want %v", earliest, at(i))
			}
			if _, again := destinations(t, r); !again.Equal(at(i)) || c.scans > 1 {
				t.Errorf("step %d: %d scans for two looks, want at most 1", i, c.scans)
			}
			if i == 0 || c.scans == 0 {
				return
			}
			scans++
			d := relay.Destination{ClientID: "c", Origin: "https://a.example:443"}
			if want := string(appendDueKey(nil, d, at(i-1), fmt.Sprint("e", i-1))); len(c.lows) == 0 || c.lows[0] < want {
				t.Errorf("step %d: the scan began before the head that was removed", i)
			}
		})
		waitAt(t, s, fmt.Sprint("e", i), time.Time{})
	}
	if scans != 1 { // 40 entries are a head and a part of the next
		t.Errorf("scans: got %d, want 1", scans)
	}
}

// What is put before the mark is found, and a queue that ran empty comes back.
func TestMarksFollow(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	look := func(want int, at time.Time) {
		t.Helper()
		looking(t, s, func(r *reader, _ *counting) {
			if n, earliest := destinations(t, r); n != want || want > 0 && !earliest.Equal(at) {
				t.Errorf("got %d destinations, earliest %v, want %d and %v", n, earliest, want, at)
			}
		})
	}
	look(0, time.Time{})
	waitAt(t, s, "late", storetest.T0.Add(time.Hour))
	look(1, storetest.T0.Add(time.Hour))
	waitAt(t, s, "early", storetest.T0)
	look(1, storetest.T0)
	waitAt(t, s, "early", time.Time{})
	waitAt(t, s, "late", time.Time{})
	look(0, time.Time{})
	if n := len(s.marks.destinations()); n != 0 {
		t.Errorf("an empty queue is still remembered")
	}
	waitAt(t, s, "again", storetest.T0)
	look(1, storetest.T0)
}

// A reader of an older state must not raise a mark over what came since, and
// must not miss what was removed since.
func TestMarksAndOldReaders(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	at := func(i int) time.Time { return storetest.T0.Add(time.Duration(i) * time.Second) }
	waitAt(t, s, "b", at(2))
	waitAt(t, s, "c", at(3))
	looking(t, s, func(old *reader, _ *counting) {
		waitAt(t, s, "a", at(1))
		waitAt(t, s, "b", time.Time{})
		looking(t, s, func(r *reader, _ *counting) { destinations(t, r) })
		if _, earliest := destinations(t, old); !earliest.Equal(at(2)) {
			t.Errorf("old reader: earliest: got %v, want %v", earliest, at(2))
		}
		d := relay.Destination{ClientID: "c", Origin: "https://a.example:443"}
		if items, err := old.Due(d, 9); err != nil || len(items) != 2 {
			t.Errorf("old reader: Due: got %v, %v, want b and c", items, err)
		}
	})
	looking(t, s, func(r *reader, _ *counting) {
		if _, earliest := destinations(t, r); !earliest.Equal(at(1)) {
			t.Errorf("earliest: got %v, want %v", earliest, at(1))
		}
	})
}

// The same for open orders, whose index is one queue.
func TestOpenOrdersMark(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	put := func(no string, status relay.OrderStatus, at time.Time) {
		t.Helper()
		o := relay.Order{OrderKey: relay.OrderKey{ClientID: "c", OrderNo: no}, Status: status, ExpiresAt: at}
		if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutOrder(&o) }); err != nil {
			t.Fatal(err)
		}
	}
	// first returns how often the index was scanned.
	first := func(want string) (scans int) {
		t.Helper()
		looking(t, s, func(r *reader, c *counting) {
			keys, err := r.OpenOrders(storetest.T0.Add(time.Hour), 1)
			if err != nil || want == "" && len(keys) > 0 || want != "" && (len(keys) != 1 || keys[0].OrderNo != want) {
				t.Errorf("OpenOrders: got %v, %v, want %q", keys, err, want)
			}
			scans = c.scans
		})
		return scans
	}
	first("")
	put("2", relay.OrderPaying, storetest.T0.Add(2))
	put("1", relay.OrderPaying, storetest.T0.Add(1))
	put("3", relay.OrderPaying, storetest.T0.Add(2*time.Hour)) // not yet
	scans := first("1")
	put("1", relay.OrderPaid, storetest.T0.Add(1))
	scans += first("2")
	put("2", relay.OrderPaid, storetest.T0.Add(2))
	scans += first("")
	put("3", relay.OrderPaid, storetest.T0.Add(2*time.Hour))
	scans += first("")
	put("0", relay.OrderPaying, storetest.T0)
	scans += first("0")
	if scans != 0 {
		t.Errorf("scans after the first look: got %d, want none", scans)
	}
}

func askAt(t testing.TB, s *Store, no string, at time.Time) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx relay.Tx) error { return putAsk(tx, no, at) }); err != nil {
		t.Fatal(err)
	}
}

func putAsk(tx relay.Tx, no string, at time.Time) error {
	return tx.PutPayment(&relay.Payment{PaymentKey: relay.PaymentKey{MchID: "m", OutTradeNo: no}, AskAt: at})
}

// wantTask compares the first task that is due within an hour and returns how
// often the index was scanned for it.
func wantTask(t *testing.T, s *Store, want string) (scans int) {
	t.Helper()
	looking(t, s, func(r *reader, c *counting) {
		tasks, err := r.Tasks(relay.TaskAskPayment, storetest.T0.Add(time.Hour), 1)
		if err != nil || want == "" && len(tasks) > 0 || want != "" && (len(tasks) != 1 || tasks[0].Number != want) {
			t.Errorf("Tasks: got %v, %v, want %q", tasks, err, want)
		}
		scans = c.scans
	})
	return scans
}

// Tasks that come and go in View and in Update cost one scan for each head
// that was used up, which begins behind what was removed.
func TestTasksMark(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	const n = 3 * maxHead
	at := func(i int) time.Time { return storetest.T0.Add(time.Duration(i) * time.Second) }
	for i := range n {
		askAt(t, s, fmt.Sprint("p", i), at(i))
	}
	askAt(t, s, "later", storetest.T0.Add(2*time.Hour))
	scans := 0
	for i := range n {
		no := fmt.Sprint("p", i)
		scans += wantTask(t, s, no)
		// The reader inside the group keeps the marks too.
		if err := s.Update(t.Context(), func(tx relay.Tx) error {
			tasks, err := tx.Tasks(relay.TaskAskPayment, at(n), 1)
			if err != nil || len(tasks) != 1 || tasks[0].Number != no {
				t.Errorf("Tasks in Update: got %v, %v, want %s", tasks, err, no)
			}
			return putAsk(tx, no, time.Time{})
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		scans += wantTask(t, s, "")
	}
	// One for each head, one behind the last, and none while "later" is the
	// head: it is not due, and nothing before it is looked at.
	if want := n/maxHead + 1; scans > want {
		t.Errorf("scans: got %d, want at most %d", scans, want)
	}
	looking(t, s, func(r *reader, _ *counting) {
		m := s.marks.queue(appendTaskPrefix(nil, relay.TaskAskPayment))
		if behind := string(appendTaskKey(nil, relay.TaskAskPayment, relay.Task{MchID: "m", Number: "p0", DueAt: at(n - 1)})); string(m.start(r.seq)) < behind {
			t.Error("a scan would begin before what was removed")
		}
	})
}

// After a restart nothing is known; the first look finds out, however many
// tasks were removed before the first that is left.
func TestTasksMarkAfterReopen(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	for i := range 5 {
		askAt(t, s, fmt.Sprint("p", i), storetest.T0.Add(time.Duration(i)))
	}
	for i := range 4 {
		askAt(t, s, fmt.Sprint("p", i), time.Time{})
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, small(s.opts.Path))
	if scans := wantTask(t, s, "p4"); scans != 1 {
		t.Errorf("first look: got %d scans, want 1", scans)
	}
	if scans := wantTask(t, s, "p4"); scans != 0 {
		t.Errorf("second look: got %d scans, want none", scans)
	}
	askAt(t, s, "p0", storetest.T0.Add(-1))
	if scans := wantTask(t, s, "p0"); scans != 0 {
		t.Errorf("after a task was put: got %d scans, want none", scans)
	}
}

// A reader inside a group that has staged a change neither trusts the head
// nor leaves what it sees, which may be rolled back, in the marks.
func TestTasksMarkAndRollBack(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	askAt(t, s, "p1", storetest.T0.Add(1))
	wantTask(t, s, "p1")
	refused := errors.New("refused")
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		if err := errors.Join(putAsk(tx, "p0", storetest.T0), putAsk(tx, "p1", time.Time{})); err != nil {
			return err
		}
		tasks, err := tx.Tasks(relay.TaskAskPayment, storetest.T0.Add(time.Hour), 9)
		if err != nil || len(tasks) != 1 || tasks[0].Number != "p0" {
			t.Errorf("inside: got %v, %v, want p0", tasks, err)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	wantTask(t, s, "p1")
}

// The same for an older reader: it must not miss what was removed since.
func TestTasksMarkAndOldReaders(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	looking(t, s, func(oldest *reader, _ *counting) {
		askAt(t, s, "b", storetest.T0.Add(2))
		looking(t, s, func(old *reader, _ *counting) {
			askAt(t, s, "b", time.Time{})
			askAt(t, s, "c", storetest.T0.Add(3))
			wantTask(t, s, "c")
			for want, r := range map[string]*reader{"b": old, "": oldest} {
				tasks, err := r.Tasks(relay.TaskAskPayment, storetest.T0.Add(time.Hour), 9)
				if err != nil || want == "" && len(tasks) > 0 || want != "" && (len(tasks) != 1 || tasks[0].Number != want) {
					t.Errorf("old reader: got %v, %v, want %q", tasks, err, want)
				}
			}
		})
	})
	wantTask(t, s, "c")
}
