package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSecondServer_F19: two servers never share a store's directory, and the
// first one is not harmed.
func TestSecondServer_F19(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	keys := merchantKeys(t)
	first := newLayout(t)
	first.write(t, &setup{platform: w.url, merchant: keys})
	s := first.start(t)
	s.shop.order(t, "A000000001", "")
	second := newLayout(t)
	second.write(t, &setup{platform: w.url, merchant: keys, store: first.store})
	text := launch(t, second.home, second.config, environment()).exited(t)
	if !strings.Contains(text, "another process has it open") || !strings.Contains(text, first.store) {
		t.Errorf("the second server says nothing of it: %s", text)
	}
	if v := s.shop.view(t, "A000000001"); v.Status != "created" {
		t.Errorf("order = %+v", v)
	}
	s.shop.order(t, "A000000002", "")
}

// TestValidate checks a configuration beside the server that runs with it:
// neither its store nor its ports are touched. All mistakes come at once.
func TestValidate(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t)}
	l.write(t, &plan)
	s := l.start(t)
	cmd := caddyCommand(t.Context(), t, l.home, environment(), "validate", "--config", l.config)
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Valid configuration")) {
		t.Errorf("validate = %v\n%s", err, out)
	}
	s.shop.order(t, "A000000001", "")

	wrong := plan
	wrong.bookshop = "merchant nobody"
	wrong.clients = "client library {\n\t\t\tid " + shopID + "\n\t\t\tsecret {env.NOT_SET}\n\t\t}"
	l.write(t, &wrong)
	out, err := caddyCommand(t.Context(), t, l.home, environment(), "validate", "--config", l.config).CombinedOutput()
	if err == nil {
		t.Errorf("validate took a wrong configuration:\n%s", out)
	}
	for _, want := range []string{"client bookshop", "nobody", "client library", "NOT_SET", shopID} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("validate does not name %q:\n%s", want, out)
		}
	}
	if a := s.health(t); a.status != http.StatusOK {
		t.Errorf("health = %s", a)
	}
}

// TestFlippedByte_F15 damages the log of a store that was killed. The server
// does not go on without what it acknowledged, and says what to do.
func TestFlippedByte_F15(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t)}
	l.write(t, &plan)
	s := l.start(t)
	const orders = 10
	for i := range orders {
		s.shop.order(t, fmt.Sprintf("F00000000%d", i), "")
	}
	s.kill()

	logs, err := filepath.Glob(filepath.Join(l.store, "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("logs = %v, %v; want one", logs, err)
	}
	whole, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, []byte("F000000004"))
	if at < 0 {
		t.Fatal("the log does not hold the order")
	}
	damaged := bytes.Clone(whole)
	damaged[at] ^= 0x01
	if err := os.WriteFile(logs[0], damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, l.store)
	text := launch(t, l.home, l.config, environment()).exited(t)
	for _, want := range []string{l.store, "has lost committed work", "backup", "accept"} {
		if !strings.Contains(text, want) {
			t.Errorf("the server does not say %q: %s", want, text)
		}
	}
	if after := snapshot(t, l.store); after != before {
		t.Errorf("a refused start changed the store from\n%s\nto\n%s", before, after)
	}

	// With the byte as it was everything is there.
	if err := os.WriteFile(logs[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s = l.start(t)
	for i := range orders {
		s.shop.view(t, fmt.Sprintf("F00000000%d", i))
	}
}

// snapshot lists a directory with sizes and modes.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s %d %v\n", e.Name(), info.Size(), info.Mode())
	}
	return text.String()
}

// TestStoreModes: nobody but the server's user gets at the store.
func TestStoreModes(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t)}
	l.write(t, &plan)
	s := l.start(t)
	s.shop.order(t, "A000000001", "")
	err := filepath.WalkDir(l.store, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
