package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestMainJobNative is what the product is for: an order, the code on the
// page, the payment, and the shop that is told.
func TestMainJobNative(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	s := start(t, setup{
		receiver: shopSide.url, app: "allow_networks 127.0.0.0/8",
		bookshop: "notify_secret {env.SHOP_OLD_NOTIFY}\n\t\t\tallow_origin https://books.example.com",
	})
	o := s.shop.order(t, "A000000001", `,"attach":"shelf 7","metadata":{"shelf":7},"return_url":"https://books.example.com/back","expires_in":600`)
	if o.Status != "created" || o.Amount != 100 || o.Currency != "CNY" || !strings.HasPrefix(o.CheckoutURL, s.url+"/checkout/") {
		t.Errorf("order = %+v", o)
	}
	if life := o.ExpiresAt.Sub(o.CreatedAt); life != 10*time.Minute {
		t.Errorf("the order lives %s, want 10m", life)
	}
	var again orderJSON
	s.shop.call(t, "POST", "/v1/orders", `{"order_no":"A000000001","amount":100,"description":"tea 茶","attach":"shelf 7","metadata":{"shelf":7},"return_url":"https://books.example.com/back","expires_in":600}`, http.StatusOK, &again)
	if again.CheckoutURL != o.CheckoutURL {
		t.Errorf("the same order again has the page %s, want %s", again.CheckoutURL, o.CheckoutURL)
	}

	page := get(t, s.http, o.CheckoutURL, desktopAgent, "Accept-Language", "en")
	checkPage(t, page, http.StatusOK)
	if text := string(page.body); !strings.Contains(text, "tea 茶") || !strings.Contains(text, "1.00") {
		t.Errorf("the page names neither what is bought nor its price:\n%s", text)
	}
	code := get(t, s.http, o.CheckoutURL+"/qr.svg", desktopAgent)
	if code.status != http.StatusOK || code.header.Get("Content-Type") != "image/svg+xml" || !strings.Contains(string(code.body), "<svg") {
		t.Errorf("qr.svg = %s of %s", code, code.header.Get("Content-Type"))
	}
	live := watch(t, o.CheckoutURL+"/status")
	if first := live.next(t); first.Status != "paying" {
		t.Errorf("the live status is %+v, want paying", first)
	}

	buyer := s.pay(t, `{"code_url":"`+s.shop.native(t, "A000000001").CodeURL+`"}`)
	last := live.next(t)
	if last.Status != "paid" {
		t.Errorf("the live status is %+v after the payment, want paid", last)
	}
	checkReturnLink(t, last.ReturnURL, "A000000001")
	var polled statusJSON
	a := get(t, s.http, o.CheckoutURL+"/status", desktopAgent)
	if err := json.Unmarshal(a.body, &polled); err != nil || polled.Status != "paid" {
		t.Errorf("the polled status is %s, want paid", a)
	}
	checkPage(t, get(t, s.http, o.CheckoutURL, desktopAgent), http.StatusOK)

	n := shopSide.await(t, 1)
	if err := checkStandard(&n, shopNotify, shopOldTell); err != nil {
		t.Errorf("the notification: %v", err)
	}
	checkPaid(t, s, &n, buyer)
	if more := len(shopSide.all()); more != 1 {
		t.Errorf("the shop was told %d times, want once", more)
	}
}

// checkPaid compares the order, its event and what the shop was told.
func checkPaid(t *testing.T, s *server, n *told, buyer payJSON) {
	t.Helper()
	v := s.shop.view(t, "A000000001")
	if v.Status != "paid" || v.PaidAmount != 100 || v.TransactionID != buyer.TransactionID || v.TradeType != "native" {
		t.Errorf("order = %+v, want it paid by %s", v, buyer.TransactionID)
	}
	if len(v.Payments) != 1 || v.Payments[0].Status != "paid" || v.Payments[0].OutTradeNo != buyer.OutTradeNo {
		t.Errorf("payments = %+v, want %s paid", v.Payments, buyer.OutTradeNo)
	}
	events := s.shop.allEvents(t)
	if len(events) != 1 || events[0].ID != n.id() {
		t.Fatalf("events = %+v, want only %s", events, n.id())
	}
	var said eventJSON
	if err := json.Unmarshal([]byte(n.body), &said); err != nil {
		t.Fatal(err)
	}
	e := s.shop.awaitDelivery(t, n.id(), "delivered")
	if len(e.Delivery.Attempts) != 1 || e.Delivery.Attempts[0].HTTPStatus != http.StatusNoContent || e.Delivery.NextAttemptAt != "" {
		t.Errorf("delivery = %+v, want one attempt, answered 204", e.Delivery)
	}
	e.Delivery, e.ID = deliveryJSON{}, ""
	if got, want := fmt.Sprintf("%+v", said), fmt.Sprintf("%+v", e); got != want {
		t.Errorf("the shop was told %s, the event is %s", got, want)
	}
	want := eventData{
		ClientID: shopID, OrderNo: "A000000001", Amount: 100, Currency: "CNY", Status: "paid", OutTradeNo: buyer.OutTradeNo,
		TransactionID: buyer.TransactionID, TradeType: "native", AppID: "wx8888888888888888", MchID: "1900000109",
		PaidAt: v.PaidAt, Attach: "shelf 7", Metadata: json.RawMessage(`{"shelf":7}`),
	}
	want.Payer.OpenID = buyer.OpenID
	if got := fmt.Sprintf("%+v", said.Data); said.Type != "order.paid" || got != fmt.Sprintf("%+v", want) {
		t.Errorf("told %s %s, want order.paid %+v", said.Type, got, want)
	}
}

// checkPage checks what every page of the relay keeps to.
func checkPage(t *testing.T, a *answer, status int) {
	t.Helper()
	policy := a.header.Get("Content-Security-Policy")
	if a.status != status || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
		t.Errorf("the page = %d %s, want %d text/html", a.status, a.header.Get("Content-Type"), status)
	}
	if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the page's policy is %q", policy)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the page is kept and tells where it was: %v", a.header)
	}
}

// checkReturnLink verifies the way back to the shop, contract section 5.
func checkReturnLink(t *testing.T, link, orderNo string) {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	signed, sig, _ := strings.Cut(u.RawQuery, "&sig=")
	if want := signLink(shopNotify, shopID, "books.example.com", "/back", signed); sig != want {
		t.Errorf("the way back %s is signed %s, want %s", link, sig, want)
	}
	q := u.Query()
	if q.Get("client_id") != shopID || q.Get("order_no") != orderNo || q.Get("status") != "paid" || q.Get("amount") != "100" {
		t.Errorf("the way back is %s", link)
	}
	if err := fresh(q.Get("timestamp")); err != nil {
		t.Errorf("the way back: %v", err)
	}
}

// TestMainJobJSAPI pays inside WeChat: the silent login finds the openid, the
// page gets what the bridge needs.
func TestMainJobJSAPI(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	s := start(t, setup{receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"})
	o := s.shop.order(t, "J000000001", "")
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Timeout: patience, Transport: s.http.Transport}
	page := get(t, browser, o.CheckoutURL, wechatAgent)
	checkPage(t, page, http.StatusOK)
	v := s.shop.view(t, "J000000001")
	if len(v.Payments) != 1 || v.Payments[0].TradeType != "jsapi" {
		t.Fatalf("payments = %+v, want one jsapi", v.Payments)
	}
	if text := string(page.body); !strings.Contains(text, "prepay_id=") || !strings.Contains(text, "paySign") {
		t.Errorf("the page does not hold what the bridge needs:\n%s", text)
	}
	buyer := s.pay(t, `{"out_trade_no":"`+v.Payments[0].OutTradeNo+`"}`)
	s.shop.awaitStatus(t, "J000000001", "paid")
	n := shopSide.await(t, 1)
	if err := checkStandard(&n, shopNotify); err != nil {
		t.Errorf("the notification: %v", err)
	}
	var said eventJSON
	if err := json.Unmarshal([]byte(n.body), &said); err != nil || said.Data.TradeType != "jsapi" || said.Data.Payer.OpenID != buyer.OpenID || buyer.OpenID == "" {
		t.Errorf("told %s, want a jsapi payment of %s", n.body, buyer.OpenID)
	}

	// The trip is the browser's own: another one gets nowhere with its
	// answer (threats E01).
	started := get(t, s.http, s.shop.order(t, "J000000002", "").CheckoutURL, wechatAgent)
	if started.status != http.StatusSeeOther {
		t.Fatalf("a stranger's page = %d, want a redirect to the login", started.status)
	}
	back := get(t, s.http, started.header.Get("Location"), wechatAgent)
	stolen := get(t, s.http, back.header.Get("Location"), wechatAgent)
	checkPage(t, stolen, http.StatusForbidden)
}

// TestConfirm is the second handshake of a client with confirm.
func TestConfirm(t *testing.T) {
	t.Parallel()
	s := start(t, setup{bookshop: "confirm"})
	o := s.shop.order(t, "C000000001", "")
	path := strings.TrimPrefix(o.CheckoutURL, s.url)
	link := func(query string, at time.Time) string {
		query += fmt.Sprintf("&client_id=%s&timestamp=%d&nonce=%s", shopID, at.Unix(), freshNonce())
		return query + "&sig=" + signLink(shopSecret, shopID, s.shop.host(), path, query)
	}
	good := link("order_no=C000000001&amount=100", time.Now())
	for _, tc := range []struct{ name, query string }{
		{"nothing", ""},
		{"other amount", link("order_no=C000000001&amount=1", time.Now())},
		{"other order", link("order_no=C000000002&amount=100", time.Now())},
		{"amount left out", link("order_no=C000000001", time.Now())},
		{"too old", link("order_no=C000000001&amount=100", time.Now().Add(-302*time.Second))},
		{"amount changed after signing", strings.Replace(good, "amount=100", "amount=1", 1)},
		{"something added", good + "&x=1"},
	} {
		a := get(t, s.http, o.CheckoutURL+"?"+tc.query, desktopAgent)
		if a.status != http.StatusForbidden && a.status != http.StatusBadRequest {
			t.Errorf("%s: the page = %d, want it refused", tc.name, a.status)
		}
	}
	if v := s.shop.view(t, "C000000001"); v.Status != "created" || len(v.Payments) != 0 {
		t.Errorf("a refused page changed the order: %+v", v)
	}
	checkPage(t, get(t, s.http, o.CheckoutURL+"?"+good, desktopAgent), http.StatusOK)
	if v := s.shop.view(t, "C000000001"); v.Status != "paying" {
		t.Errorf("order = %+v, want it to be paid now", v)
	}
}

// statusJSON is what a waiting page is told.
type statusJSON struct {
	Status    string `json:"status"`
	ReturnURL string `json:"return_url"`
}

// stream is a live status.
type stream struct{ messages chan statusJSON }

// watch opens a live status. It ends with the test.
func watch(t *testing.T, address string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "text/event-stream")
	client := &http.Client{Transport: &resender{line: &http.Transport{DisableKeepAlives: true}}}
	response, err := client.Do(r) //nolint:bodyclose // closed where it is read to its end
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the live status = %s %s", response.Status, response.Header.Get("Content-Type"))
	}
	s := &stream{messages: make(chan statusJSON, 16)}
	ended := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	go func() {
		defer close(ended)
		defer close(s.messages)
		defer func() { _ = response.Body.Close() }()
		for lines := bufio.NewScanner(response.Body); lines.Scan(); {
			data, ok := strings.CutPrefix(lines.Text(), "data: ")
			var v statusJSON
			if ok && json.Unmarshal([]byte(data), &v) == nil {
				s.messages <- v
			}
		}
	}()
	return s
}

// next waits for the next message.
func (s *stream) next(t *testing.T) statusJSON {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case v, ok := <-s.messages:
		if !ok {
			t.Fatal("the live status ended")
		}
		return v
	case <-timer.C:
		t.Fatal("the live status says nothing")
	}
	return statusJSON{}
}

// ended waits until the server has ended the stream.
func (s *stream) ended(t *testing.T) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		select {
		case _, ok := <-s.messages:
			if !ok {
				return
			}
		case <-timer.C:
			t.Fatal("the live status goes on")
		}
	}
}
