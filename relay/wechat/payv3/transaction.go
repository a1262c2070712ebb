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

// Amount is the money of a payment. Numbers are fen.
type Amount struct {
	Total         int64  `json:"total"`                 // what the order costs
	Currency      string `json:"currency,omitempty"`    // CNY, also when absent
	PayerTotal    int64  `json:"payer_total,omitempty"` // what the payer gave, coupons taken off
	PayerCurrency string `json:"payer_currency,omitempty"`
}

// Payer is the WeChat user who pays, as known to an app.
type Payer struct {
	OpenID    string `json:"openid,omitempty"`     // to a direct merchant's
	SPOpenID  string `json:"sp_openid,omitempty"`  // to a service provider's
	SubOpenID string `json:"sub_openid,omitempty"` // to the sub merchant's
}

// Transaction is WeChat's statement about one payment: the answer to a query
// and the content of a TRANSACTION.SUCCESS notification (doc 4012791865).
// The payment's fields are absent while it is unpaid. It marshals in the
// form of its kind of merchant: of a service provider when SubMchID is set.
type Transaction struct {
	AppID          string  `json:"appid"` // the service provider's when SubMchID is set
	MchID          string  `json:"mchid"` // likewise
	SubAppID       string  `json:"-"`
	SubMchID       string  `json:"-"` // set when a service provider collected for another merchant
	OutTradeNo     string  `json:"out_trade_no"`
	TransactionID  string  `json:"transaction_id,omitempty"`
	TradeType      string  `json:"trade_type,omitempty"` // JSAPI, NATIVE, APP, MICROPAY, MWEB, FACEPAY
	TradeState     string  `json:"trade_state"`          // SUCCESS, REFUND, NOTPAY, CLOSED, USERPAYING, REVOKED, PAYERROR, ACCEPT
	TradeStateDesc string  `json:"trade_state_desc,omitempty"`
	BankType       string  `json:"bank_type,omitempty"`
	Attach         string  `json:"attach,omitempty"`
	SuccessTime    string  `json:"success_time,omitempty"` // RFC 3339
	Payer          *Payer  `json:"payer,omitempty"`
	Amount         *Amount `json:"amount,omitempty"`
}

// SucceededAt returns when the payment succeeded, in UTC.
func (t *Transaction) SucceededAt() (time.Time, error) {
	return parseTime("success_time", t.SuccessTime)
}

// PayerOpenID returns the payer's openid in the app AppID, and in the app
// SubAppID; either may be empty.
func (t *Transaction) PayerOpenID() (openID, subOpenID string) {
	switch {
	case t.Payer == nil:
		return "", ""
	case t.SubMchID != "":
		return t.Payer.SPOpenID, t.Payer.SubOpenID
	default:
		return t.Payer.OpenID, ""
	}
}

// transactionForm has the members of both forms: a direct merchant's begins
// with appid and mchid, a service provider's with those of sp and sub.
type transactionForm struct {
	AppID          string  `json:"appid,omitempty"`
	MchID          string  `json:"mchid,omitempty"`
	SPAppID        string  `json:"sp_appid,omitempty"`
	SPMchID        string  `json:"sp_mchid,omitempty"`
	SubAppID       string  `json:"sub_appid,omitempty"`
	SubMchID       string  `json:"sub_mchid,omitempty"`
	OutTradeNo     string  `json:"out_trade_no"`
	TransactionID  string  `json:"transaction_id,omitempty"`
	TradeType      string  `json:"trade_type,omitempty"`
	TradeState     string  `json:"trade_state"`
	TradeStateDesc string  `json:"trade_state_desc,omitempty"`
	BankType       string  `json:"bank_type,omitempty"`
	Attach         string  `json:"attach,omitempty"`
	SuccessTime    string  `json:"success_time,omitempty"`
	Payer          *Payer  `json:"payer,omitempty"`
	Amount         *Amount `json:"amount,omitempty"`
}

// MarshalJSON writes the form of the kind of merchant.
func (t Transaction) MarshalJSON() ([]byte, error) {
	f := transactionForm{
		AppID: t.AppID, MchID: t.MchID, OutTradeNo: t.OutTradeNo, TransactionID: t.TransactionID, TradeType: t.TradeType,
		TradeState: t.TradeState, TradeStateDesc: t.TradeStateDesc, BankType: t.BankType, Attach: t.Attach,
		SuccessTime: t.SuccessTime, Payer: t.Payer, Amount: t.Amount,
	}
	if t.SubMchID != "" {
		f.AppID, f.MchID, f.SPAppID, f.SPMchID, f.SubAppID, f.SubMchID = "", "", t.AppID, t.MchID, t.SubAppID, t.SubMchID
	}
	return json.Marshal(f)
}

// transaction judges which form it is. A document with the marks of both is
// neither, because one reader would take it for this merchant's payment and
// another for that one's.
func (f *transactionForm) transaction() (*Transaction, error) {
	t := Transaction{
		AppID: f.AppID, MchID: f.MchID, OutTradeNo: f.OutTradeNo, TransactionID: f.TransactionID, TradeType: f.TradeType,
		TradeState: f.TradeState, TradeStateDesc: f.TradeStateDesc, BankType: f.BankType, Attach: f.Attach,
		SuccessTime: f.SuccessTime, Payer: f.Payer, Amount: f.Amount,
	}
	if f.SPMchID == "" && f.SPAppID == "" && f.SubMchID == "" && f.SubAppID == "" {
		return &t, nil
	}
	if f.MchID != "" || f.AppID != "" {
		return nil, errors.New("both a direct merchant and a service provider are named")
	}
	if f.SubMchID == "" {
		return nil, errors.New("sub_mchid is missing")
	}
	t.AppID, t.MchID, t.SubAppID, t.SubMchID = f.SPAppID, f.SPMchID, f.SubAppID, f.SubMchID
	return &t, nil
}

// decodeTransaction reads the object that queries and notifications share and
// makes sure that it has what makes it one. The form of combined orders lacks
// mchid and amount.
func decodeTransaction(data []byte) (*Transaction, error) {
	var f transactionForm
	if err := decodePeer(data, &f); err != nil {
		return nil, err
	}
	t, err := f.transaction()
	if err != nil {
		return nil, err
	}
	if t.AppID == "" || t.MchID == "" || t.OutTradeNo == "" || t.TradeState == "" {
		return nil, errors.New("appid, mchid, out_trade_no or trade_state is missing")
	}
	if t.Amount != nil && (t.Amount.Total < 0 || t.Amount.PayerTotal < 0) {
		return nil, errors.New("amount is negative")
	}
	if t.TradeState != "SUCCESS" {
		return t, nil
	}
	if t.TransactionID == "" || t.Amount == nil || t.Amount.Total == 0 {
		return nil, errors.New("transaction_id or amount of a paid transaction is missing")
	}
	if _, err := t.SucceededAt(); err != nil {
		return nil, err
	}
	return t, nil
}

// TransactionByOutTradeNo asks for the payment with a merchant's number and
// returns it with the answer as WeChat sent it. subMchID names the merchant
// that a service provider asks for, and is empty for a direct merchant.
func (c *Client) TransactionByOutTradeNo(ctx context.Context, outTradeNo, subMchID string) (*Transaction, []byte, error) {
	const op = "query by out_trade_no"
	if !isOutTradeNo(outTradeNo) {
		return nil, nil, fmt.Errorf("%s: %w", op, errOutTradeNo)
	}
	t, raw, err := c.query(ctx, op, "/out-trade-no/"+url.PathEscape(outTradeNo), subMchID)
	if err == nil && t.OutTradeNo != outTradeNo {
		return nil, nil, fmt.Errorf("%s: answer is about another payment", op)
	}
	return t, raw, err
}

// TransactionByID asks for the payment with WeChat's number, which only paid
// ones have. subMchID is as in TransactionByOutTradeNo.
func (c *Client) TransactionByID(ctx context.Context, id, subMchID string) (*Transaction, []byte, error) {
	const op = "query by transaction_id"
	if !isTransactionID(id) {
		return nil, nil, fmt.Errorf("%s: %w", op, errTransactionID)
	}
	t, raw, err := c.query(ctx, op, "/id/"+id, subMchID)
	if err == nil && t.TransactionID != id {
		return nil, nil, fmt.Errorf("%s: answer is about another payment", op)
	}
	return t, raw, err
}

func (c *Client) query(ctx context.Context, op, path, subMchID string) (*Transaction, []byte, error) {
	if err := checkSubMchID(subMchID); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	target := transactionsPath(false) + path + "?mchid=" + c.mchID
	if subMchID != "" {
		target = transactionsPath(true) + path + "?sp_mchid=" + c.mchID + "&sub_mchid=" + subMchID
	}
	answer, err := c.do(ctx, call{op: op, method: http.MethodGet, target: target})
	if err != nil {
		return nil, nil, err
	}
	t, err := decodeTransaction(answer)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", op, err)
	}
	if t.MchID != c.mchID || t.SubMchID != subMchID {
		return nil, nil, fmt.Errorf("%s: answer is about another merchant", op)
	}
	return t, answer, nil
}

// closeRequest closes a payment; the number is in the address.
type closeRequest struct {
	MchID    string `json:"mchid,omitempty"`
	SPMchID  string `json:"sp_mchid,omitempty"`
	SubMchID string `json:"sub_mchid,omitempty"`
}

// CloseTransaction closes an unpaid payment; closing twice is harmless. A
// payment under way may still win, so query afterwards. subMchID is as in
// TransactionByOutTradeNo.
func (c *Client) CloseTransaction(ctx context.Context, outTradeNo, subMchID string) error {
	const op = "close"
	if !isOutTradeNo(outTradeNo) {
		return fmt.Errorf("%s: %w", op, errOutTradeNo)
	}
	if err := checkSubMchID(subMchID); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	request := closeRequest{MchID: c.mchID}
	if subMchID != "" {
		request = closeRequest{SPMchID: c.mchID, SubMchID: subMchID}
	}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("%s: encoding request: %w", op, err)
	}
	target := transactionsPath(subMchID != "") + "/out-trade-no/" + url.PathEscape(outTradeNo) + "/close"
	_, err = c.do(ctx, call{op: op, method: http.MethodPost, target: target, body: body})
	return err
}
