package shop

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
)

// redacted is what every secret prints.
const redacted = "REDACTED"

// Secret is a key that two sides share. It prints, logs and marshals as
// REDACTED.
type Secret string

// Format redacts under every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// MarshalJSON redacts.
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// LogValue redacts.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }
