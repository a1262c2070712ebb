package sandbox

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// edited returns a copy of m with fields set, or left out for "-".
func edited(m payv2.Message, fields ...string) payv2.Message {
	m = maps.Clone(m)
	for i := 0; i+1 < len(fields); i += 2 {
		m[fields[i]] = fields[i+1]
		if fields[i+1] == "-" {
			delete(m, fields[i])
		}
	}
	return m
}

// signedV2 are the common fields beside others, signed.
func signedV2(st payv2.SignType, fields payv2.Message) payv2.Message {
	m := maps.Clone(fields)
	for name, value := range map[string]string{"appid": DefaultAppID, "mch_id": DefaultMchID, "nonce_str": "nonce0123456789ABCDEF"} {
		if _, given := m[name]; !given {
			m[name] = value
		}
	}
	if st != payv2.SignMD5 {
		m["sign_type"] = string(st)
	}
	m["sign"] = payv2.Sign(m, []byte(DefaultAPIv2Key), st)
	return m
}

// sendV2 posts a body as it is.
func sendV2(s *Sandbox, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

// callingV2 makes a signed call and returns the answer, whose signature must
// be right wherever there is one.
func callingV2(t *testing.T, s *Sandbox, path string, fields payv2.Message) payv2.Message {
	t.Helper()
	w := sendV2(s, path, string(signedV2(payv2.SignHMACSHA256, fields).Encode()))
	mustStatus(t, w, http.StatusOK)
	m, err := payv2.ParseAnswer(w.Body.Bytes())
	if err != nil {
		t.Fatalf("answer %s: %v", w.Body, err)
	}
	if m["return_code"] == "FAIL" {
		if m["sign"] != "" || m["result_code"] != "" {
			t.Errorf("a failed communication is signed or has a result: %q", m)
		}
		return m
	}
	if got := payv2.Sign(m, []byte(DefaultAPIv2Key), payv2.SignHMACSHA256); got != m["sign"] || m["nonce_str"] == "" || m["mch_id"] != DefaultMchID {
		t.Errorf("answer is not signed rightly: %q", m)
	}
	return m
}

// outcomeV2 sums an answer up: the code of a signed refusal, the words of an
// unsigned one, SUCCESS.
func outcomeV2(m payv2.Message) string {
	switch {
	case m["return_code"] == "FAIL":
		return m["return_msg"]
	case m["result_code"] == "FAIL":
		return m["err_code"]
	default:
		return m["result_code"]
	}
}

// orderV2 are the fields of a request for a NATIVE order.
func orderV2(fields ...string) payv2.Message {
	return edited(payv2.Message{
		"body": "一本书", "out_trade_no": "T00001", "total_fee": "100", "spbill_create_ip": "203.0.113.9",
		"notify_url": "http://127.0.0.1/wechat/notify/main", "trade_type": "NATIVE", "product_id": "T00001",
	}, fields...)
}

const unifiedOrder = "/pay/unifiedorder"

func TestUnifiedOrderV2(t *testing.T) {
	t.Parallel()
	openID := OpenID(DefaultAppID, "ming")
	subOpenID := OpenID(DefaultSubAppID, "ming")
	jsapi := []string{"trade_type", "JSAPI", "product_id", "-"}
	h5 := []string{"trade_type", "MWEB", "product_id", "-"}
	wap := `{"h5_info":{"type":"Wap","wap_url":"https://shop.example","wap_name":"shop"}}`
	with := func(base []string, more ...string) []string { return append(append([]string{}, base...), more...) }
	tests := []struct {
		name   string
		fields []string
		want   string // SUCCESS, an err_code, or a part of return_msg
	}{
		{"native", nil, "SUCCESS"},
		{"empty fields are none", []string{"attach", "", "detail", ""}, "SUCCESS"},
		{"unknown field", []string{"something_new", "1"}, "SUCCESS"},
		{"everything", []string{"device_info", "WEB", "detail", `{"cost_price":1}`, "attach", "x", "fee_type", "CNY", "time_start", "20261122120000", "time_expire", "20261122140000", "goods_tag", "g", "limit_pay", "no_credit", "receipt", "Y", "profit_sharing", "Y", "version", "1.0"}, "SUCCESS"},
		{"jsapi", with(jsapi, "openid", openID), "SUCCESS"},
		{"jsapi in the mini-program", with(jsapi, "appid", DefaultMiniProgramAppID, "openid", OpenID(DefaultMiniProgramAppID, "ming")), "SUCCESS"},
		{"app", []string{"appid", DefaultMobileAppID, "trade_type", "APP", "product_id", "-"}, "SUCCESS"},
		{"h5", with(h5, "scene_info", wap), "SUCCESS"},
		{"h5 from an app", with(h5, "scene_info", `{"h5_info":{"type":"IOS","app_name":"a","bundle_id":"b"}}`), "SUCCESS"},
		{"for a sub merchant", with(jsapi, "sub_mch_id", DefaultSubMchID, "openid", openID), "SUCCESS"},
		{"for a sub merchant's own user", with(jsapi, "sub_mch_id", DefaultSubMchID, "sub_appid", DefaultSubAppID, "sub_openid", subOpenID), "SUCCESS"},

		{"no body", []string{"body", "-"}, "缺少参数body"},
		{"empty body", []string{"body", ""}, "缺少参数body"},
		{"no number", []string{"out_trade_no", "-"}, "缺少参数out_trade_no"},
		{"no amount", []string{"total_fee", "-"}, "缺少参数total_fee"},
		{"no address", []string{"spbill_create_ip", "-"}, "缺少参数spbill_create_ip"},
		{"no notify_url", []string{"notify_url", "-"}, "缺少参数notify_url"},
		{"no type", []string{"trade_type", "-"}, "缺少参数trade_type"},
		{"no app id", []string{"appid", ""}, "缺少参数appid"},
		{"no merchant", []string{"mch_id", ""}, "缺少参数mch_id"},
		{"no nonce", []string{"nonce_str", ""}, "缺少参数nonce_str"},
		{"unknown merchant", []string{"mch_id", "1900000001"}, "MCHID_NOT_EXIST"},
		{"unknown app id", []string{"appid", "wx0000000000000000"}, "APPID_NOT_EXIST"},
		{"foreign app id", []string{"appid", DefaultSubAppID}, "APPID_MCHID_NOT_MATCH"},
		{"unknown sub merchant", []string{"sub_mch_id", "1900000001"}, "NOAUTH"},
		{"sub app without sub merchant", []string{"sub_appid", DefaultSubAppID}, "APPID_MCHID_NOT_MATCH"},
		{"foreign sub app", []string{"sub_mch_id", DefaultSubMchID, "sub_appid", DefaultAppID}, "APPID_MCHID_NOT_MATCH"},
		{"odd nonce", []string{"nonce_str", "a-b"}, "nonce_str"},
		{"long nonce", []string{"nonce_str", strings.Repeat("a", 33)}, "nonce_str"},
		{"long body", []string{"body", strings.Repeat("书", 43)}, "PARAM_ERROR"},
		{"long attach", []string{"attach", strings.Repeat("a", 128)}, "PARAM_ERROR"},
		{"short number", []string{"out_trade_no", "T0001"}, "PARAM_ERROR"},
		{"odd number", []string{"out_trade_no", "T00001/"}, "PARAM_ERROR"},
		{"amount of nothing", []string{"total_fee", "0"}, "PARAM_ERROR"},
		{"negative amount", []string{"total_fee", "-1"}, "PARAM_ERROR"},
		{"amount in yuan", []string{"total_fee", "1.00"}, "PARAM_ERROR"},
		{"amount with a zero", []string{"total_fee", "0100"}, "PARAM_ERROR"},
		{"currency", []string{"fee_type", "HKD"}, "PARAM_ERROR"},
		{"no IP address", []string{"spbill_create_ip", "here"}, "PARAM_ERROR"},
		{"detail", []string{"detail", "{"}, "PARAM_ERROR"},
		{"time", []string{"time_expire", "2026-11-22 14:00:00"}, "PARAM_ERROR"},
		{"time too near", []string{"time_expire", "20261122120059"}, "PARAM_ERROR"},
		{"time just far enough", []string{"time_expire", "20261122120100"}, "SUCCESS"},
		{"time too far", []string{"time_expire", "20270522120100"}, "PARAM_ERROR"},
		{"notify_url with a query", []string{"notify_url", "http://127.0.0.1/n?x=1"}, "PARAM_ERROR"},
		{"notify_url in public", []string{"notify_url", "https://93.184.216.34/n"}, "PARAM_ERROR"},
		{"unknown type", []string{"trade_type", "MICROPAY"}, "PARAM_ERROR"},
		{"native without product", []string{"product_id", "-"}, "product_id"},
		{"jsapi without payer", jsapi, "openid"},
		{"jsapi with a stranger", with(jsapi, "openid", "oNobody"), "PARAM_ERROR"},
		{"jsapi with another account's payer", with(jsapi, "openid", OpenID(DefaultMiniProgramAppID, "ming")), "PARAM_ERROR"},
		{"jsapi with two payers", with(jsapi, "openid", openID, "sub_mch_id", DefaultSubMchID, "sub_appid", DefaultSubAppID, "sub_openid", subOpenID), "PARAM_ERROR"},
		{"sub payer without sub app", with(jsapi, "sub_mch_id", DefaultSubMchID, "sub_openid", subOpenID), "sub_appid"},
		{"jsapi in an app", with(jsapi, "appid", DefaultMobileAppID, "openid", OpenID(DefaultMobileAppID, "ming")), "INVALID_REQUEST"},
		{"app in a page", []string{"trade_type", "APP"}, "INVALID_REQUEST"},
		{"h5 without scene", h5, "scene_info"},
		{"h5 with a shop", with(h5, "scene_info", `{"store_info":{"id":"1"}}`), "PARAM_ERROR"},
		{"h5 without site", with(h5, "scene_info", `{"h5_info":{"type":"Wap"}}`), "PARAM_ERROR"},
		{"h5 of no type", with(h5, "scene_info", `{"h5_info":{"type":"Web"}}`), "PARAM_ERROR"},
		{"h5 from the machine itself", with(h5, "scene_info", wap, "spbill_create_ip", "127.0.0.1"), "PARAM_ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			m := callingV2(t, s, unifiedOrder, orderV2(tt.fields...))
			if got := outcomeV2(m); !strings.Contains(got, tt.want) {
				t.Fatalf("got %q: %q, want %s", got, m, tt.want)
			}
			if tt.want != "SUCCESS" {
				if _, err := s.ledger.byOutTradeNo("T00001"); err == nil {
					t.Error("a refused order exists")
				}
				return
			}
			switch kind := m["trade_type"]; {
			case !strings.HasPrefix(m["prepay_id"], "wx"),
				(m["code_url"] != "") != (kind == "NATIVE"),
				strings.HasPrefix(m["mweb_url"], "http://example.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=") != (kind == "MWEB"):
				t.Errorf("answer %q", m)
			}
		})
	}
}

// TestRepeatedOrderV2 follows the rule of re-entry (v2.md 6).
func TestRepeatedOrderV2(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	ordered := func(fields ...string) payv2.Message { return callingV2(t, s, unifiedOrder, orderV2(fields...)) }
	expiring := []string{"time_expire", "20261122120130", "attach", "x"}
	first := ordered(expiring...)
	clock.set(clock.now().Add(time.Minute)) // so that the time of expiry is too near for a new order
	again := ordered(append(expiring, "nonce_str", "another")...)
	if outcomeV2(again) != "SUCCESS" || again["prepay_id"] == first["prepay_id"] || again["code_url"] == first["code_url"] {
		t.Errorf("the same again: %q after %q", again, first)
	}
	if _, err := s.ledger.byCode(first["code_url"]); err == nil {
		t.Error("the replaced code lives on")
	}
	for name, fields := range map[string][]string{
		"amount": {"total_fee", "101"}, "body": {"body", "zwei"}, "attach": {"attach", "y"}, "no attach": {"attach", "-"},
		"time": {"time_expire", "20261122120230"}, "type": {"trade_type", "JSAPI", "openid", OpenID(DefaultAppID, "ming")},
	} {
		if m := ordered(append(append([]string{}, expiring...), fields...)...); m["err_code"] != "INVALID_REQUEST" || !strings.HasPrefix(m["err_code_des"], "201") {
			t.Errorf("another %s: %q", name, m)
		}
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	if got := outcomeV2(ordered(expiring...)); got != "ORDERPAID" {
		t.Errorf("of a paid order: %s", got)
	}
	ordered("out_trade_no", "T00002")
	callingV2(t, s, "/pay/closeorder", payv2.Message{"out_trade_no": "T00002"})
	if got := outcomeV2(ordered("out_trade_no", "T00002")); got != "ORDERCLOSED" {
		t.Errorf("of a closed order: %s", got)
	}
}

// TestAdmissionV2: what is refused before anything is looked at.
func TestAdmissionV2(t *testing.T) {
	t.Parallel()
	good := signedV2(payv2.SignMD5, orderV2())
	encoded := func(m payv2.Message) string { return string(m.Encode()) }
	tests := []struct {
		name, body, want string
	}{
		{"MD5 by default", encoded(good), "SUCCESS"},
		{"MD5 by name", encoded(signedV2(payv2.SignMD5, orderV2("sign_type", "MD5"))), "SUCCESS"},
		{"HMAC-SHA256", encoded(signedV2(payv2.SignHMACSHA256, orderV2())), "SUCCESS"},
		{"empty", "", "POST_DATA_EMPTY"},
		{"JSON", "{}", "XML_FORMAT_ERROR"},
		{"document type", "<!DOCTYPE xml>" + encoded(good), "XML_FORMAT_ERROR"},
		{"duplicate", strings.Replace(encoded(good), "<xml>", "<xml><body>x</body>", 1), "XML_FORMAT_ERROR"},
		{"nesting", "<xml><a><b>1</b></a></xml>", "XML_FORMAT_ERROR"},
		{"GBK", "<xml><body>\xc4\xe3</body></xml>", "NOT_UTF8"},
		{"too long", encoded(good) + strings.Repeat(" ", maxBody), "请求体过大"},
		{"unsigned", encoded(edited(good, "sign", "-")), "缺少参数sign"},
		{"wrong signature", encoded(edited(good, "total_fee", "1")), "签名错误"},
		{"unknown field outside the signature", encoded(edited(good, "new", "1")), "签名错误"},
		{"lower case", encoded(edited(good, "sign", strings.ToLower(good["sign"]))), "签名错误"},
		{"unknown algorithm", encoded(edited(good, "sign_type", "SHA1")), "签名错误"},
		{"other algorithm than it says", encoded(edited(signedV2(payv2.SignMD5, orderV2("sign_type", "HMAC-SHA256")), "x", "-")), "签名错误"},
		{"other key", encoded(edited(good, "sign", payv2.Sign(good, forgerKeyV2, payv2.SignMD5))), "签名错误"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := sendV2(newSandbox(t, Options{}), unifiedOrder, tt.body)
			m, err := payv2.ParseMessage(w.Body.Bytes())
			if err != nil || w.Code != http.StatusOK || !strings.Contains(outcomeV2(m), tt.want) {
				t.Errorf("got %d %q, %v; want %s", w.Code, m, err, tt.want)
			}
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
		w := httptest.NewRecorder()
		newSandbox(t, Options{}).ServeHTTP(w, httptest.NewRequest(method, unifiedOrder, strings.NewReader(encoded(good))))
		if !strings.Contains(w.Body.String(), "REQUIRE_POST_METHOD") {
			t.Errorf("%s: %s", method, w.Body)
		}
	}
}

// TestMerchantWithoutKeyV2: a merchant that never set an APIv2 key cannot
// call, whatever it signs with.
func TestMerchantWithoutKeyV2_A03(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: []Merchant{{MchID: "1900000001", AppIDs: []string{DefaultAppID}}}})
	m := signedV2(payv2.SignMD5, orderV2("mch_id", "1900000001"))
	m["sign"] = payv2.Sign(m, nil, payv2.SignMD5)
	if w := sendV2(s, unifiedOrder, string(m.Encode())); !strings.Contains(w.Body.String(), "APIv2密钥") {
		t.Errorf("got %s", w.Body)
	}
}

func TestOrderQueryAndCloseV2(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	asked := func(fields ...string) payv2.Message {
		return callingV2(t, s, "/pay/orderquery", edited(payv2.Message{"out_trade_no": "T00001"}, fields...))
	}
	closed := func(fields ...string) string {
		return outcomeV2(callingV2(t, s, "/pay/closeorder", edited(payv2.Message{"out_trade_no": "T00001"}, fields...)))
	}
	if got := outcomeV2(asked()); got != "ORDERNOTEXIST" {
		t.Errorf("before the order: %s", got)
	}
	if got := closed(); got != "ORDERNOTEXIST" {
		t.Errorf("closing nothing: %s", got)
	}
	callingV2(t, s, unifiedOrder, orderV2("attach", "x&y"))
	if m := asked(); m["trade_state"] != "NOTPAY" || m["attach"] != "x&y" || m["total_fee"] != "" || m["openid"] != "" {
		t.Errorf("unpaid: %q", m)
	}
	if got := outcomeV2(asked("sub_mch_id", DefaultSubMchID)); got != "ORDERNOTEXIST" {
		t.Errorf("as a sub merchant's: %s", got)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	m := asked()
	if m["trade_state"] != "SUCCESS" || m["total_fee"] != "100" || m["cash_fee"] != "100" || m["openid"] != OpenID(DefaultAppID, "ming") ||
		m["trade_type"] != "NATIVE" || m["time_end"] != "20261122120000" || m["transaction_id"] == "" {
		t.Errorf("paid: %q", m)
	}
	if byID := asked("out_trade_no", "-", "transaction_id", m["transaction_id"]); byID["out_trade_no"] != "T00001" {
		t.Errorf("by WeChat's number: %q", byID)
	}
	if got := outcomeV2(asked("out_trade_no", "-")); !strings.Contains(got, "transaction_id") {
		t.Errorf("without a number: %s", got)
	}
	if got := closed(); got != "ORDERPAID" {
		t.Errorf("closing a paid order: %s", got)
	}
	callingV2(t, s, unifiedOrder, orderV2("out_trade_no", "T00002"))
	if first, second := closed("out_trade_no", "T00002"), closed("out_trade_no", "T00002"); first != "SUCCESS" || second != "ORDERCLOSED" {
		t.Errorf("closing twice: %s, %s", first, second)
	}
}

// TestGenerationsShareTheLedger: each can ask for, close and refund what the
// other began (v2.md 1).
func TestGenerationsShareTheLedger(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	callingV2(t, s, unifiedOrder, orderV2())
	mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00003"})).send(t, s), http.StatusOK)
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.TradeState != "NOTPAY" {
		t.Errorf("v3 asks for an order of v2: %+v", got)
	}
	if m := callingV2(t, s, "/pay/orderquery", payv2.Message{"out_trade_no": "T00003"}); m["trade_state"] != "NOTPAY" {
		t.Errorf("v2 asks for an order of v3: %q", m)
	}
	if m := callingV2(t, s, unifiedOrder, orderV2("out_trade_no", "T00003")); m["err_code"] != "INVALID_REQUEST" {
		t.Errorf("v2 repeats an order of v3: %q", m)
	}
	mustStatus(t, closing("T00001").send(t, s), http.StatusNoContent)
	if m := callingV2(t, s, "/pay/closeorder", payv2.Message{"out_trade_no": "T00001"}); m["err_code"] != "ORDERCLOSED" {
		t.Errorf("v2 closes what v3 closed: %q", m)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00003"}`), http.StatusOK)
	refund := payv2.Message{"out_trade_no": "T00003", "out_refund_no": "R1", "total_fee": "100", "refund_fee": "30"}
	if m := callingV2(t, s, "/secapi/pay/refund", refund); outcomeV2(m) != "SUCCESS" {
		t.Errorf("v2 refunds an order of v3: %q", m)
	}
	if got := refundOf(t, refundQuery("R1").send(t, s)); got.Amount.Refund != 30 {
		t.Errorf("v3 asks for a refund of v2: %+v", got)
	}
	refundOf(t, refunding(refundBody(t, "R2", 70, map[string]any{"out_trade_no": "T00003"})).send(t, s))
	if m := callingV2(t, s, "/pay/refundquery", payv2.Message{"out_trade_no": "T00003"}); m["refund_count"] != "2" || m["out_refund_no_1"] != "R2" {
		t.Errorf("v2 asks for both refunds: %q", m)
	}
}

// TestAPIFaultsV2 plays the faults of answers in the form of APIv2.
func TestAPIFaultsV2(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault  string
		code   string // of the answer
		effect bool
		plain  bool // the answer is not XML
	}{
		{faultAPI429, "FREQUENCY_LIMITED", false, false},
		{faultAPI500Before, "SYSTEMERROR", false, false},
		{faultAPI500After, "SYSTEMERROR", true, false},
		{faultAPI502, "", false, true},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+tt.fault+`","operation":"prepay"}`), http.StatusOK)
			if tt.plain {
				w := sendV2(s, unifiedOrder, string(signedV2(payv2.SignMD5, orderV2()).Encode()))
				mustStatus(t, w, http.StatusBadGateway)
			} else if m := callingV2(t, s, unifiedOrder, orderV2()); m["err_code"] != tt.code {
				t.Errorf("answer %q, want %s", m, tt.code)
			}
			if _, err := s.ledger.byOutTradeNo("T00001"); (err == nil) != tt.effect {
				t.Errorf("effect %t, want %t", err == nil, tt.effect)
			}
			if m := callingV2(t, s, unifiedOrder, orderV2()); outcomeV2(m) != "SUCCESS" {
				t.Errorf("afterwards: %q", m)
			}
		})
	}
	for _, name := range []string{faultAPIUnsigned, faultAPIWrongSignature} {
		s := newSandbox(t, Options{})
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`"}`), http.StatusOK)
		w := sendV2(s, unifiedOrder, string(signedV2(payv2.SignMD5, orderV2()).Encode()))
		m, err := payv2.ParseMessage(w.Body.Bytes())
		if err != nil || m["return_code"] != "SUCCESS" || m["prepay_id"] == "" || m["sign"] == payv2.Sign(m, []byte(DefaultAPIv2Key), payv2.SignMD5) {
			t.Errorf("%s: %q, %v", name, m, err)
		}
	}
	for _, name := range []string{faultAPICut, faultAPICutBefore} {
		s := newSandbox(t, Options{})
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`"}`), http.StatusOK)
		if !cutsConnection(func() { sendV2(s, unifiedOrder, string(signedV2(payv2.SignMD5, orderV2()).Encode())) }) {
			t.Errorf("%s: the connection is not cut", name)
		}
		if _, err := s.ledger.byOutTradeNo("T00001"); (err == nil) != (name == faultAPICut) {
			t.Errorf("%s: effect %t", name, err == nil)
		}
	}
	// What APIv2 does not know is left for APIv3.
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"api_probe"}`), http.StatusOK)
	callingV2(t, s, unifiedOrder, orderV2())
	if len(s.faults.pending()) != 1 {
		t.Error("a call of v2 used up a signature probe")
	}
	sendV2(s, unifiedOrder, "<xml/>")
	mustStatus(t, post(t, s, "/sandbox/faults", `{"clear":true,"fault":"api_429"}`), http.StatusOK)
	sendV2(s, unifiedOrder, string(edited(signedV2(payv2.SignMD5, orderV2()), "sign", "X").Encode()))
	if len(s.faults.pending()) != 1 {
		t.Error("a call with a wrong signature used up a fault")
	}
}

// TestSlowAnswersV2: an answer that comes late, and one that never comes
// although the call took effect.
func TestSlowAnswersV2(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]time.Duration{faultAPISlow: standardSlow, faultAPITimeout: standardTimeout} {
		synctest.Test(t, func(t *testing.T) {
			s := newSandbox(t, Options{Now: time.Now})
			mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+fault+`"}`), http.StatusOK)
			began := time.Now()
			gone := cutsConnection(func() { sendV2(s, unifiedOrder, string(signedV2(payv2.SignMD5, orderV2()).Encode())) })
			if took := time.Since(began); took != want || gone != (fault == faultAPITimeout) {
				t.Errorf("%s: took %v, want %v; cut %t", fault, took, want, gone)
			}
			if _, err := s.ledger.byOutTradeNo("T00001"); err != nil {
				t.Errorf("%s: no effect: %v", fault, err)
			}
		})
	}
}

// cutsConnection reports whether a call ends without an answer.
func cutsConnection(do func()) (cut bool) {
	defer func() {
		err, _ := recover().(error)
		cut = errors.Is(err, http.ErrAbortHandler)
	}()
	do()
	return false
}

// TestCertificateV2: over TLS, refunds want the merchant's certificate.
func TestCertificateV2(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	body := string(signedV2(payv2.SignMD5, payv2.Message{"out_trade_no": "T00001", "out_refund_no": "R1", "total_fee": "100", "refund_fee": "30"}).Encode())
	send := func(path, body string, certificates ...*x509.Certificate) payv2.Message {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		r.TLS = &tls.ConnectionState{PeerCertificates: certificates}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		m, err := payv2.ParseMessage(w.Body.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	if m := send("/secapi/pay/refund", body); m["return_code"] != "FAIL" || !strings.Contains(m["return_msg"], "证书") {
		t.Errorf("without a certificate: %q", m)
	}
	if m := send("/secapi/pay/refund", body, platformCertificate()); m["return_code"] != "FAIL" {
		t.Errorf("with WeChat's certificate: %q", m)
	}
	stolen := *merchantCertificate()
	stolen.PublicKey = &forgerKey().PublicKey
	if m := send("/secapi/pay/refund", body, &stolen); m["return_code"] != "FAIL" {
		t.Errorf("with the serial number alone: %q", m)
	}
	if m := send("/secapi/pay/refund", body, merchantCertificate()); m["result_code"] != "SUCCESS" {
		t.Errorf("with the certificate: %q", m)
	}
	query := string(signedV2(payv2.SignMD5, payv2.Message{"out_refund_no": "R1"}).Encode())
	if m := send("/pay/refundquery", query); m["result_code"] != "SUCCESS" {
		t.Errorf("a query without a certificate: %q", m)
	}
}

// A v2 order is invoked with the shared key, by the algorithm of the order.
func TestInvocationV2(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	m := callingV2(t, s, unifiedOrder, orderV2("trade_type", "JSAPI", "openid", OpenID(DefaultAppID, "ming")))
	merchant := func(st payv2.SignType, key string) payv2.JSAPIInvocation {
		c, err := payv2.NewClient(payv2.ClientOptions{MchID: DefaultMchID, Key: []byte(key), SignType: st, Rand: rand.Reader})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.InvokeJSAPI(DefaultAppID, m["prepay_id"])
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, tt := range map[string]struct {
		v  payv2.JSAPIInvocation
		ok bool
	}{
		"the order's algorithm": {merchant(payv2.SignHMACSHA256, DefaultAPIv2Key), true},
		"the other algorithm":   {merchant(payv2.SignMD5, DefaultAPIv2Key), false},
		"another key":           {merchant(payv2.SignHMACSHA256, string(forgerKeyV2)), false},
	} {
		o, reason := s.checkInvocation(invocationOf(map[string][]string{
			"appId": {tt.v.AppID}, "timeStamp": {tt.v.TimeStamp}, "nonceStr": {tt.v.NonceStr},
			"package": {tt.v.Package}, "signType": {tt.v.SignType}, "paySign": {tt.v.PaySign},
		}))
		if (reason == "") != tt.ok || tt.ok && o.OutTradeNo != "T00001" {
			t.Errorf("%s: %q", name, reason)
		}
	}
}
