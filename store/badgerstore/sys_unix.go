//go:build unix

package badgerstore

import (
	"errors"
	"os"
	"syscall"

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
