package payv3

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

type gcmVector struct {
	Key            string
	Nonce          string
	AssociatedData string `json:"associated_data"`
	Ciphertext     string
}

func TestCipherOpen_B10(t *testing.T) {
	t.Parallel()
	type expected struct {
		Plaintext string
		Error     bool
	}
	forEachVector(t, "aes_gcm", func(t *testing.T, v vector[gcmVector, expected]) {
		t.Helper()
		if _, err := NewCipher(APIv3Key(v.Input.Key)); (err != nil) != (v.KeyBits == 128) {
			t.Fatalf("NewCipher with a key of %d bytes: %v", len(v.Input.Key), err)
		}
		c, err := newCipher(APIv3Key(v.Input.Key))
		if err != nil {
			t.Fatal(err)
		}
		r := Resource{
			Algorithm: algorithmAESGCM, Ciphertext: v.Input.Ciphertext,
			AssociatedData: v.Input.AssociatedData, Nonce: v.Input.Nonce,
		}
		got, err := c.Open(r)
		if v.Expected.Error {
			if !errors.Is(err, ErrResource) || got != nil {
				t.Errorf("Open = %q, %v, want ErrResource", got, err)
			}
			return
		}
		if err != nil || string(got) != v.Expected.Plaintext {
			t.Fatalf("Open = %q, %v, want %q", got, err, v.Expected.Plaintext)
		}
		refuseChanged(t, c, r)
	})
}

// refuseChanged flips bits of every part of r and cuts its tag.
func refuseChanged(t *testing.T, c *Cipher, r Resource) {
	t.Helper()
	refuse := func(what string, r Resource) {
		t.Helper()
		if got, err := c.Open(r); !errors.Is(err, ErrResource) || got != nil {
			t.Errorf("%s: Open = %q, %v, want ErrResource and nothing", what, got, err)
		}
	}
	sealed, err := base64.StdEncoding.DecodeString(r.Ciphertext)
	if err != nil {
		t.Fatal(err)
	}
	flips(sealed, func(i int, changed []byte) { // the last 16 are the tag
		r := r
		r.Ciphertext = base64.StdEncoding.EncodeToString(changed)
		refuse(fmt.Sprintf("ciphertext byte %d", i), r)
	})
	flips([]byte(r.Nonce), func(i int, changed []byte) {
		r := r
		r.Nonce = string(changed)
		refuse(fmt.Sprintf("nonce byte %d", i), r)
	})
	flips([]byte(r.AssociatedData), func(i int, changed []byte) {
		r := r
		r.AssociatedData = string(changed)
		refuse(fmt.Sprintf("associated data byte %d", i), r)
	})
	for n := range sealed {
		r := r
		r.Ciphertext = base64.StdEncoding.EncodeToString(sealed[:n])
		refuse(fmt.Sprintf("cut to %d bytes", n), r)
	}
	other, err := newCipher(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := other.Open(r); !errors.Is(err, ErrResource) || got != nil {
		t.Errorf("other key: Open = %q, %v", got, err)
	}
}

// TestCipherOpenShapes_B11: Go's GCM panics on a nonce of another length.
func TestCipherOpenShapes_B11(t *testing.T) {
	t.Parallel()
	c := newTestCipher(t)
	good, err := c.Seal([]byte("plaintext"), "transaction", "transaction", "katvtHDDPxkw")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Open(good); err != nil || string(got) != "plaintext" {
		t.Fatalf("Open = %q, %v", got, err)
	}
	with := func(change func(*Resource)) Resource {
		r := good
		change(&r)
		return r
	}
	tests := map[string]Resource{
		"no nonce":           with(func(r *Resource) { r.Nonce = "" }),
		"nonce of 11":        with(func(r *Resource) { r.Nonce = r.Nonce[1:] }),
		"nonce of 13":        with(func(r *Resource) { r.Nonce += "x" }),
		"nonce of 64":        with(func(r *Resource) { r.Nonce = strings.Repeat("n", 64) }),
		"no ciphertext":      with(func(r *Resource) { r.Ciphertext = "" }),
		"15 bytes":           with(func(r *Resource) { r.Ciphertext = base64.StdEncoding.EncodeToString(make([]byte, 15)) }),
		"16 bytes":           with(func(r *Resource) { r.Ciphertext = base64.StdEncoding.EncodeToString(make([]byte, 16)) }),
		"no base64":          with(func(r *Resource) { r.Ciphertext = "*" + r.Ciphertext[1:] }),
		"line break inside":  with(func(r *Resource) { r.Ciphertext = r.Ciphertext[:24] + "\n" + r.Ciphertext[24:] }),
		"no padding":         with(func(r *Resource) { r.Ciphertext = strings.TrimRight(r.Ciphertext, "=") + "*" }),
		"no associated data": with(func(r *Resource) { r.AssociatedData = "" }),
		"nothing":            {},
	}
	for name, r := range tests {
		if got, err := c.Open(r); !errors.Is(err, ErrResource) || got != nil {
			t.Errorf("%s: Open = %q, %v, want ErrResource", name, got, err)
		}
	}
}

// TestCipherOpenAlgorithm_B12: only what is implemented is believed.
func TestCipherOpenAlgorithm_B12(t *testing.T) {
	t.Parallel()
	c := newTestCipher(t)
	r, err := c.Seal([]byte("plaintext"), "", "", "katvtHDDPxkw")
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{"", "AEAD_SM4_GCM", "AES-ECB", "aead_aes_256_gcm", "AEAD_AES_128_GCM", "AEAD_AES_256_GCM "} {
		r.Algorithm = algorithm
		if got, err := c.Open(r); !errors.Is(err, ErrResource) || got != nil {
			t.Errorf("%q: Open = %q, %v, want ErrResource", algorithm, got, err)
		}
	}
}

func TestNewCipherKeyLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 24, 31, 33, 64} {
		if _, err := NewCipher(make([]byte, n)); err == nil {
			t.Errorf("NewCipher takes %d bytes", n)
		}
	}
}

func TestCipherSealNonce(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 11, 13} {
		if r, err := newTestCipher(t).Seal(nil, "", "", strings.Repeat("n", n)); err == nil || r != (Resource{}) {
			t.Errorf("Seal with a nonce of %d bytes = %+v, %v", n, r, err)
		}
	}
}

func TestAPIv3KeyIsRedacted_H03(t *testing.T) {
	t.Parallel()
	const marker = "secret-marker"
	o := ClientOptions{APIv3Key: APIv3Key(marker)}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", o.APIv3Key, "options", struct{ Key APIv3Key }{o.APIv3Key})
	marshalled, err := json.Marshal(struct{ Key APIv3Key }{o.APIv3Key})
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		printed = append(printed, fmt.Sprintf(verb, o.APIv3Key), fmt.Sprintf(verb, struct{ Key APIv3Key }{o.APIv3Key}))
	}
	for _, s := range printed {
		leaks := strings.Contains(s, marker) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", marker)) || strings.Contains(s, "115 101 99")
		if leaks || !strings.Contains(s, redacted) {
			t.Errorf("printed %s", s)
		}
	}
}

// FuzzOpenResource is threat B11: whatever the shape, no panic, and nothing
// is returned with an error.
func FuzzOpenResource(f *testing.F) {
	c := newTestCipher(f)
	r, err := c.Seal([]byte("plaintext"), "", "transaction", "katvtHDDPxkw")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.Algorithm, r.Ciphertext, r.AssociatedData, r.Nonce)
	f.Add(r.Algorithm, r.Ciphertext, "", "short")
	f.Add("", "", "", "")
	f.Fuzz(func(t *testing.T, algorithm, ciphertext, associatedData, nonce string) {
		in := Resource{Algorithm: algorithm, Ciphertext: ciphertext, AssociatedData: associatedData, Nonce: nonce}
		got, err := c.Open(in)
		if (err == nil) == (got == nil) {
			t.Fatalf("Open = %q, %v", got, err)
		}
		if err == nil && in != (Resource{Algorithm: r.Algorithm, Ciphertext: r.Ciphertext, AssociatedData: r.AssociatedData, Nonce: r.Nonce}) {
			t.Fatalf("a resource that nobody sealed opens: %+v", in)
		}
	})
}
