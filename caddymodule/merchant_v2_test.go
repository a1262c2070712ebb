package caddymodule

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// clientPEM is a merchant's certificate, valid for an hour or expired, with
// its key, as PEM.
type clientPEM struct{ valid, expired, key string }

var clientPEMs = sync.OnceValue(func() (p clientPEM) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	certificate := func(notAfter time.Time) string {
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "1900000109"},
			NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
		if err != nil {
			panic(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return clientPEM{
		valid:   certificate(time.Now().Add(time.Hour)),
		expired: certificate(time.Now().Add(-time.Hour)),
		key:     string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
	}
})

// TestClientCertificate_H14 loads the merchant's certificate with its key, and
// tells of what is unwise about them.
func TestClientCertificate_H14(t *testing.T) {
	pems := clientPEMs()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, content, 0o600)
		return path
	}
	valid, key := file("apiclient_cert.pem", pems.valid), file("apiclient_key.pem", pems.key)
	readable := filepath.Join(dir, "readable.pem")
	writeFile(t, readable, pems.key, 0o644)
	t.Setenv("WXRELAY_TEST_CERTIFICATE", pems.valid)
	t.Setenv("WXRELAY_TEST_KEY", key)
	for _, tt := range []struct {
		name, certificate, key string
		warning, problem       string
	}{
		{"files", valid, key, "", ""},
		{"placeholders", "{env.WXRELAY_TEST_CERTIFICATE}", "{env.WXRELAY_TEST_KEY}", "", ""},
		{"key that everybody reads", valid, readable, "every user of this machine", ""},
		{"expired", file("expired.pem", pems.expired), key, "the certificate expired on", ""},
		{"exchanged", key, valid, "", "reading certificate: "},
		{"no key", valid, file("empty.pem", ""), "", "no PEM block"},
		{"missing", filepath.Join(dir, "missing"), key, "", "reading key file: "},
		{"one of two", valid, "", "", "needs two paths"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newResolver()
			c := &APIv2{Key: "{env.WXRELAY_TEST_KEY}", ClientCertificate: &ClientCertificate{Certificate: tt.certificate, Key: tt.key}}
			built := c.build(r, "merchant main", false)
			if (built.Certificate != nil) != (tt.problem == "") {
				t.Errorf("certificate %v with problems %v", built.Certificate, r.problems)
			}
			if tt.problem != "" && (len(r.problems) != 1 || !strings.Contains(r.problems[0].Error(), tt.problem) ||
				!strings.HasPrefix(r.problems[0].Error(), "merchant main: api_v2 client_certificate: ")) {
				t.Errorf("problems %v, want one with %q", r.problems, tt.problem)
			}
			if tt.warning == "" && len(r.warnings) > 0 || tt.warning != "" && (len(r.warnings) != 1 || !strings.Contains(r.warnings[0].text, tt.warning)) {
				t.Errorf("warnings %v, want one with %q", r.warnings, tt.warning)
			}
		})
	}
}

// A certificate of another key is found when the configuration is loaded, not
// at the first refund.
func TestClientCertificateOfAnotherKey(t *testing.T) {
	dir := t.TempDir()
	certificate, key := filepath.Join(dir, "apiclient_cert.pem"), filepath.Join(dir, "apiclient_key.pem")
	writeFile(t, certificate, clientPEMs().valid, 0o600)
	writeFile(t, key, pemKeys().private, 0o600)
	t.Setenv("WXRELAY_TEST_V2_KEY", "0123456789abcdef0123456789ABCDEF")
	_, err := provision(t, `{"public_url": "http://localhost", "accounts": [{"name": "mini", "kind": "mini_program", "app_id": "wx8888888888888888"}],
		"merchants": [{"name": "main", "mch_id": "1900000109", "api_v2": {"key": "{env.WXRELAY_TEST_V2_KEY}",
		"client_certificate": {"certificate": "`+certificate+`", "key": "`+key+`"}}}]}`)
	if err == nil || !strings.Contains(err.Error(), "merchant main: api_v2 client_certificate: does not belong to its key") {
		t.Errorf("got %v", err)
	}
}

// H06: a v2 key in clear is told at the start.
func TestAPIv2KeyInClear_H06(t *testing.T) {
	t.Parallel()
	r := newResolver()
	built := (&APIv2{Key: "0123456789abcdef0123456789ABCDEF"}).build(r, "merchant main", false)
	if len(r.warnings) != 1 || r.warnings[0].field != "api_v2 key" || built.SignType != relay.V2SignMD5 {
		t.Errorf("warnings %v, sign type %q", r.warnings, built.SignType)
	}
}
