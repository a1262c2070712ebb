package miniprogram

import (
	"crypto/aes"
	"crypto/sha1" //nolint:gosec // WeChat signs with it; the key beside the data is 16 random bytes
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/cbc"
)

// MaxData is the longest encryptedData that is looked at, in bytes of base64.
const MaxData = 64 << 10

// ErrData says that data cannot be decrypted: impossible shape, another key,
// changed bytes, or made for another mini-program. Which of them is not told,
// because the difference would let a stranger decrypt by asking often enough.
var ErrData = errors.New("data cannot be decrypted")

// Sign signs the raw data as WeChat does: SHA-1 over the data and the text of
// the key, in lower hex (section 4).
func Sign(rawData string, key SessionKey) string {
	sum := sha1.Sum([]byte(rawData + string(key))) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// VerifySignature reports whether the signature of the raw data is WeChat's. It
// takes the same time for every signature.
func VerifySignature(rawData string, key SessionKey, signature string) bool {
	return key.Valid() && subtle.ConstantTimeCompare([]byte(Sign(rawData, key)), []byte(signature)) == 1
}

// watermark is the part of the plaintext that says whom it was made for.
type watermark struct {
	Watermark struct {
		AppID string `json:"appid"`
	} `json:"watermark"`
}

// Decrypt decrypts what the mini-program's own code hands over (encryptedData
// and iv, both base64) and returns the JSON object that it holds, after
// checking that WeChat made it for the app id. Every failure is ErrData.
//
// AES-CBC does not tell who encrypted: whoever has the key can make such data.
// It is WeChat's word because the key stays on the server.
func Decrypt(key SessionKey, iv, encryptedData, appID string) ([]byte, error) {
	secret, ok := key.bytes()
	start, ok2 := decode16(iv)
	if !ok || !ok2 || len(encryptedData) > MaxData {
		return nil, ErrData
	}
	data, ok := decode(encryptedData)
	if !ok {
		return nil, ErrData
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, ErrData
	}
	if data, ok = cbc.Open(block, start, data, aes.BlockSize); !ok {
		return nil, ErrData
	}
	var mark watermark
	if err := strictjson.Decode(data, &mark, strictjson.Options{AllowUnknown: true}); err != nil {
		return nil, ErrData
	}
	if appID == "" || mark.Watermark.AppID != appID {
		return nil, ErrData
	}
	return data, nil
}

// Encrypt encrypts as WeChat does, with an iv read from random.
func Encrypt(random io.Reader, key SessionKey, plaintext []byte) (encryptedData, iv string, err error) {
	secret, ok := key.bytes()
	if !ok {
		return "", "", errors.New("session key is not the base64 of 16 bytes")
	}
	start := make([]byte, aes.BlockSize)
	if _, err := io.ReadFull(random, start); err != nil {
		return "", "", fmt.Errorf("reading randomness: %w", err)
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return "", "", fmt.Errorf("building AES: %w", err)
	}
	data := cbc.Seal(block, start, plaintext, aes.BlockSize)
	return encoding.EncodeToString(data), encoding.EncodeToString(start), nil
}
