package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// partnerMchID is a merchant that shares are given to.
const partnerMchID = "1900000777"

// sharing is a profit sharing call.
func sharing(method, path, body string) call {
	return call{method: method, target: "/v3/profitsharing/" + path, body: body}
}

// jsonOf encodes the body of a call.
func jsonOf(t *testing.T, body map[string]any) string {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// sealedFor encrypts a name with a key of the platform.
func sealedFor(t *testing.T, key *rsa.PublicKey, name string) string {
	t.Helper()
	ciphertext, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, []byte(name), nil)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(ciphertext)
}

// addMerchantReceiver adds the merchant that shares are given to.
func addMerchantReceiver(t *testing.T, s *Sandbox) {
	t.Helper()
	c := sharing(http.MethodPost, "receivers/add", jsonOf(t, map[string]any{
		"appid": DefaultAppID, "type": "MERCHANT_ID", "account": partnerMchID, "relation_type": "PARTNER",
		"name": sealedFor(t, DefaultCredentials().PublicKey, "某某公司"),
	}))
	c.at = s.now()
	c.header = http.Header{"Wechatpay-Serial": {DefaultPublicKeyID}}
	mustStatus(t, c.send(t, s), http.StatusOK)
}

// sharedOrder runs fn in a bubble with a sandbox in which an order of 1000
// fen, made for profit sharing, was just paid.
func sharedOrder(t *testing.T, o Options, fn func(t *testing.T, s *Sandbox, transactionID string)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		o.Now = time.Now
		s := newSandbox(t, o)
		body := prepayBody(t, map[string]any{"amount": map[string]any{"total": 1000}, "settle_info": map[string]any{"profit_sharing": true}})
		mustStatus(t, native(body).now().send(t, s), http.StatusOK)
		paid := resultOf(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`))
		addMerchantReceiver(t, s)
		fn(t, s, paid.TransactionID)
	})
}

// shareBody makes the body of a share of one receiver.
func shareBody(t *testing.T, transactionID, number string, fen int64, changes map[string]any) string {
	t.Helper()
	body := map[string]any{
		"appid": DefaultAppID, "transaction_id": transactionID, "out_order_no": number, "unfreeze_unsplit": false,
		"receivers": []any{map[string]any{"type": "MERCHANT_ID", "account": partnerMchID, "amount": fen, "description": "分给合作方"}},
	}
	for name, value := range changes {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	return jsonOf(t, body)
}

// shareOf decodes the answer to a share.
func shareOf(t *testing.T, w *httptest.ResponseRecorder) shareObject {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var sh shareObject
	if err := json.Unmarshal(w.Body.Bytes(), &sh); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return sh
}

// unsplitOf asks how much of the order can still be shared.
func unsplitOf(t *testing.T, s *Sandbox, transactionID string) int64 {
	t.Helper()
	w := sharing(http.MethodGet, "transactions/"+transactionID+"/amounts", "").now().send(t, s)
	mustStatus(t, w, http.StatusOK)
	var got struct {
		UnsplitAmount int64 `json:"unsplit_amount"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got.UnsplitAmount
}

// refused fails the test unless the answer is this refusal.
func refused(t *testing.T, what string, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if e := errorOf(t, w); w.Code != status || e.Code != code {
		t.Errorf("%s: %d %s, want %d %s", what, w.Code, w.Body, status, code)
	}
}

func TestShare(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		made := shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 200, nil)).now().send(t, s))
		if made.State != shareProcessing || made.OrderID == "" || len(made.Receivers) != 1 || made.Receivers[0].Result != resultPending ||
			made.Receivers[0].Amount != 200 || made.Receivers[0].Account != partnerMchID {
			t.Errorf("made = %+v", made)
		}
		if got := unsplitOf(t, s, id); got != 800 {
			t.Errorf("unsplit = %d, want 800", got)
		}
		again := shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 200, nil)).now().send(t, s))
		if again.OrderID != made.OrderID || unsplitOf(t, s, id) != 800 {
			t.Errorf("the repeat = %+v", again)
		}
		refused(t, "other content", sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 201, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		after(shareDelay)
		got := shareOf(t, sharing(http.MethodGet, "orders/S1?transaction_id="+id, "").now().send(t, s))
		if got.State != shareFinished || got.Receivers[0].Result != resultSuccess || got.Receivers[0].FinishTime == "" {
			t.Errorf("after the delay = %+v", got)
		}
	})
}

func TestUnfreeze(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		body := jsonOf(t, map[string]any{"transaction_id": id, "out_order_no": "U1", "description": "完结"})
		for range 2 { // with the same number it is the same
			made := shareOf(t, sharing(http.MethodPost, "orders/unfreeze", body).now().send(t, s))
			if len(made.Receivers) != 1 || made.Receivers[0].Account != DefaultMchID || made.Receivers[0].Amount != 1000 {
				t.Errorf("made = %+v", made)
			}
		}
		if got := unsplitOf(t, s, id); got != 0 {
			t.Errorf("unsplit = %d, want 0", got)
		}
		refused(t, "share", sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 1, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		after(shareDelay)
		if o, _ := s.ledger.byOutTradeNo("T00001"); o.SharedFen != 0 || o.FrozenFen != 0 {
			t.Errorf("order = %+v", o)
		}
	})
}

func TestShareUnfreezesTheRest(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 100, map[string]any{"unfreeze_unsplit": true})).now().send(t, s))
		if got := unsplitOf(t, s, id); got != 0 {
			t.Errorf("unsplit = %d, want 0", got)
		}
	})
}

func TestShareRefuses(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00002"})).now().send(t, s), http.StatusOK)
		plainPaid := resultOf(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00002"}`))
		to := func(kind, account string) map[string]any {
			return map[string]any{"receivers": []any{map[string]any{"type": kind, "account": account, "amount": 1, "description": "x"}}}
		}
		many := make([]any, maxReceivers+1)
		for i := range many {
			many[i] = map[string]any{"type": "MERCHANT_ID", "account": partnerMchID, "amount": 1, "description": "x"}
		}
		for name, test := range map[string]struct {
			body   string
			status int
			code   string
		}{
			"above the ratio":       {shareBody(t, id, "S1", 301, nil), 403, "RULE_LIMIT"},
			"above the order":       {shareBody(t, id, "S1", 1001, nil), 403, "NOT_ENOUGH"},
			"nothing":               {shareBody(t, id, "S1", 0, nil), 400, "PARAM_ERROR"},
			"unknown transaction":   {shareBody(t, "1", "S1", 1, nil), 404, "RESOURCE_NOT_EXISTS"},
			"order without sharing": {shareBody(t, plainPaid.TransactionID, "S1", 1, nil), 400, "INVALID_REQUEST"},
			"receiver not added":    {shareBody(t, id, "S1", 1, to("MERCHANT_ID", "404")), 400, "INVALID_REQUEST"},
			"other kind":            {shareBody(t, id, "S1", 1, to("PERSONAL_OPENID", partnerMchID)), 400, "INVALID_REQUEST"},
			"unknown kind":          {shareBody(t, id, "S1", 1, to("FRIEND", partnerMchID)), 400, "PARAM_ERROR"},
			"no receivers":          {shareBody(t, id, "S1", 1, map[string]any{"receivers": []any{}}), 400, "PARAM_ERROR"},
			"51 receivers":          {shareBody(t, id, "S1", 1, map[string]any{"receivers": many}), 400, "PARAM_ERROR"},
			"no number":             {shareBody(t, id, "S1", 1, map[string]any{"out_order_no": nil}), 400, "PARAM_ERROR"},
			"nothing about the rest": {
				shareBody(t, id, "S1", 1, map[string]any{"unfreeze_unsplit": nil}), 400, "PARAM_ERROR",
			},
			"foreign app id":       {shareBody(t, id, "S1", 1, map[string]any{"appid": DefaultSubAppID}), 400, "APPID_MCHID_NOT_MATCH"},
			"unknown sub merchant": {shareBody(t, id, "S1", 1, map[string]any{"sub_mchid": "404"}), 403, "NO_AUTH"},
			"other sub merchant":   {shareBody(t, id, "S1", 1, map[string]any{"sub_mchid": DefaultSubMchID}), 404, "RESOURCE_NOT_EXISTS"},
			"name in plain text": {shareBody(t, id, "S1", 1, map[string]any{"receivers": []any{
				map[string]any{"type": "MERCHANT_ID", "account": partnerMchID, "amount": 1, "description": "x", "name": "某某公司"},
			}}), 400, "PARAM_ERROR"},
		} {
			refused(t, name, sharing(http.MethodPost, "orders", test.body).now().send(t, s), test.status, test.code)
		}
		if got := unsplitOf(t, s, id); got != 1000 {
			t.Errorf("unsplit after refusals = %d, want 1000", got)
		}
		refused(t, "amounts of an order without sharing",
			sharing(http.MethodGet, "transactions/"+plainPaid.TransactionID+"/amounts", "").now().send(t, s), 400, "INVALID_REQUEST")
		refused(t, "amounts of nothing", sharing(http.MethodGet, "transactions/1/amounts", "").now().send(t, s), 404, "RESOURCE_NOT_EXISTS")
		refused(t, "query of nothing", sharing(http.MethodGet, "orders/S404?transaction_id="+id, "").now().send(t, s), 404, "RESOURCE_NOT_EXISTS")
		refused(t, "query without transaction", sharing(http.MethodGet, "orders/S404", "").now().send(t, s), 400, "PARAM_ERROR")
	})
}

func TestShareTimesAndNumbers(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"share_too_soon"}`), http.StatusOK)
		refused(t, "too soon", sharing(http.MethodPost, "orders", shareBody(t, id, "S0", 1, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		for i := range maxShares {
			shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, fmt.Sprint("S", i), 1, nil)).now().send(t, s))
		}
		refused(t, "the 51st", sharing(http.MethodPost, "orders", shareBody(t, id, "S51", 1, nil)).now().send(t, s), 400, "INVALID_REQUEST")
	})
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		after(sharePeriod)
		shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 1, nil)).now().send(t, s))
		after(time.Second)
		refused(t, "after 30 days", sharing(http.MethodPost, "orders", shareBody(t, id, "S2", 1, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		if got := unsplitOf(t, s, id); got != 0 {
			t.Errorf("unsplit after 30 days = %d", got)
		}
	})
}

func TestShareRatioOfTheMerchant(t *testing.T) {
	t.Parallel()
	half := Merchant{
		MchID: DefaultMchID, APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID}, MaxShareRatio: 5000,
		Certificates: []MerchantCertificate{{Serial: DefaultCertificateSerial, PublicKey: &merchantKey().PublicKey}},
		SubMerchants: []SubMerchant{{MchID: DefaultSubMchID}},
	}
	sharedOrder(t, Options{Merchants: []Merchant{half}}, func(t *testing.T, s *Sandbox, id string) {
		shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 500, nil)).now().send(t, s))
		refused(t, "one more", sharing(http.MethodPost, "orders", shareBody(t, id, "S2", 1, nil)).now().send(t, s), 403, "RULE_LIMIT")
		w := sharing(http.MethodGet, "merchant-configs/"+DefaultSubMchID, "").now().send(t, s)
		if w.Code != http.StatusOK || w.Body.String() != `{"sub_mchid":"`+DefaultSubMchID+`","max_ratio":5000}` {
			t.Errorf("ratio = %d %s", w.Code, w.Body)
		}
		refused(t, "ratio of a stranger", sharing(http.MethodGet, "merchant-configs/404", "").now().send(t, s), 403, "NO_AUTH")
	})
}

// The money of a receiver whose account does not work is the merchant's.
func TestShareClosed(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"share_closed"}`), http.StatusOK)
		shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 300, nil)).now().send(t, s))
		after(shareDelay)
		got := shareOf(t, sharing(http.MethodGet, "orders/S1?transaction_id="+id, "").now().send(t, s))
		if got.State != shareFinished || got.Receivers[0].Result != resultClosed || got.Receivers[0].FailReason != "ACCOUNT_ABNORMAL" {
			t.Errorf("share = %+v", got)
		}
		refundOf(t, refunding(refundBody(t, "R1", 1000, map[string]any{
			"amount": map[string]any{"refund": 1000, "total": 1000, "currency": "CNY"},
		})).now().send(t, s))
	})
}

// returnBody makes the body of a return.
func returnBody(t *testing.T, number string, fen int64, changes map[string]any) string {
	t.Helper()
	body := map[string]any{
		"out_order_no": "S1", "out_return_no": number, "return_mchid": partnerMchID, "amount": fen, "description": "退回",
	}
	for name, value := range changes {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	return jsonOf(t, body)
}

// returnOf decodes the answer to a return.
func returnOf(t *testing.T, w *httptest.ResponseRecorder) returnObject {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var r returnObject
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return r
}

// What receivers hold cannot be refunded until it came back.
func TestReturnBeforeRefund(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		sh := shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 300, nil)).now().send(t, s))
		refused(t, "before the share is over", sharing(http.MethodPost, "return-orders", returnBody(t, "B1", 300, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		after(shareDelay)
		whole := refundBody(t, "R1", 1000, map[string]any{"amount": map[string]any{"refund": 1000, "total": 1000, "currency": "CNY"}})
		refused(t, "refund before the return", refunding(whole).now().send(t, s), 403, "NOT_ENOUGH")

		made := returnOf(t, sharing(http.MethodPost, "return-orders", returnBody(t, "B1", 300, nil)).now().send(t, s))
		again := returnOf(t, sharing(http.MethodPost, "return-orders",
			returnBody(t, "B1", 300, map[string]any{"out_order_no": nil, "order_id": sh.OrderID})).now().send(t, s))
		if made.Result != returnProcessing || made.ReturnID == "" || made.OrderID != sh.OrderID || again != made {
			t.Errorf("made %+v, again %+v", made, again)
		}
		refused(t, "refund during the return", refunding(whole).now().send(t, s), 403, "NOT_ENOUGH")
		after(shareDelay)
		got := returnOf(t, sharing(http.MethodGet, "return-orders/B1?out_order_no=S1", "").now().send(t, s))
		if got.Result != returnSuccess || got.FinishTime == "" {
			t.Errorf("return = %+v", got)
		}
		refundOf(t, refunding(whole).now().send(t, s))
		if got := unsplitOf(t, s, id); got != 0 {
			t.Errorf("unsplit after the refund = %d: frozen money goes back first", got)
		}
	})
}

func TestReturnRefuses(t *testing.T) {
	t.Parallel()
	sharedOrder(t, Options{}, func(t *testing.T, s *Sandbox, id string) {
		shareOf(t, sharing(http.MethodPost, "orders", shareBody(t, id, "S1", 300, nil)).now().send(t, s))
		after(shareDelay)
		for name, test := range map[string]struct {
			body   string
			status int
			code   string
		}{
			"more than it got": {returnBody(t, "B1", 301, nil), 400, "INVALID_REQUEST"},
			"got nothing":      {returnBody(t, "B1", 1, map[string]any{"return_mchid": "404"}), 400, "INVALID_REQUEST"},
			"unknown share":    {returnBody(t, "B1", 1, map[string]any{"out_order_no": "S404"}), 404, "RESOURCE_NOT_EXISTS"},
			"unknown id":       {returnBody(t, "B1", 1, map[string]any{"out_order_no": nil, "order_id": "404"}), 404, "RESOURCE_NOT_EXISTS"},
			"both names":       {returnBody(t, "B1", 1, map[string]any{"order_id": "1"}), 400, "PARAM_ERROR"},
			"no name":          {returnBody(t, "B1", 1, map[string]any{"out_order_no": nil}), 400, "PARAM_ERROR"},
			"nothing":          {returnBody(t, "B1", 0, nil), 400, "PARAM_ERROR"},
		} {
			refused(t, name, sharing(http.MethodPost, "return-orders", test.body).now().send(t, s), test.status, test.code)
		}
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"return_failed"}`), http.StatusOK)
		returnOf(t, sharing(http.MethodPost, "return-orders", returnBody(t, "B1", 300, nil)).now().send(t, s))
		refused(t, "other content", sharing(http.MethodPost, "return-orders", returnBody(t, "B1", 299, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		refused(t, "twice", sharing(http.MethodPost, "return-orders", returnBody(t, "B2", 300, nil)).now().send(t, s), 400, "INVALID_REQUEST")
		after(shareDelay)
		got := returnOf(t, sharing(http.MethodGet, "return-orders/B1?out_order_no=S1", "").now().send(t, s))
		if got.Result != returnFailed || got.FailReason != "ACCOUNT_ABNORMAL" {
			t.Errorf("return = %+v, want a failed one", got)
		}
		refused(t, "unknown return", sharing(http.MethodGet, "return-orders/B404?out_order_no=S1", "").now().send(t, s), 404, "RESOURCE_NOT_EXISTS")
		// What failed can be tried again.
		returnOf(t, sharing(http.MethodPost, "return-orders", returnBody(t, "B2", 300, nil)).now().send(t, s))
		after(returnPeriod + time.Second)
		refused(t, "after 180 days", sharing(http.MethodPost, "return-orders", returnBody(t, "B3", 1, nil)).now().send(t, s), 400, "INVALID_REQUEST")
	})
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	person := OpenID(DefaultAppID, "wang")
	sealed := sealedFor(t, DefaultCredentials().PublicKey, "王某")
	other := sealedFor(t, platformCertificate().PublicKey.(*rsa.PublicKey), "王某")
	base := func(changes map[string]any) string {
		body := map[string]any{"appid": DefaultAppID, "type": "PERSONAL_OPENID", "account": person, "relation_type": "STAFF"}
		for name, value := range changes {
			if body[name] = value; value == nil {
				delete(body, name)
			}
		}
		return jsonOf(t, body)
	}
	for name, test := range map[string]struct {
		changes map[string]any
		serial  string
		status  int
		field   string
	}{
		"a person":               {nil, "", 200, ""},
		"with a name":            {map[string]any{"name": sealed}, DefaultPublicKeyID, 200, ""},
		"name by certificate":    {map[string]any{"name": other}, defaultPlatformSerial, 200, ""},
		"no serial":              {map[string]any{"name": sealed}, "", 400, "Wechatpay-Serial"},
		"name for another key":   {map[string]any{"name": other}, DefaultPublicKeyID, 400, "/name"},
		"name in plain text":     {map[string]any{"name": "王某"}, DefaultPublicKeyID, 400, "/name"},
		"merchant without name":  {map[string]any{"type": "MERCHANT_ID", "account": partnerMchID}, "", 400, "/name"},
		"no merchant number":     {map[string]any{"type": "MERCHANT_ID", "name": sealed}, DefaultPublicKeyID, 400, "/account"},
		"unknown person":         {map[string]any{"account": "oNobody"}, "", 400, "/account"},
		"openid of another app":  {map[string]any{"account": OpenID(DefaultMobileAppID, "wang")}, "", 400, "/account"},
		"sub openid, no sub app": {map[string]any{"type": "PERSONAL_SUB_OPENID"}, "", 400, "/sub_appid"},
		"sub openid": {map[string]any{
			"type": "PERSONAL_SUB_OPENID", "sub_mchid": DefaultSubMchID, "sub_appid": DefaultSubAppID, "account": OpenID(DefaultSubAppID, "wang"),
		}, "", 200, ""},
		"other relation":       {map[string]any{"relation_type": "FRIEND"}, "", 400, "/relation_type"},
		"custom, not said how": {map[string]any{"relation_type": "CUSTOM"}, "", 400, "/custom_relation"},
		"custom":               {map[string]any{"relation_type": "CUSTOM", "custom_relation": "代理商"}, "", 200, ""},
	} {
		c := sharing(http.MethodPost, "receivers/add", base(test.changes))
		if test.serial != "" {
			c.header = http.Header{"Wechatpay-Serial": {test.serial}}
		}
		w := c.send(t, s)
		if w.Code != test.status || test.field != "" && errorOf(t, w).Detail.Field != test.field {
			t.Errorf("%s: %d %s, want %d at %q", name, w.Code, w.Body, test.status, test.field)
		}
	}
	gone := sharing(http.MethodPost, "receivers/delete", base(map[string]any{"relation_type": nil}))
	for range 2 { // deleting twice is harmless
		mustStatus(t, gone.send(t, s), http.StatusOK)
	}
	for _, r := range s.ledger.receivers {
		if r.Account == person {
			t.Errorf("%+v is a receiver still", r)
		}
	}
}
