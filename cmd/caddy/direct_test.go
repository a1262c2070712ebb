package main

import (
	"crypto/rsa"
	"net/http"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// heard is what a site that holds the merchant's keys reads of WeChat's own
// notification.
type heard struct {
	outTradeNo, attach string
	totalFen           int64
}

// hearV3 verifies a notification of APIv3 as the merchant.
func hearV3(t *testing.T, n *told) heard {
	t.Helper()
	c := sandbox.DefaultCredentials()
	ring, err := payv3.NewKeyRing(payv3.KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{c.PublicKeyID: c.PublicKey}})
	if err != nil {
		t.Fatal(err)
	}
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID: c.MchID, CertificateSerial: c.CertificateSerial, PrivateKey: c.PrivateKey, APIv3Key: c.APIv3Key, Keys: ring,
		HTTP: http.DefaultClient, BaseURL: "http://127.0.0.1:1",
	})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := client.ParseNotification(t.Context(), n.header, []byte(n.body))
	if err != nil {
		t.Fatalf("WeChat's notification %s: %v", n.body, err)
	}
	tr, err := parsed.Transaction()
	if err != nil {
		t.Fatal(err)
	}
	return heard{tr.OutTradeNo, tr.Attach, tr.Amount.Total}
}

// hearV2 verifies a notification of APIv2 as the merchant.
func hearV2(t *testing.T, n *told) heard {
	t.Helper()
	client, err := payv2.NewClient(payv2.ClientOptions{MchID: sandbox.DefaultMchID, Key: payv2.Key(sandbox.DefaultAPIv2Key)})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := client.ParseNotification([]byte(n.body))
	if err != nil || parsed.Payment == nil {
		t.Fatalf("WeChat's notification %s: %v", n.body, err)
	}
	return heard{parsed.Payment.OutTradeNo, parsed.Payment.Attach, parsed.Payment.TotalFen}
}

// TestDirect: with callback direct WeChat calls the site itself, in WeChat's
// own format and once, and the relay learns by asking and keeps its books.
func TestDirect(t *testing.T) {
	t.Parallel()
	for prefer, hear := range map[string]func(*testing.T, *told) heard{"api_v3": hearV3, "api_v2": hearV2} {
		t.Run(prefer, func(t *testing.T) {
			t.Parallel()
			site := newReceiver(t)
			if prefer == "api_v2" {
				site.answers(func(w http.ResponseWriter) { _, _ = w.Write(payv2.SuccessReply()) })
			}
			s := start(t, setup{
				receiver: site.url, app: "allow_networks 127.0.0.0/8",
				merchant: "{\n\t\t\tprefer " + prefer + "\n\t\t}", bookshop: "callback direct",
			})
			s.shop.order(t, "A000000001", `,"attach":"shelf 7"`)
			s.shop.order(t, "A000000002", "")
			for i, tc := range []struct{ orderNo, attach string }{{"A000000001", "shelf 7"}, {"A000000002", "A000000002"}} {
				buyer := s.pay(t, `{"code_url":"`+s.shop.native(t, tc.orderNo).CodeURL+`"}`)
				n := site.await(t, i+1)
				if got, want := hear(t, &n), (heard{buyer.OutTradeNo, tc.attach, 100}); got != want {
					t.Errorf("WeChat told the site %+v, want %+v", got, want)
				}
				var v orderJSON
				s.shop.call(t, "GET", "/v1/orders/"+tc.orderNo+"?refresh=true", "", http.StatusOK, &v)
				if v.Status != "paid" || v.TransactionID != buyer.TransactionID {
					t.Errorf("the relay has the order as %+v, want it paid by %s", v, buyer.TransactionID)
				}
			}
			events := s.shop.allEvents(t)
			if len(events) != 2 {
				t.Fatalf("events = %+v, want two to pull", events)
			}
			for _, e := range events {
				if e = s.shop.event(t, e.ID); e.Type != "order.paid" || e.Delivery.Status != "" {
					t.Errorf("event %+v, want order.paid without a delivery", e)
				}
			}
			if more := len(site.all()); more != 2 {
				t.Errorf("the site was told %d times, want twice and by WeChat alone", more)
			}
		})
	}
}

// TestServiceProvider: a provider's merchant collects for another one, from
// the code to a part of the money back, in both generations.
func TestServiceProvider(t *testing.T) {
	t.Parallel()
	for _, prefer := range []string{"api_v3", "api_v2"} {
		for name, subAppID := range map[string]string{"provider's app": "", "merchant's app": "sub_app_id " + sandbox.DefaultSubAppID} {
			t.Run(prefer+", "+name, func(t *testing.T) {
				t.Parallel()
				site := newReceiver(t)
				s := start(t, setup{
					receiver: site.url, app: "allow_networks 127.0.0.0/8", bookshop: "allow native refund",
					merchant: "{\n\t\t\tprefer " + prefer + "\n\t\t\tsub_mch_id " + sandbox.DefaultSubMchID + "\n\t\t\t" + subAppID + "\n\t\t}",
				})
				e := s.paid(t, "A000000001", "")
				if e.Data.MchID != sandbox.DefaultMchID || e.Data.Payer.OpenID == "" {
					t.Errorf("told %+v, want the provider's number and a payer", e.Data)
				}
				s.shop.call(t, "POST", "/v1/orders/A000000001/refunds", `{"refund_no":"R1","amount":30}`, http.StatusCreated, nil)
				s.shop.awaitStatus(t, "A000000001", "partially_refunded")
			})
		}
	}
}
