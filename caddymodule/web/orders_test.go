package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

func TestCreateOrderAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		created bool
		status  int
	}{
		"made":              {true, http.StatusCreated},
		"there was already": {false, http.StatusOK},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got relay.CreateOrderRequest
			f := newFace(t, &fakeService{createOrder: func(req relay.CreateOrderRequest) (relay.CreatedOrderView, bool, error) {
				got = req
				return relay.CreatedOrderView{OrderNo: req.OrderNo, Status: relay.OrderCreated, Amount: 1, Currency: relay.Currency}, c.created, nil
			}})
			w := f.do(t, http.MethodPost, "/v1/orders", goodOrder, "Content-Type", "application/json; charset=utf-8")
			want := `{"order_no":"A000000001","status":"created","amount":1,"currency":"CNY","checkout_url":"","created_at":"","expires_at":""}`
			if w.Code != c.status || w.Body.String() != want {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, c.status, want)
			}
			if got.OrderNo != "A000000001" || got.Amount == nil || *got.Amount != 1 || got.Description != "测试" {
				t.Errorf("relay was given %+v", got)
			}
		})
	}
}

func TestShowOrder(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/v1/orders/A000000001":                           "200 A000000001 false",
		"/v1/orders/A000000001?refresh=true":              "200 A000000001 true",
		"/v1/orders/A000000001?refresh=false":             "200 A000000001 false",
		"/v1/orders/" + strings.Repeat("x", 32):           "200 " + strings.Repeat("x", 32) + " false",
		"/v1/orders/A_-1":                                 "200 A_-1 false",
		"/v1/orders/A000000001?refresh=1":                 "400 PARAM_ERROR refresh",
		"/v1/orders/A000000001?refresh=true&refresh=true": "400 PARAM_ERROR refresh",
		"/v1/orders/A000000001?fresh=true":                "400 PARAM_ERROR ",
	} {
		var seen string
		f := newFace(t, &fakeService{order: func(orderNo string, refresh bool) (relay.OrderView, error) {
			seen = orderNo
			if refresh {
				seen += " true"
			} else {
				seen += " false"
			}
			return relay.OrderView{}, nil
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

// A number that no order can have must answer as one that no order has: the
// form of other clients' numbers is theirs (threats C06, C12).
func TestImpossibleNamesAreNotFound_C06_C12(t *testing.T) {
	t.Parallel()
	missing := func(what string) error { return refusal(relay.KindNotFound, "no such "+what) }
	service := &fakeService{
		order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, missing("order") },
		createPayment: func(string, relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error) {
			return v, false, missing("order")
		},
		closeOrder: func(string) (relay.OrderView, error) { return relay.OrderView{}, missing("order") },
		createRefund: func(string, relay.CreateRefundRequest) (v relay.RefundView, created bool, err error) {
			return v, false, missing("order")
		},
		refund:  func(string, bool) (relay.RefundView, error) { return relay.RefundView{}, missing("refund") },
		event:   func(string) (relay.EventView, error) { return relay.EventView{}, missing("event") },
		deliver: func(string) (relay.EventView, error) { return relay.EventView{}, missing("event") },
	}
	f := newFace(t, service, func(o *Options) { o.RequestID = func() string { return "r" } })
	for _, rt := range []route{routeOrder, routePayments, routeClose, routeRefunds, routeRefund, routeEvent, routeDeliver} {
		name, other := map[route]string{routeEvent: "evt_1", routeDeliver: "evt_1", routeRefund: "R000000001"}[rt]
		if !other {
			name = "A000000001"
		}
		body := map[route]string{routePayments: `{"trade_type":"native"}`, routeRefunds: `{"refund_no":"R1","amount":1}`}[rt]
		ask := func(id string) string {
			w := f.do(t, methodOf(rt), strings.Replace(routePaths[rt], name, id, 1), body, "Content-Type", "application/json")
			if w.Code != http.StatusNotFound {
				t.Errorf("%s with %q: status %d, want 404", routePaths[rt], id, w.Code)
			}
			return w.Body.String()
		}
		want := ask(name)
		for _, id := range []string{
			strings.Repeat("x", 65), "A%00", "%EF%BC%B4%EF%BC%91", "T%E2%80%8D1", "A%0A", "A%2F..%2FB", ".", "A+B", "A%201", "A'--", "%3Cb%3E",
		} {
			if got := ask(id); got != want {
				t.Errorf("%s with %q: %s, want %s", routePaths[rt], id, got, want)
			}
		}
	}
}

func TestCreatePayment(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{createPayment: func(orderNo string, req relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error) {
		if orderNo != "A1" || req.TradeType != relay.TradeNative {
			t.Errorf("relay was given %s %+v", orderNo, req)
		}
		return relay.PaymentInvocation{OutTradeNo: "o1", TradeType: req.TradeType, CodeURL: "weixin://wxpay/bizpayurl?pr=x"}, true, nil
	}})
	w := f.do(t, http.MethodPost, "/v1/orders/A1/payments", `{"trade_type":"native"}`, "Content-Type", "application/json")
	want := `{"out_trade_no":"o1","trade_type":"native","expires_at":"","code_url":"weixin://wxpay/bizpayurl?pr=x"}`
	if w.Code != http.StatusCreated || w.Body.String() != want {
		t.Errorf("got %d %s, want 201 %s", w.Code, w.Body, want)
	}
}

func TestCloseOrderTakesNothingOrAnEmptyObject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, media string
		status      int
	}{
		"nothing":                    {"", "", 200},
		"nothing, of any type":       {"", "text/plain", 200},
		"empty object":               {"{}", "application/json", 200},
		"empty object, no type":      {"{}", "", 415},
		"a field":                    {`{"reason":"x"}`, "application/json", 400},
		"empty list":                 {"[]", "application/json", 400},
		"form":                       {"order_no=A2", "application/x-www-form-urlencoded", 415},
		"blanks":                     {" ", "application/json", 400},
		"two objects, one by one":    {"{}{}", "application/json", 400},
		"empty object, other coding": {"\ufeff{}", "application/json", 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{closeOrder: func(orderNo string) (relay.OrderView, error) {
				if orderNo != "A1" {
					t.Errorf("closed %q", orderNo)
				}
				return relay.OrderView{}, nil
			}})
			if w := f.do(t, http.MethodPost, "/v1/orders/A1/close", c.body, "Content-Type", c.media); w.Code != c.status {
				t.Errorf("status %d, want %d: %s", w.Code, c.status, w.Body)
			}
		})
	}
}

// A read says everything in its address; a body beside it could say otherwise
// (threats C14).
func TestReadsTakeNoBody_C14(t *testing.T) {
	t.Parallel()
	for _, rt := range []route{routeOrder, routeEvents, routeEvent} {
		w := newFace(t, &fakeService{}).do(t, http.MethodGet, routePaths[rt], `{"refresh":true}`, "Content-Type", "application/json")
		if got := errorBody(t, w).Code; w.Code != http.StatusBadRequest || got != "PARAM_ERROR" {
			t.Errorf("%s: got %d %s, want 400 PARAM_ERROR", routePaths[rt], w.Code, got)
		}
	}
}

func TestHeadIsSignedAsHead(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{
		authenticate: func(r relay.SignedRequest) error {
			if r.Method != http.MethodHead {
				return errors.New("signed as " + r.Method)
			}
			return nil
		},
		order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, nil },
	})
	if w := f.do(t, http.MethodHead, "/v1/orders/A1", ""); w.Code != http.StatusOK {
		t.Errorf("status %d, want 200", w.Code)
	}
}

func TestErrorsOfRelayReachTheClient(t *testing.T) {
	t.Parallel()
	boom := &relay.Error{Kind: relay.KindUpstream, Message: "WeChat refused", UpstreamCode: "NO_AUTH", Err: errors.New("cause")}
	service := &fakeService{
		createOrder: func(relay.CreateOrderRequest) (v relay.CreatedOrderView, created bool, err error) {
			return v, false, boom
		},
		order: func(string, bool) (relay.OrderView, error) { return relay.OrderView{}, boom },
		createPayment: func(string, relay.CreatePaymentRequest) (v relay.PaymentInvocation, created bool, err error) {
			return v, false, boom
		},
		closeOrder: func(string) (relay.OrderView, error) { return relay.OrderView{}, boom },
		createRefund: func(string, relay.CreateRefundRequest) (v relay.RefundView, created bool, err error) {
			return v, false, boom
		},
		refund:  func(string, bool) (relay.RefundView, error) { return relay.RefundView{}, boom },
		events:  func(string, int) (relay.EventPage, error) { return relay.EventPage{}, boom },
		event:   func(string) (relay.EventView, error) { return relay.EventView{}, boom },
		deliver: func(string) (relay.EventView, error) { return relay.EventView{}, boom },
	}
	f := newFace(t, service, func(o *Options) { o.RequestID = func() string { return "r" } })
	for rt, body := range map[route]string{
		routeOrders: "{}", routeOrder: "", routePayments: "{}", routeClose: "", routeRefunds: "{}", routeRefund: "", routeEvents: "", routeEvent: "", routeDeliver: "",
	} {
		w := f.do(t, methodOf(rt), routePaths[rt], body, "Content-Type", "application/json")
		want := `{"code":"UPSTREAM_ERROR","message":"WeChat refused","request_id":"r","upstream_code":"NO_AUTH"}`
		if w.Code != http.StatusBadGateway || w.Body.String() != want {
			t.Errorf("%s: got %d %s, want 502 %s", routePaths[rt], w.Code, w.Body, want)
		}
	}
}
