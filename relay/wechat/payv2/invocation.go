package payv2

import (
	"fmt"
	"strconv"
)

// JSAPIInvocation holds the values with which a page inside WeChat, or a
// mini-program, opens the payment (section 7). The names are WeChat's.
type JSAPIInvocation struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"` // seconds, as text
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`
	SignType  string `json:"signType"` // that of the order
	PaySign   string `json:"paySign"`
}

func (v JSAPIInvocation) fields() Message {
	return Message{"appId": v.AppID, "timeStamp": v.TimeStamp, "nonceStr": v.NonceStr, "package": v.Package, "signType": v.SignType}
}

// InvokeJSAPI signs the values for a prepay id. That the page's front end
// reports success proves nothing; query.
func (c *Client) InvokeJSAPI(appID, prepayID string) (JSAPIInvocation, error) {
	nonce, err := newNonce(c.rand)
	if err != nil {
		return JSAPIInvocation{}, fmt.Errorf("signing for jsapi: %w", err)
	}
	v := JSAPIInvocation{
		AppID:     appID,
		TimeStamp: strconv.FormatInt(c.now().Unix(), 10),
		NonceStr:  nonce,
		Package:   "prepay_id=" + prepayID,
		SignType:  string(c.signType),
	}
	v.PaySign = Sign(v.fields(), c.key, c.signType)
	return v, nil
}

// AppInvocation holds the values with which a native app opens the payment
// (section 7). The names are WeChat's.
type AppInvocation struct {
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"` // the merchant number
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"` // Sign=WXPay
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"`
	Sign      string `json:"sign"`
}

func (v AppInvocation) fields() Message {
	return Message{
		"appid": v.AppID, "partnerid": v.PartnerID, "prepayid": v.PrepayID,
		"package": v.Package, "noncestr": v.NonceStr, "timestamp": v.TimeStamp,
	}
}

// InvokeApp signs the values for a prepay id of the APP trade type.
func (c *Client) InvokeApp(appID, prepayID string) (AppInvocation, error) {
	nonce, err := newNonce(c.rand)
	if err != nil {
		return AppInvocation{}, fmt.Errorf("signing for app: %w", err)
	}
	v := AppInvocation{
		AppID:     appID,
		PartnerID: c.mchID,
		PrepayID:  prepayID,
		Package:   "Sign=WXPay",
		NonceStr:  nonce,
		TimeStamp: strconv.FormatInt(c.now().Unix(), 10),
	}
	v.Sign = Sign(v.fields(), c.key, c.signType)
	return v, nil
}
