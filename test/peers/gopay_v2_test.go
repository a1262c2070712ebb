package peers

import (
	"io"
	"maps"
	"net/http"
	"testing"

	"github.com/go-pay/gopay"
	"github.com/go-pay/gopay/pkg/xhttp"
	gopayv2 "github.com/go-pay/gopay/wechat"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// newGopayV2 is a merchant with gopay's client of APIv2.
func newGopayV2(t *testing.T, w *wechat, certificate bool) *gopayv2.Client {
	t.Helper()
	c := sandbox.DefaultCredentials()
	client := gopayv2.NewClient(c.AppID, c.MchID, sandbox.DefaultAPIv2Key, true).SetProxyUrl(w.URL + "/")
	client.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(w.trust()))
	client.SetTLSHttpClient(xhttp.NewClient().SetHttpTLSConfig(w.trust()))
	if certificate {
		if err := client.AddCertPemFileContent([]byte(pemOf(t, "CERTIFICATE", c.Certificate.Raw)), []byte(pemOf(t, "PRIVATE KEY", c.PrivateKey))); err != nil {
			t.Fatal(err)
		}
	}
	return client
}

// body is a request of the SDK with a fresh nonce.
func body(signType string, fields map[string]any) gopay.BodyMap {
	bm := gopay.BodyMap{"nonce_str": freshNonce()}
	if signType != "" {
		bm.Set("sign_type", signType)
	}
	for name, value := range fields {
		bm.Set(name, value)
	}
	return bm
}

// gopaySuccess is the SDK's own answer to a notification.
func gopaySuccess(w http.ResponseWriter) {
	_, _ = io.WriteString(w, (&gopayv2.NotifyResponse{ReturnCode: gopay.SUCCESS, ReturnMsg: gopay.OK}).ToXmlString())
}

// TestGopayV2 runs the life of an order of each trade type, by both
// algorithms, with the unmodified SDK.
func TestGopayV2(t *testing.T) {
	t.Parallel()
	c := sandbox.DefaultCredentials()
	for name, order := range map[string]struct {
		appID, trade string
		more         map[string]any
		pays         func(*gopayv2.UnifiedOrderResponse) string // what the buyer pays with
	}{
		"JSAPI":        {c.AppID, gopayv2.TradeType_JsApi, map[string]any{"openid": sandbox.OpenID(c.AppID, "ming")}, func(r *gopayv2.UnifiedOrderResponse) string { return r.PrepayId }},
		"mini-program": {sandbox.DefaultMiniProgramAppID, gopayv2.TradeType_JsApi, map[string]any{"openid": sandbox.OpenID(sandbox.DefaultMiniProgramAppID, "ming")}, func(r *gopayv2.UnifiedOrderResponse) string { return r.PrepayId }},
		"NATIVE":       {c.AppID, gopayv2.TradeType_Native, map[string]any{"product_id": "book-7"}, func(r *gopayv2.UnifiedOrderResponse) string { return r.CodeUrl }},
		"APP":          {sandbox.DefaultMobileAppID, gopayv2.TradeType_App, nil, func(r *gopayv2.UnifiedOrderResponse) string { return r.PrepayId }},
		"H5": {c.AppID, gopayv2.TradeType_H5, map[string]any{
			"scene_info": `{"h5_info":{"type":"Wap","wap_url":"https://shop.example.com","wap_name":"Bookshop"}}`,
		}, func(r *gopayv2.UnifiedOrderResponse) string { return r.MwebUrl }},
	} {
		for _, signType := range []string{"", gopayv2.SignType_MD5, gopayv2.SignType_HMAC_SHA256} {
			t.Run(name+" "+signType, func(t *testing.T) {
				t.Parallel()
				w, shop := newWechat(t), newReceiver(t, gopaySuccess)
				client := newGopayV2(t, w, true)
				number := "GOPAY2-" + freshNonce()[:20]
				fields := map[string]any{
					"appid": order.appID, "body": "一本书 & <more>", "attach": "架子七", "out_trade_no": number, "total_fee": 1990,
					"spbill_create_ip": "203.0.113.7", "notify_url": shop.url, "trade_type": order.trade,
				}
				maps.Copy(fields, order.more)
				placed, err := client.UnifiedOrder(t.Context(), body(signType, fields))
				checkGopay(t, "unifiedorder", signType, placed, err)
				if order.pays(placed) == "" || placed.TradeType != order.trade {
					t.Fatalf("unifiedorder answered %+v", placed)
				}
				w.buyerPays(t, number)

				paid, err := gopayv2.ParseNotifyToBodyMap(shop.request(t))
				if err != nil {
					t.Fatal(err)
				}
				if ok, err := gopayv2.VerifySign(sandbox.DefaultAPIv2Key, signType, paid); !ok || err != nil {
					t.Errorf("the notification's signature: %t, %v", ok, err)
				}
				if paid.GetString("out_trade_no") != number || paid.GetString("total_fee") != "1990" || paid.GetString("attach") != "架子七" {
					t.Errorf("the notification says %v", paid)
				}
				found, raw, err := client.QueryOrder(t.Context(), body(signType, map[string]any{"appid": order.appID, "out_trade_no": number}))
				checkGopay(t, "orderquery", signType, raw, err)
				if found.TradeState != "SUCCESS" || found.TransactionId != paid.GetString("transaction_id") {
					t.Errorf("orderquery answered %+v", found)
				}
				refundGopayV2(t, client, shop, order.appID, signType, number)
			})
		}
	}
}

// refundGopayV2 gives a part back and follows it.
func refundGopayV2(t *testing.T, client *gopayv2.Client, shop *receiver, appID, signType, number string) {
	t.Helper()
	refund := "R" + number
	accepted, raw, err := client.Refund(t.Context(), body(signType, map[string]any{
		"appid": appID, "out_trade_no": number, "out_refund_no": refund, "total_fee": 1990, "refund_fee": 990, "notify_url": shop.url,
	}))
	checkGopay(t, "refund", signType, raw, err)
	if accepted.RefundId == "" || accepted.RefundFee != "990" {
		t.Errorf("refund answered %+v", accepted)
	}
	notice, err := gopayv2.ParseRefundNotify(shop.request(t))
	if err != nil {
		t.Fatal(err)
	}
	told, err := gopayv2.DecryptRefundNotifyReqInfo(notice.ReqInfo, sandbox.DefaultAPIv2Key)
	if err != nil || told.OutRefundNo != refund || told.RefundStatus != "SUCCESS" || told.RefundFee != "990" {
		t.Errorf("the refund notice says %+v, %v", told, err)
	}
	if _, err := gopayv2.DecryptRefundNotifyReqInfo(notice.ReqInfo, "another key of thirty-two letters"); err == nil {
		t.Error("another key opens the refund notice")
	}
	state, raw, err := client.QueryRefund(t.Context(), body(signType, map[string]any{"appid": appID, "out_refund_no": refund}))
	checkGopay(t, "refundquery", signType, raw, err)
	if state.RefundCount != "1" || raw.GetString("refund_status_0") != "SUCCESS" {
		t.Errorf("refundquery answered %v", raw)
	}
}

// checkGopay wants an answer of success whose signature the SDK verifies.
func checkGopay(t *testing.T, what, signType string, answer any, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	switch a := answer.(type) {
	case *gopayv2.UnifiedOrderResponse:
		if a.ReturnCode != gopay.SUCCESS || a.ResultCode != gopay.SUCCESS {
			t.Fatalf("%s answered %+v", what, a)
		}
	case gopay.BodyMap:
		if a.GetString("return_code") != gopay.SUCCESS || a.GetString("result_code") != gopay.SUCCESS {
			t.Fatalf("%s answered %v", what, a)
		}
		answer = maps.Clone(a) // VerifySign takes the signature out
	}
	if ok, err := gopayv2.VerifySign(sandbox.DefaultAPIv2Key, signType, answer); !ok || err != nil {
		t.Errorf("%s: the answer's signature: %t, %v", what, ok, err)
	}
}

// TestGopayV2Refused: a refund without the merchant's certificate, and
// another key, are refused.
func TestGopayV2Refused(t *testing.T) {
	t.Parallel()
	w, shop := newWechat(t), newReceiver(t, gopaySuccess)
	c := sandbox.DefaultCredentials()
	fields := map[string]any{
		"body": "tea", "out_trade_no": "GOPAY2-refused", "total_fee": 1, "product_id": "1",
		"spbill_create_ip": "203.0.113.7", "notify_url": shop.url, "trade_type": gopayv2.TradeType_Native,
	}
	client := newGopayV2(t, w, false)
	placed, err := client.UnifiedOrder(t.Context(), body("", fields))
	checkGopay(t, "unifiedorder", "", placed, err)
	w.buyerPays(t, "GOPAY2-refused")
	refund, _, err := client.Refund(t.Context(), body("", map[string]any{
		"out_trade_no": "GOPAY2-refused", "out_refund_no": "R1", "total_fee": 1, "refund_fee": 1,
	}))
	if err == nil && refund.ReturnCode == gopay.SUCCESS {
		t.Errorf("a refund without certificate is answered %+v", refund)
	}
	other := gopayv2.NewClient(c.AppID, c.MchID, "0123456789abcdef0123456789abcdef", true).SetProxyUrl(w.URL + "/")
	other.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(w.trust()))
	fields["out_trade_no"] = "GOPAY2-otherkey"
	placed, err = other.UnifiedOrder(t.Context(), body("", fields))
	if err != nil || placed.ReturnCode != gopay.FAIL {
		t.Errorf("an order signed by another key is answered %+v, %v", placed, err)
	}
}
