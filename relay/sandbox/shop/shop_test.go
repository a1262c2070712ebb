package shop

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
)

// fakeRelay plays the part of the relay that the shop asks.
type fakeRelay struct {
	mu      sync.Mutex // guards what follows
	orders  []OrderRequest
	refuse  bool
	pending map[string]time.Time // next attempt by event id
	tickets map[string]string    // who, as JSON, by ticket
}

func (f *fakeRelay) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := httptest.NewRecorder()
	switch {
	case f.refuse:
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"code":"UNAVAILABLE","message":"resting"}`)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/orders":
		var o OrderRequest
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			return nil, err
		}
		f.orders = append(f.orders, o)
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"order_no":%q,"status":"created","checkout_url":"https://pay.example.com/checkout/t"}`, o.OrderNo)
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/tickets/"):
		ticket := strings.TrimPrefix(r.URL.Path, "/v1/tickets/")
		who, ok := f.tickets[ticket]
		delete(f.tickets, ticket)
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			who = `{"code":"NOT_FOUND","message":"no such ticket"}`
		}
		_, _ = io.WriteString(w, who)
	default:
		id := strings.TrimPrefix(r.URL.Path, "/v1/events/")
		_, _ = fmt.Fprintf(w, `{"id":%q,"type":"order.paid","delivery":{"status":"pending","next_attempt_at":%q,"attempts":[]}}`,
			id, f.pending[id].Format(time.RFC3339))
	}
	return w.Result(), nil
}

// newTestShop makes a shop at a fake relay.
func newTestShop(t *testing.T) (*Shop, *fakeRelay) {
	t.Helper()
	relay := &fakeRelay{pending: map[string]time.Time{}, tickets: map[string]string{}}
	o := testOptions("https://pay.example.com")
	o.Transport = relay
	s, err := New(o)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return s, relay
}

// ask sends a request to the shop.
func ask(s *Shop, method, target, form string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(form))
	r.Host = "books.example.com"
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	maps.Copy(r.Header, header)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// buy buys the book and returns its order number.
func buy(t *testing.T, s *Shop, relay *fakeRelay) string {
	t.Helper()
	w := ask(s, http.MethodPost, "/shop/buy", "product=book", nil)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "https://pay.example.com/checkout/t" {
		t.Fatalf("buying answers %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
	}
	return relay.orders[len(relay.orders)-1].OrderNo
}

// paidBody is the notification of a paid order.
func paidBody(orderNo string, amountFen int64) string {
	return fmt.Sprintf(`{"type":"order.paid","timestamp":"2026-11-22T05:20:00+08:00","data":{"order_no":%q,"amount":%d,"currency":"CNY","status":"paid"}}`, orderNo, amountFen)
}

// notify sends a genuine notification.
func notify(s *Shop, id, body string) int {
	return ask(s, http.MethodPost, "/shop/notify", body, signedWebhook(id, "1795296000", body)).Code
}

func TestBuy(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	page := ask(s, http.MethodGet, "/shop/", "", nil)
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://pay.example.com;") {
		t.Errorf("policy = %q, want one that lets the form lead to the cashier", policy)
	}
	number := buy(t, s, relay)
	got := relay.orders[0]
	if len(number) != 10 || got.AmountFen != 1990 || got.ReturnURL != "http://books.example.com/shop/return" {
		t.Errorf("order = %+v", got)
	}
	if again := buy(t, s, relay); again == number {
		t.Error("two orders have the same number")
	}
	if w := ask(s, http.MethodPost, "/shop/buy", "product=house", nil); w.Code != http.StatusBadRequest {
		t.Errorf("buying a house answers %d", w.Code)
	}
}

func TestBuyWhenTheRelayRefuses(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	relay.refuse = true
	w := ask(s, http.MethodPost, "/shop/buy", "product=book", nil)
	if w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "UNAVAILABLE") {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
	if orders, _ := s.book.view(); len(orders) != 0 {
		t.Errorf("orders = %+v, want none", orders)
	}
}

func TestNotificationSettlesOnce(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	number := buy(t, s, relay)
	for range 2 {
		if status := notify(s, "evt_1", paidBody(number, 1990)); status != http.StatusNoContent {
			t.Fatalf("answer %d, want 204", status)
		}
	}
	orders, strays := s.book.view()
	if !orders[0].Paid() || len(orders[0].Receipts) != 2 || orders[0].Receipts[0].Attempt != 2 || len(strays) != 0 {
		t.Errorf("orders = %+v, strays = %+v", orders, strays)
	}
	live := ask(s, http.MethodGet, "/shop/orders/live", "", nil).Body.String()
	if !strings.Contains(live, "evt_1") || !strings.Contains(live, number) || !strings.Contains(live, "已付款") {
		t.Errorf("page = %s", live)
	}
}

// Whoever is not the relay cannot make the shop hand out goods.
func TestForgedNotificationIsRefused(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	number := buy(t, s, relay)
	body := paidBody(number, 1990)
	for name, header := range map[string]http.Header{
		"unsigned":     {},
		"made up":      webhookHeader("evt_1", "1795296000", "v1,AAAA"),
		"other body":   signedWebhook("evt_1", "1795296000", body+" "),
		"an hour old":  signedWebhook("evt_1", "1795292400", body),
		"other secret": webhookHeader("evt_1", "1795296000", exampleSignature),
	} {
		if w := ask(s, http.MethodPost, "/shop/notify", body, header); w.Code != http.StatusUnauthorized {
			t.Errorf("%s: answer %d, want 401", name, w.Code)
		}
	}
	forged := signedGet("MD5", getMD5)
	forged.Set("order_no", number)
	if w := ask(s, http.MethodGet, "/shop/notify-get?"+forged.Encode(), "", nil); w.Code != http.StatusUnauthorized || w.Body.String() == "success" {
		t.Errorf("get form: answer %d %s, want 401", w.Code, w.Body)
	}
	orders, strays := s.book.view()
	if orders[0].Paid() || len(orders[0].Receipts) != 0 || len(strays) != 6 {
		t.Errorf("orders = %+v, %d strays", orders, len(strays))
	}
	if live := ask(s, http.MethodGet, "/shop/orders/live", "", nil).Body.String(); !strings.Contains(live, errSignature.Error()) {
		t.Errorf("the page does not show why: %s", live)
	}
}

func TestNotificationWithAnotherAmount(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	number := buy(t, s, relay)
	if status := notify(s, "evt_1", paidBody(number, 1)); status != http.StatusNoContent {
		t.Errorf("answer %d, want 204: a repeat would change nothing", status)
	}
	if o, _ := s.book.order(number); o.Paid() || !o.Mismatch {
		t.Errorf("order = %+v, want it unpaid and marked", o)
	}
}

func TestGetNotification(t *testing.T) {
	t.Parallel()
	s, _ := newTestShop(t)
	s.book.add(order{OrderNo: "A000000001", AmountFen: 1})
	w := ask(s, http.MethodGet, "/shop/notify-get?"+signedGet("HMAC-SHA256", getHMAC).Encode(), "", nil)
	if w.Code != http.StatusOK || w.Body.String() != "success" {
		t.Errorf("answer %d %q, want 200 success", w.Code, w.Body)
	}
	if o, _ := s.book.order("A000000001"); !o.Paid() {
		t.Error("the order is unpaid")
	}
}

func TestShopThatIsDown(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	number := buy(t, s, relay)
	next := exampleTime.Add(2 * time.Minute)
	relay.pending["evt_1"] = next
	turn := func(down string) {
		if w := ask(s, http.MethodPost, "/shop/switch", "down="+down, nil); w.Code != http.StatusSeeOther {
			t.Fatalf("switch answers %d", w.Code)
		}
	}
	turn("true")
	if status := notify(s, "evt_1", paidBody(number, 1990)); status != http.StatusServiceUnavailable {
		t.Errorf("answer %d, want 503", status)
	}
	if o, _ := s.book.order(number); o.Paid() {
		t.Error("a shop that is down acted on a notification")
	}
	live := ask(s, http.MethodGet, "/shop/orders/live", "", nil).Body.String()
	if want := next.In(time.FixedZone("", 8*60*60)).Format("15:04:05"); !strings.Contains(live, want) || !strings.Contains(live, "503") {
		t.Errorf("the page does not show the next attempt at %s: %s", want, live)
	}
	turn("false")
	if status := notify(s, "evt_1", paidBody(number, 1990)); status != http.StatusNoContent {
		t.Errorf("answer %d, want 204", status)
	}
	if o, _ := s.book.order(number); !o.Paid() {
		t.Error("the order is unpaid")
	}
}

func TestReturnPage(t *testing.T) {
	t.Parallel()
	s, _ := newTestShop(t)
	s.book.add(order{OrderNo: "A000000001", Product: products[0], AmountFen: 1})
	good := "/shop/return?" + returnQuery + "&sig=" + returnSig
	w := ask(s, http.MethodGet, good, "", nil)
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "paid") || !strings.Contains(w.Body.String(), "以通知为准") {
		t.Errorf("answer %d: %s", w.Code, w.Body)
	}
	if o, _ := s.book.order("A000000001"); o.Paid() {
		t.Error("the way back settled the order; only a notification may")
	}
	w = ask(s, http.MethodGet, strings.Replace(good, "paid", "closed", 1), "", nil)
	if w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "closed") {
		t.Errorf("a changed link answers %d: %s", w.Code, w.Body)
	}
}

func TestOtherSitesCannotUseTheForms(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	for _, path := range []string{"/shop/buy", "/shop/switch", "/shop/logout"} {
		if w := ask(s, http.MethodPost, path, "product=book&down=true", http.Header{"Sec-Fetch-Site": {"cross-site"}}); w.Code != http.StatusForbidden {
			t.Errorf("%s: answer %d, want 403", path, w.Code)
		}
	}
	if len(relay.orders) != 0 || s.book.isDown() {
		t.Error("another site's page had an effect")
	}
}

// No page can be taken for a real shop's (H15).
func TestEveryPageSaysSandbox_H15(t *testing.T) {
	t.Parallel()
	s, _ := newTestShop(t)
	for _, target := range []string{"/shop/", "/shop/orders", "/shop/return"} {
		w := ask(s, http.MethodGet, target, "", http.Header{"Accept-Language": {"en"}})
		if !strings.Contains(w.Body.String(), page.Banner) || !strings.Contains(w.Body.String(), `<html lang="en">`) {
			t.Errorf("%s: %s", target, w.Body)
		}
	}
	for name, want := range map[string]int{"style.css": 200, "live.js": 200, "layout.html": 404} {
		if w := ask(s, http.MethodGet, "/shop/assets/"+name, "", nil); w.Code != want {
			t.Errorf("%s: answer %d, want %d", name, w.Code, want)
		}
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook()
	for i := range maxReceipts + 10 {
		b.add(order{OrderNo: fmt.Sprint(i)})
		b.receive(receipt{EventID: fmt.Sprint(i)})
	}
	if len(b.orders) != maxOrders || len(b.receipts) != maxReceipts {
		t.Errorf("%d orders and %d receipts are kept", len(b.orders), len(b.receipts))
	}
	if _, ok := b.order(fmt.Sprint(maxReceipts + 9)); !ok {
		t.Error("the newest order is gone")
	}
}

// Pages and notifications at once, for the race detector.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			ask(s, http.MethodPost, "/shop/buy", "product=tea", nil)
			notify(s, fmt.Sprint("evt_", i), paidBody("A1", 1))
			ask(s, http.MethodPost, "/shop/switch", "down="+fmt.Sprint(i%2 == 0), nil)
			ask(s, http.MethodGet, "/shop/orders/live", "", nil)
		})
	}
	group.Wait()
	if len(relay.orders) != 8 {
		t.Errorf("%d orders, want 8", len(relay.orders))
	}
	if _, err := url.Parse(ownAddress(httptest.NewRequest(http.MethodGet, "/", nil))); err != nil {
		t.Error(err)
	}
}
