package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestDiskFull_F10_J07 fills the disk up to the floor: new work is refused with
// the reason, the process lives, and goes on as soon as there is room.
func TestDiskFull_F10_J07(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("mounting a small file system takes root")
	}
	disk := filepath.Join(shortDir(t), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("wxrelay-test", disk, "tmpfs", 0, "size=600m"); err != nil {
		t.Skipf("mounting a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	w := newWechat(t, 1.0/100)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t), store: filepath.Join(disk, "store")}
	l.write(t, &plan)
	s := l.start(t)
	t.Cleanup(s.stop) // before the disk goes
	s.shop.order(t, "D000000001", "")
	code := s.shop.native(t, "D000000001").CodeURL

	filler := filepath.Join(disk, "filler")
	fill(t, disk, filler, 64<<20)
	eventually(t, "work to be refused", func() error {
		a, err := s.shop.try(t.Context(), "POST", "/v1/orders", `{"order_no":"`+freshNonce()+`","amount":1,"description":"tea"}`)
		if err != nil {
			return err
		}
		if a.status != http.StatusServiceUnavailable || a.code() != "UNAVAILABLE" || a.header.Get("Retry-After") == "" {
			return fmt.Errorf("an order is answered %s", a)
		}
		return nil
	})
	if a := s.health(t); a.status != http.StatusServiceUnavailable || !strings.Contains(string(a.body), "disk is nearly full") {
		t.Errorf("health = %s, want the disk named", a)
	}
	// WeChat is told to come again, and reading goes on.
	s.pay(t, `{"code_url":"`+code+`"}`)
	eventually(t, "a notification to be refused", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.other) == 0 || len(w.acked) != 0 {
			return fmt.Errorf("notifications are answered %q and %v taken", w.other, w.acked)
		}
		if !strings.HasPrefix(w.other[0], "503") {
			t.Errorf("a notification is answered %s, want 503", w.other[0])
		}
		return nil
	})
	if v := s.shop.view(t, "D000000001"); v.Status != "paying" {
		t.Errorf("order = %+v, want it unchanged", v)
	}
	if !s.alive() {
		t.Fatal("the process died")
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "health to return", func() error {
		if a := s.health(t); a.status != http.StatusOK {
			return fmt.Errorf("health = %s", a)
		}
		return nil
	})
	s.shop.order(t, "D000000002", "")
	s.shop.awaitStatus(t, "D000000001", "paid")
}

// fill leaves a file system so many free bytes.
func fill(t *testing.T, dir, file string, leave uint64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	free := st.Bavail * uint64(st.Bsize)
	if free <= leave {
		t.Fatalf("%d bytes are free, want more than %d", free, leave)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(free-leave)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
