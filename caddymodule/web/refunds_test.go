package web

import (
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func TestCreateRefund(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		view    relay.RefundView
		created bool
		status  int
		want    string
	}{
		"made": {
			relay.RefundView{RefundNo: "R1", OutRefundNo: "x1", OrderNo: "A1", Amount: 30, Currency: "CNY", Status: relay.RefundProcessing, Reason: "late", CreatedAt: "then", Source: relay.RefundByClient},
			true, 201,
			`{"refund_no":"R1","out_refund_no":"x1","order_no":"A1","amount":30,"currency":"CNY","status":"processing","reason":"late","created_at":"then","source":"client"}`,
		},
		"made and refused": {
			relay.RefundView{RefundNo: "R1", OutRefundNo: "x1", OrderNo: "A1", Amount: 30, Currency: "CNY", Status: relay.RefundFailed, FailCode: "TRADE_OVERDUE", Source: relay.RefundByClient},
			true, 201,
			`{"refund_no":"R1","out_refund_no":"x1","order_no":"A1","amount":30,"currency":"CNY","status":"failed","created_at":"","fail_code":"TRADE_OVERDUE","source":"client"}`,
		},
		"there already": {
			relay.RefundView{RefundNo: "R1", OutRefundNo: "x1", OrderNo: "A1", Amount: 30, Currency: "CNY", Status: relay.RefundSucceeded, RefundID: "50", SucceededAt: "later", Source: relay.RefundByClient},
			false, 200,
			`{"refund_no":"R1","out_refund_no":"x1","order_no":"A1","amount":30,"currency":"CNY","status":"succeeded","created_at":"","refund_id":"50","succeeded_at":"later","source":"client"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{createRefund: func(orderNo string, req relay.CreateRefundRequest) (relay.RefundView, bool, error) {
				if orderNo != "A1" || req.RefundNo != "R1" || *req.Amount != 30 || req.Reason != "late" {
					t.Errorf("relay was given %s %+v", orderNo, req)
				}
				return c.view, c.created, nil
			}})
			w := f.do(t, http.MethodPost, "/v1/orders/A1/refunds", `{"refund_no":"R1","amount":30,"reason":"late"}`, "Content-Type", "application/json")
			if w.Code != c.status || w.Body.String() != c.want {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, c.want)
			}
		})
	}
}

// Only an integer is an amount, and it is said once (threats C11).
func TestCreateRefundAmountShapes_C11(t *testing.T) {
	t.Parallel()
	for _, amount := range []string{`1.0`, `"1"`, `1e0`, `null`, `true`, `[1]`, `9223372036854775808`, `1,"amount":1`, `1,"Amount":1`} {
		f := newFace(t, &fakeService{createRefund: func(string, relay.CreateRefundRequest) (v relay.RefundView, created bool, err error) {
			t.Errorf("amount %s reached the relay", amount)
			return v, false, nil
		}})
		w := f.do(t, http.MethodPost, "/v1/orders/A1/refunds", `{"refund_no":"R1","amount":`+amount+`}`, "Content-Type", "application/json")
		if w.Code != http.StatusBadRequest {
			t.Errorf("amount %s: status %d, want 400", amount, w.Code)
		}
	}
}

func TestShowRefund(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/v1/refunds/R1":                         "200 R1 false",
		"/v1/refunds/R1?refresh=true":            "200 R1 true",
		"/v1/refunds/" + strings.Repeat("x", 32): "200 " + strings.Repeat("x", 32) + " false",
		"/v1/refunds/R1?refresh=yes":             "400 PARAM_ERROR refresh",
		"/v1/refunds/R1?order_no=A1":             "400 PARAM_ERROR ",
	} {
		seen := ""
		f := newFace(t, &fakeService{refund: func(refundNo string, refresh bool) (relay.RefundView, error) {
			seen = refundNo + map[bool]string{true: " true", false: " false"}[refresh]
			return relay.RefundView{}, nil
		}})
		w := f.do(t, http.MethodGet, target, "")
		got := "200 " + seen
		if w.Code != http.StatusOK {
			b := errorBody(t, w)
			got = "400 " + b.Code + " " + b.Field
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", target, got, want)
		}
	}
}
