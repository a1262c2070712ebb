package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// disk is a file system whose free space and clock the test sets.
type disk struct {
	free, total atomic.Uint64
	asked       atomic.Int64
	now         atomic.Int64 // seconds
	fail        atomic.Bool
}

func (d *disk) options(path string, floor uint64) Options {
	o := small(path)
	o.Floor = floor
	o.FreeSpace = func(string) (uint64, uint64, error) {
		d.asked.Add(1)
		if d.fail.Load() {
			return 0, 0, syscall.EIO
		}
		return d.free.Load(), d.total.Load(), nil
	}
	o.Now = func() time.Time { return time.Unix(1_700_000_000+d.now.Load(), 0) }
	return o
}

// F10: the disk fills up. The store refuses before Badger could meet the end
// of the disk, says so, and takes work again by itself when there is room.
func TestFullDisk_F10(t *testing.T) {
	t.Parallel()
	const floor = 100 << 20
	var d disk
	d.free.Store(floor)
	s := mustOpen(t, d.options(t.TempDir(), floor))
	putOrders(t, s, 0, 3)
	put := func() error {
		return s.Update(t.Context(), func(tx relay.Tx) error { return putOrder(tx, "refused") })
	}
	full := func(what string) {
		t.Helper()
		err := put()
		if !errors.Is(err, relay.ErrUnavailable) {
			t.Errorf("%s: Update: got %v, want ErrUnavailable", what, err)
		}
		wantText(t, s.Health(t.Context()), "nearly full", "99 MiB", "100 MiB", "make room")
	}
	d.free.Store(floor - 1)
	if err := put(); err != nil {
		t.Errorf("within the second: got %v, want nil", err)
	}
	d.now.Add(1)
	full("after a second")
	asked := d.asked.Load()
	for range 5 {
		full("in the same second")
	}
	if got := d.asked.Load(); got != asked {
		t.Errorf("the file system was asked %d times in one second", got-asked+1)
	}
	if !hasOrder(t, s, "0") {
		t.Error("a full disk ends reading")
	}
	d.free.Store(floor)
	d.now.Add(1)
	putOrders(t, s, 3, 4)
	if err := s.Health(t.Context()); err != nil {
		t.Errorf("Health with room again: %v", err)
	}
	d.fail.Store(true)
	d.now.Add(1)
	if err := put(); !errors.Is(err, relay.ErrUnavailable) || !errors.Is(err, syscall.EIO) {
		t.Errorf("Update when nobody knows the free space: got %v", err)
	}
	d.fail.Store(false)
	d.now.Add(-10) // a clock that is set back is no reason to trust old answers
	putOrders(t, s, 4, 5)
	verified(t, s)
}

func TestDefaultFloor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		floor, least uint64
		total, want  uint64
	}{
		{"small file system", 0, 320 << 20, 1 << 30, 320 << 20},
		{"large file system", 0, 320 << 20, 1 << 40, 1 << 40 / 20},
		{"set", 7, 320 << 20, 1 << 40, 7},
	} {
		s := space{floor: c.floor, least: c.least}
		if got := s.floorOf(c.total); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// F11: the ballast is real, is given up when the store starts on a full disk,
// and comes back with the room.
func TestBallast_F11(t *testing.T) {
	t.Parallel()
	const floor, size = 100 << 20, 1 << 20
	var d disk
	d.free.Store(floor + size)
	o := d.options(t.TempDir(), floor)
	o.Ballast = size
	name := filepath.Join(o.Path, ballastName)
	there := func(what string, want bool) {
		t.Helper()
		info, err := os.Stat(name)
		if (err == nil) != want {
			t.Fatalf("%s: ballast: %v, want there %v", what, err, want)
		}
		if err == nil && allocated(info) < size {
			t.Errorf("%s: the ballast holds %d bytes, want %d", what, allocated(info), size)
		}
	}
	s := mustOpen(t, o)
	there("after the first start", true)
	putOrders(t, s, 0, 1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	d.free.Store(floor - 1)
	var alarms []string
	o.Hooks.Alarm = func(m string) { alarms = append(alarms, m) }
	s = mustOpen(t, o)
	there("after a start on a full disk", false)
	if len(alarms) == 0 {
		t.Error("giving the ballast up raised no alarm")
	}
	id := 0
	update := func() error {
		id++
		return s.Update(t.Context(), func(tx relay.Tx) error { return putOrder(tx, fmt.Sprint(id)) })
	}
	d.now.Add(5)
	if err := update(); !errors.Is(err, relay.ErrUnavailable) {
		t.Errorf("Update below the floor: got %v, want ErrUnavailable", err)
	}
	d.free.Store(floor + size - 1) // room for work, none for ballast
	d.now.Add(5)
	if err := update(); err != nil {
		t.Errorf("Update above the floor: %v", err)
	}
	there("without room for it", false)
	d.free.Store(floor - 1)
	d.now.Add(5)
	_ = update()
	d.free.Store(floor + size)
	d.now.Add(5)
	if err := update(); err != nil {
		t.Errorf("Update with room again: %v", err)
	}
	there("with room again", true)
}

func allocated(info os.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	return st.Blocks * 512
}
