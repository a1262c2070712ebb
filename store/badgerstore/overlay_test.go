package badgerstore

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/store"
)

// A random history of requests, some of which fail, against a plain map: all
// reads through the overlay must be those of the map, and what was rolled
// back must leave no trace.
func TestOverlayIsAMap(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	rng := rand.New(rand.NewPCG(4, 2))
	key := func() string { return fmt.Sprint(string("abz"[rng.IntN(3)]), rng.IntN(40)) }
	base := map[string]string{}
	if err := s.db.Update(func(txn *badger.Txn) error {
		for range 40 {
			k := key()
			base[k] = "base"
			if err := txn.Set([]byte(k), []byte("base")); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for group := range 30 {
		txn := s.db.NewTransaction(true)
		src := staged{committed{txn}, newOverlay()}
		want := maps.Clone(base)
		for range 10 {
			before := maps.Clone(want)
			for range rng.IntN(6) {
				k := key()
				if rng.IntN(3) == 0 {
					src.over.put([]byte(k), nil)
					delete(want, k)
				} else {
					v := fmt.Sprint("v", rng.IntN(100))
					src.over.put([]byte(k), []byte(v))
					want[k] = v
				}
				if rng.IntN(3) == 0 {
					compareScan(t, src, want, rng)
				}
			}
			if rng.IntN(3) == 0 {
				src.over.rollBack()
				want = before
			} else {
				src.over.accept()
			}
			compareScan(t, src, want, rng)
		}
		size := 0
		for k, w := range src.over.rows {
			size += len(k) + len(w.row)
		}
		if src.over.size != size {
			t.Errorf("group %d: size: got %d, want %d", group, src.over.size, size)
		}
		txn.Discard()
		if t.Failed() {
			return
		}
	}
}

func compareScan(t *testing.T, src staged, want map[string]string, rng *rand.Rand) {
	t.Helper()
	prefix := string("abz"[rng.IntN(3)])
	start := fmt.Sprint(prefix, rng.IntN(40))
	limit := 1 + rng.IntN(50)
	var expect, got []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if strings.HasPrefix(k, prefix) && k >= start && len(expect) < limit {
			expect = append(expect, k+"="+want[k])
		}
	}
	err := src.scan([]byte(prefix), []byte(start), nil, func(k, v []byte) (bool, error) {
		got = append(got, string(k)+"="+string(v))
		return len(got) < limit, nil
	})
	if err != nil || !slices.Equal(got, expect) {
		t.Errorf("scan of %s from %s:\n got %v, %v\nwant %v", prefix, start, got, err, expect)
	}
	row, err := src.get(store.KindIndex, []byte(start))
	if v, ok := want[start]; ok != (err == nil) || ok && string(row) != v {
		t.Errorf("get %s: got %q, %v, want %q", start, row, err, v)
	}
}
