package payv3

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // WeChat's scheme is OAEP with SHA-1, whose use there does not rest on collisions
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

// EncryptSensitive encrypts a name or an account number for the holder of
// key: RSAES-OAEP with SHA-1, base64 (v3.md section 6). A key of 2048 bits
// takes 214 bytes.
func EncryptSensitive(key *rsa.PublicKey, plaintext string) (string, error) {
	sealed, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(plaintext), nil) //nolint:gosec // see the import
	if err != nil {
		return "", fmt.Errorf("encrypting sensitive field: %w", err)
	}
	return base64.StdEncoding.EncodeToString(sealed), nil
}

// ErrSensitive says that a sensitive field cannot be decrypted. Why is not
// told.
var ErrSensitive = errors.New("sensitive field cannot be decrypted")

// DecryptSensitive reads what EncryptSensitive made.
func DecryptSensitive(key *rsa.PrivateKey, ciphertext string) (string, error) {
	sealed, err := decodeBase64(ciphertext)
	if err != nil {
		return "", ErrSensitive
	}
	plaintext, err := rsa.DecryptOAEP(sha1.New(), nil, key, sealed, nil) //nolint:gosec // see the import
	if err != nil {
		return "", ErrSensitive
	}
	return string(plaintext), nil
}

// DecryptSensitive reads a sensitive field that WeChat encrypted for the
// merchant.
func (c *Client) DecryptSensitive(ciphertext string) (string, error) {
	return DecryptSensitive(c.privateKey, ciphertext)
}

// Encrypter encrypts the sensitive fields of one request, all with one key.
type Encrypter struct {
	// Serial names the key to WeChat, in the header Wechatpay-Serial.
	Serial string
	key    *rsa.PublicKey
}

// Encrypt encrypts one field.
func (e Encrypter) Encrypt(plaintext string) (string, error) {
	return EncryptSensitive(e.key, plaintext)
}

// Encrypter returns the key that WeChat reads with: the public key when the
// ring has one, else the newest platform certificate's, which is downloaded
// when there is none yet.
func (c *Client) Encrypter(ctx context.Context) (Encrypter, error) {
	if e, ok := c.keys.encrypter(c.now()); ok {
		return e, nil
	}
	c.keys.refresh(ctx, c.now())
	if e, ok := c.keys.encrypter(c.now()); ok {
		return e, nil
	}
	return Encrypter{}, errors.New("no key of WeChat to encrypt with")
}

// encrypter picks the key by the same rule by which answers are asked to be
// signed, because one header names both.
func (k *KeyRing) encrypter(now time.Time) (Encrypter, bool) {
	serial := k.requestSerial
	if serial == "" {
		serial = k.newest(now)
	}
	key := k.key(serial, now)
	return Encrypter{Serial: serial, key: key}, key != nil
}
