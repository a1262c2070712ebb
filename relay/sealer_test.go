package relay_test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func masterKey(b byte) relay.Secret {
	return relay.NewSecret(strings.Repeat(string(rune(b)), relay.MasterKeyLen))
}

func newSealer(t testing.TB, random io.Reader, keys ...relay.Secret) *relay.Sealer {
	t.Helper()
	s, err := relay.NewSealer(keys, random)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *relay.Sealer, purpose relay.SealPurpose, context, plain string) []byte {
	t.Helper()
	sealed, err := s.Seal(purpose, context, []byte(plain))
	if err != nil {
		t.Fatal(err)
	}
	return sealed
}

func wantSealed(t *testing.T, what string, plain []byte, err error) {
	t.Helper()
	if !errors.Is(err, relay.ErrSealed) || err.Error() != relay.ErrSealed.Error() || plain != nil {
		t.Errorf("%s: got %q, %v, want %v and no more", what, plain, err, relay.ErrSealed)
	}
}

func TestSealerRoundTrip(t *testing.T) {
	t.Parallel()
	s := newSealer(t, rand.Reader, masterKey('a'))
	for name, plain := range map[string]string{"text": "session-key", "nothing": "", "bytes": "\x00\xff\x00", "much": strings.Repeat("x", 20<<10)} {
		sealed := seal(t, s, relay.SealMiniSession, "row", plain)
		if plain != "" && bytes.Contains(sealed, []byte(plain)) {
			t.Errorf("%s: the sealed value shows the plain one", name)
		}
		got, err := s.Open(relay.SealMiniSession, "row", sealed)
		if err != nil || string(got) != plain {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, plain)
		}
		if again := seal(t, s, relay.SealMiniSession, "row", plain); bytes.Equal(again, sealed) {
			t.Errorf("%s: sealed twice alike, which tells that the values are alike", name)
		}
	}
}

// What this program sealed, later ones open.
func TestSealerForm(t *testing.T) {
	t.Parallel()
	s := newSealer(t, strings.NewReader(strings.Repeat("n", 12)), masterKey('k'))
	const want = "0159681e3d50f244966e6e6e6e6e6e6e6e6e6e6e6e094945bf07d8f982224b3f86ad2c32ee310891a50a"
	sealed := seal(t, s, relay.SealAccountToken, "wx1/access_token", "token")
	if got := hex.EncodeToString(sealed); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Every change is found, and none is told from another.
func TestSealerTamper(t *testing.T) {
	t.Parallel()
	s := newSealer(t, rand.Reader, masterKey('a'), masterKey('b'))
	sealed := seal(t, s, relay.SealMiniSession, "row", "plain")
	for i := range sealed {
		for bit := range 8 {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1 << bit
			plain, err := s.Open(relay.SealMiniSession, "row", changed)
			wantSealed(t, fmt.Sprintf("bit %d of byte %d flipped", bit, i), plain, err)
		}
		plain, err := s.Open(relay.SealMiniSession, "row", sealed[:i])
		wantSealed(t, fmt.Sprintf("cut to %d bytes", i), plain, err)
	}
	plain, err := s.Open(relay.SealMiniSession, "row", append(bytes.Clone(sealed), 0))
	wantSealed(t, "a byte more", plain, err)
	plain, err = s.Open(relay.SealMiniSession, "row", nil)
	wantSealed(t, "nothing", plain, err)
}

// A sealed value opens in its own place alone: a thief who can write to the
// store cannot have another row's secret opened for him.
func TestSealerPlace(t *testing.T) {
	t.Parallel()
	s := newSealer(t, rand.Reader, masterKey('a'))
	for _, c := range []struct {
		name             string
		purpose, opening relay.SealPurpose
		context, at      string
	}{
		{"another row", "p", "p", "row1", "row2"},
		{"another purpose", relay.SealMiniSession, relay.SealAccountToken, "row", "row"},
		{"no context", "p", "p", "row", ""},
		{"no purpose", "p", "", "row", "row"},
		{"a longer context", "p", "p", "row", "row\x00"},
		{"the border moved", "ab", "a", "c", "bc"},
		{"the other way round", "a", "b", "b", "a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			plain, err := s.Open(c.opening, c.at, seal(t, s, c.purpose, c.context, "plain"))
			wantSealed(t, "opened elsewhere", plain, err)
		})
	}
}

func TestSealerRotation(t *testing.T) {
	t.Parallel()
	before, after := masterKey('a'), masterKey('b')
	sealed := seal(t, newSealer(t, rand.Reader, before), "p", "row", "plain")
	for _, c := range []struct {
		name  string
		keys  []relay.Secret
		opens bool
	}{
		{"the key", []relay.Secret{before}, true},
		{"a new one before it", []relay.Secret{after, before}, true},
		{"a new one after it", []relay.Secret{before, after}, true},
		{"retired", []relay.Secret{after}, false},
	} {
		plain, err := newSealer(t, rand.Reader, c.keys...).Open("p", "row", sealed)
		if !c.opens {
			wantSealed(t, c.name, plain, err)
		} else if err != nil || string(plain) != "plain" {
			t.Errorf("%s: got %q, %v, want it opened", c.name, plain, err)
		}
	}
	// The first seals.
	sealed = seal(t, newSealer(t, rand.Reader, after, before), "p", "row", "plain")
	if _, err := newSealer(t, rand.Reader, after).Open("p", "row", sealed); err != nil {
		t.Errorf("sealed with both, opened with the first: %v", err)
	}
}

func TestSealerThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		keys   []relay.Secret
		random io.Reader
	}{
		{"no key", nil, rand.Reader},
		{"an empty key", []relay.Secret{{}}, rand.Reader},
		{"a short key", []relay.Secret{masterKey('a'), relay.NewSecret("hidden")}, rand.Reader},
		{"a long key", []relay.Secret{relay.NewSecret(strings.Repeat("hidden", 6))}, rand.Reader},
		{"no randomness", []relay.Secret{masterKey('a')}, nil},
	} {
		s, err := relay.NewSealer(c.keys, c.random)
		if err == nil || s != nil || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%s: got %v, %v, want an error without the key", c.name, s, err)
		}
	}
	s := newSealer(t, strings.NewReader("short"), masterKey('a'))
	if sealed, err := s.Seal("p", "row", []byte("plain")); err == nil || sealed != nil {
		t.Errorf("randomness that ends: got %x, %v, want an error", sealed, err)
	}
}

// H03: no way of printing a Sealer shows a key.
func TestSealerRedacts_H03(t *testing.T) {
	t.Parallel()
	s := newSealer(t, rand.Reader, relay.NewSecret("0123456789abcdef0123456789ABCDEF"))
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "sealer", s)
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), log.String()} {
		if strings.Contains(strings.ReplaceAll(text, "REDACTED", ""), "[") || !strings.Contains(text, "REDACTED") {
			t.Errorf("%s: want the keys redacted", text)
		}
	}
}

func TestParseMasterKey(t *testing.T) {
	t.Parallel()
	const good = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUY="
	key, err := relay.ParseMasterKey(relay.NewSecret(good))
	if err != nil || string(key.Reveal()) != "0123456789abcdef0123456789ABCDEF" {
		t.Errorf("got %d bytes, %v, want the key", key.Len(), err)
	}
	for name, text := range map[string]string{
		"nothing":        "",
		"no padding":     strings.TrimRight(good, "="),
		"short":          "MDEyMzQ1Njc4OWFiY2RlZg==",
		"long":           "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlBQkNERUYx",
		"another base64": strings.Repeat("-", 43) + "=",
		"loose bits":     good[:42] + "Z=",
		"hexadecimal":    strings.Repeat("0f", 32),
		"a space":        good + " ",
		"the bytes":      "0123456789abcdef0123456789ABCDEF",
	} {
		if key, err := relay.ParseMasterKey(relay.NewSecret(text)); err == nil || key.Len() != 0 || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %d bytes, %v, want an error without the text", name, key.Len(), err)
		}
	}
}

func TestValidateMasterKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		keys []relay.Secret
		want string
	}{
		{"none", nil, ""},
		{"two", []relay.Secret{masterKey('a'), masterKey('b')}, ""},
		{"short", []relay.Secret{relay.NewSecret("hidden")}, "master_key: must be 32 bytes, but has 6"},
		{"twice", []relay.Secret{masterKey('a'), masterKey('b'), masterKey('a')}, "master_key: is given twice"},
	} {
		cfg := testConfig(t)
		cfg.MasterKeys = c.keys
		err := cfg.Validate()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// FuzzSealerOpen: nothing but what was sealed opens.
func FuzzSealerOpen(f *testing.F) {
	// The same in each process that fuzzes.
	s := newSealer(f, strings.NewReader(strings.Repeat("n", 12)), masterKey('a'))
	sealed := seal(f, s, relay.SealMiniSession, "row", "plain")
	f.Add(sealed)
	f.Add(sealed[:20])
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		plain, err := s.Open(relay.SealMiniSession, "row", b)
		if bytes.Equal(b, sealed) {
			if err != nil || string(plain) != "plain" {
				t.Errorf("got %q, %v, want it opened", plain, err)
			}
			return
		}
		wantSealed(t, "forged", plain, err)
	})
}
