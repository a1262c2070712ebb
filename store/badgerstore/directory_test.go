package badgerstore

import (
	"os"
	"path/filepath"
	"testing"
)

// Payments are nobody else's to read: the directory and every file in it are
// their owner's alone, whatever the umask was and whoever changed it since.
func TestModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "by", "open")
	s := mustOpen(t, small(dir))
	putOrders(t, s, 0, 10)
	wantModes(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantModes(t, dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range files(t, dir, "*") {
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	mustOpen(t, small(dir))
	wantModes(t, dir)
}

func wantModes(t *testing.T, dir string) {
	t.Helper()
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory: got %v, %v, want 0700", info.Mode(), err)
	}
	for _, name := range files(t, dir, "*") {
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("mode of %s: got %v, %v, want 0600", filepath.Base(name), info.Mode(), err)
		}
	}
}
