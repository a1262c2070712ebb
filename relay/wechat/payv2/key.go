package payv2

import (
	"fmt"
	"io"
	"log/slog"
)

// Key is the 32-byte secret that merchant and WeChat sign with. It prints,
// logs and marshals as redacted.
type Key []byte

const (
	keyLen   = 32
	redacted = "REDACTED"
)

// Format redacts for every verb.
func (Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText redacts.
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }
