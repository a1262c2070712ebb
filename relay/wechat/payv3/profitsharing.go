package payv3

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// ReceiverType is what kind of account a receiver's is.
type ReceiverType string

// The kinds of receivers.
const (
	ReceiverMerchant  ReceiverType = "MERCHANT_ID"
	ReceiverOpenID    ReceiverType = "PERSONAL_OPENID"     // in the app AppID
	ReceiverSubOpenID ReceiverType = "PERSONAL_SUB_OPENID" // in the app SubAppID
)

// ShareReceiver is who shall get a part of a payment's money.
type ShareReceiver struct {
	Type    ReceiverType `json:"type"`
	Account string       `json:"account"`
	// Name is the receiver's full name in plain text, checked by WeChat when
	// given; the client sends it encrypted.
	Name        string `json:"name,omitempty"`
	Amount      int64  `json:"amount"`      // fen
	Description string `json:"description"` // up to 80 bytes
}

// ProfitSharingRequest shares the money of a payment that was ordered with
// profit_sharing (v3.md section 16).
type ProfitSharingRequest struct {
	SubMchID        string          `json:"sub_mchid,omitempty"` // service providers
	AppID           string          `json:"appid"`
	SubAppID        string          `json:"sub_appid,omitempty"` // with ReceiverSubOpenID
	TransactionID   string          `json:"transaction_id"`
	OutOrderNo      string          `json:"out_order_no"` // 1 to 64 of [0-9A-Za-z_|*@-]; the same on every repeat
	Receivers       []ShareReceiver `json:"receivers"`    // 1 to 50
	UnfreezeUnsplit bool            `json:"unfreeze_unsplit"`
}

// ShareState is how far a share is. FINISHED only says that the run ended:
// each receiver has a result.
type ShareState string

// The states.
const (
	ShareProcessing ShareState = "PROCESSING"
	ShareFinished   ShareState = "FINISHED"
)

// ShareResult is what became of one receiver's part.
type ShareResult string

// The results.
const (
	SharePending ShareResult = "PENDING"
	ShareSuccess ShareResult = "SUCCESS"
	ShareClosed  ShareResult = "CLOSED" // the money went back to the merchant
)

// SharedReceiver is one receiver with the result.
type SharedReceiver struct {
	Type        ReceiverType `json:"type"`
	Account     string       `json:"account"`
	Amount      int64        `json:"amount"`
	Description string       `json:"description"`
	Result      ShareResult  `json:"result"`
	FailReason  string       `json:"fail_reason,omitempty"` // WeChat's word, such as NO_RELATION
	DetailID    string       `json:"detail_id,omitempty"`
	CreateTime  string       `json:"create_time,omitempty"`
	FinishTime  string       `json:"finish_time,omitempty"`
}

// ProfitSharing is WeChat's statement about one share.
type ProfitSharing struct {
	SubMchID      string           `json:"sub_mchid,omitempty"`
	TransactionID string           `json:"transaction_id"`
	OutOrderNo    string           `json:"out_order_no"`
	OrderID       string           `json:"order_id"`
	State         ShareState       `json:"state"`
	Receivers     []SharedReceiver `json:"receivers,omitempty"`
}

// check makes sure that an answer is about what was asked.
func (p *ProfitSharing) check(transactionID, outOrderNo string) error {
	if p.OrderID == "" || p.State != ShareProcessing && p.State != ShareFinished {
		return errors.New("order_id is missing or state is unknown")
	}
	if p.TransactionID != transactionID || p.OutOrderNo != outOrderNo {
		return errors.New("answer is about another share")
	}
	for _, r := range p.Receivers {
		if r.Amount < 0 {
			return errors.New("amount is negative")
		}
		switch r.Result {
		case SharePending, ShareSuccess, ShareClosed:
		default:
			return errors.New("result is unknown")
		}
	}
	return nil
}

// ShareProfit shares money of a payment, or repeats a share with the same
// number and content, which is harmless. The end comes by
// ProfitSharingByOutOrderNo.
func (c *Client) ShareProfit(ctx context.Context, r *ProfitSharingRequest) (*ProfitSharing, error) {
	const op = "share profit"
	if len(r.Receivers) == 0 {
		return nil, errors.New(op + ": no receiver; unfreeze instead")
	}
	if err := checkShare(r.TransactionID, r.OutOrderNo, r.SubMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	sent := *r
	sent.Receivers = make([]ShareReceiver, len(r.Receivers))
	cl := call{op: op, method: http.MethodPost, target: "/v3/profitsharing/orders"}
	var err error
	for i, receiver := range r.Receivers {
		if receiver.Name, cl.serial, err = c.encryptName(ctx, receiver.Name, cl.serial); err != nil {
			return nil, fmt.Errorf("%s: %w", op, err)
		}
		sent.Receivers[i] = receiver
	}
	return postFor(ctx, c, cl, &sent, func(p *ProfitSharing) error { return p.check(r.TransactionID, r.OutOrderNo) })
}

// encryptName encrypts a name, if there is one, and returns the serial that
// the request must carry then; serial is what it had to carry before.
func (c *Client) encryptName(ctx context.Context, name, serial string) (sealed, newSerial string, err error) {
	if name == "" {
		return "", serial, nil
	}
	e, err := c.Encrypter(ctx)
	if err != nil {
		return "", "", err
	}
	if serial != "" && serial != e.Serial {
		return "", "", errors.New("the key of WeChat changed meanwhile")
	}
	sealed, err = e.Encrypt(name)
	return sealed, e.Serial, err
}

// unfreezeRequest gives what is not shared back to the merchant.
type unfreezeRequest struct {
	SubMchID      string `json:"sub_mchid,omitempty"`
	TransactionID string `json:"transaction_id"`
	OutOrderNo    string `json:"out_order_no"`
	Description   string `json:"description"`
}

// UnfreezeProfit ends the sharing of a payment's money: what is not shared is
// the merchant's. The number is in the same space as those of ShareProfit;
// repeats with the same content are harmless.
func (c *Client) UnfreezeProfit(ctx context.Context, transactionID, outOrderNo, description, subMchID string) (*ProfitSharing, error) {
	const op = "unfreeze profit"
	if err := checkShare(transactionID, outOrderNo, subMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	cl := call{op: op, method: http.MethodPost, target: "/v3/profitsharing/orders/unfreeze"}
	r := unfreezeRequest{SubMchID: subMchID, TransactionID: transactionID, OutOrderNo: outOrderNo, Description: description}
	return postFor(ctx, c, cl, &r, func(p *ProfitSharing) error { return p.check(transactionID, outOrderNo) })
}

// ProfitSharingByOutOrderNo asks for a share or an unfreezing.
func (c *Client) ProfitSharingByOutOrderNo(ctx context.Context, transactionID, outOrderNo, subMchID string) (*ProfitSharing, error) {
	const op = "query profit sharing"
	if err := checkShare(transactionID, outOrderNo, subMchID); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	target := "/v3/profitsharing/orders/" + url.PathEscape(outOrderNo) + "?transaction_id=" + transactionID + subMchIDQuery(subMchID)
	return getFor(ctx, c, call{op: op, method: http.MethodGet, target: target}, func(p *ProfitSharing) error {
		return p.check(transactionID, outOrderNo)
	})
}

// unsplitReply is the answer about what is not shared.
type unsplitReply struct {
	TransactionID string `json:"transaction_id"`
	UnsplitAmount *int64 `json:"unsplit_amount"`
}

// UnsplitAmount asks how much of a payment can still be shared, in fen.
func (c *Client) UnsplitAmount(ctx context.Context, transactionID string) (int64, error) {
	const op = "query unsplit amount"
	if !isTransactionID(transactionID) {
		return 0, fmt.Errorf("%s: %w", op, errTransactionID)
	}
	target := "/v3/profitsharing/transactions/" + transactionID + "/amounts"
	reply, err := getFor(ctx, c, call{op: op, method: http.MethodGet, target: target}, func(r *unsplitReply) error {
		if r.TransactionID != transactionID || r.UnsplitAmount == nil || *r.UnsplitAmount < 0 {
			return errors.New("answer is about another payment or has no amount")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return *reply.UnsplitAmount, nil
}

// ratioReply is the answer about what a sub merchant lets be shared.
type ratioReply struct {
	SubMchID string `json:"sub_mchid"`
	MaxRatio *int64 `json:"max_ratio"`
}

// MaxShareRatio asks which part of a payment a sub merchant lets its service
// provider share, in ten-thousandths: 2000 is 20 %.
func (c *Client) MaxShareRatio(ctx context.Context, subMchID string) (int64, error) {
	const op = "query share ratio"
	if err := checkSubMchID(subMchID); err != nil || subMchID == "" {
		return 0, fmt.Errorf("%s: %w", op, errSubMchID)
	}
	reply, err := getFor(ctx, c, call{op: op, method: http.MethodGet, target: "/v3/profitsharing/merchant-configs/" + subMchID}, func(r *ratioReply) error {
		if r.SubMchID != subMchID || r.MaxRatio == nil || *r.MaxRatio < 0 || *r.MaxRatio > 10000 {
			return errors.New("answer is about another merchant or has no ratio")
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return *reply.MaxRatio, nil
}

func checkShare(transactionID, outOrderNo, subMchID string) error {
	if !isTransactionID(transactionID) {
		return fmt.Errorf("transaction_id: %w", errTransactionID)
	}
	if !isOutNo(outOrderNo) {
		return fmt.Errorf("out_order_no: %w", errOutNo)
	}
	return checkSubMchID(subMchID)
}

// subMchIDQuery is a further query parameter, or nothing.
func subMchIDQuery(subMchID string) string {
	if subMchID == "" {
		return ""
	}
	return "&sub_mchid=" + subMchID
}

// postFor sends request and returns the answer after check took it.
func postFor[Request, Reply any](ctx context.Context, c *Client, cl call, request *Request, check func(*Reply) error) (*Reply, error) {
	var err error
	if cl.body, err = json.Marshal(request); err != nil {
		return nil, fmt.Errorf("%s: encoding request: %w", cl.op, err)
	}
	return getFor(ctx, c, cl, check)
}

// getFor makes a call and returns the answer after check took it.
func getFor[Reply any](ctx context.Context, c *Client, cl call, check func(*Reply) error) (*Reply, error) {
	answer, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	var reply Reply
	err = decodePeer(answer, &reply)
	if err == nil {
		err = check(&reply)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cl.op, err)
	}
	return &reply, nil
}
