package message

import (
	"errors"
	"net/url"
	"strings"
)

// Query has the parameters that WeChat adds to the server's address.
type Query struct {
	Signature    string
	Timestamp    string // seconds since 1970, by WeChat's clock
	Nonce        string
	EchoStr      string // of the check alone
	EncryptType  string // "aes", "raw" or empty
	MsgSignature string // of what is encrypted
}

// ErrQuery says that the parameters are not those that WeChat adds.
var ErrQuery = errors.New("parameters of a push are missing, doubled or malformed")

// Longest values. The nonce is kept shorter than three blocks of AES in base64:
// parts are signed without a border between them, so that a longer one could
// take in the beginning of the encrypted message.
const (
	maxSignature = 64
	maxTimestamp = 20
	maxNonce     = 48
	maxEcho      = 256
)

// ParseQuery reads the parameters. Others, such as openid, are not looked at.
func ParseQuery(values url.Values) (Query, error) {
	var q Query
	for _, p := range []struct {
		name  string
		value *string
		max   int
		good  func(rune) bool
	}{
		{"signature", &q.Signature, maxSignature, isVisible},
		{"timestamp", &q.Timestamp, maxTimestamp, isDigit},
		{"nonce", &q.Nonce, maxNonce, isVisible},
		{"echostr", &q.EchoStr, maxEcho, isVisible},
		{"encrypt_type", &q.EncryptType, maxSignature, isVisible},
		{"msg_signature", &q.MsgSignature, maxSignature, isVisible},
	} {
		given := values[p.name]
		if len(given) > 1 {
			return Query{}, ErrQuery
		}
		if len(given) == 0 {
			continue
		}
		if len(given[0]) > p.max || strings.ContainsFunc(given[0], func(r rune) bool { return !p.good(r) }) {
			return Query{}, ErrQuery
		}
		*p.value = given[0]
	}
	if q.Timestamp == "" || q.Nonce == "" {
		return Query{}, ErrQuery
	}
	return q, nil
}

// Values writes the parameters that have a value.
func (q Query) Values() url.Values {
	v := url.Values{}
	for name, value := range map[string]string{
		"signature": q.Signature, "timestamp": q.Timestamp, "nonce": q.Nonce,
		"echostr": q.EchoStr, "encrypt_type": q.EncryptType, "msg_signature": q.MsgSignature,
	} {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func isVisible(r rune) bool { return r > ' ' && r <= '~' }
func isDigit(r rune) bool   { return r >= '0' && r <= '9' }
