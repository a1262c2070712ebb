package payv3

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
)

// privateKeyOf reads a vector's key, which has no PEM lines.
func privateKeyOf(t *testing.T, der []byte) *rsa.PrivateKey {
	t.Helper()
	key, err := ParsePrivateKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func TestCertificateSerial(t *testing.T) {
	t.Parallel()
	type input struct {
		Certificate string `json:"certificate_pem"`
	}
	forEachVector(t, "cert_serial", func(t *testing.T, v vector[input, struct{ Serial string }]) {
		t.Helper()
		c, err := ParseCertificate([]byte(v.Input.Certificate))
		if err != nil {
			t.Fatal(err)
		}
		if got := CertificateSerial(c); got != v.Expected.Serial {
			t.Errorf("CertificateSerial = %q, want %q", got, v.Expected.Serial)
		}
	})
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	key := testKeys().merchant
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	for name, data := range map[string][]byte{
		"PKCS #8": pemOf(t, "PRIVATE KEY", pkcs8, err),
		"PKCS #1": pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key), nil),
	} {
		if got, err := ParsePrivateKey(data); err != nil || !got.Equal(key) {
			t.Errorf("ParsePrivateKey of %s: %v", name, err)
		}
	}
	pkix, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if got, err := ParsePublicKey(pemOf(t, "PUBLIC KEY", pkix, err)); err != nil || !got.Equal(&key.PublicKey) {
		t.Errorf("ParsePublicKey: %v", err)
	}
}

func TestParseKeysRefuses(t *testing.T) {
	t.Parallel()
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curvePrivate, err := x509.MarshalPKCS8PrivateKey(curve)
	curvePEM := pemOf(t, "PRIVATE KEY", curvePrivate, err)
	curvePublic, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	curvePublicPEM := pemOf(t, "PUBLIC KEY", curvePublic, err)
	good := pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(testKeys().merchant), nil)
	certificate := certificatePEM(newCertificate(t, 0x10, testKeys().platform, 0, nil, nil))
	junk := pemOf(t, "PRIVATE KEY", []byte("secret-marker"), nil)

	parsers := map[string]func([]byte) error{
		"private":     func(b []byte) error { _, err := ParsePrivateKey(b); return err },
		"public":      func(b []byte) error { _, err := ParsePublicKey(b); return err },
		"certificate": func(b []byte) error { _, err := ParseCertificate(b); return err },
	}
	tests := []struct {
		name, parser string
		data         []byte
	}{
		{"empty", "private", nil},
		{"text", "private", []byte("secret-marker")},
		{"two keys", "private", slices.Concat(good, good)},
		{"certificate for key", "private", certificate},
		{"elliptic curve", "private", curvePEM},
		{"no key inside", "private", junk},
		{"private for public", "public", good},
		{"elliptic curve", "public", curvePublicPEM},
		{"no key inside", "public", pemOf(t, "PUBLIC KEY", []byte("secret-marker"), nil)},
		{"key for certificate", "certificate", good},
		{"no certificate inside", "certificate", pemOf(t, "CERTIFICATE", []byte("secret-marker"), nil)},
	}
	for _, tt := range tests {
		t.Run(tt.parser+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			err := parsers[tt.parser](tt.data)
			if err == nil || strings.Contains(err.Error(), "secret-marker") {
				t.Errorf("got %v, want an error without the content", err)
			}
		})
	}
}

// TestKeySize_J09: a planted key must not make each check slow.
func TestKeySize_J09(t *testing.T) {
	t.Parallel()
	modulus := func(bits uint) *big.Int {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		return n.SetBit(n, 0, 1)
	}
	tests := []struct {
		name string
		key  rsa.PublicKey
		ok   bool
	}{
		{"2048", rsa.PublicKey{N: modulus(2048), E: 65537}, true},
		{"4096", rsa.PublicKey{N: modulus(4096), E: 65537}, true},
		{"exponent 3", rsa.PublicKey{N: modulus(2048), E: 3}, true},
		{"1024", rsa.PublicKey{N: modulus(1024), E: 65537}, false},
		{"2047", rsa.PublicKey{N: modulus(2047), E: 65537}, false},
		{"4097", rsa.PublicKey{N: modulus(4097), E: 65537}, false},
		{"16384", rsa.PublicKey{N: modulus(16384), E: 65537}, false},
		{"exponent 1", rsa.PublicKey{N: modulus(2048), E: 1}, false},
		{"even exponent", rsa.PublicKey{N: modulus(2048), E: 65536}, false},
		{"great exponent", rsa.PublicKey{N: modulus(2048), E: 1<<31 - 1}, false},
	}
	for _, tt := range tests {
		if err := CheckKeySize(&tt.key); (err == nil) != tt.ok {
			t.Errorf("%s: %v, want ok %t", tt.name, err, tt.ok)
		}
	}
	big, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus(16384), E: 65537})
	if _, err := ParsePublicKey(pemOf(t, "PUBLIC KEY", big, err)); err == nil {
		t.Error("ParsePublicKey takes a key of 16384 bits")
	}
}
