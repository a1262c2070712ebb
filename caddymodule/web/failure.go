package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/wxrelay/wxrelay/relay"
)

// failure is an answer that says no. Its JSON form is the one error body of
// contract section 3.4.
type failure struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	RequestID    string `json:"request_id"`
	Field        string `json:"field,omitempty"`
	UpstreamCode string `json:"upstream_code,omitempty"`

	status     int
	retryAfter int // seconds; 0: not worth trying again
	kind       relay.Kind
	weChatCode int   // for who speaks WeChat's own calls; 0: by kind
	cause      error // for the log alone
}

type answer struct {
	status     int
	code       string
	retryAfter int
}

// answers is the one table from kinds of refusals to what the caller gets.
var answers = [...]answer{
	relay.KindParam:           {http.StatusBadRequest, "PARAM_ERROR", 0},
	relay.KindSign:            {http.StatusUnauthorized, "SIGN_ERROR", 0},
	relay.KindTimestamp:       {http.StatusUnauthorized, "TIMESTAMP_OUT_OF_RANGE", 0},
	relay.KindRate:            {http.StatusTooManyRequests, "FREQUENCY_LIMITED", 1},
	relay.KindReplayed:        {http.StatusConflict, "REPLAYED", 0},
	relay.KindNoAuth:          {http.StatusForbidden, "NO_AUTH", 0},
	relay.KindNotFound:        {http.StatusNotFound, "NOT_FOUND", 0},
	relay.KindOrderConflict:   {http.StatusConflict, "ORDER_CONFLICT", 0},
	relay.KindOrderPaid:       {http.StatusConflict, "ORDER_PAID", 0},
	relay.KindOrderClosed:     {http.StatusConflict, "ORDER_CLOSED", 0},
	relay.KindUpstream:        {http.StatusBadGateway, "UPSTREAM_ERROR", 0},
	relay.KindUpstreamTimeout: {http.StatusGatewayTimeout, "UPSTREAM_TIMEOUT", 0},
	relay.KindUnavailable:     {http.StatusServiceUnavailable, "UNAVAILABLE", 5},
	relay.KindTooLarge:        {http.StatusRequestEntityTooLarge, "BODY_TOO_LARGE", 0},
	relay.KindRefundConflict:  {http.StatusConflict, "REFUND_CONFLICT", 0},
	relay.KindAmountExceeded:  {http.StatusConflict, "AMOUNT_EXCEEDED", 0},
	relay.KindCaseConflict:    {http.StatusConflict, "CASE_CONFLICT", 0},
	relay.KindSplitConflict:   {http.StatusConflict, "SPLIT_CONFLICT", 0},
}

var internalError = answer{http.StatusInternalServerError, "INTERNAL", 0}

// edgeError is a refusal of HTTP itself, which relay never hears of.
type edgeError struct {
	answer
	message string
}

func (e *edgeError) Error() string { return e.message }

var (
	errMethod = &edgeError{answer{http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED", 0}, "this address does not take this method; see Allow"}
	errMedia  = &edgeError{answer{http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE", 0}, "the body must be application/json"}
)

// failureOf finds what the caller gets for an error. What relay did not mark
// as fit to be read stays in cause.
func failureOf(err error) failure {
	if e, ok := errors.AsType[*edgeError](err); ok {
		return failure{Code: e.code, Message: e.message, status: e.status, cause: err}
	}
	if e, ok := errors.AsType[*relay.Error](err); ok && e.Kind > 0 && int(e.Kind) < len(answers) {
		a := answers[e.Kind]
		return failure{
			Code: a.code, Message: e.Message, Field: e.Field, UpstreamCode: e.UpstreamCode,
			status: a.status, retryAfter: a.retryAfter, kind: e.Kind, weChatCode: e.WeChatCode, cause: err,
		}
	}
	if errors.Is(err, relay.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		a := answers[relay.KindUnavailable]
		return failure{
			Code: a.code, Message: "the relay cannot take this now; send it again",
			status: a.status, retryAfter: a.retryAfter, kind: relay.KindUnavailable, cause: err,
		}
	}
	return failure{
		Code: internalError.code, Message: "internal error; tell the operator the request_id",
		status: internalError.status, cause: err,
	}
}

// paramError refuses one part of a request.
func paramError(field, message string) error {
	return &relay.Error{Kind: relay.KindParam, Field: field, Message: message}
}

// notFound is the answer for a name in a path that cannot be anything's.
func notFound(what string) error {
	return &relay.Error{Kind: relay.KindNotFound, Message: "no such " + what}
}

// writeFailure sends the error body.
func writeFailure(w http.ResponseWriter, f failure) error {
	setRetry(w.Header(), f)
	if f.status == http.StatusUnauthorized {
		// RFC 9110 section 15.5.2 asks for a challenge with every 401.
		w.Header().Set("WWW-Authenticate", "WXRELAY1-HMAC-SHA256")
	}
	return writeJSON(w, f.status, f)
}

func setRetry(h http.Header, f failure) {
	if f.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
}

// writeJSON sends v, whole or not at all. Marshalling escapes <, > and &, so
// that no answer reads as a page (threats I12).
func writeJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return writeWhole(w, status, "application/json", body)
}
