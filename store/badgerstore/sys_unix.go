//go:build unix

package badgerstore

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// supported tells whether this platform's Badger can keep the promise.
const supported = true

// lockFile takes the lock of an open file without waiting; it falls when the
// file is closed, by whatever end of the process.
func lockFile(f *os.File) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// unlockFile gives the lock up for every copy of the open file.
func unlockFile(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_UN) }

// engineLockWait bounds the wait for Badger's own lock.
const engineLockWait = time.Second

// awaitEngineLock waits a moment while Badger's lock of the directory is
// held. Badger gives it up by closing the directory, which leaves it to a child
// that this process was just starting, until that runs its own program. One
// that stays is Badger's to report.
func awaitEngineLock(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close() // it was read only
	tick := time.NewTicker(engineLockWait / 50)
	defer tick.Stop()
	for range 50 {
		free, err := lockFile(dir)
		if err != nil {
			return err
		}
		if free {
			return unlockFile(dir)
		}
		<-tick.C
	}
	return nil
}

// mapFile maps a file for reading; an empty one is nil.
func mapFile(f *os.File, size int64) ([]byte, error) {
	if size == 0 {
		return nil, nil
	}
	return syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
}

func unmapFile(b []byte) error {
	if b == nil {
		return nil
	}
	return syscall.Munmap(b)
}
