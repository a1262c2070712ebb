//go:build unix

package badgerstore

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A child that the process is just starting holds copies of all open files
// until it runs its own program. A store that was closed meanwhile must open
// again at once, or in a moment.
func TestLockAndChildren_H13(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(small(dir))
	if err != nil {
		t.Fatal(err)
	}
	ours := copyOf(t, s.dir.lock.Fd())
	engine, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ours)
	// Badger's own file cannot be had, so another one keeps its lock.
	if err := unix.Flock(int(engine.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(engineLockWait/10, func() { _ = engine.Close() })
	mustOpen(t, small(dir))
}

// F19: one that stays is reported.
func TestLockOfAnotherEngine_F19(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(small(dir)); err == nil {
		t.Errorf("opened %v beside another engine", s.opts.Path)
	}
}

func copyOf(t *testing.T, fd uintptr) int {
	t.Helper()
	c, err := unix.Dup(int(fd))
	if err != nil {
		t.Fatal(err)
	}
	return c
}
