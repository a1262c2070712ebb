package payv3

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

type certificateVector struct {
	APIv3Key string `json:"apiv3_key"`
	Response string
}

type certificateExpected struct {
	SerialNo        string    `json:"serial_no"`
	SubjectCN       string    `json:"subject_cn"`
	NotBefore       time.Time `json:"not_before"`
	NotAfter        time.Time `json:"not_after"`
	PlaintextSHA256 string    `json:"plaintext_sha256"`
}

func TestDecryptCertificatesVectors(t *testing.T) {
	t.Parallel()
	forEachVector(t, "platform_certificate", func(t *testing.T, v vector[certificateVector, certificateExpected]) {
		t.Helper()
		cipher, err := newCipher(APIv3Key(v.Input.APIv3Key))
		if err != nil {
			t.Fatal(err)
		}
		c := newTestClient(t, nil)
		c.cipher = cipher
		at := v.Expected.NotBefore.Add(time.Hour)
		certificates, err := c.decryptCertificates([]byte(v.Input.Response), at)
		if err != nil || len(certificates) != 1 {
			t.Fatalf("decryptCertificates = %v, %v", certificates, err)
		}
		got := certificates[0]
		if CertificateSerial(got) != v.Expected.SerialNo || got.Subject.CommonName != v.Expected.SubjectCN ||
			!got.NotBefore.Equal(v.Expected.NotBefore) || !got.NotAfter.Equal(v.Expected.NotAfter) {
			t.Errorf("got %s %q %v %v", CertificateSerial(got), got.Subject.CommonName, got.NotBefore, got.NotAfter)
		}
		var reply certificatesReply
		if err := json.Unmarshal([]byte(v.Input.Response), &reply); err != nil {
			t.Fatal(err)
		}
		text, err := cipher.Open(reply.Data[0].EncryptCertificate)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != v.Expected.PlaintextSHA256 {
			t.Errorf("plaintext has digest %x", sum)
		}
		refuseChanged(t, cipher, Resource{
			Algorithm: algorithmAESGCM, Nonce: reply.Data[0].EncryptCertificate.Nonce,
			AssociatedData: reply.Data[0].EncryptCertificate.AssociatedData, Ciphertext: reply.Data[0].EncryptCertificate.Ciphertext,
		})
		refuseCertificates(t, c, v.Input.Response, v.Expected)
	})
}

// refuseCertificates changes what stands around the certificate.
func refuseCertificates(t *testing.T, c *Client, response string, want certificateExpected) {
	t.Helper()
	at := want.NotBefore.Add(time.Hour)
	flips([]byte(want.SerialNo), func(i int, changed []byte) {
		tampered := strings.Replace(response, want.SerialNo, string(changed), 1)
		if got, err := c.decryptCertificates([]byte(tampered), at); err == nil || got != nil {
			t.Errorf("serial_no changed at %d passes", i)
		}
	})
	if got, err := c.decryptCertificates([]byte(response), want.NotAfter.Add(time.Second)); err == nil || got != nil {
		t.Error("an expired certificate passes")
	}
	if got, err := c.decryptCertificates([]byte(strings.Replace(response, `"data"`, `"Data"`, 1)), at); err == nil || got != nil {
		t.Error("a case variant passes")
	}
	if got, err := c.decryptCertificates([]byte(`{"data":[]}`), at); err == nil || got != nil {
		t.Error("an empty list passes")
	}
}

// certificateServer answers downloads as the platform that signs with serial;
// it counts them and keeps the last Wechatpay-Serial of a request.
type certificateServer struct {
	t        *testing.T
	platform *Platform
	serial   string
	cipher   *Cipher
	calls    atomic.Int32
	asked    atomic.Pointer[string]
}

func (s *certificateServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	asked := r.Header.Get(headerSerial)
	s.asked.Store(&asked)
	if r.URL.RequestURI() != "/v3/certificates" {
		s.t.Errorf("asked for %s", r.URL.RequestURI())
	}
	body, err := s.platform.CertificatesReply(s.cipher)
	if err != nil {
		s.t.Error(err)
	}
	reply(s.t, w, s.platform, s.serial, http.StatusOK, string(body))
}

func newCertificateServer(t *testing.T, serial string, keys ...PlatformKey) *certificateServer {
	t.Helper()
	return &certificateServer{t: t, platform: newTestPlatform(t, keys...), serial: serial, cipher: newTestCipher(t)}
}

func keyOf(c *x509.Certificate, key *rsa.PrivateKey) PlatformKey {
	return PlatformKey{Serial: CertificateSerial(c), Private: key, Certificate: c}
}

func TestDownloadCertificatesBootstrap(t *testing.T) {
	t.Parallel()
	first := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	coming := newCertificate(t, 0x11, testKeys().next, 31*24*time.Hour, nil, nil)
	server := newCertificateServer(t, "10", keyOf(first, testKeys().platform), keyOf(coming, testKeys().next))
	var downloaded []string
	c := newTestClient(t, func(o *ClientOptions) {
		o.Keys = newTestRing(t, KeyRingOptions{Certificates: true})
		o.HTTP = serve(server.ServeHTTP)
		o.Hooks.CertificatesDownloaded = func(serials []string, err error) {
			if err != nil {
				t.Error(err)
			}
			downloaded = serials
		}
	})
	if err := c.DownloadCertificates(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(downloaded, []string{"10", "11"}) {
		t.Errorf("hook got %v", downloaded)
	}
	if c.keys.key("10", testNow) == nil || c.keys.key("11", testNow) != nil || c.keys.key("11", testNow.Add(48*time.Hour)) == nil {
		t.Error("the coming certificate must be known, but not trusted yet")
	}
	if *server.asked.Load() != "" {
		t.Errorf("the first download names the key %q", *server.asked.Load())
	}
	if err := c.DownloadCertificates(t.Context()); err != nil || *server.asked.Load() != "10" {
		t.Errorf("second download: %v, names %q", err, *server.asked.Load())
	}
}

// TestVerifyFetchesNewCertificate is a rotation: a notification of the new
// key makes the ring learn it from an answer of the old one.
func TestVerifyFetchesNewCertificate(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	first := newCertificate(t, 0x10, keys.platform, 0, nil, nil)
	next := newCertificate(t, 0x11, keys.next, 0, nil, nil)
	server := newCertificateServer(t, "10", keyOf(first, keys.platform), keyOf(next, keys.next))
	c := newTestClient(t, func(o *ClientOptions) {
		o.Keys = newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{first}})
		o.HTTP = serve(server.ServeHTTP)
	})
	body, err := server.platform.NewNotification(newTestCipher(t), "EV-1", "X", "y", "z", []byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, serial := range []string{"11", "10", "11"} {
		n, err := c.ParseNotification(t.Context(), signed(t, server.platform, serial, body), body)
		if err != nil || n.Serial != serial {
			t.Errorf("notification of %s: %v, %v", serial, n, err)
		}
	}
	if got := server.calls.Load(); got != 1 {
		t.Errorf("%d downloads, want 1", got)
	}
}

// TestDownloadCertificates_B17: whoever has the APIv3 key still cannot plant
// a certificate once a key is known.
func TestDownloadCertificates_B17(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	first := newCertificate(t, 0x10, keys.platform, 0, nil, nil)
	planted := newCertificate(t, 0x66, keys.stranger, 0, nil, nil)
	copied := newCertificate(t, 0x10, keys.stranger, 0, nil, nil) // the known serial number on another key
	expired := newCertificate(t, 0x12, keys.platform, -61*24*time.Hour, nil, nil)
	root := newCertificate(t, 0x01, keys.next, 0, nil, nil)
	issued := newCertificate(t, 0x13, keys.platform, 0, root, keys.next)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	public := map[string]*rsa.PublicKey{testPublicKey: &keys.platform.PublicKey}

	tests := []struct {
		name    string
		options KeyRingOptions
		serial  string // that signs the answer
		keys    []PlatformKey
		trusted string // serial number trusted afterwards; empty for a refusal
	}{
		{"signed by the known one", KeyRingOptions{Known: []*x509.Certificate{first}}, "10", []PlatformKey{keyOf(first, keys.platform)}, "10"},
		{"planted beside a known one", KeyRingOptions{Known: []*x509.Certificate{first}}, "66", []PlatformKey{keyOf(planted, keys.stranger)}, ""},
		{"planted under the known number", KeyRingOptions{Known: []*x509.Certificate{first}}, "10", []PlatformKey{keyOf(copied, keys.stranger)}, ""},
		{"planted beside a public key", KeyRingOptions{PublicKeys: public}, "66", []PlatformKey{keyOf(planted, keys.stranger)}, ""},
		{"signed by the public key", KeyRingOptions{PublicKeys: public}, testPublicKey, []PlatformKey{
			{Serial: testPublicKey, Private: keys.platform}, keyOf(first, keys.platform),
		}, "10"},
		{"planted at the start, roots known", KeyRingOptions{Roots: roots}, "66", []PlatformKey{keyOf(planted, keys.stranger)}, ""},
		{"issued by the root", KeyRingOptions{Roots: roots}, "13", []PlatformKey{keyOf(issued, keys.platform)}, "13"},
		{"expired", KeyRingOptions{}, "12", []PlatformKey{keyOf(expired, keys.platform)}, ""},
		{"the signer is not in the list", KeyRingOptions{}, "10", []PlatformKey{
			{Serial: "10", Private: keys.platform}, keyOf(planted, keys.stranger),
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.options.Certificates = true
			server := newCertificateServer(t, tt.serial, tt.keys...)
			c := newTestClient(t, func(o *ClientOptions) {
				o.Keys = newTestRing(t, tt.options)
				o.HTTP = serve(server.ServeHTTP)
			})
			before := len(*c.keys.trusted.Load())
			err := c.DownloadCertificates(t.Context())
			if tt.trusted != "" {
				if err != nil || c.keys.key(tt.trusted, testNow) == nil {
					t.Errorf("DownloadCertificates = %v, %s trusted %t", err, tt.trusted, c.keys.key(tt.trusted, testNow) != nil)
				}
				return
			}
			if err == nil || len(*c.keys.trusted.Load()) != before || c.keys.key("66", testNow) != nil {
				t.Errorf("DownloadCertificates = %v with %d certificates, had %d", err, len(*c.keys.trusted.Load()), before)
			}
			if got := c.keys.key("10", testNow); got != nil && !got.Equal(&keys.platform.PublicKey) {
				t.Error("the known certificate was replaced")
			}
		})
	}
}

// TestDownloadCertificatesUnsigned: the encryption alone proves nothing here.
func TestDownloadCertificatesUnsigned(t *testing.T) {
	t.Parallel()
	first := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	p := certificatePlatform(t, first, testKeys().platform)
	c := newTestClient(t, func(o *ClientOptions) {
		o.Keys = newTestRing(t, KeyRingOptions{Certificates: true})
		o.HTTP = serve(func(w http.ResponseWriter, _ *http.Request) {
			body, err := p.CertificatesReply(newTestCipher(t))
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(body)
		})
	})
	wantReason(t, c.DownloadCertificates(t.Context()), ReasonMissingHeader)
}

func TestDownloadCertificatesTurnedOff(t *testing.T) {
	t.Parallel()
	if err := newTestClient(t, nil).DownloadCertificates(t.Context()); err == nil {
		t.Error("a public-key ring takes certificates")
	}
}

func TestDownloadCertificatesOtherAPIv3Key(t *testing.T) {
	t.Parallel()
	first := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	server := newCertificateServer(t, "10", keyOf(first, testKeys().platform))
	c := newTestClient(t, func(o *ClientOptions) {
		o.Keys = newTestRing(t, KeyRingOptions{Certificates: true})
		o.APIv3Key = APIv3Key(strings.Repeat("k", 32))
		o.HTTP = serve(server.ServeHTTP)
	})
	if err := c.DownloadCertificates(t.Context()); !errors.Is(err, ErrResource) {
		t.Errorf("DownloadCertificates = %v, want ErrResource", err)
	}
}

// TestMaintainCertificates: regularly, sooner after a failure, and no longer
// than the context.
func TestMaintainCertificates(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		certificate := newCertificate(t, 0x10, keys.platform, time.Since(testNow), nil, nil)
		platform, err := NewPlatform(PlatformOptions{Keys: []PlatformKey{keyOf(certificate, keys.platform)}})
		if err != nil {
			t.Fatal(err)
		}
		server := &certificateServer{t: t, platform: platform, serial: "10", cipher: newTestCipher(t)}
		var at []time.Duration
		c := newTestClient(t, func(o *ClientOptions) {
			o.Keys = newTestRing(t, KeyRingOptions{Certificates: true})
			o.Now = time.Now
			o.HTTP = serve(func(w http.ResponseWriter, r *http.Request) {
				at = append(at, time.Since(start))
				if len(at) == 1 {
					http.Error(w, `{"code":"RESOURCE_NOT_EXISTS"}`, http.StatusNotFound)
					return
				}
				server.ServeHTTP(w, r)
			})
		})
		ctx, cancel := context.WithTimeout(t.Context(), 13*time.Hour)
		defer cancel()
		if err := c.MaintainCertificates(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("MaintainCertificates = %v", err)
		}
		want := []time.Duration{0, certificatesRetry, certificatesRetry + certificatesInterval, certificatesRetry + 2*certificatesInterval}
		if !slices.Equal(at, want) {
			t.Errorf("downloads at %v, want %v", at, want)
		}
	})
}
