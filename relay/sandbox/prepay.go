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
)

var outTradeNoForm = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

// prepayRules are the members of a request for an order (v3.md 9).
func prepayRules(tradeType string, m mode) *rule {
	fields := []fieldRule{{"appid", text(32).needed()}, {"mchid", text(32).needed()}}
	payer := object(fieldRule{"openid", text(128).needed()})
	if m == provider {
		fields = []fieldRule{
			{"sp_appid", text(32).needed()},
			{"sp_mchid", text(32).needed()},
			{"sub_appid", text(32)},
			{"sub_mchid", text(32).needed()},
		}
		payer = object(fieldRule{"sp_openid", text(128)}, fieldRule{"sub_openid", text(128)})
	}
	fields = append(fields, []fieldRule{
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
		{"scene_info", sceneRules(tradeType)},
		{"settle_info", object(fieldRule{"profit_sharing", rule{kind: strictjson.BoolKind}})},
		{"limit_pay", rule{kind: strictjson.ArrayKind, min: 1, max: 2, items: new(text(16).checked(oneOf("no_credit", "no_debit")))}},
	}...)
	if tradeType == tradeJSAPI { // a payer belongs to JSAPI alone
		fields = append(fields, fieldRule{"payer", payer.needed()})
	}
	return new(object(fields...))
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

// sceneRules are those of the place of the sale. H5 needs to know the buyer's
// own address and what kind of page asks.
func sceneRules(tradeType string) rule {
	address := text(45).needed().checked(addressIssue)
	if tradeType == tradeH5 {
		address = text(45).needed().checked(buyerAddressIssue)
	}
	fields := []fieldRule{
		{"payer_client_ip", address},
		{"device_id", text(32)},
		{"store_info", object(
			fieldRule{"id", text(32).needed()},
			fieldRule{"name", text(256)},
			fieldRule{"area_code", text(32)},
			fieldRule{"address", text(512)},
		)},
	}
	if tradeType != tradeH5 {
		return object(fields...)
	}
	return object(append(fields, fieldRule{"h5_info", object(
		fieldRule{"type", text(32).needed().checked(oneOf("iOS", "Android", "Wap"))},
		fieldRule{"app_name", text(64)},
		fieldRule{"app_url", text(128)},
		fieldRule{"bundle_id", text(128)},
		fieldRule{"package_name", text(128)},
	).needed()})...).needed()
}

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

// oneOf makes a check for a closed list of values.
func oneOf(values ...string) func(string) string {
	return func(s string) string {
		if !slices.Contains(values, s) {
			return "the value must be one of " + strings.Join(values, ", ")
		}
		return ""
	}
}

func addressIssue(s string) string {
	if _, err := netip.ParseAddr(s); err != nil {
		return "the value must be an IP address"
	}
	return ""
}

// buyerAddressIssue refuses addresses that no buyer on a phone can have.
func buyerAddressIssue(s string) string {
	address, err := netip.ParseAddr(s)
	switch {
	case err != nil:
		return "the value must be an IP address"
	case address.Unmap().IsLoopback(), address.IsUnspecified():
		return "H5 needs the buyer's own address, not the machine's"
	}
	return ""
}

// prepayRequest is the body of a prepay call, in both modes.
type prepayRequest struct {
	parties
	Description string `json:"description"`
	OutTradeNo  string `json:"out_trade_no"`
	TimeExpire  string `json:"time_expire"`
	Attach      string `json:"attach"`
	NotifyURL   string `json:"notify_url"`
	Amount      struct {
		Total int64 `json:"total"`
	} `json:"amount"`
	Payer      payerObject `json:"payer"`
	SettleInfo struct {
		ProfitSharing bool `json:"profit_sharing"`
	} `json:"settle_info"`
}

// prepayReply is the answer to a prepay call: one member by the trade type.
type prepayReply struct {
	PrepayID string `json:"prepay_id,omitempty"`
	CodeURL  string `json:"code_url,omitempty"`
	H5URL    string `json:"h5_url,omitempty"`
}

// prepay plays POST …/transactions/{jsapi|native|h5|app}.
func (s *Sandbox) prepay(c *apiCall, rules *rule, tradeType string, m mode) (apiReply, error) {
	tree, err := s.decodeBody(c, rules)
	if err != nil {
		return apiReply{}, err
	}
	var request prepayRequest
	if err := json.Unmarshal(c.body, &request); err != nil {
		return apiReply{}, fmt.Errorf("decoding a checked body: %w", err)
	}
	asked := request.order(tradeType)
	asked.Serial = c.replySerial
	// Only the first call sets the time of expiry, so that it is not part of
	// what a repeat must be equal to.
	asked.Content = canonical(tree, "time_expire")
	if err := s.checkPrepay(c, &asked, m); err != nil {
		return apiReply{}, err
	}
	if asked.ExpiresAt, err = s.expiry(request.TimeExpire); err != nil {
		return apiReply{}, err
	}
	made, err := s.ledger.prepare(asked)
	if err != nil {
		return apiReply{}, prepayRefusal(err)
	}
	switch tradeType {
	case tradeNative:
		return jsonReply(prepayReply{CodeURL: made.CodeURL})
	case tradeH5:
		return jsonReply(prepayReply{H5URL: made.h5URL(c.origin)})
	default:
		return jsonReply(prepayReply{PrepayID: made.PrepayID})
	}
}

// order is what a request asks for.
func (r *prepayRequest) order(tradeType string) order {
	o := order{
		orderKey:      orderKey{MchID: r.MchID, OutTradeNo: r.OutTradeNo},
		API:           apiV3,
		AppID:         r.AppID,
		TradeType:     tradeType,
		Description:   r.Description,
		Attach:        r.Attach,
		NotifyURL:     r.NotifyURL,
		OpenID:        r.Payer.OpenID,
		TotalFen:      r.Amount.Total,
		ProfitSharing: r.SettleInfo.ProfitSharing,
	}
	if r.SPMchID != "" {
		o.MchID, o.AppID, o.OpenID = r.SPMchID, r.SPAppID, r.Payer.SPOpenID
		o.SubMchID, o.SubAppID, o.SubOpenID = r.SubMchID, r.SubAppID, r.Payer.SubOpenID
	}
	return o
}

// checkPrepay checks what takes more than the body alone: who asks for whom,
// and where the notification shall go.
func (s *Sandbox) checkPrepay(c *apiCall, asked *order, m mode) error {
	if asked.MchID != c.merchant.MchID {
		field := "/mchid"
		if m == provider {
			field = "/sp_mchid"
		}
		return notTheSigner(field, asked.MchID, "body")
	}
	if issue := notifyURLIssue(asked.NotifyURL, s.allowPublic); issue != "" {
		return &parameterError{field: "/notify_url", value: asked.NotifyURL, issue: issue, location: "body"}
	}
	if err := c.checkSubMchID(asked.SubMchID); err != nil {
		return err
	}
	if !c.merchant.boundFor(asked) {
		return refuse(http.StatusBadRequest, "APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配，请检查后再试", logAppIDNotBound)
	}
	if account := s.directory.accounts[asked.payingAppID()]; !account.Kind.takes(asked.TradeType) {
		return refuse(http.StatusBadRequest, "INVALID_REQUEST",
			"appid的账号类型不支持该支付方式 (accounts of this kind cannot be paid in by "+asked.TradeType+")", logBadParameter)
	}
	if asked.TradeType != tradeJSAPI {
		return nil
	}
	return s.checkPayer(asked, m)
}

// payingAppID is the account in which the buyer pays.
func (o *order) payingAppID() string {
	if o.SubAppID != "" {
		return o.SubAppID
	}
	return o.AppID
}

// boundFor reports whether the accounts of an order are bound to its
// merchants.
func (m *merchant) boundFor(o *order) bool {
	if !m.bound(o.AppID) {
		return false
	}
	sub, _ := m.subMerchant(o.SubMchID)
	return o.SubAppID == "" || slices.Contains(sub.AppIDs, o.SubAppID)
}

// checkPayer checks the openid that a JSAPI order is for: exactly one, under
// the account that it is said to belong to.
func (s *Sandbox) checkPayer(asked *order, m mode) error {
	field, appID, openID := "/payer/openid", asked.AppID, asked.OpenID
	if m == provider {
		field = "/payer/sp_openid"
		switch {
		case (asked.OpenID == "") == (asked.SubOpenID == ""):
			return &parameterError{field: "/payer", issue: "exactly one of sp_openid and sub_openid must be given", location: "body"}
		case asked.SubOpenID != "" && asked.SubAppID == "":
			return &parameterError{field: "/sub_appid", issue: "the parameter is missing: sub_openid needs it", location: "body"}
		case asked.SubOpenID != "":
			field, appID, openID = "/payer/sub_openid", asked.SubAppID, asked.SubOpenID
		}
	}
	switch s.directory.payer(appID, openID) {
	case payerForeign:
		return refuse(http.StatusInternalServerError, "OPENID_MISMATCH", "openid和appid不匹配", logBadParameter)
	case payerUnknown:
		return &parameterError{
			field: field, value: openID,
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
