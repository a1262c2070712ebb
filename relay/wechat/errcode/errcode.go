// Package errcode has the error codes of WeChat's account interfaces
// (api.weixin.qq.com) and says what each asks for next.
//
// Every client of those interfaces answers a refusal with an [*Error]; its
// methods are the questions that a caller has. Section numbers in comments are
// those of oauth.md, the project's digest of WeChat's documents.
package errcode

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Codes of WeChat's global table that decide what to do next (section 8).
const (
	Busy             = -1
	InvalidSecret    = 40001 // or a token that is no longer the latest
	InvalidGrant     = 40002
	InvalidOpenID    = 40003
	InvalidAppID     = 40013
	InvalidToken     = 40014
	InvalidCode      = 40029 // none, or of another account
	InvalidRefresh   = 40030
	InvalidParameter = 40035
	WrongSecret      = 40125
	CodeUsed         = 40163
	IPNotAllowed     = 40164 // the caller's address is not on the console's list
	UserBlocked      = 40226 // a mini-program's user of high risk
	SecretFrozen     = 40243
	MissingToken     = 41001
	MissingAppID     = 41002
	MissingRefresh   = 41003
	MissingSecret    = 41004
	MissingCode      = 41008 // also when the user refused
	MissingOpenID    = 41009
	TokenExpired     = 42001
	RefreshExpired   = 42002
	CodeExpired      = 42003
	TokensVoid       = 42007 // the user changed the password
	NeedsGET         = 43001
	NeedsPOST        = 43002
	NeedsHTTPS       = 43003
	TooLarge         = 45002
	DailyQuota       = 45009 // spent until midnight in Beijing
	TooMany          = 45011 // per minute
	NotAuthorised    = 48001 // the account may not, or the scope is too small
	BadData          = 47001 // neither JSON nor XML
	Restricted       = 50002
	IPAwaits         = 89501 // the administrator has not confirmed the caller's address
	IPRefused        = 89503
	IPRefusedToday   = 89506
	IPRefusedHour    = 89507
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

// CodeSpent reports whether the code of a login can no longer be exchanged by
// anybody, so that the authorisation must begin again.
func (e *Error) CodeSpent() bool {
	return e.Code == InvalidCode || e.Code == CodeUsed || e.Code == CodeExpired
}

// Restart reports whether nothing but a new authorisation by the user helps.
// Whoever starts one after an error does so at most once, for else a browser
// could go round for ever.
func (e *Error) Restart() bool {
	return e.CodeSpent() || e.Code == InvalidRefresh || e.Code == RefreshExpired || e.Code == TokensVoid
}

// TokenInvalid reports whether WeChat did nothing because the access token of
// the call is not, or no longer, good. From a call that fetches tokens,
// InvalidSecret means the AppSecret instead.
func (e *Error) TokenInvalid() bool { return IsTokenInvalid(e.Code) }

// IsTokenInvalid is [Error.TokenInvalid] for an answer that was passed
// through.
func IsTokenInvalid(code int) bool {
	return code == InvalidSecret || code == InvalidToken || code == TokenExpired
}

// QuotaSpent reports whether the call is refused until midnight in Beijing.
func (e *Error) QuotaSpent() bool { return e.Code == DailyQuota }

// Retryable reports whether the same call may succeed later: soon, or after a
// minute when the code is TooMany.
func (e *Error) Retryable() bool {
	return e.Code == Busy || e.Code == TooMany ||
		e.Code == 0 && (e.HTTPStatus >= http.StatusInternalServerError || e.HTTPStatus == http.StatusTooManyRequests)
}

// Alarm reports whether a person must mend something in WeChat's console or in
// the configuration before the call can succeed.
func (e *Error) Alarm() bool {
	switch e.Code {
	case InvalidAppID, WrongSecret, IPNotAllowed, SecretFrozen, DailyQuota, NotAuthorised, Restricted,
		IPAwaits, IPRefused, IPRefusedToday, IPRefusedHour:
		return true
	}
	return false
}

// AllowIP returns the address of ours that WeChat names when it is not on the
// account's list (IPNotAllowed), for the person who puts it there; empty when
// the message has another form. WeChat writes "invalid ip 203.0.113.7 ipv6
// ::ffff:203.0.113.7, not in whitelist".
func (e *Error) AllowIP() string {
	if e.Code != IPNotAllowed {
		return ""
	}
	_, after, found := strings.Cut(e.Message, "invalid ip ")
	if !found {
		return ""
	}
	if end := strings.IndexAny(after, " ,"); end >= 0 {
		after = after[:end]
	}
	addr, err := netip.ParseAddr(after)
	if err != nil || addr.Zone() != "" {
		return ""
	}
	return addr.Unmap().String()
}
