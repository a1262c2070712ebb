package payv3

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// APIError is WeChat's refusal of a call.
type APIError struct {
	Op         string // the call, such as "prepay jsapi"
	HTTPStatus int
	Code       string // such as PARAM_ERROR; empty when the answer had none
	Message    string // WeChat's words, cut to 256 bytes; may quote parameters
	RequestID  string // WeChat's id of the call, for its support
	Field      string // JSON pointer to the parameter at fault, if one is named
	// Repeat says that the call was tried before without a clear answer, so
	// that what was refused may have been done already.
	Repeat bool

	retryAfter time.Duration // of a 429
}

// Error names the call, the status, the code and WeChat's request id, but not
// the message, which may quote what was sent.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + ": WeChat answered " + strconv.Itoa(e.HTTPStatus))
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	if e.RequestID != "" {
		b.WriteString(" (request id " + e.RequestID + ")")
	}
	return b.String()
}

// NormalCode returns the code without underscores, because WeChat spells
// codes both ways (SYSTEM_ERROR and SYSTEMERROR).
func (e *APIError) NormalCode() string { return strings.ReplaceAll(e.Code, "_", "") }

// Retryable reports whether the same call may succeed later. Status and code
// can disagree between products, so the code decides where it is known.
func (e *APIError) Retryable() bool {
	switch e.NormalCode() {
	case "SYSTEMERROR", "BIZERRNEEDRETRY", "FREQUENCYLIMITED", "RATELIMITED", "RATELIMITEXCEEDED", "SERVICEUNAVAILABLE":
		return true
	case "BANKERROR", "INVALIDTRANSACTIONID", "OPENIDMISMATCH": // sent with status 500, but final
		return false
	}
	return e.HTTPStatus >= 500 || e.HTTPStatus == http.StatusTooManyRequests
}

// limited reports whether WeChat asks for fewer calls.
func (e *APIError) limited() bool {
	switch e.NormalCode() {
	case "FREQUENCYLIMITED", "RATELIMITED", "RATELIMITEXCEEDED":
		return true
	}
	return e.HTTPStatus == http.StatusTooManyRequests
}

// hostAtFault reports whether another host may do better: no answer of the
// application, or one that says it is out of service.
func (e *APIError) hostAtFault() bool {
	return e.HTTPStatus >= 500 && (e.Code == "" || e.NormalCode() == "SERVICEUNAVAILABLE")
}

// newAPIError reads an answer that is not a success. Such answers may be
// unsigned; what they say decides about errors and retries only.
func newAPIError(op string, status int, h http.Header, body []byte) *APIError {
	e := &APIError{
		Op:         op,
		HTTPStatus: status,
		RequestID:  transport.LogText(h.Get("Request-ID"), 128),
		retryAfter: parseRetryAfter(h.Get("Retry-After")),
	}
	var reply errorReply
	if strictjson.Decode(body, &reply, strictjson.Options{AllowUnknown: true}) != nil {
		return e // an HTML page of a proxy, for example
	}
	if consistsOf(reply.Code, 64, isCode) {
		e.Code = reply.Code
	}
	e.Message = transport.LogText(reply.Message, 256)
	var detail errorDetail
	if len(reply.Detail) > 0 && strictjson.Decode(reply.Detail, &detail, strictjson.Options{AllowUnknown: true}) == nil {
		e.Field = transport.LogText(detail.Field, 128)
	}
	return e
}

func isCode(c byte) bool { return isAlphanumeric(c) || c == '_' }

// errorReply is the body of an answer that is not a success. The detail's
// form differs between products, so that it must not spoil the rest.
type errorReply struct {
	Code    string          `json:"code"`
	Message string          `json:"message"`
	Detail  json.RawMessage `json:"detail"`
}

type errorDetail struct {
	Field string `json:"field"`
}

// parseRetryAfter reads a Retry-After header in seconds, up to a minute.
func parseRetryAfter(s string) time.Duration {
	if !consistsOf(s, 4, isDigit) {
		return 0
	}
	seconds, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, time.Minute)
}
