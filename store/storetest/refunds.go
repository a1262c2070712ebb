package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func refundKey(no string) relay.RefundKey {
	return relay.RefundKey{MchID: "m", OutRefundNo: no}
}

// refund makes one that a client asked for under a number of its own.
func refund(out, client, no string) *relay.Refund {
	r := new(relay.Refund)
	Fill(r, 4)
	r.RefundKey, r.ClientID, r.RefundNo, r.DueAt = refundKey(out), client, no, time.Time{}
	return r
}

// wantRefunds compares which refund each client's number leads to; an empty
// one is none.
func wantRefunds(t *testing.T, s relay.Store, want map[[2]string]string) {
	t.Helper()
	check := func(rd relay.Reader) error {
		for no, out := range want {
			k, err := rd.RefundByNo(no[0], no[1])
			if out == "" {
				wantIs(t, fmt.Sprintf("RefundByNo of %q", no), err, relay.ErrNotFound)
				continue
			}
			if err != nil {
				return err
			}
			wantEqual(t, fmt.Sprintf("RefundByNo of %q", no), k, refundKey(out))
		}
		return nil
	}
	view(t, s, check)
	update(t, s, func(tx relay.Tx) error { return check(tx) })
}

func testRefundNumbers(t *testing.T, b Backend) {
	s := b.Open(t)
	put := func(r *relay.Refund) error {
		return s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutRefund(r) })
	}
	for _, c := range []struct {
		name            string
		out, client, no string
		want            error
	}{
		{"first", "r1", "c", "1", nil},
		{"again", "r1", "c", "1", nil},
		{"taken by another refund", "r2", "c", "1", store.ErrExists},
		{"another client's is free", "r3", "d", "1", nil},
		{"another number", "r4", "c", "2", nil},
		{"without a number", "r5", "c", "", nil},
		{"without a number, of nobody", "r6", "", "", nil},
		{"a number without a client", "r7", "", "1", store.ErrKey},
		{"a number with a zero byte", "r7", "c", "1\x00", store.ErrKey},
	} {
		err := put(refund(c.out, c.client, c.no))
		if c.want == nil && err != nil || c.want != nil {
			wantIs(t, c.name, err, c.want)
		}
	}
	numbers := map[[2]string]string{{"c", "1"}: "r1", {"d", "1"}: "r3", {"c", "2"}: "r4", {"c", "3"}: "", {"e", "1"}: "", {"c", ""}: "", {"", ""}: "", {"c\x00", "1"}: ""}
	wantRefunds(t, s, numbers)
	view(t, s, func(rd relay.Reader) error {
		for _, no := range []string{"r2", "r7"} {
			_, err := rd.Refund(refundKey(no))
			wantIs(t, "Refund that was refused", err, relay.ErrNotFound)
		}
		_, err := rd.Refund(refundKey("r6"))
		return err
	})
	s = b.Reopen(t, s)
	wantRefunds(t, s, numbers)
	// A number that the refund has no more is free again.
	if err := put(refund("r1", "c", "9")); err != nil {
		t.Errorf("PutRefund with another number: %v", err)
	}
	wantRefunds(t, s, map[[2]string]string{{"c", "1"}: "", {"c", "9"}: "r1"})
}

// C09: of refunds that race for one number of the client, one gets it.
func testRefundNumberRace(t *testing.T, b Backend) {
	s := b.Open(t)
	var wg sync.WaitGroup
	errs := make([]error, 32)
	for i := range errs {
		wg.Go(func() {
			errs[i] = s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutRefund(refund(fmt.Sprint("r", i), "c", "1")) })
		})
	}
	wg.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err != nil:
			wantIs(t, "PutRefund", err, store.ErrExists)
		case won >= 0:
			t.Errorf("refunds %d and %d have the same number", won, i)
		default:
			won = i
		}
	}
	wantRefunds(t, s, map[[2]string]string{{"c", "1"}: fmt.Sprint("r", won)})
}

func testPayers(t *testing.T, b Backend) {
	s := b.Open(t)
	for _, p := range []relay.Payer{
		{OpenID: "o1", AppID: "wx1", SeenAt: T0},
		{OpenID: "o2", AppID: "wx2", SeenAt: T0},
		{OpenID: "o1", AppID: "wx1", SeenAt: T0.Add(time.Hour), Clients: []string{"c", "d"}},
	} {
		update(t, s, func(tx relay.Tx) error { return tx.PutPayer(&p) })
	}
	s = b.Reopen(t, s)
	view(t, s, func(rd relay.Reader) error {
		p, err := rd.Payer("o1")
		wantEqual(t, "Payer", p, relay.Payer{OpenID: "o1", AppID: "wx1", SeenAt: T0.Add(time.Hour), Clients: []string{"c", "d"}})
		return err
	})
}

func testTallies(t *testing.T, b Backend) {
	s := b.Open(t)
	key := func(name, day string) relay.TallyKey { return relay.TallyKey{Name: name, Day: day} }
	want := func(sums map[relay.TallyKey]int64) {
		t.Helper()
		check := func(rd relay.Reader) error {
			for k, fen := range sums {
				got, err := rd.Tally(k)
				if err != nil || got != fen {
					t.Errorf("Tally of %q: got %d, %v, want %d", k, got, err, fen)
				}
			}
			return nil
		}
		view(t, s, check)
		update(t, s, func(tx relay.Tx) error { return check(tx) })
	}
	want(map[relay.TallyKey]int64{key("n", "2026-03-01"): 0, key("", ""): 0, key("n\x00", "d"): 0})
	update(t, s, func(tx relay.Tx) error {
		return all(tx.PutTally(key("n", "2026-03-01"), 5), tx.PutTally(key("n", "2026-03-02"), 7),
			tx.PutTally(key("m", "2026-03-01"), 1<<53), tx.PutTally(key("n", "2026-03-01"), 6))
	})
	err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutTally(key("n", "2026-03-01"), -1) })
	if err == nil {
		t.Error("PutTally below 0: got no error")
	}
	sums := map[relay.TallyKey]int64{
		key("n", "2026-03-01"): 6, key("n", "2026-03-02"): 7, key("m", "2026-03-01"): 1 << 53, key("n", "2026-03-03"): 0,
		key("n2026-03-01", ""): 0, key("", "n"): 0,
	}
	want(sums)
	s = b.Reopen(t, s)
	want(sums)
	update(t, s, func(tx relay.Tx) error { return tx.PutTally(key("n", "2026-03-01"), 0) })
	want(map[relay.TallyKey]int64{key("n", "2026-03-01"): 0})
	tallyRace(t, s, key("race", "2026-03-01"))
}

// tallyRace adds one at a time from many sides; no addition may be lost.
func tallyRace(t *testing.T, s relay.Store, k relay.TallyKey) {
	t.Helper()
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			update(t, s, func(tx relay.Tx) error {
				fen, err := tx.Tally(k)
				if err != nil {
					return err
				}
				return tx.PutTally(k, fen+1)
			})
		})
	}
	wg.Wait()
	view(t, s, func(rd relay.Reader) error {
		fen, err := rd.Tally(k)
		wantEqual(t, "Tally", fen, int64(32))
		return err
	})
}
