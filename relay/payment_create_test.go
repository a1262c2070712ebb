package relay_test

import (
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestCreatePayment gives front ends of clients what they pay with, the same
// for the same question.
func TestCreatePayment(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.order("A000000001")
	ask := func(req relay.CreatePaymentRequest) (relay.PaymentInvocation, bool, error) {
		return b.CreatePayment(t.Context(), b.caller(b.client), "A000000001", req)
	}
	first, created, err := ask(relay.CreatePaymentRequest{TradeType: relay.TradeNative})
	if err != nil || !created || first.CodeURL == "" || first.JSAPI != nil || first.ExpiresAt == "" {
		t.Fatalf("native = %+v created %t, %v", first, created, err)
	}
	again, created, err := ask(relay.CreatePaymentRequest{TradeType: relay.TradeNative})
	if err != nil || created || again != first {
		t.Errorf("native again = %+v created %t, %v; want %+v", again, created, err, first)
	}
	other, created, err := ask(relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1", Account: "shop"})
	if err != nil || !created || other.JSAPI == nil || other.CodeURL != "" || other.OutTradeNo == first.OutTradeNo {
		t.Errorf("jsapi = %+v created %t, %v; want a payment of its own", other, created, err)
	}
}

// TestCreatePaymentRefuses: nothing is made for a question that is wrong.
func TestCreatePaymentRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[1].Allow = []relay.TradeType{relay.TradeNative} })
	key := b.order("A000000001")
	other := b.ClientByID("2000000000000002")
	if _, _, err := b.CreateOrder(t.Context(), b.caller(other), goodOrder("B000000001")); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		client *relay.Client
		no     string
		req    relay.CreatePaymentRequest
		want   relay.Kind
	}{
		{"no trade type", b.client, key.OrderNo, relay.CreatePaymentRequest{}, relay.KindParam},
		{"unknown trade type", b.client, key.OrderNo, relay.CreatePaymentRequest{TradeType: "cash"}, relay.KindParam},
		{"h5 not allowed", b.client, key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "8.8.8.8"}, relay.KindNoAuth},
		{"jsapi without openid", b.client, key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI}, relay.KindParam},
		{"native with openid", b.client, key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeNative, OpenID: "o-1"}, relay.KindParam},
		{"unknown account", b.client, key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeNative, Account: "other"}, relay.KindParam},
		{"trade type not allowed", other, "B000000001", relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1"}, relay.KindNoAuth},
		{"no such order", b.client, "none", relay.CreatePaymentRequest{TradeType: relay.TradeNative}, relay.KindNotFound},
		{"another client's order (C06)", other, key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeNative}, relay.KindNotFound},
	} {
		if _, _, err := b.CreatePayment(t.Context(), b.caller(tc.client), tc.no, tc.req); kindOf(err) != tc.want {
			t.Errorf("%s: %v, want kind %d", tc.name, err, tc.want)
		}
	}
	if n := b.wechat.count("prepay"); n != 0 || len(b.view(key).Payments) != 0 {
		t.Errorf("%d calls and %d payments came of it, want none", n, len(b.view(key).Payments))
	}
}
