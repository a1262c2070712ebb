package payv3

import (
	"context"
	"crypto/rsa"
	"net/http"
	"strings"
	"time"
)

// VerifyReason is why a signature of WeChat was not believed. The set is
// closed, so that it can label a metric.
type VerifyReason string

// The reasons.
const (
	ReasonMissingHeader   VerifyReason = "missing_header"
	ReasonRepeatedHeader  VerifyReason = "repeated_header"
	ReasonMalformedHeader VerifyReason = "malformed_header"
	ReasonSignatureType   VerifyReason = "signature_type"
	ReasonTimestamp       VerifyReason = "timestamp"
	ReasonUnknownSerial   VerifyReason = "unknown_serial"
	ReasonProbe           VerifyReason = "probe"
	ReasonSignature       VerifyReason = "signature"
)

// VerifyError is a signature that was not believed.
type VerifyError struct{ Reason VerifyReason }

// Error names the reason.
func (e *VerifyError) Error() string { return "verifying WeChat's signature: " + string(e.Reason) }

// signedHeaders are the parts of the headers that a signature needs.
type signedHeaders struct {
	timestamp, nonce, signature, serial string
}

// Verify checks the signature of an answer or a notification over its raw
// body and returns the serial number of the key that made it (doc
// 4013053249). A serial number that could be a new platform certificate makes
// the ring fetch certificates once. Errors are *VerifyError.
func (k *KeyRing) Verify(ctx context.Context, h http.Header, body []byte, now time.Time) (serial string, err error) {
	s, err := readSignedHeaders(h, now)
	if err != nil {
		return "", err
	}
	key := k.key(s.serial, now)
	if key == nil && k.fetchable(s.serial) {
		k.refresh(ctx, now)
		key = k.key(s.serial, now)
	}
	if err := s.check(key, body); err != nil {
		return "", err
	}
	return s.serial, nil
}

// check verifies with key, which is nil when the serial number is unknown.
func (s signedHeaders) check(key *rsa.PublicKey, body []byte) error {
	if key == nil {
		return &VerifyError{Reason: ReasonUnknownSerial}
	}
	if verifySignature(key, ResponseMessage(s.timestamp, s.nonce, body), s.signature) != nil {
		return &VerifyError{Reason: ReasonSignature}
	}
	return nil
}

// readSignedHeaders takes the headers apart. Each of the four must occur
// exactly once: of two, another reader might take the other one (threat B16).
func readSignedHeaders(h http.Header, now time.Time) (s signedHeaders, err error) {
	for _, item := range [...]struct {
		name  string
		value *string
	}{
		{headerTimestamp, &s.timestamp},
		{headerNonce, &s.nonce},
		{headerSignature, &s.signature},
		{headerSerial, &s.serial},
	} {
		values := h[item.name]
		if len(values) == 0 || values[0] == "" {
			return s, &VerifyError{Reason: ReasonMissingHeader}
		}
		if len(values) > 1 {
			return s, &VerifyError{Reason: ReasonRepeatedHeader}
		}
		*item.value = values[0]
	}
	if values := h[headerSignatureType]; len(values) > 1 {
		return s, &VerifyError{Reason: ReasonRepeatedHeader}
	} else if len(values) == 1 && values[0] != scheme {
		return s, &VerifyError{Reason: ReasonSignatureType}
	}
	if !consistsOf(s.nonce, maxNonceLen, isVisible) || !consistsOf(s.serial, maxSerialLen, isVisible) {
		return s, &VerifyError{Reason: ReasonMalformedHeader}
	}
	if at, ok := parseTimestamp(s.timestamp); !ok || !inWindow(at, now) {
		return s, &VerifyError{Reason: ReasonTimestamp}
	}
	// A probe fails like any forged signature, but it is no attack: it has a
	// reason of its own so that it raises no alarm (threat B07).
	if strings.HasPrefix(s.signature, ProbePrefix) {
		return s, &VerifyError{Reason: ReasonProbe}
	}
	return s, nil
}

// maxNonceLen bounds WeChat's nonce, which has 32 characters today.
const maxNonceLen = 128
