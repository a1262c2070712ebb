package sandbox

import (
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// Times that WeChat gives to orders (v3.md 9).
const (
	orderLife   = 7 * 24 * time.Hour
	prepayLife  = 2 * time.Hour
	h5Life      = 5 * time.Minute
	shortestTTL = time.Minute
	longestTTL  = 90 * 24 * time.Hour
)

// The states of an order, spelled as WeChat does.
const (
	stateNotPay  = "NOTPAY"
	stateSuccess = "SUCCESS"
	stateRefund  = "REFUND" // paid, and at least one refund was started
	stateClosed  = "CLOSED"
)

// The trade types, spelled as WeChat does. A mini-program pays by JSAPI.
const (
	tradeJSAPI  = "JSAPI"
	tradeNative = "NATIVE"
	tradeApp    = "APP"
	tradeH5     = "MWEB"
)

// generation is the generation of the API by which something was asked for.
// It decides the form of the notification; everything else can be done by
// either, whichever one began it (v2.md 1).
type generation string

const (
	apiV2 generation = "v2"
	apiV3 generation = "v3"
)

// Conditions that the ledger reports of orders.
var (
	errNoOrder      = errors.New("no such order")
	errOtherContent = errors.New("it exists with other parameters")
	errPaid         = errors.New("the order is paid")
	errNotPaid      = errors.New("the order is not paid")
	errClosed       = errors.New("the order is closed")
	errCodeDead     = errors.New("the code is unknown, replaced or too old")
	errOtherPayer   = errors.New("the order belongs to another payer")
)

// orderKey names an order: the number is unique per merchant, and over all
// sub merchants of a service provider.
type orderKey struct{ MchID, OutTradeNo string }

// order is an order as WeChat's side knows it. Values are copies; the ledger
// keeps its own.
type order struct {
	orderKey
	API           generation
	SignType      payv2.SignType // of an order of v2, and so of its notification
	AppID         string
	SubMchID      string // of an order that a service provider made
	SubAppID      string
	TradeType     string
	Description   string
	Attach        string
	NotifyURL     string
	OpenID        string // asked of the payer, under AppID
	SubOpenID     string // or under SubAppID
	TotalFen      int64
	ProfitSharing bool   // the money is frozen until it is shared
	Content       string // what a repeat must be equal to
	Serial        string // platform key that signs the notification

	PrepayID   string
	CodeURL    string // NATIVE only
	H5Package  string // MWEB only: the other half of what h5_url carries
	OpenedBy   string // user whose phone opened h5_url first
	PreparedAt time.Time
	CreatedAt  time.Time
	ExpiresAt  time.Time

	State         string
	TransactionID string
	PaidBy        string // openid under AppID
	PaidBySub     string // and under SubAppID, if there is one
	PaidFen       int64
	PaidAt        time.Time

	RefundedFen int64    // of all refunds that are not CLOSED
	Refunds     []string // their out_refund_no, oldest first

	FrozenFen int64    // what can still be shared (v3.md 16)
	SharedFen int64    // what receivers got and did not give back
	SplitFen  int64    // what receivers got, whatever they gave back
	Shares    []string // their out_order_no, oldest first
}

// Paid reports whether the order was paid, whatever came later.
func (o order) Paid() bool { return o.State == stateSuccess || o.State == stateRefund }

// Unpaid reports whether the phone can pay the order.
func (o order) Unpaid() bool { return o.State == stateNotPay }

// Refundable returns what can still be refunded, in fen.
func (o order) Refundable() int64 { return o.PaidFen - o.RefundedFen }

// buyer says who pays, as the accounts of an order know them.
type buyer struct{ OpenID, SubOpenID string }
