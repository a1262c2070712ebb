package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

const lockName = "wxrelay.lock"

// ErrInUse says that another process, or this one, has the store open.
var ErrInUse = errors.New("another process has it open; to change a running server's configuration use \"caddy reload\", do not start a second one")

// directory is the store's directory, locked for this handle.
type directory struct {
	path string
	lock *os.File
}

// openDirectory makes the directory if there is none, takes its lock, and
// makes sure that only its owner gets at it. It does not touch a directory
// that holds other things than a store.
func openDirectory(path string) (*directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("%w; name a directory that this user may write to", err)
	}
	if err := ours(path); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; this user must be able to write there", err)
	}
	ok, err := lockFile(f)
	if err == nil && !ok {
		err = ErrInUse
	}
	d := &directory{path: path, lock: f}
	if err == nil {
		err = d.protect()
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

// ours refuses a directory with contents that are not a store's: changing the
// mode of a directory that somebody else uses would harm them.
func ours(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return fmt.Errorf("%w; name a directory, and let this user read it", err)
	}
	other := ""
	for _, e := range entries {
		switch e.Name() {
		case "MANIFEST", waterName, lockName:
			return nil
		case "lost+found":
		default:
			other = e.Name()
		}
	}
	if other != "" {
		return fmt.Errorf("the directory holds %q and no store; name an empty directory or a store's", other)
	}
	return nil
}

// protect takes the group's and others' rights from the directory and all
// files in it. Badger makes its files by the process's umask, so this is
// repeated; until then the directory's own mode keeps others out.
func (d *directory) protect() error {
	info, err := os.Stat(d.path)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(d.path, 0o700); err != nil { //nolint:gosec // a directory needs its execute bit
			return fmt.Errorf("%w; the directory must be its owner's alone (mode 0700)", err)
		}
	}
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 == 0) {
			continue
		}
		if err == nil {
			err = os.Chmod(filepath.Join(d.path, e.Name()), 0o600)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; the files must be their owner's alone (mode 0600)", err)
		}
	}
	return nil
}

func (d *directory) has(name string) bool {
	_, err := os.Lstat(filepath.Join(d.path, name))
	return err == nil
}

// close gives up the lock. Closing the file alone would not: a child that this
// process is just starting holds a copy of it until it runs its own program,
// and the next handle would find the store in use.
func (d *directory) close() error { return errors.Join(unlockFile(d.lock), d.lock.Close()) }
