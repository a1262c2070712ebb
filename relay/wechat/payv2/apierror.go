package payv2

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// ErrNoCertificate says that a call needs the merchant's API certificate and
// the client has none.
var ErrNoCertificate = errors.New("the merchant's API certificate is missing")

// Codes that callers act on (sections 6, 9 to 11 and 18), spelled as WeChat
// spells them.
const (
	CodeSystemError       = "SYSTEMERROR"
	CodeNeedRetry         = "BIZERR_NEED_RETRY"
	CodeFrequencyLimited  = "FREQUENCY_LIMITED"
	CodeTooMuch           = "INVALID_REQ_TOO_MUCH"
	CodeOrderPaid         = "ORDERPAID"
	CodeOrderClosed       = "ORDERCLOSED"
	CodeOrderNotExist     = "ORDERNOTEXIST"
	CodeOutTradeNoUsed    = "OUT_TRADE_NO_USED"
	CodeInvalidRequest    = "INVALID_REQUEST"
	CodeRefundNotExist    = "REFUNDNOTEXIST"
	CodeNotEnough         = "NOTENOUGH"
	CodeRefundFeeMismatch = "REFUND_FEE_MISMATCH"
)

// APIError is WeChat's refusal of a call.
type APIError struct {
	Op         string // the call, such as "unifiedorder"
	HTTPStatus int    // 200 but for answers of a front
	ReturnFail bool   // the communication failed: nothing of the answer is signed
	Code       string // such as PARAM_ERROR; empty when the answer had none
	Message    string // WeChat's words, cut to 256 bytes; may quote parameters
	// Repeat says that the call was tried before without a clear answer, so
	// that what was refused may have been done already.
	Repeat bool
}

// Error names the call, the status and the code, but not the message, which
// may quote what was sent.
func (e *APIError) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + ": WeChat answered " + strconv.Itoa(e.HTTPStatus))
	if e.ReturnFail {
		b.WriteString(" return_code FAIL")
	}
	if e.Code != "" {
		b.WriteString(" " + e.Code)
	}
	return b.String()
}

// NormalCode returns the code without underscores, because WeChat spells
// codes both ways (SYSTEM_ERROR and SYSTEMERROR).
func (e *APIError) NormalCode() string { return strings.ReplaceAll(e.Code, "_", "") }

// Retryable reports whether the same call, with the same numbers, may succeed
// later (section 18).
func (e *APIError) Retryable() bool {
	switch e.NormalCode() {
	case "SYSTEMERROR", "BIZERRNEEDRETRY":
		return true
	case "":
		return e.HTTPStatus >= http.StatusInternalServerError || e.HTTPStatus == http.StatusTooManyRequests
	}
	return e.limited() || e.muchLater()
}

// DuplicateOrder reports whether an order was refused because its number was
// used with other content (section 6: OUT_TRADE_NO_USED, or INVALID_REQUEST
// with words that begin with 201).
func (e *APIError) DuplicateOrder() bool {
	switch e.NormalCode() {
	case "OUTTRADENOUSED":
		return true
	case "INVALIDREQUEST":
		return strings.HasPrefix(e.Message, "201")
	}
	return false
}

// limited reports whether WeChat asks for fewer calls.
func (e *APIError) limited() bool {
	switch e.NormalCode() {
	case "FREQUENCYLIMITED", "FREQUENCYLIMIT":
		return true
	}
	return e.Code == "" && e.HTTPStatus == http.StatusTooManyRequests
}

// muchLater reports whether the next call must wait for a minute (section
// 11), which is longer than anybody waits for a call.
func (e *APIError) muchLater() bool { return e.NormalCode() == "INVALIDREQTOOMUCH" }

// hostAtFault reports whether another host may do better. A business error,
// SYSTEMERROR too, is no failure of the host (section 4).
func (e *APIError) hostAtFault() bool {
	return e.Code == "" && e.HTTPStatus >= http.StatusInternalServerError
}

// resultError reads a signed refusal.
func resultError(op string, m Message) *APIError {
	e := &APIError{Op: op, HTTPStatus: http.StatusOK, Message: transport.LogText(m["err_code_des"], 256)}
	if code := m[fieldErrCode]; consistsOf(code, 64, isCode) {
		e.Code = code
	}
	return e
}

// returnError reads an unsigned refusal, which has words alone in WeChat's
// documents, and sometimes a code in practice. What it says decides about
// errors and retries only.
func returnError(op string, m Message) *APIError {
	e := resultError(op, m)
	e.ReturnFail = true
	words := m[fieldReturnMsg]
	if e.Code == "" && consistsOf(words, 64, isCode) {
		e.Code = words
	}
	if e.Message == "" {
		e.Message = transport.LogText(words, 256)
	}
	return e
}

func isCode(c byte) bool { return c >= 'A' && c <= 'Z' || isDigit(c) || c == '_' }
