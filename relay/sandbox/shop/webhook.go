package shop

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// window is how old, or how far ahead, a signature may be.
const window = 5 * time.Minute

// Reasons for which a notification is not believed.
var (
	errHeaders   = errors.New("a webhook header is missing or repeated")
	errTimestamp = errors.New("the timestamp is missing or more than five minutes off")
	errSignature = errors.New("the signature does not fit")
	errForm      = errors.New("the notification is malformed")
)

// Told is what a notification says, whichever form it came in.
type Told struct {
	EventID   string
	Type      string // order.paid and others
	OrderNo   string
	AmountFen int64
	Currency  string
	Status    string
}

// VerifyWebhook verifies a notification by Standard Webhooks 1.0 over the
// bytes as they came, and only then reads it. Any one of several signatures
// is enough, so that secrets can be changed without a gap.
func VerifyWebhook(secret Secret, header http.Header, body []byte, now time.Time) (Told, error) {
	var values [3]string
	for i, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		list := header.Values(name)
		if len(list) != 1 || list[0] == "" {
			return Told{}, errHeaders
		}
		values[i] = list[0]
	}
	id, timestamp, signatures := values[0], values[1], values[2]
	if !fresh(timestamp, now) {
		return Told{}, errTimestamp
	}
	expected := hmacSHA256(secret, id+"."+timestamp+"."+string(body))
	if !anySignature(signatures, expected) {
		return Told{}, errSignature
	}
	var content struct {
		Type string `json:"type"`
		Data struct {
			OrderNo   string `json:"order_no"`
			AmountFen int64  `json:"amount"`
			Currency  string `json:"currency"`
			Status    string `json:"status"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &content); err != nil {
		return Told{}, fmt.Errorf("%w: %w", errForm, err)
	}
	return Told{
		EventID: id, Type: content.Type, OrderNo: content.Data.OrderNo,
		AmountFen: content.Data.AmountFen, Currency: content.Data.Currency, Status: content.Data.Status,
	}, nil
}

// anySignature reports whether one of the v1 signatures in a list is the
// expected one.
func anySignature(list string, expected []byte) bool {
	for item := range strings.FieldsSeq(list) {
		encoded, ok := strings.CutPrefix(item, "v1,")
		if !ok {
			continue
		}
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && hmac.Equal(signature, expected) {
			return true
		}
	}
	return false
}

// fresh reports whether a timestamp in seconds is close enough to now.
func fresh(timestamp string, now time.Time) bool {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	return err == nil && strconv.FormatInt(seconds, 10) == timestamp && now.Sub(time.Unix(seconds, 0)).Abs() <= window
}
