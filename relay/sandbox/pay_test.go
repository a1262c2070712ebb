package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// codeOf creates a NATIVE order and returns its code.
func codeOf(t *testing.T, s *Sandbox, at time.Time) string {
	t.Helper()
	c := native(prepayBody(t, nil))
	c.at = at
	w := c.send(t, s)
	mustStatus(t, w, http.StatusOK)
	var made struct {
		CodeURL string `json:"code_url"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil {
		t.Fatal(err)
	}
	return made.CodeURL
}

// resultOf decodes the answer to a payment.
func resultOf(t *testing.T, w *httptest.ResponseRecorder) payResult {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var result payResult
	if err := json.Unmarshal(w.Body.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	return result
}

func TestPayByCode(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	old := codeOf(t, s, testNow)
	fresh := codeOf(t, s, testNow)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+old+`"}`), http.StatusNotFound)
	got := resultOf(t, post(t, s, "/sandbox/pay", `{"code_url":"`+fresh+`"}`))
	if got.TradeState != "SUCCESS" || got.OutTradeNo != "T00001" || got.AmountFen != 100 ||
		got.OpenID != OpenID(DefaultAppID, "ming") || got.NotifyID == "" {
		t.Errorf("result = %+v", got)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+fresh+`"}`), http.StatusConflict)
}

func TestCodeDiesAfterTwoHours(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	code := codeOf(t, s, clock.now())
	clock.set(clock.now().Add(2 * time.Hour))
	w := post(t, s, "/sandbox/pay", `{"code_url":"`+code+`"}`)
	mustStatus(t, w, http.StatusNotFound)
	if e := errorOf(t, w); e.Code != "CODE_EXPIRED" {
		t.Errorf("code = %s, want CODE_EXPIRED", e.Code)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+codeOf(t, s, clock.now())+`"}`), http.StatusOK)
}

func TestPayOutcomes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		status int
		state  string
		amount int64
		openID string
	}{
		"success":       {`{"out_trade_no":"T00001","outcome":"success"}`, 200, "SUCCESS", 100, OpenID(DefaultAppID, "ming")},
		"cancel":        {`{"out_trade_no":"T00001","outcome":"cancel"}`, 200, "NOTPAY", 0, ""},
		"other amount":  {`{"out_trade_no":"T00001","amount":7}`, 200, "SUCCESS", 7, OpenID(DefaultAppID, "ming")},
		"other payer":   {`{"out_trade_no":"T00001","openid":"oSomebody"}`, 200, "SUCCESS", 100, "oSomebody"},
		"with merchant": {`{"out_trade_no":"T00001","mchid":"` + DefaultMchID + `"}`, 200, "SUCCESS", 100, OpenID(DefaultAppID, "ming")},
		"of nobody":     {`{"out_trade_no":"T00001","mchid":"2"}`, 404, "NOTPAY", 0, ""},
		"unknown":       {`{"out_trade_no":"T40404"}`, 404, "NOTPAY", 0, ""},
		"no order":      {`{}`, 400, "NOTPAY", 0, ""},
		"two names":     {`{"out_trade_no":"T00001","code_url":"x"}`, 400, "NOTPAY", 0, ""},
		"other outcome": {`{"out_trade_no":"T00001","outcome":"maybe"}`, 400, "NOTPAY", 0, ""},
		"negative":      {`{"out_trade_no":"T00001","amount":-1}`, 400, "NOTPAY", 0, ""},
		"unknown name":  {`{"out_trade_no":"T00001","colour":"red"}`, 400, "NOTPAY", 0, ""},
		"neither form":  {`out_trade_no`, 400, "NOTPAY", 0, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
			w := post(t, s, "/sandbox/pay", test.body)
			if name == "neither form" { // a form without a type is refused, with one it names no order
				r := httptest.NewRequest(http.MethodPost, "/sandbox/pay", strings.NewReader(test.body))
				w = httptest.NewRecorder()
				s.ServeHTTP(w, r)
			}
			mustStatus(t, w, test.status)
			got := transactionOf(t, query("T00001").send(t, s).Body.Bytes())
			if got.TradeState != test.state {
				t.Errorf("state = %s, want %s", got.TradeState, test.state)
			}
			if test.amount > 0 && (got.Amount.Total != test.amount || got.Payer.OpenID != test.openID) {
				t.Errorf("paid %d by %s, want %d by %s", got.Amount.Total, got.Payer.OpenID, test.amount, test.openID)
			}
		})
	}
}

// An order of JSAPI belongs to the payer that it names.
func TestPayOfAnotherPayersOrder(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, jsapi(prepayBody(t, map[string]any{"payer": payer()})).send(t, s), http.StatusOK)
	w := post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001","openid":"`+OpenID(DefaultAppID, "hong")+`"}`)
	mustStatus(t, w, http.StatusConflict)
	if e := errorOf(t, w); e.Code != "OPENID_MISMATCH" {
		t.Errorf("code = %s, want OPENID_MISMATCH", e.Code)
	}
}

// A buyer who was faster than the close: the order is paid after all.
func TestPayAfterClose(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, closing("T00001").send(t, s), http.StatusNoContent)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusConflict)
	if got := resultOf(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001","force":true}`)); got.TradeState != "SUCCESS" {
		t.Errorf("result = %+v", got)
	}
}

func TestPayByTheForm(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	form := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/sandbox/pay", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.AddCookie(&http.Cookie{Name: userCookie, Value: "hong"})
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	w := form("out_trade_no=T00001&outcome=success")
	mustStatus(t, w, http.StatusSeeOther)
	if got := w.Header().Get("Location"); got != "/sandbox" {
		t.Errorf("Location = %q", got)
	}
	if got := transactionOf(t, query("T00001").send(t, s).Body.Bytes()); got.Payer == nil || got.Payer.OpenID != OpenID(DefaultAppID, "hong") {
		t.Errorf("payer = %+v, want who holds the phone", got.Payer)
	}
	mustStatus(t, form("out_trade_no=T00001"), http.StatusConflict)
	mustStatus(t, form("out_trade_no=T00001&amount=x"), http.StatusBadRequest)
}
