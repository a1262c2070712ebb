package badgerstore

import (
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/storetest"
)

// small keeps the tests' stores small.
func small(path string) Options {
	return Options{Path: path, MemTableSize: 1 << 20, Floor: 1}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, storetest.Backend{
		Open: func(t *testing.T) relay.Store {
			t.Helper()
			return mustOpen(t, small(t.TempDir()))
		},
		Reopen: func(t *testing.T, s relay.Store) relay.Store {
			t.Helper()
			b := s.(*Store)
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			return mustOpen(t, small(b.opts.Path))
		},
	})
}
