package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // WeChat encrypts members with OAEP over SHA-1 (v3.md 6)
	"encoding/base64"
	"unicode/utf8"
)

// platformPrivate returns the private half of the key that a serial names.
func platformPrivate(serial string) *rsa.PrivateKey {
	switch serial {
	case DefaultPublicKeyID:
		return publicModeKey()
	case rotatedPlatformSerial:
		return rotatedKey()
	default:
		return platformKey()
	}
}

// checkSealed makes sure that a member of a request, such as a name, decrypts
// with the key that the request's Wechatpay-Serial names (v3.md 6). What it
// says is nobody's business in a sandbox.
func (c *apiCall) checkSealed(field, value string) error {
	if c.sealed == nil {
		return &parameterError{
			field: "Wechatpay-Serial", issue: "a request with encrypted members must name the key in Wechatpay-Serial", location: "header",
		}
	}
	wrong := &parameterError{field: field, issue: "敏感字段解密失败: the member does not decrypt with the key that Wechatpay-Serial names", location: "body"}
	ciphertext, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return wrong
	}
	plaintext, err := rsa.DecryptOAEP(sha1.New(), rand.Reader, c.sealed, ciphertext, nil) //nolint:gosec // as above
	if err != nil || len(plaintext) == 0 || !utf8.Valid(plaintext) {
		return wrong
	}
	return nil
}
