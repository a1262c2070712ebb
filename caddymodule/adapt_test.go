package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

var update = flag.Bool("update", false, "rewrite golden files")

// adapt turns a Caddyfile into indented JSON, or into what its user reads.
func adapt(t *testing.T, name string, text []byte) (result string, ok bool) {
	t.Helper()
	out, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(text, map[string]any{"filename": name})
	if err != nil {
		return err.Error() + "\n", false
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			t.Errorf("%s: warning %v", name, w)
		}
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, out, "", "\t"); err != nil {
		t.Fatal(err)
	}
	return indented.String() + "\n", true
}

// TestAdapt compares what each Caddyfile of testdata/adapt becomes. Those
// that begin with "bad_" are refused, and their golden file holds the line
// that the user reads: with file, line, and the word that is wrong.
func TestAdapt(t *testing.T) {
	inputs, err := filepath.Glob("testdata/adapt/*.caddyfile")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		name := filepath.Base(input)
		t.Run(strings.TrimSuffix(name, ".caddyfile"), func(t *testing.T) {
			text, err := os.ReadFile(input)
			if err != nil {
				t.Fatal(err)
			}
			got, ok := adapt(t, name, text)
			if refused := strings.HasPrefix(name, "bad_"); ok == refused {
				t.Errorf("adapted: %t, want %t; got:\n%s", ok, !refused, got)
			}
			if !ok && !strings.Contains(got, ", at "+name+":") {
				t.Errorf("the error has no file and line:\n%s", got)
			}
			golden := strings.TrimSuffix(input, ".caddyfile") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
