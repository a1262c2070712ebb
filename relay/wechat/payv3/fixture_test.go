package payv3

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// What the tests of this package agree on.
const (
	testMchID     = "1900000001"
	testSerial    = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1"
	testAPIv3Key  = "0123456789abcdef0123456789ABCDEF"
	testPublicKey = "PUB_KEY_ID_0000000000000024101100397200000006"
)

var testNow = time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)

// testKeys are generated once; RSA keys take long.
var testKeys = sync.OnceValue(func() (keys struct{ merchant, platform, next, stranger *rsa.PrivateKey }) {
	for _, k := range []**rsa.PrivateKey{&keys.merchant, &keys.platform, &keys.next, &keys.stranger} {
		var err error
		if *k, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			panic(err)
		}
	}
	return keys
})

// fixedClock is a clock that stands still.
func fixedClock() time.Time { return testNow }

// newCertificate issues a certificate for key, valid from 30 days before
// testNow to 30 days after it, moved by shift. parent nil means self-signed.
func newCertificate(tb testing.TB, serial int64, key *rsa.PrivateKey, shift time.Duration, parent *x509.Certificate, parentKey *rsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(serial),
		Subject:               pkix.Name{CommonName: "Tenpay.com sign"},
		NotBefore:             testNow.AddDate(0, 0, -30).Add(shift),
		NotAfter:              testNow.AddDate(0, 0, 30).Add(shift),
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if parent == nil {
		parent, parentKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// certificatePlatform signs with key, known by its certificate.
func certificatePlatform(tb testing.TB, c *x509.Certificate, key *rsa.PrivateKey) *Platform {
	tb.Helper()
	return newTestPlatform(tb, PlatformKey{Serial: CertificateSerial(c), Private: key, Certificate: c})
}

// publicKeyPlatform signs with the key that publicKeyRing trusts.
func publicKeyPlatform(tb testing.TB) *Platform {
	tb.Helper()
	return newTestPlatform(tb, PlatformKey{Serial: testPublicKey, Private: testKeys().platform})
}

func newTestPlatform(tb testing.TB, keys ...PlatformKey) *Platform {
	tb.Helper()
	p, err := NewPlatform(PlatformOptions{Keys: keys, Now: fixedClock})
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func newTestRing(tb testing.TB, o KeyRingOptions) *KeyRing {
	tb.Helper()
	k, err := NewKeyRing(o)
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func publicKeyRing(tb testing.TB) *KeyRing {
	tb.Helper()
	return newTestRing(tb, KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{testPublicKey: &testKeys().platform.PublicKey}})
}

func newTestCipher(tb testing.TB) *Cipher {
	tb.Helper()
	c, err := NewCipher(APIv3Key(testAPIv3Key))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// newTestClient returns a client in public-key mode with the fixed clock;
// change alters its options.
func newTestClient(tb testing.TB, change func(*ClientOptions)) *Client {
	tb.Helper()
	o := ClientOptions{
		MchID:             testMchID,
		CertificateSerial: testSerial,
		PrivateKey:        testKeys().merchant,
		APIv3Key:          APIv3Key(testAPIv3Key),
		Keys:              publicKeyRing(tb),
		BaseURL:           "https://primary.example",
		BackupURL:         "https://backup.example",
		HTTP:              &http.Client{Transport: roundTripper(noRequest)},
		Now:               fixedClock,
	}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func noRequest(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// serve makes a handler answer requests without a network.
func serve(h http.HandlerFunc) *http.Client {
	return &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		w := httptest.NewRecorder()
		h(w, r)
		return w.Result(), nil
	})}
}

// reply writes an answer signed by p with the key called serial.
func reply(tb testing.TB, w http.ResponseWriter, p *Platform, serial string, status int, body string) {
	tb.Helper()
	if err := p.SignHeaders(w.Header(), serial, []byte(body)); err != nil {
		tb.Error(err)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

// signedNotification returns a notification of the public-key platform.
func signedNotification(tb testing.TB, eventType, originalType, plaintext string) (http.Header, []byte) {
	tb.Helper()
	p := publicKeyPlatform(tb)
	body, err := p.NewNotification(newTestCipher(tb), "EV-2018022511223320873", eventType, originalType, "支付成功", []byte(plaintext))
	if err != nil {
		tb.Fatal(err)
	}
	return signed(tb, p, testPublicKey, body), body
}

func signed(tb testing.TB, p *Platform, serial string, body []byte) http.Header {
	tb.Helper()
	h := http.Header{}
	if err := p.SignHeaders(h, serial, body); err != nil {
		tb.Fatal(err)
	}
	return h
}

// vector is one known answer.
type vector[In, Want any] struct {
	ID       string `json:"id"`
	KeyBits  int    `json:"aes_key_bits"` // 128 for keys that production refuses
	Input    In     `json:"input"`
	Expected Want   `json:"expected"`
}

// forEachVector runs test for every vector of a kind.
func forEachVector[In, Want any](t *testing.T, kind string, test func(t *testing.T, v vector[In, Want])) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", kind+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Kind    string             `json:"kind"`
		Vectors []vector[In, Want] `json:"vectors"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	if file.Kind != kind || len(file.Vectors) == 0 {
		t.Fatalf("file holds %d vectors of kind %q", len(file.Vectors), file.Kind)
	}
	for _, v := range file.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			test(t, v)
		})
	}
}

// flips calls test with data changed in one bit, for each byte.
func flips(data []byte, test func(i int, changed []byte)) {
	for i := range data {
		changed := bytes.Clone(data)
		changed[i] ^= 1
		test(i, changed)
	}
}
