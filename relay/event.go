package relay

import "time"

// EventType names a fact that a client is told.
type EventType string

// The facts that clients are told so far.
const (
	EventOrderPaid    EventType = "order.paid"
	EventOrderClosed  EventType = "order.closed"
	EventOrderAnomaly EventType = "order.anomaly"

	EventRefundSucceeded EventType = "refund.succeeded"
	EventRefundFailed    EventType = "refund.failed"

	EventMessageReceived EventType = "message.received"
)

// Event is a fact a client is told. It never changes once committed.
type Event struct {
	ID        string // "evt_" and a KSUID; the webhook-id of every attempt
	Seq       uint64 // given by the store at commit; grows with commit order
	ClientID  string
	Type      EventType
	OrderNo   string
	CreatedAt time.Time

	// Body is the JSON text of the standard notification, byte for byte what
	// every attempt sends: {"type","timestamp","data"}.
	Body []byte
}

// NotifyFormat is the form in which a client is told.
type NotifyFormat string

// The forms of contract section 7.
const (
	NotifyStandard NotifyFormat = "standard"
	NotifyGet      NotifyFormat = "get"
	NotifyWeChatV2 NotifyFormat = "wechat_v2"
	NotifyWeChatV3 NotifyFormat = "wechat_v3"
)

// DeliveryStatus says how far the telling of an event has come.
type DeliveryStatus string

// The states of a delivery.
const (
	DeliveryPending   DeliveryStatus = "pending"
	DeliveryDelivered DeliveryStatus = "delivered"
	DeliveryExhausted DeliveryStatus = "exhausted"
	DeliveryCancelled DeliveryStatus = "cancelled"
)

// Delivery is the telling of one event to one address.
type Delivery struct {
	EventID  string
	ClientID string
	URL      string
	Format   NotifyFormat

	// Payload is what is told when Format does not tell the event's Body:
	// with NotifyWeChatV2 the fields of WeChat's message as a JSON object of
	// texts, with NotifyWeChatV3 the plaintext of the resource. Every attempt
	// is made from the same bytes.
	Payload []byte

	Status DeliveryStatus

	// CallbackAt is T of the schedule: when the fact was committed.
	CallbackAt time.Time
	// Schedule holds the offsets from CallbackAt of the attempts after the
	// first, fixed when the delivery is made.
	Schedule []time.Duration
	// Attempts counts the attempts of the schedule that ended, the immediate
	// first one included; it does not count those asked for by hand.
	Attempts int
	// DueAt is when the next attempt is due; zero when none is.
	DueAt time.Time
	// LastEndedAt is when the latest attempt ended; zero before the first.
	LastEndedAt time.Time
	// ManualDueAt is when somebody asked for an attempt outside the
	// schedule; zero when nobody did. It stands in the due index too.
	ManualDueAt time.Time
	// Tries counts all attempts, by hand too; it numbers the attempt rows.
	Tries int
}

// Destination is the queue in which a delivery waits: one client's one
// origin, so that a dead address delays nothing but itself.
type Destination struct {
	ClientID string
	Origin   string // scheme://host:port of the URL
}

// Attempt is one try to tell an event, kept for the operator and the client.
type Attempt struct {
	EventID    string
	Number     int  // 1 for the first, counting those by hand
	Manual     bool // asked for by hand, outside the schedule
	StartedAt  time.Time
	Duration   time.Duration
	HTTPStatus int    // 0 when no answer came
	Failure    string // short reason without addresses or secrets; empty on success
	Answer     []byte // first KiB of the answer's body
}

// DueItem is a waiting delivery as the due index knows it.
type DueItem struct {
	EventID string
	DueAt   time.Time
}
