package relay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
)

// webhookAttempt is what differs between two attempts of one notification.
type webhookAttempt struct {
	At    time.Time
	Nonce string // 16..32 letters and digits; used by NotifyGet

	SignType V2SignType // used by NotifyWeChatV2
	Key      *NotifyKey // used by NotifyWeChatV3
}

// errWebhookFormat says that a delivery has a format that this build cannot
// make.
var errWebhookFormat = errors.New("unknown notification format")

// buildWebhook makes the request of one attempt from the stored bytes of the
// event. secrets are the live notify secrets, the newest first, at least one.
func buildWebhook(ctx context.Context, e *Event, d *Delivery, secrets []Secret, a webhookAttempt) (*http.Request, error) {
	if len(secrets) == 0 {
		return nil, errors.New("building notification: no notify secret")
	}
	switch d.Format {
	case NotifyStandard:
		return buildStandardWebhook(ctx, e, d.URL, secrets, a.At)
	case NotifyGet:
		return buildGetWebhook(ctx, e, d.URL, secrets[0], a)
	case NotifyWeChatV2:
		return buildWeChatV2Webhook(ctx, e, d, secrets[0], a.SignType)
	case NotifyWeChatV3:
		return buildWeChatV3Webhook(ctx, e, d, secrets[0], a)
	default:
		return nil, errWebhookFormat
	}
}

// buildStandardWebhook makes a notification by Standard Webhooks 1.0
// (standard-webhooks/spec/standard-webhooks.md).
func buildStandardWebhook(ctx context.Context, e *Event, address string, secrets []Secret, at time.Time) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(e.Body))
	if err != nil {
		return nil, errors.New("building notification: address is not a URL")
	}
	timestamp := strconv.FormatInt(at.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = webhookSignature(s, e.ID, timestamp, e.Body)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Webhook-Id", e.ID)
	req.Header.Set("Webhook-Timestamp", timestamp)
	req.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	return req, nil
}

// webhookSignature signs id.timestamp.body with the secret's bytes as they
// are.
func webhookSignature(s Secret, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, s.Reveal())
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// webhookBody is what NotifyGet reads back from the stored body, so that both
// formats tell the same.
type webhookBody struct {
	Type EventType `json:"type"`
	Data struct {
		ClientID      string      `json:"client_id"`
		OrderNo       string      `json:"order_no"`
		OutTradeNo    string      `json:"out_trade_no"`
		TransactionID string      `json:"transaction_id"`
		Amount        json.Number `json:"amount"`
		Currency      string      `json:"currency"`
		Status        string      `json:"status"`
		PaidAt        string      `json:"paid_at"`
		Attach        string      `json:"attach"`
	} `json:"data"`
}

// buildGetWebhook makes a notification as query parameters with a v2-style
// signature. Parameters without a value are left out.
func buildGetWebhook(ctx context.Context, e *Event, address string, secret Secret, a webhookAttempt) (*http.Request, error) {
	var body webhookBody
	if err := json.Unmarshal(e.Body, &body); err != nil {
		return nil, fmt.Errorf("building notification: %w: event body", ErrCorrupt)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("building notification: address is not a URL")
	}
	data := &body.Data
	clientID := data.ClientID
	if clientID == "" {
		clientID = e.ClientID
	}
	params := []struct{ name, value string }{
		{"client_id", clientID},
		{"event", string(body.Type)},
		{"event_id", e.ID},
		{"order_no", data.OrderNo},
		{"out_trade_no", data.OutTradeNo},
		{"transaction_id", data.TransactionID},
		{"amount", data.Amount.String()},
		{"currency", data.Currency},
		{"status", data.Status},
		{"paid_at", data.PaidAt},
		{"attach", data.Attach},
		{"timestamp", strconv.FormatInt(a.At.Unix(), 10)},
		{"nonce_str", a.Nonce},
		{"sign_type", string(V2SignHMACSHA256)},
	}
	fields := make(map[string]string, len(params))
	query := u.RawQuery
	for _, p := range params {
		if p.value == "" {
			continue
		}
		fields[p.name] = p.value
		query = appendParam(query, p.name, p.value)
	}
	u.RawQuery = appendParam(query, "sign", SignV2(fields, secret, V2SignHMACSHA256))

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("building notification: address is not a URL")
	}
	// http.NoBody would let the transport repeat the request by itself.
	req.Body = nil
	return req, nil
}

// appendParam adds one parameter to a query. A blank is %20: receivers that
// decode by RFC 3986 would read a + as a plus.
func appendParam(query, name, value string) string {
	if query != "" {
		query += "&"
	}
	return query + name + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")
}

// webhookVerdict is what an answer means.
type webhookVerdict struct {
	Delivered  bool
	Gone       bool          // the receiver asks never to be called again
	RetryAfter time.Duration // pause that the receiver asked for; zero if none
	Failure    string        // short reason; empty when delivered
}

// judgeWebhook decides about an answer. A redirect is a failure like any
// other status: nothing is followed. 410 ends the chain in every format.
func judgeWebhook(format NotifyFormat, res *safehttp.Result, err error, now time.Time) webhookVerdict {
	ok := format.accepts(res.Status)
	switch {
	case res.Status == http.StatusGone:
		return webhookVerdict{Gone: true, Failure: "status 410"}
	case ok && format == NotifyGet:
		return judgeGetBody(res, err)
	case ok && format == NotifyWeChatV2:
		return judgeWeChatV2(res, err)
	case ok:
		// Standard Webhooks and WeChat's v3: the status alone decides,
		// whatever becomes of the body.
		return webhookVerdict{Delivered: true}
	case res.Status == 0 && err != nil:
		return webhookVerdict{Failure: string(safehttp.ReasonOf(err))}
	default:
		return webhookVerdict{
			Failure:    "status " + strconv.Itoa(res.Status),
			RetryAfter: parseRetryAfter(res.RetryAfter, now),
		}
	}
}

// judgeGetBody wants the word itself: a page that contains it, or a body that
// was cut before its end, is no success.
func judgeGetBody(res *safehttp.Result, err error) webhookVerdict {
	switch {
	case err != nil:
		return webhookVerdict{Failure: string(safehttp.ReasonOf(err))}
	case res.Truncated || !webhookSuccess(res.Body):
		return webhookVerdict{Failure: "answer is not success"}
	default:
		return webhookVerdict{Delivered: true}
	}
}

// webhookSuccess reports whether a body is success in any case, apart from
// blanks around it and the byte order mark that some editors put before it.
func webhookSuccess(body []byte) bool {
	const blanks, want = " \t\r\n", "success"
	word := bytes.TrimPrefix(bytes.Trim(body, blanks), []byte("\xef\xbb\xbf"))
	word = bytes.Trim(word, blanks)
	// Folding knows letters outside ASCII, such as the long s; the length
	// shuts them out.
	return len(word) == len(want) && strings.EqualFold(string(word), want)
}

// parseRetryAfter reads the header of that name, seconds or a date (RFC 9110
// section 10.2.3). What cannot be read, or lies in the past, is no wish.
func parseRetryAfter(text string, now time.Time) time.Duration {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxScheduleOffset)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxScheduleOffset)
	}
	return 0
}
