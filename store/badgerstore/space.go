package badgerstore

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Badger writes through memory maps: on a full disk the process dies with
// SIGBUS, and dies again at every start. So the store refuses work while it
// still has room for all that Badger may write on its own, and keeps a
// ballast file that is given up to make a start possible.
const (
	ballastName = "ballast"
	// DefaultBallast is the ballast that a deployment should have, in bytes.
	DefaultBallast = 128 << 20
	// minFloor is the least free space at which the store takes work.
	minFloor = 256 << 20
	// spaceAge is how long an answer about free space is trusted.
	spaceAge = time.Second
)

// space watches the free space of the store's file system.
type space struct {
	dir     string
	free    func(dir string) (free, total uint64, err error)
	floor   uint64 // 0: a twentieth of the file system, and at least least
	least   uint64
	ballast int64
	alarm   func(string)

	mu      sync.Mutex // guards what follows; held over the question, so that one asks for all
	checked time.Time
	short   error // why there is not enough
}

// check returns an error while there is too little space. It asks the file
// system at most once a second.
func (s *space) check(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if age := now.Sub(s.checked); age >= 0 && age < spaceAge {
		return s.short
	}
	s.checked = now
	was := s.short
	s.short = s.look()
	switch {
	case s.short != nil && was == nil:
		s.alarm(s.short.Error())
	case s.short == nil && was != nil:
		s.refill()
	}
	return s.short
}

func (s *space) look() error {
	free, total, err := s.free(s.dir)
	if err != nil {
		return fmt.Errorf("asking for the free space: %w", err)
	}
	if floor := s.floorOf(total); free < floor {
		return fmt.Errorf("the disk is nearly full: %d MiB are free and %d MiB must be; make room, no restart is needed", free>>20, floor>>20)
	}
	return nil
}

func (s *space) floorOf(total uint64) uint64 {
	if s.floor > 0 {
		return s.floor
	}
	return max(s.least, total/20)
}

// start gives the ballast up if there is too little space to open the store,
// and makes it otherwise.
func (s *space) start() error {
	err := s.look()
	if err == nil {
		s.refill()
		return nil
	}
	name := filepath.Join(s.dir, ballastName)
	if _, statErr := os.Stat(name); statErr != nil {
		return nil //nolint:nilerr // no ballast to give up: the store says itself that the disk is full
	}
	s.alarm(err.Error() + "; giving the ballast file up to start")
	if err := os.Remove(name); err != nil {
		return fmt.Errorf("removing the ballast: %w", err)
	}
	return syncDir(s.dir)
}

// refill makes the ballast when it is missing and there is room for it above
// the floor. Failing to is not an error: the floor still holds.
func (s *space) refill() {
	name := filepath.Join(s.dir, ballastName)
	if s.ballast <= 0 {
		return
	}
	if info, err := os.Stat(name); err == nil && info.Size() == s.ballast {
		return
	}
	free, total, err := s.free(s.dir)
	if err != nil || free < s.floorOf(total)+uint64(s.ballast) {
		return
	}
	if err := makeBallast(name, s.ballast); err != nil {
		s.alarm("making the ballast file: " + err.Error())
	}
}

func makeBallast(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	ok, err := allocate(f, size)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil || !ok {
		_ = os.Remove(name) // half a ballast is none
	}
	return err
}
