package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// RefundStatus is how far a refund is. The set is WeChat's (doc 4012791862).
type RefundStatus string

// The statuses. PROCESSING is the only one that changes by itself; ABNORMAL,
// where the payer's card does not take the money, needs the merchant.
const (
	RefundSuccess    RefundStatus = "SUCCESS"
	RefundClosed     RefundStatus = "CLOSED"
	RefundProcessing RefundStatus = "PROCESSING"
	RefundAbnormal   RefundStatus = "ABNORMAL"
)

func (s RefundStatus) known() bool {
	switch s {
	case RefundSuccess, RefundClosed, RefundProcessing, RefundAbnormal:
		return true
	}
	return false
}

// RefundRequestAmount is the money of a refund as asked for, in fen.
type RefundRequestAmount struct {
	Refund   int64  `json:"refund"`
	Total    int64  `json:"total"` // of the payment
	Currency string `json:"currency"`
}

// RefundRequest gives back money of a payment (v3.md section 12). A payment
// is named by one of its two numbers.
type RefundRequest struct {
	SubMchID      string              `json:"sub_mchid,omitempty"` // service providers
	TransactionID string              `json:"transaction_id,omitempty"`
	OutTradeNo    string              `json:"out_trade_no,omitempty"`
	OutRefundNo   string              `json:"out_refund_no"`        // 1 to 64 of [0-9A-Za-z_|*@-]; the same on every repeat
	Reason        string              `json:"reason,omitempty"`     // up to 80 bytes, shown to the payer
	NotifyURL     string              `json:"notify_url,omitempty"` // instead of the address in the console
	FundsAccount  string              `json:"funds_account,omitempty"`
	Amount        RefundRequestAmount `json:"amount"`
}

// RefundAmount is the money of a refund as WeChat tells it, in fen.
type RefundAmount struct {
	Total            int64  `json:"total"`
	Refund           int64  `json:"refund"`
	PayerTotal       int64  `json:"payer_total"`
	PayerRefund      int64  `json:"payer_refund"`
	SettlementRefund int64  `json:"settlement_refund,omitempty"`
	SettlementTotal  int64  `json:"settlement_total,omitempty"`
	DiscountRefund   int64  `json:"discount_refund,omitempty"`
	Currency         string `json:"currency,omitempty"` // CNY, also when absent
}

func (a *RefundAmount) check() error {
	if a.Refund < 1 || a.Total < a.Refund || a.PayerTotal < 0 || a.PayerRefund < 0 {
		return errors.New("amount is not a part of the payment's")
	}
	return nil
}

// RefundReply is WeChat's statement about one refund: the answer to the
// refund call and to the query.
type RefundReply struct {
	RefundID            string       `json:"refund_id"`
	OutRefundNo         string       `json:"out_refund_no"`
	TransactionID       string       `json:"transaction_id"`
	OutTradeNo          string       `json:"out_trade_no"`
	Channel             string       `json:"channel,omitempty"` // ORIGINAL, BALANCE, OTHER_BALANCE, OTHER_BANKCARD
	UserReceivedAccount string       `json:"user_received_account,omitempty"`
	SuccessTime         string       `json:"success_time,omitempty"` // RFC 3339
	CreateTime          string       `json:"create_time,omitempty"`  // RFC 3339
	Status              RefundStatus `json:"status"`
	FundsAccount        string       `json:"funds_account,omitempty"`
	Amount              RefundAmount `json:"amount"`
}

// SucceededAt returns when the money was back, in UTC.
func (r *RefundReply) SucceededAt() (time.Time, error) {
	return parseTime("success_time", r.SuccessTime)
}

func decodeRefund(data []byte) (*RefundReply, error) {
	var r RefundReply
	if err := decodePeer(data, &r); err != nil {
		return nil, err
	}
	if r.RefundID == "" || r.OutRefundNo == "" || r.TransactionID == "" || r.OutTradeNo == "" || !r.Status.known() {
		return nil, errors.New("a number is missing or status is unknown")
	}
	if err := r.Amount.check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// Refund gives money back, or repeats a refund that was asked for with the
// same number and content, which is harmless. It returns the refund with the
// answer as WeChat sent it. Success says that WeChat took the order; the end
// comes by notification and by RefundByOutRefundNo. After an error without
// an [*APIError], or one that is Retryable, repeat with the same number: a
// new one would pay twice.
func (c *Client) Refund(ctx context.Context, r *RefundRequest) (*RefundReply, []byte, error) {
	const op = "refund"
	if err := r.check(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: encoding request: %w", op, err)
	}
	reply, raw, err := c.refund(ctx, call{op: op, method: http.MethodPost, target: "/v3/refund/domestic/refunds", body: body}, r.OutRefundNo)
	if err != nil {
		return nil, nil, err
	}
	if r.OutTradeNo != "" && reply.OutTradeNo != r.OutTradeNo || r.TransactionID != "" && reply.TransactionID != r.TransactionID {
		return nil, nil, fmt.Errorf("%s: answer is about another payment", op)
	}
	if reply.Amount.Refund != r.Amount.Refund {
		return nil, nil, fmt.Errorf("%s: answer is about another amount", op)
	}
	return reply, raw, nil
}

func (r *RefundRequest) check() error {
	if !isOutNo(r.OutRefundNo) {
		return fmt.Errorf("out_refund_no: %w", errOutNo)
	}
	if (r.TransactionID == "") == (r.OutTradeNo == "") {
		return errors.New("payment is named by one of transaction_id and out_trade_no")
	}
	if r.Amount.Refund < 1 || r.Amount.Refund > r.Amount.Total {
		return errors.New("amount is not a part of the payment's")
	}
	return checkSubMchID(r.SubMchID)
}

// RefundByOutRefundNo asks for the refund with a merchant's number and
// returns it with the answer as WeChat sent it. subMchID names the merchant
// that a service provider asks for, and is empty for a direct merchant. An
// unknown number is an [*APIError] RESOURCE_NOT_EXISTS.
func (c *Client) RefundByOutRefundNo(ctx context.Context, outRefundNo, subMchID string) (*RefundReply, []byte, error) {
	const op = "query refund"
	if !isOutNo(outRefundNo) {
		return nil, nil, fmt.Errorf("%s: %w", op, errOutNo)
	}
	if err := checkSubMchID(subMchID); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	target := "/v3/refund/domestic/refunds/" + url.PathEscape(outRefundNo)
	if subMchID != "" {
		target += "?sub_mchid=" + subMchID
	}
	return c.refund(ctx, call{op: op, method: http.MethodGet, target: target}, outRefundNo)
}

func (c *Client) refund(ctx context.Context, cl call, outRefundNo string) (*RefundReply, []byte, error) {
	answer, err := c.do(ctx, cl)
	if err != nil {
		return nil, nil, err
	}
	reply, err := decodeRefund(answer)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", cl.op, err)
	}
	if reply.OutRefundNo != outRefundNo {
		return nil, nil, fmt.Errorf("%s: answer is about another refund", cl.op)
	}
	return reply, answer, nil
}
