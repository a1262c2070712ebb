package web_test

import (
	"crypto/rsa"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// merchant is the merchant of the world as it asks the sandbox itself, so that
// a test knows what WeChat has done without waiting for a while.
func (w *world) merchant() *payv3.Client {
	w.t.Helper()
	known := sandbox.DefaultCredentials()
	keys, err := payv3.NewKeyRing(payv3.KeyRingOptions{PublicKeys: map[string]*rsa.PublicKey{known.PublicKeyID: known.PublicKey}})
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := payv3.NewClient(payv3.ClientOptions{
		MchID: known.MchID, CertificateSerial: known.CertificateSerial, PrivateKey: known.PrivateKey, APIv3Key: known.APIv3Key,
		Keys: keys, BaseURL: w.weChat,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// TestProfitIsShared: an order is paid, shared, taken back and refunded, by
// signed calls alone, with a WeChat that checks every rule.
func TestProfitIsShared(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the relay's clock
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	w := newWorldAt(t, memstore.New(), now, sandbox.Options{TimeScale: 1.0 / 2000}, func(c *relay.Config) {
		c.Clients[0].AllowSharing, c.Clients[0].AllowRefund = true, true
	})
	post := func(target, body string, wantStatus int, into any) string {
		t.Helper()
		return w.call(bookshop, secret, "POST", target, body, wantStatus, into)
	}
	refused := func(target, body string, wantStatus int, code string) {
		t.Helper()
		if got := post(target, body, wantStatus, nil); !strings.Contains(got, `"`+code+`"`) {
			t.Errorf("%s: %s, want %s", target, got, code)
		}
	}

	const order = `"amount":1000,"description":"book","profit_sharing":true}`
	w.call(teashop, otherSecret, "POST", "/v1/orders", `{"order_no":"P000000001",`+order, http.StatusForbidden, nil)
	post("/v1/orders", `{"order_no":"P000000001",`+order, http.StatusCreated, nil)
	var paying relay.PaymentInvocation
	post("/v1/orders/P000000001/payments", `{"trade_type":"native"}`, http.StatusCreated, &paying)
	w.pay(paying.OutTradeNo)
	var paid relay.OrderView
	w.call(bookshop, secret, "GET", "/v1/orders/P000000001?refresh=true", "", http.StatusOK, &paid)
	if paid.Status != relay.OrderPaid {
		t.Fatalf("order %+v", paid)
	}

	const splits = "/v1/orders/P000000001/profit-sharing"
	const split = `{"split_no":"S1","receivers":[{"type":"merchant_id","account":"1900000777","name":"某某公司","amount":100,"description":"分给合作方"}]}`
	refused(splits, split, http.StatusConflict, "ORDER_CONFLICT") // within the minute after the payment
	ahead.Store(int64(61 * time.Second))
	refused(splits, split, http.StatusBadGateway, "UPSTREAM_ERROR") // WeChat does not know the receiver
	post("/v1/profit-sharing/receivers", `{"type":"merchant_id","account":"1900000777","name":"某某公司","relation_type":"PARTNER"}`, http.StatusOK, nil)
	again := strings.Replace(split, "S1", "S2", 1)
	var made relay.SplitView
	post(splits, again, http.StatusCreated, &made)
	post(splits, again, http.StatusOK, nil)
	refused(splits, strings.Replace(again, "100", "99", 1), http.StatusConflict, "SPLIT_CONFLICT")

	weChat := w.merchant()
	for done := false; !done; {
		sp, err := weChat.ProfitSharingByOutOrderNo(t.Context(), paid.TransactionID, made.OutOrderNo, "")
		if err != nil {
			t.Fatal(err)
		}
		done = sp.State == payv3.ShareFinished
	}
	w.call(bookshop, secret, "GET", "/v1/profit-sharing/S2?refresh=true", "", http.StatusOK, &made)
	if made.Status != relay.SplitFinished || made.Receivers[0].Result != relay.ShareSuccess {
		t.Errorf("split %+v", made)
	}
	w.call(teashop, otherSecret, "GET", "/v1/profit-sharing/S2", "", http.StatusNotFound, nil)

	refused("/v1/orders/P000000001/refunds", `{"refund_no":"R1","amount":950}`, http.StatusConflict, "AMOUNT_EXCEEDED")
	const returns = "/v1/profit-sharing/S2/returns"
	refused(returns, `{"return_no":"B1","account":"1900000777","amount":101,"description":"back"}`, http.StatusConflict, "AMOUNT_EXCEEDED")
	var back relay.SplitReturnView
	post(returns, `{"return_no":"B1","account":"1900000777","amount":100,"description":"back"}`, http.StatusCreated, &back)
	post(returns, `{"return_no":"B1","account":"1900000777","amount":100,"description":"back"}`, http.StatusOK, nil)
	for done := false; !done; {
		r, err := weChat.ShareReturnByOutReturnNo(t.Context(), made.OutOrderNo, back.OutReturnNo, "")
		if err != nil {
			t.Fatal(err)
		}
		done = r.Result != payv3.ReturnProcessing
	}
	ahead.Store(int64(70 * time.Second)) // WeChat is asked again no sooner
	w.call(bookshop, secret, "GET", "/v1/profit-sharing/S2?refresh=true", "", http.StatusOK, &made)
	if len(made.Returns) != 1 || made.Returns[0].Status != relay.ReturnSucceeded {
		t.Errorf("returns %+v", made.Returns)
	}

	var end relay.SplitView
	post(splits, `{"split_no":"S3","unfreeze":true}`, http.StatusCreated, &end)
	for done := false; !done; {
		sp, err := weChat.ProfitSharingByOutOrderNo(t.Context(), paid.TransactionID, end.OutOrderNo, "")
		if err != nil {
			t.Fatal(err)
		}
		done = sp.State == payv3.ShareFinished
	}
	w.call(bookshop, secret, "GET", "/v1/profit-sharing/S3?refresh=true", "", http.StatusOK, &end)
	if end.Status != relay.SplitFinished {
		t.Errorf("end %+v", end)
	}
	refused(splits, strings.Replace(split, "S1", "S4", 1), http.StatusConflict, "ORDER_CONFLICT")
	post("/v1/orders/P000000001/refunds", `{"refund_no":"R2","amount":950}`, http.StatusCreated, nil)
	post("/v1/profit-sharing/receivers/delete", `{"type":"merchant_id","account":"1900000777"}`, http.StatusOK, nil)
}
