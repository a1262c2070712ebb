package sandbox

import (
	"errors"
	"strconv"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// refundPage is how many refunds one answer lists (v2.md 11).
const refundPage = 20

// Where the money of a refund comes from (v2.md 11).
const (
	fundsUnsettled = "REFUND_SOURCE_UNSETTLED_FUNDS"
	fundsRecharge  = "REFUND_SOURCE_RECHARGE_FUNDS"
)

// The rules of refunds and of queries for them (v2.md 11).
var (
	refundRulesV2 = []ruleV2{
		{name: "transaction_id", max: 32},
		{name: "out_trade_no", max: 32, check: outTradeNoIssue},
		{name: "out_refund_no", max: 64, needed: true, check: ownNumberIssue},
		{name: "total_fee", max: 10, needed: true, check: amountIssueV2},
		{name: "refund_fee", max: 10, needed: true, check: amountIssueV2},
		{name: "refund_fee_type", max: 16, check: currencyIssue},
		{name: "refund_desc", max: 80},
		{name: "refund_account", max: 30, check: oneOf(fundsUnsettled, fundsRecharge)},
		{name: "notify_url", max: 256},
	}
	refundQueryRules = []ruleV2{
		{name: "refund_id", max: 32},
		{name: "out_refund_no", max: 64, check: ownNumberIssue},
		{name: "transaction_id", max: 32},
		{name: "out_trade_no", max: 32, check: outTradeNoIssue},
		{name: "offset", max: 10, check: offsetIssueV2},
	}
)

// startRefundV2 plays POST /secapi/pay/refund.
func (s *Sandbox) startRefundV2(c *callV2) (payv2.Message, error) {
	f := c.fields
	asked := refund{
		refundKey:     refundKey{MchID: c.merchant.MchID, OutRefundNo: f["out_refund_no"]},
		API:           apiV2,
		SubMchID:      f["sub_mch_id"],
		OutTradeNo:    f["out_trade_no"],
		TransactionID: f["transaction_id"],
		TotalFen:      fenOf(f["total_fee"]),
		RefundFen:     fenOf(f["refund_fee"]),
		Reason:        f["refund_desc"],
		FundsAccount:  map[string]string{fundsUnsettled: "UNSETTLED", fundsRecharge: "AVAILABLE"}[f["refund_account"]],
		NotifyURL:     f["notify_url"],
	}
	if asked.OutTradeNo == "" && asked.TransactionID == "" {
		return nil, unsignedV2("缺少参数transaction_id或out_trade_no")
	}
	if asked.NotifyURL != "" {
		if issue := notifyURLIssue(asked.NotifyURL, s.allowPublic); issue != "" {
			return nil, parameterV2("notify_url", issue)
		}
	}
	made, err := s.refund(asked)
	if err != nil {
		return nil, refundRefusalV2(err)
	}
	return payv2.Message{
		"transaction_id": made.TransactionID,
		"out_trade_no":   made.OutTradeNo,
		"out_refund_no":  made.OutRefundNo,
		"refund_id":      made.RefundID,
		"refund_fee":     strconv.FormatInt(made.RefundFen, 10),
		"total_fee":      strconv.FormatInt(made.TotalFen, 10),
		"cash_fee":       strconv.FormatInt(made.TotalFen, 10),
		"fee_type":       payv2.Currency,
	}, nil
}

// refundRefusalV2 maps what the ledger says of a refund to WeChat's errors.
func refundRefusalV2(err error) error {
	switch {
	case errors.Is(err, errNoOrder):
		return refuseV2("ORDERNOTEXIST", "订单不存在")
	case errors.Is(err, errNoRefund):
		return refuseV2("REFUNDNOTEXIST", "退款订单查询失败")
	case errors.Is(err, errNotPaid):
		return refuseV2("TRADE_STATE_ERROR", "订单状态错误 (the order is not paid)")
	case errors.Is(err, errRefundAmount), errors.Is(err, errRefundTotal):
		return refuseV2("REFUND_FEE_MISMATCH", "订单金额或退款金额与之前请求不一致，请核实后再试")
	case errors.Is(err, errOtherContent):
		return refuseV2("INVALID_REQUEST", "请求重入时，参数与首次请求时不一致")
	case errors.Is(err, errRefundExceeds):
		return refuseV2("ERROR", "累计退款金额大于支付金额")
	case errors.Is(err, errRefundTooMany):
		return refuseV2("ERROR", "订单部分退款次数超过限制")
	case errors.Is(err, errRefundOverdue):
		return refuseV2("TRADE_OVERDUE", "订单已经超过退款期限")
	case errors.Is(err, errRefundTooSoon):
		return refuseV2("INVALID_REQ_TOO_MUCH", "无效请求过多，请1分钟后再试")
	case errors.Is(err, errNotEnough):
		return refuseV2("NOTENOUGH", "基本账户余额不足，请充值后重新发起")
	default:
		return err
	}
}

// refundQueryV2 plays POST /pay/refundquery.
func (s *Sandbox) refundQueryV2(c *callV2) (payv2.Message, error) {
	o, keys, err := s.refundsOfV2(c)
	if err != nil {
		return nil, refundRefusalV2(err)
	}
	offset := min(int(fenOf(c.fields["offset"])), len(keys))
	page := keys[offset:min(offset+refundPage, len(keys))]
	list := payv2.Refunds{TransactionID: o.TransactionID, OutTradeNo: o.OutTradeNo, TotalFen: o.PaidFen}
	for _, key := range page {
		r, err := s.lookUpRefund(key)
		if err != nil {
			return nil, refundRefusalV2(err)
		}
		list.List = append(list.List, r.statementV2())
	}
	fields := list.Fields()
	if c.fields["offset"] != "" {
		fields["total_refund_count"] = strconv.Itoa(len(keys))
	}
	return fields, nil
}

// refundsOfV2 finds what a query is for: one refund, or all of an order. The
// order of precedence is WeChat's.
func (s *Sandbox) refundsOfV2(c *callV2) (order, []refundKey, error) {
	f := c.fields
	if f["refund_id"] == "" && f["out_refund_no"] == "" {
		o, err := s.orderOfV2(c)
		if errors.Is(err, errNoOrder) || err == nil && len(o.Refunds) == 0 {
			err = errNoRefund
		}
		var keys []refundKey
		for _, number := range o.Refunds {
			keys = append(keys, refundKey{MchID: o.MchID, OutRefundNo: number})
		}
		return o, keys, err
	}
	key := refundKey{MchID: c.merchant.MchID, OutRefundNo: f["out_refund_no"]}
	if f["refund_id"] != "" {
		var err error
		if key, err = s.ledger.refundByID(c.merchant.MchID, f["refund_id"]); err != nil {
			return order{}, nil, err
		}
	}
	o, err := s.ledger.orderOfRefund(key)
	if err == nil && o.SubMchID != f["sub_mch_id"] {
		err = errNoRefund
	}
	return o, []refundKey{key}, err
}

// refundStatusesV2 are the names that APIv2 gives to the states of a refund.
var refundStatusesV2 = map[refundStatus]payv2.RefundStatus{
	refundProcessing: payv2.RefundProcessing,
	refundSuccess:    payv2.RefundSuccess,
	refundClosed:     payv2.RefundClosed,
	refundAbnormal:   payv2.RefundChange,
}

// statementV2 renders a refund for a query.
func (r *refund) statementV2() payv2.Refund {
	return payv2.Refund{
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, RefundFen: r.RefundFen, Status: refundStatusesV2[r.Status],
		Channel: "ORIGINAL", Account: r.fundsV2(), Receiver: receivedAccount, SuccessTime: r.succeededAt(),
	}
}

// fundsV2 names where the money comes from.
func (r *refund) fundsV2() string {
	if r.FundsAccount == "AVAILABLE" {
		return fundsRecharge
	}
	return fundsUnsettled
}
