package peers

import (
	"net/http"
	"testing"

	"github.com/go-pay/gopay"
	"github.com/go-pay/gopay/pkg/xhttp"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// newGopayV3 is a merchant with gopay's client of APIv3 in public-key mode.
func newGopayV3(t *testing.T, w *wechat) *gopayv3.ClientV3 {
	t.Helper()
	c := sandbox.DefaultCredentials()
	client, err := gopayv3.NewClientV3(c.MchID, c.CertificateSerial, string(c.APIv3Key), pemOf(t, "PRIVATE KEY", c.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	client.SetProxyHost(w.URL)
	client.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(w.trust()))
	if err := client.AutoVerifySignByCert([]byte(pemOf(t, "PUBLIC KEY", c.PublicKey)), c.PublicKeyID); err != nil {
		t.Fatal(err)
	}
	return client
}

func noContent(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }

// TestGopayV3 runs the life of an order of each trade type with the
// unmodified SDK, which verifies every answer.
func TestGopayV3(t *testing.T) {
	t.Parallel()
	c := sandbox.DefaultCredentials()
	for name, order := range map[string]struct {
		appID string
		more  map[string]any
		place func(t *testing.T, client *gopayv3.ClientV3, bm gopay.BodyMap) (code int, refusal, pays string, err error)
	}{
		"JSAPI":        {c.AppID, payerOf(c.AppID), placeJSAPI},
		"mini-program": {sandbox.DefaultMiniProgramAppID, payerOf(sandbox.DefaultMiniProgramAppID), placeJSAPI},
		"NATIVE": {c.AppID, nil, func(t *testing.T, client *gopayv3.ClientV3, bm gopay.BodyMap) (int, string, string, error) {
			t.Helper()
			r, err := client.V3TransactionNative(t.Context(), bm)
			if err != nil {
				return 0, "", "", err
			}
			return r.Code, r.Error, r.Response.CodeUrl, nil
		}},
		"APP": {sandbox.DefaultMobileAppID, nil, func(t *testing.T, client *gopayv3.ClientV3, bm gopay.BodyMap) (int, string, string, error) {
			t.Helper()
			r, err := client.V3TransactionApp(t.Context(), bm)
			if err != nil {
				return 0, "", "", err
			}
			return r.Code, r.Error, r.Response.PrepayId, nil
		}},
		"H5": {c.AppID, map[string]any{"scene_info": map[string]any{
			"payer_client_ip": "203.0.113.7", "h5_info": map[string]any{"type": "Wap"},
		}}, func(t *testing.T, client *gopayv3.ClientV3, bm gopay.BodyMap) (int, string, string, error) {
			t.Helper()
			r, err := client.V3TransactionH5(t.Context(), bm)
			if err != nil {
				return 0, "", "", err
			}
			return r.Code, r.Error, r.Response.H5Url, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, shop := newWechat(t), newReceiver(t, noContent)
			client := newGopayV3(t, w)
			number := "GOPAY3-" + freshNonce()[:20]
			bm := gopay.BodyMap{
				"appid": order.appID, "mchid": c.MchID, "description": "一本书", "attach": "架子七",
				"out_trade_no": number, "notify_url": shop.url, "amount": map[string]any{"total": 1990, "currency": "CNY"},
			}
			for k, v := range order.more {
				bm.Set(k, v)
			}
			code, refusal, pays, err := order.place(t, client, bm)
			if err != nil || code != gopayv3.Success || pays == "" {
				t.Fatalf("placing the order = %d %s %q, %v", code, refusal, pays, err)
			}
			w.buyerPays(t, number)

			notice, err := gopayv3.V3ParseNotify(shop.request(t))
			if err != nil {
				t.Fatal(err)
			}
			if err := notice.VerifySignByPKMap(client.WxPublicKeyMap()); err != nil {
				t.Errorf("the notification's signature: %v", err)
			}
			paid, err := notice.DecryptPayCipherText(string(c.APIv3Key))
			if err != nil || paid.OutTradeNo != number || paid.Amount.Total != 1990 || paid.Attach != "架子七" || paid.TradeState != "SUCCESS" {
				t.Fatalf("the notification says %+v, %v", paid, err)
			}
			found, err := client.V3TransactionQueryOrder(t.Context(), gopayv3.OutTradeNo, number)
			if err != nil || found.Code != gopayv3.Success || found.Response.TransactionId != paid.TransactionId {
				t.Errorf("the query = %+v, %v", found, err)
			}
			refundGopayV3(t, client, shop, number)
		})
	}
}

func payerOf(appID string) map[string]any {
	return map[string]any{"payer": map[string]any{"openid": sandbox.OpenID(appID, "ming")}}
}

func placeJSAPI(t *testing.T, client *gopayv3.ClientV3, bm gopay.BodyMap) (int, string, string, error) {
	t.Helper()
	r, err := client.V3TransactionJsapi(t.Context(), bm)
	if err != nil {
		return 0, "", "", err
	}
	return r.Code, r.Error, r.Response.PrepayId, nil
}

// refundGopayV3 gives a part back and follows it.
func refundGopayV3(t *testing.T, client *gopayv3.ClientV3, shop *receiver, number string) {
	t.Helper()
	c := sandbox.DefaultCredentials()
	refund := "R" + number
	accepted, err := client.V3Refund(t.Context(), gopay.BodyMap{
		"out_trade_no": number, "out_refund_no": refund, "notify_url": shop.url,
		"amount": map[string]any{"refund": 990, "total": 1990, "currency": "CNY"},
	})
	if err != nil || accepted.Code != gopayv3.Success || accepted.Response.RefundId == "" {
		t.Fatalf("the refund = %+v, %v", accepted, err)
	}
	notice, err := gopayv3.V3ParseNotify(shop.request(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := notice.VerifySignByPKMap(client.WxPublicKeyMap()); err != nil {
		t.Errorf("the refund notice's signature: %v", err)
	}
	told, err := notice.DecryptRefundCipherText(string(c.APIv3Key))
	if err != nil || told.OutRefundNo != refund || told.RefundStatus != "SUCCESS" || told.Amount.Refund != 990 {
		t.Errorf("the refund notice says %+v, %v", told, err)
	}
	state, err := client.V3RefundQuery(t.Context(), refund, nil)
	if err != nil || state.Code != gopayv3.Success || state.Response.Status != "SUCCESS" {
		t.Errorf("the refund's state = %+v, %v", state, err)
	}
}

// TestGopayV3Certificates: the SDK finds and believes the platform
// certificates.
func TestGopayV3Certificates(t *testing.T) {
	t.Parallel()
	w, c := newWechat(t), sandbox.DefaultCredentials()
	client, err := gopayv3.NewClientV3(c.MchID, c.CertificateSerial, string(c.APIv3Key), pemOf(t, "PRIVATE KEY", c.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	client.SetProxyHost(w.URL)
	client.SetHttpClient(xhttp.NewClient().SetHttpTLSConfig(w.trust()))
	if err := client.AutoVerifySign(false); err != nil {
		t.Fatal(err)
	}
	if client.WxSerialNo == "" {
		t.Error("no certificate was chosen")
	}
}
