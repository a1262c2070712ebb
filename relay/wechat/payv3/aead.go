package payv3

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// APIv3Key is the 32-byte secret that WeChat encrypts with. It prints, logs
// and marshals as REDACTED.
type APIv3Key []byte

const (
	redacted    = "REDACTED"
	apiv3KeyLen = 32
	nonceLen    = 12 // of GCM; Go's implementation panics on another length
	tagLen      = 16
)

// Format redacts under every verb.
func (APIv3Key) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText redacts.
func (APIv3Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (APIv3Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// Cipher encrypts and decrypts resources with one merchant's APIv3 key. It is
// safe for concurrent use.
type Cipher struct{ aead cipher.AEAD }

// NewCipher returns the cipher of an APIv3 key, which must have 32 bytes.
func NewCipher(key APIv3Key) (*Cipher, error) {
	if len(key) != apiv3KeyLen {
		return nil, fmt.Errorf("APIv3 key has %d bytes, want %d", len(key), apiv3KeyLen)
	}
	return newCipher(key)
}

// newCipher also takes the 16-byte keys of some published test vectors.
func newCipher(key APIv3Key) (*Cipher, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("building AES: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("building GCM: %w", err)
	}
	return &Cipher{aead: aead}, nil
}

// ErrResource says that a resource cannot be decrypted: other algorithm,
// impossible shape, wrong key or changed bytes. Which of them is not told.
var ErrResource = errors.New("resource cannot be decrypted")

// Open decrypts a resource and returns its plaintext.
func (c *Cipher) Open(r Resource) ([]byte, error) {
	if r.Algorithm != algorithmAESGCM || len(r.Nonce) != nonceLen {
		return nil, ErrResource
	}
	sealed, err := decodeBase64(r.Ciphertext)
	if err != nil || len(sealed) < tagLen {
		return nil, ErrResource
	}
	plaintext, err := c.aead.Open(sealed[:0], []byte(r.Nonce), sealed, []byte(r.AssociatedData))
	if err != nil {
		return nil, ErrResource
	}
	return plaintext, nil
}

// Seal encrypts a resource as WeChat does. The nonce must have 12 bytes and
// must be used once.
func (c *Cipher) Seal(plaintext []byte, originalType, associatedData, nonce string) (Resource, error) {
	if len(nonce) != nonceLen {
		return Resource{}, fmt.Errorf("nonce has %d bytes, want %d", len(nonce), nonceLen)
	}
	sealed := c.aead.Seal(nil, []byte(nonce), plaintext, []byte(associatedData))
	return Resource{
		OriginalType:   originalType,
		Algorithm:      algorithmAESGCM,
		Ciphertext:     base64.StdEncoding.EncodeToString(sealed),
		AssociatedData: associatedData,
		Nonce:          nonce,
	}, nil
}
