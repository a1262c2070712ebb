package payv3

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// refreshInterval is how rarely an unknown serial number makes the ring
	// fetch certificates (threats B03 and J06: anybody can send one).
	refreshInterval = time.Minute
	// refreshTimeout ends such a fetch while WeChat, which gives up after five
	// seconds, still waits for the answer to its notification.
	refreshTimeout = 4 * time.Second
)

// KeyRingOptions say which keys of WeChat one merchant trusts. At least one
// of PublicKeys and Certificates is needed; with both, the serial number in
// the header decides, as WeChat's gradual change between the two asks for
// (doc 4012154180).
type KeyRingOptions struct {
	// PublicKeys are WeChat Pay public keys by their PUB_KEY_ID_ name, copied
	// from the merchant's console.
	PublicKeys map[string]*rsa.PublicKey
	// RequestSerial is the public key that WeChat is asked to sign answers
	// with. Empty means the greatest name in PublicKeys.
	RequestSerial string
	// Certificates turns on platform certificates, which the client of the
	// same merchant downloads and renews.
	Certificates bool
	// Known are platform certificates trusted from the start. Without them and
	// without public keys, the first download is believed because only WeChat
	// could encrypt it.
	Known []*x509.Certificate
	// Roots, when set, must have issued every downloaded certificate.
	Roots *x509.CertPool
}

// KeyRing holds the keys that WeChat may sign with. It serves one merchant
// and is safe for concurrent use.
type KeyRing struct {
	public        map[string]*rsa.PublicKey
	requestSerial string
	certificates  bool
	roots         *x509.CertPool

	// trusted maps serial numbers to certificates; replaced, never changed.
	trusted atomic.Pointer[map[string]*x509.Certificate]

	mu      sync.Mutex                      // guards the fields below
	fetch   func(ctx context.Context) error // of the client that serves the ring
	fetched time.Time                       // when an unknown serial last fetched
	flight  chan struct{}                   // closed when the fetch under way ends; nil without one
}

// NewKeyRing returns a ring with the public keys and known certificates.
func NewKeyRing(o KeyRingOptions) (*KeyRing, error) {
	var problems []error
	if len(o.PublicKeys) == 0 && !o.Certificates {
		problems = append(problems, errors.New("key ring needs a public key or certificates"))
	}
	if !o.Certificates && (len(o.Known) > 0 || o.Roots != nil) {
		problems = append(problems, errors.New("known certificates and roots need certificates turned on"))
	}
	k := &KeyRing{
		public:        maps.Clone(o.PublicKeys),
		requestSerial: o.RequestSerial,
		certificates:  o.Certificates,
		roots:         o.Roots,
	}
	for id, key := range o.PublicKeys {
		if err := checkPublicKey(id, key); err != nil {
			problems = append(problems, err)
		}
		if o.RequestSerial == "" && id > k.requestSerial {
			k.requestSerial = id
		}
	}
	if _, ok := o.PublicKeys[k.requestSerial]; !ok && k.requestSerial != "" {
		problems = append(problems, fmt.Errorf("request serial %q names no public key", k.requestSerial))
	}
	trusted := make(map[string]*x509.Certificate, len(o.Known))
	for _, c := range o.Known {
		if _, err := certificateKey(c); err != nil {
			problems = append(problems, fmt.Errorf("certificate %s: %w", CertificateSerial(c), err))
		}
		trusted[CertificateSerial(c)] = c
	}
	k.trusted.Store(&trusted)
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return k, nil
}

func checkPublicKey(id string, key *rsa.PublicKey) error {
	digits, ok := strings.CutPrefix(id, publicKeyPrefix)
	if !ok || !consistsOf(digits, maxSerialLen-len(publicKeyPrefix), isDigit) {
		return fmt.Errorf("public key id %q is not %s and digits", id, publicKeyPrefix)
	}
	if key == nil {
		return fmt.Errorf("public key %s is missing", id)
	}
	if err := CheckKeySize(key); err != nil {
		return fmt.Errorf("public key %s: %w", id, err)
	}
	return nil
}

// key returns the key of a serial number that may be trusted now.
func (k *KeyRing) key(serial string, now time.Time) *rsa.PublicKey {
	if key, ok := k.public[serial]; ok {
		return key
	}
	c, ok := (*k.trusted.Load())[serial]
	if !ok || !validAt(c, now) {
		return nil
	}
	key, _ := c.PublicKey.(*rsa.PublicKey) // checked when it was added
	return key
}

func validAt(c *x509.Certificate, now time.Time) bool {
	return !now.Before(c.NotBefore) && !now.After(c.NotAfter)
}

// established reports whether the ring has a key to judge a download by.
func (k *KeyRing) established(now time.Time) bool {
	return len(k.public) > 0 || k.newest(now) != ""
}

// newest returns the serial number of the valid certificate that took effect
// last, or "".
func (k *KeyRing) newest(now time.Time) (serial string) {
	var latest time.Time
	for s, c := range *k.trusted.Load() {
		if validAt(c, now) && (serial == "" || c.NotBefore.After(latest)) {
			serial, latest = s, c.NotBefore
		}
	}
	return serial
}

// add trusts further certificates and forgets expired ones. Those that are
// not valid yet are kept: WeChat lists a new one a day before its use.
func (k *KeyRing) add(certificates []*x509.Certificate, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := maps.Clone(*k.trusted.Load())
	for _, c := range certificates {
		next[CertificateSerial(c)] = c
	}
	maps.DeleteFunc(next, func(_ string, c *x509.Certificate) bool { return now.After(c.NotAfter) })
	k.trusted.Store(&next)
}

// bind makes fetch the ring's source of certificates.
func (k *KeyRing) bind(fetch func(context.Context) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.certificates {
		return nil
	}
	if k.fetch != nil {
		return errors.New("key ring with certificates already serves another client")
	}
	k.fetch = fetch
	return nil
}

// fetchable reports whether serial could be a certificate that a download
// would bring.
func (k *KeyRing) fetchable(serial string) bool {
	return k.certificates && consistsOf(serial, maxSerialLen, isUpperHex)
}

func isUpperHex(c byte) bool { return isDigit(c) || 'A' <= c && c <= 'F' }

// refresh fetches certificates, at most once per refreshInterval, or waits
// for the fetch that is under way.
func (k *KeyRing) refresh(ctx context.Context, now time.Time) {
	k.mu.Lock()
	if flight := k.flight; flight != nil {
		k.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
		}
		return
	}
	if k.fetch == nil || now.Sub(k.fetched).Abs() < refreshInterval {
		k.mu.Unlock()
		return
	}
	fetch, flight := k.fetch, make(chan struct{})
	k.fetched, k.flight = now, flight
	k.mu.Unlock()

	defer func() {
		k.mu.Lock()
		k.flight = nil
		k.mu.Unlock()
		close(flight)
	}()
	// A sender who hangs up must not be able to cancel the one fetch of this
	// minute. The client reports a failure through its hook.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
	defer cancel()
	_ = fetch(ctx)
}
