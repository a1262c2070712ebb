package sandbox

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// operationV2 is one call of APIv2 (v2.md 5).
type operationV2 struct {
	name      string // as fault filters spell it
	certified bool   // wants the merchant's client certificate
	rules     []ruleV2
	play      func(s *Sandbox, c *callV2) (payv2.Message, error)
}

// operationsV2 are the calls that the sandbox plays, by their paths.
func operationsV2() map[string]operationV2 {
	return map[string]operationV2{
		"/pay/unifiedorder":  {name: "prepay", rules: unifiedOrderRules, play: (*Sandbox).unifiedOrder},
		"/pay/orderquery":    {name: "query", rules: orderQueryRules, play: (*Sandbox).orderQuery},
		"/pay/closeorder":    {name: "close", rules: closeOrderRules, play: (*Sandbox).closeOrderV2},
		"/secapi/pay/refund": {name: "refund", certified: true, rules: refundRulesV2, play: (*Sandbox).startRefundV2},
		"/pay/refundquery":   {name: "refund_query", rules: refundQueryRules, play: (*Sandbox).refundQueryV2},
	}
}

// callV2 is one APIv2 call that was admitted.
type callV2 struct {
	merchant *merchant
	fields   payv2.Message
	signType payv2.SignType // of the request, and so of the answer
	origin   string         // of the sandbox, as the caller sees it
}

// v2Error is a refusal as APIv2 words it (v2.md 2).
type v2Error struct {
	code  string // err_code of a signed refusal; empty for one of the communication
	words string
}

// Error names code and words.
func (e *v2Error) Error() string { return e.code + " " + e.words }

// unsignedV2 refuses the communication: words alone, and nothing is signed.
// What WeChat's own words are is not documented; these name its codes, as
// some of its answers do.
func unsignedV2(words string) *v2Error { return &v2Error{words: words} }

// refuseV2 refuses the business of a call whose signature was right.
func refuseV2(code, words string) *v2Error { return &v2Error{code: code, words: words} }

// asV2Error turns any error of an operation into a refusal. What is none is
// the sandbox's own fault.
func asV2Error(err error) *v2Error {
	if refusal, ok := errors.AsType[*v2Error](err); ok {
		return refusal
	}
	return refuseV2("SYSTEMERROR", "系统错误")
}

// serveV2 answers the calls of one operation. The status is 200 whatever
// happened (v2.md 2).
func (s *Sandbox) serveV2(operation operationV2) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		call, err := s.admitV2(w, r, &operation)
		if err != nil {
			s.writeV2(w, payv2.FailReply(asV2Error(err).words))
			return
		}
		f := s.faults.take(apiFaultsV2, operation.name)
		spoil := func(e *apiError) {
			// The codes of the generations differ by an underline here and there.
			s.refuseCallV2(w, call, refuseV2(strings.Replace(e.code, "SYSTEM_ERROR", "SYSTEMERROR", 1), e.message))
		}
		if f != nil && s.faultBefore(w, r, f, spoil) {
			return
		}
		fields, err := s.playV2(&operation, call)
		if err != nil {
			refusal := asV2Error(err)
			if refusal.code == "SYSTEMERROR" {
				s.log.Error("sandbox: playing an API call", "operation", operation.name, "error", err)
			}
			s.refuseCallV2(w, call, refusal)
			return
		}
		if f != nil && s.faultAfter(r, f, spoil) {
			return
		}
		fields["result_code"] = "SUCCESS"
		s.replyV2(w, call, fields, f)
	}
}

// playV2 checks who calls for whom and with what, and plays the call.
func (s *Sandbox) playV2(operation *operationV2, c *callV2) (payv2.Message, error) {
	if err := s.checkPartiesV2(c); err != nil {
		return nil, err
	}
	if err := checkRulesV2(operation.rules, c.fields); err != nil {
		return nil, err
	}
	return operation.play(s, c)
}

// admitV2 reads a call and checks form, certificate and signature (v2.md 19).
// Its refusals are those of the communication.
func (s *Sandbox) admitV2(w http.ResponseWriter, r *http.Request, operation *operationV2) (*callV2, error) {
	if r.Method != http.MethodPost {
		return nil, unsignedV2("REQUIRE_POST_METHOD")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	switch {
	case err != nil:
		return nil, unsignedV2("请求体过大或不完整")
	case len(body) == 0:
		return nil, unsignedV2("POST_DATA_EMPTY")
	case !utf8.Valid(body):
		return nil, unsignedV2("NOT_UTF8")
	}
	m, err := payv2.ParseMessage(body)
	if err != nil {
		return nil, unsignedV2("XML_FORMAT_ERROR")
	}
	for _, name := range append([]string{"appid", "mch_id", "nonce_str", "sign"}, neededV2(operation.rules)...) {
		if m[name] == "" {
			return nil, unsignedV2("缺少参数" + name)
		}
	}
	known := s.directory.merchants[m["mch_id"]]
	switch {
	case known == nil:
		return nil, unsignedV2("商户号mch_id不存在 MCHID_NOT_EXIST")
	case len(known.APIv2Key) == 0:
		return nil, unsignedV2("商户未设置APIv2密钥")
	case operation.certified && !known.showsCertificate(r):
		return nil, unsignedV2("请使用商户API证书 (the connection shows no certificate of this merchant)")
	}
	signType, err := payv2.VerifyRequest(m, known.APIv2Key)
	if err != nil {
		return nil, unsignedV2("签名错误")
	}
	if !nonceForm.MatchString(m["nonce_str"]) {
		return nil, unsignedV2("nonce_str参数格式错误")
	}
	return &callV2{merchant: known, fields: m, signType: signType, origin: originOf(r)}, nil
}

// showsCertificate reports whether the connection shows a valid certificate
// of the merchant. Over plain HTTP, which a sandbox speaks on loopback and in
// private networks, there is none to see, and the call is let through; over
// TLS the server in front of the sandbox must ask clients for one.
func (m *merchant) showsCertificate(r *http.Request) bool {
	if r.TLS == nil {
		return true
	}
	if len(r.TLS.PeerCertificates) == 0 {
		return false
	}
	shown := r.TLS.PeerCertificates[0]
	known, ok := m.certificate(payv3.CertificateSerial(shown))
	return ok && known.Status == CertificateValid && known.PublicKey.Equal(shown.PublicKey)
}

// checkPartiesV2 checks who calls for whom. Its refusals are signed.
func (s *Sandbox) checkPartiesV2(c *callV2) error {
	subMchID, subAppID := c.fields["sub_mch_id"], c.fields["sub_appid"]
	sub, known := c.merchant.subMerchant(subMchID)
	switch {
	case s.directory.accounts[c.fields["appid"]] == nil:
		return refuseV2("APPID_NOT_EXIST", "appid不存在")
	case !c.merchant.bound(c.fields["appid"]):
		return refuseV2("APPID_MCHID_NOT_MATCH", "appid和mch_id不匹配")
	case subMchID != "" && !known:
		return refuseV2("NOAUTH", "特约子商户商户号未授权服务商的产品权限")
	case subAppID != "" && !slices.Contains(sub.AppIDs, subAppID):
		return refuseV2("APPID_MCHID_NOT_MATCH", "sub_appid与sub_mch_id不匹配")
	}
	return nil
}

// refuseCallV2 sends a signed refusal of the business, or an unsigned one.
func (s *Sandbox) refuseCallV2(w http.ResponseWriter, c *callV2, e *v2Error) {
	if e.code == "" {
		s.writeV2(w, payv2.FailReply(e.words))
		return
	}
	s.replyV2(w, c, payv2.Message{"result_code": "FAIL", "err_code": e.code, "err_code_des": e.words}, nil)
}

// replyV2 adds the common fields, signs and sends, wrongly when a fault asks
// for it.
func (s *Sandbox) replyV2(w http.ResponseWriter, c *callV2, fields payv2.Message, f *fault) {
	for _, name := range []string{"appid", "mch_id", "sub_appid", "sub_mch_id", "device_info"} {
		if value := c.fields[name]; value != "" {
			fields[name] = value
		}
	}
	key := c.merchant.APIv2Key
	if f != nil && f.Name == faultAPIWrongSignature {
		key = forgerKeyV2
	}
	body, err := payv2.SignedReply(fields, key, c.signType, s.rand)
	if err != nil {
		s.fail(w, "answering", err)
		return
	}
	if f != nil && f.Name == faultAPIUnsigned {
		fields["return_code"] = "SUCCESS"
		body = fields.Encode()
	}
	s.writeV2(w, body)
}

// writeV2 sends an answer.
func (s *Sandbox) writeV2(w http.ResponseWriter, body []byte) {
	s.write(w, apiReply{status: http.StatusOK, body: body, contentType: "text/xml; charset=utf-8"})
}

// forgerKeyV2 is what an attacker signs with, who does not know the key.
var forgerKeyV2 = []byte("SANDBOXattackersKey0000000000000")
