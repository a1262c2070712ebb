package payv3

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func goodPrepay() *PrepayRequest {
	return &PrepayRequest{
		AppID: "wxd678efh567hg6787", MchID: testMchID, Description: "测试 <b>", OutTradeNo: "A000000001",
		NotifyURL: "https://pay.example.com/n", Amount: Amount{Total: 100, Currency: "CNY"},
	}
}

func TestClientPrepay(t *testing.T) {
	t.Parallel()
	const wantBody = `{"appid":"wxd678efh567hg6787","mchid":"1900000001","description":"测试 \u003cb\u003e","out_trade_no":"A000000001",` +
		`"notify_url":"https://pay.example.com/n","amount":{"total":100,"currency":"CNY"}}`
	const wantH5 = `"amount":{"total":100,"currency":"CNY"},"scene_info":{"payer_client_ip":"203.0.113.7","h5_info":{"type":"Wap"}}}`
	tests := []struct {
		kind   string
		call   func(*Client, context.Context, *PrepayRequest) (string, error)
		body   string
		answer string
	}{
		{"jsapi", (*Client).PrepayJSAPI, wantBody, `{"prepay_id":"wx201410272009395522657a690389285100"}`},
		{"native", (*Client).PrepayNative, wantBody, `{"code_url":"weixin://wxpay/bizpayurl?pr=JyC91EIz1"}`},
		{"app", (*Client).PrepayApp, wantBody, `{"prepay_id":"wx201410272009395522657a690389285100"}`},
		{
			"h5", (*Client).PrepayH5, strings.Replace(wantBody, `"amount":{"total":100,"currency":"CNY"}}`, wantH5, 1),
			`{"h5_url":"https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx2&package=1"}`,
		},
	}
	request := func(kind string) *PrepayRequest {
		r := goodPrepay()
		if kind == "h5" {
			r.SceneInfo = &SceneInfo{PayerClientIP: "203.0.113.7", H5Info: &H5Info{Type: "Wap"}}
		}
		return r
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			t.Parallel()
			target := "/v3/pay/transactions/" + tt.kind
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, tt.body, 200, tt.answer) })
			got, err := tt.call(c, t.Context(), request(tt.kind))
			if err != nil || got == "" || !strings.Contains(tt.answer, got) {
				t.Errorf("got %q, %v", got, err)
			}
			for _, answer := range []string{
				`{}`, ``, `{"prepay_id":"","code_url":"","h5_url":""}`, `{"prepay_id":1,"h5_url":1}`,
				`{"prepay_id":"a","prepay_id":"b","code_url":"a","code_url":"b","h5_url":"a","h5_url":"b"}`,
			} {
				c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, target, tt.body, 200, answer) })
				if got, err := tt.call(c, t.Context(), request(tt.kind)); err == nil || got != "" {
					t.Errorf("answer %s: got %q, %v", answer, got, err)
				}
			}
			other := request(tt.kind)
			other.MchID = "1900000002"
			if _, err := tt.call(newTestClient(t, nil), t.Context(), other); err == nil || !strings.Contains(err.Error(), "another merchant") {
				t.Errorf("other merchant: %v", err)
			}
		})
	}
}

func TestPrepayRequestLeavesOutWhatIsNotGiven(t *testing.T) {
	t.Parallel()
	full := goodPrepay()
	full.TimeExpire, full.Attach = "2026-11-22T15:20:00+08:00", "x"
	full.Payer, full.SettleInfo = &Payer{OpenID: "o"}, &SettleInfo{ProfitSharing: true}
	got, err := json.Marshal(full)
	if err != nil {
		t.Fatal(err)
	}
	const tail = `"amount":{"total":100,"currency":"CNY"},"payer":{"openid":"o"},"settle_info":{"profit_sharing":true}}`
	if !strings.HasSuffix(string(got), tail) || !strings.Contains(string(got), `"time_expire":"2026-11-22T15:20:00+08:00","attach":"x"`) {
		t.Errorf("got %s", got)
	}
}

func TestClientPrepayPartner(t *testing.T) {
	t.Parallel()
	const head = `{"sp_appid":"wxd678efh567hg6787","sp_mchid":"1900000001",`
	const tail = `"sub_mchid":"1900000209","description":"x","out_trade_no":"A000000001","notify_url":"https://pay.example.com/n",` +
		`"amount":{"total":100,"currency":"CNY"}`
	tests := []struct {
		name    string
		partner Partner
		payer   *Payer
		body    string // empty: refused before any call
	}{
		{"no payer", Partner{SubMchID: "1900000209"}, nil, head + tail + `}`},
		{"payer of the provider's app", Partner{SubMchID: "1900000209"}, &Payer{OpenID: "o1"}, head + tail + `,"payer":{"sp_openid":"o1"}}`},
		{
			"payer of the sub merchant's app",
			Partner{SubMchID: "1900000209", SubAppID: "wx2"},
			&Payer{SubOpenID: "o2"},
			head + `"sub_appid":"wx2",` + tail + `,"payer":{"sub_openid":"o2"}}`,
		},
		{"sub_openid without sub_appid", Partner{SubMchID: "1900000209"}, &Payer{SubOpenID: "o2"}, ""},
		{"two payers", Partner{SubMchID: "1900000209", SubAppID: "wx2"}, &Payer{OpenID: "o1", SubOpenID: "o2"}, ""},
		{"payer without name", Partner{SubMchID: "1900000209"}, &Payer{}, ""},
		{"no sub merchant", Partner{SubAppID: "wx2"}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodPrepay()
			r.Description, r.Partner, r.Payer = "x", &tt.partner, tt.payer
			c := newTestClient(t, func(o *ClientOptions) {
				if tt.body != "" {
					o.HTTP = wechat(t, http.MethodPost, "/v3/pay/partner/transactions/jsapi", tt.body, 200, `{"prepay_id":"wx1"}`)
				}
			})
			got, err := c.PrepayJSAPI(t.Context(), r)
			if (err == nil) != (tt.body != "") || (got == "wx1") != (tt.body != "") {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestPrepayRefusesBeforeTheCall: what WeChat would refuse as an unknown
// member or a missing one costs no call.
func TestPrepayRefusesBeforeTheCall(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = serve(func(http.ResponseWriter, *http.Request) { t.Error("called WeChat") })
	})
	r := goodPrepay()
	for _, scene := range []*SceneInfo{nil, {}, {PayerClientIP: "203.0.113.7"}, {H5Info: &H5Info{Type: "Wap"}}} {
		r.SceneInfo = scene
		if _, err := c.PrepayH5(t.Context(), r); err == nil {
			t.Errorf("h5 with %+v succeeds", scene)
		}
	}
	r.SceneInfo = nil
	for _, payer := range []Payer{{}, {SubOpenID: "o"}, {OpenID: "o", SPOpenID: "o"}} {
		r.Payer = &payer
		if _, err := c.PrepayJSAPI(t.Context(), r); err == nil {
			t.Errorf("payer %+v of a direct merchant succeeds", payer)
		}
	}
}
