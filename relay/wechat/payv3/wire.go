package payv3

import (
	"fmt"
	"time"
)

// Amount is the money of a payment. Numbers are fen.
type Amount struct {
	Total         int64  `json:"total"`              // what the order costs
	Currency      string `json:"currency,omitempty"` // CNY, also when absent
	PayerTotal    int64  `json:"payer_total,omitempty"`
	PayerCurrency string `json:"payer_currency,omitempty"`
}

// Payer is the WeChat user who pays, known to one app.
type Payer struct {
	OpenID string `json:"openid"`
}

// SettleInfo freezes the money of a payment for profit sharing.
type SettleInfo struct {
	ProfitSharing bool `json:"profit_sharing"`
}

// PrepayRequest creates a payment (doc 4012791897 for JSAPI, 4012525171 for
// NATIVE). WeChat refuses unknown, null and empty members, so what is not
// given is left out.
type PrepayRequest struct {
	AppID       string      `json:"appid"`
	MchID       string      `json:"mchid"`
	Description string      `json:"description"`           // up to 127 bytes
	OutTradeNo  string      `json:"out_trade_no"`          // 6 to 32 of [0-9A-Za-z_|*-]
	TimeExpire  string      `json:"time_expire,omitempty"` // RFC 3339 with offset; only the first call of a number sets it
	Attach      string      `json:"attach,omitempty"`      // up to 128 bytes, echoed
	NotifyURL   string      `json:"notify_url"`            // public, without query
	Amount      Amount      `json:"amount"`
	Payer       *Payer      `json:"payer,omitempty"` // JSAPI only
	SettleInfo  *SettleInfo `json:"settle_info,omitempty"`
}

// Transaction is WeChat's statement about one payment: the answer to a query
// and the content of a TRANSACTION.SUCCESS notification (doc 4012791865).
// The payment's fields are absent while it is unpaid.
type Transaction struct {
	AppID          string  `json:"appid"`
	MchID          string  `json:"mchid"`
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
	at, err := time.Parse(time.RFC3339, t.SuccessTime)
	if err != nil {
		return time.Time{}, fmt.Errorf("success_time is not RFC 3339")
	}
	return at.UTC(), nil
}

// closeRequest closes a payment; the number is in the address.
type closeRequest struct {
	MchID string `json:"mchid"`
}

// prepayReply holds the one member that WeChat answers for the trade type.
type prepayReply struct {
	PrepayID string `json:"prepay_id"`
	CodeURL  string `json:"code_url"`
}

// envelope is the body of every notification.
type envelope struct {
	ID           string   `json:"id"`
	CreateTime   string   `json:"create_time"`
	ResourceType string   `json:"resource_type"`
	EventType    string   `json:"event_type"`
	Summary      string   `json:"summary"`
	Resource     Resource `json:"resource"`
}

// Resource is an encrypted object inside a notification.
type Resource struct {
	OriginalType   string `json:"original_type,omitempty"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"` // base64 of ciphertext and 16-byte tag
	AssociatedData string `json:"associated_data,omitempty"`
	Nonce          string `json:"nonce"` // 12 bytes
}

// certificatesReply is the answer to GET /v3/certificates.
type certificatesReply struct {
	Data []certificateEntry `json:"data"`
}

type certificateEntry struct {
	SerialNo           string   `json:"serial_no"`
	EffectiveTime      string   `json:"effective_time"`
	ExpireTime         string   `json:"expire_time"`
	EncryptCertificate Resource `json:"encrypt_certificate"`
}
