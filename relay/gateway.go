package relay

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

// Gateway is what relay needs of WeChat Pay for one merchant number, in
// either protocol generation. Errors are *GatewayError where WeChat answered
// and any other error where the outcome is unknown.
type Gateway interface {
	// Prepay creates the payment at WeChat, or repeats the creation with the
	// same content, which is harmless.
	Prepay(ctx context.Context, p *Payment, profitSharing bool) (Prepaid, error)
	// Query asks for the state of a payment.
	Query(ctx context.Context, outTradeNo string) (Transaction, error)
	// Close closes an unpaid payment; closing twice is harmless.
	Close(ctx context.Context, outTradeNo string) error
	// InvokeJSAPI signs the six values that a page in WeChat pays with.
	InvokeJSAPI(appID, prepayID string) (JSAPIInvocation, error)
}

// Prepaid is WeChat's answer to a prepay call; the field of the trade type
// is set.
type Prepaid struct {
	PrepayID string
	CodeURL  string
}

// JSAPIInvocation holds the values for WeixinJSBridge and
// wx.requestPayment, with WeChat's own names.
type JSAPIInvocation struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"`
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`
	SignType  string `json:"signType"`
	PaySign   string `json:"paySign"`
}

// TradeState is WeChat's word on a payment, spelled as WeChat does.
type TradeState string

// The trade states. The first two say that money arrived, every other one
// that none did.
const (
	TradeSuccess    TradeState = "SUCCESS"
	TradeRefund     TradeState = "REFUND"
	TradeNotPay     TradeState = "NOTPAY"
	TradeClosed     TradeState = "CLOSED"
	TradeUserPaying TradeState = "USERPAYING"
)

// Transaction is WeChat's verified statement about one payment.
type Transaction struct {
	MchID         string
	AppID         string
	OutTradeNo    string
	TransactionID string
	TradeType     string // WeChat's spelling
	State         TradeState
	TotalFen      int64
	Currency      string
	OpenID        string
	SuccessTime   time.Time
	Raw           json.RawMessage // as WeChat said it
}

// Notification is a verified and decrypted notification of WeChat.
type Notification struct {
	ID          string
	EventType   string
	Serial      string       // key that signed it
	Transaction *Transaction // nil when the event is not about a payment
	Plaintext   []byte
}

// GatewayError is a refusal by WeChat. It has no room for WeChat's words,
// which may quote what was sent, an openid for one.
type GatewayError struct {
	Op         string
	HTTPStatus int
	Code       string // WeChat's code, underscores kept
	RequestID  string // WeChat's id of the call, by which its support finds the cause; may be empty
	Retryable  bool   // the same call may succeed later
}

// Error names the call, the status, WeChat's code and its request id.
func (e *GatewayError) Error() string {
	s := e.Op + ": WeChat answered " + strconv.Itoa(e.HTTPStatus)
	if e.Code != "" {
		s += " " + e.Code
	}
	if e.RequestID != "" {
		s += " (request id " + e.RequestID + ")"
	}
	return s
}
