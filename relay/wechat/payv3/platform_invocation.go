package payv3

import "crypto/rsa"

// VerifyJSAPI checks the signature of an invocation, as WeChat's app does
// before it lets a page ask for money. Errors are *RequestError.
func VerifyJSAPI(v JSAPIInvocation, key *rsa.PublicKey) error {
	if v.SignType != "RSA" {
		return &RequestError{Fault: FaultScheme}
	}
	if _, ok := parseTimestamp(v.TimeStamp); !ok {
		return &RequestError{Fault: FaultFormat}
	}
	if verifySignature(key, jsapiMessage(v.AppID, v.TimeStamp, v.NonceStr, v.Package), v.PaySign) != nil {
		return &RequestError{Fault: FaultSignature}
	}
	return nil
}

// VerifyAPP checks the signature of an app's invocation. mchID is the number
// that ordered the payment. Errors are *RequestError.
func VerifyAPP(v APPInvocation, mchID string, key *rsa.PublicKey) error {
	if v.PartnerID != mchID || v.Package != appPackage {
		return &RequestError{Fault: FaultFormat}
	}
	if _, ok := parseTimestamp(v.TimeStamp); !ok {
		return &RequestError{Fault: FaultFormat}
	}
	if verifySignature(key, appMessage(v.AppID, v.TimeStamp, v.NonceStr, v.PrepayID), v.Sign) != nil {
		return &RequestError{Fault: FaultSignature}
	}
	return nil
}
