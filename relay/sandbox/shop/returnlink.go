package shop

import (
	"crypto/hmac"
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// Returned is what the relay says in the link of the way back.
type Returned struct {
	OrderNo string
	Status  string
}

// VerifyReturn verifies the signed link with which a visitor comes back from
// the cashier. The message has six lines: scheme, client, GET, host, path,
// and the raw query before "&sig=", which must be last.
func VerifyReturn(secret Secret, clientID, host, path, rawQuery string, now time.Time) (Returned, error) {
	at := strings.LastIndex(rawQuery, "&sig=")
	if at < 0 || strings.Contains(rawQuery[at+len("&sig="):], "&") {
		return Returned{}, errForm
	}
	signed, encoded := rawQuery[:at], rawQuery[at+len("&sig="):]
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return Returned{}, errSignature
	}
	// Behind TLS the port is 443, and in the clear 80; neither is signed.
	host = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), ":443"), ":80")
	message := strings.Join([]string{"WXRELAY1-URL-HMAC-SHA256", clientID, "GET", host, path, signed}, "\n") + "\n"
	if !hmac.Equal(signature, hmacSHA256(secret, message)) {
		return Returned{}, errSignature
	}
	values, err := url.ParseQuery(signed)
	if err != nil {
		return Returned{}, errForm
	}
	if values.Get("client_id") != clientID {
		return Returned{}, errForm
	}
	if !fresh(values.Get("timestamp"), now) {
		return Returned{}, errTimestamp
	}
	return Returned{OrderNo: values.Get("order_no"), Status: values.Get("status")}, nil
}
