package payv3

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// RequestMessage returns what a merchant signs for a request: five lines
// (doc 4012365342). target is the path and query exactly as sent; timestamp
// is in seconds.
func RequestMessage(method, target, timestamp, nonce string, body []byte) []byte {
	return lines(body, method, target, timestamp, nonce)
}

// ResponseMessage returns what WeChat signs for an answer or a notification:
// three lines. The body of a 204 is empty and still has its line.
func ResponseMessage(timestamp, nonce string, body []byte) []byte {
	return lines(body, timestamp, nonce)
}

// jsapiMessage returns what a page signs to pay with prepayPackage
// (doc 4012365339).
func jsapiMessage(appID, timestamp, nonce, prepayPackage string) []byte {
	return lines([]byte(prepayPackage), appID, timestamp, nonce)
}

// appMessage returns what an app signs to pay (doc 4012365340); unlike
// a page it signs the bare prepay id.
func appMessage(appID, timestamp, nonce, prepayID string) []byte {
	return lines([]byte(prepayID), appID, timestamp, nonce)
}

// lines joins head and last, each ended by a line feed.
func lines(last []byte, head ...string) []byte {
	n := len(last) + len(head) + 1
	for _, s := range head {
		n += len(s)
	}
	message := make([]byte, 0, n)
	for _, s := range head {
		message = append(message, s...)
		message = append(message, '\n')
	}
	message = append(message, last...)
	return append(message, '\n')
}

// Sign returns the base64 form of the PKCS #1 v1.5 signature over message
// with SHA-256.
func Sign(key *rsa.PrivateKey, message []byte) (string, error) {
	digest := sha256.Sum256(message)
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing with RSA: %w", err)
	}
	return base64.StdEncoding.EncodeToString(signature), nil
}

// errSignature says that a signature does not belong to the message and key.
var errSignature = errors.New("signature does not match")

// decodeBase64 decodes the one spelling of some bytes. The decoder of the
// standard library skips line breaks, which would give them many.
func decodeBase64(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, base64.CorruptInputError(strings.IndexAny(text, "\r\n"))
	}
	return base64.StdEncoding.Strict().DecodeString(text)
}

// verifySignature checks a base64 signature over message.
func verifySignature(key *rsa.PublicKey, message []byte, signature string) error {
	raw, err := decodeBase64(signature)
	if err != nil {
		return errSignature
	}
	digest := sha256.Sum256(message)
	if rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], raw) != nil {
		return errSignature
	}
	return nil
}
