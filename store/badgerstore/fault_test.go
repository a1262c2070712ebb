package badgerstore

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// F13: the directory cannot be used; the error names it and says what to do.
func TestOpenRefuses_F13(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(foreign, 0o755); err != nil {
		t.Fatal(err)
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		words      []string
	}{
		{"a file in its place", file, []string{file, "not a directory", "name a directory"}},
		{"below a file", filepath.Join(file, "store"), []string{file, "not a directory"}},
		{"somebody else's directory", foreign, []string{foreign, "letter.txt", "empty directory"}},
		{"not writable", closed, []string{closed, "permission denied", "able to write"}},
		{"cannot be made", filepath.Join(closed, "store"), []string{closed, "permission denied", "may write to"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path == closed || filepath.Dir(c.path) == closed {
				if os.Geteuid() == 0 {
					t.Skip("root may write everywhere")
				}
			}
			_, err := Open(small(c.path))
			wantText(t, err, c.words...)
		})
	}
	// What was refused was not touched.
	if info, err := os.Stat(foreign); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode of the foreign directory: got %v, %v, want 0755", info.Mode(), err)
	}
}

// F19: the second opener is refused and told what to do; the first goes on.
func TestSecondOpen_F19(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	putOrders(t, s, 0, 1)
	_, err := Open(small(s.opts.Path))
	if !errors.Is(err, ErrInUse) {
		t.Errorf("second Open: got %v, want ErrInUse", err)
	}
	wantText(t, err, s.opts.Path, "caddy reload")
	putOrders(t, s, 1, 2)
	verified(t, s)
}

// lossy opens a damaged copy, expects the refusal to name the loss, and then
// opens it with the loss accepted.
func lossy(t *testing.T, dir string, groups uint64) *Store {
	t.Helper()
	for range 2 { // a refusal must not heal by itself
		_, err := Open(small(dir))
		loss, ok := errors.AsType[*LossError](err)
		if !ok {
			t.Fatalf("Open: got %v, want a LossError", err)
		}
		if loss.Want != groups || loss.Have >= groups {
			t.Errorf("LossError: got want %d, have %d; want %d and less", loss.Want, loss.Have, groups)
		}
		wantText(t, err, dir, "backup", "accept_loss")
	}
	o := small(dir)
	o.AcceptLoss = true
	var alarms []string
	o.Hooks.Alarm = func(m string) { alarms = append(alarms, m) }
	s := mustOpen(t, o)
	if len(alarms) == 0 {
		t.Error("an accepted loss raised no alarm")
	}
	return s
}

// F15: a byte of the log is flipped after a crash. Badger would open and
// forget all that follows.
func TestFlipInLog_F15(t *testing.T) {
	const groups = 60
	s := mustOpen(t, small(t.TempDir()))
	putOrders(t, s, 0, groups)
	left := crashed(t, s)
	log := filepath.Base(files(t, left, "*.mem")[0])
	used := usedLog(t, filepath.Join(left, log))
	rng := rand.New(rand.NewPCG(15, 15))
	for round := range 20 {
		off := logHeader + rng.IntN(used-logHeader)
		t.Run(fmt.Sprint("offset ", off), func(t *testing.T) {
			dir := copyDir(t, left)
			flip(t, filepath.Join(dir, log), off)
			s := lossy(t, dir, groups)
			kept := 0
			for kept < groups && hasOrder(t, s, fmt.Sprint(kept)) {
				kept++
			}
			for i := kept; i < groups; i++ {
				if hasOrder(t, s, fmt.Sprint(i)) {
					t.Errorf("order %d is there, order %d before it is not", i, kept)
				}
			}
			if round%5 == 0 {
				goesOn(t, s, groups)
			}
		})
	}
}

// goesOn proves that a store whose loss was accepted is a sound one: events
// get numbers that no client has seen, and the next start needs no switch.
func goesOn(t *testing.T, s *Store, groups int) {
	t.Helper()
	putOrders(t, s, groups, groups+3)
	err := s.View(t.Context(), func(r relay.Reader) error {
		e, err := r.Event("c", fmt.Sprint("evt_", groups))
		if e.Seq <= uint64(groups) {
			t.Errorf("Seq after a loss: got %d, want more than %d", e.Seq, groups)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := mustOpen(t, small(s.opts.Path))
	verified(t, again)
	if !hasOrder(t, again, fmt.Sprint(groups+2)) {
		t.Error("an order after the accepted loss is missing")
	}
}

// usedLog is where the log's entries end.
func usedLog(t *testing.T, name string) int {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	end := logHeader
	for {
		_, n := parseEntry(b[end:])
		if n == 0 {
			return end
		}
		end += n
	}
}

// F15 after a power cut, which may take the newest mark along: what lies
// beyond the damage shows the loss all the same.
func TestFlipInLogWithOldMark_F15(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	putOrders(t, s, 0, 40)
	dir := crashed(t, s)
	if err := createWater(dir, 3, 3); err != nil {
		t.Fatal(err)
	}
	log := files(t, dir, "*.mem")[0]
	flip(t, log, usedLog(t, log)/2)
	_, err := Open(small(dir))
	if loss, ok := errors.AsType[*LossError](err); !ok || loss.Want != 39 || loss.Have > 30 {
		t.Errorf("Open: got %v, want a LossError for the groups up to 39", err)
	}
}

// F16: a byte of a table is flipped after a clean stop.
func TestFlipInTable_F16(t *testing.T) {
	t.Parallel()
	left := stopped(t, 200)
	table := filepath.Base(files(t, left, "*.sst")[0])
	info, err := os.Stat(filepath.Join(left, table))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(16, 16))
	offs := []int{0, int(info.Size()) - 1, int(info.Size()) - 4, int(info.Size()) - 8}
	for range 20 {
		offs = append(offs, rng.IntN(int(info.Size())))
	}
	for _, off := range offs {
		dir := copyDir(t, left)
		flip(t, filepath.Join(dir, table), off)
		s, err := Open(small(dir))
		if err == nil {
			r, verr := s.Verify(t.Context())
			if verr == nil && r.Problems == 0 {
				t.Errorf("flip at %d of %d: neither Open nor Verify sees it", off, info.Size())
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			continue
		}
		wantText(t, err, dir, "backup")
	}
}

// stopped makes a store with some orders and closes it.
func stopped(t *testing.T, orders int) string {
	t.Helper()
	s, err := Open(small(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	putOrders(t, s, 0, orders)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s.opts.Path
}

// F17 and F18: any other file is flipped or cut short. Either the store opens
// and all is there, or it refuses and says what to do; a loss is never
// silent.
func TestDamagedFiles_F17_F18(t *testing.T) {
	t.Parallel()
	const orders = 50
	clean := stopped(t, orders)
	live := mustOpen(t, small(copyDir(t, clean)))
	putOrders(t, live, orders, 2*orders)
	for _, c := range []struct {
		name, dir string
		orders    int
	}{
		{"after a clean stop", clean, orders},
		{"after a crash", crashed(t, live), 2 * orders},
	} {
		for _, name := range files(t, c.dir, "*") {
			t.Run(c.name+"/"+filepath.Base(name), func(t *testing.T) {
				t.Parallel()
				damageEach(t, c.dir, filepath.Base(name), c.orders)
			})
		}
	}
}

func damageEach(t *testing.T, from, name string, orders int) {
	t.Helper()
	info, err := os.Stat(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	size := info.Size()
	for _, cut := range []int64{0, size / 2, size - 1} {
		dir := copyDir(t, from)
		if err := os.Truncate(filepath.Join(dir, name), max(cut, 0)); err != nil {
			t.Fatal(err)
		}
		opensOrExplains(t, dir, orders, fmt.Sprintf("cut to %d of %d", cut, size))
	}
	dir := copyDir(t, from)
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	opensOrExplains(t, dir, orders, "removed")
	rng := rand.New(rand.NewPCG(17, uint64(size)))
	for range min(size, 3) {
		off := rng.IntN(int(min(size, 4096)))
		dir := copyDir(t, from)
		flip(t, filepath.Join(dir, name), off)
		opensOrExplains(t, dir, orders, fmt.Sprint("flipped at ", off))
	}
}

func opensOrExplains(t *testing.T, dir string, orders int, what string) {
	t.Helper()
	s, err := Open(small(dir))
	if err != nil {
		wantText(t, err, dir, "backup")
		if again, err := Open(small(dir)); err == nil {
			t.Errorf("%s: the second start was not refused", what)
			_ = again.Close()
		}
		return
	}
	if r := verified(t, s); r.Orders != orders {
		t.Errorf("%s: the store opened with %d orders, want %d or an error", what, r.Orders, orders)
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: Close: %v", what, err)
	}
}

// The tables of a manifest that was cut short are kept when something is
// missing, although Badger removes them.
func TestManifestCutShort_F18(t *testing.T) {
	t.Parallel()
	dir := stopped(t, 50)
	manifest := filepath.Join(dir, "MANIFEST")
	info, err := os.Stat(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(manifest, info.Size()-1); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		_, err = Open(small(dir))
		wantText(t, err, "MANIFEST", "set-aside")
	}
	kept := files(t, filepath.Join(dir, asideName), "*.sst")
	if info, err := os.Stat(kept[0]); err != nil || info.Size() == 0 {
		t.Errorf("kept table: %v, %v", info, err)
	}
}

// A newer program's store is refused.
func TestOtherSchema_F49(t *testing.T) {
	t.Parallel()
	dir := stopped(t, 1)
	b, err := os.ReadFile(filepath.Join(dir, "MANIFEST"))
	if err != nil {
		t.Fatal(err)
	}
	b[5]++ // external version
	if err := os.WriteFile(filepath.Join(dir, "MANIFEST"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = Open(small(dir))
	wantText(t, err, "magic number", "expected: 1", "version present in manifest: 2")
}

// An old copy in the store's place is seen.
func TestOldCopy(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, small(t.TempDir()))
	putOrders(t, s, 0, 10)
	old := crashed(t, s)
	putOrders(t, s, 10, 20)
	b, err := os.ReadFile(filepath.Join(s.opts.Path, waterName))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(old, waterName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	goesOn(t, lossy(t, old, 20), 20)
}
