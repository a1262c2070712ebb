package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

// ownNumberForm is that of the numbers that merchants give to refunds, shares
// and returns.
var ownNumberForm = regexp.MustCompile(`^[0-9A-Za-z_\-|*@]{1,64}$`)

// refundRules are those of the body of a refund call (v3.md 12).
var refundRules = object(
	fieldRule{"sub_mchid", text(32)},
	fieldRule{"transaction_id", text(32)},
	fieldRule{"out_trade_no", text(32).checked(outTradeNoIssue)},
	fieldRule{"out_refund_no", text(64).needed().checked(ownNumberIssue)},
	fieldRule{"reason", text(80)},
	fieldRule{"notify_url", text(256)},
	fieldRule{"funds_account", text(32).checked(oneOf("AVAILABLE", "UNSETTLED"))},
	fieldRule{"amount", object(
		fieldRule{"refund", integer(1).needed()},
		fieldRule{"total", integer(1).needed()},
		fieldRule{"currency", text(16).needed().checked(currencyIssue)},
		fieldRule{"from", rule{kind: strictjson.ArrayKind, min: 1, max: 2, items: new(object(
			fieldRule{"account", text(32).needed().checked(oneOf("AVAILABLE", "UNAVAILABLE"))},
			fieldRule{"amount", integer(1).needed()},
		))}},
	).needed()},
	fieldRule{"goods_detail", rule{kind: strictjson.ArrayKind, min: 1, max: 6000, items: new(object(
		fieldRule{"merchant_goods_id", text(32).needed()},
		fieldRule{"wechatpay_goods_id", text(32)},
		fieldRule{"goods_name", text(256)},
		fieldRule{"unit_price", integer(0).needed()},
		fieldRule{"refund_amount", integer(1).needed()},
		fieldRule{"refund_quantity", integer(1).needed()},
	))}},
)

// mendRules are those of the call that takes up an abnormal refund. Which
// members go together is mendIssue's to say.
var mendRules = object(
	fieldRule{"sub_mchid", text(32)},
	fieldRule{"out_refund_no", text(64).needed().checked(ownNumberIssue)},
	fieldRule{"type", text(32).needed().checked(oneOf(mendBuyer, mendMerchant))},
	fieldRule{"bank_type", text(16)},
	fieldRule{"bank_account", text(1024)},
	fieldRule{"real_name", text(1024)},
)

// Where the money of an abnormal refund goes.
const (
	mendBuyer    = "USER_BANK_CARD"
	mendMerchant = "MERCHANT_BANK_CARD"
)

func ownNumberIssue(s string) string {
	if !ownNumberForm.MatchString(s) {
		return "the number must be 1 to 64 of 0-9 A-Z a-z _ - | * @"
	}
	return ""
}

// refundRequest is the body of a refund call.
type refundRequest struct {
	SubMchID      string `json:"sub_mchid"`
	TransactionID string `json:"transaction_id"`
	OutTradeNo    string `json:"out_trade_no"`
	OutRefundNo   string `json:"out_refund_no"`
	Reason        string `json:"reason"`
	NotifyURL     string `json:"notify_url"`
	FundsAccount  string `json:"funds_account"`
	Amount        struct {
		Refund int64 `json:"refund"`
		Total  int64 `json:"total"`
		From   []struct {
			Amount int64 `json:"amount"`
		} `json:"from"`
	} `json:"amount"`
}

// refundObject is the answer to refund calls and queries.
type refundObject struct {
	RefundID            string       `json:"refund_id"`
	OutRefundNo         string       `json:"out_refund_no"`
	TransactionID       string       `json:"transaction_id"`
	OutTradeNo          string       `json:"out_trade_no"`
	Channel             string       `json:"channel"`
	UserReceivedAccount string       `json:"user_received_account"`
	SuccessTime         string       `json:"success_time,omitempty"`
	CreateTime          string       `json:"create_time"`
	Status              refundStatus `json:"status"`
	FundsAccount        string       `json:"funds_account"`
	Amount              refundMoney  `json:"amount"`
}

// refundMoney is the amount of a refund as the API answers it.
type refundMoney struct {
	Total            int64  `json:"total"`
	Refund           int64  `json:"refund"`
	PayerTotal       int64  `json:"payer_total"`
	PayerRefund      int64  `json:"payer_refund"`
	SettlementRefund int64  `json:"settlement_refund"`
	SettlementTotal  int64  `json:"settlement_total"`
	DiscountRefund   int64  `json:"discount_refund"`
	Currency         string `json:"currency"`
}

// receivedAccount is where the sandbox's buyers keep their money.
const receivedAccount = "支付用户零钱"

// object renders a refund.
func (r *refund) object() refundObject {
	funds := r.FundsAccount
	if funds == "" {
		funds = "UNSETTLED"
	}
	return refundObject{
		RefundID: r.RefundID, OutRefundNo: r.OutRefundNo, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo,
		Channel: "ORIGINAL", UserReceivedAccount: receivedAccount, SuccessTime: timeV3(r.succeededAt()),
		CreateTime: timeV3(r.CreatedAt), Status: r.Status, FundsAccount: funds,
		Amount: refundMoney{
			Total: r.TotalFen, Refund: r.RefundFen, PayerTotal: r.TotalFen, PayerRefund: r.RefundFen,
			SettlementRefund: r.RefundFen, SettlementTotal: r.TotalFen, Currency: "CNY",
		},
	}
}

// startRefund plays POST /v3/refund/domestic/refunds.
func (s *Sandbox) startRefund(c *apiCall) (apiReply, error) {
	if _, err := s.decodeBody(c, &refundRules); err != nil {
		return apiReply{}, err
	}
	var request refundRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		return apiReply{}, fmt.Errorf("decoding a checked body: %w", err)
	}
	if err := s.checkRefund(c, &request); err != nil {
		return apiReply{}, err
	}
	made, err := s.refund(refund{
		refundKey:     refundKey{MchID: c.merchant.MchID, OutRefundNo: request.OutRefundNo},
		API:           apiV3,
		SubMchID:      request.SubMchID,
		OutTradeNo:    request.OutTradeNo,
		TransactionID: request.TransactionID,
		TotalFen:      request.Amount.Total,
		RefundFen:     request.Amount.Refund,
		Reason:        request.Reason,
		FundsAccount:  request.FundsAccount,
		NotifyURL:     request.NotifyURL,
		Serial:        c.replySerial,
	})
	if err != nil {
		return apiReply{}, refundRefusal(err)
	}
	return jsonReply(made.object())
}

// checkRefund checks what takes more than the rules of single members.
func (s *Sandbox) checkRefund(c *apiCall, request *refundRequest) error {
	wrong := func(field, value, issue string) error {
		return &parameterError{field: field, value: value, issue: issue, location: "body"}
	}
	switch {
	case request.OutTradeNo == "" && request.TransactionID == "":
		return wrong("/transaction_id", "", "one of transaction_id and out_trade_no must be given")
	case request.OutTradeNo != "" && request.TransactionID != "":
		return wrong("/out_trade_no", request.OutTradeNo, "only one of transaction_id and out_trade_no may be given")
	}
	if request.NotifyURL != "" {
		if issue := notifyURLIssue(request.NotifyURL, s.allowPublic); issue != "" {
			return wrong("/notify_url", request.NotifyURL, issue)
		}
	}
	if len(request.Amount.From) > 0 {
		var sum int64
		for _, part := range request.Amount.From {
			sum += part.Amount
		}
		if sum != request.Amount.Refund {
			return wrong("/amount/from", "", "the parts do not add up to the refund")
		}
	}
	return c.checkSubMchID(request.SubMchID)
}

// checkSubMchID checks that a sub merchant, if named, is one of the caller's.
func (c *apiCall) checkSubMchID(subMchID string) error {
	if subMchID == "" {
		return nil
	}
	if _, ok := c.merchant.subMerchant(subMchID); !ok {
		return refuse(http.StatusForbidden, "NO_AUTH", "特约子商户商户号未授权服务商的产品权限", logNoRelation)
	}
	return nil
}

// refundRefusal maps what the ledger says of a refund to WeChat's errors.
func refundRefusal(err error) error {
	invalid := func(message string) error {
		return refuse(http.StatusBadRequest, "INVALID_REQUEST", message, logReentry)
	}
	switch {
	case errors.Is(err, errNoOrder):
		return refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "订单不存在", logOrderNotFound)
	case errors.Is(err, errNoRefund):
		return refuse(http.StatusNotFound, "RESOURCE_NOT_EXISTS", "退款单不存在", logNoError)
	case errors.Is(err, errNotPaid):
		return invalid("订单未支付")
	case errors.Is(err, errRefundAmount), errors.Is(err, errRefundTotal):
		return invalid("订单金额或退款金额与之前请求不一致，请核实后再试")
	case errors.Is(err, errOtherContent):
		return invalid("请求重入时，参数与首次请求时不一致")
	case errors.Is(err, errRefundExceeds):
		return invalid("申请退款金额大于订单可退金额")
	case errors.Is(err, errRefundTooMany):
		return invalid("订单部分退款次数超过限制")
	case errors.Is(err, errRefundOverdue):
		return invalid("订单已超过可退款的最大期限")
	case errors.Is(err, errRefundNotBroken):
		return invalid("退款单状态不是退款异常")
	case errors.Is(err, errRefundTooSoon):
		return refuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", "频率限制，1分钟后再试", logFrequency)
	case errors.Is(err, errNotEnough):
		return refuse(http.StatusForbidden, "NOT_ENOUGH", "基本账户余额不足，请充值后重新发起", logNoError)
	default:
		return err
	}
}

// queryRefund plays GET /v3/refund/domestic/refunds/{out_refund_no}.
func (s *Sandbox) queryRefund(c *apiCall, outRefundNo string) (apiReply, error) {
	subMchID, err := c.subQuery()
	if err != nil {
		return apiReply{}, err
	}
	if issue := ownNumberIssue(outRefundNo); issue != "" {
		return apiReply{}, &parameterError{field: "out_refund_no", value: outRefundNo, issue: issue, location: "url"}
	}
	r, err := s.lookUpRefund(refundKey{MchID: c.merchant.MchID, OutRefundNo: outRefundNo})
	if err == nil && r.SubMchID != subMchID {
		err = errNoRefund
	}
	if err != nil {
		return apiReply{}, refundRefusal(err)
	}
	return jsonReply(r.object())
}

// mendRequest is the body of the call that takes up an abnormal refund.
type mendRequest struct {
	SubMchID    string `json:"sub_mchid"`
	OutRefundNo string `json:"out_refund_no"`
	Type        string `json:"type"`
	BankType    string `json:"bank_type"`
	BankAccount string `json:"bank_account"`
	RealName    string `json:"real_name"`
}

// mendRefund plays POST …/refunds/{refund_id}/apply-abnormal-refund.
func (s *Sandbox) mendRefund(c *apiCall, refundID string) (apiReply, error) {
	if _, err := s.decodeBody(c, &mendRules); err != nil {
		return apiReply{}, err
	}
	var request mendRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		return apiReply{}, fmt.Errorf("decoding a checked body: %w", err)
	}
	if err := c.checkSubMchID(request.SubMchID); err != nil {
		return apiReply{}, err
	}
	if err := c.checkMend(&request); err != nil {
		return apiReply{}, err
	}
	key := refundKey{MchID: c.merchant.MchID, OutRefundNo: request.OutRefundNo}
	known, _, err := s.ledger.askRefund(key)
	if err == nil && (known.RefundID != refundID || known.SubMchID != request.SubMchID) {
		err = errNoRefund
	}
	if err != nil {
		return apiReply{}, refundRefusal(err)
	}
	mended, err := s.ledger.mendRefund(key)
	if err != nil {
		return apiReply{}, refundRefusal(err)
	}
	if err := s.processRefund(&mended); err != nil {
		return apiReply{}, err
	}
	return jsonReply(mended.object())
}

// checkMend checks the bank card: a buyer's is named in full and encrypted, a
// merchant's is known.
func (c *apiCall) checkMend(request *mendRequest) error {
	members := []struct{ name, value string }{
		{"bank_type", request.BankType}, {"bank_account", request.BankAccount}, {"real_name", request.RealName},
	}
	for _, m := range members {
		switch {
		case request.Type == mendBuyer && m.value == "":
			return &parameterError{field: "/" + m.name, issue: "the parameter is missing", location: "body"}
		case m.name == "bank_type" || m.value == "":
			continue
		}
		if err := c.checkSealed("/"+m.name, m.value); err != nil {
			return err
		}
	}
	return nil
}

// refundNoticeObject is the content of a refund notification (v3.md 13).
type refundNoticeObject struct {
	parties
	TransactionID       string            `json:"transaction_id"`
	OutTradeNo          string            `json:"out_trade_no"`
	RefundID            string            `json:"refund_id"`
	OutRefundNo         string            `json:"out_refund_no"`
	RefundStatus        refundStatus      `json:"refund_status"`
	SuccessTime         string            `json:"success_time,omitempty"`
	UserReceivedAccount string            `json:"user_received_account"`
	Amount              refundNoticeMoney `json:"amount"`
}

// refundNoticeMoney is the amount of a refund notification.
type refundNoticeMoney struct {
	Total       int64 `json:"total"`
	Refund      int64 `json:"refund"`
	PayerTotal  int64 `json:"payer_total"`
	PayerRefund int64 `json:"payer_refund"`
}

// refundLetterV3 tells of a refund that ended.
func (s *Sandbox) refundLetterV3(id string, o *order, r *refund) (letter, error) {
	who := o.parties()
	who.AppID, who.SPAppID, who.SubAppID = "", "", "" // refunds know merchants only
	notice := refundNoticeObject{
		parties: who, TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo, RefundID: r.RefundID,
		OutRefundNo: r.OutRefundNo, RefundStatus: r.Status, SuccessTime: timeV3(r.succeededAt()), UserReceivedAccount: receivedAccount,
	}
	refunded, total := r.RefundFen, r.TotalFen
	return s.newLetterV3(s.directory.merchants[o.MchID], letterV3{
		id: id, event: refundEvent(r.Status), original: "refund", summary: refundSummaries[r.Status], serial: r.Serial,
		content: func(wrong *fault) any {
			told := notice
			amount := wrong.amount(refunded)
			told.Amount = refundNoticeMoney{Total: total, Refund: amount, PayerTotal: total, PayerRefund: amount}
			return told
		},
	})
}

// refundSummaries are what a notification says of the state of a refund.
var refundSummaries = map[refundStatus]string{
	refundSuccess:  "退款成功",
	refundClosed:   "退款关闭",
	refundAbnormal: "退款异常",
}
