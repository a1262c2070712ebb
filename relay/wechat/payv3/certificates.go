package payv3

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// certificatesInterval is how often certificates are downloaded. WeChat
	// asks for at least every 12 hours and lists a new one a day before use
	// (doc 4012551764).
	certificatesInterval = 6 * time.Hour
	// certificatesRetry is the wait after a failed download.
	certificatesRetry = 5 * time.Minute
)

// MaintainCertificates downloads platform certificates now and then until the
// context ends, whose error it returns. Run it beside the client when its
// ring has certificates turned on.
func (c *Client) MaintainCertificates(ctx context.Context) error {
	for {
		wait := certificatesInterval
		if c.DownloadCertificates(ctx) != nil { // told to the hook
			wait = certificatesRetry
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// DownloadCertificates fetches the platform certificates and adds them to the
// key ring. The answer must be signed by a key that is trusted already. Only
// a ring without any valid key accepts an answer signed by a certificate
// inside it: what decrypts with the APIv3 key came from WeChat. So a
// certificate planted later, even by a thief of the APIv3 key, is refused
// (threat B17).
func (c *Client) DownloadCertificates(ctx context.Context) error {
	certificates, err := c.downloadCertificates(ctx)
	if err == nil {
		c.keys.add(certificates, c.now())
	}
	if c.hooks.CertificatesDownloaded != nil {
		serials := make([]string, 0, len(certificates))
		for _, cert := range certificates {
			serials = append(serials, CertificateSerial(cert))
		}
		c.hooks.CertificatesDownloaded(serials, err)
	}
	return err
}

func (c *Client) downloadCertificates(ctx context.Context) (certificates []*x509.Certificate, err error) {
	const op = "download certificates"
	if !c.keys.certificates {
		return nil, errors.New(op + ": key ring has certificates turned off")
	}
	cl := call{op: op, method: http.MethodGet, target: "/v3/certificates"}
	if c.keys.requestSerial == "" {
		// Otherwise a relay that slept through the change of certificates would
		// get an answer signed by the new one.
		cl.serial = c.keys.newest(c.now())
	}
	cl.verify = func(h http.Header, body []byte) error {
		certificates, err = c.openCertificates(h, body, c.now())
		return err
	}
	if _, err := c.do(ctx, cl); err != nil {
		return nil, err
	}
	return certificates, nil
}

// openCertificates verifies an answer and returns the certificates in it.
func (c *Client) openCertificates(h http.Header, body []byte, now time.Time) ([]*x509.Certificate, error) {
	s, err := readSignedHeaders(h, now)
	if err != nil {
		return nil, err
	}
	if c.keys.established(now) {
		if err := s.check(c.keys.key(s.serial, now), body); err != nil {
			return nil, err
		}
		return c.decryptCertificates(body, now)
	}
	// The bootstrap: to decode first is unavoidable, because the key is inside.
	certificates, err := c.decryptCertificates(body, now)
	if err != nil {
		return nil, err
	}
	for _, cert := range certificates {
		if CertificateSerial(cert) == s.serial && validAt(cert, now) {
			key, err := certificateKey(cert)
			if err != nil {
				return nil, err
			}
			return certificates, s.check(key, body)
		}
	}
	return nil, &VerifyError{Reason: ReasonUnknownSerial}
}

// decryptCertificates reads the list. One bad entry refuses all of it.
func (c *Client) decryptCertificates(body []byte, now time.Time) ([]*x509.Certificate, error) {
	var reply certificatesReply
	if err := decodePeer(body, &reply); err != nil {
		return nil, err
	}
	if len(reply.Data) == 0 {
		return nil, errors.New("answer has no certificate")
	}
	certificates := make([]*x509.Certificate, 0, len(reply.Data))
	for i, entry := range reply.Data {
		cert, err := c.decryptCertificate(entry, now)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", i, err)
		}
		certificates = append(certificates, cert)
	}
	return certificates, nil
}

func (c *Client) decryptCertificate(entry certificateEntry, now time.Time) (*x509.Certificate, error) {
	text, err := c.cipher.Open(entry.EncryptCertificate)
	if err != nil {
		return nil, err
	}
	cert, err := ParseCertificate(text) // bounds the key's size, threat J09
	if err != nil {
		return nil, err
	}
	if CertificateSerial(cert) != entry.SerialNo {
		return nil, errors.New("serial_no differs from the certificate's")
	}
	if now.After(cert.NotAfter) {
		return nil, errors.New("has expired")
	}
	if c.keys.roots == nil {
		return cert, nil
	}
	at := now
	if at.Before(cert.NotBefore) {
		at = cert.NotBefore // listed ahead of its use
	}
	_, err = cert.Verify(x509.VerifyOptions{
		Roots: c.keys.roots, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, errors.New("was not issued by a trusted root")
	}
	return cert, nil
}
