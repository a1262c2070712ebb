package sandbox

import (
	"errors"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// WeChat's words on a request that it does not believe (v3.md 3).
const (
	textNoKey         = "商户未设置APIv3密钥，请在商户平台设置后再试"
	textNoCertificate = "商户未申请过证书，请到商户平台申请API证书"
	textWrongSerial   = "商户证书序列号有误，请使用签名私钥匹配的证书序列号"
	textExpired       = "商户证书已过期，请更换为有效的证书"
	textRevoked       = "商户证书已作废，请更换为有效的证书"
	textReplaced      = "商户证书已被更换，请使用新的证书"
	textSignature     = "错误的签名，验签失败"
	textMalformed     = "Http头Authorization值格式错误，请参考《微信支付商户REST API签名规则》"
	textScheme        = "Http头Authorization认证类型不正确"
	textTimestamp     = "Http头Authorization中的timestamp与发起请求的时间不得超过5分钟"
)

// truncatedMessage is how many bytes of the message a 401 shows.
const truncatedMessage = 256

// unsigned makes a 401.
func unsigned(message string, detail *errorDetail) *apiError {
	return &apiError{
		status: http.StatusUnauthorized, code: "SIGN_ERROR", message: message, number: logSignature, detail: detail,
	}
}

// badHeader makes the 401 of a faulty part of the Authorization header.
func badHeader(message, field, value, issue string) *apiError {
	return unsigned(message, &errorDetail{Field: field, Value: value, Issue: issue, Location: "authorization"})
}

// authenticate finds out which merchant signed a request (v3.md 3).
func (s *Sandbox) authenticate(r *http.Request, target string, body []byte) (*merchant, error) {
	headers := r.Header.Values("Authorization")
	if len(headers) != 1 {
		return nil, badHeader(textMalformed, "Authorization", "", "the header must occur once")
	}
	a, err := payv3.ParseAuthorization(headers[0])
	switch {
	case errors.Is(err, payv3.ErrAuthorizationScheme):
		return nil, badHeader(textScheme, "Authorization", "", "the scheme must be WECHATPAY2-SHA256-RSA2048")
	case err != nil:
		return nil, badHeader(textMalformed, "Authorization", "", "the header is malformed")
	}
	m := s.directory.merchants[a.MchID]
	if m == nil {
		return nil, refuse(http.StatusBadRequest, "MCH_NOT_EXISTS", "商户号不存在", logNoMerchant)
	}
	certificate, refusal := m.signer(a.SerialNo)
	if refusal != nil {
		return nil, refusal
	}
	err = payv3.VerifyRequest(r.Method, target, headers[0], body, certificate.PublicKey, s.now())
	if err == nil {
		return m, nil
	}
	return nil, signatureRefusal(err, r.Method, target, a, body)
}

// signer finds the certificate that a merchant says it signed with.
func (m *merchant) signer(serial string) (MerchantCertificate, *apiError) {
	if m.cipher == nil {
		return MerchantCertificate{}, unsigned(textNoKey, nil)
	}
	if len(m.Certificates) == 0 {
		return MerchantCertificate{}, unsigned(textNoCertificate, nil)
	}
	certificate, ok := m.certificate(serial)
	if !ok {
		return certificate, badHeader(textWrongSerial, "serial_no", serial, "serial not found")
	}
	switch certificate.Status {
	case CertificateExpired:
		return certificate, badHeader(textExpired, "serial_no", serial, "certificate expired")
	case CertificateRevoked:
		return certificate, badHeader(textRevoked, "serial_no", serial, "certificate revoked")
	case CertificateReplaced:
		return certificate, badHeader(textReplaced, "serial_no", serial, "certificate replaced")
	case CertificateValid:
	}
	return certificate, nil
}

// signatureRefusal words what VerifyRequest found.
func signatureRefusal(err error, method, target string, a payv3.Authorization, body []byte) *apiError {
	found, ok := errors.AsType[*payv3.RequestError](err)
	if !ok {
		return badHeader(textMalformed, "Authorization", "", "the header is malformed")
	}
	switch found.Fault {
	case payv3.FaultTimestamp:
		return badHeader(textTimestamp, "timestamp", a.Timestamp, "timestamp out of range")
	case payv3.FaultSignature:
		message := payv3.RequestMessage(method, target, a.Timestamp, a.Nonce, body)
		return unsigned(textSignature, &errorDetail{
			Field: "signature", Issue: "sign not match", Location: "authorization",
			SignInformation: &signInformation{
				Method:               method,
				URL:                  target,
				TruncatedSignMessage: truncate(message, truncatedMessage),
				SignMessageLength:    len(message),
			},
		})
	case payv3.FaultScheme, payv3.FaultFormat:
	}
	return badHeader(textMalformed, "Authorization", "", "the header is malformed")
}

// truncate cuts text to limit bytes on a character border.
func truncate(text []byte, limit int) string {
	if len(text) > limit {
		text = text[:limit]
		for len(text) > 0 && !utf8.RuneStart(text[len(text)-1]) {
			text = text[:len(text)-1]
		}
	}
	return strings.ToValidUTF8(string(text), "")
}
