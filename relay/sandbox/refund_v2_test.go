package sandbox

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// refundV2 asks for a refund of T00001.
func refundV2(t *testing.T, s *Sandbox, number string, fen int, fields ...string) payv2.Message {
	t.Helper()
	return callingV2(t, s, "/secapi/pay/refund", edited(payv2.Message{
		"out_trade_no": "T00001", "out_refund_no": number, "total_fee": "100", "refund_fee": strconv.Itoa(fen),
	}, fields...))
}

// paidV2 is a sandbox in which an order of v2 was just paid.
func paidV2(t *testing.T, o Options) *Sandbox {
	t.Helper()
	s := newSandbox(t, o)
	callingV2(t, s, unifiedOrder, orderV2())
	mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
	return s
}

func TestRefundV2(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		number string
		fen    int
		fields []string
		want   string
	}{
		{"part", "R1", 30, nil, "SUCCESS"},
		{"all", "R1", 100, []string{"refund_desc", "不要了", "refund_fee_type", "CNY", "refund_account", fundsRecharge, "notify_url", "http://127.0.0.1/r"}, "SUCCESS"},
		{"number with every character", "a_-|*@1", 1, nil, "SUCCESS"},
		{"too much", "R1", 101, nil, "ERROR"},
		{"nothing", "R1", 0, nil, "PARAM_ERROR"},
		{"other total", "R1", 30, []string{"total_fee", "99"}, "REFUND_FEE_MISMATCH"},
		{"unknown order", "R1", 30, []string{"out_trade_no", "T99999"}, "ORDERNOTEXIST"},
		{"unknown transaction", "R1", 30, []string{"out_trade_no", "-", "transaction_id", "42"}, "ORDERNOTEXIST"},
		{"a sub merchant's", "R1", 30, []string{"sub_mch_id", DefaultSubMchID}, "ORDERNOTEXIST"},
		{"no order", "R1", 30, []string{"out_trade_no", "-"}, "transaction_id"},
		{"no number", "", 30, nil, "out_refund_no"},
		{"odd number", "R 1", 30, nil, "PARAM_ERROR"},
		{"odd account", "R1", 30, []string{"refund_account", "MINE"}, "PARAM_ERROR"},
		{"odd address", "R1", 30, []string{"notify_url", "http://127.0.0.1/r?x=1"}, "PARAM_ERROR"},
		{"long reason", "R1", 30, []string{"refund_desc", strings.Repeat("x", 81)}, "PARAM_ERROR"},
		{"other currency", "R1", 30, []string{"refund_fee_type", "HKD"}, "PARAM_ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := paidV2(t, Options{})
			m := refundV2(t, s, tt.number, tt.fen, tt.fields...)
			if !strings.Contains(outcomeV2(m), tt.want) {
				t.Fatalf("got %q, want %s", m, tt.want)
			}
			if tt.want == "SUCCESS" && (m["refund_fee"] != strconv.Itoa(tt.fen) || m["total_fee"] != "100" || m["out_refund_no"] != tt.number || len(m["refund_id"]) != 28) {
				t.Errorf("answer %q", m)
			}
		})
	}
}

// TestRefundRulesV2: sums, repeats and faults.
func TestRefundRulesV2(t *testing.T) {
	t.Parallel()
	s := paidV2(t, Options{})
	first := refundV2(t, s, "R1", 60)
	if again := refundV2(t, s, "R1", 60); again["refund_id"] != first["refund_id"] || first["refund_id"] == "" {
		t.Errorf("the same again: %q after %q", again, first)
	}
	if got := outcomeV2(refundV2(t, s, "R1", 50)); got != "REFUND_FEE_MISMATCH" {
		t.Errorf("the number with another amount: %s", got)
	}
	if got := outcomeV2(refundV2(t, s, "R1", 60, "refund_desc", "another reason")); got != "INVALID_REQUEST" {
		t.Errorf("the number with another reason: %s", got)
	}
	if got := outcomeV2(refundV2(t, s, "R2", 41)); got != "ERROR" {
		t.Errorf("more than is left: %s", got)
	}
	for fault, code := range map[string]string{faultRefundNotEnough: "NOTENOUGH", faultRefundTooSoon: "INVALID_REQ_TOO_MUCH"} {
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+fault+`"}`), http.StatusOK)
		if got := outcomeV2(refundV2(t, s, "R2", 40)); got != code {
			t.Errorf("%s: %s, want %s", fault, got, code)
		}
	}
	if got := outcomeV2(refundV2(t, s, "R2", 40)); got != "SUCCESS" {
		t.Errorf("the rest: %s", got)
	}
	unpaid := newSandbox(t, Options{})
	callingV2(t, unpaid, unifiedOrder, orderV2())
	if got := outcomeV2(refundV2(t, unpaid, "R1", 60)); got != "TRADE_STATE_ERROR" {
		t.Errorf("of an unpaid order: %s", got)
	}
}

// TestRefundLimitsV2: 50 refunds of one order, within a year.
func TestRefundLimitsV2(t *testing.T) {
	t.Parallel()
	clock := newClock(testNow)
	s := paidV2(t, Options{Now: clock.now})
	for i := range maxRefunds {
		if m := refundV2(t, s, "R"+strconv.Itoa(i), 1); outcomeV2(m) != "SUCCESS" {
			t.Fatalf("refund %d: %q", i, m)
		}
	}
	if m := refundV2(t, s, "R50", 1); m["err_code"] != "ERROR" || !strings.Contains(m["err_code_des"], "次数") {
		t.Errorf("one too many: %q", m)
	}
	late := paidV2(t, Options{Now: clock.now})
	clock.set(clock.now().Add(366 * 24 * time.Hour))
	if got := outcomeV2(refundV2(t, late, "R1", 1)); got != "TRADE_OVERDUE" {
		t.Errorf("after a year: %s", got)
	}
}

func TestRefundQueryV2(t *testing.T) {
	t.Parallel()
	s := paidV2(t, Options{})
	asked := func(fields ...string) payv2.Message {
		return callingV2(t, s, "/pay/refundquery", edited(payv2.Message{"out_trade_no": "T00001"}, fields...))
	}
	if got := outcomeV2(asked()); got != "REFUNDNOTEXIST" {
		t.Errorf("before any: %s", got)
	}
	for i := range 25 {
		if m := refundV2(t, s, "R"+strconv.Itoa(i), 1); outcomeV2(m) != "SUCCESS" {
			t.Fatalf("refund %d: %q", i, m)
		}
	}
	if m := asked(); m["refund_count"] != "20" || m["total_refund_count"] != "" || m["out_refund_no_19"] != "R19" || m["refund_status_0"] != "PROCESSING" || m["total_fee"] != "100" {
		t.Errorf("first page without offset: %q", m)
	}
	second := asked("offset", "20")
	if second["refund_count"] != "5" || second["total_refund_count"] != "25" || second["out_refund_no_0"] != "R20" {
		t.Errorf("second page: %q", second)
	}
	if m := asked("offset", "99"); m["refund_count"] != "0" {
		t.Errorf("behind the end: %q", m)
	}
	one := asked("out_trade_no", "-", "out_refund_no", "R7")
	if one["refund_count"] != "1" || one["out_refund_no_0"] != "R7" || one["out_trade_no"] != "T00001" || one["refund_fee_0"] != "1" {
		t.Errorf("by its number: %q", one)
	}
	if m := asked("refund_id", one["refund_id_0"], "out_refund_no", "R8"); m["out_refund_no_0"] != "R7" {
		t.Errorf("WeChat's number goes first: %q", m)
	}
	for name, fields := range map[string][]string{
		"unknown refund": {"out_refund_no", "R99"}, "unknown id": {"refund_id", "42"}, "unknown order": {"out_trade_no", "T99999"},
		"unknown transaction": {"transaction_id", "42"}, "as a sub merchant's": {"out_refund_no", "R7", "sub_mch_id", DefaultSubMchID},
	} {
		if got := outcomeV2(asked(fields...)); got != "REFUNDNOTEXIST" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := outcomeV2(asked("out_trade_no", "-")); !strings.Contains(got, "transaction_id") {
		t.Errorf("without a number: %s", got)
	}
	if got := outcomeV2(asked("offset", "-1")); got != "PARAM_ERROR" {
		t.Errorf("odd offset: %s", got)
	}
}

// TestRefundOutcomesV2: the states have other names in APIv2.
func TestRefundOutcomesV2(t *testing.T) {
	t.Parallel()
	for fault, want := range map[string]payv2.RefundStatus{
		"": payv2.RefundSuccess, faultRefundAbnormal: payv2.RefundChange, faultRefundClosed: payv2.RefundClosed,
	} {
		m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
		inBubbleV2(t, m, func(t *testing.T, s *Sandbox) {
			if fault != "" {
				mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+fault+`"}`), http.StatusOK)
			}
			refundV2(t, s, "R1", 30)
			after(2 * time.Second)
			got := callingV2(t, s, "/pay/refundquery", payv2.Message{"out_refund_no": "R1"})
			if got["refund_status_0"] != string(want) || (got["refund_success_time_0"] != "") != (want == payv2.RefundSuccess) {
				t.Errorf("%s: %q, want %s", fault, got, want)
			}
			arrivals := m.seen()
			note, err := noticeV2(t, arrivals[len(arrivals)-1])
			if err != nil || len(arrivals) != 2 || note.Refund.Status != want || note.Refund.OutRefundNo != "R1" || note.Refund.RefundFen != 30 || note.Refund.Source != "API" {
				t.Errorf("%s: %d notifications, the last %+v, %v", fault, len(arrivals), note, err)
			}
		})
	}
}
