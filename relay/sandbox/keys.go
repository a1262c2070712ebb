package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// keyLabel is public on purpose: whoever reads it can derive every key of
// the sandbox, so that these keys can never be taken for real ones.
const keyLabel = "wxrelay sandbox key, public, worth nothing: "

// Certificates of the sandbox are valid for as long as the short ASN.1 time
// form allows, so that tests with a fake clock need no keys of their own.
var (
	certificatesFrom  = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	certificatesUntil = time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC)
)

// The keys of the sandbox, each derived at its first use and then shared by
// the whole process. Serials are 20 bytes of text that can be read in hex.
var (
	merchantKey   = derivedKey("merchant")
	platformKey   = derivedKey("platform certificate 1")
	rotatedKey    = derivedKey("platform certificate 2")
	publicModeKey = derivedKey("platform public key")
	forgerKey     = derivedKey("attacker")

	merchantCertificate = derivedCertificate(merchantKey, "SANDBOX MERCHANT 001", "Sandbox merchant "+DefaultMchID)
	platformCertificate = derivedCertificate(platformKey, "SANDBOX PLATFORM 001", "Sandbox platform, not WeChat")
	rotatedCertificate  = derivedCertificate(rotatedKey, "SANDBOX PLATFORM 002", "Sandbox platform, not WeChat")
)

// derivedKey returns a function that derives the RSA-2048 key named by
// purpose once: the same key in every process.
func derivedKey(purpose string) func() *rsa.PrivateKey {
	return sync.OnceValue(func() *rsa.PrivateKey { return deriveKey(keyLabel + purpose) })
}

// deriveKey searches two primes in a stream of bytes that label alone
// decides. rsa.GenerateKey cannot do this: it is random by design, whatever
// reader it is given.
func deriveKey(label string) *rsa.PrivateKey {
	stream := &labelStream{label: label}
	exponent := big.NewInt(65537)
	for {
		p, q := stream.prime(exponent), stream.prime(exponent)
		if p.Cmp(q) == 0 {
			continue
		}
		key, err := assembleKey(p, q, exponent)
		if err == nil {
			return key
		}
	}
}

// assembleKey computes the private key of two primes and validates it.
func assembleKey(p, q, exponent *big.Int) (*rsa.PrivateKey, error) {
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: int(exponent.Int64())},
		D:         new(big.Int).ModInverse(exponent, phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("validating a derived key: %w", err)
	}
	return key, nil
}

// labelStream is an endless stream of bytes: SHA-256 of label and counter.
type labelStream struct {
	label   string
	counter uint64
}

// fill fills b, whose length is a multiple of the hash length.
func (s *labelStream) fill(b []byte) {
	for len(b) > 0 {
		block := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.label), s.counter))
		s.counter++
		b = b[copy(b, block[:]):]
	}
}

// prime returns a prime of 1024 bits whose two top bits are set, so that the
// product of two has 2048 bits, and for which exponent is usable.
func (s *labelStream) prime(exponent *big.Int) *big.Int {
	const rounds = 8 // beside the Baillie-PSW test; the keys guard nothing
	raw := make([]byte, 128)
	one, two := big.NewInt(1), big.NewInt(2)
	s.fill(raw)
	raw[0] |= 0xc0
	raw[len(raw)-1] |= 1
	candidate := new(big.Int).SetBytes(raw)
	for {
		if candidate.ProbablyPrime(0) && candidate.ProbablyPrime(rounds) {
			rest := new(big.Int).Sub(candidate, one)
			if new(big.Int).GCD(nil, nil, rest, exponent).Cmp(one) == 0 {
				return candidate
			}
		}
		candidate.Add(candidate, two)
	}
}

// derivedCertificate returns a function that makes the self-signed
// certificate of a derived key once. PKCS #1 v1.5 signatures have no random
// part, so the certificate is the same in every process too.
func derivedCertificate(key func() *rsa.PrivateKey, serial, name string) func() *x509.Certificate {
	return sync.OnceValue(func() *x509.Certificate {
		template := &x509.Certificate{
			SerialNumber: new(big.Int).SetBytes([]byte(serial)),
			Subject:      pkix.Name{CommonName: name, Organization: []string{"SANDBOX"}},
			NotBefore:    certificatesFrom,
			NotAfter:     certificatesUntil,
			KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		}
		private := key()
		der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
		if err != nil {
			panic("sandbox: making a certificate: " + err.Error()) // constant input
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			panic("sandbox: parsing its own certificate: " + err.Error())
		}
		return certificate
	})
}
