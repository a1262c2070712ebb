package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The rules of the bodies of close calls (v3.md 11).
var (
	closeRules = object(fieldRule{"mchid", text(32).needed()})

	partnerCloseRules = object(fieldRule{"sp_mchid", text(32).needed()}, fieldRule{"sub_mchid", text(32).needed()})
)

// queryByNumber plays GET …/transactions/out-trade-no/{out_trade_no}.
func (s *Sandbox) queryByNumber(c *apiCall, m mode, outTradeNo string) (apiReply, error) {
	subMchID, err := c.checkQuery(m)
	if err != nil {
		return apiReply{}, err
	}
	if issue := outTradeNoIssue(outTradeNo); issue != "" {
		return apiReply{}, &parameterError{field: "out_trade_no", value: outTradeNo, issue: issue, location: "url"}
	}
	o, err := s.ledger.byNumber(orderKey{MchID: c.merchant.MchID, OutTradeNo: outTradeNo})
	if err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return answerQuery(&o, subMchID)
}

// queryByID plays GET …/transactions/id/{transaction_id}.
func (s *Sandbox) queryByID(c *apiCall, m mode, transactionID string) (apiReply, error) {
	subMchID, err := c.checkQuery(m)
	if err != nil {
		return apiReply{}, err
	}
	if len(transactionID) > 32 {
		return apiReply{}, &parameterError{field: "transaction_id", issue: "the length must be 1 to 32 bytes", location: "url"}
	}
	o, err := s.ledger.byTransaction(c.merchant.MchID, transactionID)
	if err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return answerQuery(&o, subMchID)
}

// answerQuery answers with an order of this sub merchant, or of the merchant
// itself.
func answerQuery(o *order, subMchID string) (apiReply, error) {
	if o.SubMchID != subMchID {
		return apiReply{}, errOfOtherSub()
	}
	return jsonReply(o.transaction())
}

// errOfOtherSub refuses an order that belongs to another sub merchant.
func errOfOtherSub() error {
	return refuse(http.StatusNotFound, "ORDER_NOT_EXIST", "订单不存在", logOtherSub)
}

// closeOrder plays POST …/transactions/out-trade-no/{n}/close.
func (s *Sandbox) closeOrder(c *apiCall, m mode, outTradeNo string) (apiReply, error) {
	rules, own := &closeRules, "mchid"
	if m == provider {
		rules, own = &partnerCloseRules, "sp_mchid"
	}
	tree, err := s.decodeBody(c, rules)
	if err != nil {
		return apiReply{}, err
	}
	if mchID := tree.Member(own).Text; mchID != c.merchant.MchID {
		return apiReply{}, notTheSigner("/"+own, mchID, "body")
	}
	subMchID := ""
	if m == provider {
		subMchID = tree.Member("sub_mchid").Text
	}
	if err := c.checkSubMchID(subMchID); err != nil {
		return apiReply{}, err
	}
	if issue := outTradeNoIssue(outTradeNo); issue != "" {
		return apiReply{}, &parameterError{field: "out_trade_no", value: outTradeNo, issue: issue, location: "url"}
	}
	key := orderKey{MchID: c.merchant.MchID, OutTradeNo: outTradeNo}
	o, err := s.ledger.byNumber(key)
	if err == nil && o.SubMchID != subMchID {
		return apiReply{}, errOfOtherSub()
	}
	if err == nil {
		err = s.ledger.close(key)
	}
	if err != nil {
		return apiReply{}, orderRefusal(err)
	}
	return apiReply{status: http.StatusNoContent}, nil
}

// notTheSigner refuses a merchant number that is not the caller's.
func notTheSigner(field, value, location string) error {
	return &parameterError{
		field: field, value: value, issue: "the merchant is not the one that signed", location: location,
	}
}

// checkQuery checks the query of a GET call about an order, and returns the
// sub merchant that it names.
func (c *apiCall) checkQuery(m mode) (subMchID string, err error) {
	own, required := "mchid", []string{"mchid"}
	if m == provider {
		own, required = "sp_mchid", []string{"sp_mchid", "sub_mchid"}
	}
	values, err := c.query(required, nil)
	if err != nil {
		return "", err
	}
	if values[own] != c.merchant.MchID {
		return "", notTheSigner(own, values[own], "query")
	}
	return values["sub_mchid"], c.checkSubMchID(values["sub_mchid"])
}

// subQuery checks the query of a GET call that names nothing but, at most, a
// sub merchant.
func (c *apiCall) subQuery() (subMchID string, err error) {
	values, err := c.query(nil, []string{"sub_mchid"})
	if err != nil {
		return "", err
	}
	return values["sub_mchid"], c.checkSubMchID(values["sub_mchid"])
}

// query decodes the query of a call: the required names and, at will, the
// optional ones, each once.
func (c *apiCall) query(required, optional []string) (map[string]string, error) {
	fault := func(name, issue string) error {
		return &parameterError{field: name, issue: issue, location: "query"}
	}
	_, raw, _ := strings.Cut(c.target, "?")
	parsed, err := url.ParseQuery(raw)
	if err != nil {
		return nil, fault(strings.Join(required, ","), "the query is malformed")
	}
	values := map[string]string{}
	for name, list := range parsed {
		switch {
		case !slices.Contains(required, name) && !slices.Contains(optional, name):
			return nil, fault(name, issueExtra)
		case len(list) > 1:
			return nil, fault(name, "the name occurs twice")
		case list[0] == "":
			return nil, fault(name, "the value is empty")
		}
		values[name] = list[0]
	}
	for _, name := range required {
		if values[name] == "" {
			return nil, fault(name, "the parameter is missing")
		}
	}
	return values, nil
}

// checkAlgorithmType checks the query of the certificate call.
func (c *apiCall) checkAlgorithmType() error {
	values, err := c.query(nil, []string{"algorithm_type"})
	if err != nil {
		return err
	}
	switch asked := values["algorithm_type"]; asked {
	case "", "RSA", "ALL":
		return nil
	default:
		return &parameterError{
			field: "algorithm_type", value: asked, issue: "the sandbox has RSA certificates only: RSA or ALL", location: "query",
		}
	}
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
