package relay

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/segmentio/ksuid"
)

// CaseKind says what is odd about money that arrived.
type CaseKind string

// The anomalies that hold money.
const (
	CaseDuplicatePayment CaseKind = "duplicate_payment"
	CasePaidAfterClose   CaseKind = "paid_after_close"
	CaseAmountMismatch   CaseKind = "amount_mismatch"
	CaseUnknownOrder     CaseKind = "unknown_order"
)

// CaseStatus says what became of a case. It only moves forward: held,
// refunding, and then refunded or, by an operator's word, resolved. A refund
// that fails puts the case back to held, so that somebody looks at it.
type CaseStatus string

// The states of a case.
const (
	CaseHeld      CaseStatus = "held"      // its money waits for the operator
	CaseRefunding CaseStatus = "refunding" // its money is on its way back
	CaseRefunded  CaseStatus = "refunded"
	CaseResolved  CaseStatus = "resolved" // by the operator, or because its order was found
)

// CasePolicy says what happens to the money of a case by itself.
type CasePolicy string

// The policies.
const (
	PolicyHold   CasePolicy = "hold"
	PolicyRefund CasePolicy = "refund"
)

// Case is an anomaly that holds money: WeChat's word was authentic, but the
// payment could not settle its order. A case is found by kind, merchant and
// number, so that a repeated notification finds the case it made.
type Case struct {
	ID            string // "case_" and a KSUID of its money, see caseID
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

	// Policy is what the merchant's configuration said when the case was
	// made, and HeldBecause why money that should go back waits nevertheless.
	Policy      CasePolicy
	HeldBecause string

	// OutRefundNo names the refund that gives the money back, if there is one.
	OutRefundNo string

	// Who ended the case, when and why.
	ResolvedAt time.Time
	ResolvedBy string
	Reason     string
}

// resolvedByRelay stands for the operator where a case ended by itself.
const resolvedByRelay = "relay"

// caseID names the case that a sum of money makes, the same however often
// WeChat tells of it: a KSUID of the time of payment, so that ids sort by it,
// and of what is odd and WeChat's number.
func caseID(kind CaseKind, t *Transaction) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{string(kind), t.MchID, t.OutTradeNo, t.TransactionID}, "\n")))
	k, _ := ksuid.FromParts(t.SuccessTime, sum[:16]) // fails on another length alone
	return "case_" + k.String()
}
