package peers

import (
	"crypto/rand"
	"crypto/rsa"
	"maps"
	"net/http"
	"strings"
	"testing"

	gopayv2 "github.com/go-pay/gopay/wechat"
	gopayv3 "github.com/go-pay/gopay/wechat/v3"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	"github.com/wechatpay-apiv3/wechatpay-go/services/refunddomestic"
	"github.com/wxrelay/wxrelay/relay"
)

// newNotifyKey is a key as the relay's own.
func newNotifyKey(t *testing.T) (*relay.NotifyKey, *rsa.PublicKey) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := relay.NewNotifyKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key, &private.PublicKey
}

// TestNotifyWeChatV3: a client's unchanged SDK of APIv3 takes what the relay
// tells for WeChat's own, with the client's id as merchant number, its order
// number, its notify secret as APIv3 key, and the relay's key as WeChat's.
func TestNotifyWeChatV3(t *testing.T) {
	t.Parallel()
	key, public := newNotifyKey(t)
	shop := newReceiver(t, noContent)
	r := newRelay(t, shop.url, setup{format: relay.NotifyWeChatV3, key: key}, newTell)
	r.sell(t)
	n := shop.next(t)
	r.giveBack(t)
	back := shop.next(t)
	if id := n.header.Get("Wechatpay-Serial"); id != key.ID() || !strings.HasPrefix(id, "PUB_KEY_ID_") {
		t.Errorf("signed by %s, want %s", id, key.ID())
	}

	t.Run("wechatpay-go", func(t *testing.T) {
		t.Parallel()
		handler, err := notify.NewRSANotifyHandler(newTell, verifiers.NewSHA256WithRSAPubkeyVerifier(key.ID(), *public))
		if err != nil {
			t.Fatal(err)
		}
		request, err := n.request(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		paid := new(payments.Transaction)
		event, err := handler.ParseNotifyRequest(t.Context(), request, paid)
		if err != nil {
			t.Fatal(err)
		}
		if event.EventType != "TRANSACTION.SUCCESS" || *paid.OutTradeNo != "A000000001" || *paid.Mchid != clientID || *paid.Amount.Total != 100 || *paid.TradeState != "SUCCESS" {
			t.Errorf("the notification says %s %s", event.EventType, paid)
		}
		if request, err = back.request(t.Context()); err != nil {
			t.Fatal(err)
		}
		refund := new(refunddomestic.Refund)
		if event, err = handler.ParseNotifyRequest(t.Context(), request, refund); err != nil {
			t.Fatal(err)
		}
		if event.EventType != "REFUND.SUCCESS" || *refund.OutRefundNo != "R000000001" || *refund.OutTradeNo != "A000000001" || *refund.Amount.Refund != 40 {
			t.Errorf("the refund notice says %s %s", event.EventType, refund)
		}
	})
	t.Run("gopay", func(t *testing.T) {
		t.Parallel()
		request, err := n.request(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		notice, err := gopayv3.V3ParseNotify(request)
		if err != nil {
			t.Fatal(err)
		}
		if err := notice.VerifySignByPK(public); err != nil {
			t.Error(err)
		}
		paid, err := notice.DecryptPayCipherText(newTell)
		if err != nil || paid.OutTradeNo != "A000000001" || paid.Mchid != clientID || paid.Amount.Total != 100 {
			t.Errorf("the notification says %+v, %v", paid, err)
		}
		if _, err := notice.DecryptPayCipherText(oldTell); err == nil {
			t.Error("another secret opens it")
		}
		other, _ := newNotifyKey(t)
		if other.ID() == key.ID() {
			t.Error("two keys have one id")
		}
		notice.SignInfo.SignBody += " "
		if err := notice.VerifySignByPK(public); err == nil {
			t.Error("a changed body verifies")
		}
	})
	t.Run("wechatpay-axios-plugin", func(t *testing.T) {
		t.Parallel()
		needNode(t, "axios")
		paid := openV3(t, n, newTell, map[string]string{key.ID(): string(key.PublicPEM())})
		if !paid.Verified || paid.Resource.OutTradeNo != "A000000001" || paid.Resource.MchID != clientID || paid.Resource.TradeState != "SUCCESS" {
			t.Errorf("the notification says %+v", paid)
		}
		refund := openV3(t, back, newTell, map[string]string{key.ID(): string(key.PublicPEM())})
		if !refund.Verified || refund.Resource.OutRefundNo != "R000000001" || refund.Resource.RefundStatus != "SUCCESS" {
			t.Errorf("the refund notice says %+v", refund)
		}
	})
}

// TestNotifyWeChatV2: the same for a client's SDK of APIv2, whose key is the
// notify secret.
func TestNotifyWeChatV2(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		compat   relay.CompatMode
		signType string
	}{
		"HMAC-SHA256": {"", gopayv2.SignType_HMAC_SHA256},
		"MD5":         {relay.CompatMD5, gopayv2.SignType_MD5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newReceiver(t, gopaySuccess)
			r := newRelay(t, shop.url, setup{format: relay.NotifyWeChatV2, compat: c.compat}, newTell)
			r.sell(t)
			n := shop.next(t)

			request, err := n.request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			paid, err := gopayv2.ParseNotifyToBodyMap(request)
			if err != nil {
				t.Fatal(err)
			}
			for field, want := range map[string]string{
				"return_code": "SUCCESS", "result_code": "SUCCESS", "mch_id": clientID, "out_trade_no": "A000000001", "total_fee": "100", "trade_type": "NATIVE",
			} {
				if got := paid.GetString(field); got != want {
					t.Errorf("%s = %q, want %q", field, got, want)
				}
			}
			if ok, err := gopayv2.VerifySign(newTell, c.signType, maps.Clone(paid)); !ok || err != nil {
				t.Errorf("the signature: %t, %v", ok, err)
			}
			if ok, _ := gopayv2.VerifySign(oldTell, c.signType, maps.Clone(paid)); ok {
				t.Error("another secret verifies it")
			}
			r.giveBack(t)
			back := shop.next(t)
			if request, err = back.request(t.Context()); err != nil {
				t.Fatal(err)
			}
			notice, err := gopayv2.ParseRefundNotify(request)
			if err != nil {
				t.Fatal(err)
			}
			refund, err := gopayv2.DecryptRefundNotifyReqInfo(notice.ReqInfo, newTell)
			if err != nil || notice.MchId != clientID || refund.OutRefundNo != "R000000001" || refund.RefundFee != "40" || refund.RefundStatus != "SUCCESS" {
				t.Errorf("the refund notice says %+v %+v, %v", notice, refund, err)
			}
			needNode(t, "axios")
			if opened := openV2(t, n, newTell); !opened.Verified || opened.Resource.MchIDV2 != clientID || opened.Resource.TotalFee != "100" {
				t.Errorf("the plugin reads %+v", opened)
			}
			if opened := openV2(t, back, newTell); opened.Resource.OutRefundNo != "R000000001" || opened.Resource.RefundFee != "40" {
				t.Errorf("the plugin reads the refund notice as %+v", opened)
			}
		})
	}
}

// TestNotifyWeChatTold: the SDKs' own answers end the chain, and a page of
// words does not.
func TestNotifyWeChatTold(t *testing.T) {
	t.Parallel()
	key, _ := newNotifyKey(t)
	for name, c := range map[string]struct {
		setup  setup
		answer func(http.ResponseWriter)
		status relay.DeliveryStatus
	}{
		"v2, the SDK's success": {setup{format: relay.NotifyWeChatV2}, gopaySuccess, relay.DeliveryDelivered},
		"v2, no XML":            {setup{format: relay.NotifyWeChatV2}, func(w http.ResponseWriter) { _, _ = w.Write([]byte("success")) }, relay.DeliveryPending},
		"v3, 204":               {setup{format: relay.NotifyWeChatV3, key: key}, noContent, relay.DeliveryDelivered},
		"v3, 500":               {setup{format: relay.NotifyWeChatV3, key: key}, func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) }, relay.DeliveryPending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := newReceiver(t, c.answer)
			r := newRelay(t, shop.url, c.setup, newTell)
			r.sell(t)
			shop.next(t)
			r.awaitAttempt(t, c.status)
		})
	}
}
