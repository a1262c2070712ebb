package payv3

import (
	"encoding/hex"
	"fmt"
	"io"
)

const alphanumeric = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// newGCMNonce returns the nonce of a resource. It spends all that twelve
// letters and digits hold: with hexadecimal digits alone, some million
// resources under one key would make two equal, which GCM does not forgive.
func newGCMNonce(rand io.Reader) (string, error) {
	var raw [nonceLen]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	for i, b := range raw {
		raw[i] = alphanumeric[int(b)%len(alphanumeric)]
	}
	return string(raw[:]), nil
}

// newNonce returns n hex digits read from rand; n is even.
func newNonce(rand io.Reader, n int) (string, error) {
	raw := make([]byte, n/2)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(raw), nil
}
