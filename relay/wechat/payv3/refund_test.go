package payv3

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	goodRefundReply = `{"refund_id":"50000000382019052709732678859","out_refund_no":"R1@a","transaction_id":"1217752501201407033233368018",` +
		`"out_trade_no":"A000000001","channel":"ORIGINAL","user_received_account":"招商银行信用卡0403","create_time":"2020-12-01T16:18:12+08:00",` +
		`"status":"PROCESSING","funds_account":"UNSETTLED","amount":{"total":100,"refund":40,"from":[{"account":"AVAILABLE","amount":40}],` +
		`"payer_total":90,"payer_refund":36,"settlement_refund":40,"settlement_total":100,"discount_refund":4,"currency":"CNY"},"promotion_detail":[]}`
	goodRefundNotice = `{"mchid":"1900000001","transaction_id":"1217752501201407033233368018","out_trade_no":"A000000001",` +
		`"refund_id":"50000000382019052709732678859","out_refund_no":"R1@a","refund_status":"SUCCESS","success_time":"2020-12-01T16:20:12+08:00",` +
		`"user_received_account":"招商银行信用卡0403","amount":{"total":100,"refund":40,"payer_total":90,"payer_refund":36}}`
)

func goodRefund() *RefundRequest {
	return &RefundRequest{
		OutTradeNo: "A000000001", OutRefundNo: "R1@a", Reason: "坏了", NotifyURL: "https://pay.example.com/n",
		Amount: RefundRequestAmount{Refund: 40, Total: 100, Currency: "CNY"},
	}
}

const goodRefundBody = `{"out_trade_no":"A000000001","out_refund_no":"R1@a","reason":"坏了","notify_url":"https://pay.example.com/n",` +
	`"amount":{"refund":40,"total":100,"currency":"CNY"}}`

func TestClientRefund(t *testing.T) {
	t.Parallel()
	const path = "/v3/refund/domestic/refunds"
	tests := []struct {
		name   string
		change func(*RefundRequest)
		body   string
		answer string
		ok     bool
	}{
		{"accepted", func(*RefundRequest) {}, goodRefundBody, goodRefundReply, true},
		{"done", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "PROCESSING", "SUCCESS", 1), true},
		{"provider", func(r *RefundRequest) { r.SubMchID = "1900000209" }, strings.Replace(goodRefundBody, "{", `{"sub_mchid":"1900000209",`, 1), goodRefundReply, true},
		{
			"by id", func(r *RefundRequest) { r.OutTradeNo, r.TransactionID = "", "1217752501201407033233368018" },
			strings.Replace(goodRefundBody, `"out_trade_no":"A000000001"`, `"transaction_id":"1217752501201407033233368018"`, 1), goodRefundReply, true,
		},
		{"other refund", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "R1@a", "R2", 1), false},
		{"other payment", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "A000000001", "A000000002", 1), false},
		{"other amount", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, `"refund":40`, `"refund":41`, 1), false},
		{"unknown status", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "PROCESSING", "CHANGE", 1), false},
		{"no id", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "50000000382019052709732678859", "", 1), false},
		{"more than all", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, `"total":100`, `"total":39`, 1), false},
		{"B15 duplicate", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, "{", `{"status":"SUCCESS",`, 1), false},
		{"B15 fraction", func(*RefundRequest) {}, goodRefundBody, strings.Replace(goodRefundReply, `"refund":40`, `"refund":40.0`, 1), false},
		{"no body", func(*RefundRequest) {}, goodRefundBody, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := goodRefund()
			tt.change(r)
			c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodPost, path, tt.body, 200, tt.answer) })
			got, raw, err := c.Refund(t.Context(), r)
			if !tt.ok {
				if err == nil || got != nil || raw != nil {
					t.Errorf("got %+v, %s, %v", got, raw, err)
				}
				return
			}
			if err != nil || string(raw) != tt.answer || got.RefundID != "50000000382019052709732678859" || got.Amount.Refund != 40 ||
				got.Amount.PayerRefund != 36 || got.Channel != "ORIGINAL" {
				t.Errorf("got %+v, %s, %v", got, raw, err)
			}
		})
	}
}

// TestClientRefundRefusesBeforeTheCall_C09: an impossible refund is not even
// asked for.
func TestClientRefundRefusesBeforeTheCall_C09(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = serve(func(http.ResponseWriter, *http.Request) { t.Error("called WeChat") })
	})
	tests := map[string]func(*RefundRequest){
		"no number":       func(r *RefundRequest) { r.OutRefundNo = "" },
		"path as number":  func(r *RefundRequest) { r.OutRefundNo = "../x" },
		"long number":     func(r *RefundRequest) { r.OutRefundNo = strings.Repeat("R", 65) },
		"no payment":      func(r *RefundRequest) { r.OutTradeNo = "" },
		"two payments":    func(r *RefundRequest) { r.TransactionID = "1" },
		"nothing":         func(r *RefundRequest) { r.Amount.Refund = 0 },
		"negative":        func(r *RefundRequest) { r.Amount.Refund = -1 },
		"more than all":   func(r *RefundRequest) { r.Amount.Refund = 101 },
		"no sub merchant": func(r *RefundRequest) { r.SubMchID = "x" },
	}
	for name, change := range tests {
		r := goodRefund()
		change(r)
		if got, _, err := c.Refund(t.Context(), r); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	for _, number := range []string{"", ".", "..", "R/1", "R?1", "R%2F", "R 1", strings.Repeat("R", 65)} {
		if _, _, err := c.RefundByOutRefundNo(t.Context(), number, ""); !errors.Is(err, errOutNo) {
			t.Errorf("query of %q: %v", number, err)
		}
	}
	if _, _, err := c.RefundByOutRefundNo(t.Context(), "R1", "1&x=1"); !errors.Is(err, errSubMchID) {
		t.Errorf("query for a sub merchant: %v", err)
	}
}

func TestClientRefundByOutRefundNo(t *testing.T) {
	t.Parallel()
	done := strings.Replace(strings.Replace(goodRefundReply, "PROCESSING", "SUCCESS", 1), `"channel"`, `"success_time":"2020-12-01T16:20:12+08:00","channel"`, 1)
	for target, sub := range map[string]string{
		"/v3/refund/domestic/refunds/R1@a":                      "",
		"/v3/refund/domestic/refunds/R1@a?sub_mchid=1900000209": "1900000209",
	} {
		c := newTestClient(t, func(o *ClientOptions) { o.HTTP = wechat(t, http.MethodGet, target, "", 200, done) })
		got, raw, err := c.RefundByOutRefundNo(t.Context(), "R1@a", sub)
		if err != nil || string(raw) != done || got.Status != RefundSuccess {
			t.Fatalf("got %+v, %v", got, err)
		}
		if at, err := got.SucceededAt(); err != nil || !at.Equal(time.Date(2020, 12, 1, 8, 20, 12, 0, time.UTC)) {
			t.Errorf("SucceededAt = %v, %v", at, err)
		}
	}
	c := newTestClient(t, func(o *ClientOptions) {
		o.HTTP = wechat(t, http.MethodGet, "/v3/refund/domestic/refunds/R2", "", 200, goodRefundReply)
	})
	if got, _, err := c.RefundByOutRefundNo(t.Context(), "R2", ""); err == nil {
		t.Errorf("answer about another refund: got %+v", got)
	}
}

func TestNotificationRefund(t *testing.T) {
	t.Parallel()
	abnormal := strings.Replace(goodRefundNotice, `"SUCCESS","success_time":"2020-12-01T16:20:12+08:00"`, `"ABNORMAL"`, 1)
	closed := strings.Replace(abnormal, "ABNORMAL", "CLOSED", 1)
	partner := strings.Replace(goodRefundNotice, `"mchid":"1900000001"`, `"sp_mchid":"1900000001","sub_mchid":"1900000209"`, 1)
	c := newTestClient(t, nil)
	for _, tt := range []struct{ event, plaintext, sub string }{
		{EventRefundSuccess, goodRefundNotice, ""},
		{EventRefundAbnormal, abnormal, ""},
		{EventRefundClosed, closed, ""},
		{EventRefundSuccess, partner, "1900000209"},
	} {
		h, body := signedNotification(t, tt.event, OriginalTypeRefund, tt.plaintext)
		n, err := c.ParseNotification(t.Context(), h, body)
		if err != nil {
			t.Fatal(err)
		}
		if !IsRefundEvent(n.EventType) {
			t.Errorf("%s is no refund event", n.EventType)
		}
		got, err := n.Refund()
		if err != nil || got.MchID != testMchID || got.SubMchID != tt.sub || got.OutRefundNo != "R1@a" || got.Amount.PayerRefund != 36 {
			t.Fatalf("%s: got %+v, %v", tt.event, got, err)
		}
		if again, err := json.Marshal(got); err != nil || string(again) != tt.plaintext {
			t.Errorf("marshals to %s, %v, want %s", again, err, tt.plaintext)
		}
	}
}

// TestNotificationRefundType_B13: nothing but the end of a refund passes for
// one, and a failed refund not for a good one.
func TestNotificationRefundType_B13(t *testing.T) {
	t.Parallel()
	change := func(from, to string) string {
		changed := strings.Replace(goodRefundNotice, from, to, 1)
		if changed == goodRefundNotice {
			t.Fatalf("%s is not in the content", from)
		}
		return changed
	}
	tests := []struct {
		name, eventType, originalType, plaintext string
		notRefund                                bool
	}{
		{"payment", EventTransactionSuccess, OriginalTypeTransaction, goodTransaction, true},
		{"payment called a refund", EventRefundSuccess, OriginalTypeTransaction, goodTransaction, true},
		{"payment inside a refund", EventRefundSuccess, OriginalTypeRefund, goodTransaction, false},
		{"refund called a payment", EventTransactionSuccess, OriginalTypeRefund, goodRefundNotice, true},
		{"event of no refund", "REFUND.SOMETHING", OriginalTypeRefund, goodRefundNotice, true},
		{"refund without original type", EventRefundSuccess, "", goodRefundNotice, true},
		{"success inside abnormal", EventRefundAbnormal, OriginalTypeRefund, goodRefundNotice, false},
		{"closed inside success", EventRefundSuccess, OriginalTypeRefund, change(`"SUCCESS"`, `"CLOSED"`), false},
		{"processing inside success", EventRefundSuccess, OriginalTypeRefund, change(`"SUCCESS"`, `"PROCESSING"`), false},
		{"success without time", EventRefundSuccess, OriginalTypeRefund, change(`"success_time":"2020-12-01T16:20:12+08:00",`, ""), false},
		{"both forms", EventRefundSuccess, OriginalTypeRefund, change(`"mchid":`, `"sp_mchid":"1","sub_mchid":"2","mchid":`), false},
		{"provider without sub merchant", EventRefundSuccess, OriginalTypeRefund, change(`"mchid":`, `"sp_mchid":`), false},
		{"no merchant", EventRefundSuccess, OriginalTypeRefund, change(`"mchid":"1900000001",`, ""), false},
		{"no number", EventRefundSuccess, OriginalTypeRefund, change(`"out_refund_no":"R1@a",`, ""), false},
		{"no amount", EventRefundSuccess, OriginalTypeRefund, change(`,"amount":{"total":100,"refund":40,"payer_total":90,"payer_refund":36}`, ""), false},
		{"negative amount", EventRefundSuccess, OriginalTypeRefund, change(`"refund":40`, `"refund":-40`), false},
		{"B15 exponent", EventRefundSuccess, OriginalTypeRefund, change(`"refund":40`, `"refund":4e1`), false},
		{"B15 duplicate", EventRefundSuccess, OriginalTypeRefund, change(`"out_refund_no":`, `"out_refund_no":"R2","out_refund_no":`), false},
		{"B15 case variant", EventRefundSuccess, OriginalTypeRefund, change(`"refund_status":`, `"Refund_Status":`), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := Notification{EventType: tt.eventType, OriginalType: tt.originalType, Plaintext: []byte(tt.plaintext)}
			if got, err := n.Refund(); err == nil || got != nil || errors.Is(err, ErrNotRefund) != tt.notRefund {
				t.Errorf("Refund = %+v, %v", got, err)
			}
		})
	}
}

// FuzzRefundResource feeds the content of a refund notification as it is
// after decryption: no panic, nothing beside an error, and what is taken
// re-encodes to the same refund.
func FuzzRefundResource(f *testing.F) {
	f.Add([]byte(goodRefundNotice))
	f.Add([]byte(strings.Replace(goodRefundNotice, `"mchid":"1900000001"`, `"sp_mchid":"1900000001","sub_mchid":"1900000209"`, 1)))
	f.Add([]byte(`{"amount":{"refund":1e2}}`))
	f.Fuzz(func(t *testing.T, plaintext []byte) {
		n := Notification{EventType: EventRefundSuccess, OriginalType: OriginalTypeRefund, Plaintext: plaintext}
		got, err := n.Refund()
		if (err == nil) == (got == nil) {
			t.Fatalf("Refund = %v, %v", got, err)
		}
		if err != nil {
			return
		}
		if got.MchID == "" || got.OutRefundNo == "" || got.Status != RefundSuccess || got.Amount.Refund < 1 || got.Amount.Refund > got.Amount.Total {
			t.Fatalf("incomplete: %+v", got)
		}
		again, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		n.Plaintext = again
		if second, err := n.Refund(); err != nil || *second != *got {
			t.Fatalf("re-encoded: %+v, %v, want %+v", second, err, got)
		}
	})
}
