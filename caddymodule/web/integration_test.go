package web_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/caddymodule/web"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	bookshop     = "1000000000000001"
	teashop      = "1000000000000002"
	secret       = "0123456789abcdef0123456789ABCDEF"
	otherSecret  = "FEDCBA9876543210fedcba9876543210"
	desktopAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	weChatAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Mobile/15E148 MicroMessenger/8.0.60"
)

// world is a relay with everything real but the disk: its HTTP face on one
// server and a WeChat that plays by the rules on another.
type world struct {
	t       testing.TB
	relay   string // address of the relay
	host    string
	weChat  string // address of the sandbox
	browser *http.Client
}

func newWorld(tb testing.TB, change ...func(*relay.Config)) *world {
	tb.Helper()
	return newWorldOn(tb, memstore.New(), change...)
}

func newWorldOn(tb testing.TB, store relay.Store, change ...func(*relay.Config)) *world {
	tb.Helper()
	return newWorldAt(tb, store, time.Now, sandbox.Options{}, change...)
}

// newWorldAt is a world whose relay has a clock of its own.
func newWorldAt(tb testing.TB, store relay.Store, now func() time.Time, o sandbox.Options, change ...func(*relay.Config)) *world {
	tb.Helper()
	box, err := sandbox.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	weChat := httptest.NewServer(box)
	server := httptest.NewUnstartedServer(nil)
	host := server.Listener.Addr().String()
	cfg := testConfig(tb, "http://"+host, weChat.URL)
	for _, c := range change {
		c(cfg)
	}
	log := slog.New(slog.DiscardHandler)
	rt, err := relay.NewRuntime(relay.RuntimeOptions{Store: store, Now: now, Rand: rand.Reader, Logger: log})
	if err != nil {
		tb.Fatal(err)
	}
	service, err := relay.NewService(cfg, rt, log)
	if err != nil {
		tb.Fatal(err)
	}
	rt.Use(service)
	face, err := web.New(web.Options{
		Service: service, PublicURL: cfg.PublicURL, Ready: rt.Health, Logger: log, RequestID: func() string { return "request" },
	})
	if err != nil {
		tb.Fatal(err)
	}
	server.Config.Handler = face
	server.Config.RegisterOnShutdown(face.Drain)
	server.Start()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		weChat.Close()
		if err := box.Close(); err != nil {
			tb.Errorf("closing sandbox: %v", err)
		}
		face.Drain()
		server.Close()
		if err := rt.Stop(context.Background()); err != nil {
			tb.Errorf("stopping runtime: %v", err)
		}
	})
	return &world{t: tb, relay: "http://" + host, host: host, weChat: weChat.URL, browser: &http.Client{Jar: jar}}
}

func testConfig(tb testing.TB, address, weChat string) *relay.Config {
	tb.Helper()
	public, err := url.Parse(address)
	if err != nil {
		tb.Fatal(err)
	}
	known := sandbox.DefaultCredentials()
	client := func(name, id, secret string) *relay.Client {
		return &relay.Client{
			Name: name, ID: id,
			Secrets:       []relay.Secret{relay.NewSecret(secret)},
			NotifySecrets: []relay.Secret{relay.NewSecret("abcdef0123456789ABCDEF0123456789")},
			Merchant:      "main",
			NotifyURL:     "https://" + name + ".example.com/notify",
			AllowOrigins:  []string{"https://" + name + ".example.com"},
			Notify:        relay.NotifyStandard,
			Allow:         []relay.TradeType{relay.TradeJSAPI, relay.TradeNative},
			Rate:          1000,
			Schedule:      []time.Duration{time.Minute},
		}
	}
	return &relay.Config{
		PublicURL: public,
		Platform:  relay.Platform{PayAPI: weChat, BaseAPI: weChat, Open: weChat, Sandbox: true},
		Accounts: []*relay.Account{{
			Name: "shop", Kind: relay.AccountOfficial, AppID: known.AppID, Secret: relay.NewSecret(known.AppSecret),
		}},
		Merchants: []*relay.Merchant{{
			Name: "main", MchID: known.MchID, Accounts: []string{"shop"},
			APIv3: &relay.APIv3Credentials{
				Key: relay.NewSecret(string(known.APIv3Key)), CertificateSerial: known.CertificateSerial, PrivateKey: known.PrivateKey,
				PublicKeys: map[string]*rsa.PublicKey{known.PublicKeyID: known.PublicKey},
			},
		}},
		Clients: []*relay.Client{client("bookshop", bookshop, secret), client("teashop", teashop, otherSecret)},
	}
}

// sign makes the Authorization line of contract section 3.1.
func (w *world) sign(clientID, secret, method, target, body string, at time.Time) string {
	timestamp, nonce := strconv.FormatInt(at.Unix(), 10), rand.Text()
	text := relay.StringToSign("WXRELAY1-HMAC-SHA256", clientID, method, w.host, target, timestamp, nonce, []byte(body))
	return fmt.Sprintf(`WXRELAY1-HMAC-SHA256 client_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
		clientID, timestamp, nonce, relay.SignHMAC(relay.NewSecret(secret), text))
}

// reply is an answer, read to its end.
type reply struct {
	status int
	header http.Header
	text   string
}

// send sends a request as it stands.
func (w *world) send(method, target, body string, header ...string) reply {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.relay+target, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := w.browser.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(text)}
}

// call sends a signed request of a client and reads the answer into into.
func (w *world) call(clientID, secret, method, target, body string, wantStatus int, into any) string {
	w.t.Helper()
	got := w.send(method, target, body, "Content-Type", "application/json",
		"Authorization", w.sign(clientID, secret, method, target, body, time.Now()))
	if got.status != wantStatus {
		w.t.Fatalf("%s %s: status %d, want %d: %s", method, target, got.status, wantStatus, got.text)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(got.text), into); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, target, err, got.text)
		}
	}
	return got.text
}

func (w *world) createOrder(orderNo string) relay.CreatedOrderView {
	w.t.Helper()
	var v relay.CreatedOrderView
	w.call(bookshop, secret, "POST", "/v1/orders", orderBody(orderNo), http.StatusCreated, &v)
	return v
}

func orderBody(orderNo string) string {
	return `{"order_no":"` + orderNo + `","amount":100,"description":"测试","return_url":"https://bookshop.example.com/done"}`
}

func (w *world) order(orderNo string) relay.OrderView {
	w.t.Helper()
	var v relay.OrderView
	w.call(bookshop, secret, "GET", "/v1/orders/"+orderNo, "", http.StatusOK, &v)
	return v
}

// page opens a page as a browser.
func (w *world) page(address, agent string, wantStatus int) string {
	w.t.Helper()
	got := w.send("GET", strings.TrimPrefix(address, w.relay), "", "User-Agent", agent, "Accept-Language", "en")
	if got.status != wantStatus {
		w.t.Fatalf("page: status %d, want %d: %s", got.status, wantStatus, got.text)
	}
	return got.text
}

// follow opens the live status of a page and returns the statuses that it
// tells, until the stream ends.
func (w *world) follow(checkoutURL string) func() []string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, checkoutURL+"/status", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := w.browser.Do(req) //nolint:bodyclose // closed by the function returned
	if err != nil {
		w.t.Fatal(err)
	}
	lines := bufio.NewScanner(resp.Body)
	return func() []string {
		defer func() { _ = resp.Body.Close() }()
		var told []string
		for lines.Scan() {
			var s relay.CheckoutStatus
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &s) == nil {
				told = append(told, s.Status)
			}
		}
		return told
	}
}

// pay lets the sandbox's buyer pay. The relay knows once the stream of the
// page says so, not before.
func (w *world) pay(outTradeNo string) {
	w.t.Helper()
	body, err := json.Marshal(map[string]string{"out_trade_no": outTradeNo})
	if err != nil {
		w.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.weChat+"/sandbox/pay", bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if text, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusOK {
		w.t.Fatalf("paying: %d %s", resp.StatusCode, text)
	}
}

func TestOrderIsPaidByCode(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.createOrder("A000000001")
	if !strings.HasPrefix(made.CheckoutURL, w.relay+"/checkout/") {
		t.Fatalf("checkout_url %q", made.CheckoutURL)
	}
	w.call(bookshop, secret, "POST", "/v1/orders", orderBody("A000000001"), http.StatusOK, nil)
	conflict := w.call(bookshop, secret, "POST", "/v1/orders", `{"order_no":"A000000001","amount":1,"description":"x"}`, http.StatusConflict, nil)
	if !strings.Contains(conflict, `"ORDER_CONFLICT"`) {
		t.Errorf("other content: %s", conflict)
	}

	if page := w.page(made.CheckoutURL, desktopAgent, 200); !strings.Contains(page, `data-state="waiting_native"`) {
		t.Fatalf("page: %s", page)
	}
	if code := w.page(made.CheckoutURL+"/qr.svg", desktopAgent, 200); !strings.HasPrefix(code, "<svg") {
		t.Errorf("code: %.60s", code)
	}
	told := w.follow(made.CheckoutURL)
	order := w.order("A000000001")
	if order.Status != relay.OrderPaying || len(order.Payments) != 1 {
		t.Fatalf("order %+v", order)
	}
	w.pay(order.Payments[0].OutTradeNo)
	if got := told(); !reflect.DeepEqual(got, []string{"paying", "paid"}) {
		t.Errorf("the page was told %v", got)
	}

	order = w.order("A000000001")
	if order.Status != relay.OrderPaid || order.PaidAmount != 100 || order.TradeType != relay.TradeNative || order.TransactionID == "" {
		t.Errorf("order %+v", order)
	}
	page := w.page(made.CheckoutURL, desktopAgent, 200)
	if !strings.Contains(page, `data-state="paid"`) || !strings.Contains(page, "https://bookshop.example.com/done?client_id="+bookshop) {
		t.Errorf("page: %s", page)
	}
	w.page(made.CheckoutURL+"/qr.svg", desktopAgent, 404)

	var events relay.EventPage
	w.call(bookshop, secret, "GET", "/v1/events?limit=10", "", http.StatusOK, &events)
	if len(events.Events) != 1 || events.Events[0].Type != relay.EventOrderPaid || events.HasMore {
		t.Fatalf("events %+v", events)
	}
	var event relay.EventView
	w.call(bookshop, secret, "GET", "/v1/events/"+events.Events[0].ID, "", http.StatusOK, &event)
	if event.Delivery == nil || event.Delivery.Status != relay.DeliveryPending {
		t.Errorf("event %+v", event)
	}
	w.call(bookshop, secret, "POST", "/v1/events/"+event.ID+"/deliver", "", http.StatusAccepted, nil)
	if closed := w.call(bookshop, secret, "POST", "/v1/orders/A000000001/close", "", http.StatusConflict, nil); !strings.Contains(closed, `"ORDER_PAID"`) {
		t.Errorf("closing: %s", closed)
	}
}

func TestOrderIsPaidInWeChat(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.createOrder("A000000002")
	// To WeChat's silent login, to the callback, and back to the page.
	page := w.page(made.CheckoutURL, weChatAgent, 200)
	if !strings.Contains(page, `data-state="waiting_jsapi"`) || !strings.Contains(page, `"paySign":"`) {
		t.Fatalf("page: %s", page)
	}
	told := w.follow(made.CheckoutURL)
	w.pay(w.order("A000000002").Payments[0].OutTradeNo)
	if got := told(); len(got) == 0 || got[len(got)-1] != "paid" {
		t.Errorf("the page was told %v", got)
	}
	if order := w.order("A000000002"); order.Status != relay.OrderPaid || order.TradeType != relay.TradeJSAPI {
		t.Errorf("order %+v", order)
	}
}

// The trip to WeChat is bound to the browser that began it (threats E01,
// E02).
func TestCallbackOfAnotherBrowser_E01_E02(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.createOrder("A000000003")
	w.browser.CheckRedirect = func(req *http.Request, _ []*http.Request) error {
		if req.URL.Path == "/wechat/callback" {
			return http.ErrUseLastResponse
		}
		return nil
	}
	got := w.send("GET", strings.TrimPrefix(made.CheckoutURL, w.relay), "", "User-Agent", weChatAgent)
	callback := strings.TrimPrefix(got.header.Get("Location"), w.relay)
	if !strings.HasPrefix(callback, "/wechat/callback?") {
		t.Fatalf("WeChat sends the browser to %q", callback)
	}
	victim := *w
	victim.browser = &http.Client{CheckRedirect: w.browser.CheckRedirect}
	got = victim.send("GET", callback, "", "User-Agent", weChatAgent)
	if got.status != http.StatusForbidden || !strings.Contains(got.text, `data-state="login_expired"`) {
		t.Errorf("another browser: %d %s", got.status, got.text)
	}
	if got.header.Get("Set-Cookie") != "" {
		t.Errorf("another browser was given %q", got.header.Get("Set-Cookie"))
	}
	got = w.send("GET", callback, "", "User-Agent", weChatAgent)
	if got.status != http.StatusOK {
		t.Errorf("the browser itself: %d", got.status)
	}
}

func TestPaymentForTheClientsOwnPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.createOrder("A000000004")
	const target = "/v1/orders/A000000004/payments"
	var first, again relay.PaymentInvocation
	w.call(bookshop, secret, "POST", target, `{"trade_type":"native"}`, http.StatusCreated, &first)
	w.call(bookshop, secret, "POST", target, `{"trade_type":"native"}`, http.StatusOK, &again)
	if first.CodeURL == "" || first != again {
		t.Errorf("first %+v, again %+v", first, again)
	}
	w.call(bookshop, secret, "POST", "/v1/orders/A000000004/close", "{}", http.StatusOK, nil)
	w.call(bookshop, secret, "POST", "/v1/orders/A000000004/close", "", http.StatusOK, nil)
	if closed := w.call(bookshop, secret, "POST", target, `{"trade_type":"native"}`, http.StatusConflict, nil); !strings.Contains(closed, `"ORDER_CLOSED"`) {
		t.Errorf("paying a closed order: %s", closed)
	}
}

func TestReplayIsRefused_C05(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body := orderBody("A000000005")
	line := w.sign(bookshop, secret, "POST", "/v1/orders", body, time.Now())
	for _, want := range []int{http.StatusCreated, http.StatusConflict} {
		got := w.send("POST", "/v1/orders", body, "Content-Type", "application/json", "Authorization", line)
		if got.status != want {
			t.Errorf("status %d, want %d: %s", got.status, want, got.text)
		}
	}
}

// What a client may not see answers like what never was (threats C06); the
// list is made from the routes.
func TestOthersThingsAreNotThere_C06(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.createOrder("A000000006")
	w.page(made.CheckoutURL, desktopAgent, 200)
	told := w.follow(made.CheckoutURL)
	w.pay(w.order("A000000006").Payments[0].OutTradeNo)
	told()
	var events relay.EventPage
	w.call(bookshop, secret, "GET", "/v1/events", "", http.StatusOK, &events)
	id := events.Events[0].ID
	for _, c := range []struct{ method, format, theirs, nobodys, body string }{
		{"GET", "/v1/orders/%s", "A000000006", "A999999999", ""},
		{"GET", "/v1/orders/%s?refresh=true", "A000000006", "A999999999", ""},
		{"POST", "/v1/orders/%s/payments", "A000000006", "A999999999", `{"trade_type":"native"}`},
		{"POST", "/v1/orders/%s/close", "A000000006", "A999999999", ""},
		{"GET", "/v1/events/%s", id, "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W", ""},
		{"POST", "/v1/events/%s/deliver", id, "evt_2KWPBgLlAfxdpx2AI54pPJ85f4W", ""},
	} {
		theirs := w.call(teashop, otherSecret, c.method, fmt.Sprintf(c.format, c.theirs), c.body, http.StatusNotFound, nil)
		nobodys := w.call(teashop, otherSecret, c.method, fmt.Sprintf(c.format, c.nobodys), c.body, http.StatusNotFound, nil)
		if theirs != nobodys {
			t.Errorf("%s %s: %s for another's, %s for nobody's", c.method, c.format, theirs, nobodys)
		}
	}
	var others relay.EventPage
	w.call(teashop, otherSecret, "GET", "/v1/events", "", http.StatusOK, &others)
	if len(others.Events) != 0 {
		t.Errorf("the other client sees %+v", others)
	}
}

// A wrong key and a client that is not there answer alike (threats C17).
func TestUnknownClientLooksLikeWrongKey_C17(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	shape := func(clientID, secret string) string {
		got := w.send("GET", "/v1/orders/A1", "", "Authorization", w.sign(clientID, secret, "GET", "/v1/orders/A1", "", time.Now()))
		got.header.Del("Date")
		return fmt.Sprint(got.status, got.header, got.text)
	}
	want := shape(bookshop, otherSecret)
	if !strings.HasPrefix(want, "401 ") {
		t.Errorf("wrong key: %s", want)
	}
	for _, id := range []string{"9999999999999999", "abcdefghABCDEFGH"} {
		if got := shape(id, otherSecret); got != want {
			t.Errorf("unknown client: %s, want %s", got, want)
		}
	}
}

func TestSignatureCoversTheRequestAsSent_C03(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.createOrder("A000000007")
	const target, body = "/v1/orders/A000000007?refresh=false", ""
	line := w.sign(bookshop, secret, "GET", target, body, time.Now())
	for name, c := range map[string]struct{ method, target, body string }{
		"method": {"HEAD", target, body},
		"path":   {"GET", "/v1/orders/A000000008?refresh=false", body},
		"escape": {"GET", "/v1/orders/A00000000%37?refresh=false", body},
		"query":  {"GET", "/v1/orders/A000000007?refresh=true", body},
		"body":   {"GET", target, "x"},
	} {
		if got := w.send(c.method, c.target, c.body, "Authorization", line); got.status != http.StatusUnauthorized {
			t.Errorf("%s changed: status %d, want 401: %s", name, got.status, got.text)
		}
	}
	if got := w.send("GET", target, body, "Authorization", line, "Content-Type", "text/plain"); got.status != http.StatusOK {
		t.Errorf("as signed: status %d: %s", got.status, got.text)
	}
}

func TestClocksApart_C04(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, apart := range []time.Duration{-302 * time.Second, 302 * time.Second, -10000 * time.Hour} {
		got := w.send("GET", "/v1/orders/A1", "", "Authorization", w.sign(bookshop, secret, "GET", "/v1/orders/A1", "", time.Now().Add(apart)))
		if got.status != http.StatusUnauthorized || !strings.Contains(got.text, `"TIMESTAMP_OUT_OF_RANGE"`) || got.header.Get("Date") == "" {
			t.Errorf("%v apart: %d %s, Date %q", apart, got.status, got.text, got.header.Get("Date"))
		}
	}
}

func TestForgedNotificationChangesNothing_B01_B18(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.createOrder("A000000009")
	w.page(made.CheckoutURL, desktopAgent, 200)
	shape := func(merchant string, header ...string) string {
		got := w.send("POST", "/wechat/notify/"+merchant, `{"id":"1","event_type":"TRANSACTION.SUCCESS"}`, header...)
		got.header.Del("Date")
		return fmt.Sprint(got.status, got.header, got.text)
	}
	want := shape("main")
	if !strings.HasPrefix(want, "401 ") || !strings.Contains(want, `"code":"FAIL"`) {
		t.Errorf("unsigned: %s", want)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	forged := []string{
		"Wechatpay-Timestamp", now, "Wechatpay-Nonce", "n", "Wechatpay-Serial", sandbox.DefaultPublicKeyID, "Wechatpay-Signature", "d3Jvbmc=",
	}
	for _, merchant := range []string{"main", "nobody"} {
		if got := shape(merchant, forged...); got != want {
			t.Errorf("%s: %s, want %s", merchant, got, want)
		}
	}
	if order := w.order("A000000009"); order.Status != relay.OrderPaying {
		t.Errorf("order is %s", order.Status)
	}
}

func TestConfirmedHandshake_C16(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *relay.Config) { c.Clients[0].Confirm = true })
	made := w.createOrder("A000000010")
	path := strings.TrimPrefix(made.CheckoutURL, w.relay)
	query := fmt.Sprintf("order_no=A000000010&amount=100&client_id=%s&timestamp=%d&nonce=%s", bookshop, time.Now().Unix(), rand.Text())
	sig := relay.SignLink(relay.NewSecret(secret), bookshop, w.host, path, query)
	for name, target := range map[string]string{
		"bare":             path,
		"other amount":     path + "?" + strings.Replace(query, "amount=100", "amount=1", 1) + "&sig=" + sig,
		"sig not last":     path + "?" + query + "&sig=" + sig + "&x=1",
		"doubled":          path + "?" + query + "&amount=100&sig=" + sig,
		"without its name": path + "?" + query + "&signature=" + sig,
	} {
		got := w.send("GET", target, "", "User-Agent", desktopAgent)
		if got.status < 400 || got.status >= 500 || !strings.Contains(got.text, `data-state="link_refused"`) {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
	if order := w.order("A000000010"); order.Status != relay.OrderCreated || len(order.Payments) > 0 {
		t.Errorf("a refused link changed the order: %+v", order)
	}
	if page := w.page(path+"?"+query+"&sig="+sig, desktopAgent, 200); !strings.Contains(page, `data-state="waiting_native"`) {
		t.Errorf("signed link: %s", page)
	}
}

func TestHealthOfARunningRelay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.send("GET", "/wechat/health", ""); got.status != http.StatusOK || got.text != `{"status":"ok"}` {
		t.Errorf("got %d %s", got.status, got.text)
	}
}
