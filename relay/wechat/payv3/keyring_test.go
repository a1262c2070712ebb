package payv3

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNewKeyRingRefuses(t *testing.T) {
	t.Parallel()
	key := &testKeys().platform.PublicKey
	great := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 16383), E: 65537}
	certificate := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	tests := []struct {
		name    string
		options KeyRingOptions
		want    string
	}{
		{"nothing", KeyRingOptions{}, "needs a public key or certificates"},
		{"id without prefix", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{"123": key}}, "is not PUB_KEY_ID_ and digits"},
		{"id with letters", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{publicKeyPrefix + "1a": key}}, "is not PUB_KEY_ID_ and digits"},
		{"bare prefix", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{publicKeyPrefix: key}}, "is not PUB_KEY_ID_ and digits"},
		{"nil key", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{testPublicKey: nil}}, "is missing"},
		{"J09 great key", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{testPublicKey: great}}, "16384 bits"},
		{"request serial unknown", KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{testPublicKey: key}, RequestSerial: publicKeyPrefix + "9"}, "names no public key"},
		{"known without certificates", KeyRingOptions{
			PublicKeys: map[string]*rsa.PublicKey{testPublicKey: key}, Known: []*x509.Certificate{certificate},
		}, "need certificates turned on"},
		{"roots without certificates", KeyRingOptions{
			PublicKeys: map[string]*rsa.PublicKey{testPublicKey: key}, Roots: x509.NewCertPool(),
		}, "need certificates turned on"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if k, err := NewKeyRing(tt.options); err == nil || k != nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("NewKeyRing = %v, %v, want %q", k, err, tt.want)
			}
		})
	}
}

func TestKeyRingRequestSerial(t *testing.T) {
	t.Parallel()
	key := &testKeys().platform.PublicKey
	keys := map[string]*rsa.PublicKey{publicKeyPrefix + "1": key, publicKeyPrefix + "3": key, publicKeyPrefix + "2": key}
	if got := newTestRing(t, KeyRingOptions{PublicKeys: keys}).requestSerial; got != publicKeyPrefix+"3" {
		t.Errorf("without a choice: %q, want the greatest", got)
	}
	if got := newTestRing(t, KeyRingOptions{PublicKeys: keys, RequestSerial: publicKeyPrefix + "1"}).requestSerial; got != publicKeyPrefix+"1" {
		t.Errorf("with a choice: %q", got)
	}
	if got := newTestRing(t, KeyRingOptions{Certificates: true}).requestSerial; got != "" {
		t.Errorf("certificates only: %q", got)
	}
}

// TestKeyRingBothModes: while WeChat changes over, the serial number decides.
func TestKeyRingBothModes(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	certificate := newCertificate(t, 0x10, keys.next, 0, nil, nil)
	public := map[string]*rsa.PublicKey{testPublicKey: &keys.platform.PublicKey}
	rings := map[string]*KeyRing{
		"public key":  newTestRing(t, KeyRingOptions{PublicKeys: public}),
		"certificate": newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{certificate}}),
		"both":        newTestRing(t, KeyRingOptions{PublicKeys: public, Certificates: true, Known: []*x509.Certificate{certificate}}),
	}
	p := newTestPlatform(t, PlatformKey{Serial: testPublicKey, Private: keys.platform}, PlatformKey{Serial: "10", Private: keys.next, Certificate: certificate})
	body := []byte("body")
	for _, tt := range []struct {
		ring, serial string
		want         VerifyReason
	}{
		{"public key", testPublicKey, ""},
		{"public key", "10", ReasonUnknownSerial},
		{"certificate", testPublicKey, ReasonUnknownSerial},
		{"certificate", "10", ""},
		{"both", testPublicKey, ""},
		{"both", "10", ""},
	} {
		t.Run(tt.ring+" "+tt.serial, func(t *testing.T) {
			t.Parallel()
			h := signed(t, p, tt.serial, body)
			_, err := rings[tt.ring].Verify(t.Context(), h, body, testNow)
			wantReason(t, err, tt.want)
			// Under the name of the other key the signature is worth nothing.
			for _, other := range []string{testPublicKey, "10"} {
				if other == tt.serial {
					continue
				}
				h.Set(headerSerial, other)
				if _, err := rings[tt.ring].Verify(t.Context(), h, body, testNow); err == nil {
					t.Errorf("a signature of %s passes as one of %s", tt.serial, other)
				}
			}
		})
	}
}

func TestKeyRingCertificateValidity(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, 0x10, testKeys().platform, 0, nil, nil)
	ring := newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{certificate}})
	for _, tt := range []struct {
		name string
		at   time.Time
		ok   bool
	}{
		{"first moment", certificate.NotBefore, true},
		{"last moment", certificate.NotAfter, true},
		{"before", certificate.NotBefore.Add(-time.Second), false},
		{"after", certificate.NotAfter.Add(time.Second), false},
	} {
		if got := ring.key("10", tt.at); (got != nil) != tt.ok {
			t.Errorf("%s: key %v, want one %t", tt.name, got, tt.ok)
		}
	}
}

func TestKeyRingAdd(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	old := newCertificate(t, 0x10, keys.platform, -29*24*time.Hour, nil, nil) // ends in a day
	next := newCertificate(t, 0x11, keys.next, 0, nil, nil)
	future := newCertificate(t, 0x12, keys.next, 31*24*time.Hour, nil, nil) // begins in a day
	ring := newTestRing(t, KeyRingOptions{Certificates: true, Known: []*x509.Certificate{old}})
	ring.add([]*x509.Certificate{next, future}, testNow)
	if ring.key("10", testNow) == nil || ring.key("11", testNow) == nil || ring.key("12", testNow) != nil {
		t.Error("old and new must be trusted side by side, the coming one not yet")
	}
	if got := ring.newest(testNow); got != "11" {
		t.Errorf("newest = %q", got)
	}
	later := testNow.Add(2 * 24 * time.Hour)
	ring.add(nil, later)
	if len(*ring.trusted.Load()) != 2 || ring.key("12", later) == nil || ring.key("10", later) != nil {
		t.Error("the expired one must be gone, the coming one trusted")
	}
}

// fetchCounter stands for a download.
type fetchCounter struct {
	n     atomic.Int32
	takes time.Duration
	ring  *KeyRing
	gives []*x509.Certificate
}

func (f *fetchCounter) fetch(ctx context.Context) error {
	f.n.Add(1)
	select {
	case <-time.After(f.takes):
		f.ring.add(f.gives, time.Now())
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newFetchedRing(t *testing.T, takes time.Duration, gives ...*x509.Certificate) (*KeyRing, *fetchCounter) {
	t.Helper()
	ring := newTestRing(t, KeyRingOptions{Certificates: true})
	f := &fetchCounter{takes: takes, ring: ring, gives: gives}
	if err := ring.bind(f.fetch); err != nil {
		t.Fatal(err)
	}
	return ring, f
}

// probeUnknown has the ring check a signature under a serial number.
func probeUnknown(ctx context.Context, ring *KeyRing, serial string) error {
	now := time.Now()
	h := http.Header{
		headerTimestamp: {fmt.Sprint(now.Unix())}, headerNonce: {"n"}, headerSignature: {"AAAA"}, headerSerial: {serial},
	}
	_, err := ring.Verify(ctx, h, nil, now)
	return err
}

// TestKeyRingRefresh_B03_J06: a flood of unknown serial numbers makes one
// fetch a minute.
func TestKeyRingRefresh_B03_J06(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ring, f := newFetchedRing(t, time.Second)
		for i := range 100 {
			go func() {
				wantReason(t, probeUnknown(t.Context(), ring, fmt.Sprintf("%040X", i)), ReasonUnknownSerial)
			}()
		}
		synctest.Wait()
		if got := f.n.Load(); got != 1 {
			t.Errorf("%d fetches under way, want 1", got)
		}
		<-time.After(2 * time.Second)
		for i := range 100 {
			wantReason(t, probeUnknown(t.Context(), ring, fmt.Sprintf("%040X", 100+i)), ReasonUnknownSerial)
		}
		if got := f.n.Load(); got != 1 {
			t.Errorf("%d fetches within a minute, want 1", got)
		}
		<-time.After(refreshInterval)
		wantReason(t, probeUnknown(t.Context(), ring, "ABCDEF"), ReasonUnknownSerial)
		if got := f.n.Load(); got != 2 {
			t.Errorf("%d fetches after a minute, want 2", got)
		}
	})
}

// TestKeyRingRefreshSerials_B03: what can be no certificate fetches nothing.
func TestKeyRingRefreshSerials_B03(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ring, f := newFetchedRing(t, 0)
		for _, serial := range []string{publicKeyPrefix + "1", "xyz", "abcdef", strings.Repeat("A", maxSerialLen+1), "../certificates"} {
			if err := probeUnknown(t.Context(), ring, serial); err == nil {
				t.Errorf("%q passes", serial)
			}
		}
		if got := f.n.Load(); got != 0 {
			t.Errorf("%d fetches, want none", got)
		}
		probe := http.Header{
			headerTimestamp: {fmt.Sprint(time.Now().Unix())}, headerNonce: {"n"}, headerSignature: {ProbePrefix + "x"}, headerSerial: {"ABCDEF"},
		}
		_, err := ring.Verify(t.Context(), probe, nil, time.Now())
		wantReason(t, err, ReasonProbe)
		if got := f.n.Load(); got != 0 {
			t.Errorf("a probe makes %d fetches, want none", got)
		}
	})
}

// TestKeyRingRefreshSurvivesHangUp: a sender who goes away must not use up
// the one fetch of the minute.
func TestKeyRingRefreshSurvivesHangUp(t *testing.T) {
	t.Parallel()
	key := testKeys().platform
	synctest.Test(t, func(t *testing.T) {
		certificate := newCertificate(t, 0x10, key, time.Since(testNow), nil, nil)
		ring, _ := newFetchedRing(t, time.Second, certificate)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- probeUnknown(ctx, ring, "99") }()
		synctest.Wait()
		go func() { done <- probeUnknown(ctx, ring, "98") }() // waits for the flight, and goes
		synctest.Wait()
		cancel()
		wantReason(t, <-done, ReasonUnknownSerial)
		wantReason(t, <-done, ReasonUnknownSerial)
		if ring.key("10", time.Now()) == nil {
			t.Error("the fetch brought nothing")
		}
	})
}

// TestKeyRingRefreshServesAll: genuine messages of a new key that arrive
// while it is being fetched wait for it, and pass.
func TestKeyRingRefreshServesAll(t *testing.T) {
	t.Parallel()
	key := testKeys().platform
	synctest.Test(t, func(t *testing.T) {
		certificate := newCertificate(t, 0x10, key, time.Since(testNow), nil, nil)
		ring, f := newFetchedRing(t, time.Second, certificate)
		p, err := NewPlatform(PlatformOptions{Keys: []PlatformKey{keyOf(certificate, key)}})
		if err != nil {
			t.Fatal(err)
		}
		h := signed(t, p, "10", []byte("body"))
		done := make(chan error)
		for range 5 {
			go func() {
				_, err := ring.Verify(t.Context(), h, []byte("body"), time.Now())
				done <- err
			}()
		}
		for range 5 {
			wantReason(t, <-done, "")
		}
		if got := f.n.Load(); got != 1 {
			t.Errorf("%d fetches, want 1", got)
		}
	})
}

func TestKeyRingRefreshIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ring, _ := newFetchedRing(t, time.Hour)
		start := time.Now()
		wantReason(t, probeUnknown(t.Context(), ring, "10"), ReasonUnknownSerial)
		if took := time.Since(start); took != refreshTimeout {
			t.Errorf("took %v, want %v", took, refreshTimeout)
		}
	})
}

func TestKeyRingServesOneClient(t *testing.T) {
	t.Parallel()
	ring := newTestRing(t, KeyRingOptions{Certificates: true})
	first := newTestClient(t, func(o *ClientOptions) { o.Keys = ring })
	if first.keys != ring {
		t.Error("the client has another ring")
	}
	o := ClientOptions{
		MchID: testMchID, CertificateSerial: testSerial, PrivateKey: testKeys().merchant, APIv3Key: APIv3Key(testAPIv3Key), Keys: ring,
	}
	if _, err := NewClient(o); err == nil {
		t.Error("a second client may fetch for the same ring")
	}
	public := publicKeyRing(t)
	for range 2 {
		if err := public.bind(func(context.Context) error { return errors.New("unused") }); err != nil {
			t.Errorf("public keys alone may be shared: %v", err)
		}
	}
}
