package payv3

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ShareReturnRequest takes shared money back from a receiver, which must be a
// merchant, within 180 days (v3.md section 16).
type ShareReturnRequest struct {
	SubMchID    string `json:"sub_mchid,omitempty"` // service providers
	OutOrderNo  string `json:"out_order_no"`        // of the share
	OutReturnNo string `json:"out_return_no"`       // 1 to 64 of [0-9A-Za-z_|*@-]; the same on every repeat
	ReturnMchID string `json:"return_mchid"`        // the receiver
	Amount      int64  `json:"amount"`              // fen
	Description string `json:"description"`
}

// ReturnResult is how far a return is.
type ReturnResult string

// The results.
const (
	ReturnProcessing ReturnResult = "PROCESSING"
	ReturnSuccess    ReturnResult = "SUCCESS"
	ReturnFailed     ReturnResult = "FAILED"
)

// ShareReturn is WeChat's statement about one return.
type ShareReturn struct {
	SubMchID    string       `json:"sub_mchid,omitempty"`
	OrderID     string       `json:"order_id"`
	OutOrderNo  string       `json:"out_order_no"`
	OutReturnNo string       `json:"out_return_no"`
	ReturnID    string       `json:"return_id"`
	ReturnMchID string       `json:"return_mchid"`
	Amount      int64        `json:"amount"`
	Description string       `json:"description"`
	Result      ReturnResult `json:"result"`
	FailReason  string       `json:"fail_reason,omitempty"` // WeChat's word, such as TIME_OUT_CLOSED
	CreateTime  string       `json:"create_time,omitempty"`
	FinishTime  string       `json:"finish_time,omitempty"`
}

func (r *ShareReturn) check(outOrderNo, outReturnNo string) error {
	switch r.Result {
	case ReturnProcessing, ReturnSuccess, ReturnFailed:
	default:
		return errors.New("result is unknown")
	}
	if r.OutOrderNo != outOrderNo || r.OutReturnNo != outReturnNo {
		return errors.New("answer is about another return")
	}
	if r.Amount < 1 {
		return errors.New("amount is missing")
	}
	return nil
}

// ReturnShare takes shared money back, or repeats that with the same number
// and content, which is harmless.
func (c *Client) ReturnShare(ctx context.Context, r *ShareReturnRequest) (*ShareReturn, error) {
	const op = "return share"
	if err := checkReturn(r.OutOrderNo, r.OutReturnNo, r.SubMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	cl := call{op: op, method: http.MethodPost, target: "/v3/profitsharing/return-orders"}
	return postFor(ctx, c, cl, r, func(reply *ShareReturn) error {
		if reply.Amount != r.Amount || reply.ReturnMchID != r.ReturnMchID {
			return errors.New("answer is about another amount or receiver")
		}
		return reply.check(r.OutOrderNo, r.OutReturnNo)
	})
}

// ShareReturnByOutReturnNo asks for a return.
func (c *Client) ShareReturnByOutReturnNo(ctx context.Context, outOrderNo, outReturnNo, subMchID string) (*ShareReturn, error) {
	const op = "query share return"
	if err := checkReturn(outOrderNo, outReturnNo, subMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	target := "/v3/profitsharing/return-orders/" + url.PathEscape(outReturnNo) + "?out_order_no=" + url.QueryEscape(outOrderNo) + subMchIDQuery(subMchID)
	return getFor(ctx, c, call{op: op, method: http.MethodGet, target: target}, func(reply *ShareReturn) error {
		return reply.check(outOrderNo, outReturnNo)
	})
}

func checkReturn(outOrderNo, outReturnNo, subMchID string) error {
	if !isOutNo(outOrderNo) {
		return fmt.Errorf("out_order_no: %w", errOutNo)
	}
	if !isOutNo(outReturnNo) {
		return fmt.Errorf("out_return_no: %w", errOutNo)
	}
	return checkSubMchID(subMchID)
}
