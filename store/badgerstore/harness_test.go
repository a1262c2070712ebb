package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// putOrders commits orders from to to-1, each in a group of its own, with an
// event and a waiting delivery.
func putOrders(t testing.TB, s *Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := s.Update(t.Context(), func(tx relay.Tx) error { return putOrder(tx, fmt.Sprint(i)) }); err != nil {
			t.Fatalf("Update %d: %v", i, err)
		}
	}
}

// putOrder writes the three records of a paid order.
func putOrder(tx relay.Tx, id string) error {
	o, e, d := new(relay.Order), new(relay.Event), new(relay.Delivery)
	storetest.Fill(o, 1)
	storetest.Fill(e, 2)
	storetest.Fill(d, 3)
	o.OrderKey, o.Token, o.Status = relay.OrderKey{ClientID: "c", OrderNo: id}, "token"+id, relay.OrderPaid
	o.Refunds, o.Splits = nil, nil
	e.ID, e.ClientID = "evt_"+id, "c"
	d.EventID, d.ClientID, d.URL = e.ID, "c", "https://a.example/"
	for _, err := range []error{tx.PutOrder(o), tx.AddEvent(e), tx.PutDelivery(d)} {
		if err != nil {
			return err
		}
	}
	return nil
}

// hasOrder fails the test unless all three records of an order are there.
func hasOrder(t testing.TB, s *Store, id string) bool {
	t.Helper()
	ok := false
	err := s.View(t.Context(), func(r relay.Reader) error {
		_, oErr := r.Order(relay.OrderKey{ClientID: "c", OrderNo: id})
		_, eErr := r.Event("c", "evt_"+id)
		_, dErr := r.Delivery("evt_" + id)
		ok = oErr == nil
		if (oErr == nil) != (eErr == nil) || (oErr == nil) != (dErr == nil) {
			t.Errorf("order %s is torn: %v, %v, %v", id, oErr, eErr, dErr)
		}
		return nil
	})
	if err != nil {
		t.Errorf("View: %v", err)
	}
	return ok
}

// verified fails the test unless the store is whole.
func verified(t testing.TB, s *Store) *Report {
	t.Helper()
	r, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Err(); err != nil {
		t.Errorf("Verify: %v", err)
	}
	return r
}

// crashed copies the directory of an open store: what a killed process leaves
// behind.
func crashed(t testing.TB, s *Store) string {
	t.Helper()
	return copyDir(t, s.opts.Path)
}

func copyDir(t testing.TB, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		// The logs are mostly holes, which need not become real bytes.
		name := filepath.Join(to, d.Name())
		if err := os.WriteFile(name, bytes.TrimRight(b, "\x00"), 0o600); err != nil {
			return err
		}
		return os.Truncate(name, int64(len(b)))
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// files lists the files of a directory that match a pattern; there must be
// one.
func files(t testing.TB, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no file %s in the store: %v", pattern, err)
	}
	return names
}

// flip inverts one bit of a file.
func flip(t testing.TB, name string, off int) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], int64(off))
	if err == nil {
		b[0] ^= 0x10
		_, err = f.WriteAt(b[:], int64(off))
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

func wantText(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("got no error, want one that says %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("got error %q, want it to say %q", err, w)
		}
	}
}
