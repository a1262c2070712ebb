package payv3

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestDecryptSensitiveVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		Key        []byte `json:"private_key_pkcs8_b64"`
		Ciphertext string
	}
	forEachVector(t, "rsa_oaep_sha1_decrypt", func(t *testing.T, v vector[input, struct{ Plaintext string }]) {
		t.Helper()
		key := privateKeyOf(t, v.Input.Key)
		if got, err := DecryptSensitive(key, v.Input.Ciphertext); err != nil || got != v.Expected.Plaintext {
			t.Errorf("got %q, %v, want %q", got, err, v.Expected.Plaintext)
		}
		sealed, err := base64.StdEncoding.DecodeString(v.Input.Ciphertext)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, 1, len(sealed) / 2, len(sealed) - 1} {
			changed := append([]byte(nil), sealed...)
			changed[i] ^= 1
			if got, err := DecryptSensitive(key, base64.StdEncoding.EncodeToString(changed)); !errors.Is(err, ErrSensitive) || got != "" {
				t.Errorf("changed at %d: got %q, %v", i, got, err)
			}
		}
		for _, bad := range []string{"", "*", v.Input.Ciphertext[4:]} {
			if got, err := DecryptSensitive(key, bad); !errors.Is(err, ErrSensitive) || got != "" {
				t.Errorf("%q: got %q, %v", bad, got, err)
			}
		}
		again, err := EncryptSensitive(&key.PublicKey, v.Expected.Plaintext)
		if err != nil || again == v.Input.Ciphertext {
			t.Fatalf("EncryptSensitive = %q, %v, want another ciphertext each time", again, err)
		}
		if got, err := DecryptSensitive(key, again); err != nil || got != v.Expected.Plaintext {
			t.Errorf("there and back: %q, %v", got, err)
		}
	})
}

func TestEncryptSensitiveBound(t *testing.T) {
	t.Parallel()
	key := testKeys().merchant
	if _, err := EncryptSensitive(&key.PublicKey, strings.Repeat("x", 214)); err != nil {
		t.Errorf("214 bytes: %v", err)
	}
	if _, err := EncryptSensitive(&key.PublicKey, strings.Repeat("x", 215)); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("215 bytes: %v, want an error without the text", err)
	}
}

// TestEncrypter: the key is the one that the header names, and the newest.
func TestEncrypter(t *testing.T) {
	t.Parallel()
	old := newCertificate(t, 0x11, testKeys().platform, -24*time.Hour, nil, nil)
	next := newCertificate(t, 0x22, testKeys().next, 0, nil, nil)
	later := newCertificate(t, 0x33, testKeys().stranger, 60*24*time.Hour, nil, nil)
	tests := []struct {
		name   string
		ring   *KeyRing
		serial string // empty: none
		reads  *rsa.PrivateKey
	}{
		{"public key", publicKeyRing(t), testPublicKey, testKeys().platform},
		{"newest certificate", newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{old, next, later}}), "22", testKeys().next},
		{"both", newTestRing(t, KeyRingOptions{
			PublicKeys: map[string]*rsa.PublicKey{testPublicKey: &testKeys().platform.PublicKey}, Certificates: true, Known: []*x509.Certificate{next},
		}), testPublicKey, testKeys().platform},
		{"none yet", newTestRing(t, KeyRingOptions{Certificates: true}), "", nil},
		{"none valid", newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{later}}), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(o *ClientOptions) { o.Keys = tt.ring })
			e, err := c.Encrypter(t.Context())
			if e.Serial != tt.serial || (err == nil) != (tt.serial != "") {
				t.Fatalf("Encrypter = %q, %v", e.Serial, err)
			}
			if tt.serial == "" {
				return
			}
			sealed, err := e.Encrypt("张三")
			if err != nil {
				t.Fatal(err)
			}
			if got, err := DecryptSensitive(tt.reads, sealed); err != nil || got != "张三" {
				t.Errorf("read as %q, %v", got, err)
			}
		})
	}
}

// TestEncrypterDownloads: a relay in certificate mode that just started
// fetches the key that it needs.
func TestEncrypterDownloads(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, 0x44, testKeys().platform, 0, nil, nil)
	p := certificatePlatform(t, certificate, testKeys().platform)
	c := newTestClient(t, func(o *ClientOptions) {
		o.Keys = newTestRing(t, KeyRingOptions{Certificates: true})
		o.HTTP = serve(func(w http.ResponseWriter, _ *http.Request) {
			body, err := p.CertificatesReply(newTestCipher(t))
			if err != nil {
				t.Error(err)
			}
			reply(t, w, p, "44", http.StatusOK, string(body))
		})
	})
	if e, err := c.Encrypter(t.Context()); err != nil || e.Serial != "44" {
		t.Errorf("Encrypter = %q, %v", e.Serial, err)
	}
}

func TestClientDecryptSensitive(t *testing.T) {
	t.Parallel()
	sealed, err := EncryptSensitive(&testKeys().merchant.PublicKey, "李四")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := newTestClient(t, nil).DecryptSensitive(sealed); err != nil || got != "李四" {
		t.Errorf("got %q, %v", got, err)
	}
}
