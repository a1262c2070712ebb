package payv2

import (
	"errors"
	"fmt"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// Notification is what WeChat posted: either of Payment and Refund is set.
type Notification struct {
	// Payment is a genuine statement: its signature was verified.
	Payment *Transaction
	// Refund is a hint: it could be read with the merchant's key, which
	// anybody can bring about who has seen other notifications (section 12).
	// Query before acting on it.
	Refund *RefundNotice
	// Fields are what the statement was read from: all fields of a payment
	// notification, the decrypted ones of a refund's.
	Fields Message
}

// RefundNotice says that a refund reached a final state.
type RefundNotice struct {
	AppID string
	MchID string
	Partner
	TransactionID       string
	OutTradeNo          string
	RefundID            string
	OutRefundNo         string
	TotalFen            int64 // what the order cost
	RefundFen           int64
	SettlementRefundFen int64
	Status              RefundStatus // never PROCESSING
	SuccessTime         time.Time
	Receiver            string // where the money went, in words
	Account             string // where it came from
	Source              string // API or VENDOR_PLATFORM, the merchant console
}

// ParseNotification reads the body once, verifies it, and decodes what it
// verified; there is no way to have a part of it without the rest. An error
// that is a [*VerifyError] means that the sender was not WeChat, any other
// that the message cannot be used. Every error must be answered with a
// failure.
func (c *Client) ParseNotification(body []byte) (*Notification, error) {
	m, err := ParseMessage(body)
	if err != nil {
		return nil, fmt.Errorf("notification: %w", err)
	}
	n := &Notification{}
	if m[fieldReqInfo] != "" && m[fieldSign] == "" {
		n.Refund, n.Fields, err = c.refundNotice(m)
	} else {
		n.Fields = m
		n.Payment, err = c.paymentNotice(m)
	}
	if err != nil {
		return nil, fmt.Errorf("notification: %w", err)
	}
	return n, nil
}

// paymentNotice verifies first, whatever the fields say (threat A02).
func (c *Client) paymentNotice(m Message) (*Transaction, error) {
	if err := c.verifyNotification(m); err != nil {
		return nil, err
	}
	if err := m.checkUncut(); err != nil {
		return nil, err
	}
	if m[fieldReturnCode] != codeSuccess || m[fieldResultCode] != codeSuccess {
		return nil, errors.New("does not say that a payment succeeded")
	}
	if state := m["trade_state"]; state != "" && state != string(StateSuccess) { // threat A18
		return nil, errors.New("is about a payment in another state")
	}
	d := decoder{m: m}
	d.require(fieldAppID, fieldMchID, fieldNonce, "openid", "trade_type", "bank_type", "cash_fee")
	if d.err != nil {
		return nil, d.err
	}
	return decodeTransaction(m, StateSuccess)
}

// checkUncut makes sure that the signed text was not cut into other fields
// than WeChat did (threat A14). A field that swallowed its neighbour reads like
// two; WeChat's own values never do. Only attach may, which its merchant chose,
// and which therefore must be compared with what was ordered.
func (m Message) checkUncut() error {
	for name, value := range m {
		if name != fieldAttach && Ambiguous(value) {
			return errors.New("a field could pass for two")
		}
	}
	return nil
}

// verifyNotification expects the algorithm of the orders, and the weaker one
// only where the operator lets it pass (threat A04).
func (c *Client) verifyNotification(m Message) error {
	err := m.verify(c.signType, c.inboundKeys...)
	if err == nil || !c.acceptMD5 || m.verify(SignMD5, c.inboundKeys...) != nil {
		return err
	}
	if c.hooks.MD5Accepted != nil {
		c.hooks.MD5Accepted()
	}
	return nil
}

// refundNotice reads a notification without a signature.
func (c *Client) refundNotice(m Message) (*RefundNotice, Message, error) {
	d := decoder{m: m}
	d.require(fieldAppID, fieldMchID, fieldNonce)
	if m[fieldReturnCode] != codeSuccess {
		d.fail(fieldReturnCode, errors.New("is no success"))
	}
	if d.err != nil {
		return nil, nil, d.err
	}
	for _, key := range c.inboundKeys {
		fields, n, err := decodeReqInfo(key, m[fieldReqInfo])
		if err != nil {
			continue
		}
		n.AppID, n.MchID = m[fieldAppID], m[fieldMchID]
		n.Partner = Partner{SubMchID: m[fieldSubMchID], SubAppID: m[fieldSubAppID]}
		return n, fields, nil
	}
	return nil, nil, errReqInfo
}

func decodeReqInfo(key []byte, text string) (Message, *RefundNotice, error) {
	plaintext, err := openReqInfo(key, text)
	if err != nil {
		return nil, nil, err
	}
	m, err := parseDocument(plaintext, rootRefund, notificationLimits)
	if err != nil {
		return nil, nil, errReqInfo
	}
	d := decoder{m: m}
	d.require("transaction_id", "out_trade_no", "refund_id", "out_refund_no", "total_fee", "refund_fee")
	n := &RefundNotice{
		TransactionID:       m["transaction_id"],
		OutTradeNo:          m["out_trade_no"],
		RefundID:            m["refund_id"],
		OutRefundNo:         m["out_refund_no"],
		TotalFen:            d.fen("total_fee"),
		RefundFen:           d.fen("refund_fee"),
		SettlementRefundFen: d.fen("settlement_refund_fee"),
		Status:              RefundStatus(m["refund_status"]),
		SuccessTime:         d.time("success_time", beijing.Readable),
		Receiver:            m["refund_recv_accout"],
		Account:             m["refund_account"],
		Source:              m["refund_request_source"],
	}
	switch n.Status {
	case RefundSuccess, RefundClosed, RefundChange:
	default:
		return nil, nil, errReqInfo
	}
	if d.err != nil {
		return nil, nil, errReqInfo
	}
	return m, n, nil
}
