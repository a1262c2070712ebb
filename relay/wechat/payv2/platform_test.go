package payv2

import (
	"crypto/rand"
	"errors"
	"testing"
)

func TestVerifyRequest(t *testing.T) {
	t.Parallel()
	base := Message{"appid": testAppID, "total_fee": "1", "unknown": "x"}
	sign := func(m Message, st SignType) Message { return edited(m, "sign", Sign(m, []byte(testKey), st)) }
	tests := []struct {
		name   string
		m      Message
		want   SignType
		reason VerifyReason
	}{
		{"MD5 by default", sign(base, SignMD5), SignMD5, ""},
		{"MD5", sign(edited(base, "sign_type", "MD5"), SignMD5), SignMD5, ""},
		{"HMAC-SHA256", sign(edited(base, "sign_type", "HMAC-SHA256"), SignHMACSHA256), SignHMACSHA256, ""},
		{"HMAC-SHA256 that does not say so", sign(base, SignHMACSHA256), "", ReasonSignature},
		{"MD5 that calls itself HMAC-SHA256", sign(edited(base, "sign_type", "HMAC-SHA256"), SignMD5), "", ReasonSignature},
		{"other algorithm", edited(base, "sign_type", "NONE", "sign", "x"), "", ReasonSignType},
		{"lower case", sign(edited(base, "sign_type", "md5"), SignMD5), "", ReasonSignType},
		{"unsigned", base, "", ReasonMissing},
		{"unknown field left out", edited(sign(base, SignMD5), "unknown", "-"), "", ReasonSignature},
		{"empty field is nothing", edited(sign(base, SignMD5), "attach", ""), SignMD5, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := VerifyRequest(tt.m, []byte(testKey))
			if got != tt.want || tt.reason == "" && err != nil || tt.reason != "" && !isReason(err, tt.reason) {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestSuccessReply: the bytes are WeChat's own (section 8).
func TestSuccessReply(t *testing.T) {
	t.Parallel()
	const want = `<xml><return_code><![CDATA[SUCCESS]]></return_code><return_msg><![CDATA[OK]]></return_msg></xml>`
	if got := string(SuccessReply()); got != want {
		t.Errorf("got %s", got)
	}
	const fail = `<xml><return_code><![CDATA[FAIL]]></return_code><return_msg><![CDATA[no]]></return_msg></xml>`
	if got := string(FailReply("no")); got != fail {
		t.Errorf("got %s", got)
	}
}

func TestParseReply(t *testing.T) {
	t.Parallel()
	for body, ok := range map[string]bool{
		string(SuccessReply()):                              true,
		"<xml>\n<return_code>SUCCESS</return_code>\n</xml>": true,
		string(FailReply("no")):                             false,
		"success":                                           false,
		"":                                                  false,
		"<xml/>":                                            false,
		`{"code":"SUCCESS"}`:                                false,
		"\ufeff" + string(SuccessReply()):                   false,
		"\n" + string(SuccessReply()):                       false,
		string(SuccessReply()) + "\n":                       false,
		string(SuccessReply()) + "debug":                    false,
		string(SuccessReply()) + string(SuccessReply()):        false,
		"<html><return_code>SUCCESS</return_code></html>":      false,
		"<xml><return_code>success</return_code></xml>":        false,
		"<xml><return_code> SUCCESS </return_code></xml>":      false,
		"<xml><a><return_code>SUCCESS</return_code></a></xml>": false,
	} {
		if err := ParseReply([]byte(body)); (err == nil) != ok || err != nil && !errors.Is(err, ErrReply) {
			t.Errorf("ParseReply(%q) = %v", body, err)
		}
	}
}

type noRandomness struct{}

func (noRandomness) Read([]byte) (int, error) { return 0, errors.New("none") }

// TestNoRandomnessNoSignature: without a nonce nothing is signed.
func TestNoRandomnessNoSignature(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) { o.Rand = noRandomness{} })
	_, err1 := c.InvokeJSAPI(testAppID, "1")
	_, err2 := c.InvokeApp(testAppID, "1")
	err3 := c.CloseOrder(t.Context(), OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"})
	_, err4 := NewPaymentNotification(goodPayment(), []byte(testKey), SignMD5, noRandomness{})
	_, err5 := NewRefundNotification(goodRefund(), []byte(testKey), noRandomness{})
	_, err6 := SignedReply(success(), []byte(testKey), SignMD5, noRandomness{})
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		if err == nil {
			t.Errorf("call %d succeeds", i+1)
		}
	}
	if _, err := NewPaymentNotification(goodPayment(), []byte(testKey), SignMD5, rand.Reader); err != nil {
		t.Error(err)
	}
}
