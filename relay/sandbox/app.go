package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// appRequest is the body of POST /sandbox/app: a native app hands its seven
// values to WeChat's, and the buyer decides there.
type appRequest struct {
	payv3.APPInvocation
	OpenID  string `json:"openid"`  // default: who holds the phone
	Outcome string `json:"outcome"` // success, the default, or cancel
}

// errInvocation says that WeChat's app would not open the payment.
var errInvocation = errors.New("the seven values do not open a payment")

// checkApp finds the order of an app's invocation, as WeChat's app does: the
// prepay id lives, app and partner are the order's, the signature is the
// merchant's.
func (s *Sandbox) checkApp(v payv3.APPInvocation) (order, error) {
	o, err := s.ledger.byPrepayID(v.PrepayID)
	switch {
	case err != nil, o.TradeType != tradeApp:
		return order{}, fmt.Errorf("%w: prepayid is not one of an APP order, or was replaced", errInvocation)
	case v.AppID != o.payingAppID():
		return order{}, fmt.Errorf("%w: appid is not the order's", errInvocation)
	case v.PartnerID != o.MchID:
		return order{}, fmt.Errorf("%w: partnerid is not the order's", errInvocation)
	case s.now().Sub(o.PreparedAt) >= prepayLife:
		return order{}, fmt.Errorf("%w: prepayid is older than two hours", errInvocation)
	case !s.directory.merchants[o.MchID].signedApp(v, &o):
		return order{}, fmt.Errorf("%w: sign does not fit", errInvocation)
	}
	return o, nil
}

// signedApp reports whether the merchant signed the values in the way of the
// order (v3.md 10, v2.md 7).
func (m *merchant) signedApp(v payv3.APPInvocation, o *order) bool {
	if o.API == apiV2 {
		return payv2.VerifyApp(payv2.AppInvocation(v), m.APIv2Key, o.SignType) == nil
	}
	return slices.ContainsFunc(m.Certificates, func(c MerchantCertificate) bool {
		return c.Status == CertificateValid && payv3.VerifyAPP(v, m.MchID, c.PublicKey) == nil
	})
}

// serveApp answers POST /sandbox/app.
func (s *Sandbox) serveApp(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	request := appRequest{}
	if err == nil {
		err = decodeJSON(body, &request)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	o, err := s.checkApp(request.APPInvocation)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "SIGN_ERROR", Message: err.Error()})
		return
	}
	//nolint:contextcheck // the notification outlives the request
	result, err := s.pay(&payRequest{
		OutTradeNo: o.OutTradeNo, MchID: o.MchID, OpenID: request.OpenID, Outcome: request.Outcome,
	}, currentUser(r))
	if err != nil {
		writeJSON(w, payStatus(err), errorBody{Code: payCode(err), Message: err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, result)
}
