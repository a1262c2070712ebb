package payv2

import (
	"maps"
	"strings"
	"testing"
	"time"
)

func goodOrder() *UnifiedOrderRequest {
	return &UnifiedOrderRequest{
		AppID: testAppID, Body: "测试 <b>", OutTradeNo: "A000000001", TotalFen: 100, ClientIP: "203.0.113.9",
		NotifyURL: "https://pay.example.com/n", TradeType: TradeNative, ProductID: "A000000001",
	}
}

func TestUnifiedOrder(t *testing.T) {
	t.Parallel()
	base := Message{
		"appid": testAppID, "mch_id": testMchID, "sign_type": "HMAC-SHA256", "body": "测试 <b>", "out_trade_no": "A000000001", "total_fee": "100",
		"fee_type": "CNY", "spbill_create_ip": "203.0.113.9", "notify_url": "https://pay.example.com/n", "trade_type": "NATIVE", "product_id": "A000000001",
	}
	const prepayID, codeURL, mwebURL = "wx201410272009395522657a690389285100", "weixin://wxpay/bizpayurl?pr=NwY5Mz9", "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=1&package=2"
	tests := []struct {
		name   string
		edit   func(*UnifiedOrderRequest)
		want   Message // what WeChat must get
		answer Message
		reply  UnifiedOrderReply // zero for an error
	}{
		{"native", nil, base, success("trade_type", "NATIVE", "prepay_id", prepayID, "code_url", codeURL), UnifiedOrderReply{PrepayID: prepayID, CodeURL: codeURL}},
		{"native without code", nil, base, success("trade_type", "NATIVE", "prepay_id", prepayID), UnifiedOrderReply{}},
		{"native without prepay id", nil, base, success("trade_type", "NATIVE", "code_url", codeURL), UnifiedOrderReply{}},
		{"other type", nil, base, success("trade_type", "JSAPI", "prepay_id", prepayID, "code_url", codeURL), UnifiedOrderReply{}},
		{"other merchant", nil, base, success("mch_id", "1900000001", "trade_type", "NATIVE", "prepay_id", prepayID, "code_url", codeURL), UnifiedOrderReply{}},
		{"other app", nil, base, success("appid", "wx1", "trade_type", "NATIVE", "prepay_id", prepayID, "code_url", codeURL), UnifiedOrderReply{}},
		{"unexpected sub merchant", nil, base, success("sub_mch_id", "1", "trade_type", "NATIVE", "prepay_id", prepayID, "code_url", codeURL), UnifiedOrderReply{}},
		{
			"jsapi",
			func(r *UnifiedOrderRequest) { r.TradeType, r.ProductID, r.OpenID = TradeJSAPI, "", "oUser" },
			edited(base, "trade_type", "JSAPI", "product_id", "-", "openid", "oUser"),
			success("trade_type", "JSAPI", "prepay_id", prepayID),
			UnifiedOrderReply{PrepayID: prepayID},
		},
		{
			"h5",
			func(r *UnifiedOrderRequest) {
				r.TradeType, r.ProductID = TradeMWeb, ""
				r.Scene = &SceneInfo{H5: &H5Info{Type: "Wap", WapURL: "https://pay.example.com", WapName: "店"}}
			},
			edited(base, "trade_type", "MWEB", "product_id", "-", "scene_info", `{"h5_info":{"type":"Wap","wap_url":"https://pay.example.com","wap_name":"店"}}`),
			success("trade_type", "MWEB", "prepay_id", prepayID, "mweb_url", mwebURL),
			UnifiedOrderReply{PrepayID: prepayID, MWebURL: mwebURL},
		},
		{
			"h5 without address",
			func(r *UnifiedOrderRequest) { r.TradeType, r.ProductID = TradeMWeb, "" },
			edited(base, "trade_type", "MWEB", "product_id", "-"), success("trade_type", "MWEB", "prepay_id", prepayID),
			UnifiedOrderReply{},
		},
		{
			"app for a sub merchant, with everything",
			func(r *UnifiedOrderRequest) {
				r.TradeType, r.ProductID = TradeApp, ""
				r.Partner, r.SubOpenID = Partner{SubMchID: "1900000209", SubAppID: "wx2222222222222222"}, "oSub"
				r.DeviceInfo, r.Detail, r.Attach, r.GoodsTag, r.ProfitSharing = "WEB", `{"a":1}`, "x", "tag", true
				r.TimeStart, r.TimeExpire = testNow, testNow.Add(2*time.Hour)
				r.Scene = &SceneInfo{Store: &StoreInfo{ID: "1", Name: "店"}}
			},
			edited(base, "trade_type", "APP", "product_id", "-", "sub_mch_id", "1900000209", "sub_appid", "wx2222222222222222", "sub_openid", "oSub",
				"device_info", "WEB", "detail", `{"a":1}`, "attach", "x", "goods_tag", "tag", "profit_sharing", "Y",
				"time_start", "20261122132000", "time_expire", "20261122152000", "scene_info", `{"store_info":{"id":"1","name":"店"}}`),
			success("trade_type", "APP", "prepay_id", prepayID, "sub_mch_id", "1900000209", "sub_appid", "wx2222222222222222"),
			UnifiedOrderReply{PrepayID: prepayID},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			req := goodOrder()
			if tt.edit != nil {
				tt.edit(req)
			}
			c := newTestClient(t, wechat(t, "/pay/unifiedorder", func(m Message) Message {
				if n := len(m["nonce_str"]); n != 32 {
					t.Errorf("nonce of %d bytes", n)
				}
				if got := edited(m, "nonce_str", "-", "sign", "-"); !maps.Equal(got, tt.want) {
					t.Errorf("got %q\nwant %q", got, tt.want)
				}
				return tt.answer
			}))
			got, err := c.UnifiedOrder(t.Context(), req)
			if got != tt.reply || (err == nil) != (tt.reply != UnifiedOrderReply{}) {
				t.Errorf("got %+v, %v", got, err)
			}
			noSecrets(t, err)
		})
	}
}

// TestUnifiedOrderMD5: WeChat's default algorithm is not spelled out.
func TestUnifiedOrderMD5(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) {
		o.SignType = ""
		wechat(t, "/pay/unifiedorder", func(m Message) Message {
			if _, ok := m["sign_type"]; ok || len(m["sign"]) != 32 {
				t.Errorf("got %q", m)
			}
			return success("trade_type", "NATIVE", "prepay_id", "1", "code_url", "weixin://x")
		})(o)
	})
	if _, err := c.UnifiedOrder(t.Context(), goodOrder()); err != nil {
		t.Error(err)
	}
}

// TestUnifiedOrderRefusesAmbiguity_A14: a value that signs like two fields
// does not leave the house.
func TestUnifiedOrderRefusesAmbiguity_A14(t *testing.T) {
	t.Parallel()
	req := goodOrder()
	req.Attach = "x&total_fee=1"
	if _, err := newTestClient(t, nil).UnifiedOrder(t.Context(), req); err == nil || !strings.Contains(err.Error(), "attach could pass") {
		t.Errorf("got %v", err)
	}
	req = goodOrder()
	req.AppID = ""
	if _, err := newTestClient(t, nil).UnifiedOrder(t.Context(), req); err == nil || !strings.Contains(err.Error(), "app id") {
		t.Errorf("without app id: %v", err)
	}
}

func TestOrderQuery(t *testing.T) {
	t.Parallel()
	paid := func(edit ...string) Message {
		m := goodPayment().Fields()
		m["result_code"] = "SUCCESS"
		return edited(m, edit...)
	}
	byNumber := OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"}
	byID := OrderRequest{AppID: testAppID, TransactionID: "4200000015201711256947025404"}
	tests := []struct {
		name   string
		req    OrderRequest
		answer Message
		state  TradeState // empty for an error
	}{
		{"paid", byNumber, paid(), StateSuccess},
		{"paid, by id", byID, paid(), StateSuccess},
		{"refunded", byNumber, paid("trade_state", "REFUND"), StateRefund},
		{"unpaid", byNumber, success("out_trade_no", "A000000001", "trade_state", "NOTPAY", "trade_state_desc", "订单未支付"), StateNotPay},
		{"closed, with its amount", byNumber, success("out_trade_no", "A000000001", "trade_state", "CLOSED", "total_fee", "100"), StateClosed},
		{"unknown fields", byNumber, paid("coupon_id_0", "1", "new", "x"), StateSuccess},
		{"for an app of the sub merchant", OrderRequest{AppID: testAppID, OutTradeNo: "A000000001", Partner: Partner{SubMchID: "1"}}, success("sub_mch_id", "1", "sub_appid", "wx2", "out_trade_no", "A000000001", "trade_state", "NOTPAY"), StateNotPay},
		{"for another app of the sub merchant", OrderRequest{AppID: testAppID, OutTradeNo: "A000000001", Partner: Partner{SubMchID: "1", SubAppID: "wx1"}}, success("sub_mch_id", "1", "sub_appid", "wx2", "out_trade_no", "A000000001", "trade_state", "NOTPAY"), ""},
		{"of another sub merchant", OrderRequest{AppID: testAppID, OutTradeNo: "A000000001", Partner: Partner{SubMchID: "1"}}, success("sub_mch_id", "2", "out_trade_no", "A000000001", "trade_state", "NOTPAY"), ""},
		{"other number", byNumber, paid("out_trade_no", "A000000002"), ""},
		{"other id", byID, paid("transaction_id", "4"), ""},
		{"no state", byNumber, paid("trade_state", "-"), ""},
		{"no number", byNumber, paid("out_trade_no", "-"), ""},
		{"paid without amount", byNumber, paid("total_fee", "-"), ""},
		{"paid nothing", byNumber, paid("total_fee", "0"), ""},
		{"paid without id", byNumber, paid("transaction_id", "-"), ""},
		{"paid without time", byNumber, paid("time_end", "-"), ""},
		{"A16 leading zero", byNumber, paid("total_fee", "0100"), ""},
		{"A16 sign", byNumber, paid("total_fee", "+100"), ""},
		{"A16 decimals", byNumber, paid("total_fee", "100.0"), ""},
		{"A16 negative", byNumber, paid("total_fee", "-100"), ""},
		{"A16 exponent", byNumber, paid("total_fee", "1e2"), ""},
		{"A16 full width", byNumber, paid("total_fee", "１００"), ""},
		{"A16 overflow", byNumber, paid("total_fee", "9999999999999999999"), ""},
		{"time in another form", byNumber, paid("time_end", "2026-11-22 13:20:00"), ""},
		{"no such day", byNumber, paid("time_end", "20260230000000"), ""},
		{"no number asked", OrderRequest{AppID: testAppID}, paid(), ""},
		{"two numbers asked", OrderRequest{AppID: testAppID, OutTradeNo: "A000000001", TransactionID: "1"}, paid(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, wechat(t, "/pay/orderquery", func(m Message) Message {
				if m["out_trade_no"] != tt.req.OutTradeNo || m["transaction_id"] != tt.req.TransactionID {
					t.Errorf("got %q", m)
				}
				return tt.answer
			}))
			got, fields, err := c.OrderQuery(t.Context(), tt.req)
			noSecrets(t, err)
			if tt.state == "" {
				if err == nil || got != nil || fields != nil {
					t.Errorf("got %+v, %q, %v", got, fields, err)
				}
				return
			}
			if err != nil || got.TradeState != tt.state || fields["out_trade_no"] != "A000000001" {
				t.Fatalf("got %+v, %q, %v", got, fields, err)
			}
			if tt.state == StateSuccess {
				if *got != *goodPayment() {
					t.Errorf("got %+v, want %+v", got, goodPayment())
				}
			}
		})
	}
}

func TestCloseOrder(t *testing.T) {
	t.Parallel()
	refused := func(code string) Message { return success("result_code", "FAIL", "err_code", code) }
	for name, tt := range map[string]struct {
		answer Message
		code   string // of the error
	}{
		"closed":         {success(), ""},
		"closed already": {refused(CodeOrderClosed), ""},
		"paid":           {refused(CodeOrderPaid), CodeOrderPaid},
		"unknown":        {refused(CodeOrderNotExist), CodeOrderNotExist},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, wechat(t, "/pay/closeorder", func(m Message) Message {
				if m["out_trade_no"] != "A000000001" || m["sub_mch_id"] != "1900000209" {
					t.Errorf("got %q", m)
				}
				return tt.answer
			}))
			err := c.CloseOrder(t.Context(), OrderRequest{AppID: testAppID, OutTradeNo: "A000000001", Partner: Partner{SubMchID: "1900000209"}})
			if (err == nil) != (tt.code == "") || err != nil && !isCodeError(err, tt.code) {
				t.Errorf("got %v", err)
			}
		})
	}
	if err := newTestClient(t, nil).CloseOrder(t.Context(), OrderRequest{AppID: testAppID, TransactionID: "1"}); err == nil {
		t.Error("closes by WeChat's number")
	}
}
