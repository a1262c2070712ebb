// Package storetest proves implementations of relay.Store. Run is the suite
// that each of them passes; the fill functions make records with every field
// set.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// Backend makes the stores to prove.
type Backend struct {
	// Open makes a new, empty store and arranges for its end.
	Open func(t *testing.T) relay.Store
	// Reopen closes a store and opens it again, as a restart does.
	Reopen func(t *testing.T, s relay.Store) relay.Store
}

// Run runs the whole suite, each test on a store of its own.
func Run(t *testing.T, b Backend) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, Backend)
	}{
		{"Records", testRecords},
		{"RecordsSurviveReopen", testRecordsSurviveReopen},
		{"NotFound", testNotFound},
		{"BadKeys", testBadKeys},
		{"RowTooLong", testRowTooLong},
		{"CallersKeepTheirMemory", testCallersKeepTheirMemory},
		{"Token", testToken},
		{"OpenOrders", testOpenOrders},
		{"EvidenceIsIdempotent", testEvidence},
		{"EventsInOrder", testEvents},
		{"EventOfAnotherClient", testEventOfAnotherClient},
		{"EventSeqSurvivesReopen", testEventSeqReopen},
		{"EventsCursorNeverSkips", testEventsCursor},
		{"Attempts", testAttempts},
		{"DueMoves", testDueMoves},
		{"DueByDestination", testDueByDestination},
		{"DueInsideUpdate", testDueInsideUpdate},
		{"DueSurvivesReopen", testDueReopen},
		{"DueDrains", testDueDrains},
		{"DueBesideWriters", testDueBesideWriters},
		{"Cases", testCases},
		{"RefundNumbers", testRefundNumbers},
		{"RefundNumberRace_C09", testRefundNumberRace},
		{"SplitNumbers", testSplitNumbers},
		{"Payers", testPayers},
		{"Tallies", testTallies},
		{"Grants", testGrants},
		{"GrantsByExpiry", testGrantsByExpiry},
		{"GrantsDropped", testGrantsDropped},
		{"GrantsRolledBack", testGrantsRolledBack},
		{"GrantRace_E12", testGrantRace},
		{"AccountTokens", testAccountTokens},
		{"AccountTokenRace", testAccountTokenRace},
		{"TasksMove", testTasksMove},
		{"TasksInOrder", testTasksInOrder},
		{"TasksInsideUpdate", testTasksInsideUpdate},
		{"TasksDrain", testTasksDrain},
		{"TasksBesideWriters", testTasksBesideWriters},
		{"Nonces", testNonces},
		{"NoncesOfManyWindows", testNonceWindows},
		{"NonceSurvivesReopen", testNonceReopen},
		{"NonceUsed", testNonceUsed},
		{"ErrorLeavesNothing", testErrorLeavesNothing},
		{"PanicLeavesNothing", testPanicLeavesNothing},
		{"UpdateSeesItsWrites", testSeesItsWrites},
		{"ViewIsConsistent", testViewIsConsistent},
		{"Serialisable", testSerialisable},
		{"ContextEnded", testContextEnded},
		{"Closed", testClosed},
		{"SameAsModel", testSameAsModel},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, b)
		})
	}
}

// T0 is the time about which the suite's records are.
var T0 = time.Date(2026, 3, 1, 8, 0, 0, 123456789, time.UTC)

// Fill sets every field of the record that p points to, nested ones too, to a
// value that is not zero and differs by seed.
func Fill(p any, seed int) {
	n := seed * 1000
	fill(reflect.ValueOf(p).Elem(), &n)
}

func fill(v reflect.Value, n *int) {
	*n++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(T0.Add(time.Duration(*n) * time.Second)))
		return
	case v.Type() == reflect.TypeFor[[]byte]() || v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		v.SetBytes(fmt.Appendf(nil, `{"n":%d}`, *n))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(field, n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		for i := range 3 {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprintf("text-%d", *n))
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Uint64:
		v.SetUint(uint64(*n))
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic("storetest: no way to fill " + v.Type().String())
	}
}

func order(client, no string) *relay.Order {
	o := new(relay.Order)
	Fill(o, 1)
	o.OrderKey = relay.OrderKey{ClientID: client, OrderNo: no}
	o.Token = "token-" + client + "-" + no
	o.Status = relay.OrderPaid
	return o
}

func event(client, id string) *relay.Event {
	e := new(relay.Event)
	Fill(e, 2)
	e.ID, e.ClientID, e.Seq = id, client, 0
	return e
}

func delivery(client, id, url string, due time.Time) *relay.Delivery {
	d := new(relay.Delivery)
	Fill(d, 3)
	d.EventID, d.ClientID, d.URL, d.DueAt, d.ManualDueAt = id, client, url, due, time.Time{}
	return d
}

func update(t *testing.T, s relay.Store, fn func(relay.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Errorf("Update: %v", err)
	}
}

func view(t *testing.T, s relay.Store, fn func(relay.Reader) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Errorf("View: %v", err)
	}
}

// all runs the steps until one fails.
func all(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

func wantIs(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got error %v, want %v", what, got, want)
	}
}

func wantEqual(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
	}
}

var errRefused = errors.New("refused by the test")

func testContextEnded(t *testing.T, b Backend) {
	s := b.Open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := s.Update(ctx, func(relay.Tx) error { ran = true; return nil })
	wantIs(t, "Update", err, relay.ErrUnavailable)
	wantIs(t, "Update", err, context.Canceled)
	err = s.View(ctx, func(relay.Reader) error { ran = true; return nil })
	wantIs(t, "View", err, context.Canceled)
	if ran {
		t.Error("a function ran although its context had ended")
	}
	update(t, s, func(tx relay.Tx) error { return tx.PutOrder(order("c", "1")) })
}

func testClosed(t *testing.T, b Backend) {
	s := b.Open(t)
	c, ok := s.(io.Closer)
	if !ok {
		t.Skip("the store cannot be closed")
	}
	if err := c.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	wantIs(t, "Update", s.Update(t.Context(), func(relay.Tx) error { return nil }), relay.ErrUnavailable)
	wantIs(t, "View", s.View(t.Context(), func(relay.Reader) error { return nil }), relay.ErrUnavailable)
	if h, ok := s.(relay.HealthChecker); ok {
		wantIs(t, "Health", h.Health(t.Context()), relay.ErrUnavailable)
	}
	if err := c.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}
