package store

import (
	"errors"
	"fmt"
	"strings"
)

// MaxKeyPart is the longest part of a key, in bytes.
const MaxKeyPart = 4096

// Errors that backends report for a record that they cannot keep.
var (
	// ErrKey says that a part of a record's key cannot stand in a key.
	ErrKey = errors.New("key part is empty, too long or holds a zero byte")
	// ErrExists says that a record that must not change is there already, or
	// that its unique name belongs to another record.
	ErrExists = errors.New("record exists already")
	// ErrNoExpiry says that a grant would never expire.
	ErrNoExpiry = errors.New("grant has no expiry")
)

// CheckKey refuses key parts that are empty, longer than MaxKeyPart or hold
// the zero byte that backends put between parts. The error is ErrKey and
// names the kind, never the part.
func CheckKey(kind Kind, parts ...string) error {
	for _, p := range parts {
		if p == "" || len(p) > MaxKeyPart || strings.IndexByte(p, 0) >= 0 {
			return fmt.Errorf("%s: %w", kind, ErrKey)
		}
	}
	return nil
}
