package relay

import "time"

// RefundStatus says how far a refund has come, spelled as clients read it.
type RefundStatus string

// The states of a refund. It starts as processing, before WeChat is told.
const (
	RefundProcessing RefundStatus = "processing"
	RefundSucceeded  RefundStatus = "succeeded"
	RefundFailed     RefundStatus = "failed"   // WeChat refused for good, or closed it; the money is as before
	RefundAbnormal   RefundStatus = "abnormal" // the buyer's card does not take it; the merchant must act in WeChat's console
)

// Final reports whether nothing more is expected of WeChat.
func (s RefundStatus) Final() bool { return s != RefundProcessing }

// RefundSource says who wanted a refund.
type RefundSource string

// The sources.
const (
	RefundByClient  RefundSource = "client"
	RefundByCase    RefundSource = "case"    // an anomaly's policy, or the operator
	RefundByConsole RefundSource = "console" // made in WeChat's own console, found by us
)

// RefundKey names a refund. WeChat wants the number unique per merchant.
type RefundKey struct {
	MchID       string
	OutRefundNo string
}

// Refund is money going back. The store has it before WeChat is told, so
// that every repeat has the same number and cannot refund twice.
type Refund struct {
	RefundKey
	ClientID string // whose order it is; empty for money of an unknown order
	RefundNo string // the client's own number; empty unless Source is RefundByClient
	OrderNo  string
	Source   RefundSource
	CaseID   string // with RefundByCase

	// What was and is sent to WeChat, the same on every repeat.
	API           API
	SubMchID      string
	SubAppID      string
	AppID         string
	OutTradeNo    string
	TransactionID string
	AmountFen     int64
	TotalFen      int64 // of the payment
	Reason        string
	NotifyURL     string

	Status    RefundStatus
	CreatedAt time.Time

	// RefundID is WeChat's own number; empty until WeChat accepted.
	RefundID    string
	SucceededAt time.Time
	// UserAccount is where the money went, in WeChat's words.
	UserAccount string
	// FailCode is WeChat's code of the last refusal, kept while the refund is
	// tried again too.
	FailCode string

	// DueAt is when WeChat is told or asked next; zero when nothing more is
	// expected. Calls counts how often it was told, and from its acceptance
	// on how often it was asked.
	DueAt time.Time
	Calls int
}
