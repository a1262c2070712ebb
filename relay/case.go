package relay

import "time"

// CaseKind says what is odd about money that arrived.
type CaseKind string

// The anomalies that hold money.
const (
	CaseDuplicatePayment CaseKind = "duplicate_payment"
	CasePaidAfterClose   CaseKind = "paid_after_close"
	CaseAmountMismatch   CaseKind = "amount_mismatch"
	CaseUnknownOrder     CaseKind = "unknown_order"
)

// CaseStatus says what became of a case.
type CaseStatus string

// CaseHeld is the status of a case whose money waits for the operator.
const CaseHeld CaseStatus = "held"

// Case is an anomaly that holds money: WeChat's word was authentic, but the
// payment could not settle its order. A case is found by kind, merchant and
// number, so that a repeated notification finds the case it made.
type Case struct {
	ID            string // "case_" and a KSUID
	Kind          CaseKind
	Status        CaseStatus
	Payment       PaymentKey
	Order         OrderKey // zero for CaseUnknownOrder
	TransactionID string
	AmountFen     int64 // what arrived
	ExpectedFen   int64 // what the order asks, 0 when unknown
	Currency      string
	AppID         string
	PaidAt        time.Time
	CreatedAt     time.Time
	SeenAt        time.Time // last repeat
}
