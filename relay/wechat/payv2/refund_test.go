package payv2

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"
)

func TestRefund(t *testing.T) {
	t.Parallel()
	req := func() *RefundRequest {
		return &RefundRequest{
			AppID: testAppID, Partner: Partner{SubMchID: "1900000209"}, OutTradeNo: "A000000001", OutRefundNo: "R000000001",
			TotalFen: 100, RefundFen: 60, Reason: "坏了", NotifyURL: "https://pay.example.com/n",
		}
	}
	want := Message{
		"appid": testAppID, "mch_id": testMchID, "sub_mch_id": "1900000209", "sign_type": "HMAC-SHA256", "out_trade_no": "A000000001", "out_refund_no": "R000000001",
		"total_fee": "100", "refund_fee": "60", "refund_fee_type": "CNY", "refund_desc": "坏了", "notify_url": "https://pay.example.com/n",
	}
	good := success("transaction_id", "42", "out_trade_no", "A000000001", "out_refund_no", "R000000001", "refund_id", "50", "refund_fee", "60", "total_fee", "100")
	for name, tt := range map[string]struct {
		answer Message
		ok     bool
	}{
		"accepted":     {good, true},
		"other refund": {edited(good, "out_refund_no", "R000000002"), false},
		"other amount": {edited(good, "refund_fee", "61"), false},
		"no id":        {edited(good, "refund_id", "-"), false},
		"odd amount":   {edited(good, "refund_fee", "060"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, wechat(t, "/secapi/pay/refund", func(m Message) Message {
				if got := edited(m, "nonce_str", "-", "sign", "-"); !maps.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
				return tt.answer
			}))
			reply, fields, err := c.Refund(t.Context(), req())
			if (err == nil) != tt.ok || (fields != nil) != tt.ok {
				t.Fatalf("got %+v, %v", reply, err)
			}
			if tt.ok && reply != (RefundReply{RefundID: "50", TransactionID: "42", TotalFen: 100, RefundFen: 60}) {
				t.Errorf("got %+v", reply)
			}
		})
	}
	for name, edit := range map[string]func(*RefundRequest){
		"no number":  func(r *RefundRequest) { r.OutTradeNo = "" },
		"two":        func(r *RefundRequest) { r.TransactionID = "1" },
		"no refund":  func(r *RefundRequest) { r.OutRefundNo = "" },
		"ambiguity":  func(r *RefundRequest) { r.Reason = "x&refund_fee=100" },
		"no account": func(r *RefundRequest) { r.AppID = "" },
	} {
		r := req()
		edit(r)
		if _, _, err := newTestClient(t, nil).Refund(t.Context(), r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestRefundShowsTheCertificate: refunds go over the connection that shows the
// certificate, all else over the other, and without one nothing is sent.
func TestRefundShowsTheCertificate(t *testing.T) {
	t.Parallel()
	var used []bool
	factory := func(certificate *tls.Certificate) *http.Client {
		return &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			used = append(used, certificate != nil)
			return nil, http.ErrSchemeMismatch
		})}
	}
	refund := &RefundRequest{AppID: testAppID, OutTradeNo: "A000000001", OutRefundNo: "R000000001", TotalFen: 1, RefundFen: 1}
	c := newTestClient(t, func(o *ClientOptions) { o.HTTP, o.BackupURL = factory, "" })
	ctx, cancel := contextOfOneTry(t)
	defer cancel()
	_, _, _ = c.Refund(ctx, refund)
	_, _, _ = c.RefundQuery(ctx, RefundQueryRequest{AppID: testAppID, OutRefundNo: "R000000001"})
	if !slices.Contains(used, true) || !slices.Contains(used, false) || !used[0] || used[len(used)-1] {
		t.Errorf("certificate shown: %v", used)
	}
	c = newTestClient(t, func(o *ClientOptions) { o.Certificate = nil })
	if _, _, err := c.Refund(t.Context(), refund); !errors.Is(err, ErrNoCertificate) {
		t.Errorf("without a certificate: %v", err)
	}
}

func refundList(n int) []Refund {
	list := make([]Refund, n)
	for i := range list {
		list[i] = Refund{
			RefundID: fmt.Sprint("50", i), OutRefundNo: fmt.Sprint("R0000000", i), RefundFen: 1, Status: RefundSuccess,
			Channel: "ORIGINAL", Account: "REFUND_SOURCE_UNSETTLED_FUNDS", Receiver: "支付用户零钱", SuccessTime: testNow,
		}
	}
	list[0].Status, list[0].SuccessTime = RefundProcessing, time.Time{}
	return list
}

// TestRefundQueryPages: all refunds of an order arrive, WeChat's pages of any
// length.
func TestRefundQueryPages(t *testing.T) {
	t.Parallel()
	for _, pageLen := range []int{10, 20, 50} {
		t.Run(strconv.Itoa(pageLen), func(t *testing.T) {
			t.Parallel()
			all := Refunds{TransactionID: "42", OutTradeNo: "A000000001", TotalFen: 100, List: refundList(45)}
			c := newTestClient(t, wechat(t, "/pay/refundquery", func(m Message) Message {
				offset, err := strconv.Atoi(m["offset"])
				if err != nil || m["out_trade_no"] != "A000000001" {
					t.Errorf("got %q", m)
				}
				if offset > 0 {
					offset-- // a refund was made between two pages
				}
				page := all
				page.List = all.List[offset:min(offset+pageLen, len(all.List))]
				answer := page.Fields()
				answer["total_refund_count"] = strconv.Itoa(len(all.List))
				maps.Copy(answer, success())
				return answer
			}))
			got, fields, err := c.RefundQuery(t.Context(), RefundQueryRequest{AppID: testAppID, OutTradeNo: "A000000001"})
			if err != nil || fields == nil {
				t.Fatal(err)
			}
			want := all.List
			if pageLen < 45 {
				want = all.List[:44] // the oldest moved out of sight; the next query has it
			}
			if got.TransactionID != "42" || got.TotalFen != 100 || !slices.Equal(got.List[:len(want)], want) {
				t.Errorf("got %d refunds: %+v", len(got.List), got)
			}
		})
	}
}

func TestRefundQuery(t *testing.T) {
	t.Parallel()
	one := Refunds{TransactionID: "42", OutTradeNo: "A000000001", TotalFen: 100, List: refundList(2)[1:]}
	answer := func(edit ...string) Message {
		m := one.Fields()
		maps.Copy(m, success())
		return edited(m, edit...)
	}
	byRefund := RefundQueryRequest{AppID: testAppID, OutRefundNo: "R00000001"}
	tests := []struct {
		name   string
		req    RefundQueryRequest
		answer Message
		ok     bool
	}{
		{"by the merchant's number", byRefund, answer(), true},
		{"by WeChat's number", RefundQueryRequest{AppID: testAppID, RefundID: "501"}, answer(), true},
		{"of a transaction", RefundQueryRequest{AppID: testAppID, TransactionID: "42"}, answer(), true},
		{"other refund", byRefund, answer("out_refund_no_0", "R00000002"), false},
		{"other id", RefundQueryRequest{AppID: testAppID, RefundID: "502"}, answer(), false},
		{"other transaction", RefundQueryRequest{AppID: testAppID, TransactionID: "43"}, answer(), false},
		{"other order", RefundQueryRequest{AppID: testAppID, OutTradeNo: "A000000002"}, answer(), false},
		{"none", byRefund, answer("refund_count", "0"), false},
		{"count too high", byRefund, answer("refund_count", "2"), false},
		{"count absurd", byRefund, answer("refund_count", "999999999"), false},
		{"more than there can be", RefundQueryRequest{AppID: testAppID, TransactionID: "42"}, answer("total_refund_count", "51"), false},
		{"no count", byRefund, answer("refund_count", "-"), false},
		{"no status", byRefund, answer("refund_status_0", "-"), false},
		{"odd amount", byRefund, answer("refund_fee_0", "1.0"), false},
		{"odd time", byRefund, answer("refund_success_time_0", "20261122132000"), false},
		{"two numbers", RefundQueryRequest{AppID: testAppID, RefundID: "1", OutRefundNo: "2"}, answer(), false},
		{"no number", RefundQueryRequest{AppID: testAppID}, answer(), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, wechat(t, "/pay/refundquery", func(Message) Message { return tt.answer }))
			got, _, err := c.RefundQuery(t.Context(), tt.req)
			if (err == nil) != tt.ok {
				t.Fatalf("got %+v, %v", got, err)
			}
			if tt.ok && !slices.Equal(got.List, one.List) {
				t.Errorf("got %+v, want %+v", got.List, one.List)
			}
		})
	}
}
