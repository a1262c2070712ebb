package peers

import (
	"crypto/hmac"
	"crypto/sha256"
)

func hmacSHA256(secret string, text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return mac.Sum(nil)
}
