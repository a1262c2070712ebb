package payv3

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Bounds of the RSA keys accepted. WeChat's are of 2048 bits with the usual
// exponent; a planted key of 16384 bits would make each check slow (threat
// J09).
const (
	minKeyBits  = 2048
	maxKeyBits  = 4096
	maxExponent = 65537
)

// ParsePrivateKey reads a merchant's apiclient_key.pem: one PEM block of
// PKCS #8 or PKCS #1.
func ParsePrivateKey(data []byte) (*rsa.PrivateKey, error) {
	der, err := onlyBlock(data, "PRIVATE KEY", "RSA PRIVATE KEY")
	if err != nil {
		return nil, fmt.Errorf("reading private key: %w", err)
	}
	// The parsers' own errors may quote key material, so they are not passed on.
	if parsed, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key, ok := parsed.(*rsa.PrivateKey)
		if !ok {
			return nil, errors.New("reading private key: not an RSA key")
		}
		return checkedPrivateKey(key)
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return nil, errors.New("reading private key: neither PKCS #8 nor PKCS #1")
	}
	return checkedPrivateKey(key)
}

func checkedPrivateKey(key *rsa.PrivateKey) (*rsa.PrivateKey, error) {
	if err := CheckKeySize(&key.PublicKey); err != nil {
		return nil, fmt.Errorf("reading private key: %w", err)
	}
	return key, nil
}

// ParsePublicKey reads a WeChat Pay public key as the console gives it out:
// one PEM block of the type PUBLIC KEY.
func ParsePublicKey(data []byte) (*rsa.PublicKey, error) {
	der, err := onlyBlock(data, "PUBLIC KEY")
	if err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("reading public key: not an RSA key")
	}
	if err := CheckKeySize(key); err != nil {
		return nil, fmt.Errorf("reading public key: %w", err)
	}
	return key, nil
}

// ParseCertificate reads one X.509 certificate with an RSA key from PEM. It
// does not judge its validity.
func ParseCertificate(data []byte) (*x509.Certificate, error) {
	der, err := onlyBlock(data, "CERTIFICATE")
	if err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	if _, err := certificateKey(c); err != nil {
		return nil, fmt.Errorf("reading certificate: %w", err)
	}
	return c, nil
}

// certificateKey returns the RSA key of a certificate.
func certificateKey(c *x509.Certificate) (*rsa.PublicKey, error) {
	key, ok := c.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("not an RSA key")
	}
	return key, CheckKeySize(key)
}

// CheckKeySize refuses keys that are too weak to trust or too large to check
// cheaply: RSA of 2048 to 4096 bits with a usual exponent is taken.
func CheckKeySize(key *rsa.PublicKey) error {
	if bits := key.N.BitLen(); bits < minKeyBits || bits > maxKeyBits {
		return fmt.Errorf("RSA key of %d bits, want %d to %d", bits, minKeyBits, maxKeyBits)
	}
	if key.E < 3 || key.E > maxExponent || key.E%2 == 0 {
		return fmt.Errorf("RSA exponent is not an odd number from 3 to %d", maxExponent)
	}
	return nil
}

// onlyBlock returns the content of the one PEM block in data.
func onlyBlock(data []byte, types ...string) ([]byte, error) {
	block, rest := pem.Decode(data)
	if block == nil {
		return nil, errors.New("no PEM block")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return nil, errors.New("more than one PEM block")
	}
	if !slices.Contains(types, block.Type) {
		return nil, fmt.Errorf("PEM block is no %s", strings.Join(types, " or "))
	}
	return block.Bytes, nil
}

// CertificateSerial returns the serial number as WeChat writes it: upper-case
// hex of whole bytes, leading zero kept.
func CertificateSerial(c *x509.Certificate) string {
	return strings.ToUpper(hex.EncodeToString(c.SerialNumber.Bytes()))
}
