package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// unifiedOrderRules are those of a request for an order (v2.md 6).
var unifiedOrderRules = []ruleV2{
	{name: "device_info", max: 32},
	{name: "body", max: 127, needed: true},
	{name: "detail", max: 6000, check: jsonIssueV2},
	{name: "attach", max: 127},
	{name: "out_trade_no", max: 32, needed: true, check: outTradeNoIssue},
	{name: "fee_type", max: 16, check: currencyIssue},
	{name: "total_fee", max: 10, needed: true, check: amountIssueV2},
	{name: "spbill_create_ip", max: 64, needed: true, check: addressIssue},
	{name: "time_start", max: 14, check: timeIssueV2},
	{name: "time_expire", max: 14, check: timeIssueV2},
	{name: "goods_tag", max: 32},
	{name: "notify_url", max: 256, needed: true},
	{name: "trade_type", max: 16, needed: true, check: oneOf(tradeJSAPI, tradeNative, tradeApp, tradeH5)},
	{name: "product_id", max: 32},
	{name: "limit_pay", max: 32, check: oneOf("no_credit")},
	{name: "openid", max: 128},
	{name: "sub_openid", max: 128},
	{name: "receipt", max: 8, check: oneOf("Y")},
	{name: "profit_sharing", max: 16, check: oneOf("Y", "N")},
	{name: "scene_info", max: 256, check: jsonIssueV2},
	{name: "version", max: 32, check: oneOf("1.0")},
}

// unifiedOrder plays POST /pay/unifiedorder.
func (s *Sandbox) unifiedOrder(c *callV2) (payv2.Message, error) {
	asked := c.order()
	if err := s.checkOrderV2(c, &asked); err != nil {
		return nil, err
	}
	var err error
	if asked.ExpiresAt, err = s.expiryV2(&asked, c.fields["time_expire"]); err != nil {
		return nil, err
	}
	made, err := s.ledger.prepare(asked)
	if err != nil {
		return nil, prepayRefusalV2(err)
	}
	reply := payv2.Message{"trade_type": made.TradeType, "prepay_id": made.PrepayID}
	switch made.TradeType {
	case tradeNative:
		reply["code_url"] = made.CodeURL
	case tradeH5:
		reply["mweb_url"] = made.h5URL(c.origin)
	}
	return reply, nil
}

// order is what a request asks for.
func (c *callV2) order() order {
	f := c.fields
	return order{
		orderKey:      orderKey{MchID: c.merchant.MchID, OutTradeNo: f["out_trade_no"]},
		API:           apiV2,
		SignType:      c.signType,
		AppID:         f["appid"],
		SubMchID:      f["sub_mch_id"],
		SubAppID:      f["sub_appid"],
		TradeType:     f["trade_type"],
		Description:   f["body"],
		Attach:        f["attach"],
		NotifyURL:     f["notify_url"],
		OpenID:        f["openid"],
		SubOpenID:     f["sub_openid"],
		TotalFen:      fenOf(f["total_fee"]),
		ProfitSharing: f["profit_sharing"] == "Y",
		Content:       tradeFieldsV2(f),
	}
}

// checkOrderV2 checks what takes more than one field: what the trade type
// needs, and where the notification shall go.
func (s *Sandbox) checkOrderV2(c *callV2, asked *order) error {
	if issue := notifyURLIssue(asked.NotifyURL, s.allowPublic); issue != "" {
		return parameterV2("notify_url", issue)
	}
	if account := s.directory.accounts[asked.payingAppID()]; !account.Kind.takes(asked.TradeType) {
		return refuseV2("INVALID_REQUEST", "appid的账号类型不支持该支付方式 (accounts of this kind cannot be paid in by "+asked.TradeType+")")
	}
	switch asked.TradeType {
	case tradeNative:
		if c.fields["product_id"] == "" {
			return unsignedV2("NATIVE支付必须传product_id")
		}
	case tradeH5:
		return checkSceneV2(c.fields)
	case tradeJSAPI:
		return s.checkPayerV2(asked)
	}
	return nil
}

// checkPayerV2 checks the openid that a JSAPI order is for, under the account
// that it is said to belong to. A payer belongs to JSAPI alone.
func (s *Sandbox) checkPayerV2(asked *order) error {
	appID, openID := asked.AppID, asked.OpenID
	switch {
	case asked.OpenID == "" && asked.SubOpenID == "":
		return unsignedV2("JSAPI支付必须传openid")
	case asked.OpenID != "" && asked.SubOpenID != "":
		return parameterV2("sub_openid", "only one of openid and sub_openid may be given")
	case asked.SubOpenID != "" && asked.SubAppID == "":
		return unsignedV2("sub_openid参数需要sub_appid")
	case asked.SubOpenID != "":
		appID, openID = asked.SubAppID, asked.SubOpenID
	}
	switch s.directory.payer(appID, openID) {
	case payerForeign:
		return refuseV2("PARAM_ERROR", "appid and openid not match")
	case payerUnknown:
		return refuseV2("PARAM_ERROR", "无效的openid (nobody in the sandbox has it; see /sandbox/credentials)")
	case payerKnown:
	}
	return nil
}

// sceneV2 is the part of scene_info that H5 needs.
type sceneV2 struct {
	H5 *struct {
		Type        string `json:"type"`
		WapURL      string `json:"wap_url"`
		WapName     string `json:"wap_name"`
		AppName     string `json:"app_name"`
		BundleID    string `json:"bundle_id"`
		PackageName string `json:"package_name"`
	} `json:"h5_info"`
}

// checkSceneV2 checks the place of an H5 order, and the buyer's own address.
func checkSceneV2(fields payv2.Message) error {
	if address, err := netip.ParseAddr(fields["spbill_create_ip"]); err != nil || address.Unmap().IsLoopback() || address.IsUnspecified() {
		return parameterV2("spbill_create_ip", "H5 needs the buyer's own address, not the machine's")
	}
	if fields["scene_info"] == "" {
		return unsignedV2("MWEB支付必须传scene_info")
	}
	var scene sceneV2
	if err := json.Unmarshal([]byte(fields["scene_info"]), &scene); err != nil || scene.H5 == nil {
		return parameterV2("scene_info", "h5_info is missing")
	}
	h5, complete := scene.H5, false
	switch h5.Type {
	case "Wap":
		complete = h5.WapURL != "" && h5.WapName != ""
	case "IOS":
		complete = h5.AppName != "" && h5.BundleID != ""
	case "Android":
		complete = h5.AppName != "" && h5.PackageName != ""
	}
	if !complete {
		return parameterV2("scene_info", "h5_info must be of type Wap, IOS or Android, with what belongs to it")
	}
	return nil
}

// expiryV2 returns when an order closes: seven days from now, or when its
// merchant says. A new order must live for a minute; a repeat has had its
// time.
func (s *Sandbox) expiryV2(asked *order, timeExpire string) (time.Time, error) {
	now := s.now()
	if timeExpire == "" {
		return now.Add(orderLife), nil
	}
	at, err := beijing.Parse(beijing.Compact, timeExpire)
	if err != nil {
		return time.Time{}, fmt.Errorf("decoding a checked time: %w", err)
	}
	if _, err := s.ledger.byNumber(asked.orderKey); err == nil {
		return at, nil
	}
	switch ahead := at.Sub(now); {
	case ahead < shortestTTL:
		return time.Time{}, parameterV2("time_expire", "the time must be at least a minute ahead")
	case ahead > longestTTL:
		return time.Time{}, parameterV2("time_expire", "the time is more than 90 days ahead")
	}
	return at, nil
}

// prepayRefusalV2 maps what the ledger says to WeChat's errors.
func prepayRefusalV2(err error) error {
	switch {
	case errors.Is(err, errPaid):
		return refuseV2("ORDERPAID", "该订单已支付")
	case errors.Is(err, errClosed):
		return refuseV2("ORDERCLOSED", "该订单已关闭")
	case errors.Is(err, errOtherContent):
		return refuseV2("INVALID_REQUEST", "201 商户订单号重复")
	default:
		return err
	}
}
