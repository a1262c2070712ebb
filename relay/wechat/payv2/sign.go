package payv2

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the v2 rule knows MD5; which merchants use it is decided by their configuration
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// SignType names the algorithm of a signature, spelled as WeChat spells it.
type SignType string

// The algorithms of signatures (section 3).
const (
	SignMD5        SignType = "MD5" // WeChat's default
	SignHMACSHA256 SignType = "HMAC-SHA256"
)

// Names of the fields that carry the signature.
const (
	fieldSign     = "sign"
	fieldSignType = "sign_type"
)

// Known reports whether the package can sign in this way.
func (t SignType) Known() bool { return t == SignMD5 || t == SignHMACSHA256 }

// Sign signs the fields by WeChat's v2 rule (section 3): fields without a
// value and sign itself are left out, the others are sorted by the bytes of
// their names and joined raw as name=value with &, and the key is appended as
// a last field. The signature is upper-case hex. An unknown type gives the
// empty string, which equals no signature.
func Sign(fields map[string]string, key []byte, t SignType) string {
	text := signText(fields)
	text = append(text, "&key="...)
	text = append(text, key...)
	var sum []byte
	switch t {
	case SignHMACSHA256:
		h := hmac.New(sha256.New, key)
		h.Write(text)
		sum = h.Sum(nil)
	case SignMD5:
		digest := md5.Sum(text) //nolint:gosec // see the import
		sum = digest[:]
	default:
		return ""
	}
	return strings.ToUpper(hex.EncodeToString(sum))
}

func signText(fields map[string]string) []byte {
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		value := fields[name]
		if value == "" || name == fieldSign {
			continue
		}
		if len(text) > 0 {
			text = append(text, '&')
		}
		text = append(text, name...)
		text = append(text, '=')
		text = append(text, value...)
	}
	return text
}

var twoFields = regexp.MustCompile(`&[A-Za-z_][0-9A-Za-z_.-]*=`)

// Ambiguous reports whether a value could pass for two fields. The text that
// is signed does not escape anything, so that attach=1&b=2 signs like attach=1
// beside b=2; a [Client] sends no such value (threat A14).
func Ambiguous(value string) bool { return twoFields.MatchString(value) }

// checkSignable makes sure that the fields can be signed without ambiguity.
func (m Message) checkSignable() error {
	for name, value := range m {
		if Ambiguous(value) {
			return fmt.Errorf("%s could pass for two fields", name)
		}
	}
	return nil
}

// VerifyReason is why a signature was not believed. The set is closed, so
// that it can label a metric.
type VerifyReason string

// The reasons.
const (
	ReasonMissing   VerifyReason = "missing_signature"
	ReasonSignType  VerifyReason = "signature_type"
	ReasonSignature VerifyReason = "signature"
)

// VerifyError is a signature that was not believed.
type VerifyError struct{ Reason VerifyReason }

// Error names the reason.
func (e *VerifyError) Error() string { return "verifying signature: " + string(e.Reason) }

// verify checks the signature over every field received, known or not. Only
// the algorithm that the caller expects is tried: what the message says about
// itself never selects a routine (threats A04 and A05). Errors are
// *VerifyError.
func (m Message) verify(t SignType, keys ...Key) error {
	sign := m[fieldSign]
	if sign == "" {
		return &VerifyError{Reason: ReasonMissing}
	}
	if declared := m[fieldSignType]; declared != "" && declared != string(t) {
		return &VerifyError{Reason: ReasonSignType}
	}
	for _, key := range keys {
		// Upper-case hex is compared as text, in constant time: WeChat sends no
		// other form (threat A06).
		if hmac.Equal([]byte(Sign(m, key, t)), []byte(sign)) {
			return nil
		}
	}
	return &VerifyError{Reason: ReasonSignature}
}
