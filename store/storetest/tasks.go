package storetest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

func secondsLater(n int) time.Time { return T0.Add(time.Duration(n) * time.Second).UTC() }

func payment(no string, ask time.Time) *relay.Payment {
	p := new(relay.Payment)
	Fill(p, 5)
	p.PaymentKey, p.AskAt = relay.PaymentKey{MchID: "m", OutTradeNo: no}, ask
	return p
}

// wantTasks compares one kind's tasks, in View and in Update.
func wantTasks(t *testing.T, s relay.Store, kind relay.TaskKind, until time.Time, limit int, want ...relay.Task) {
	t.Helper()
	check := func(rd relay.Reader) error {
		t.Helper()
		got, err := rd.Tasks(kind, until, limit)
		if len(got)+len(want) > 0 {
			wantEqual(t, fmt.Sprintf("Tasks of %s", kind), got, want)
		}
		return err
	}
	view(t, s, check)
	update(t, s, func(tx relay.Tx) error { return check(tx) })
}

func taskAt(no string, second int) relay.Task {
	return relay.Task{MchID: "m", Number: no, DueAt: secondsLater(second)}
}

func testTasksMove(t *testing.T, b Backend) {
	s := b.Open(t)
	ever := secondsLater(1000)
	put := func(no string, ask time.Time) {
		t.Helper()
		update(t, s, func(tx relay.Tx) error { return tx.PutPayment(payment(no, ask)) })
	}
	wantTasks(t, s, relay.TaskAskPayment, ever, 9)
	put("p1", secondsLater(5))
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 5))
	put("p1", secondsLater(5)) // the same again
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 5))
	put("p1", secondsLater(9)) // later
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 9))
	put("p1", secondsLater(1)) // earlier
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 1))
	put("p1", time.Time{}) // no more
	wantTasks(t, s, relay.TaskAskPayment, ever, 9)
	put("p1", secondsLater(2)) // and again
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 2))
	// A refund of the same number is another's task.
	r := refund("p1", "c", "1")
	r.DueAt = secondsLater(3)
	update(t, s, func(tx relay.Tx) error { return tx.PutRefund(r) })
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, taskAt("p1", 2))
	wantTasks(t, s, relay.TaskFollowRefund, ever, 9, taskAt("p1", 3))
	r.DueAt = secondsLater(8)
	update(t, s, func(tx relay.Tx) error { return tx.PutRefund(r) })
	wantTasks(t, s, relay.TaskFollowRefund, ever, 9, taskAt("p1", 8))
	r.DueAt = time.Time{}
	update(t, s, func(tx relay.Tx) error { return tx.PutRefund(r) })
	wantTasks(t, s, relay.TaskFollowRefund, ever, 9)
	for _, kind := range []relay.TaskKind{"", "none", "ask_payment\x00", "ask"} {
		wantTasks(t, s, kind, ever, 9)
	}
}

func testTasksInOrder(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, c := range []struct {
		no string
		at int
	}{{"b", 20}, {"late", 99}, {"a", 20}, {"first", -5}, {"mid", 10}} {
		update(t, s, func(tx relay.Tx) error { return tx.PutPayment(payment(c.no, secondsLater(c.at))) })
	}
	other := payment("0", secondsLater(20))
	other.MchID = "n"
	update(t, s, func(tx relay.Tx) error { return tx.PutPayment(other) })
	inOrder := []relay.Task{
		taskAt("first", -5), taskAt("mid", 10), taskAt("a", 20), taskAt("b", 20), {MchID: "n", Number: "0", DueAt: secondsLater(20)}, taskAt("late", 99),
	}
	for range 2 {
		ask := func(until time.Time, limit, want int) {
			t.Helper()
			wantTasks(t, s, relay.TaskAskPayment, until, limit, inOrder[:want]...)
		}
		ask(secondsLater(1000), 9, 6)
		ask(secondsLater(1000), 6, 6)
		ask(secondsLater(1000), 3, 3)
		ask(secondsLater(1000), 0, 0)
		ask(secondsLater(1000), -1, 0)
		ask(secondsLater(10), 9, 2) // until counts
		ask(secondsLater(10).Add(-1), 9, 1)
		ask(secondsLater(-6), 9, 0)
		s = b.Reopen(t, s)
	}
}

func testTasksInsideUpdate(t *testing.T, b Backend) {
	s := b.Open(t)
	ever := secondsLater(1000)
	before := []relay.Task{taskAt("gone", 1), taskAt("moved", 2), taskAt("stays", 3)}
	for _, task := range before {
		update(t, s, func(tx relay.Tx) error { return tx.PutPayment(payment(task.Number, task.DueAt)) })
	}
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, before...)
	change := func(tx relay.Tx) error {
		return all(tx.PutPayment(payment("gone", time.Time{})), tx.PutPayment(payment("moved", secondsLater(4))), tx.PutPayment(payment("new", secondsLater(0))))
	}
	after := []relay.Task{taskAt("new", 0), taskAt("stays", 3), taskAt("moved", 4)}
	inside := func(tx relay.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		for limit := range len(after) + 2 {
			got, err := tx.Tasks(relay.TaskAskPayment, ever, limit)
			if err != nil {
				return err
			}
			if limit > 0 {
				wantEqual(t, fmt.Sprint("Tasks inside, limit ", limit), got, after[:min(limit, 3)])
			}
		}
		return nil
	}
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		if err := inside(tx); err != nil {
			return err
		}
		return errRefused
	})
	wantIs(t, "Update", err, errRefused)
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, before...) // what failed left no trace
	update(t, s, inside)
	wantTasks(t, s, relay.TaskAskPayment, ever, 9, after...)
}

// An index of tasks is worked off from its head and filled again, while it is
// read now in View and now in Update.
func testTasksDrain(t *testing.T, b Backend) {
	s := b.Open(t)
	rng := rand.New(rand.NewPCG(8, 2))
	model := map[string]relay.Task{}
	for step := range 500 {
		no := fmt.Sprintf("p%03d", rng.IntN(120))
		task := relay.Task{MchID: "m", Number: no}
		if rng.IntN(5) > 1 {
			task.DueAt = secondsLater(rng.IntN(1000))
		}
		if first := inOrder(model); step%3 == 0 && len(first) > 0 { // the head goes more often than others
			task.Number, task.DueAt = first[0].Number, time.Time{}
		}
		err := s.Update(t.Context(), func(tx relay.Tx) error {
			if err := tx.PutPayment(payment(task.Number, task.DueAt)); err != nil || step%7 > 0 {
				return err
			}
			return errRefused
		})
		if err == nil {
			model[task.Number] = task
		}
		until, limit := secondsLater(rng.IntN(1200)), 1+rng.IntN(80)
		var want []relay.Task
		for _, task := range inOrder(model) {
			if len(want) < limit && !task.DueAt.After(until) {
				want = append(want, task)
			}
		}
		check := func(rd relay.Reader) error {
			got, err := rd.Tasks(relay.TaskAskPayment, until, limit)
			wantEqual(t, fmt.Sprint("Tasks after step ", step), got, want)
			return err
		}
		if rng.IntN(3) == 0 {
			update(t, s, func(tx relay.Tx) error { return check(tx) })
		} else {
			view(t, s, check)
		}
		if step%150 == 149 {
			s = b.Reopen(t, s)
		}
		if t.Failed() {
			return
		}
	}
}

// inOrder lists the tasks of a model that are due some day.
func inOrder(model map[string]relay.Task) []relay.Task {
	var tasks []relay.Task
	for _, task := range model {
		if !task.DueAt.IsZero() {
			tasks = append(tasks, task)
		}
	}
	slices.SortFunc(tasks, func(a, b relay.Task) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), strings.Compare(a.Number, b.Number))
	})
	return tasks
}

// Readers beside writers always see an index that fits the payments of their
// own snapshot.
func testTasksBesideWriters(t *testing.T, b Backend) {
	const writers, each = 4, 6
	s := b.Open(t)
	name := func(w, i int) string { return fmt.Sprint("p", w, "_", i) }
	check := func(rd relay.Reader) error {
		model := map[string]relay.Task{}
		for w := range writers {
			for i := range each {
				k := relay.PaymentKey{MchID: "m", OutTradeNo: name(w, i)}
				if p, err := rd.Payment(k); err == nil {
					model[k.OutTradeNo] = relay.Task{MchID: k.MchID, Number: k.OutTradeNo, DueAt: p.AskAt}
				}
			}
		}
		got, err := rd.Tasks(relay.TaskAskPayment, secondsLater(1000), 1000)
		wantEqual(t, "Tasks", got, inOrder(model))
		return err
	}
	var writing, reading sync.WaitGroup
	stop := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 9))
			for step := range 100 {
				p := payment(name(w, rng.IntN(each)), time.Time{})
				if rng.IntN(2) > 0 {
					p.AskAt = secondsLater(rng.IntN(100))
				}
				update(t, s, func(tx relay.Tx) error {
					if err := tx.PutPayment(p); err != nil || step%10 > 0 {
						return err
					}
					return check(tx)
				})
			}
		})
	}
	for range 2 {
		reading.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					view(t, s, check)
				}
			}
		})
	}
	writing.Wait()
	close(stop)
	reading.Wait()
	view(t, s, check)
}
