package payv3

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Event types that tell the end of a refund, and the type of their content
// (doc 4012791865).
const (
	EventRefundSuccess  = "REFUND.SUCCESS"
	EventRefundAbnormal = "REFUND.ABNORMAL"
	EventRefundClosed   = "REFUND.CLOSED"
	OriginalTypeRefund  = "refund"
)

// RefundNotice is the content of a REFUND notification. It marshals in the
// form of its kind of merchant: of a service provider when SubMchID is set.
type RefundNotice struct {
	MchID               string       `json:"mchid"` // the service provider's when SubMchID is set
	SubMchID            string       `json:"-"`
	TransactionID       string       `json:"transaction_id"`
	OutTradeNo          string       `json:"out_trade_no"`
	RefundID            string       `json:"refund_id"`
	OutRefundNo         string       `json:"out_refund_no"`
	Status              RefundStatus `json:"refund_status"` // SUCCESS, ABNORMAL or CLOSED
	SuccessTime         string       `json:"success_time,omitempty"`
	UserReceivedAccount string       `json:"user_received_account"`
	Amount              RefundAmount `json:"amount"`
}

// SucceededAt returns when the money was back, in UTC.
func (n *RefundNotice) SucceededAt() (time.Time, error) {
	return parseTime("success_time", n.SuccessTime)
}

// refundNoticeForm has the members of both forms.
type refundNoticeForm struct {
	MchID               string       `json:"mchid,omitempty"`
	SPMchID             string       `json:"sp_mchid,omitempty"`
	SubMchID            string       `json:"sub_mchid,omitempty"`
	TransactionID       string       `json:"transaction_id"`
	OutTradeNo          string       `json:"out_trade_no"`
	RefundID            string       `json:"refund_id"`
	OutRefundNo         string       `json:"out_refund_no"`
	Status              RefundStatus `json:"refund_status"`
	SuccessTime         string       `json:"success_time,omitempty"`
	UserReceivedAccount string       `json:"user_received_account"`
	Amount              RefundAmount `json:"amount"`
}

// MarshalJSON writes the form of the kind of merchant.
func (n RefundNotice) MarshalJSON() ([]byte, error) {
	f := refundNoticeForm{
		MchID: n.MchID, TransactionID: n.TransactionID, OutTradeNo: n.OutTradeNo, RefundID: n.RefundID,
		OutRefundNo: n.OutRefundNo, Status: n.Status, SuccessTime: n.SuccessTime, UserReceivedAccount: n.UserReceivedAccount,
		Amount: n.Amount,
	}
	if n.SubMchID != "" {
		f.MchID, f.SPMchID, f.SubMchID = "", n.MchID, n.SubMchID
	}
	return json.Marshal(f)
}

// ErrNotRefund says that a notification is about something else than a
// refund.
var ErrNotRefund = errors.New("notification is not about a refund")

// Refund decodes the content of a REFUND notification. What the event, the
// envelope and the content say must agree, so that a payment never passes for
// a refund, nor a failed refund for a good one (threat B13).
func (n *Notification) Refund() (*RefundNotice, error) {
	want, ok := refundEvents[n.EventType]
	if !ok || n.OriginalType != OriginalTypeRefund {
		return nil, ErrNotRefund
	}
	r, err := decodeRefundNotice(n.Plaintext)
	if err != nil {
		return nil, fmt.Errorf("notification content: %w", err)
	}
	if r.Status != want {
		return nil, errors.New("notification content: refund_status is not that of the event")
	}
	return r, nil
}

var refundEvents = map[string]RefundStatus{
	EventRefundSuccess:  RefundSuccess,
	EventRefundAbnormal: RefundAbnormal,
	EventRefundClosed:   RefundClosed,
}

// IsRefundEvent reports whether an event type tells the end of a refund.
func IsRefundEvent(eventType string) bool {
	_, ok := refundEvents[eventType]
	return ok
}

func decodeRefundNotice(data []byte) (*RefundNotice, error) {
	var f refundNoticeForm
	if err := decodePeer(data, &f); err != nil {
		return nil, err
	}
	n := RefundNotice{
		MchID: f.MchID, TransactionID: f.TransactionID, OutTradeNo: f.OutTradeNo, RefundID: f.RefundID,
		OutRefundNo: f.OutRefundNo, Status: f.Status, SuccessTime: f.SuccessTime, UserReceivedAccount: f.UserReceivedAccount,
		Amount: f.Amount,
	}
	if f.SPMchID != "" || f.SubMchID != "" {
		if f.MchID != "" || f.SubMchID == "" {
			return nil, errors.New("neither a direct merchant nor a service provider is named")
		}
		n.MchID, n.SubMchID = f.SPMchID, f.SubMchID
	}
	if n.MchID == "" || n.TransactionID == "" || n.OutTradeNo == "" || n.RefundID == "" || n.OutRefundNo == "" {
		return nil, errors.New("mchid or a number is missing")
	}
	if n.Status == RefundSuccess {
		if _, err := n.SucceededAt(); err != nil {
			return nil, err
		}
	}
	if err := n.Amount.check(); err != nil {
		return nil, err
	}
	return &n, nil
}
