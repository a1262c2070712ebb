package relay

import (
	"encoding/json"
	"time"
)

// Currency is the only currency that WeChat Pay settles for a domestic
// merchant.
const Currency = "CNY"

// OrderStatus says how far an order has come. It only moves forward:
// created, paying, paid, refunding, refunded or partially refunded; or
// created or paying to closed.
type OrderStatus string

// The states of an order, spelled as clients read them.
const (
	OrderCreated           OrderStatus = "created"
	OrderPaying            OrderStatus = "paying"
	OrderPaid              OrderStatus = "paid"
	OrderRefunding         OrderStatus = "refunding"
	OrderRefunded          OrderStatus = "refunded"
	OrderPartiallyRefunded OrderStatus = "partially_refunded"
	OrderClosed            OrderStatus = "closed"
)

// Open reports whether the order can still be paid.
func (s OrderStatus) Open() bool { return s == OrderCreated || s == OrderPaying }

// Settled reports whether money for the order has arrived, whatever happened
// to it afterwards.
func (s OrderStatus) Settled() bool {
	switch s {
	case OrderPaid, OrderRefunding, OrderRefunded, OrderPartiallyRefunded:
		return true
	default:
		return false
	}
}

// CloseReasonExpired is the close reason of an order that ran out.
const CloseReasonExpired = "expired"

// CloseReasonRequested is the close reason of an order that its client
// closed.
const CloseReasonRequested = "requested"

// OrderKey names an order: two clients may use the same order number.
type OrderKey struct {
	ClientID string // 16 characters
	OrderNo  string // 1..32 characters
}

// Order is what a client asks to be paid. Records read from a store share
// memory with it: change the fields of a copy, never what slices point to.
type Order struct {
	OrderKey

	// Token is the unguessable name of the cashier page, 22 characters of
	// base64url (128 bits).
	Token string

	// What the client asked for. Two requests with the same order number are
	// the same order exactly when these fields are equal.
	AmountFen     int64 // 1..1000000000
	Description   string
	Attach        string
	NotifyURL     string // already defaulted from the client
	ReturnURL     string
	ExpiresIn     time.Duration
	OpenID        string
	ProfitSharing bool
	Metadata      json.RawMessage // compacted object, or nil

	// MchID is the merchant number that collects the money, fixed at
	// creation, and SubMchID the merchant for whom a service provider does.
	MchID    string
	SubMchID string

	Status      OrderStatus
	CloseReason string // with OrderClosed
	Version     uint64 // grows by one with every change
	CreatedAt   time.Time
	ExpiresAt   time.Time
	ClosedAt    time.Time

	// Payments lists the out_trade_no of each attempt to pay, oldest first.
	Payments []string

	// Set once the order is paid.
	PaidFen       int64
	RefundedFen   int64
	PaidAt        time.Time // WeChat's time of success
	TransactionID string
	TradeType     TradeType
	PaidBy        string // out_trade_no of the payment that settled it
	PayerOpenID   string
	PaidAppID     string

	// CaseID names the newest anomaly of the order, if there is one.
	CaseID string

	// Refunds lists the out_refund_no of everything that goes or went back,
	// oldest first, that of anomalies too.
	Refunds []string

	// Splits lists the out_order_no of each sharing of the money, oldest first.
	Splits []string
}
