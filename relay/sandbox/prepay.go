package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

var outTradeNoForm = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

// prepayRules are the members that all trade types share (v3.md 9).
func prepayRules(extra ...fieldRule) rule {
	return object(append([]fieldRule{
		{"appid", text(32).needed()},
		{"mchid", text(32).needed()},
		{"description", text(127).needed()},
		{"out_trade_no", text(32).needed().checked(outTradeNoIssue)},
		{"time_expire", text(64).checked(timeIssue)},
		{"attach", text(128)},
		{"notify_url", text(255).needed()},
		{"goods_tag", text(32)},
		{"support_fapiao", rule{kind: strictjson.BoolKind}},
		{"amount", object(
			fieldRule{"total", integer(1).needed()},
			fieldRule{"currency", text(16).checked(currencyIssue)},
		).needed()},
		{"detail", detailRules()},
		{"scene_info", sceneRules()},
		{"settle_info", object(fieldRule{"profit_sharing", rule{kind: strictjson.BoolKind}})},
		{"limit_pay", rule{kind: strictjson.ArrayKind, min: 1, max: 2, items: new(text(16).checked(limitPayIssue))}},
	}, extra...)...)
}

// detailRules are those of the list of goods.
func detailRules() rule {
	goods := object(
		fieldRule{"merchant_goods_id", text(32).needed()},
		fieldRule{"wechatpay_goods_id", text(32)},
		fieldRule{"goods_name", text(256)},
		fieldRule{"quantity", integer(1).needed()},
		fieldRule{"unit_price", integer(0).needed()},
	)
	return object(
		fieldRule{"cost_price", integer(0)},
		fieldRule{"invoice_id", text(32)},
		fieldRule{"goods_detail", rule{kind: strictjson.ArrayKind, min: 1, max: 6000, items: &goods}},
	)
}

// sceneRules are those of the place of the sale.
func sceneRules() rule {
	return object(
		fieldRule{"payer_client_ip", text(45).needed().checked(addressIssue)},
		fieldRule{"device_id", text(32)},
		fieldRule{"store_info", object(
			fieldRule{"id", text(32).needed()},
			fieldRule{"name", text(256)},
			fieldRule{"area_code", text(32)},
			fieldRule{"address", text(512)},
		)},
	)
}

// The requests of the two trade types: a payer belongs to JSAPI alone.
var (
	jsapiRules  = prepayRules(fieldRule{"payer", object(fieldRule{"openid", text(128).needed()}).needed()})
	nativeRules = prepayRules()
)

func outTradeNoIssue(s string) string {
	if !outTradeNoForm.MatchString(s) {
		return "the number must be 6 to 32 of 0-9 A-Z a-z _ - | *"
	}
	return ""
}

func timeIssue(s string) string {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return "the time must be RFC 3339 with an offset"
	}
	return ""
}

func currencyIssue(s string) string {
	if s != "CNY" {
		return "Currency code is invalid"
	}
	return ""
}

func limitPayIssue(s string) string {
	if s != "no_credit" && s != "no_debit" {
		return "the value must be no_credit or no_debit"
	}
	return ""
}

func addressIssue(s string) string {
	if _, err := netip.ParseAddr(s); err != nil {
		return "the value must be an IP address"
	}
	return ""
}

// prepay plays POST /v3/pay/transactions/{jsapi|native}.
func (s *Sandbox) prepay(c *apiCall, tradeType string) (apiReply, error) {
	rules := &nativeRules
	if tradeType == tradeJSAPI {
		rules = &jsapiRules
	}
	tree, err := s.decodeBody(c, rules)
	if err != nil {
		return apiReply{}, err
	}
	var request payv3.PrepayRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		return apiReply{}, fmt.Errorf("decoding a checked body: %w", err)
	}
	asked := order{
		orderKey:    orderKey{MchID: request.MchID, OutTradeNo: request.OutTradeNo},
		AppID:       request.AppID,
		TradeType:   tradeType,
		Description: request.Description,
		Attach:      request.Attach,
		NotifyURL:   request.NotifyURL,
		TotalFen:    request.Amount.Total,
		Serial:      c.replySerial,
		// Only the first call sets the time of expiry, so that it is not part
		// of what a repeat must be equal to.
		Content: canonical(tree, "time_expire"),
	}
	if request.Payer != nil {
		asked.OpenID = request.Payer.OpenID
	}
	if err := s.checkPrepay(c, &asked); err != nil {
		return apiReply{}, err
	}
	if asked.ExpiresAt, err = s.expiry(request.TimeExpire); err != nil {
		return apiReply{}, err
	}
	made, err := s.ledger.prepare(asked)
	if err != nil {
		return apiReply{}, prepayRefusal(err)
	}
	if tradeType == tradeNative {
		return jsonReply(struct {
			CodeURL string `json:"code_url"`
		}{made.CodeURL})
	}
	return jsonReply(struct {
		PrepayID string `json:"prepay_id"`
	}{made.PrepayID})
}

// checkPrepay checks what takes more than the body alone: who asks for whom,
// and where the notification shall go.
func (s *Sandbox) checkPrepay(c *apiCall, asked *order) error {
	if asked.MchID != c.merchant.MchID {
		return &parameterError{
			field: "/mchid", value: asked.MchID,
			issue: "the merchant is not the one that signed", location: "body",
		}
	}
	if issue := notifyURLIssue(asked.NotifyURL, s.allowPublic); issue != "" {
		return &parameterError{field: "/notify_url", value: asked.NotifyURL, issue: issue, location: "body"}
	}
	if !c.merchant.bound(asked.AppID) {
		return refuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试", logAppIDNotBound)
	}
	if asked.TradeType != tradeJSAPI {
		return nil
	}
	switch s.directory.payer(asked.AppID, asked.OpenID) {
	case payerForeign:
		return refuse(http.StatusInternalServerError, "OPENID_MISMATCH", "openid和appid不匹配", logBadParameter)
	case payerUnknown:
		return &parameterError{
			field: "/payer/openid", value: asked.OpenID,
			issue: "无效的openid: nobody in the sandbox has it; see /sandbox/credentials", location: "body",
		}
	case payerKnown:
	}
	return nil
}

// expiry returns when an order closes: seven days from now, or when its
// merchant says, but not in less than a minute.
func (s *Sandbox) expiry(timeExpire string) (time.Time, error) {
	now := s.now()
	if timeExpire == "" {
		return now.Add(orderLife), nil
	}
	at, err := time.Parse(time.RFC3339, timeExpire)
	if err != nil {
		return time.Time{}, fmt.Errorf("decoding a checked time: %w", err)
	}
	switch ahead := at.Sub(now); {
	case ahead > longestTTL:
		return time.Time{}, &parameterError{
			field: "/time_expire", value: timeExpire, issue: "the time is more than 90 days ahead", location: "body",
		}
	case ahead < shortestTTL:
		return now.Add(shortestTTL), nil
	}
	return at.UTC(), nil
}

// prepayRefusal maps what the ledger says to WeChat's errors.
func prepayRefusal(err error) error {
	switch {
	case errors.Is(err, errPaid):
		return refuse(http.StatusBadRequest, "ORDER_PAID", "该订单已支付", logOrderPaid)
	case errors.Is(err, errClosed):
		return refuse(http.StatusBadRequest, "ORDER_CLOSED", "该订单已关闭", logOrderInvalid)
	case errors.Is(err, errOtherContent):
		return refuse(http.StatusBadRequest, "INVALID_REQUEST", "请求重入时，参数与首次请求时不一致", logReentry)
	default:
		return err
	}
}

// notifyURLIssue says why WeChat would not take a notification address, or
// nothing. What the real one requires, a public address, is what a sandbox
// must not have, unless its operator says so.
func notifyURLIssue(raw string, allowPublic bool) string {
	u, err := url.Parse(raw)
	switch {
	case err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "":
		return "the address must be a full http or https address"
	case u.User != nil:
		return "the address must not carry user information"
	case u.RawQuery != "" || u.ForceQuery:
		return "the address must not carry a query"
	case u.Fragment != "" || strings.Contains(raw, "#"):
		return "the address must not carry a fragment"
	case u.Path == "":
		return "the address must have a path"
	}
	// Names are decided when they are dialled.
	if address, err := netip.ParseAddr(u.Hostname()); err == nil && !dialAllowed(address, allowPublic) {
		return "the sandbox only notifies loopback and private addresses"
	}
	return ""
}

// bound reports whether the app id is bound to the merchant.
func (m *merchant) bound(appID string) bool {
	return slices.Contains(m.AppIDs, appID)
}
