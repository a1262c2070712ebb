package payv3

import (
	"encoding/hex"
	"fmt"
	"io"
)

// newNonce returns n hex digits read from rand; n is even.
func newNonce(rand io.Reader, n int) (string, error) {
	raw := make([]byte, n/2)
	if _, err := io.ReadFull(rand, raw); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	return hex.EncodeToString(raw), nil
}
