package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// refundBody makes the body of a refund call; changes replace or, with nil,
// remove members.
func refundBody(t *testing.T, number string, fen int64, changes map[string]any) string {
	t.Helper()
	body := map[string]any{
		"out_trade_no": "T00001", "out_refund_no": number,
		"amount": map[string]any{"refund": fen, "total": 100, "currency": "CNY"},
	}
	for name, value := range changes {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}

// refunding is a refund call.
func refunding(body string) call {
	return call{method: http.MethodPost, target: "/v3/refund/domestic/refunds", body: body}
}

// refundQuery asks for a refund.
func refundQuery(number string) call {
	return call{method: http.MethodGet, target: "/v3/refund/domestic/refunds/" + number}
}

// now signs a call with the time of the bubble.
func (c call) now() call { c.at = time.Now(); return c }

// refundOf decodes the answer to a refund call or query.
func refundOf(t *testing.T, w *httptest.ResponseRecorder) refundObject {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var r refundObject
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return r
}

// noticeOf verifies and decrypts a refund notification as a merchant does.
func noticeOf(t *testing.T, a arrival) (event string, content refundNoticeObject) {
	t.Helper()
	note := openedNote(t, a)
	if note.OriginalType != "refund" {
		t.Errorf("original_type = %q, want refund", note.OriginalType)
	}
	if err := json.Unmarshal(note.Plaintext, &content); err != nil {
		t.Fatalf("decoding %q: %v", note.Plaintext, err)
	}
	return note.EventType, content
}

// paidSandbox is a sandbox whose clock stands still and in which an order of
// 100 fen was just paid.
func paidSandbox(t *testing.T) *Sandbox {
	t.Helper()
	s := newSandbox(t, Options{})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	return s
}

func TestRefundIsProcessedAndTold(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
		made := refundOf(t, refunding(refundBody(t, "R1", 30, map[string]any{"reason": "不要了"})).now().send(t, s))
		if made.Status != refundProcessing || made.Amount.Refund != 30 || made.Amount.Total != 100 || made.SuccessTime != "" ||
			made.OutTradeNo != "T00001" || len(made.RefundID) != 28 || made.TransactionID == "" {
			t.Errorf("accepted = %+v", made)
		}
		if got := transactionOf(t, query("T00001").now().send(t, s).Body.Bytes()); got.TradeState != "REFUND" {
			t.Errorf("state of the order = %s, want REFUND", got.TradeState)
		}
		after(2*time.Second - time.Millisecond)
		if got := refundOf(t, refundQuery("R1").now().send(t, s)); got.Status != refundProcessing {
			t.Errorf("status before the time = %s", got.Status)
		}
		after(time.Millisecond)
		got := refundOf(t, refundQuery("R1").now().send(t, s))
		if got.Status != refundSuccess || got.SuccessTime == "" || got.RefundID != made.RefundID {
			t.Errorf("after two seconds = %+v", got)
		}
		arrivals := m.seen()
		if len(arrivals) != 2 {
			t.Fatalf("%d notifications, want the payment's and the refund's", len(arrivals))
		}
		event, content := noticeOf(t, arrivals[1])
		if event != "REFUND.SUCCESS" || content.RefundStatus != refundSuccess || content.OutRefundNo != "R1" || content.MchID != DefaultMchID ||
			content.RefundID != made.RefundID || content.Amount != (refundNoticeMoney{100, 30, 100, 30}) || content.SuccessTime != got.SuccessTime {
			t.Errorf("notification %s %+v", event, content)
		}
	})
}

func TestRefundDelayIsScaled(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{TimeScale: 0.1}, "", func(t *testing.T, s *Sandbox) {
		refundOf(t, refunding(refundBody(t, "R1", 30, nil)).now().send(t, s))
		after(200 * time.Millisecond)
		if got := refundOf(t, refundQuery("R1").now().send(t, s)); got.Status != refundSuccess {
			t.Errorf("status = %s, want SUCCESS after a tenth of two seconds", got.Status)
		}
	})
}

// A refund that is told to its own address, and one by the rhythm of
// notifications, with their faults.
func TestRefundNotificationIsRepeated(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200, 500, 200}}
	paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
		synctest.Wait()
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"wrong_amount","amount":7}`), http.StatusOK)
		own := map[string]any{"notify_url": "http://127.0.0.1/refunds"}
		refundOf(t, refunding(refundBody(t, "R1", 30, own)).now().send(t, s))
		after(time.Minute)
		arrivals := m.seen()
		if len(arrivals) != 3 {
			t.Fatalf("%d notifications, want a payment's and two of the refund", len(arrivals))
		}
		if _, wrong := noticeOf(t, arrivals[1]); wrong.Amount.Refund != 7 {
			t.Errorf("with the fault: %+v", wrong.Amount)
		}
		if _, right := noticeOf(t, arrivals[2]); right.Amount.Refund != 30 {
			t.Errorf("the repeat: %+v", right.Amount)
		}
		if log := s.notifier.recent(1)[0]; log.URL != "http://127.0.0.1/refunds" || log.Event != "REFUND.SUCCESS" || log.Number != 2 {
			t.Errorf("log ends with %+v", log)
		}
	})
}

func TestRefundOutcomes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  string
		status refundStatus
		event  string
		again  int // status of a second refund of the whole
	}{
		"success":  {`{"clear":true}`, refundSuccess, "REFUND.SUCCESS", 400},
		"abnormal": {`{"fault":"refund_abnormal"}`, refundAbnormal, "REFUND.ABNORMAL", 400},
		"closed":   {`{"fault":"refund_closed"}`, refundClosed, "REFUND.CLOSED", 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{200}}
			paidOrder(t, m, Options{}, test.fault, func(t *testing.T, s *Sandbox) {
				refundOf(t, refunding(refundBody(t, "R1", 100, nil)).now().send(t, s))
				after(3 * time.Second)
				got := refundOf(t, refundQuery("R1").now().send(t, s))
				if got.Status != test.status || (got.SuccessTime != "") != (test.status == refundSuccess) {
					t.Errorf("refund = %+v", got)
				}
				arrivals := m.seen()
				if event, content := noticeOf(t, arrivals[len(arrivals)-1]); event != test.event || content.RefundStatus != test.status {
					t.Errorf("told %s %+v", event, content)
				}
				mustStatus(t, refunding(refundBody(t, "R2", 100, nil)).now().send(t, s), test.again)
			})
		})
	}
}

// A refund that nobody tells of ends when it was asked for often enough.
func TestStuckRefund(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"refund_stuck","asks":3}`, func(t *testing.T, s *Sandbox) {
		refundOf(t, refunding(refundBody(t, "R1", 100, nil)).now().send(t, s))
		after(24 * time.Hour)
		for _, want := range []refundStatus{refundProcessing, refundProcessing, refundSuccess, refundSuccess} {
			if got := refundOf(t, refundQuery("R1").now().send(t, s)); got.Status != want {
				t.Fatalf("status = %s, want %s", got.Status, want)
			}
		}
		synctest.Wait()
		if got := len(m.seen()); got != 2 {
			t.Errorf("%d notifications, want the refund's after the last query", got)
		}
	})
}

// The same number is the same refund, and never a second one (C09).
func TestRefundIsIdempotent_C09(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	first := refundOf(t, refunding(refundBody(t, "R1", 60, nil)).send(t, s))
	paid := transactionOf(t, query("T00001").send(t, s).Body.Bytes())
	again := refundOf(t, refunding(refundBody(t, "R1", 60, map[string]any{"out_trade_no": nil, "transaction_id": paid.TransactionID})).send(t, s))
	if again != first {
		t.Errorf("the repeat gives %+v, want %+v", again, first)
	}
	for name, body := range map[string]string{
		"other amount": refundBody(t, "R1", 40, nil),
		"other reason": refundBody(t, "R1", 60, map[string]any{"reason": "x"}),
	} {
		w := refunding(body).send(t, s)
		mustStatus(t, w, http.StatusBadRequest)
		if e := errorOf(t, w); e.Code != "INVALID_REQUEST" {
			t.Errorf("%s: code = %s", name, e.Code)
		}
	}
	if o, _ := s.ledger.byOutTradeNo("T00001"); o.RefundedFen != 60 || len(o.Refunds) != 1 {
		t.Errorf("booked %d fen in %v", o.RefundedFen, o.Refunds)
	}
}

func TestRefundRefuses_C09(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00002"})).send(t, s), http.StatusOK)
	with := func(name string, value any) string { return refundBody(t, "R1", 100, map[string]any{name: value}) }
	amount := func(refund, total any) string {
		return with("amount", map[string]any{"refund": refund, "total": total, "currency": "CNY"})
	}
	tests := map[string]struct {
		body   string
		status int
		code   string
		field  string
	}{
		"more than paid":       {amount(101, 100), 400, "INVALID_REQUEST", ""},
		"other total":          {amount(10, 101), 400, "INVALID_REQUEST", ""},
		"nothing":              {amount(0, 100), 400, "PARAM_ERROR", "/amount/refund"},
		"negative":             {amount(-1, 100), 400, "PARAM_ERROR", "/amount/refund"},
		"a fraction":           {amount(json.Number("1.5"), 100), 400, "PARAM_ERROR", "/amount/refund"},
		"no currency":          {with("amount", map[string]any{"refund": 1, "total": 100}), 400, "PARAM_ERROR", "/amount/currency"},
		"unpaid order":         {with("out_trade_no", "T00002"), 400, "INVALID_REQUEST", ""},
		"unknown order":        {with("out_trade_no", "T40404"), 404, "RESOURCE_NOT_EXISTS", ""},
		"unknown transaction":  {refundBody(t, "R1", 1, map[string]any{"out_trade_no": nil, "transaction_id": "1"}), 404, "RESOURCE_NOT_EXISTS", ""},
		"no order":             {with("out_trade_no", nil), 400, "PARAM_ERROR", "/transaction_id"},
		"two names":            {with("transaction_id", "1"), 400, "PARAM_ERROR", "/out_trade_no"},
		"no number":            {with("out_refund_no", nil), 400, "PARAM_ERROR", "/out_refund_no"},
		"bad number":           {with("out_refund_no", "R 1"), 400, "PARAM_ERROR", "/out_refund_no"},
		"long number":          {with("out_refund_no", strings.Repeat("R", 65)), 400, "PARAM_ERROR", "/out_refund_no"},
		"long reason":          {with("reason", strings.Repeat("a", 81)), 400, "PARAM_ERROR", "/reason"},
		"emoji":                {with("reason", "📖"), 400, "PARAM_ERROR", "/reason"},
		"unknown member":       {with("mchid", DefaultMchID), 400, "PARAM_ERROR", "/mchid"},
		"public address":       {with("notify_url", "https://8.8.8.8/a"), 400, "PARAM_ERROR", "/notify_url"},
		"address with query":   {with("notify_url", "http://127.0.0.1/a?b"), 400, "PARAM_ERROR", "/notify_url"},
		"other account":        {with("funds_account", "POCKET"), 400, "PARAM_ERROR", "/funds_account"},
		"unknown sub merchant": {with("sub_mchid", "404"), 403, "NO_AUTH", ""},
		"other sub merchant":   {with("sub_mchid", DefaultSubMchID), 404, "RESOURCE_NOT_EXISTS", ""},
		"parts do not add up": {with("amount", map[string]any{
			"refund": 100, "total": 100, "currency": "CNY", "from": []any{map[string]any{"account": "AVAILABLE", "amount": 99}},
		}), 400, "PARAM_ERROR", "/amount/from"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := refunding(test.body).send(t, s)
			mustStatus(t, w, test.status)
			e := errorOf(t, w)
			if e.Code != test.code || test.field != "" && (e.Detail == nil || e.Detail.Field != test.field) {
				t.Errorf("refusal = %s, want %s at %q", w.Body, test.code, test.field)
			}
		})
	}
	t.Cleanup(func() {
		if o, _ := s.ledger.byOutTradeNo("T00001"); o.RefundedFen != 0 || o.State != stateSuccess {
			t.Errorf("after refusals alone: %d fen, %s", o.RefundedFen, o.State)
		}
	})
}

func TestRefundFaultsRefuse(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	arrange := func(name string) { mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`"}`), http.StatusOK) }

	arrange("refund_too_soon")
	arrange("refund_not_enough")
	w := refunding(refundBody(t, "R1", 10, nil)).send(t, s)
	mustStatus(t, w, http.StatusForbidden)
	if e := errorOf(t, w); e.Code != "NOT_ENOUGH" {
		t.Errorf("code = %s, want NOT_ENOUGH", e.Code)
	}
	// The same number serves once there is money; the first refund is never
	// too soon.
	refundOf(t, refunding(refundBody(t, "R1", 10, nil)).send(t, s))
	w = refunding(refundBody(t, "R2", 10, nil)).send(t, s)
	mustStatus(t, w, http.StatusTooManyRequests)
	if e := errorOf(t, w); e.Code != "FREQUENCY_LIMITED" {
		t.Errorf("code = %s, want FREQUENCY_LIMITED", e.Code)
	}
	refundOf(t, refunding(refundBody(t, "R2", 10, nil)).send(t, s))
}

func TestRefundTimesAndNumbers(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := newSandbox(t, Options{Now: clock.now})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	for i := range maxRefunds {
		refundOf(t, refunding(refundBody(t, fmt.Sprint("R", i), 1, nil)).send(t, s))
	}
	mustStatus(t, refunding(refundBody(t, "R50", 1, nil)).send(t, s), http.StatusBadRequest)

	mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00002"})).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00002"}`), http.StatusOK)
	late := refunding(refundBody(t, "Y1", 1, map[string]any{"out_trade_no": "T00002"}))
	clock.set(testNow.Add(refundPeriod))
	late.at = clock.now()
	refundOf(t, late.send(t, s))
	clock.set(clock.now().Add(time.Second))
	late = refunding(refundBody(t, "Y2", 1, map[string]any{"out_trade_no": "T00002"}))
	late.at = clock.now()
	mustStatus(t, late.send(t, s), http.StatusBadRequest)
}

// However many refunds come at once, what is refunded never passes what was
// paid (C09).
func TestRefundRace_C09(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() { refunding(refundBody(t, fmt.Sprint("R", i), 30, nil)).send(t, s) })
	}
	group.Wait()
	o, err := s.ledger.byOutTradeNo("T00001")
	if err != nil || o.RefundedFen != 90 || len(o.Refunds) != 3 {
		t.Errorf("refunded %d fen in %v, %v; want 90 in three", o.RefundedFen, o.Refunds, err)
	}
}

func TestRefundQueryRefuses(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	refundOf(t, refunding(refundBody(t, "R1", 10, nil)).send(t, s))
	for name, test := range map[string]struct {
		target string
		status int
		code   string
	}{
		"unknown":              {"R404", 404, "RESOURCE_NOT_EXISTS"},
		"bad number":           {"R%20", 400, "PARAM_ERROR"},
		"unknown parameter":    {"R1?mchid=1", 400, "PARAM_ERROR"},
		"unknown sub merchant": {"R1?sub_mchid=404", 403, "NO_AUTH"},
		"other sub merchant":   {"R1?sub_mchid=" + DefaultSubMchID, 404, "RESOURCE_NOT_EXISTS"},
	} {
		w := refundQuery(test.target).send(t, s)
		if e := errorOf(t, w); w.Code != test.status || e.Code != test.code {
			t.Errorf("%s: %d %s, want %d %s", name, w.Code, e.Code, test.status, test.code)
		}
	}
}

func TestLedgerRefundLookups(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	made := refundOf(t, refunding(refundBody(t, "R1", 10, nil)).send(t, s))
	key, err := s.ledger.refundByID(DefaultMchID, made.RefundID)
	if err != nil || key.OutRefundNo != "R1" {
		t.Errorf("refundByID = %+v, %v", key, err)
	}
	if _, err := s.ledger.refundByID("2", made.RefundID); !errors.Is(err, errNoRefund) {
		t.Errorf("another merchant's: %v, want %v", err, errNoRefund)
	}
	refundOf(t, refunding(refundBody(t, "R0", 20, nil)).send(t, s))
	list := s.ledger.refundsOf(orderKey{MchID: DefaultMchID, OutTradeNo: "T00001"})
	if len(list) != 2 || list[0].OutRefundNo != "R1" || list[1].OutRefundNo != "R0" {
		t.Errorf("refundsOf = %+v, want the oldest first", list)
	}
}

// What belongs to a forgotten order is forgotten with it.
func TestForgottenOrdersTakeTheirRefundsAlong(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{MaxOrders: 1})
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK)
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	refundOf(t, refunding(refundBody(t, "R1", 10, nil)).send(t, s))
	mustStatus(t, native(prepayBody(t, map[string]any{"out_trade_no": "T00002"})).send(t, s), http.StatusOK)
	mustStatus(t, refundQuery("R1").send(t, s), http.StatusNotFound)
}

// mending is the call that takes up an abnormal refund.
func mending(t *testing.T, refundID string, changes map[string]any) call {
	t.Helper()
	body := map[string]any{"out_refund_no": "R1", "type": "MERCHANT_BANK_CARD"}
	for name, value := range changes {
		if body[name] = value; value == nil {
			delete(body, name)
		}
	}
	return call{
		method: http.MethodPost, target: "/v3/refund/domestic/refunds/" + refundID + "/apply-abnormal-refund", body: jsonOf(t, body),
	}
}

// An abnormal refund is taken up again, to the buyer's other card or to the
// merchant's, and succeeds.
func TestAbnormalRefundIsMended(t *testing.T) {
	t.Parallel()
	sealed := func(text string) string { return sealedFor(t, DefaultCredentials().PublicKey, text) }
	for name, changes := range map[string]map[string]any{
		"to the merchant": nil,
		"to the buyer": {
			"type": "USER_BANK_CARD", "bank_type": "ICBC_DEBIT", "bank_account": sealed("6222020000000000000"), "real_name": sealed("小明"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{200}}
			paidOrder(t, m, Options{}, `{"fault":"refund_abnormal"}`, func(t *testing.T, s *Sandbox) {
				made := refundOf(t, refunding(refundBody(t, "R1", 30, nil)).now().send(t, s))
				c := mending(t, made.RefundID, changes).now()
				c.header = http.Header{"Wechatpay-Serial": {DefaultPublicKeyID}}
				refused(t, "before it is abnormal", c.send(t, s), 400, "INVALID_REQUEST")
				after(refundDelay)
				if got := refundOf(t, c.send(t, s)); got.Status != refundProcessing {
					t.Errorf("taken up as %s", got.Status)
				}
				after(refundDelay)
				if got := refundOf(t, refundQuery("R1").now().send(t, s)); got.Status != refundSuccess {
					t.Errorf("ends as %s", got.Status)
				}
				arrivals := m.seen()
				if event, _ := noticeOf(t, arrivals[len(arrivals)-1]); len(arrivals) != 3 || event != "REFUND.SUCCESS" {
					t.Errorf("%d notifications, the last %s", len(arrivals), event)
				}
			})
		})
	}
}

func TestMendRefuses(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}}
	paidOrder(t, m, Options{}, `{"fault":"refund_abnormal"}`, func(t *testing.T, s *Sandbox) {
		made := refundOf(t, refunding(refundBody(t, "R1", 30, nil)).now().send(t, s))
		after(refundDelay)
		buyer := map[string]any{"type": "USER_BANK_CARD", "bank_type": "X", "bank_account": "plain", "real_name": "plain"}
		for name, test := range map[string]struct {
			id      string
			changes map[string]any
			status  int
			code    string
		}{
			"unknown id":           {"1", nil, 404, "RESOURCE_NOT_EXISTS"},
			"unknown number":       {made.RefundID, map[string]any{"out_refund_no": "R404"}, 404, "RESOURCE_NOT_EXISTS"},
			"no number":            {made.RefundID, map[string]any{"out_refund_no": nil}, 400, "PARAM_ERROR"},
			"other type":           {made.RefundID, map[string]any{"type": "CASH"}, 400, "PARAM_ERROR"},
			"no card":              {made.RefundID, map[string]any{"type": "USER_BANK_CARD"}, 400, "PARAM_ERROR"},
			"card in plain text":   {made.RefundID, buyer, 400, "PARAM_ERROR"},
			"unknown sub merchant": {made.RefundID, map[string]any{"sub_mchid": "404"}, 403, "NO_AUTH"},
			"other sub merchant":   {made.RefundID, map[string]any{"sub_mchid": DefaultSubMchID}, 404, "RESOURCE_NOT_EXISTS"},
		} {
			refused(t, name, mending(t, test.id, test.changes).now().send(t, s), test.status, test.code)
		}
	})
}

// The faults of API answers can be limited to refunds, and what took effect
// is found again under the same number.
func TestRefundAfterALostAnswer(t *testing.T) {
	t.Parallel()
	s := paidSandbox(t)
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"api_500_after","operation":"refund"}`), http.StatusOK)
	mustStatus(t, query("T00001").send(t, s), http.StatusOK) // is not meant
	refused(t, "after the effect", refunding(refundBody(t, "R1", 30, nil)).send(t, s), 500, "SYSTEM_ERROR")
	refundOf(t, refunding(refundBody(t, "R1", 30, nil)).send(t, s))
	if o, _ := s.ledger.byOutTradeNo("T00001"); o.RefundedFen != 30 {
		t.Errorf("refunded %d fen, want 30 once", o.RefundedFen)
	}
}

func TestFaultsOfRefundsAreChecked(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for _, body := range []string{`{"fault":"refund_stuck","asks":-1}`, `{"fault":"refund_stuck","asks":1001}`, `{"fault":"lost","asks":1}`} {
		if w := post(t, s, "/sandbox/faults", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", body, w.Code)
		}
	}
	if got := pendingOf(t, post(t, s, "/sandbox/faults", `{"fault":"refund stuck"}`)); len(got) != 1 || got[0].Asks != standardAsks {
		t.Errorf("pending = %+v", got)
	}
}
