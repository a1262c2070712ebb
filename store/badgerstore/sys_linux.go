package badgerstore

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// freeSpace asks the file system for its free and total bytes, as far as
// this process may use them.
func freeSpace(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}

// allocate gives a file real blocks. ok is false when the file system cannot.
func allocate(f *os.File, size int64) (ok bool, err error) {
	err = unix.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return false, nil
	}
	return err == nil, err
}

// syncData makes a file's data durable.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }
