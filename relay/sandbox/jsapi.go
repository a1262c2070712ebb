package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// What WeixinJSBridge tells the page that asked (v3.md 10).
const (
	bridgeOK     = "get_brand_wcpay_request:ok"
	bridgeCancel = "get_brand_wcpay_request:cancel"
	bridgeFail   = "get_brand_wcpay_request:fail"
)

// jsapiPage is the payment window of the phone, or what came of it.
type jsapiPage struct {
	Assets     string
	Invocation payv3.JSAPIInvocation
	Order      order
	Result     string // for the page that asked; empty while the buyer decides
	Reason     string
}

// invocationOf reads the six values that a page pays with.
func invocationOf(values url.Values) payv3.JSAPIInvocation {
	return payv3.JSAPIInvocation{
		AppID:     values.Get("appId"),
		TimeStamp: values.Get("timeStamp"),
		NonceStr:  values.Get("nonceStr"),
		Package:   values.Get("package"),
		SignType:  values.Get("signType"),
		PaySign:   values.Get("paySign"),
	}
}

// checkInvocation finds the order of an invocation, as WeChat's app does:
// the prepay id lives, the app id is the order's, the signature is the
// merchant's.
func (s *Sandbox) checkInvocation(v payv3.JSAPIInvocation) (order, string) {
	prepayID, ok := strings.CutPrefix(v.Package, "prepay_id=")
	if !ok {
		return order{}, "package 参数错误 (package must be prepay_id=...)"
	}
	o, err := s.ledger.byPrepayID(prepayID)
	switch {
	case err != nil:
		return order{}, "prepay_id 无效 (no such prepay_id, or it was replaced)"
	case o.TradeType != tradeJSAPI:
		return order{}, "prepay_id 不是 JSAPI 下单所得 (the order is not one of JSAPI)"
	case o.AppID != v.AppID && (o.SubAppID == "" || o.SubAppID != v.AppID):
		return order{}, "appId 与下单不一致 (appId is not the order's)"
	case s.now().Sub(o.PreparedAt) >= prepayLife:
		return order{}, "prepay_id 已过期 (prepay_id is older than two hours)"
	}
	if !s.directory.merchants[o.MchID].signed(v, &o) {
		return order{}, "支付验证签名失败 (paySign does not fit)"
	}
	return o, ""
}

// signed reports whether the merchant signed the values in the way of the
// order: with a private key in APIv3, with the shared key and the algorithm of
// the order in APIv2 (v2.md 7).
func (m *merchant) signed(v payv3.JSAPIInvocation, o *order) bool {
	if o.API == apiV2 {
		return v.SignType == string(o.SignType) && payv2.VerifyJSAPI(payv2.JSAPIInvocation(v), m.APIv2Key) == nil
	}
	return slices.ContainsFunc(m.Certificates, func(c MerchantCertificate) bool {
		return c.Status == CertificateValid && payv3.VerifyJSAPI(v, c.PublicKey) == nil
	})
}

// serveJSAPI shows the payment window that bridge.js opens.
func (s *Sandbox) serveJSAPI(w http.ResponseWriter, r *http.Request) {
	s.renderJSAPI(w, r, invocationOf(r.URL.Query()))
}

// renderJSAPI asks the buyer, or says why there is nothing to ask.
func (s *Sandbox) renderJSAPI(w http.ResponseWriter, r *http.Request, v payv3.JSAPIInvocation) {
	shown := jsapiPage{Assets: assetsPath, Invocation: v}
	status := http.StatusOK
	var reason string
	if shown.Order, reason = s.checkInvocation(v); reason != "" {
		shown.Result, shown.Reason = bridgeFail, reason
		status = http.StatusBadRequest
	}
	s.pages.Render(w, r, status, "jsapi.html", shown)
}

// serveJSAPIResult takes the buyer's decision in the payment window.
func (s *Sandbox) serveJSAPIResult(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		s.renderMessage(w, r, http.StatusBadRequest, "the form is malformed")
		return
	}
	v := invocationOf(r.PostForm)
	o, reason := s.checkInvocation(v)
	if reason != "" {
		s.renderJSAPI(w, r, v)
		return
	}
	shown := jsapiPage{Assets: assetsPath, Invocation: v, Order: o, Result: bridgeCancel}
	if r.PostForm.Get("decision") == "pay" {
		shown.Result = bridgeOK
		request := &payRequest{OutTradeNo: o.OutTradeNo, MchID: o.MchID}
		//nolint:contextcheck // the notification outlives the request
		if _, err := s.pay(request, currentUser(r)); err != nil {
			shown.Result, shown.Reason = bridgeFail, err.Error()
		}
	}
	s.pages.Render(w, r, http.StatusOK, "jsapi.html", shown)
}
