package oauth

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// Codes of WeChat's global table that decide what to do next.
const (
	CodeBusy         = -1
	CodeInvalid      = 40029 // the code is none, or of another account
	CodeSecret       = 40125 // wrong AppSecret
	CodeUsed         = 40163
	CodeIPNotAllowed = 40164 // the caller's address is not on the console's list
	CodeExpired      = 42003
	CodeTooMany      = 45011 // per minute
)

// Error is WeChat's refusal of a call.
type Error struct {
	Op         string // the call, such as "exchange code"
	Code       int    // errcode; 0 when the HTTP status refused
	HTTPStatus int    // WeChat refuses with 200
	Message    string // WeChat's words without request id, for the log
}

// Error names the call and the code, but not the message, whose form WeChat
// does not promise.
func (e *Error) Error() string {
	if e.Code == 0 {
		return e.Op + ": WeChat answered status " + strconv.Itoa(e.HTTPStatus)
	}
	return e.Op + ": WeChat answered errcode " + strconv.Itoa(e.Code)
}

// CodeSpent reports whether the code can no longer be exchanged by anybody,
// so that the authorisation must begin again.
func (e *Error) CodeSpent() bool {
	return e.Code == CodeInvalid || e.Code == CodeUsed || e.Code == CodeExpired
}

// Retryable reports whether the same call may succeed later.
func (e *Error) Retryable() bool {
	return e.Code == CodeBusy || e.Code == CodeTooMany ||
		e.Code == 0 && (e.HTTPStatus >= 500 || e.HTTPStatus == http.StatusTooManyRequests)
}

// cleanMessage drops the request id that WeChat appends and what a log should
// not have.
func cleanMessage(s string) string {
	if i := strings.LastIndex(s, "rid:"); i >= 0 {
		s = strings.TrimRight(s[:i], " ,")
	}
	return transport.LogText(s, 200)
}
