package payv3

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// PlatformKey is one key that the platform signs with.
type PlatformKey struct {
	// Serial names the key to receivers: a PUB_KEY_ID_ name, or the serial
	// number of Certificate.
	Serial string
	// Private signs.
	Private *rsa.PrivateKey
	// Certificate is given out by CertificatesReply; nil for a key that
	// receivers know by hand.
	Certificate *x509.Certificate
}

// PlatformOptions are what NewPlatform needs.
type PlatformOptions struct {
	Keys []PlatformKey
	Now  func() time.Time // time.Now when nil
	Rand io.Reader        // the system's when nil
}

// Platform is WeChat's own end of the wire: it signs answers and
// notifications and gives out certificates. It is safe for concurrent use if
// its clock and randomness are.
type Platform struct {
	keys map[string]PlatformKey
	list []PlatformKey
	now  func() time.Time
	rand io.Reader
}

// NewPlatform returns a platform with at least one key.
func NewPlatform(o PlatformOptions) (*Platform, error) {
	if len(o.Keys) == 0 {
		return nil, errors.New("platform needs a key")
	}
	p := &Platform{keys: make(map[string]PlatformKey, len(o.Keys)), list: slices.Clone(o.Keys), now: o.Now, rand: o.Rand}
	if p.now == nil {
		p.now = time.Now
	}
	if p.rand == nil {
		p.rand = rand.Reader
	}
	for _, k := range o.Keys {
		if err := checkPlatformKey(k); err != nil {
			return nil, err
		}
		if _, twice := p.keys[k.Serial]; twice {
			return nil, fmt.Errorf("platform key %s is given twice", k.Serial)
		}
		p.keys[k.Serial] = k
	}
	return p, nil
}

func checkPlatformKey(k PlatformKey) error {
	if !consistsOf(k.Serial, maxSerialLen, isVisible) {
		return errors.New("platform key needs a serial")
	}
	if k.Private == nil {
		return fmt.Errorf("platform key %s has no private key", k.Serial)
	}
	if k.Certificate == nil {
		return nil
	}
	if CertificateSerial(k.Certificate) != k.Serial {
		return fmt.Errorf("platform key %s has a certificate with another serial", k.Serial)
	}
	if !k.Private.PublicKey.Equal(k.Certificate.PublicKey) {
		return fmt.Errorf("platform key %s does not belong to its certificate", k.Serial)
	}
	return nil
}

// SignHeaders sets the five Wechatpay headers for body, signed now with the
// named key.
func (p *Platform) SignHeaders(h http.Header, serial string, body []byte) error {
	key, ok := p.keys[serial]
	if !ok {
		return fmt.Errorf("signing as the platform: no key %q", serial)
	}
	nonce, err := newNonce(p.rand, 32)
	if err != nil {
		return fmt.Errorf("signing as the platform: %w", err)
	}
	timestamp := strconv.FormatInt(p.now().Unix(), 10)
	signature, err := Sign(key.Private, ResponseMessage(timestamp, nonce, body))
	if err != nil {
		return fmt.Errorf("signing as the platform: %w", err)
	}
	h.Set(headerTimestamp, timestamp)
	h.Set(headerNonce, nonce)
	h.Set(headerSignature, signature)
	h.Set(headerSerial, serial)
	h.Set(headerSignatureType, scheme)
	return nil
}

// NewNotification returns the body of a notification whose content is
// plaintext, encrypted with c. Sign it with SignHeaders.
func (p *Platform) NewNotification(c *Cipher, id, eventType, originalType, summary string, plaintext []byte) ([]byte, error) {
	nonce, err := newGCMNonce(p.rand)
	if err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	resource, err := c.Seal(plaintext, originalType, originalType, nonce)
	if err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	return json.Marshal(envelope{
		ID:           id,
		CreateTime:   platformTime(p.now()),
		ResourceType: resourceTypeEncrypted,
		EventType:    eventType,
		Summary:      summary,
		Resource:     resource,
	})
}

// CertificatesReply returns the body of the answer to GET /v3/certificates:
// every key that has a certificate, encrypted with c.
func (p *Platform) CertificatesReply(c *Cipher) ([]byte, error) {
	reply := certificatesReply{Data: []certificateEntry{}}
	for _, k := range p.list {
		if k.Certificate == nil {
			continue
		}
		nonce, err := newGCMNonce(p.rand)
		if err != nil {
			return nil, fmt.Errorf("building certificates reply: %w", err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: k.Certificate.Raw})
		resource, err := c.Seal(text, "", associatedCertificate, nonce)
		if err != nil {
			return nil, fmt.Errorf("building certificates reply: %w", err)
		}
		reply.Data = append(reply.Data, certificateEntry{
			SerialNo:           k.Serial,
			EffectiveTime:      platformTime(k.Certificate.NotBefore),
			ExpireTime:         platformTime(k.Certificate.NotAfter),
			EncryptCertificate: resource,
		})
	}
	return json.Marshal(reply)
}

func platformTime(t time.Time) string { return t.In(beijing.Zone).Format(time.RFC3339) }

// RequestFault is why the platform refuses a request with 401 SIGN_ERROR; it
// picks the wording.
type RequestFault string

// The faults that VerifyRequest finds.
const (
	FaultScheme    RequestFault = "unsupported authorization scheme"
	FaultFormat    RequestFault = "malformed authorization header"
	FaultTimestamp RequestFault = "timestamp is out of range"
	FaultSignature RequestFault = "signature does not match"
)

// RequestError is a refused request signature.
type RequestError struct{ Fault RequestFault }

// Error names the fault.
func (e *RequestError) Error() string { return "verifying request: " + string(e.Fault) }

// VerifyRequest checks a merchant's signature over a request, as WeChat does.
// target is the path and query as received. The caller looks up key by the
// serial number that [ParseAuthorization] returns. Errors are *RequestError.
func VerifyRequest(method, target, authorization string, body []byte, key *rsa.PublicKey, now time.Time) error {
	a, err := ParseAuthorization(authorization)
	switch {
	case errors.Is(err, ErrAuthorizationScheme):
		return &RequestError{Fault: FaultScheme}
	case err != nil:
		return &RequestError{Fault: FaultFormat}
	}
	at, ok := parseTimestamp(a.Timestamp)
	if !ok {
		return &RequestError{Fault: FaultFormat}
	}
	if !inWindow(at, now) {
		return &RequestError{Fault: FaultTimestamp}
	}
	if verifySignature(key, RequestMessage(method, target, a.Timestamp, a.Nonce, body), a.Signature) != nil {
		return &RequestError{Fault: FaultSignature}
	}
	return nil
}
