package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestConsoleRefund(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body   string
		amount int64
		url    string
	}{
		"all of it":   {`{"out_trade_no":"T00001"}`, 100, "http://127.0.0.1/wechat/notify/main"},
		"a part":      {`{"out_trade_no":"T00001","amount":30,"format":"v3"}`, 30, "http://127.0.0.1/wechat/notify/main"},
		"own address": {`{"out_trade_no":"T00001","notify_url":"http://127.0.0.1/console"}`, 100, "http://127.0.0.1/console"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{200}}
			paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
				w := post(t, s, "/sandbox/refund", test.body)
				mustStatus(t, w, http.StatusOK)
				var made consoleRefundResult
				if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || made.AmountFen != test.amount || made.Status != refundProcessing ||
					!strings.HasPrefix(made.OutRefundNo, "CONSOLE") {
					t.Errorf("answer = %s", w.Body)
				}
				after(3 * time.Second)
				event, content := noticeOf(t, m.seen()[1])
				if event != "REFUND.SUCCESS" || content.OutRefundNo != made.OutRefundNo || content.Amount.Refund != test.amount {
					t.Errorf("told %s %+v", event, content)
				}
				if got := s.notifier.recent(1)[0].URL; got != test.url {
					t.Errorf("told at %s, want %s", got, test.url)
				}
				if got := refundOf(t, refundQuery(made.OutRefundNo).now().send(t, s)); got.Status != refundSuccess {
					t.Errorf("the API does not know it: %+v", got)
				}
			})
		})
	}
}

// A merchant that set an address in the console is told there.
func TestConsoleAddress(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	console := Merchant{
		MchID: DefaultMchID, APIv3Key: []byte(DefaultAPIv3Key), AppIDs: []string{DefaultAppID},
		Certificates:    []MerchantCertificate{{Serial: DefaultCertificateSerial, PublicKey: &merchantKey().PublicKey}},
		RefundNotifyURL: "http://127.0.0.1/set-in-the-console",
	}
	paidOrder(t, m, Options{Merchants: []Merchant{console}}, "", func(t *testing.T, s *Sandbox) {
		refundOf(t, refunding(refundBody(t, "R1", 30, nil)).now().send(t, s))
		after(3 * time.Second)
		if got := s.notifier.recent(1)[0].URL; got != console.RefundNotifyURL {
			t.Errorf("told at %s, want %s", got, console.RefundNotifyURL)
		}
	})
}

func TestConsoleRefundRefuses(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00002"})).send(t, s), http.StatusOK)
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nothing":        {`{}`, 400},
		"unknown member": {`{"out_trade_no":"T00001","colour":"red"}`, 400},
		"negative":       {`{"out_trade_no":"T00001","amount":-1}`, 400},
		"other format":   {`{"out_trade_no":"T00001","format":"v4"}`, 400},
		"public address": {`{"out_trade_no":"T00001","notify_url":"https://8.8.8.8/"}`, 400},
		"too much":       {`{"out_trade_no":"T00001","amount":101}`, 400},
		"unpaid":         {`{"out_trade_no":"T00002"}`, 400},
		"unknown":        {`{"out_trade_no":"T40404"}`, 404},
		"neither form":   {`[]`, 400},
	} {
		r := httptest.NewRequest(http.MethodPost, "/sandbox/refund", strings.NewReader(test.body))
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%s: %d, want %d: %s", name, w.Code, test.status, w.Body)
		}
	}
}

func TestConsoleRefundByTheForm(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	live := get(s, "/sandbox/live").Body.String()
	if !strings.Contains(live, `action="/sandbox/refund"`) || !strings.Contains(live, `max="100"`) {
		t.Errorf("the panel offers no refund: %s", live)
	}
	form := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "/sandbox/refund", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	mustStatus(t, form("out_trade_no=T00001&amount=100"), http.StatusSeeOther)
	live = get(s, "/sandbox/live").Body.String()
	for _, want := range []string{"CONSOLE", "PROCESSING", ">REFUND<"} {
		if !strings.Contains(live, want) {
			t.Errorf("the panel does not show %q: %s", want, live)
		}
	}
	if strings.Contains(live, `action="/sandbox/refund"`) {
		t.Error("the panel offers to refund what is refunded")
	}
	mustStatus(t, form("out_trade_no=T00001&amount=1"), http.StatusBadRequest)
	mustStatus(t, form("out_trade_no=T00001&amount=x"), http.StatusBadRequest)
}

// Another site's page must not refund anything.
func TestConsoleRefusesOtherSites(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	for _, path := range []string{"/sandbox/refund", "/sandbox/h5"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"out_trade_no":"T00001"}`))
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		mustStatus(t, w, http.StatusForbidden)
	}
}
