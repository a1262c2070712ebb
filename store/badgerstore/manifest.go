package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/wxrelay/wxrelay/store"
)

// asideName is the directory in which files are kept that Badger would remove
// although they may hold the only copy of what was committed.
const asideName = "set-aside"

// inspectTables looks at the manifest and the tables that it lists before
// Badger does. Badger reads tables in goroutines of its own, where a file that
// was cut short ends the process; and it takes a manifest that was cut short
// for one that a crash has torn, and removes the tables that are no longer in
// it. cut tells that the manifest is of that kind; listed counts its tables.
func inspectTables(dir string) (listed int, cut bool, err error) {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
		return 0, len(tables) > 0, err
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close() // it was read only
	m, end, err := badger.ReplayManifestFile(f, store.SchemaVersion, badger.DefaultOptions(dir).WithLogger(nil))
	if err != nil {
		return 0, false, fmt.Errorf("%w; %s", err, restoreAdvice)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, false, err
	}
	for id := range m.Tables {
		if err := inspectTable(filepath.Join(dir, fmt.Sprintf("%06d.sst", id))); err != nil {
			return 0, false, fmt.Errorf("table %d: %w; %s", id, err, restoreAdvice)
		}
	}
	return len(m.Tables), end < info.Size(), nil
}

var errTableCut = errors.New("the file is cut short or damaged at its end")

// inspectTable checks that the lengths at a table's end lie inside it: the
// index, its length, its checksum and that one's length stand there. What
// they frame has checksums that Badger verifies.
func inspectTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it was read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	for range 2 {
		var b [4]byte
		if end -= 4; end < 0 {
			return errTableCut
		}
		if _, err := f.ReadAt(b[:], end); err != nil {
			return err
		}
		if end -= int64(binary.BigEndian.Uint32(b[:])); end < 0 {
			return errTableCut
		}
	}
	return nil
}

// setAside links or copies what Badger may remove.
func setAside(dir string) error {
	aside := filepath.Join(dir, asideName)
	if err := os.Mkdir(aside, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, t := range tables {
		if err := os.Link(t, filepath.Join(aside, filepath.Base(t))); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, badger.ManifestFilename))
	kept := filepath.Join(aside, badger.ManifestFilename)
	if _, statErr := os.Stat(kept); statErr == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(kept, b, 0o600) //nolint:gosec // the operator names the directory
}

// dropEmpty removes logs without a single byte. A crash leaves them when it
// comes between their making and their first sync; Badger refuses to open
// them.
func dropEmpty(dir string) error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			if info, err := os.Stat(name); err == nil && info.Size() == 0 {
				if err := os.Remove(name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
