package sandbox

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// inBubbleV2 runs fn in a bubble, with a sandbox in which an order of v2 was
// just paid and faults were arranged before.
func inBubbleV2(t *testing.T, m *merchantServer, fn func(*testing.T, *Sandbox), faults ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m.since = time.Now()
		s := newSandbox(t, Options{Now: time.Now, Transport: m})
		for _, f := range faults {
			mustStatus(t, post(t, s, "/sandbox/faults", f), http.StatusOK)
		}
		callingV2(t, s, unifiedOrder, orderV2())
		mustStatus(t, post(t, s, "/sandbox/pay", `{"out_trade_no":"T00001"}`), http.StatusOK)
		synctest.Wait()
		fn(t, s)
	})
}

// noticeV2 reads an arrival as a merchant does.
func noticeV2(t *testing.T, a arrival) (*payv2.Notification, error) {
	t.Helper()
	return clientV2(t, "").ParseNotification(a.body)
}

// clientV2 is a merchant's client with the default credentials.
func clientV2(t *testing.T, address string) *payv2.Client {
	t.Helper()
	credentials := DefaultCredentials()
	certificate := credentials.ClientCertificate()
	c, err := payv2.NewClient(payv2.ClientOptions{
		MchID: DefaultMchID, Key: []byte(DefaultAPIv2Key), SignType: payv2.SignHMACSHA256, Certificate: &certificate, BaseURL: address,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNotificationV2(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
	inBubbleV2(t, m, func(t *testing.T, s *Sandbox) {
		arrivals := m.seen()
		if len(arrivals) != 1 {
			t.Fatalf("%d notifications", len(arrivals))
		}
		note, err := noticeV2(t, arrivals[0])
		if err != nil {
			t.Fatal(err)
		}
		o, _ := s.ledger.byOutTradeNo("T00001")
		want := o.transactionV2(nil)
		want.TradeStateDesc, want.TimeEnd = "", want.TimeEnd.UTC()
		if *note.Payment != *want || arrivals[0].header.Get("Content-Type") != "text/xml; charset=utf-8" {
			t.Errorf("got %+v, want %+v", note.Payment, want)
		}
		if log := s.notifier.recent(1)[0]; !log.Success || log.Event != eventPaid {
			t.Errorf("log %+v", log)
		}
	})
}

// TestNotificationAnswersV2: only WeChat's own document counts (v2.md 8).
func TestNotificationAnswersV2(t *testing.T) {
	t.Parallel()
	success := string(payv2.SuccessReply())
	for name, tt := range map[string]struct {
		status int
		answer string
		taken  bool
	}{
		"success":       {200, success, true},
		"other status":  {204, "", false},
		"201":           {201, success, false},
		"500":           {500, success, false},
		"failure":       {200, string(payv2.FailReply("no")), false},
		"word":          {200, "success", false},
		"empty":         {200, "", false},
		"JSON":          {200, `{"code":"SUCCESS"}`, false},
		"byte in front": {200, " " + success, false},
		"line behind":   {200, success + "\n", false},
		"BOM":           {200, "\ufeff" + success, false},
		"redirect":      {302, success, false},
	} {
		if got := (&letterV2{}).taken(tt.status, []byte(tt.answer)); got != tt.taken {
			t.Errorf("%s: taken %t, want %t", name, got, tt.taken)
		}
	}
}

// The rhythm is the same as that of v3.
func TestNotificationRhythmV2(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}, answer: "success"}
	inBubbleV2(t, m, func(t *testing.T, _ *Sandbox) {
		after(25 * time.Hour)
		times := m.times()
		if len(times) != 16 || times[1] != 15*time.Second || times[15] != 24*time.Hour+4*time.Minute {
			t.Errorf("attempts at %v", times)
		}
	})
}

func TestNotificationFaultsV2(t *testing.T) {
	t.Parallel()
	tests := []struct {
		fault string
		want  []bool // whether the arrivals of the first minute are believed
		check func(t *testing.T, notes []*payv2.Notification)
	}{
		{"lost", []bool{true}, nil},
		{"late", []bool{true}, nil},
		{"doubled", []bool{true, true}, nil},
		{"slow", []bool{true}, nil},
		{"forged", []bool{false, true}, nil},
		{"tampered", []bool{false, true}, nil},
		{"wrong_amount", []bool{true}, func(t *testing.T, notes []*payv2.Notification) {
			if notes[0].Payment.TotalFen != 101 {
				t.Errorf("amount %d", notes[0].Payment.TotalFen)
			}
		}},
		{"stale", []bool{true}, nil}, // not known to v2, and left
		{"unknown_event", []bool{true}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.fault, func(t *testing.T) {
			t.Parallel()
			m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
			inBubbleV2(t, m, func(t *testing.T, s *Sandbox) {
				after(time.Minute)
				var notes []*payv2.Notification
				arrivals := m.seen()
				if len(arrivals) != len(tt.want) {
					t.Fatalf("%d arrivals, want %d", len(arrivals), len(tt.want))
				}
				for i, a := range arrivals {
					note, err := noticeV2(t, a)
					if (err == nil) != tt.want[i] {
						t.Errorf("arrival %d: %v", i, err)
					}
					notes = append(notes, note)
				}
				if tt.check != nil {
					tt.check(t, notes)
				}
				left := tt.fault == "stale" || tt.fault == "unknown_event"
				if (len(s.faults.pending()) == 1) != left {
					t.Errorf("faults left: %+v", s.faults.pending())
				}
				for _, a := range s.notifier.recent(10) {
					if a.Fooled != (a.Number == 0) { // this merchant takes everything
						t.Errorf("attempt %+v", a)
					}
				}
			}, `{"fault":"`+tt.fault+`"}`)
		})
	}
}

// TestRefundNoticeFaultsV2: a refund notification has no signature, so that an
// attacker's is told by what it decrypts to.
func TestRefundNoticeFaultsV2(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"forged", "tampered"} {
		m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
		inBubbleV2(t, m, func(t *testing.T, s *Sandbox) {
			mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+fault+`"}`), http.StatusOK)
			refundV2(t, s, "R1", 30)
			after(time.Minute)
			arrivals := m.seen()
			if len(arrivals) != 3 {
				t.Fatalf("%s: %d arrivals", fault, len(arrivals))
			}
			if note, err := noticeV2(t, arrivals[1]); err == nil {
				t.Errorf("%s: believed: %+v", fault, note.Refund)
			}
			if note, err := noticeV2(t, arrivals[2]); err != nil || note.Refund.OutRefundNo != "R1" {
				t.Errorf("%s: the genuine one: %+v, %v", fault, note, err)
			}
		})
	}
}

// TestNotificationGenerations: the form follows the API that made the order or
// the refund, whatever else is used (v2.md 1).
func TestNotificationGenerations(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
	inBubbleV2(t, m, func(t *testing.T, s *Sandbox) {
		refundOf(t, refunding(refundBody(t, "R1", 30, nil)).now().send(t, s))
		after(10 * time.Second)
		payNow(t, s, "T00002")
		refundV2(t, s, "R2", 30, "out_trade_no", "T00002")
		after(10 * time.Second)
		arrivals := m.seen()
		if len(arrivals) != 4 {
			t.Fatalf("%d arrivals", len(arrivals))
		}
		for i, v2 := range []bool{true, false, false, true} {
			if _, err := noticeV2(t, arrivals[i]); (err == nil) != v2 {
				t.Errorf("arrival %d: v2 reads it with %v", i, err)
			}
			if _, err := parsedNote(t, arrivals[i]); (err == nil) == v2 {
				t.Errorf("arrival %d: v3 reads it with %v", i, err)
			}
		}
	})
}

// TestConsoleRefundV2: the console tells in the form of v2 when it is set to,
// also of an order of v3.
func TestConsoleRefundV2(t *testing.T) {
	t.Parallel()
	m := &merchantServer{statuses: []int{200}, answer: string(payv2.SuccessReply())}
	paidOrder(t, m, Options{}, "", func(t *testing.T, s *Sandbox) {
		mustStatus(t, post(t, s, "/sandbox/refund", `{"out_trade_no":"T00001","amount":40,"format":"v2"}`), http.StatusOK)
		after(time.Minute)
		arrivals := m.seen()
		note, err := noticeV2(t, arrivals[len(arrivals)-1])
		if err != nil || len(arrivals) != 2 || note.Refund.RefundFen != 40 || note.Refund.TotalFen != 100 || note.Refund.Source != "VENDOR_PLATFORM" ||
			note.Refund.AppID != DefaultAppID || note.Refund.OutTradeNo != "T00001" {
			t.Errorf("%d notifications, the last %+v, %v", len(arrivals), note, err)
		}
	})
}

// A merchant without an APIv2 key cannot be told in the form of v2.
func TestNoNotificationWithoutKeyV2(t *testing.T) {
	t.Parallel()
	const number = "1900000001"
	s := newSandbox(t, Options{Merchants: []Merchant{{MchID: number, AppIDs: []string{DefaultAppID}}}})
	o := order{orderKey: orderKey{MchID: number, OutTradeNo: "T00001"}, API: apiV2}
	if note, err := s.paymentNotification(&o); !errors.Is(err, errNoNotifyKey) {
		t.Errorf("payment: %+v, %v", note, err)
	}
	if note, err := s.refundNotification(&o, &refund{API: apiV2}); !errors.Is(err, errNoNotifyKey) {
		t.Errorf("refund: %+v, %v", note, err)
	}
}

// A whole payment and refund over real connections, with the merchant's
// certificate over TLS.
func TestWholePaymentOverTheWireV2(t *testing.T) {
	t.Parallel()
	s, err := New(Options{TimeScale: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	wechat := httptest.NewServer(s)
	defer wechat.Close()
	client := clientV2(t, wechat.URL)
	told := make(chan *payv2.Notification, 2)
	merchant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the notification: %v", err)
		}
		note, err := client.ParseNotification(body)
		if err != nil {
			t.Errorf("ParseNotification: %v", err)
			_, _ = w.Write(payv2.FailReply("refused"))
			return
		}
		told <- note
		_, _ = w.Write(payv2.SuccessReply())
	}))
	defer merchant.Close()

	reply, err := client.UnifiedOrder(t.Context(), &payv2.UnifiedOrderRequest{
		AppID: DefaultAppID, Body: "一本书 & <Tom>", OutTradeNo: "T00001", TotalFen: 1990, ClientIP: "127.0.0.1",
		NotifyURL: merchant.URL + "/notify", TradeType: payv2.TradeNative, ProductID: "T00001", TimeExpire: time.Now().Add(time.Hour),
	})
	if err != nil || !strings.HasPrefix(reply.CodeURL, "weixin://") {
		t.Fatalf("UnifiedOrder = %+v, %v", reply, err)
	}
	order := payv2.OrderRequest{AppID: DefaultAppID, OutTradeNo: "T00001"}
	if unpaid, _, err := client.OrderQuery(t.Context(), order); err != nil || unpaid.TradeState != payv2.StateNotPay {
		t.Errorf("query before = %+v, %v", unpaid, err)
	}
	mustStatus(t, post(t, s, "/sandbox/pay", `{"code_url":"`+reply.CodeURL+`"}`), http.StatusOK)
	payment := <-told
	asked, _, err := client.OrderQuery(t.Context(), order)
	if err != nil || asked.TransactionID != payment.Payment.TransactionID || asked.TotalFen != 1990 || asked.TradeState != payv2.StateSuccess {
		t.Errorf("query = %+v, %v; notified %+v", asked, err, payment.Payment)
	}
	if err := client.CloseOrder(t.Context(), order); err == nil {
		t.Error("a paid order was closed")
	}
	made, _, err := client.Refund(t.Context(), &payv2.RefundRequest{
		AppID: DefaultAppID, OutTradeNo: "T00001", OutRefundNo: "R1", TotalFen: 1990, RefundFen: 990, Reason: "不要了", NotifyURL: merchant.URL + "/refunds",
	})
	if err != nil {
		t.Fatal(err)
	}
	refund := <-told
	list, _, err := client.RefundQuery(t.Context(), payv2.RefundQueryRequest{AppID: DefaultAppID, OutTradeNo: "T00001"})
	if err != nil || len(list.List) != 1 || list.List[0].RefundID != made.RefundID || list.List[0].Status != payv2.RefundSuccess || refund.Refund.RefundID != made.RefundID {
		t.Errorf("refund query = %+v, %v; notified %+v", list, err, refund.Refund)
	}
}
