//go:build !linux

package badgerstore

import (
	"math"
	"os"
)

// freeSpace is not asked for on this platform; it always suffices.
func freeSpace(string) (free, total uint64, err error) {
	return math.MaxInt64, math.MaxInt64, nil
}

// allocate is not possible on this platform.
func allocate(*os.File, int64) (ok bool, err error) { return false, nil }

// syncData makes a file's data durable.
func syncData(f *os.File) error { return f.Sync() }
