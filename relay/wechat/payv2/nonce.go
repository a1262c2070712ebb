package payv2

import (
	"encoding/hex"
	"fmt"
	"io"
)

// newNonce returns a nonce_str: 32 letters and digits (section 3).
func newNonce(rand io.Reader) (string, error) {
	var raw [16]byte
	if _, err := io.ReadFull(rand, raw[:]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(raw[:]), nil
}
