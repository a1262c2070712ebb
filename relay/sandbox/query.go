package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// stateDescriptions are what WeChat writes beside a trade state.
var stateDescriptions = map[string]string{
	stateNotPay:  "订单未支付",
	stateSuccess: "支付成功",
	stateClosed:  "订单已关闭",
}

// closeRules are those of the body of a close call (v3.md 11).
var closeRules = object(fieldRule{"mchid", text(32).needed()})

// transaction renders an order as queries and notifications show it: without
// the fields of a payment as long as there is none.
func (o *order) transaction() *payv3.Transaction {
	t := &payv3.Transaction{
		AppID:          o.AppID,
		MchID:          o.MchID,
		OutTradeNo:     o.OutTradeNo,
		TradeState:     o.State,
		TradeStateDesc: stateDescriptions[o.State],
		Attach:         o.Attach,
		Amount:         &payv3.Amount{Total: o.TotalFen, Currency: "CNY"},
	}
	if o.State != stateSuccess {
		return t
	}
	t.TransactionID = o.TransactionID
	t.TradeType = o.TradeType
	t.BankType = "OTHERS"
	t.SuccessTime = o.PaidAt.In(beijing.Zone).Format(time.RFC3339)
	t.Payer = &payv3.Payer{OpenID: o.PaidBy}
	t.Amount = &payv3.Amount{Total: o.PaidFen, Currency: "CNY", PayerTotal: o.PaidFen, PayerCurrency: "CNY"}
	return t
}

// queryByNumber plays GET /v3/pay/transactions/out-trade-no/{out_trade_no}.
func (s *Sandbox) queryByNumber(c *apiCall, outTradeNo string) (apiReply, error) {
	if err := c.checkQuery(); err != nil {
		return apiReply{}, err
	}
	if issue := outTradeNoIssue(outTradeNo); issue != "" {
		return apiReply{}, &parameterError{field: "out_trade_no", value: outTradeNo, issue: issue, location: "url"}
	}
	o, err := s.ledger.byNumber(orderKey{MchID: c.merchant.MchID, OutTradeNo: outTradeNo})
	if err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return jsonReply(o.transaction())
}

// queryByID plays GET /v3/pay/transactions/id/{transaction_id}.
func (s *Sandbox) queryByID(c *apiCall, transactionID string) (apiReply, error) {
	if err := c.checkQuery(); err != nil {
		return apiReply{}, err
	}
	if len(transactionID) > 32 {
		return apiReply{}, &parameterError{field: "transaction_id", issue: "the length must be 1 to 32 bytes", location: "url"}
	}
	o, err := s.ledger.byTransaction(c.merchant.MchID, transactionID)
	if err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return jsonReply(o.transaction())
}

// closeOrder plays POST /v3/pay/transactions/out-trade-no/{n}/close.
func (s *Sandbox) closeOrder(c *apiCall, outTradeNo string) (apiReply, error) {
	tree, err := s.decodeBody(c, &closeRules)
	if err != nil {
		return apiReply{}, err
	}
	if mchID := tree.Member("mchid").Text; mchID != c.merchant.MchID {
		return apiReply{}, &parameterError{
			field: "/mchid", value: mchID, issue: "the merchant is not the one that signed", location: "body",
		}
	}
	if issue := outTradeNoIssue(outTradeNo); issue != "" {
		return apiReply{}, &parameterError{field: "out_trade_no", value: outTradeNo, issue: issue, location: "url"}
	}
	if err := s.ledger.close(orderKey{MchID: c.merchant.MchID, OutTradeNo: outTradeNo}); err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return apiReply{status: http.StatusNoContent}, nil
}

// checkQuery checks the query of a GET call: mchid, once, and nothing else.
func (c *apiCall) checkQuery() error {
	_, raw, _ := strings.Cut(c.target, "?")
	values, err := url.ParseQuery(raw)
	if err != nil {
		return &parameterError{field: "mchid", issue: "the query is malformed", location: "query"}
	}
	for name := range values {
		if name != "mchid" {
			return &parameterError{field: name, issue: issueExtra, location: "query"}
		}
	}
	switch ids := values["mchid"]; {
	case len(ids) == 0:
		return &parameterError{field: "mchid", issue: "the parameter is missing", location: "query"}
	case len(ids) > 1:
		return &parameterError{field: "mchid", issue: "the name occurs twice", location: "query"}
	case ids[0] != c.merchant.MchID:
		return &parameterError{
			field: "mchid", value: ids[0], issue: "the merchant is not the one that signed", location: "query",
		}
	}
	return nil
}

// checkAlgorithmType checks the query of the certificate call.
func (c *apiCall) checkAlgorithmType() error {
	_, raw, _ := strings.Cut(c.target, "?")
	values, err := url.ParseQuery(raw)
	if err != nil {
		return &parameterError{field: "algorithm_type", issue: "the query is malformed", location: "query"}
	}
	for name, list := range values {
		if name != "algorithm_type" || len(list) > 1 {
			return &parameterError{field: name, issue: issueExtra, location: "query"}
		}
		if list[0] != "RSA" && list[0] != "ALL" {
			return &parameterError{
				field: name, value: list[0], issue: "the sandbox has RSA certificates only: RSA or ALL", location: "query",
			}
		}
	}
	return nil
}

// orderRefusal maps what the ledger says of an order to WeChat's errors.
func orderRefusal(err error) error {
	switch {
	case errors.Is(err, errNoOrder):
		return refuse(http.StatusNotFound, "ORDER_NOT_EXIST", "订单不存在", logOrderNotFound)
	case errors.Is(err, errPaid):
		return refuse(http.StatusBadRequest, "ORDER_PAID", "该订单已支付", logOrderPaid)
	default:
		return err
	}
}
