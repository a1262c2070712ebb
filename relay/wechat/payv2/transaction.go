package payv2

import (
	"errors"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// TradeState is the state of an order, spelled as WeChat spells it.
type TradeState string

// The states (section 9). In the first two money arrived.
const (
	StateSuccess    TradeState = "SUCCESS"
	StateRefund     TradeState = "REFUND"
	StateNotPay     TradeState = "NOTPAY"
	StateClosed     TradeState = "CLOSED"
	StateRevoked    TradeState = "REVOKED"
	StateUserPaying TradeState = "USERPAYING"
	StatePayError   TradeState = "PAYERROR"
	StateAccept     TradeState = "ACCEPT"
)

// Transaction is WeChat's statement about one order: the answer to a query
// and the content of a payment notification. The payment's fields are absent
// while it is unpaid.
type Transaction struct {
	AppID string
	MchID string
	Partner
	OutTradeNo     string
	TransactionID  string
	TradeType      TradeType
	TradeState     TradeState // SUCCESS in a notification
	TradeStateDesc string
	OpenID         string // the payer's, under AppID
	SubOpenID      string // and under the sub merchant's own account
	TotalFen       int64  // what the order costs
	CashFen        int64  // what the payer paid in money
	FeeType        string // CNY, also when absent
	BankType       string
	Attach         string
	TimeEnd        time.Time // when it was paid
}

// decodeTransaction reads the fields that queries and notifications share and
// makes sure that a paid order has what makes it one.
func decodeTransaction(m Message, state TradeState) (*Transaction, error) {
	d := decoder{m: m}
	d.require("out_trade_no")
	t := &Transaction{
		AppID:          m[fieldAppID],
		MchID:          m[fieldMchID],
		Partner:        Partner{SubMchID: m[fieldSubMchID], SubAppID: m[fieldSubAppID]},
		OutTradeNo:     m["out_trade_no"],
		TransactionID:  m["transaction_id"],
		TradeType:      TradeType(m["trade_type"]),
		TradeState:     state,
		TradeStateDesc: m["trade_state_desc"],
		OpenID:         m["openid"],
		SubOpenID:      m["sub_openid"],
		TotalFen:       d.fen("total_fee"),
		CashFen:        d.fen("cash_fee"),
		FeeType:        m["fee_type"],
		BankType:       m["bank_type"],
		Attach:         m[fieldAttach],
		TimeEnd:        d.time("time_end", beijing.Compact),
	}
	if t.TradeState == StateSuccess || t.TradeState == StateRefund {
		d.require("transaction_id", "total_fee", "time_end")
		if t.TotalFen == 0 {
			d.fail("total_fee", errors.New("of a paid order is 0"))
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	return t, nil
}

// Fields returns the statement as the fields of an answer, without the
// common ones. It is the platform's end of decodeTransaction.
func (t *Transaction) Fields() Message {
	m := Message{fieldAppID: t.AppID, fieldMchID: t.MchID, "out_trade_no": t.OutTradeNo}
	t.addTo(m)
	m.set("trade_state", string(t.TradeState))
	m.set("trade_state_desc", t.TradeStateDesc)
	m.set(fieldAttach, t.Attach)
	if t.TransactionID == "" {
		return m
	}
	m.set("transaction_id", t.TransactionID)
	m.set("trade_type", string(t.TradeType))
	m.set("openid", t.OpenID)
	m.set("is_subscribe", "N") // nowadays always (section 8)
	if t.SubOpenID != "" {
		m.set("sub_openid", t.SubOpenID)
		m.set("sub_is_subscribe", "N")
	}
	m.set("total_fee", strconv.FormatInt(t.TotalFen, 10))
	m.set("cash_fee", strconv.FormatInt(t.CashFen, 10))
	m.set("fee_type", t.FeeType)
	m.set("bank_type", t.BankType)
	m.setTime("time_end", beijing.Compact, t.TimeEnd)
	return m
}
