package message

import (
	"crypto/sha1" //nolint:gosec // WeChat signs with it, keyed by the token
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
)

// Sign signs a push in the clear, or the check of the address: SHA-1 over
// token, timestamp and nonce, sorted by their bytes and joined, in lower hex
// (section 7).
func Sign(token, timestamp, nonce string) string { return sign(token, timestamp, nonce) }

// SignEncrypted signs an encrypted push, with its Encrypt among the parts; the
// result is the msg_signature.
func SignEncrypted(token, timestamp, nonce, encrypt string) string {
	return sign(token, timestamp, nonce, encrypt)
}

func sign(parts ...string) string {
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// VerifyEcho reports whether the signature is WeChat's, in the same time for
// every signature. Without a token nothing is.
func VerifyEcho(token, timestamp, nonce, signature string) bool {
	return token != "" && equal(Sign(token, timestamp, nonce), signature)
}

func equal(want, got string) bool { return subtle.ConstantTimeCompare([]byte(want), []byte(got)) == 1 }
