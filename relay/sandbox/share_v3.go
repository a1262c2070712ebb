package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

// The rules of the bodies of profit sharing (v3.md 16).
var (
	shareRules = object(
		fieldRule{"sub_mchid", text(32)},
		fieldRule{"appid", text(32).needed()},
		fieldRule{"sub_appid", text(32)},
		fieldRule{"transaction_id", text(32).needed()},
		fieldRule{"out_order_no", text(64).needed().checked(ownNumberIssue)},
		fieldRule{"receivers", rule{kind: strictjson.ArrayKind, required: true, min: 1, max: maxReceivers, items: new(object(
			fieldRule{"type", text(32).needed().checked(oneOf(receiverMerchant, receiverOpenID, receiverSubOpenID))},
			fieldRule{"account", text(64).needed()},
			fieldRule{"name", text(1024)},
			fieldRule{"amount", integer(1).needed()},
			fieldRule{"description", text(80).needed()},
		))}},
		fieldRule{"unfreeze_unsplit", rule{kind: strictjson.BoolKind, required: true}},
	)
	unfreezeRules = object(
		fieldRule{"sub_mchid", text(32)},
		fieldRule{"transaction_id", text(32).needed()},
		fieldRule{"out_order_no", text(64).needed().checked(ownNumberIssue)},
		fieldRule{"description", text(80).needed()},
	)
	returnRules = object(
		fieldRule{"sub_mchid", text(32)},
		fieldRule{"order_id", text(64)},
		fieldRule{"out_order_no", text(64).checked(ownNumberIssue)},
		fieldRule{"out_return_no", text(64).needed().checked(ownNumberIssue)},
		fieldRule{"return_mchid", text(32).needed()},
		fieldRule{"amount", integer(1).needed()},
		fieldRule{"description", text(80).needed()},
	)
)

// shareRequest is the body of a share or of an unfreeze.
type shareRequest struct {
	SubMchID      string `json:"sub_mchid"`
	AppID         string `json:"appid"`
	SubAppID      string `json:"sub_appid"`
	TransactionID string `json:"transaction_id"`
	OutOrderNo    string `json:"out_order_no"`
	Receivers     []struct {
		Type        string `json:"type"`
		Account     string `json:"account"`
		Name        string `json:"name"`
		Amount      int64  `json:"amount"`
		Description string `json:"description"`
	} `json:"receivers"`
	Unfreeze    bool   `json:"unfreeze_unsplit"`
	Description string `json:"description"`
}

// shareObject is the answer to shares and their queries.
type shareObject struct {
	SubMchID      string            `json:"sub_mchid,omitempty"`
	TransactionID string            `json:"transaction_id"`
	OutOrderNo    string            `json:"out_order_no"`
	OrderID       string            `json:"order_id"`
	State         shareState        `json:"state"`
	Receivers     []sharePartObject `json:"receivers"`
}

// sharePartObject is one receiver in an answer.
type sharePartObject struct {
	Type        string      `json:"type"`
	Account     string      `json:"account"`
	Amount      int64       `json:"amount"`
	Description string      `json:"description"`
	Result      shareResult `json:"result"`
	FailReason  string      `json:"fail_reason,omitempty"`
	DetailID    string      `json:"detail_id"`
	CreateTime  string      `json:"create_time"`
	FinishTime  string      `json:"finish_time,omitempty"`
}

// object renders a share.
func (sh *share) object() shareObject {
	o := shareObject{
		SubMchID: sh.SubMchID, TransactionID: sh.TransactionID, OutOrderNo: sh.OutOrderNo, OrderID: sh.OrderID,
		State: sh.State, Receivers: []sharePartObject{},
	}
	for _, part := range sh.Parts {
		o.Receivers = append(o.Receivers, sharePartObject{
			Type: part.Kind, Account: part.Account, Amount: part.AmountFen, Description: part.Description,
			Result: part.Result, FailReason: part.FailReason, DetailID: part.DetailID,
			CreateTime: timeV3(part.CreatedAt), FinishTime: timeV3(part.FinishedAt),
		})
	}
	return o
}

// startShare plays POST /v3/profitsharing/orders.
func (s *Sandbox) startShare(c *apiCall) (apiReply, error) {
	request, err := s.readShare(c, &shareRules)
	if err != nil {
		return apiReply{}, err
	}
	if !c.merchant.boundFor(&order{AppID: request.AppID, SubMchID: request.SubMchID, SubAppID: request.SubAppID}) {
		return apiReply{}, refuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试", logAppIDNotBound)
	}
	asked := request.share(c.merchant.MchID)
	asked.Unfreeze = request.Unfreeze
	for i, r := range request.Receivers {
		if r.Name != "" {
			if err := c.checkSealed(fmt.Sprintf("/receivers/%d/name", i), r.Name); err != nil {
				return apiReply{}, err
			}
			request.Receivers[i].Name = "" // encrypted anew on every try
		}
		asked.Parts = append(asked.Parts, sharePart{
			Kind: r.Type, Account: r.Account, AmountFen: r.Amount, Description: r.Description,
		})
	}
	asked.Content = fmt.Sprintf("%+v", *request)
	return s.answerShare(c, asked)
}

// unfreezeShare plays POST /v3/profitsharing/orders/unfreeze: what is left of
// an order goes to the merchant that was paid.
func (s *Sandbox) unfreezeShare(c *apiCall) (apiReply, error) {
	request, err := s.readShare(c, &unfreezeRules)
	if err != nil {
		return apiReply{}, err
	}
	asked := request.share(c.merchant.MchID)
	asked.Unfreeze, asked.UnfreezeOnly = true, true
	asked.Content = fmt.Sprintf("unfreeze %+v", *request)
	owner := c.merchant.MchID
	if request.SubMchID != "" {
		owner = request.SubMchID
	}
	asked.Parts = []sharePart{{Kind: receiverMerchant, Account: owner, Description: request.Description}}
	return s.answerShare(c, asked)
}

// readShare reads the body of a share or an unfreeze.
func (s *Sandbox) readShare(c *apiCall, rules *rule) (*shareRequest, error) {
	if _, err := s.decodeBody(c, rules); err != nil {
		return nil, err
	}
	request := &shareRequest{}
	if err := json.Unmarshal(c.body, request); err != nil {
		return nil, fmt.Errorf("decoding a checked body: %w", err)
	}
	return request, c.checkSubMchID(request.SubMchID)
}

// share is what a request names.
func (r *shareRequest) share(mchID string) share {
	return share{
		shareKey: shareKey{MchID: mchID, OutOrderNo: r.OutOrderNo},
		SubMchID: r.SubMchID, TransactionID: r.TransactionID,
	}
}

// answerShare starts a share and answers with it.
func (s *Sandbox) answerShare(c *apiCall, asked share) (apiReply, error) {
	made, err := s.share(c.merchant, asked)
	if err != nil {
		return apiReply{}, shareRefusal(err)
	}
	return jsonReply(made.object())
}

// queryShare plays GET /v3/profitsharing/orders/{out_order_no}.
func (s *Sandbox) queryShare(c *apiCall, outOrderNo string) (apiReply, error) {
	values, err := c.query([]string{"transaction_id"}, []string{"sub_mchid"})
	if err == nil {
		err = c.checkSubMchID(values["sub_mchid"])
	}
	if err != nil {
		return apiReply{}, err
	}
	sh, err := s.ledger.findShare(shareKey{MchID: c.merchant.MchID, OutOrderNo: outOrderNo})
	if err == nil && (sh.TransactionID != values["transaction_id"] || sh.SubMchID != values["sub_mchid"]) {
		err = errNoShare
	}
	if err != nil {
		return apiReply{}, shareRefusal(err)
	}
	return jsonReply(sh.object())
}

// queryUnsplit plays GET /v3/profitsharing/transactions/{id}/amounts.
func (s *Sandbox) queryUnsplit(c *apiCall, transactionID string) (apiReply, error) {
	if _, err := c.query(nil, nil); err != nil {
		return apiReply{}, err
	}
	left, err := s.ledger.unsplit(c.merchant.MchID, transactionID)
	if err != nil {
		return apiReply{}, shareRefusal(err)
	}
	return jsonReply(struct {
		TransactionID string `json:"transaction_id"`
		UnsplitAmount int64  `json:"unsplit_amount"`
	}{transactionID, left})
}

// queryRatio plays GET /v3/profitsharing/merchant-configs/{sub_mchid}.
func (s *Sandbox) queryRatio(c *apiCall, subMchID string) (apiReply, error) {
	if _, err := c.query(nil, nil); err != nil {
		return apiReply{}, err
	}
	if err := c.checkSubMchID(subMchID); err != nil {
		return apiReply{}, err
	}
	return jsonReply(struct {
		SubMchID string `json:"sub_mchid"`
		MaxRatio int64  `json:"max_ratio"`
	}{subMchID, c.merchant.shareRatio()})
}

// returnRequest is the body of a return.
type returnRequest struct {
	SubMchID    string `json:"sub_mchid"`
	OrderID     string `json:"order_id"`
	OutOrderNo  string `json:"out_order_no"`
	OutReturnNo string `json:"out_return_no"`
	ReturnMchID string `json:"return_mchid"`
	Amount      int64  `json:"amount"`
	Description string `json:"description"`
}

// returnObject is the answer to returns and their queries.
type returnObject struct {
	SubMchID    string       `json:"sub_mchid,omitempty"`
	OrderID     string       `json:"order_id"`
	OutOrderNo  string       `json:"out_order_no"`
	OutReturnNo string       `json:"out_return_no"`
	ReturnID    string       `json:"return_id"`
	ReturnMchID string       `json:"return_mchid"`
	Amount      int64        `json:"amount"`
	Description string       `json:"description"`
	Result      returnResult `json:"result"`
	FailReason  string       `json:"fail_reason,omitempty"`
	CreateTime  string       `json:"create_time"`
	FinishTime  string       `json:"finish_time,omitempty"`
}

// object renders a return.
func (r *shareReturn) object() returnObject {
	return returnObject{
		SubMchID: r.SubMchID, OrderID: r.OrderID, OutOrderNo: r.OutOrderNo, OutReturnNo: r.OutReturnNo, ReturnID: r.ReturnID,
		ReturnMchID: r.ReturnMchID, Amount: r.AmountFen, Description: r.Description, Result: r.Result,
		FailReason: r.FailReason, CreateTime: timeV3(r.CreatedAt), FinishTime: timeV3(r.FinishedAt),
	}
}

// startReturn plays POST /v3/profitsharing/return-orders.
func (s *Sandbox) startReturn(c *apiCall) (apiReply, error) {
	if _, err := s.decodeBody(c, &returnRules); err != nil {
		return apiReply{}, err
	}
	var request returnRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		return apiReply{}, fmt.Errorf("decoding a checked body: %w", err)
	}
	if err := c.checkSubMchID(request.SubMchID); err != nil {
		return apiReply{}, err
	}
	if (request.OrderID == "") == (request.OutOrderNo == "") {
		return apiReply{}, &parameterError{field: "/order_id", issue: "exactly one of order_id and out_order_no must be given", location: "body"}
	}
	outOrderNo := request.OutOrderNo
	if request.OrderID != "" {
		var err error
		if outOrderNo, err = s.ledger.shareByID(c.merchant.MchID, request.OrderID); err != nil {
			return apiReply{}, shareRefusal(err)
		}
	}
	made, err := s.returnShare(shareReturn{
		returnKey: returnKey{MchID: c.merchant.MchID, OutReturnNo: request.OutReturnNo},
		SubMchID:  request.SubMchID, OutOrderNo: outOrderNo, ReturnMchID: request.ReturnMchID,
		AmountFen: request.Amount, Description: request.Description,
	})
	if err != nil {
		return apiReply{}, shareRefusal(err)
	}
	return jsonReply(made.object())
}

// queryReturn plays GET /v3/profitsharing/return-orders/{out_return_no}.
func (s *Sandbox) queryReturn(c *apiCall, outReturnNo string) (apiReply, error) {
	values, err := c.query([]string{"out_order_no"}, []string{"sub_mchid"})
	if err == nil {
		err = c.checkSubMchID(values["sub_mchid"])
	}
	if err != nil {
		return apiReply{}, err
	}
	r, err := s.ledger.findReturn(returnKey{MchID: c.merchant.MchID, OutReturnNo: outReturnNo})
	if err == nil && (r.OutOrderNo != values["out_order_no"] || r.SubMchID != values["sub_mchid"]) {
		err = errNoReturn
	}
	if err != nil {
		return apiReply{}, shareRefusal(err)
	}
	return jsonReply(r.object())
}

// shareRefusal maps what the ledger says of profit sharing to WeChat's
// errors.
func shareRefusal(err error) error {
	for _, known := range []struct {
		err     error
		status  int
		code    string
		message string
	}{
		{errNoOrder, http.StatusNotFound, "RESOURCE_NOT_EXISTS", "订单不存在"},
		{errNoShare, http.StatusNotFound, "RESOURCE_NOT_EXISTS", "分账单不存在"},
		{errNoReturn, http.StatusNotFound, "RESOURCE_NOT_EXISTS", "回退单不存在"},
		{errNoReceiver, http.StatusBadRequest, "INVALID_REQUEST", "分账接收方未添加"},
		{errNotShared, http.StatusBadRequest, "INVALID_REQUEST", "非分账订单不支持分账"},
		{errShareTooSoon, http.StatusBadRequest, "INVALID_REQUEST", "订单处理中，暂时无法分账，请稍后再试"},
		{errShareOver, http.StatusBadRequest, "INVALID_REQUEST", "订单已完成分账，剩余资金已解冻"},
		{errShareTooMany, http.StatusBadRequest, "INVALID_REQUEST", "订单分账次数超过限制"},
		{errOtherContent, http.StatusBadRequest, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致"},
		{errReturnFrom, http.StatusBadRequest, "INVALID_REQUEST", "回退方未在该分账单中收到分账资金"},
		{errReturnExceeds, http.StatusBadRequest, "INVALID_REQUEST", "回退金额大于分账金额"},
		{errReturnEarly, http.StatusBadRequest, "INVALID_REQUEST", "分账单处理中，暂不能回退"},
		{errReturnOverdue, http.StatusBadRequest, "INVALID_REQUEST", "分账单已超过可回退的期限"},
		{errShareExceeds, http.StatusForbidden, "NOT_ENOUGH", "分账金额不足"},
		{errShareRatio, http.StatusForbidden, "RULE_LIMIT", "分账金额超过最大分账比例"},
	} {
		if errors.Is(err, known.err) {
			return refuse(known.status, known.code, known.message, logNoError)
		}
	}
	return err
}
