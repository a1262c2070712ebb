package relay

import (
	"encoding/json"
	"log/slog"
)

// redacted is what every secret prints.
const redacted = "REDACTED"

// Secret is text that must not be printed. Its methods redact it in every
// format and logger; Reveal gives the bytes to the code that signs with them.
type Secret struct{ value string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{value: s} }

// Reveal returns the secret's bytes.
func (s Secret) Reveal() []byte { return []byte(s.value) }

// Len is the length in bytes.
func (s Secret) Len() int { return len(s.value) }

// String redacts.
func (Secret) String() string { return redacted }

// GoString redacts.
func (Secret) GoString() string { return redacted }

// MarshalJSON redacts.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
