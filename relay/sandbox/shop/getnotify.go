package shop

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the v2 rule offers it; HMAC-SHA256 is the better choice
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VerifyGet verifies a notification of the "get" form, which is signed by
// WeChat Pay's v2 rule: all parameters that are not empty, sorted, as
// name=value, then the key; HMAC-SHA256 or MD5 as sign_type says.
func VerifyGet(secret Secret, query url.Values, now time.Time) (Told, error) {
	var names []string
	for name, values := range query {
		if len(values) != 1 {
			return Told{}, errForm
		}
		if name != "sign" && values[0] != "" {
			names = append(names, name)
		}
	}
	if !fresh(query.Get("timestamp"), now) {
		return Told{}, errTimestamp
	}
	slices.Sort(names)
	var message strings.Builder
	for _, name := range names {
		message.WriteString(name + "=" + query.Get(name) + "&")
	}
	message.WriteString("key=" + string(secret))
	var sum []byte
	switch query.Get("sign_type") {
	case "HMAC-SHA256":
		sum = hmacSHA256(secret, message.String())
	case "MD5":
		digest := md5.Sum([]byte(message.String())) //nolint:gosec // see the import
		sum = digest[:]
	default:
		return Told{}, errSignature
	}
	expected := strings.ToUpper(hex.EncodeToString(sum))
	if !hmac.Equal([]byte(expected), []byte(query.Get("sign"))) {
		return Told{}, errSignature
	}
	amount, err := strconv.ParseInt(query.Get("amount"), 10, 64)
	if err != nil {
		return Told{}, errForm
	}
	return Told{
		EventID: query.Get("event_id"), Type: query.Get("event"), OrderNo: query.Get("order_no"),
		AmountFen: amount, Currency: query.Get("currency"), Status: query.Get("status"),
	}, nil
}
