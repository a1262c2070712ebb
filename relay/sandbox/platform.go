package sandbox

import (
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// rotation says how far the change to a new platform certificate has come
// (v3.md 5).
type rotation int

const (
	rotationNone      rotation = iota
	rotationAnnounced          // both are listed, the old one signs
	rotationDone               // both are listed, the new one signs
)

// staleBy is how old a notification with a stale timestamp is.
const staleBy = 10 * time.Minute

// platform signs as WeChat does. Safe for concurrent use.
type platform struct {
	now  func() time.Time
	rand io.Reader

	mu       sync.Mutex // guards rotation
	rotation rotation
}

// stage tells how far the rotation has come.
func (p *platform) stage() rotation {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rotation
}

// rotate takes the change of certificates one step on.
func (p *platform) rotate() rotation {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rotation = min(p.rotation+1, rotationDone)
	return p.rotation
}

// currentSerial names the certificate that signs where nobody asks for a
// certain key.
func (p *platform) currentSerial() string {
	if p.stage() == rotationDone {
		return rotatedPlatformSerial
	}
	return defaultPlatformSerial
}

// signer makes WeChat's end of the wire with the keys of the stage. With
// forged, every key is an attacker's under WeChat's serial; shift moves its
// clock.
func (p *platform) signer(forged bool, shift time.Duration) (*payv3.Platform, error) {
	keys := []payv3.PlatformKey{platformKeyOf(defaultPlatformSerial, platformKey, platformCertificate, forged)}
	if p.stage() != rotationNone {
		keys = append(keys, platformKeyOf(rotatedPlatformSerial, rotatedKey, rotatedCertificate, forged))
	}
	keys = append(keys, platformKeyOf(DefaultPublicKeyID, publicModeKey, nil, forged))
	made, err := payv3.NewPlatform(payv3.PlatformOptions{
		Keys: keys,
		Now:  func() time.Time { return p.now().Add(shift) },
		Rand: p.rand,
	})
	if err != nil {
		return nil, fmt.Errorf("making the platform's keys: %w", err)
	}
	return made, nil
}

// platformKeyOf derives one key of the platform.
func platformKeyOf(serial string, key func() *rsa.PrivateKey, certificate func() *x509.Certificate, forged bool) payv3.PlatformKey {
	if forged {
		return payv3.PlatformKey{Serial: serial, Private: forgerKey()}
	}
	k := payv3.PlatformKey{Serial: serial, Private: key()}
	if certificate != nil {
		k.Certificate = certificate()
	}
	return k
}

// defaultSerial names the current key of the merchant's mode.
func (p *platform) defaultSerial(m *merchant) string {
	if m.PublicKeyOnly {
		return DefaultPublicKeyID
	}
	return p.currentSerial()
}

// replySerial chooses the key that signs an answer: the one that the request
// names, or the current one of the merchant's mode (v3.md 2). SDKs that know
// no key yet send the header without a value.
func (p *platform) replySerial(m *merchant, asked []string) (string, error) {
	if len(asked) == 0 || len(asked) == 1 && asked[0] == "" {
		return p.defaultSerial(m), nil
	}
	known := []string{DefaultPublicKeyID}
	if !m.PublicKeyOnly {
		known = append(known, defaultPlatformSerial)
		if p.stage() != rotationNone {
			known = append(known, rotatedPlatformSerial)
		}
	}
	if len(asked) > 1 || !slices.Contains(known, asked[0]) {
		return "", &parameterError{
			field: "Wechatpay-Serial", value: asked[0],
			issue: "微信支付公钥ID或平台证书序列号有误: no such key of this merchant", location: "header",
		}
	}
	return asked[0], nil
}

// certificates plays GET /v3/certificates. A merchant of the public-key mode
// has none (v3.md 5).
func (s *Sandbox) certificates(c *apiCall) (apiReply, error) {
	if c.merchant.PublicKeyOnly {
		return apiReply{}, refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "无可用的平台证书，请使用微信支付公钥", logNoError)
	}
	if err := c.checkAlgorithmType(); err != nil {
		return apiReply{}, err
	}
	signer, err := s.platform.signer(false, 0)
	if err != nil {
		return apiReply{}, err
	}
	body, err := signer.CertificatesReply(c.merchant.cipher)
	if err != nil {
		return apiReply{}, fmt.Errorf("encoding the certificates: %w", err)
	}
	return apiReply{status: http.StatusOK, body: body, contentType: "application/json; charset=utf-8"}, nil
}

// signReply sets the headers of a 2xx answer, wrongly when a fault asks for
// it.
func (s *Sandbox) signReply(h http.Header, c *apiCall, body []byte, f *fault) error {
	if f != nil && f.Name == faultAPIUnsigned {
		return nil
	}
	signer, err := s.platform.signer(f != nil && f.Name == faultAPIWrongSignature, 0)
	if err != nil {
		return err
	}
	if err := signer.SignHeaders(h, c.replySerial, body); err != nil {
		return err
	}
	if f != nil && f.Name == faultAPIProbe {
		probe(h)
	}
	return nil
}

// probe turns a signature into one of WeChat's signature probes, which must
// fail verification (v3.md 4).
func probe(h http.Header) {
	h.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+h.Get("Wechatpay-Signature"))
}
