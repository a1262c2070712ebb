package relay_test

import (
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// token makes an order and returns the name of its page.
func (b *bench) token(no string) string {
	b.t.Helper()
	req := goodOrder(no)
	req.ReturnURL = "https://books.example.com/done"
	v, _, err := b.CreateOrder(b.t.Context(), b.caller(b.client), req)
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimPrefix(v.CheckoutURL, "https://pay.example.com/checkout/")
}

func (b *bench) open(token string, where relay.Surroundings, browser string) relay.CheckoutResult {
	b.t.Helper()
	res, err := b.Checkout(b.t.Context(), relay.CheckoutRequest{Token: token, Target: "/checkout/" + token, Surroundings: where, BrowserID: browser})
	if err != nil {
		b.t.Fatalf("Checkout: %v", err)
	}
	return res
}

func TestSurroundingsOf(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ua   string
		want relay.Surroundings
	}{
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.42", relay.SurroundWeChat},
		{"Mozilla/5.0 (Windows NT 6.1; WOW64) MicroMessenger/7.0.20 WindowsWechat", relay.SurroundWeChat},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0.42 Language/zh_CN miniProgram/wx7777777777777777", relay.SurroundMiniProgram},
		{"Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148 Safari/604.1", relay.SurroundPhone},
		{"Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120 Mobile Safari/537.36", relay.SurroundPhone},
		{"Mozilla/5.0 (X11; Linux x86_64) Chrome/120 Safari/537.36", relay.SurroundDesktop},
		{"", relay.SurroundDesktop},
	} {
		if got := relay.SurroundingsOf(tc.ua); got != tc.want {
			t.Errorf("SurroundingsOf(%q) = %d, want %d", tc.ua, got, tc.want)
		}
	}
}

func TestCheckoutNative(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	token := b.token("A000000001")
	res := b.open(token, relay.SurroundDesktop, "")
	if res.Page.State != relay.CheckoutNative || !strings.HasPrefix(res.Page.CodeURL, "weixin://") || res.Page.ReturnURL != "" {
		t.Fatalf("page = %+v, want a NATIVE code and no way back yet", res.Page)
	}
	if code, err := b.CheckoutCode(t.Context(), token); err != nil || code != res.Page.CodeURL {
		t.Errorf("CheckoutCode = %q, %v; want %q", code, err, res.Page.CodeURL)
	}
	changed, stop, err := b.WatchCheckout(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
	if err := b.notify(b.wechat.paid(b.view(key).Payments[0].OutTradeNo, time.Now())); err != nil {
		t.Fatal(err)
	}
	select {
	case <-changed:
	default:
		t.Error("the waiting page was not told")
	}
	status, err := b.CheckoutStatus(t.Context(), token)
	if err != nil || status.Status != "paid" || !status.Final() {
		t.Errorf("status = %+v, %v; want paid", status, err)
	}
	if back, err := url.Parse(status.ReturnURL); err != nil || back.Host != "books.example.com" || back.Query().Get("status") != "paid" || !strings.Contains(status.ReturnURL, "&sig=") {
		t.Errorf("way back = %q, want a signed link to the shop", status.ReturnURL)
	}
	if res := b.open(token, relay.SurroundWeChat, ""); res.Page.State != relay.CheckoutPaid || res.Redirect != "" {
		t.Errorf("after payment the page is %+v, want paid", res.Page)
	}
	if _, err := b.CheckoutCode(t.Context(), token); kindOf(err) != relay.KindNotFound {
		t.Errorf("code after payment: %v, want KindNotFound", err)
	}
}

// TestCheckoutUnknown_I09: pages cannot be guessed, and odd names are no
// names.
func TestCheckoutUnknown_I09(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.token("A000000001")
	for _, token := range []string{"", "1", "A000000001", strings.Repeat("A", 22), strings.Repeat("A", 23), strings.Repeat("/", 22)} {
		if _, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token}); kindOf(err) != relay.KindNotFound {
			t.Errorf("Checkout(%q) = %v, want KindNotFound", token, err)
		}
		if _, err := b.CheckoutStatus(t.Context(), token); kindOf(err) != relay.KindNotFound {
			t.Errorf("CheckoutStatus(%q) = %v, want KindNotFound", token, err)
		}
	}
}

// silentLogin opens the page inside WeChat and follows the login; it returns
// the browser's name and the state that WeChat was given.
func (b *bench) silentLogin(token string) (browser, state string) {
	b.t.Helper()
	res := b.open(token, relay.SurroundWeChat, "")
	to, err := url.Parse(res.Redirect)
	if err != nil || res.BrowserID == "" || to.Query().Get("scope") != "snsapi_base" {
		b.t.Fatalf("opening in WeChat = %+v, want a silent login", res)
	}
	if got := to.Query().Get("redirect_uri"); got != "https://pay.example.com/wechat/callback" {
		b.t.Errorf("redirect_uri = %s", got)
	}
	return res.BrowserID, to.Query().Get("state")
}

func TestCheckoutJSAPI_E19(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.wechat.openID = "o-buyer"
	token := b.token("A000000001")
	browser, state := b.silentLogin(token)
	for range 2 { // WeChat's browser loads the callback twice
		page, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "code", State: state, BrowserID: browser})
		if err != nil || page != "https://pay.example.com/checkout/"+token {
			t.Fatalf("LoginCallback = %q, %v; want the page", page, err)
		}
	}
	if n := b.wechat.count("exchange"); n != 1 {
		t.Errorf("the code was exchanged %d times, want once", n)
	}
	res := b.open(token, relay.SurroundWeChat, browser)
	if res.Page.State != relay.CheckoutJSAPI || res.Page.JSAPI == nil || res.Page.JSAPI.AppID != testAppID {
		t.Errorf("page = %+v, want the values for the bridge", res.Page)
	}
	v := b.view(relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"})
	if len(v.Payments) != 1 || v.Payments[0].TradeType != relay.TradeJSAPI {
		t.Errorf("payments = %+v, want one by jsapi", v.Payments)
	}
}

// TestTwoTabsOfOnePage_E03: a page that one browser loads twice, before it is
// back from WeChat, is one trip: either tab comes back, in either order.
func TestTwoTabsOfOnePage_E03(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][]int{"in order": {0, 1}, "the other way round": {1, 0}} {
		b := newBench(t, memstore.New())
		b.wechat.openID = "o-buyer"
		token := b.token("A000000001")
		browser, first := b.silentLogin(token)
		to, err := url.Parse(b.open(token, relay.SurroundWeChat, browser).Redirect)
		if err != nil || to.Host != "open.example" {
			t.Fatalf("%s: the second tab leads to %q, %v", name, to, err)
		}
		states := []string{first, to.Query().Get("state")}
		for _, i := range order {
			page, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "code" + states[i], State: states[i], BrowserID: browser})
			if err != nil || page != "https://pay.example.com/checkout/"+token {
				t.Errorf("%s, tab %d: %q, %v; want the page", name, i, page, err)
			}
		}
		if res := b.open(token, relay.SurroundWeChat, browser); res.Page.State != relay.CheckoutJSAPI {
			t.Errorf("%s: page = %+v, want the values for the bridge", name, res)
		}
	}
}

// TestLoginCallbackAtOnce_E19: WeChat's browser loads the callback twice at
// the same moment. A code works once, so the second waits for the first and
// goes to the same page.
func TestLoginCallbackAtOnce_E19(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		b.wechat.openID, b.wechat.exchanging = "o-buyer", make(chan struct{})
		token := b.token("A000000001")
		browser, state := b.silentLogin(token)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				page, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "code", State: state, BrowserID: browser})
				if err != nil || page != "https://pay.example.com/checkout/"+token {
					t.Errorf("LoginCallback = %q, %v; want the page", page, err)
				}
			})
		}
		<-b.wechat.exchanging
		synctest.Wait()
		select {
		case <-b.wechat.exchanging:
			t.Error("the code was exchanged a second time while the first exchange was under way")
			b.wechat.exchanging <- struct{}{}
		default:
		}
		b.wechat.exchanging <- struct{}{}
		wg.Wait()
		if n := b.wechat.count("exchange"); n != 1 {
			t.Errorf("the code was exchanged %d times, want once", n)
		}
	})
}

// TestLoginCallback_E01_E02_E03: the way back from WeChat works in the
// browser that began it alone.
func TestLoginCallback_E01_E02_E03(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.wechat.openID = "o-attacker"
	token := b.token("A000000001")
	browser, state := b.silentLogin(token)
	other, otherState := b.silentLogin(b.token("A000000002"))
	for name, in := range map[string]relay.LoginCallback{
		"no cookie":           {Code: "c", State: state},
		"another browser":     {Code: "c", State: state, BrowserID: other},
		"another flow":        {Code: "c", State: otherState, BrowserID: browser},
		"invented state":      {Code: "c", State: strings.Repeat("0", 32), BrowserID: browser},
		"no state":            {Code: "c", BrowserID: browser},
		"no code, no browser": {State: state},
	} {
		if _, err := b.LoginCallback(t.Context(), in); kindOf(err) != relay.KindSign {
			t.Errorf("%s: %v, want KindSign", name, err)
		}
	}
	if n := b.wechat.count("exchange"); n != 0 {
		t.Errorf("%d codes were exchanged, want none", n)
	}
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{State: state, BrowserID: browser}); kindOf(err) != relay.KindNoAuth {
		t.Errorf("without a code: %v, want KindNoAuth", err)
	}
}

// TestSnapshotUser: the throw-away user of WeChat's limited view never pays.
func TestSnapshotUser(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	b.wechat.openID, b.wechat.snapshot = "o-nobody", true
	token := b.token("A000000001")
	browser, state := b.silentLogin(token)
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "c", State: state, BrowserID: browser}); kindOf(err) != relay.KindNoAuth {
		t.Fatalf("LoginCallback = %v, want KindNoAuth", err)
	}
	if res := b.open(token, relay.SurroundWeChat, browser); res.Redirect == "" {
		t.Errorf("page = %+v, want another login", res.Page)
	}
}

// TestOrderOpenID: an order that names its buyer needs no login.
func TestOrderOpenID(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	req := goodOrder("A000000001")
	req.OpenID = "o-known"
	v, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req)
	if err != nil {
		t.Fatal(err)
	}
	res := b.open(strings.TrimPrefix(v.CheckoutURL, "https://pay.example.com/checkout/"), relay.SurroundWeChat, "")
	if res.Redirect != "" || res.Page.State != relay.CheckoutJSAPI {
		t.Errorf("page = %+v, want JSAPI at once", res)
	}
}

func TestCheckoutWrongPlace(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Allow = []relay.TradeType{relay.TradeJSAPI} })
	if res := b.open(b.token("A000000001"), relay.SurroundDesktop, ""); res.Page.State != relay.CheckoutWrongPlace {
		t.Errorf("page = %+v, want wrong_place", res.Page)
	}
}

// TestCheckoutTrouble: WeChat's failure is a page, and the order stays open.
func TestCheckoutTrouble(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	token := b.token("A000000001")
	for _, err := range []error{errTest, &relay.GatewayError{Code: "SYSTEM_ERROR", Retryable: true}, &relay.GatewayError{Code: "NO_AUTH"}} {
		b.wechat.failing("prepay", err)
		if res := b.open(token, relay.SurroundDesktop, ""); res.Page.State != relay.CheckoutTrouble {
			t.Errorf("with %v the page is %+v, want unavailable", err, res.Page)
		}
	}
	b.wechat.failing("prepay", nil)
	if res := b.open(token, relay.SurroundDesktop, ""); res.Page.State != relay.CheckoutNative {
		t.Errorf("afterwards the page is %+v, want a code", res.Page)
	}
}

// TestCheckoutPaidWrongAmount: WeChat says that the payment was made, but not
// of the amount. The money is a case, and the order can still be paid, by
// another number.
func TestCheckoutPaidWrongAmount(t *testing.T) {
	t.Parallel()
	for name, where := range map[string]relay.Surroundings{"asked again": relay.SurroundDesktop, "asked otherwise": relay.SurroundWeChat} {
		want := relay.CheckoutNative
		if where == relay.SurroundWeChat {
			want = relay.CheckoutJSAPI
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			req := goodOrder("A000000001")
			req.OpenID = "o-known"
			made, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req)
			if err != nil {
				t.Fatal(err)
			}
			key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
			b.wechat.failing("prepay", errTest) // so that WeChat is asked again
			if _, _, err := b.Payable(t.Context(), b.client, key, relay.TradeNative, ""); err == nil {
				t.Fatal("Payable succeeded on a line that is cut")
			}
			b.wechat.failing("prepay", nil)
			no := b.view(key).Payments[0].OutTradeNo
			b.wechat.payments[no] = &relay.Transaction{MchID: testMchID, AppID: testAppID, OutTradeNo: no, TotalFen: 1, Currency: relay.Currency}
			b.wechat.paid(no, time.Now())
			res := b.open(strings.TrimPrefix(made.CheckoutURL, "https://pay.example.com/checkout/"), where, "")
			if res.Page.State != want || strings.Contains(res.Page.CodeURL, no) {
				t.Errorf("page = %+v, want %s with another number", res.Page, want)
			}
			if v := b.view(key); v.Status != relay.OrderPaying || v.Case == nil || v.Case.Kind != relay.CaseAmountMismatch {
				t.Errorf("order %s with case %+v, want it open with a mismatch", v.Status, v.Case)
			}
		})
	}
}

// TestConfirm_C16: with confirm, only the client's signed link opens the
// page; the browser that came by it may come back without.
func TestConfirm_C16(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Confirm = true })
	token := b.token("A000000001")
	path := "/checkout/" + token
	query := "order_no=A000000001&amount=100&client_id=" + vectorClient + "&timestamp=" + strconv.FormatInt(time.Now().Unix(), 10) + "&nonce=n0nce-0000000002"
	link := path + "?" + query + "&sig=" + relay.SignLink(relay.NewSecret(vectorSecret), vectorClient, "pay.example.com", path, query)
	for _, target := range []string{path, link + "&x=1", strings.Replace(link, "amount=100", "amount=1", 1)} {
		if _, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token, Target: target}); err == nil {
			t.Errorf("%s opened the page", target)
		}
	}
	if v := b.view(relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}); v.Status != relay.OrderCreated {
		t.Errorf("refused links changed the order to %s", v.Status)
	}
	res, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token, Target: link})
	if err != nil || res.Page.State != relay.CheckoutNative || res.BrowserID == "" {
		t.Fatalf("signed link = %+v, %v; want a code and a cookie", res, err)
	}
	if again := b.open(token, relay.SurroundDesktop, res.BrowserID); again.Page.State != relay.CheckoutNative {
		t.Errorf("coming back = %+v, want the code", again.Page)
	}
	if _, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token, Target: path, BrowserID: "another"}); err == nil {
		t.Error("another browser came in without a link")
	}
}

// TestConfirmThenLogin: the second handshake survives the trip to WeChat.
func TestConfirmThenLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Confirm = true })
	b.wechat.openID = "o-buyer"
	token := b.token("A000000001")
	path := "/checkout/" + token
	query := "order_no=A000000001&amount=100&client_id=" + vectorClient + "&timestamp=" + strconv.FormatInt(time.Now().Unix(), 10) + "&nonce=n0nce-0000000002"
	link := path + "?" + query + "&sig=" + relay.SignLink(relay.NewSecret(vectorSecret), vectorClient, "pay.example.com", path, query)
	res, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token, Target: link, Surroundings: relay.SurroundWeChat})
	if err != nil || res.Redirect == "" {
		t.Fatalf("signed link in WeChat = %+v, %v; want a login", res, err)
	}
	to, _ := url.Parse(res.Redirect)
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "c", State: to.Query().Get("state"), BrowserID: res.BrowserID}); err != nil {
		t.Fatal(err)
	}
	if back := b.open(token, relay.SurroundWeChat, res.BrowserID); back.Page.State != relay.CheckoutJSAPI {
		t.Errorf("after the login = %+v, want JSAPI", back.Page)
	}
}

// TestFlowsBounded_J04: trips to WeChat are bounded in number and age, and
// nothing durable is written for them.
func TestFlowsBounded_J04(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		token := b.token("A000000001")
		for range relay.MaxFlows {
			b.open(token, relay.SurroundWeChat, "")
		}
		_, err := b.Checkout(t.Context(), relay.CheckoutRequest{Token: token, Surroundings: relay.SurroundWeChat})
		if kindOf(err) != relay.KindUnavailable {
			t.Errorf("one flow too many: %v, want KindUnavailable", err)
		}
		<-time.After(relay.FlowLife)
		if res := b.open(token, relay.SurroundWeChat, ""); res.Redirect == "" {
			t.Errorf("after the flows ran out: %+v, want a login", res)
		}
	})
}
