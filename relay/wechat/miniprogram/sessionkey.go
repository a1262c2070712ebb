package miniprogram

import (
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// SessionKey is the key of a session, the base64 of 16 bytes as WeChat gives
// it. It prints, logs and marshals as REDACTED; a conversion to string reveals
// it.
type SessionKey string

const redacted = "REDACTED"

// Format redacts under every verb.
func (SessionKey) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText redacts.
func (SessionKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (SessionKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// Valid reports whether the key has the form of one.
func (k SessionKey) Valid() bool {
	_, ok := k.bytes()
	return ok
}

// bytes returns what AES takes.
func (k SessionKey) bytes() ([]byte, bool) { return decode16(string(k)) }

// decode16 decodes the base64 of 16 bytes.
func decode16(s string) ([]byte, bool) {
	b, ok := decode(s)
	return b, ok && len(b) == 16
}

var encoding = base64.StdEncoding.Strict()

// decode decodes base64 that is written in the one usual way. Go's decoder
// would skip line ends.
func decode(s string) ([]byte, bool) {
	b, err := encoding.DecodeString(s)
	return b, err == nil && !strings.ContainsAny(s, "\r\n")
}
