package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

const (
	phoneAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"
	// buyersIP is an address of the documentation's; only a sandbox takes it.
	buyersIP = "203.0.113.7"
)

// wayToPay is a trade type: what a shop asks for, what it gets, and how the
// buyer pays with that.
type wayToPay struct {
	tradeType string
	appID     string
	ask       string // more members of the request, each with a comma before it
	check     func(t *testing.T, s *server, p *invocationJSON)
}

// invocationJSON is the answer to POST /v1/orders/{order_no}/payments.
type invocationJSON struct {
	OutTradeNo string            `json:"out_trade_no"`
	TradeType  string            `json:"trade_type"`
	CodeURL    string            `json:"code_url"`
	H5URL      string            `json:"h5_url"`
	JSAPI      map[string]string `json:"jsapi"`
	App        map[string]string `json:"app"`
}

// refundJSON is a refund as a shop sees it, in answers and in events.
type refundJSON struct {
	RefundNo    string `json:"refund_no"`
	OutRefundNo string `json:"out_refund_no"`
	Amount      int64  `json:"amount"`
	Status      string `json:"status"`
}

// refundedJSON is an order as far as refunds go.
type refundedJSON struct {
	Status         string       `json:"status"`
	PaidAmount     int64        `json:"paid_amount"`
	RefundedAmount int64        `json:"refunded_amount"`
	Refunds        []refundJSON `json:"refunds"`
}

var waysToPay = []wayToPay{
	{"native", sandbox.DefaultAppID, "", func(t *testing.T, _ *server, p *invocationJSON) {
		t.Helper()
		if !strings.HasPrefix(p.CodeURL, "weixin://") {
			t.Errorf("code_url %q", p.CodeURL)
		}
	}},
	{"jsapi", sandbox.DefaultAppID, `,"openid":"` + sandbox.OpenID(sandbox.DefaultAppID, "ming") + `"`, checkSix(sandbox.DefaultAppID)},
	{"mini_program", sandbox.DefaultMiniProgramAppID, `,"openid":"` + sandbox.OpenID(sandbox.DefaultMiniProgramAppID, "ming") + `"`, checkSix(sandbox.DefaultMiniProgramAppID)},
	{"app", sandbox.DefaultMobileAppID, "", func(t *testing.T, _ *server, p *invocationJSON) {
		t.Helper()
		for _, name := range []string{"prepayid", "noncestr", "timestamp", "sign"} {
			if p.App[name] == "" {
				t.Errorf("app has no %s: %v", name, p.App)
			}
		}
		if len(p.App) != 7 || p.App["appid"] != sandbox.DefaultMobileAppID || p.App["partnerid"] != sandbox.DefaultMchID || p.App["package"] != "Sign=WXPay" {
			t.Errorf("app = %v, want the seven values for the SDK", p.App)
		}
	}},
	{"h5", sandbox.DefaultAppID, `,"payer_ip":"` + buyersIP + `"`, func(t *testing.T, s *server, p *invocationJSON) {
		t.Helper()
		// WeChat's page wants to be reached from the merchant's own.
		if a := get(t, s.http, p.H5URL, phoneAgent, "Referer", s.url+"/"); a.status != http.StatusOK {
			t.Errorf("h5_url %q = %s, want WeChat's page", p.H5URL, a)
		}
	}},
}

// checkSix checks the values for WeixinJSBridge and wx.requestPayment.
func checkSix(appID string) func(*testing.T, *server, *invocationJSON) {
	return func(t *testing.T, _ *server, p *invocationJSON) {
		t.Helper()
		for _, name := range []string{"timeStamp", "nonceStr", "signType", "paySign"} {
			if p.JSAPI[name] == "" {
				t.Errorf("jsapi has no %s: %v", name, p.JSAPI)
			}
		}
		if len(p.JSAPI) != 6 || p.JSAPI["appId"] != appID || !strings.HasPrefix(p.JSAPI["package"], "prepay_id=") {
			t.Errorf("jsapi = %v, want six values for %s", p.JSAPI, appID)
		}
	}
}

// TestWaysToPay pays in every trade type of both protocol generations, and
// gives the money back in two parts: order, payment, notification, telling,
// refund, telling, refund, telling.
func TestWaysToPay(t *testing.T) {
	t.Parallel()
	for _, generation := range []struct{ name, block string }{
		{"v3", "prefer api_v3"},
		{"v2 MD5", "prefer api_v2"},
		{"v2 HMAC-SHA256", "api_v2 {\n\t\t\t\tsign_type HMAC-SHA256\n\t\t\t}"},
	} {
		t.Run(generation.name, func(t *testing.T) {
			t.Parallel()
			w := newWechat(t, 0.05)
			shopSide := newReceiver(t)
			s := start(t, setup{
				platform: w.url, receiver: shopSide.url,
				merchant: "{\n\t\t\taccounts shop mini app\n\t\t\t" + generation.block + "\n\t\t}",
				app:      "account mini {\n\t\t\tkind mini_program\n\t\t}\n\t\taccount app {\n\t\t\tkind mobile_app\n\t\t}\n\t\tallow_networks 127.0.0.0/8",
				bookshop: "allow jsapi native h5 app mini_program refund",
			})
			t.Run("ways", func(t *testing.T) {
				for i, way := range waysToPay {
					t.Run(way.tradeType, func(t *testing.T) {
						t.Parallel()
						way.run(t, s, shopSide, fmt.Sprintf("W%09d", i+1))
					})
				}
			})
			// One telling of the payment and one of each refund, all in the
			// generation that made them, all answered by success.
			w.spoke(t, strings.HasPrefix(generation.name, "v2"), 3*len(waysToPay))
		})
	}
}

// run takes one order through its whole life.
func (way *wayToPay) run(t *testing.T, s *server, shopSide *receiver, orderNo string) {
	s.shop.order(t, orderNo, "")
	var p invocationJSON
	s.shop.call(t, "POST", "/v1/orders/"+orderNo+"/payments", `{"trade_type":"`+way.tradeType+`"`+way.ask+`}`, http.StatusCreated, &p)
	if p.TradeType != way.tradeType {
		t.Errorf("trade_type %q, want %q", p.TradeType, way.tradeType)
	}
	way.check(t, s, &p)
	buyer := s.pay(t, `{"out_trade_no":"`+p.OutTradeNo+`"}`)

	paid := shopSide.awaitEvent(t, orderNo, "order.paid", "")
	if d := paid.Data; d.Amount != 100 || d.TradeType != way.tradeType || d.AppID != way.appID || d.TransactionID != buyer.TransactionID || d.OutTradeNo != p.OutTradeNo {
		t.Errorf("told %+v, want it paid by %s under %s", d, buyer.TransactionID, way.appID)
	}
	if v := s.shop.view(t, orderNo); v.Status != "paid" || v.PaidAmount != 100 || v.TradeType != way.tradeType || v.Case != nil {
		t.Errorf("order = %+v, want it paid", v)
	}

	way.refund(t, s, shopSide, orderNo, orderNo+"R1", 30, "partially_refunded", 30)
	if a, err := s.shop.try(t.Context(), "POST", "/v1/orders/"+orderNo+"/refunds", `{"refund_no":"`+orderNo+`R2","amount":71}`); err != nil ||
		a.status != http.StatusConflict || a.code() != "AMOUNT_EXCEEDED" {
		t.Errorf("refunding more than is left = %v, %v; want 409 AMOUNT_EXCEEDED", a, err)
	}
	way.refund(t, s, shopSide, orderNo, orderNo+"R3", 70, "refunded", 100)
}

// refund gives a part of the money back and waits until everybody knows.
func (*wayToPay) refund(t *testing.T, s *server, shopSide *receiver, orderNo, refundNo string, amount int64, status string, refunded int64) {
	t.Helper()
	body := fmt.Sprintf(`{"refund_no":%q,"amount":%d,"reason":"too cold"}`, refundNo, amount)
	var r refundJSON
	s.shop.call(t, "POST", "/v1/orders/"+orderNo+"/refunds", body, http.StatusCreated, &r)
	if r.RefundNo != refundNo || r.OutRefundNo == "" || r.Amount != amount || r.Status != "processing" && r.Status != "succeeded" {
		t.Errorf("refund = %+v, want %s under way", r, refundNo)
	}
	var again refundJSON
	s.shop.call(t, "POST", "/v1/orders/"+orderNo+"/refunds", body, http.StatusOK, &again)
	if again.OutRefundNo != r.OutRefundNo {
		t.Errorf("the same refund again is %+v, want %+v", again, r)
	}
	e := shopSide.awaitEvent(t, orderNo, "refund.succeeded", refundNo)
	if e.Data.Refund.Amount != amount || e.Data.Refund.Status != "succeeded" || e.Data.Refund.OutRefundNo != r.OutRefundNo {
		t.Errorf("told %+v, want %s succeeded", e.Data.Refund, refundNo)
	}
	s.shop.call(t, "GET", "/v1/refunds/"+refundNo, "", http.StatusOK, &again)
	if again.Status != "succeeded" || again.Amount != amount {
		t.Errorf("refund = %+v, want it succeeded", again)
	}
	var o refundedJSON
	s.shop.call(t, "GET", "/v1/orders/"+orderNo, "", http.StatusOK, &o)
	if o.Status != status || o.PaidAmount != 100 || o.RefundedAmount != refunded ||
		!slices.ContainsFunc(o.Refunds, func(r refundJSON) bool { return r.RefundNo == refundNo && r.Status == "succeeded" }) {
		t.Errorf("order = %+v, want it %s with %d fen given back", o, status, refunded)
	}
}

// refundEventJSON is an event with its refund.
type refundEventJSON struct {
	Type string `json:"type"`
	Data struct {
		eventData
		Refund refundJSON `json:"refund"`
	} `json:"data"`
}

// awaitEvent waits until the shop was told of an order, or of a refund of it,
// and verifies how it was told.
func (r *receiver) awaitEvent(t *testing.T, orderNo, kind, refundNo string) (found refundEventJSON) {
	t.Helper()
	eventually(t, kind+" of "+orderNo, func() error {
		for _, n := range r.all() {
			var e refundEventJSON
			if err := json.Unmarshal([]byte(n.body), &e); err != nil {
				t.Fatalf("told %q: %v", n.body, err)
			}
			if e.Type != kind || e.Data.OrderNo != orderNo || e.Data.Refund.RefundNo != refundNo {
				continue
			}
			if err := checkStandard(&n, shopNotify); err != nil {
				t.Errorf("%s of %s: %v", kind, orderNo, err)
			}
			found = e
			return nil
		}
		return errors.New("not told yet")
	})
	return found
}

// spoke waits until WeChat has posted so many notifications, and checks that
// each was in one generation and was answered by success. What the relay
// learns by asking it may know before WeChat tells it.
func (w *wechat) spoke(t *testing.T, v2 bool, atLeast int) {
	t.Helper()
	eventually(t, "WeChat to tell everything", func() error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.sent) < atLeast {
			return fmt.Errorf("%d notifications, want at least %d", len(w.sent), atLeast)
		}
		return nil
	})
	w.allTaken(t)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.sent {
		if xml := strings.HasPrefix(string(n.body), "<"); xml != v2 {
			t.Errorf("WeChat posted %.80s, want it in the generation of its payment", n.body)
		}
	}
}
