package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// transactionOf decodes the answer to a query.
func transactionOf(t *testing.T, body []byte) payv3.Transaction {
	t.Helper()
	var got payv3.Transaction
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatalf("decoding %q: %v", body, err)
	}
	return got
}

func TestQueryOfAnUnpaidOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, map[string]any{"attach": "a&b"})).send(t, s), http.StatusOK)
	w := query("T00001").send(t, s)
	mustStatus(t, w, http.StatusOK)
	got := transactionOf(t, w.Body.Bytes())
	if got.TradeState != "NOTPAY" || got.Attach != "a&b" || got.MchID != DefaultMchID || got.AppID != DefaultAppID {
		t.Errorf("transaction = %+v", got)
	}
	for _, name := range []string{"transaction_id", "trade_type", "success_time", "payer", "bank_type"} {
		if strings.Contains(w.Body.String(), name) {
			t.Errorf("an unpaid order has %s: %s", name, w.Body)
		}
	}
}

func TestQueryOfAPaidOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, jsapi(prepayBody(t, map[string]any{"payer": payer()})).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)

	byNumber := query("T00001").send(t, s)
	mustStatus(t, byNumber, http.StatusOK)
	got := transactionOf(t, byNumber.Body.Bytes())
	if got.TradeState != "SUCCESS" || got.TradeType != "JSAPI" || got.SuccessTime != "2026-11-22T12:00:00+08:00" ||
		got.Payer == nil || got.Payer.OpenID != OpenID(DefaultAppID, "ming") ||
		got.Amount == nil || *got.Amount != (payv3.Amount{Total: 100, Currency: "CNY", PayerTotal: 100, PayerCurrency: "CNY"}) {
		t.Errorf("transaction = %s", byNumber.Body)
	}
	if len(got.TransactionID) != 28 || !strings.HasPrefix(got.TransactionID, "9999") {
		t.Errorf("transaction_id = %q, want 28 digits in the sandbox's range", got.TransactionID)
	}
	byID := call{method: http.MethodGet, target: "/v3/pay/transactions/id/" + got.TransactionID + "?mchid=" + DefaultMchID}.send(t, s)
	mustStatus(t, byID, http.StatusOK)
	if byID.Body.String() != byNumber.Body.String() {
		t.Errorf("by id %s, by number %s", byID.Body, byNumber.Body)
	}
}

func TestQueryRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	base := "/v3/pay/transactions/out-trade-no/"
	tests := map[string]struct {
		target string
		status int
		code   string
	}{
		"unknown order":       {base + "T40404?mchid=" + DefaultMchID, 404, "ORDER_NOT_EXIST"},
		"unknown transaction": {"/v3/pay/transactions/id/1?mchid=" + DefaultMchID, 404, "ORDER_NOT_EXIST"},
		"long transaction":    {"/v3/pay/transactions/id/" + strings.Repeat("1", 33) + "?mchid=" + DefaultMchID, 400, "PARAM_ERROR"},
		"short number":        {base + "T1?mchid=" + DefaultMchID, 400, "PARAM_ERROR"},
		"no mchid":            {base + "T40404", 400, "PARAM_ERROR"},
		"empty mchid":         {base + "T40404?mchid=", 400, "PARAM_ERROR"},
		"other mchid":         {base + "T40404?mchid=2", 400, "PARAM_ERROR"},
		"two mchids":          {base + "T40404?mchid=" + DefaultMchID + "&mchid=" + DefaultMchID, 400, "PARAM_ERROR"},
		"unknown parameter":   {base + "T40404?mchid=" + DefaultMchID + "&a=b", 400, "PARAM_ERROR"},
		"malformed query":     {base + "T40404?mchid=%zz", 400, "PARAM_ERROR"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := call{method: http.MethodGet, target: test.target}.send(t, s)
			mustStatus(t, w, test.status)
			if e := errorOf(t, w); e.Code != test.code {
				t.Errorf("code = %s, want %s", e.Code, test.code)
			}
		})
	}
}

// Another merchant's orders do not exist.
func TestQueryOfAnotherMerchantsOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Merchants: []Merchant{{
		MchID: "2", APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID},
		Certificates: []MerchantCertificate{{Serial: "2", PublicKey: DefaultCredentials().PublicKey}, {Serial: "3", PublicKey: &merchantKey().PublicKey}},
	}}})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	c := call{method: http.MethodGet, target: "/v3/pay/transactions/out-trade-no/T00001?mchid=2", mchID: "2", serial: "3"}
	w := c.send(t, s)
	mustStatus(t, w, http.StatusNotFound)
}

func TestClose(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	for range 2 { // closing twice is harmless
		w := closing("T00001").send(t, s)
		mustStatus(t, w, http.StatusNoContent)
		if w.Body.Len() != 0 {
			t.Errorf("a 204 has the body %q", w.Body)
		}
	}
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.TradeState != "CLOSED" {
		t.Errorf("state = %s, want CLOSED", got.TradeState)
	}
}

func TestCloseRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	withBody := func(body string) call { c := closing("T00001"); c.body = body; return c }
	tests := map[string]struct {
		call   call
		status int
		code   string
	}{
		"paid":        {closing("T00001"), 400, "ORDER_PAID"},
		"unknown":     {closing("T40404"), 404, "ORDER_NOT_EXIST"},
		"bad number":  {closing("T1"), 400, "PARAM_ERROR"},
		"no body":     {withBody(""), 400, "PARAM_ERROR"},
		"no mchid":    {withBody("{}"), 400, "PARAM_ERROR"},
		"other mchid": {withBody(`{"mchid":"2"}`), 400, "PARAM_ERROR"},
		"extra":       {withBody(`{"mchid":"` + DefaultMchID + `","a":1}`), 400, "PARAM_ERROR"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := test.call.send(t, s)
			mustStatus(t, w, test.status)
			if e := errorOf(t, w); e.Code != test.code {
				t.Errorf("code = %s, want %s", e.Code, test.code)
			}
		})
	}
}

func TestOrderExpires(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	mustStatus(t, native(prepayBody(t, map[string]any{"time_expire": "2026-11-22T12:05:00+08:00"})).send(t, s), http.StatusOK)
	clock.set(testNow.Add(5 * time.Minute))
	c := query("T00001")
	c.at = clock.now()
	if got := transactionOf(t, c.send(t, s).Body.Bytes()); got.TradeState != "CLOSED" {
		t.Errorf("state = %s, want CLOSED", got.TradeState)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusConflict)
}

func TestOldestOrdersAreForgotten(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{MaxOrders: 2})
	for _, number := range []string{"T00001", "T00002", "T00003"} {
		mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": number})).send(t, s), http.StatusOK)
	}
	mustStatus(t, query("T00001").send(t, s), http.StatusNotFound)
	mustStatus(t, query("T00003").send(t, s), http.StatusOK)
	if got := len(s.ledger.newest(10)); got != 2 {
		t.Errorf("%d orders are kept, want 2", got)
	}
}
