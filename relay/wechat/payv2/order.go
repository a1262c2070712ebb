package payv2

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// TradeType is how an order is paid, spelled as WeChat spells it.
type TradeType string

// The trade types (section 1). Payment codes have an endpoint of their own
// and are not ordered here.
const (
	TradeJSAPI  TradeType = "JSAPI" // a page in WeChat, or a mini-program
	TradeNative TradeType = "NATIVE"
	TradeApp    TradeType = "APP"
	TradeMWeb   TradeType = "MWEB" // H5, a phone's browser
)

// Partner names the sub merchant that a service provider acts for (section
// 17); the zero value means that the merchant acts for itself.
type Partner struct {
	SubMchID string
	SubAppID string // the sub merchant's own account; may be empty
}

func (p Partner) addTo(m Message) {
	m.set(fieldSubMchID, p.SubMchID)
	m.set(fieldSubAppID, p.SubAppID)
}

// SceneInfo says where an order is paid. WeChat wants the H5 part for MWEB.
type SceneInfo struct {
	H5    *H5Info    `json:"h5_info,omitempty"`
	Store *StoreInfo `json:"store_info,omitempty"`
}

// H5Info describes the place of an MWEB order: a site, or an app that shows
// one.
type H5Info struct {
	Type        string `json:"type"` // Wap, IOS or Android
	WapURL      string `json:"wap_url,omitempty"`
	WapName     string `json:"wap_name,omitempty"`
	AppName     string `json:"app_name,omitempty"`
	BundleID    string `json:"bundle_id,omitempty"`
	PackageName string `json:"package_name,omitempty"`
}

// StoreInfo describes a shop.
type StoreInfo struct {
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	AreaCode string `json:"area_code,omitempty"`
	Address  string `json:"address,omitempty"`
}

// UnifiedOrderRequest creates an order (section 6). A repeat must be equal in
// every field, times too, so none is filled in here.
type UnifiedOrderRequest struct {
	AppID string // the account that the user pays in
	Partner
	DeviceInfo    string
	Body          string // what the user reads; up to 127 bytes
	Detail        string // JSON
	Attach        string // up to 127 bytes, echoed
	OutTradeNo    string // 6 to 32 of [0-9A-Za-z_|*-]
	TotalFen      int64
	ClientIP      string // the payer's address; the server's for NATIVE
	TimeStart     time.Time
	TimeExpire    time.Time
	GoodsTag      string
	NotifyURL     string // public, without a query
	TradeType     TradeType
	ProductID     string // NATIVE
	OpenID        string // JSAPI: the payer's, under AppID
	SubOpenID     string // or under the sub merchant's own account
	ProfitSharing bool
	Scene         *SceneInfo
}

func (r *UnifiedOrderRequest) encode() (Message, error) {
	m := Message{fieldAppID: r.AppID, "fee_type": Currency}
	r.addTo(m)
	m.set("device_info", r.DeviceInfo)
	m.set("body", r.Body)
	m.set("detail", r.Detail)
	m.set(fieldAttach, r.Attach)
	m.set("out_trade_no", r.OutTradeNo)
	m.setFen("total_fee", r.TotalFen)
	m.set("spbill_create_ip", r.ClientIP)
	m.setTime("time_start", beijing.Compact, r.TimeStart)
	m.setTime("time_expire", beijing.Compact, r.TimeExpire)
	m.set("goods_tag", r.GoodsTag)
	m.set("notify_url", r.NotifyURL)
	m.set("trade_type", string(r.TradeType))
	m.set("product_id", r.ProductID)
	m.set("openid", r.OpenID)
	m.set("sub_openid", r.SubOpenID)
	if r.ProfitSharing {
		m.set("profit_sharing", "Y")
	}
	if r.Scene != nil {
		scene, err := json.Marshal(r.Scene)
		if err != nil {
			return nil, fmt.Errorf("encoding scene: %w", err)
		}
		m.set("scene_info", string(scene))
	}
	return m, nil
}

// UnifiedOrderReply is a created order.
type UnifiedOrderReply struct {
	PrepayID string // lives for two hours
	CodeURL  string // NATIVE; lives for two hours
	MWebURL  string // MWEB; lives for five minutes and serves one user
}

// UnifiedOrder creates an order, or repeats the creation with the same
// content, which is harmless while it is unpaid.
func (c *Client) UnifiedOrder(ctx context.Context, r *UnifiedOrderRequest) (UnifiedOrderReply, error) {
	const op = "unifiedorder"
	fields, err := r.encode()
	if err != nil {
		return UnifiedOrderReply{}, fmt.Errorf("%s: %w", op, err)
	}
	m, err := c.do(ctx, call{op: op, path: "/pay/unifiedorder", fields: fields})
	if err != nil {
		return UnifiedOrderReply{}, err
	}
	d := decoder{m: m}
	d.require("prepay_id")
	switch r.TradeType {
	case TradeNative:
		d.require("code_url")
	case TradeMWeb:
		d.require("mweb_url")
	default:
	}
	if m["trade_type"] != string(r.TradeType) {
		d.fail("trade_type", errors.New("is another one"))
	}
	if d.err != nil {
		return UnifiedOrderReply{}, fmt.Errorf("%s: answer: %w", op, d.err)
	}
	return UnifiedOrderReply{PrepayID: m["prepay_id"], CodeURL: m["code_url"], MWebURL: m["mweb_url"]}, nil
}

// OrderRequest names an order: by the merchant's number or by WeChat's, which
// only paid ones have.
type OrderRequest struct {
	AppID string
	Partner
	OutTradeNo    string
	TransactionID string
}

// errOneNumber says that a request must name its object by one number.
var errOneNumber = errors.New("request needs exactly one number")

// OrderQuery asks for the state of an order (section 9) and returns it with
// all fields of the answer.
func (c *Client) OrderQuery(ctx context.Context, r OrderRequest) (*Transaction, Message, error) {
	const op = "orderquery"
	if (r.OutTradeNo == "") == (r.TransactionID == "") {
		return nil, nil, fmt.Errorf("%s: %w", op, errOneNumber)
	}
	fields := Message{fieldAppID: r.AppID}
	r.addTo(fields)
	fields.set("out_trade_no", r.OutTradeNo)
	fields.set("transaction_id", r.TransactionID)
	m, err := c.do(ctx, call{op: op, path: "/pay/orderquery", fields: fields})
	if err != nil {
		return nil, nil, err
	}
	if m["trade_state"] == "" {
		return nil, nil, fmt.Errorf("%s: answer: trade_state is missing", op)
	}
	t, err := decodeTransaction(m, TradeState(m["trade_state"]))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: answer: %w", op, err)
	}
	if r.OutTradeNo != "" && t.OutTradeNo != r.OutTradeNo || r.TransactionID != "" && t.TransactionID != r.TransactionID {
		return nil, nil, fmt.Errorf("%s: answer is about another order", op)
	}
	return t, m, nil
}

// CloseOrder closes an unpaid order (section 10), named by the merchant's
// number. That it is closed already counts as success. A payment under way may
// still win, so query afterwards.
func (c *Client) CloseOrder(ctx context.Context, r OrderRequest) error {
	const op = "closeorder"
	if r.OutTradeNo == "" || r.TransactionID != "" {
		return fmt.Errorf("%s: %w", op, errOneNumber)
	}
	fields := Message{fieldAppID: r.AppID, "out_trade_no": r.OutTradeNo}
	r.addTo(fields)
	_, err := c.do(ctx, call{op: op, path: "/pay/closeorder", fields: fields})
	if e, ok := errors.AsType[*APIError](err); ok && !e.ReturnFail && e.Code == CodeOrderClosed {
		return nil
	}
	return err
}
