package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/store"
)

func TestCheckKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		parts []string
		ok    bool
	}{
		{"none", nil, true},
		{"usual", []string{"client", "order 1/ü"}, true},
		{"longest", []string{strings.Repeat("x", store.MaxKeyPart)}, true},
		{"empty", []string{"client", ""}, false},
		{"too long", []string{strings.Repeat("x", store.MaxKeyPart+1)}, false},
		{"zero byte", []string{"secret\x00"}, false},
	} {
		err := store.CheckKey(store.KindOrder, c.parts...)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, store.ErrKey) {
			t.Errorf("%s: got %v, want ok %v", c.name, err, c.ok)
		}
		if err != nil && (!strings.HasPrefix(err.Error(), "order: ") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%s: error text %q", c.name, err)
		}
	}
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for k := store.KindOrder; k <= store.KindMeta; k++ {
		if s := k.String(); s == "" || seen[s] || strings.HasPrefix(s, "kind") {
			t.Errorf("kind %d: name %q", byte(k), s)
		} else {
			seen[s] = true
		}
	}
	if got := store.Kind(200).String(); got != "kind 200" {
		t.Errorf("unknown kind: got %q", got)
	}
}
