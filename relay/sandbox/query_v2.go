package sandbox

import (
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// The rules of queries and of closing (v2.md 9 and 10).
var (
	orderQueryRules = []ruleV2{
		{name: "transaction_id", max: 32},
		{name: "out_trade_no", max: 32, check: outTradeNoIssue},
		{name: "version", max: 32, check: oneOf("1.0")},
	}
	closeOrderRules = []ruleV2{
		{name: "out_trade_no", max: 32, needed: true, check: outTradeNoIssue},
	}
)

// orderQuery plays POST /pay/orderquery.
func (s *Sandbox) orderQuery(c *callV2) (payv2.Message, error) {
	o, err := s.orderOfV2(c)
	if err != nil {
		return nil, orderRefusalV2(err)
	}
	return o.transactionV2(nil).Fields(), nil
}

// orderOfV2 finds the order that a call names; WeChat's number goes before
// the merchant's. An order of another sub merchant does not exist.
func (s *Sandbox) orderOfV2(c *callV2) (o order, err error) {
	switch id, number := c.fields["transaction_id"], c.fields["out_trade_no"]; {
	case id != "":
		o, err = s.ledger.byTransaction(c.merchant.MchID, id)
	case number != "":
		o, err = s.ledger.byNumber(orderKey{MchID: c.merchant.MchID, OutTradeNo: number})
	default:
		return order{}, unsignedV2("缺少参数transaction_id或out_trade_no")
	}
	if err == nil && o.SubMchID != c.fields["sub_mch_id"] {
		err = errNoOrder
	}
	return o, err
}

// transactionV2 renders an order; its amount is wrong when a fault is given.
func (o *order) transactionV2(wrong *fault) *payv2.Transaction {
	t := &payv2.Transaction{
		AppID: o.AppID, MchID: o.MchID, Partner: payv2.Partner{SubMchID: o.SubMchID, SubAppID: o.SubAppID},
		OutTradeNo: o.OutTradeNo, TradeState: payv2.TradeState(o.State), TradeStateDesc: stateDescriptions[o.State],
		Attach: o.Attach,
	}
	if !o.Paid() {
		return t
	}
	t.TransactionID = o.TransactionID
	t.TradeType = payv2.TradeType(o.TradeType)
	t.OpenID, t.SubOpenID = o.PaidBy, o.PaidBySub
	t.TotalFen = wrong.amount(o.PaidFen)
	t.CashFen = t.TotalFen
	t.FeeType, t.BankType = payv2.Currency, "OTHERS"
	t.TimeEnd = o.PaidAt
	return t
}

// closeOrderV2 plays POST /pay/closeorder. Unlike APIv3 it says when there
// was nothing left to close.
func (s *Sandbox) closeOrderV2(c *callV2) (payv2.Message, error) {
	o, err := s.orderOfV2(c)
	if err == nil && o.State == stateClosed {
		err = errClosed
	}
	if err == nil {
		err = s.ledger.close(o.orderKey)
	}
	if err != nil {
		return nil, orderRefusalV2(err)
	}
	return payv2.Message{"result_msg": "OK"}, nil
}

// orderRefusalV2 maps what the ledger says of an order to WeChat's errors.
func orderRefusalV2(err error) error {
	switch {
	case errors.Is(err, errNoOrder):
		return refuseV2("ORDERNOTEXIST", "此交易订单号不存在")
	case errors.Is(err, errPaid):
		return refuseV2("ORDERPAID", "订单已支付")
	case errors.Is(err, errClosed):
		return refuseV2("ORDERCLOSED", "订单已关闭")
	default:
		return err
	}
}
