package relay

import (
	"encoding/json"
	"time"
)

// fact is something a client must be told, inside the transaction that made
// it true.
type fact struct {
	id      string // of the event
	kind    EventType
	order   *Order
	payment *Payment // nil when the fact is about no payment
	anomaly *Case    // with EventOrderAnomaly
	refund  *Refund  // with EventRefundSucceeded and EventRefundFailed
	at      time.Time
}

// eventBody is the JSON of the standard notification, contract section 7.
type eventBody struct {
	Type      EventType `json:"type"`
	Timestamp string    `json:"timestamp"`
	Data      eventData `json:"data"`
}

type eventData struct {
	ClientID      string          `json:"client_id"`
	OrderNo       string          `json:"order_no"`
	Amount        int64           `json:"amount"`
	Currency      string          `json:"currency"`
	Status        OrderStatus     `json:"status"`
	OutTradeNo    string          `json:"out_trade_no,omitempty"`
	TransactionID string          `json:"transaction_id,omitempty"`
	TradeType     TradeType       `json:"trade_type,omitempty"`
	AppID         string          `json:"app_id,omitempty"`
	MchID         string          `json:"mch_id"`
	Payer         *eventPayer     `json:"payer,omitempty"`
	PaidAt        string          `json:"paid_at,omitempty"`
	CloseReason   string          `json:"close_reason,omitempty"`
	Attach        string          `json:"attach,omitempty"`
	Metadata      json.RawMessage `json:"metadata,omitempty"`
	Case          *CaseView       `json:"case,omitempty"`
	Refund        *RefundView     `json:"refund,omitempty"`
	Version       uint64          `json:"version"`
}

type eventPayer struct {
	OpenID string `json:"openid"`
}

// tell appends the event and starts its chain: a first attempt at once, then
// the client's schedule. A client without an address, or one that WeChat
// tells itself, is told by GET /v1/events alone, and tell returns no delivery.
func (s *Service) tell(tx Tx, f fact) (*Delivery, error) {
	body, err := json.Marshal(f.body())
	if err != nil {
		return nil, err
	}
	event := &Event{
		ID:        f.id,
		ClientID:  f.order.ClientID,
		Type:      f.kind,
		OrderNo:   f.order.OrderNo,
		CreatedAt: f.at,
		Body:      body,
	}
	if err := tx.AddEvent(event); err != nil {
		return nil, err
	}
	if f.order.NotifyURL == "" || direct(s.clients[f.order.ClientID]) {
		// WeChat itself tells a client in direct mode, at the same address and
		// in its own format.
		return nil, nil //nolint:nilnil // no delivery is the answer, not a failure
	}
	d := s.newDelivery(event, f.order.NotifyURL)
	if d.Format == NotifyWeChatV2 || d.Format == NotifyWeChatV3 {
		var told bool
		if d.Payload, told, err = f.wechatPayload(d.Format); err != nil || !told {
			return nil, err
		}
	}
	return d, tx.PutDelivery(d)
}

// newDelivery fixes how the event is told: what the client's configuration
// says today holds for the whole chain. A client that is gone from the
// configuration keeps its chain, by the defaults.
func (s *Service) newDelivery(e *Event, address string) *Delivery {
	format, schedule := NotifyStandard, DefaultSchedule()
	if c := s.clients[e.ClientID]; c != nil {
		format, schedule = c.Notify, c.Schedule
	}
	d := NewDelivery(e, address, format, schedule, e.CreatedAt)
	return &d
}

func (f *fact) body() eventBody {
	o := f.order
	data := eventData{
		ClientID:    o.ClientID,
		OrderNo:     o.OrderNo,
		Amount:      o.AmountFen,
		Currency:    Currency,
		Status:      o.Status,
		MchID:       o.MchID,
		CloseReason: o.CloseReason,
		Attach:      o.Attach,
		Metadata:    o.Metadata,
		Version:     o.Version,
	}
	if p := f.payment; p != nil {
		data.OutTradeNo = p.OutTradeNo
		data.TransactionID = p.TransactionID
		data.TradeType = p.TradeType
		data.AppID = p.AppID
		data.PaidAt = stamp(p.PaidAt)
		if p.PayerOpenID != "" {
			data.Payer = &eventPayer{OpenID: p.PayerOpenID}
		}
	}
	if f.anomaly != nil {
		data.Case = caseView(f.anomaly)
	}
	if f.refund != nil {
		data.Refund = new(refundView(f.refund))
	}
	return eventBody{Type: f.kind, Timestamp: stamp(f.at), Data: data}
}
