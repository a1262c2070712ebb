package relay

import (
	"context"
	"time"
)

// Store keeps what relay decided. Implementations are proved by
// store/storetest.
//
// Update runs fn inside one serialisable transaction. When Update returns
// nil, everything fn wrote is on stable storage, all of it; when fn returns
// an error nothing of it is, and Update returns that error unwrapped. Any
// other error means that the outcome is unknown to the caller: ErrUnavailable
// wraps it, and a repeat must be harmless. When ctx ends first, Update
// returns the context's error wrapped in ErrUnavailable while the
// transaction may still land. fn may run on another goroutine, at most once,
// and must not do I/O, block, or keep the Tx.
//
// View runs fn on a consistent snapshot.
type Store interface {
	Update(ctx context.Context, fn func(Tx) error) error
	View(ctx context.Context, fn func(Reader) error) error
}

// HealthChecker is the optional power of a store to say whether it accepts
// work; the error names what is wrong and what to do.
type HealthChecker interface {
	Health(ctx context.Context) error
}

// Reader reads records. A record that does not exist is ErrNotFound; one
// that is damaged is ErrCorrupt, never ErrNotFound.
type Reader interface {
	OrderReader
	PaymentReader
	EventReader
	DeliveryReader
	CaseReader
	RefundReader
	SplitReader
	PayerReader
	TallyReader
	TaskReader
	GrantReader
	AccountTokenReader
}

// Tx reads and writes records inside a transaction; reads see its writes.
type Tx interface {
	Reader
	OrderWriter
	PaymentWriter
	EventWriter
	DeliveryWriter
	CaseWriter
	RefundWriter
	SplitWriter
	PayerWriter
	TallyWriter
	NonceWriter
	GrantWriter
	AccountTokenWriter
}

// OrderReader reads orders.
type OrderReader interface {
	Order(OrderKey) (Order, error)
	// OrderByToken finds the order of a cashier page.
	OrderByToken(token string) (OrderKey, error)
	// OpenOrders lists up to limit orders that are created or paying and
	// whose ExpiresAt is at or before until, earliest first.
	OpenOrders(until time.Time, limit int) ([]OrderKey, error)
}

// OrderWriter writes orders and keeps their indexes (token, expiry of open
// orders).
type OrderWriter interface {
	PutOrder(*Order) error
}

// PaymentReader reads payments and what WeChat said of them.
type PaymentReader interface {
	Payment(PaymentKey) (Payment, error)
	// PaymentByTransaction finds the payment that a transaction paid, by
	// WeChat's number of it.
	PaymentByTransaction(mchID, transactionID string) (PaymentKey, error)
	Evidence(PaymentKey) ([]Evidence, error)
}

// PaymentWriter writes payments. A payment stands among the tasks of
// TaskAskPayment under its AskAt, and not at all when that is zero; the last
// one put with a TransactionID is found by that.
// PutEvidence ignores an id that the payment already has.
type PaymentWriter interface {
	PutPayment(*Payment) error
	PutEvidence(*Evidence) error
}

// EventReader reads events of one client.
type EventReader interface {
	// Event finds an event by id; another client's is ErrNotFound.
	Event(clientID, id string) (Event, error)
	// Events lists up to limit events with Seq greater than after, oldest
	// first.
	Events(clientID string, after uint64, limit int) ([]Event, error)
}

// EventWriter appends events. AddEvent sets Seq.
type EventWriter interface {
	AddEvent(*Event) error
}

// DeliveryReader reads deliveries and finds due ones.
type DeliveryReader interface {
	Delivery(eventID string) (Delivery, error)
	Attempts(eventID string) ([]Attempt, error)
	// Destinations calls fn once for each destination at which a delivery
	// waits, with the earliest due time there, until fn returns false. It
	// costs one step per destination, whatever waits behind.
	Destinations(fn func(Destination, time.Time) bool) error
	// Due lists up to limit deliveries that wait at the destination, in due
	// order, due or not; its cost depends on limit alone.
	Due(d Destination, limit int) ([]DueItem, error)
}

// DeliveryWriter writes deliveries, keeps the due index, and appends
// attempts. A delivery stands in the due index under the earlier of DueAt
// and ManualDueAt that is not zero, and not at all when both are.
type DeliveryWriter interface {
	PutDelivery(*Delivery) error
	AddAttempt(*Attempt) error
}

// CaseReader reads anomalies.
type CaseReader interface {
	Case(id string) (Case, error)
	// CaseOf finds the case of one kind that a payment made.
	CaseOf(CaseKind, PaymentKey) (Case, error)
	// Cases lists up to limit cases with an id after the given one.
	Cases(after string, limit int) ([]Case, error)
}

// CaseWriter writes anomalies.
type CaseWriter interface {
	PutCase(*Case) error
}

// RefundReader reads refunds.
type RefundReader interface {
	Refund(RefundKey) (Refund, error)
	// RefundByNo finds a client's refund by the client's own number.
	RefundByNo(clientID, refundNo string) (RefundKey, error)
}

// RefundWriter writes refunds and keeps their index by the client's number,
// if they have one. A refund stands among the tasks of TaskFollowRefund under
// its DueAt, and not at all when that is zero.
type RefundWriter interface {
	PutRefund(*Refund) error
}

// SplitReader reads splits.
type SplitReader interface {
	Split(SplitKey) (Split, error)
	// SplitByNo finds a client's split by the client's own number.
	SplitByNo(clientID, splitNo string) (SplitKey, error)
}

// SplitWriter writes splits and keeps their index by the client's number. A
// split stands among the tasks of TaskFollowSplit under its DueAt, and not at
// all when that is zero.
type SplitWriter interface {
	PutSplit(*Split) error
}

// PayerReader knows whose openid one is.
type PayerReader interface {
	Payer(openID string) (Payer, error)
}

// PayerWriter keeps openids.
type PayerWriter interface {
	PutPayer(*Payer) error
}

// GrantReader reads what was handed out.
type GrantReader interface {
	Grant(GrantKey) (Grant, error)
	// ExpiredGrants lists up to limit grants whose ExpiresAt is at or before
	// until, earliest first; its cost depends on limit alone.
	ExpiredGrants(until time.Time, limit int) ([]GrantKey, error)
}

// GrantWriter keeps grants under their ExpiresAt until they are dropped; one
// without it is refused, because it would stay for ever. Dropping one that is
// not there is no error.
type GrantWriter interface {
	PutGrant(*Grant) error
	DropGrant(GrantKey) error
}

// AccountTokenReader reads the accounts' tokens.
type AccountTokenReader interface {
	AccountToken(TokenKey) (AccountToken, error)
}

// AccountTokenWriter keeps them.
type AccountTokenWriter interface {
	PutAccountToken(*AccountToken) error
}

// TallyReader reads sums; one that was never written is 0.
type TallyReader interface {
	Tally(TallyKey) (int64, error)
}

// TallyWriter writes sums, in fen, 0 or more.
type TallyWriter interface {
	PutTally(k TallyKey, fen int64) error
}

// TaskKind is a kind of work that becomes due.
type TaskKind string

// The kinds of tasks.
const (
	TaskAskPayment   TaskKind = "ask_payment"   // WeChat is asked whether a payment was made
	TaskFollowRefund TaskKind = "follow_refund" // WeChat is told of a refund, or asked what became of it
	TaskFollowSplit  TaskKind = "follow_split"  // the same of a split and of its returns
)

// Task names a record that is due: a payment, refund or split, by merchant number
// and the relay's number at WeChat.
type Task struct {
	MchID  string
	Number string
	DueAt  time.Time
}

// TaskReader finds due work.
type TaskReader interface {
	// Tasks lists up to limit tasks of one kind that are due at or before
	// until, earliest first; its cost depends on limit alone.
	Tasks(kind TaskKind, until time.Time, limit int) ([]Task, error)
}

// NonceWriter remembers nonces of signed requests. ClaimNonce returns
// ErrReplayed when the client used the nonce less than NonceWindow before
// now, and remembers it otherwise; other clients' nonces do not matter. Stores
// forget nonces after the window.
type NonceWriter interface {
	ClaimNonce(clientID, nonce string, now time.Time) error
}

// NonceReader is the optional power of a Reader to tell a used nonce without
// writing.
type NonceReader interface {
	NonceUsed(clientID, nonce string, now time.Time) (bool, error)
}

// NonceWindow is how long a nonce is remembered: the two halves of the time
// window and a minute to spare (contract section 3.4).
const NonceWindow = 660 * time.Second
