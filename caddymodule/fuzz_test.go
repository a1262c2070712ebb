package caddymodule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// FuzzUnmarshalCaddyfile proves that no text makes the parser panic, and that
// what it accepts is JSON which reads back as itself.
func FuzzUnmarshalCaddyfile(f *testing.F) {
	inputs, err := filepath.Glob("testdata/adapt/*.caddyfile")
	if err != nil {
		f.Fatal(err)
	}
	for _, input := range inputs {
		text, err := os.ReadFile(input)
		if err != nil {
			f.Fatal(err)
		}
		if _, rest, found := strings.Cut(string(text), "\n\twxrelay {"); found {
			block, _, _ := strings.Cut(rest, "\n\t}")
			f.Add("wxrelay {" + block + "\n}")
		}
	}
	f.Add("wxrelay {\n\tclient a {\n\t\tretry 1m {\n\t\t}\n\t}\n}")
	f.Add("wxrelay {\n\tplatform http://localhost {\n}")
	f.Fuzz(func(t *testing.T, text string) {
		app := new(App)
		if err := app.UnmarshalCaddyfile(caddyfile.NewTestDispenser(text)); err != nil {
			return
		}
		first, err := json.Marshal(app)
		if err != nil {
			t.Fatal(err)
		}
		again := new(App)
		if err := json.Unmarshal(first, again); err != nil {
			t.Fatal(err)
		}
		second, err := json.Marshal(again)
		if err != nil || string(second) != string(first) {
			t.Errorf("%s reads back as %s, %v", first, second, err)
		}
	})
}
