package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestResolverText(t *testing.T) {
	t.Setenv("WXRELAY_TEST_SET", "value")
	t.Setenv("WXRELAY_TEST_TRICK", "{env.WXRELAY_TEST_SET}")
	r := newResolver()
	for in, want := range map[string]string{
		"plain":                              "plain",
		"{env.WXRELAY_TEST_SET}":             "value",
		"https://{env.WXRELAY_TEST_SET}/pay": "https://value/pay",
		"{env.WXRELAY_TEST_TRICK}":           "{env.WXRELAY_TEST_SET}", // one pass only
	} {
		if got := r.text("block", "field", in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
	if len(r.problems) > 0 {
		t.Fatalf("problems: %v", r.problems)
	}
	for _, in := range []string{"{env.WXRELAY_TEST_UNSET}", "{nothing.known}", "{file./does/not/exist}"} {
		r := newResolver()
		if got := r.text("client a", "id", in); got != "" || len(r.problems) != 1 {
			t.Errorf("text(%q) = %q with %d problems, want one", in, got, len(r.problems))
		} else if !strings.HasPrefix(r.problems[0].Error(), "client a: id: ") {
			t.Errorf("text(%q): %v names no place", in, r.problems[0])
		}
	}
}

// H03: whatever is wrong with a secret, its text is not in the error.
func TestResolverNeverShowsSecrets_H03(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"MARK{ED}secret", "{MARKED}", "x{env.WXRELAY_TEST_UNSET}MARKED"} {
		r := newResolver()
		if got := r.secret("client a", "secret", in); got.Len() != 0 || len(r.problems) != 1 {
			t.Errorf("secret(%q) has %d bytes and %d problems, want one problem", in, got.Len(), len(r.problems))
		} else if strings.Contains(r.problems[0].Error(), "MARK") {
			t.Errorf("the error shows the secret: %v", r.problems[0])
		}
	}
	r := newResolver()
	r.secret("client a", "secret", "{env.WXRELAY_TEST_UNSET}")
	if len(r.problems) != 1 || !strings.Contains(r.problems[0].Error(), "{env.WXRELAY_TEST_UNSET}") {
		t.Errorf("problems %v, want the placeholder named: it is no secret and the operator looks for it", r.problems)
	}
}

// H06: a secret in clear is told at the start.
func TestResolverWarnsOfSecretsInClear_H06(t *testing.T) {
	t.Setenv("WXRELAY_TEST_SECRET", "value")
	file := filepath.Join(t.TempDir(), "secret")
	writeFile(t, file, "from a file\n", 0o600)
	for in, warnings := range map[string]int{"value": 1, "{env.WXRELAY_TEST_SECRET}": 0, "{file." + file + "}": 0, "": 0} {
		r := newResolver()
		r.secret("client a", "secret", in)
		if len(r.warnings) != warnings || len(r.problems) != 0 {
			t.Errorf("secret(%q): %d warnings and %v, want %d", in, len(r.warnings), r.problems, warnings)
		}
	}
	r := newResolver()
	if got := string(r.secret("", "", "{file."+file+"}").Reveal()); got != "from a file" {
		t.Errorf("a secret from a file is %q", got)
	}
}

// H14: a key that everybody may read is told at the start.
func TestResolverWarnsOfReadableKeys_H14(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		mode     os.FileMode
		warnings int
	}{"owner": {0o600, 0}, "group": {0o640, 0}, "world": {0o644, 1}} {
		file := filepath.Join(dir, name)
		writeFile(t, file, "-----BEGIN PRIVATE KEY-----\n", tt.mode)
		r := newResolver()
		if content := r.privatePEM("merchant a", "private_key", file); content == nil {
			t.Errorf("%s: not read: %v", name, r.problems)
		}
		if len(r.warnings) != tt.warnings {
			t.Errorf("%s: %d warnings, want %d", name, len(r.warnings), tt.warnings)
		}
	}
}

func TestResolverPEM(t *testing.T) {
	t.Setenv("WXRELAY_TEST_PEM", "-----BEGIN X-----\n-----END X-----")
	dir := t.TempDir()
	file, big := filepath.Join(dir, "key.pem"), filepath.Join(dir, "big.pem")
	writeFile(t, file, "content", 0o600)
	writeFile(t, big, strings.Repeat("x", maxKeyFile+1), 0o600)
	t.Setenv("WXRELAY_TEST_PATH", file)
	for in, want := range map[string]string{
		file:                      "content",
		"{env.WXRELAY_TEST_PATH}": "content",
		"{env.WXRELAY_TEST_PEM}":  "-----BEGIN X-----\n-----END X-----",
	} {
		r := newResolver()
		if got, _ := r.pem("b", "f", in); string(got) != want || len(r.problems) != 0 {
			t.Errorf("pem(%q) = %q, %v; want %q", in, got, r.problems, want)
		}
	}
	for name, in := range map[string]string{
		"missing":   filepath.Join(dir, "missing"),
		"directory": dir,
		"too big":   big,
		"unset":     "{env.WXRELAY_TEST_UNSET}",
	} {
		r := newResolver()
		if got, _ := r.pem("b", "f", in); got != nil || len(r.problems) != 1 {
			t.Errorf("%s: pem(%q) = %q with %d problems, want one", name, in, got, len(r.problems))
		}
	}
	r := newResolver()
	if got, _ := r.pem("b", "f", ""); got != nil || len(r.problems) != 0 {
		t.Errorf("no value: %q, %v; it is for Validate to judge", got, r.problems)
	}
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}
