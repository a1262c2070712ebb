package relay

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
)

// ErrSealed says that a sealed value does not open: it was changed, belongs
// elsewhere, or was sealed with a key that is no more. It never says which.
// Whoever meets it does without the value: a token is fetched anew, a session
// is not found.
var ErrSealed = errors.New("sealed value does not open")

// SealPurpose says what a sealed value is for. Each purpose has its own key.
type SealPurpose string

// The purposes.
const (
	SealAccountToken SealPurpose = "account_token" // AccountToken.Sealed
	SealMiniSession  SealPurpose = "mini_session"  // Grant.Sealed
)

// Sealer encrypts secrets that stand in the store, so that a copy of the store
// gives none away. What it seals opens in its own place only: purpose and
// context, such as the row's key, belong to the seal. It is safe for
// concurrent use and prints nothing of its keys.
type Sealer struct {
	keys   []sealKey
	random io.Reader
}

// sealKey is one master key, from which the keys of all purposes are derived.
type sealKey struct {
	id       [sealKeyID]byte
	material []byte // pseudorandom key of HKDF
}

// A sealed value is version (1) | key id (8) | nonce (12) | AES-256-GCM of the
// plain text, tag included. All before the nonce is authenticated, and so are
// purpose and context, each behind its length.
const (
	sealVersion = 1
	sealKeyID   = 8
	sealHead    = 1 + sealKeyID
	sealNonce   = 12
	sealTag     = 16
)

// MasterKeyLen is the length of a master key in bytes.
const MasterKeyLen = 32

// NewSealer makes a Sealer of one master key or more, 32 bytes each: the
// first seals, all of them open. random gives the nonces.
func NewSealer(keys []Secret, random io.Reader) (*Sealer, error) {
	if len(keys) == 0 || random == nil {
		return nil, errors.New("making sealer: a master key and randomness are needed")
	}
	s := &Sealer{random: random}
	for _, key := range keys {
		k, err := newSealKey(key)
		if err != nil {
			return nil, fmt.Errorf("making sealer: %w", err)
		}
		s.keys = append(s.keys, k)
	}
	return s, nil
}

// newRandomSealer makes a Sealer that nothing can open when it is gone.
func newRandomSealer(random io.Reader) (*Sealer, error) {
	key := make([]byte, MasterKeyLen)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, fmt.Errorf("reading randomness: %w", err)
	}
	return NewSealer([]Secret{NewSecret(string(key))}, random)
}

func newSealKey(key Secret) (k sealKey, err error) {
	if err := checkMasterKey(key); err != nil {
		return k, err
	}
	if k.material, err = hkdf.Extract(sha256.New, key.Reveal(), nil); err != nil {
		return k, fmt.Errorf("deriving keys: %w", err)
	}
	id, err := hkdf.Expand(sha256.New, k.material, "wxrelay/key-id", sealKeyID)
	if err != nil {
		return k, fmt.Errorf("deriving keys: %w", err)
	}
	copy(k.id[:], id)
	return k, nil
}

// cipher is what seals and opens for one purpose.
func (k *sealKey) cipher(purpose SealPurpose) (cipher.AEAD, error) {
	// The purpose is the relay's own word without a slash.
	info := "wxrelay/" + string(purpose) + "/" + hex.EncodeToString(k.id[:])
	key, err := hkdf.Expand(sha256.New, k.material, info, MasterKeyLen)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// Seal encrypts plain for a purpose and a place. Both must be given again to
// open it.
func (s *Sealer) Seal(purpose SealPurpose, context string, plain []byte) ([]byte, error) {
	k := &s.keys[0]
	aead, err := k.cipher(purpose)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	sealed := make([]byte, sealHead+sealNonce, sealHead+sealNonce+len(plain)+sealTag)
	sealed[0] = sealVersion
	copy(sealed[1:], k.id[:])
	nonce := sealed[sealHead:]
	if _, err := io.ReadFull(s.random, nonce); err != nil {
		return nil, fmt.Errorf("sealing: reading randomness: %w", err)
	}
	return aead.Seal(sealed, nonce, plain, sealedWith(sealed[:sealHead], purpose, context)), nil
}

// Open decrypts what Seal made for the same purpose and place. Whatever is
// wrong, the error is ErrSealed.
func (s *Sealer) Open(purpose SealPurpose, context string, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHead+sealNonce+sealTag || sealed[0] != sealVersion {
		return nil, ErrSealed
	}
	head, nonce, rest := sealed[:sealHead], sealed[sealHead:sealHead+sealNonce], sealed[sealHead+sealNonce:]
	i := slices.IndexFunc(s.keys, func(k sealKey) bool { return string(k.id[:]) == string(head[1:]) })
	if i < 0 {
		return nil, ErrSealed
	}
	aead, err := s.keys[i].cipher(purpose)
	if err != nil {
		return nil, ErrSealed
	}
	plain, err := aead.Open(nil, nonce, rest, sealedWith(head, purpose, context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// sealedWith is what is authenticated with the text. The lengths keep the end
// of the purpose apart from the beginning of the context.
func sealedWith(head []byte, purpose SealPurpose, context string) []byte {
	data := slices.Clone(head)
	for _, part := range []string{string(purpose), context} {
		data = binary.AppendUvarint(data, uint64(len(part)))
		data = append(data, part...)
	}
	return data
}

// String redacts.
func (*Sealer) String() string { return redacted }

// GoString redacts.
func (*Sealer) GoString() string { return redacted }

// LogValue redacts.
func (*Sealer) LogValue() slog.Value { return slog.StringValue(redacted) }
