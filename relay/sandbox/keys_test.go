package sandbox

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// The digest pins the derivation: other bytes would mean that two processes,
// or two versions, do not understand each other.
func TestMerchantKeyIsTheSameEverywhere(t *testing.T) {
	t.Parallel()
	const want = "70ff21b8528790b5b57d6734b100b78029fbb66042b5e90effb30485f004a9bd"
	sum := sha256.Sum256(x509.MarshalPKCS1PublicKey(&DefaultCredentials().PrivateKey.PublicKey))
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("digest of the merchant's public key = %s, want %s", got, want)
	}
}

func TestDerivedKeysAreSound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for name, key := range map[string]func() bool{
		"merchant": func() bool { return merchantKey().Validate() == nil },
		"platform": func() bool { return platformKey().Validate() == nil },
		"rotated":  func() bool { return rotatedKey().Validate() == nil },
		"public":   func() bool { return publicModeKey().Validate() == nil },
	} {
		if !key() {
			t.Errorf("%s: key does not validate", name)
		}
	}
	for _, key := range []string{merchantKey().N.String(), platformKey().N.String(), rotatedKey().N.String(), publicModeKey().N.String(), forgerKey().N.String()} {
		if seen[key] {
			t.Error("two purposes share a key")
		}
		seen[key] = true
	}
	if bits := merchantKey().N.BitLen(); bits != 2048 {
		t.Errorf("key has %d bits, want 2048", bits)
	}
}

func TestCertificateSerialsReadAsText(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		certificate func() *x509.Certificate
		serial      string
		text        string
	}{
		"merchant": {merchantCertificate, DefaultCertificateSerial, "SANDBOX MERCHANT 001"},
		"platform": {platformCertificate, defaultPlatformSerial, "SANDBOX PLATFORM 001"},
		"rotated":  {rotatedCertificate, rotatedPlatformSerial, "SANDBOX PLATFORM 002"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := payv3.CertificateSerial(test.certificate()); got != test.serial {
				t.Errorf("serial = %s, want %s", got, test.serial)
			}
			if raw, err := hex.DecodeString(test.serial); err != nil || string(raw) != test.text {
				t.Errorf("serial reads %q (%v), want %q", raw, err, test.text)
			}
		})
	}
}

func BenchmarkDeriveKey(b *testing.B) {
	for b.Loop() {
		deriveKey("benchmark")
	}
}
