package relay

import "errors"

// Conditions that stores and services report. Ask with errors.Is.
var (
	// ErrNotFound says that there is no such record.
	ErrNotFound = errors.New("not found")
	// ErrCorrupt says that a record failed its checksum or its decoding.
	ErrCorrupt = errors.New("record damaged")
	// ErrUnavailable says that the store cannot take work now: full, closing,
	// stopped after a failed commit, or too slow. What was asked may or may
	// not have happened.
	ErrUnavailable = errors.New("store unavailable")
	// ErrReplayed says that a nonce was used before.
	ErrReplayed = errors.New("nonce used before")
)

// Kind is the class of a refusal, from which the edge picks status and code.
type Kind int

// The kinds of refusals. Codes are those of contract section 3.4.
const (
	KindParam           Kind = iota + 1 // PARAM_ERROR
	KindSign                            // SIGN_ERROR
	KindTimestamp                       // TIMESTAMP_OUT_OF_RANGE
	KindRate                            // FREQUENCY_LIMITED
	KindReplayed                        // REPLAYED
	KindNoAuth                          // NO_AUTH
	KindNotFound                        // NOT_FOUND
	KindOrderConflict                   // ORDER_CONFLICT
	KindOrderPaid                       // ORDER_PAID
	KindOrderClosed                     // ORDER_CLOSED
	KindUpstream                        // UPSTREAM_ERROR
	KindUpstreamTimeout                 // UPSTREAM_TIMEOUT
	KindUnavailable                     // UNAVAILABLE
	KindTooLarge                        // BODY_TOO_LARGE
	KindRefundConflict                  // REFUND_CONFLICT
	KindAmountExceeded                  // AMOUNT_EXCEEDED
	KindCaseConflict                    // CASE_CONFLICT, for the operator alone
	KindSplitConflict                   // SPLIT_CONFLICT
)

// Error is a refusal that its caller may read: Message and Field are safe to
// show, Err is for the log alone.
type Error struct {
	Kind         Kind
	Message      string // plain English, names the fix
	Field        string // JSON name of the field that is wrong, if one is
	UpstreamCode string // WeChat's code, with KindUpstream
	WeChatCode   int    // errcode of the answer where a site speaks WeChat's own calls; 0: by Kind
	Err          error  // cause; never shown to the caller
}

// Error returns the message and the cause, for logs.
func (e *Error) Error() string {
	s := e.Message
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
