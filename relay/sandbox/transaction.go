package sandbox

import (
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// stateDescriptions are what WeChat writes beside a trade state.
var stateDescriptions = map[string]string{
	stateNotPay:  "订单未支付",
	stateSuccess: "支付成功",
	stateRefund:  "订单发生过退款",
	stateClosed:  "订单已关闭",
}

// parties are the merchants and accounts of an object of APIv3, in the names
// of a direct merchant or in those of a service provider (v3.md 9).
type parties struct {
	AppID string `json:"appid,omitempty"`
	MchID string `json:"mchid,omitempty"`

	SPAppID  string `json:"sp_appid,omitempty"`
	SPMchID  string `json:"sp_mchid,omitempty"`
	SubAppID string `json:"sub_appid,omitempty"`
	SubMchID string `json:"sub_mchid,omitempty"`
}

// payerObject is the payer of an object of APIv3.
type payerObject struct {
	OpenID string `json:"openid,omitempty"`

	SPOpenID  string `json:"sp_openid,omitempty"`
	SubOpenID string `json:"sub_openid,omitempty"`
}

// moneyObject is the amount of an order in APIv3.
type moneyObject struct {
	Total         int64  `json:"total"`
	Currency      string `json:"currency"`
	PayerTotal    int64  `json:"payer_total,omitempty"`
	PayerCurrency string `json:"payer_currency,omitempty"`
}

// transactionObject is an order as queries and notifications of APIv3 show
// it (v3.md 11).
type transactionObject struct {
	parties
	OutTradeNo     string       `json:"out_trade_no"`
	TransactionID  string       `json:"transaction_id,omitempty"`
	TradeType      string       `json:"trade_type,omitempty"`
	TradeState     string       `json:"trade_state"`
	TradeStateDesc string       `json:"trade_state_desc,omitempty"`
	BankType       string       `json:"bank_type,omitempty"`
	Attach         string       `json:"attach,omitempty"`
	SuccessTime    string       `json:"success_time,omitempty"`
	Payer          *payerObject `json:"payer,omitempty"`
	Amount         moneyObject  `json:"amount"`
}

// parties names who is behind an order.
func (o *order) parties() parties {
	if o.SubMchID == "" {
		return parties{AppID: o.AppID, MchID: o.MchID}
	}
	return parties{SPAppID: o.AppID, SPMchID: o.MchID, SubAppID: o.SubAppID, SubMchID: o.SubMchID}
}

// transaction renders an order: without the fields of a payment as long as
// there is none.
func (o *order) transaction() *transactionObject {
	t := &transactionObject{
		parties:        o.parties(),
		OutTradeNo:     o.OutTradeNo,
		TradeState:     o.State,
		TradeStateDesc: stateDescriptions[o.State],
		Attach:         o.Attach,
		Amount:         moneyObject{Total: o.TotalFen, Currency: "CNY"},
	}
	if !o.Paid() {
		return t
	}
	t.TransactionID = o.TransactionID
	t.TradeType = o.TradeType
	t.BankType = "OTHERS"
	t.SuccessTime = timeV3(o.PaidAt)
	t.Payer = &payerObject{OpenID: o.PaidBy}
	if o.SubMchID != "" {
		t.Payer = &payerObject{SPOpenID: o.PaidBy, SubOpenID: o.PaidBySub}
	}
	t.Amount = moneyObject{Total: o.PaidFen, Currency: "CNY", PayerTotal: o.PaidFen, PayerCurrency: "CNY"}
	return t
}

// timeV3 writes a time as APIv3 does; none stays empty.
func timeV3(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(beijing.Zone).Format(time.RFC3339)
}
