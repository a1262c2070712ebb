package payv2

import "testing"

func TestJSAPISignVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		JSAPIInvocation
		Key string `json:"key"`
	}
	type want struct {
		PaySign string `json:"paySign"`
	}
	forEachVector(t, "v2_jsapi_paysign", func(t *testing.T, v vector[input, want]) {
		in := v.Input.JSAPIInvocation
		if got := Sign(in.fields(), []byte(v.Input.Key), SignType(in.SignType)); got != v.Expected.PaySign {
			t.Errorf("got %s, want %s", got, v.Expected.PaySign)
		}
		in.PaySign = v.Expected.PaySign
		checkJSAPI(t, in, []byte(v.Input.Key))
	})
}

// checkJSAPI makes sure that exactly these values verify.
func checkJSAPI(t *testing.T, v JSAPIInvocation, key []byte) {
	t.Helper()
	if err := VerifyJSAPI(v, key); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]func(*JSAPIInvocation){
		"app id": func(v *JSAPIInvocation) { v.AppID += "0" }, "time": func(v *JSAPIInvocation) { v.TimeStamp += "0" },
		"nonce": func(v *JSAPIInvocation) { v.NonceStr += "0" }, "package": func(v *JSAPIInvocation) { v.Package += "0" },
		"sign type": func(v *JSAPIInvocation) { v.SignType = "RSA" }, "no signature": func(v *JSAPIInvocation) { v.PaySign = "" },
		"signature": func(v *JSAPIInvocation) { v.PaySign = v.PaySign[1:] },
	} {
		changed := v
		edit(&changed)
		if VerifyJSAPI(changed, key) == nil {
			t.Errorf("verifies with another %s", name)
		}
	}
}

func TestAppSignVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		AppInvocation
		Key      string   `json:"key"`
		SignType SignType `json:"sign_type"`
	}
	type want struct {
		Sign string `json:"sign"`
	}
	forEachVector(t, "v2_app_sign", func(t *testing.T, v vector[input, want]) {
		in, key := v.Input.AppInvocation, []byte(v.Input.Key)
		in.Sign = v.Expected.Sign
		if err := VerifyApp(in, key, v.Input.SignType); err != nil {
			t.Errorf("got %s, want %s", Sign(in.fields(), key, v.Input.SignType), in.Sign)
		}
		for name, edit := range map[string]func(*AppInvocation){
			"app id": func(v *AppInvocation) { v.AppID += "0" }, "merchant": func(v *AppInvocation) { v.PartnerID += "0" },
			"prepay id": func(v *AppInvocation) { v.PrepayID += "0" }, "package": func(v *AppInvocation) { v.Package += "0" },
			"nonce": func(v *AppInvocation) { v.NonceStr += "0" }, "time": func(v *AppInvocation) { v.TimeStamp += "0" },
			"no signature": func(v *AppInvocation) { v.Sign = "" },
		} {
			changed := in
			edit(&changed)
			if VerifyApp(changed, key, v.Input.SignType) == nil {
				t.Errorf("verifies with another %s", name)
			}
		}
		if VerifyApp(in, key, "SHA1") == nil {
			t.Error("verifies with an unknown algorithm")
		}
	})
}

func TestInvoke(t *testing.T) {
	t.Parallel()
	for _, st := range []SignType{SignMD5, SignHMACSHA256} {
		c := newTestClient(t, func(o *ClientOptions) { o.SignType = st })
		v, err := c.InvokeJSAPI(testAppID, "wx20")
		if err != nil || v.AppID != testAppID || v.Package != "prepay_id=wx20" || v.SignType != string(st) || v.TimeStamp != "1795324800" || len(v.NonceStr) != 32 {
			t.Errorf("got %+v, %v", v, err)
		}
		checkJSAPI(t, v, []byte(testKey))
		a, err := c.InvokeApp(testAppID, "wx20")
		if err != nil || a.AppID != testAppID || a.PartnerID != testMchID || a.PrepayID != "wx20" || a.Package != "Sign=WXPay" || a.TimeStamp != "1795324800" {
			t.Errorf("got %+v, %v", a, err)
		}
		if err := VerifyApp(a, []byte(testKey), st); err != nil {
			t.Error(err)
		}
	}
}
