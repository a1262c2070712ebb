package caddymodule

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// Instances that start together on one storage open what each other sealed;
// one says that it made the key.
func TestMasterKeyIsMadeOnce(t *testing.T) {
	t.Parallel()
	s := &memoryStorage{values: map[string][]byte{}}
	sealers, logs := make([]*relay.Sealer, 4), make([]bytes.Buffer, 4)
	var wg sync.WaitGroup
	for i := range sealers {
		wg.Go(func() { sealers[i] = loadSealer(t.Context(), s, slog.New(slog.NewTextHandler(&logs[i], nil))) })
	}
	wg.Wait()
	sealed, err := sealers[0].Seal(relay.SealMiniSession, "row", []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	warnings := 0
	for i, sealer := range sealers {
		if plain, err := sealer.Open(relay.SealMiniSession, "row", sealed); err != nil || string(plain) != "plain" {
			t.Errorf("instance %d: got %q, %v", i, plain, err)
		}
		text := logs[i].String()
		warnings += strings.Count(text, "level=WARN")
		if strings.Contains(text, strings.TrimSpace(string(s.values[masterKeyName]))) {
			t.Errorf("the log shows the key: %s", text)
		}
		if text != "" && (!strings.Contains(text, "back it up") || !strings.Contains(text, "master_key {file./path}") || !strings.Contains(text, masterKeyName)) {
			t.Errorf("the warning does not say what to do: %s", text)
		}
	}
	if warnings != 1 || s.stores != 1 {
		t.Errorf("%d warnings and %d keys stored, want one of each", warnings, s.stores)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(s.values[masterKeyName])))
	if err != nil || len(raw) != relay.MasterKeyLen {
		t.Errorf("stored are %d bytes, %v", len(raw), err)
	}
}

// H03: what is wrong is said without the key, and keeps nothing from working.
func TestMasterKeyThatCannotBeHad_H03(t *testing.T) {
	t.Parallel()
	broken := errors.New("the storage is down")
	damaged := []byte("c2VjcmV0LXdvcmRz")
	for _, c := range []struct {
		name    string
		storage *memoryStorage
		want    string
	}{
		{"cannot be read", &memoryStorage{fail: map[string]error{"load": broken}}, "the storage is down"},
		{"cannot be locked", &memoryStorage{fail: map[string]error{"lock": broken}}, "the storage is down"},
		{"cannot be written", &memoryStorage{fail: map[string]error{"store": broken}}, "the storage is down"},
		{"damaged", &memoryStorage{values: map[string][]byte{masterKeyName: damaged}}, "is damaged; put it back"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			if s := loadSealer(t.Context(), c.storage, slog.New(slog.NewTextHandler(&log, nil))); s != nil {
				t.Error("got a Sealer")
			}
			text := log.String()
			if !strings.Contains(text, "level=ERROR") || !strings.Contains(text, c.want) || !strings.Contains(text, masterKeyName) || strings.Contains(text, string(damaged)) {
				t.Errorf("log %q, want it to say %q", text, c.want)
			}
			if v, ok := c.storage.values[masterKeyName]; ok && !bytes.Equal(v, damaged) {
				t.Error("what was there was replaced")
			}
		})
	}
}

// The operator's keys are read in their order; what is wrong names the option
// and not the key.
func TestMasterKeysOfConfiguration_H03(t *testing.T) {
	encode := func(b string) string {
		return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(b, relay.MasterKeyLen)))
	}
	t.Setenv("WXRELAY_TEST_NEW", encode("n"))
	t.Setenv("WXRELAY_TEST_OLD", encode("o"))
	t.Setenv("WXRELAY_TEST_BAD", "MARKED")
	for _, c := range []struct {
		name      string
		keys      []string
		want      string // first bytes of the keys
		problem   string
		inTheOpen int
	}{
		{"none", nil, "", "", 0},
		{"two", []string{"{env.WXRELAY_TEST_NEW}", "{env.WXRELAY_TEST_OLD}"}, "no", "", 0},
		{"in clear", []string{encode("c")}, "c", "", 1},
		{"no key", []string{"{env.WXRELAY_TEST_BAD}"}, "", "master_key: must be the standard base64 of 32 random bytes", 0},
		{"not set", []string{"{env.WXRELAY_TEST_UNSET}"}, "", "master_key: placeholder {env.WXRELAY_TEST_UNSET} is empty or not set", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newResolver()
			got := ""
			for _, key := range (&App{MasterKeys: c.keys}).buildMasterKeys(r) {
				got += string(key.Reveal()[:1])
			}
			if got != c.want || len(r.warnings) != c.inTheOpen {
				t.Errorf("got keys %q and %v, want %q and %d warnings", got, r.warnings, c.want, c.inTheOpen)
			}
			problem := ""
			for _, p := range r.problems {
				problem += p.Error()
			}
			if !strings.HasPrefix(problem, c.problem) || (problem == "") != (c.problem == "") || strings.Contains(problem, "MARKED") {
				t.Errorf("got problem %q, want %q", problem, c.problem)
			}
		})
	}
}
