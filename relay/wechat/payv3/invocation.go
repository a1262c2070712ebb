package payv3

import (
	"fmt"
	"strconv"
)

// JSAPIInvocation holds the values with which a page inside WeChat, or a
// mini-program, opens the payment (doc 4012365339). The names are WeChat's.
type JSAPIInvocation struct {
	AppID     string `json:"appId"`
	TimeStamp string `json:"timeStamp"` // seconds, as text
	NonceStr  string `json:"nonceStr"`
	Package   string `json:"package"`
	SignType  string `json:"signType"` // RSA; not signed
	PaySign   string `json:"paySign"`
}

// InvokeJSAPI signs the values for a prepay id. That the page's front end
// reports success proves nothing; query.
func (c *Client) InvokeJSAPI(appID, prepayID string) (JSAPIInvocation, error) {
	v := JSAPIInvocation{
		AppID:     appID,
		TimeStamp: strconv.FormatInt(c.now().Unix(), 10),
		Package:   "prepay_id=" + prepayID,
		SignType:  "RSA",
	}
	var err error
	if v.NonceStr, err = newNonce(c.rand, 32); err != nil {
		return JSAPIInvocation{}, fmt.Errorf("signing for jsapi: %w", err)
	}
	if v.PaySign, err = Sign(c.privateKey, jsapiMessage(v.AppID, v.TimeStamp, v.NonceStr, v.Package)); err != nil {
		return JSAPIInvocation{}, fmt.Errorf("signing for jsapi: %w", err)
	}
	return v, nil
}

// appPackage is the one value of package; neither signed nor different ever.
const appPackage = "Sign=WXPay"

// APPInvocation holds the values with which a native app opens the payment
// (doc 4012365340). The names are WeChat's.
type APPInvocation struct {
	AppID     string `json:"appid"`
	PartnerID string `json:"partnerid"` // the merchant number
	PrepayID  string `json:"prepayid"`
	Package   string `json:"package"` // Sign=WXPay
	NonceStr  string `json:"noncestr"`
	TimeStamp string `json:"timestamp"`
	Sign      string `json:"sign"`
}

// InvokeAPP signs the values for a prepay id of PrepayApp. A service provider is
// the partner itself: partnerid is its number, not the sub merchant's.
func (c *Client) InvokeAPP(appID, prepayID string) (APPInvocation, error) {
	v := APPInvocation{
		AppID:     appID,
		PartnerID: c.mchID,
		PrepayID:  prepayID,
		Package:   appPackage,
		TimeStamp: strconv.FormatInt(c.now().Unix(), 10),
	}
	var err error
	if v.NonceStr, err = newNonce(c.rand, 32); err != nil {
		return APPInvocation{}, fmt.Errorf("signing for app: %w", err)
	}
	if v.Sign, err = Sign(c.privateKey, appMessage(v.AppID, v.TimeStamp, v.NonceStr, v.PrepayID)); err != nil {
		return APPInvocation{}, fmt.Errorf("signing for app: %w", err)
	}
	return v, nil
}
