package relay

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// API is a generation of WeChat Pay's protocol.
type API string

// The generations.
const (
	APIv3 API = "v3" // JSON, RSA signatures
	APIv2 API = "v2" // XML, a shared key
)

// Gateway is what relay needs of WeChat Pay for one merchant number, in one
// protocol generation. Errors are *GatewayError where WeChat answered and any
// other error where the outcome is unknown.
type Gateway interface {
	PaymentGateway
	RefundGateway
}

// PaymentGateway speaks to WeChat about payments.
type PaymentGateway interface {
	// Prepay creates the payment at WeChat, or repeats the creation with the
	// same content, which is harmless.
	Prepay(ctx context.Context, p *Payment) (Prepaid, error)
	// Query asks for the state of a payment.
	Query(ctx context.Context, p *Payment) (Transaction, error)
	// Close closes an unpaid payment; closing twice is harmless.
	Close(ctx context.Context, p *Payment) error
	// InvokeJSAPI signs the six values that a page in WeChat or a
	// mini-program pays with.
	InvokeJSAPI(p *Payment) (JSAPIInvocation, error)
	// InvokeApp signs the seven values that a mobile app pays with.
	InvokeApp(p *Payment) (AppInvocation, error)
}

// RefundGateway speaks to WeChat about refunds.
type RefundGateway interface {
	// Refund asks WeChat to give money back, or repeats that with the same
	// number, which is harmless. What it returns is the state of the refund
	// then, mostly not yet the final one.
	Refund(ctx context.Context, r *Refund) (RefundStatement, error)
	// QueryRefund asks for the state of a refund.
	QueryRefund(ctx context.Context, r *Refund) (RefundStatement, error)
}

// Prepaid is WeChat's answer to a prepay call; the field of the trade type
// is set.
type Prepaid struct {
	PrepayID string
	CodeURL  string
	H5URL    string
}

// AppInvocation holds the values that WeChat's SDK for mobile apps takes,
// with WeChat's own names.
type AppInvocation struct {
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"`
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"`
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"`
	Sign      string `json:"sign"`
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
	MchID         string // of the service provider, if there is one
	AppID         string // likewise
	SubMchID      string // empty without a service provider
	SubAppID      string
	OutTradeNo    string
	TransactionID string
	TradeType     string // WeChat's spelling
	State         TradeState
	TotalFen      int64
	PayerFen      int64 // what the buyer paid himself, without coupons
	Currency      string
	OpenID        string // of the payer, under the app id that he was in
	BankType      string
	Attach        string
	SuccessTime   time.Time
	Raw           []byte // as WeChat said it
}

// RefundState is WeChat's word on a refund, in the spelling of APIv3.
type RefundState string

// The refund states. Processing is not final; abnormal is final for WeChat
// and a task for the merchant, as the buyer's card did not take the money.
const (
	RefundStateProcessing RefundState = "PROCESSING"
	RefundStateSuccess    RefundState = "SUCCESS"
	RefundStateClosed     RefundState = "CLOSED"
	RefundStateAbnormal   RefundState = "ABNORMAL"
)

// RefundStatement is WeChat's word on one refund: an answer to a call, or a
// notification.
type RefundStatement struct {
	MchID         string
	SubMchID      string
	OutRefundNo   string
	RefundID      string
	OutTradeNo    string
	TransactionID string
	State         RefundState
	AmountFen     int64
	TotalFen      int64  // of the payment; 0 when not said
	UserAccount   string // where the money went, in words
	SuccessTime   time.Time
	Raw           []byte // as WeChat said it

	// Unsigned says that nothing but decryption vouches for the statement,
	// as with the notifications of APIv2 (v2.md section 12): WeChat must be
	// asked before anything is believed.
	Unsigned bool
}

// Notification is a verified and decrypted notification of WeChat.
type Notification struct {
	ID          string
	EventType   string
	Serial      string // key that signed it
	API         API
	Transaction *Transaction     // nil when the event is not about a payment
	Refund      *RefundStatement // nil when the event is not about a refund
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
	// Repeat says that the call was tried before without a clear answer: what
	// is refused may have been done by then.
	Repeat bool
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

// toldRefusal reports a call that WeChat refused.
func toldRefusal(observe func(op, outcome string), refused *GatewayError) error {
	if observe != nil {
		observe(refused.Op, "refused")
	}
	return refused
}

// toldPlainly reports a call that WeChat granted, or did not answer.
func toldPlainly(observe func(op, outcome string), op string, err error) error {
	outcome := "ok"
	if err != nil {
		outcome, err = "failed", fmt.Errorf("%s: %w", op, err)
	}
	if observe != nil {
		observe(op, outcome)
	}
	return err
}
