package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// F10 on a real file system: another file fills it. The process lives, what
// was acknowledged stays, and work goes on when the file is gone.
func TestFullTmpfs_F10(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=48m,mode=0700"); err != nil {
		t.Skipf("a file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	var seconds int64
	o := small(filepath.Join(dir, "store"))
	o.Floor, o.Ballast = 12<<20, 4<<20
	o.Now = func() time.Time { return time.Unix(1_700_000_000+seconds, 0) }
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	acked := 0
	fill := filepath.Join(dir, "fill")
	for round := range 3 {
		putOrders(t, s, acked, acked+50)
		acked += 50
		writeUntilFull(t, fill)
		seconds += 2
		for i := range 20 {
			err := s.Update(t.Context(), func(tx relay.Tx) error { return putOrder(tx, fmt.Sprint("full", round, i)) })
			if !errors.Is(err, relay.ErrUnavailable) {
				t.Errorf("Update on a full disk: got %v, want ErrUnavailable", err)
			}
		}
		if round == 1 { // a start on the full disk, with the ballast given up
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(o); err != nil {
				t.Fatalf("Open on a full disk: %v", err)
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		seconds += 2
	}
	for i := range acked {
		if !hasOrder(t, s, fmt.Sprint(i)) {
			t.Errorf("acknowledged order %d is missing", i)
		}
	}
	verified(t, s)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// writeUntilFull leaves a store's close the room that its floor reserves, half
// of it.
func writeUntilFull(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for {
		free, _, err := freeSpace(filepath.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		if free < 6<<20 {
			break
		}
		if _, err := f.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
