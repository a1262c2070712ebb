package message

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/cbc"
)

const (
	encodingKeyLen = 43 // of an EncodingAESKey
	randomLen      = 16 // in front of a plaintext
	prefixLen      = randomLen + 4
	paddingBlock   = 32 // of PKCS#7 here, twice that of AES
)

// ErrEncryption says that a message whose signature is right cannot be
// decrypted: another key, or made for another account. Which of them is not
// told.
var ErrEncryption = errors.New("message cannot be decrypted")

var encoding = base64.StdEncoding.Strict()

// Cipher encrypts and decrypts the messages of one account (section 7). It is
// safe for concurrent use.
type Cipher struct {
	block cipher.Block
	iv    []byte
	appID string
}

// NewCipher returns the cipher of an EncodingAESKey, the 43 letters and digits
// of WeChat's console, for the account of the app id.
func NewCipher(encodingAESKey []byte, appID string) (*Cipher, error) {
	if len(encodingAESKey) != encodingKeyLen || bytes.ContainsAny(encodingAESKey, "\r\n") {
		return nil, fmt.Errorf("EncodingAESKey has not %d characters of base64", encodingKeyLen)
	}
	if appID == "" {
		return nil, errors.New("app id is missing")
	}
	// The last of 43 characters has two bits too many, which WeChat draws at
	// random; a strict decoder would refuse them.
	key := make([]byte, base64.StdEncoding.DecodedLen(encodingKeyLen+1))
	n, err := base64.StdEncoding.Decode(key, append(bytes.Clone(encodingAESKey), '='))
	if err != nil {
		return nil, fmt.Errorf("EncodingAESKey has not %d characters of base64", encodingKeyLen)
	}
	block, err := aes.NewCipher(key[:n])
	if err != nil {
		return nil, fmt.Errorf("building AES: %w", err)
	}
	return &Cipher{block: block, iv: key[:aes.BlockSize], appID: appID}, nil
}

// Open decrypts the text of Encrypt, whose signature was verified before, and
// returns the message in it. Every failure is ErrEncryption.
func (c *Cipher) Open(encrypt string) ([]byte, error) {
	data, err := encoding.DecodeString(encrypt)
	if err != nil {
		return nil, ErrEncryption
	}
	data, ok := cbc.Open(c.block, c.iv, data, paddingBlock)
	if !ok || len(data) < prefixLen {
		return nil, ErrEncryption
	}
	length := int64(binary.BigEndian.Uint32(data[randomLen:]))
	data = data[prefixLen:]
	// The rest is the app id and nothing else: a length that is too short would
	// leave a piece of the message in front of it.
	if length > int64(len(data)) || string(data[length:]) != c.appID {
		return nil, ErrEncryption
	}
	return data[:length:length], nil
}

// Seal encrypts a message as WeChat does, with 16 bytes read from random.
func (c *Cipher) Seal(random io.Reader, message []byte) (string, error) {
	if len(message) > math.MaxInt32 {
		return "", errors.New("message is too long")
	}
	data := make([]byte, prefixLen, prefixLen+len(message)+len(c.appID))
	if _, err := io.ReadFull(random, data[:randomLen]); err != nil {
		return "", fmt.Errorf("reading randomness: %w", err)
	}
	binary.BigEndian.PutUint32(data[randomLen:], uint32(len(message)))
	data = append(append(data, message...), c.appID...)
	return encoding.EncodeToString(cbc.Seal(c.block, c.iv, data, paddingBlock)), nil
}
