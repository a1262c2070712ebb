package payv3

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestJSAPIMessage(t *testing.T) {
	t.Parallel()
	type input struct {
		AppID, TimeStamp, NonceStr, Package string
		Key                                 []byte `json:"private_key_pkcs8_b64"`
	}
	forEachVector(t, "v3_jsapi_paysign", func(t *testing.T, v vector[input, struct{ Message, PaySign string }]) {
		t.Helper()
		message := jsapiMessage(v.Input.AppID, v.Input.TimeStamp, v.Input.NonceStr, v.Input.Package)
		if string(message) != v.Expected.Message {
			t.Errorf("message %q, want %q", message, v.Expected.Message)
		}
		wantSignature(t, v.Input.Key, message, v.Expected.PaySign)
	})
}

func TestAPPMessage(t *testing.T) {
	t.Parallel()
	type input struct {
		AppID, Timestamp, NonceStr, PrepayID string
		Key                                  []byte `json:"private_key_pkcs8_b64"`
	}
	forEachVector(t, "v3_app_sign", func(t *testing.T, v vector[input, struct{ Message, Sign string }]) {
		t.Helper()
		message := appMessage(v.Input.AppID, v.Input.Timestamp, v.Input.NonceStr, v.Input.PrepayID)
		if string(message) != v.Expected.Message {
			t.Errorf("message %q, want %q", message, v.Expected.Message)
		}
		wantSignature(t, v.Input.Key, message, v.Expected.Sign)
	})
}

// wantSignature signs message and every message that differs in a bit.
func wantSignature(t *testing.T, der, message []byte, want string) {
	t.Helper()
	key := privateKeyOf(t, der)
	if got, err := Sign(key, message); err != nil || got != want {
		t.Errorf("Sign = %q, %v, want %q", got, err, want)
	}
	flips(message, func(i int, changed []byte) {
		if verifySignature(&key.PublicKey, changed, want) == nil {
			t.Errorf("message changed at %d passes", i)
		}
	})
}

func TestInvokeJSAPI(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, nil)
	v, err := c.InvokeJSAPI("wx2421b1c4370ec43b", "wx201410272009395522657a690389285100")
	if err != nil {
		t.Fatal(err)
	}
	if v.AppID != "wx2421b1c4370ec43b" || v.TimeStamp != "1795324800" || v.Package != "prepay_id=wx201410272009395522657a690389285100" ||
		v.SignType != "RSA" || len(v.NonceStr) != 32 {
		t.Errorf("got %+v", v)
	}
	if err := verifySignature(&testKeys().merchant.PublicKey, jsapiMessage(v.AppID, v.TimeStamp, v.NonceStr, v.Package), v.PaySign); err != nil {
		t.Error(err)
	}
	again, err := c.InvokeJSAPI("wx2421b1c4370ec43b", "wx201410272009395522657a690389285100")
	if err != nil || again.NonceStr == v.NonceStr {
		t.Errorf("nonce used twice, %v", err)
	}
	wantMembers(t, v, "appId", "timeStamp", "nonceStr", "package", "signType", "paySign")
}

func TestInvokeAPP(t *testing.T) {
	t.Parallel()
	v, err := newTestClient(t, nil).InvokeAPP("wx8888888888888888", "WX1217752501201407033233368018")
	if err != nil {
		t.Fatal(err)
	}
	if v.AppID != "wx8888888888888888" || v.PartnerID != testMchID || v.PrepayID != "WX1217752501201407033233368018" ||
		v.Package != "Sign=WXPay" || v.TimeStamp != "1795324800" || len(v.NonceStr) != 32 {
		t.Errorf("got %+v", v)
	}
	if err := verifySignature(&testKeys().merchant.PublicKey, appMessage(v.AppID, v.TimeStamp, v.NonceStr, v.PrepayID), v.Sign); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*APPInvocation){
		"":          func(*APPInvocation) {},
		"app":       func(v *APPInvocation) { v.AppID = "wx2" },
		"partner":   func(v *APPInvocation) { v.PartnerID = "1" },
		"prepay id": func(v *APPInvocation) { v.PrepayID = "wx1" },
		"package":   func(v *APPInvocation) { v.Package = "Sign=x" },
		"nonce":     func(v *APPInvocation) { v.NonceStr = "x" },
		"time":      func(v *APPInvocation) { v.TimeStamp = "1795324801" },
		"no time":   func(v *APPInvocation) { v.TimeStamp = "" },
		"signature": func(v *APPInvocation) { v.Sign = "x" },
	} {
		changed := v
		change(&changed)
		if err := VerifyAPP(changed, testMchID, &testKeys().merchant.PublicKey); (err == nil) != (name == "") {
			t.Errorf("VerifyAPP with other %q: %v", name, err)
		}
	}
	wantMembers(t, v, "appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign")
}

func wantMembers(t *testing.T, v any, names ...string) {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]string
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if members[name] == "" {
			t.Errorf("%s lacks %s", data, name)
		}
	}
	if len(members) != len(names) {
		t.Errorf("%s has %d members, want %d", data, len(members), len(names))
	}
}

func TestInvokeWithoutRandomness(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) { o.Rand = bytes.NewReader(nil) })
	if v, err := c.InvokeJSAPI("a", "b"); err == nil || v != (JSAPIInvocation{}) {
		t.Errorf("InvokeJSAPI = %+v, %v", v, err)
	}
	if v, err := c.InvokeAPP("a", "b"); err == nil || v != (APPInvocation{}) {
		t.Errorf("InvokeAPP = %+v, %v", v, err)
	}
	if id, err := c.PrepayJSAPI(t.Context(), goodPrepay()); err == nil || id != "" {
		t.Errorf("PrepayJSAPI = %q, %v", id, err)
	}
}
