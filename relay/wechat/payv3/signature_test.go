package payv3

import (
	"crypto/rsa"
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
)

type messageVector struct {
	Method, URL, Timestamp, Nonce, Body string
}

func TestRequestMessage(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_request_message", func(t *testing.T, v vector[messageVector, struct{ Message string }]) {
		t.Helper()
		u, err := url.Parse(v.Input.URL)
		if err != nil {
			t.Fatal(err)
		}
		got := RequestMessage(v.Input.Method, u.RequestURI(), v.Input.Timestamp, v.Input.Nonce, []byte(v.Input.Body))
		if string(got) != v.Expected.Message {
			t.Errorf("RequestMessage = %q, want %q", got, v.Expected.Message)
		}
	})
}

func TestResponseMessage(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_response_message", func(t *testing.T, v vector[messageVector, struct{ Message string }]) {
		t.Helper()
		got := ResponseMessage(v.Input.Timestamp, v.Input.Nonce, []byte(v.Input.Body))
		if string(got) != v.Expected.Message {
			t.Errorf("ResponseMessage = %q, want %q", got, v.Expected.Message)
		}
	})
}

type signVector struct {
	Key     []byte `json:"private_key_pkcs8_b64"`
	Message string
}

func TestSign(t *testing.T) {
	t.Parallel()
	forEachVector(t, "v3_sign", func(t *testing.T, v vector[signVector, struct{ Signature string }]) {
		t.Helper()
		key := privateKeyOf(t, v.Input.Key)
		got, err := Sign(key, []byte(v.Input.Message))
		if err != nil || got != v.Expected.Signature {
			t.Fatalf("Sign = %q, %v, want %q", got, err, v.Expected.Signature)
		}
		if other, err := Sign(key, []byte(v.Input.Message+" ")); err != nil || other == got {
			t.Errorf("another message has the signature %q, %v", other, err)
		}
	})
}

type verifyVector struct {
	Certificate string `json:"certificate_pem"`
	PublicKey   string `json:"public_key_pem"`
	Message     string
	Signature   string
}

func (v verifyVector) key(t *testing.T) *rsa.PublicKey {
	t.Helper()
	if v.Certificate == "" {
		key, err := ParsePublicKey([]byte(v.PublicKey))
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	c, err := ParseCertificate([]byte(v.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	key, err := certificateKey(c)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestVerifySignature(t *testing.T) {
	t.Parallel()
	type expected struct {
		Valid  bool
		Serial string `json:"certificate_serial"`
	}
	forEachVector(t, "v3_verify", func(t *testing.T, v vector[verifyVector, expected]) {
		t.Helper()
		key := v.Input.key(t)
		if err := verifySignature(key, []byte(v.Input.Message), v.Input.Signature); (err == nil) != v.Expected.Valid {
			t.Fatalf("verifySignature = %v, want valid %t", err, v.Expected.Valid)
		}
		if v.Expected.Serial != "" {
			c, err := ParseCertificate([]byte(v.Input.Certificate))
			if err != nil || CertificateSerial(c) != v.Expected.Serial {
				t.Errorf("CertificateSerial = %q, %v, want %q", CertificateSerial(c), err, v.Expected.Serial)
			}
		}
		if !v.Expected.Valid {
			return
		}
		flips([]byte(v.Input.Message), func(i int, changed []byte) {
			if verifySignature(key, changed, v.Input.Signature) == nil {
				t.Errorf("message changed at %d passes", i)
			}
		})
		flips([]byte(v.Input.Signature), func(i int, changed []byte) {
			if verifySignature(key, []byte(v.Input.Message), string(changed)) == nil {
				t.Errorf("signature changed at %d passes", i)
			}
		})
	})
}

// TestVerifySignatureOneSpelling: a signature has one base64 form only, so
// that it cannot be told apart from itself.
func TestVerifySignatureOneSpelling(t *testing.T) {
	t.Parallel()
	key := testKeys().platform
	message := []byte("message")
	good, err := Sign(key, message)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(good)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{
		"line feed inside":    good[:10] + "\n" + good[10:],
		"carriage return":     good + "\r",
		"blank before":        " " + good,
		"without padding":     strings.TrimRight(good, "="),
		"URL alphabet":        base64.URLEncoding.EncodeToString(raw) + "-",
		"stray trailing bits": strings.Replace(good, good[len(good)-3:], string(good[len(good)-3]+1)+"==", 1),
		"one byte short":      base64.StdEncoding.EncodeToString(raw[1:]),
		"one byte more":       base64.StdEncoding.EncodeToString(append([]byte{0}, raw...)),
		"empty":               "",
	}
	if err := verifySignature(&key.PublicKey, message, good); err != nil {
		t.Fatal(err)
	}
	for name, s := range tests {
		if verifySignature(&key.PublicKey, message, s) == nil {
			t.Errorf("%s passes", name)
		}
	}
}
