package relay

import "time"

// TradeType is the way in which a buyer pays, spelled as clients spell it.
type TradeType string

// The trade types of WeChat Pay.
const (
	TradeJSAPI       TradeType = "jsapi"
	TradeNative      TradeType = "native"
	TradeH5          TradeType = "h5"
	TradeApp         TradeType = "app"
	TradeMiniProgram TradeType = "mini_program"
)

// PaymentStatus says what is known of a payment.
type PaymentStatus string

// The states of a payment.
const (
	PaymentCreated PaymentStatus = "created" // stored here, WeChat not asked yet or its answer unknown
	PaymentPending PaymentStatus = "pending" // WeChat knows it; unpaid
	PaymentPaid    PaymentStatus = "paid"
	PaymentClosed  PaymentStatus = "closed"
	PaymentFailed  PaymentStatus = "failed" // WeChat will never take its number
)

// PaymentKey names a payment. WeChat wants the number unique per merchant.
type PaymentKey struct {
	MchID      string
	OutTradeNo string
}

// Payment is one attempt to pay an order through WeChat.
type Payment struct {
	PaymentKey
	Order OrderKey

	TradeType TradeType
	AppID     string
	OpenID    string // asked of the payer, for jsapi and mini_program
	AmountFen int64

	// What was sent to WeChat and must be the same on every repeat.
	Description string
	Attach      string
	NotifyURL   string

	Status    PaymentStatus
	CreatedAt time.Time
	ExpiresAt time.Time // time_expire as sent to WeChat

	// What WeChat answered, and when; a prepay id and a code address live
	// for two hours.
	PrepayID  string
	CodeURL   string
	PrepaidAt time.Time

	// Set once WeChat says that money arrived.
	TransactionID string
	PaidFen       int64
	PaidAt        time.Time
	PayerOpenID   string
}

// Evidence is a verified statement of WeChat about a payment, kept as it
// was said.
type Evidence struct {
	Payment    PaymentKey
	ID         string // WeChat's notification id, or "query-" and a number
	Source     string // "notification" or "query"
	ReceivedAt time.Time
	Serial     string // key that signed it
	EventType  string
	Plaintext  []byte // decrypted resource, or the answer's body
}
