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

	// API is the generation in which WeChat was told of the payment.
	API API

	TradeType TradeType
	AppID     string // under which WeChat was told; the service provider's, if there is one
	AmountFen int64

	// SubMchID and SubAppID are the merchant for whom a service provider
	// collects, and his app id if he has one; empty without a provider.
	SubMchID string
	SubAppID string

	// OpenID is asked of the payer, for jsapi and mini_program. It belongs to
	// PayerAppID: AppID or SubAppID.
	OpenID     string
	PayerAppID string

	// What was sent to WeChat and must be the same on every repeat.
	Description   string
	Attach        string
	NotifyURL     string
	ProfitSharing bool
	PayerIP       string // of the buyer, for h5; the relay's placeholder otherwise

	Status    PaymentStatus
	CreatedAt time.Time
	ExpiresAt time.Time // time_expire as sent to WeChat

	// What WeChat answered, and when; a prepay id and a code address live
	// for two hours, an H5 address for five minutes.
	PrepayID  string
	CodeURL   string
	H5URL     string
	PrepaidAt time.Time

	// AskAt is when WeChat is asked next whether the payment was made; zero
	// when it is not. Asks counts how often it was.
	AskAt time.Time
	Asks  int

	// Set once WeChat says that money arrived.
	TransactionID string
	PaidFen       int64
	PayerFen      int64 // what the buyer paid himself, without coupons
	PaidAt        time.Time
	PayerOpenID   string
	BankType      string // WeChat's word for where the money came from

	// RefundedFen went back; ReservedFen is that and what is on its way. Both
	// never exceed PaidFen.
	RefundedFen int64
	ReservedFen int64
}

// Live reports whether the payment can still be made.
func (p *Payment) Live() bool { return p.Status == PaymentCreated || p.Status == PaymentPending }

// Evidence is a verified statement of WeChat about a payment, kept as it
// was said.
type Evidence struct {
	Payment    PaymentKey
	ID         string // WeChat's notification id, or "query-" and a number
	Source     string // evidenceNotification or evidenceQuery
	ReceivedAt time.Time
	Serial     string // key that signed it
	EventType  string
	Plaintext  []byte // decrypted resource, or the answer's body
}

// Where evidence comes from.
const (
	evidenceNotification = "notification"
	evidenceQuery        = "query"
)
