package relay_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// visit opens a page with a browser's address.
func (b *bench) visit(token string, where relay.Surroundings, ip string) relay.CheckoutPage {
	b.t.Helper()
	res, err := b.Checkout(b.t.Context(), relay.CheckoutRequest{Token: token, Target: "/checkout/" + token, Surroundings: where, ClientIP: ip})
	if err != nil {
		b.t.Fatalf("Checkout: %v", err)
	}
	if res.Redirect != "" {
		res.Page.State = "login"
	}
	return res.Page
}

// TestCashierPicksByPlace: every client opened everywhere shows how to pay
// there, or where else (contract section 5). Nothing is ordered at WeChat for
// a page that cannot be paid on.
func TestCashierPicksByPlace(t *testing.T) {
	t.Parallel()
	const (
		desktop, phone, weChat, mini = relay.SurroundDesktop, relay.SurroundPhone, relay.SurroundWeChat, relay.SurroundMiniProgram
		j, n, h, app                 = relay.TradeJSAPI, relay.TradeNative, relay.TradeH5, relay.TradeApp
	)
	for _, tc := range []struct {
		allow []relay.TradeType
		where relay.Surroundings
		want  string // state, or the need of a wrong place
	}{
		{relay.AllTradeTypes(), weChat, "login"},
		{relay.AllTradeTypes(), phone, "waiting_h5"},
		{relay.AllTradeTypes(), desktop, "waiting_native"},
		{relay.AllTradeTypes(), mini, "wechat"},
		{[]relay.TradeType{j}, weChat, "login"},
		{[]relay.TradeType{j}, phone, "wechat"},
		{[]relay.TradeType{j}, desktop, "wechat"},
		{[]relay.TradeType{j}, mini, "wechat"},
		{[]relay.TradeType{n}, weChat, "screen"},
		{[]relay.TradeType{n}, phone, "screen"},
		{[]relay.TradeType{n}, desktop, "waiting_native"},
		{[]relay.TradeType{n}, mini, "screen"},
		{[]relay.TradeType{h}, weChat, "browser"},
		{[]relay.TradeType{h}, phone, "waiting_h5"},
		{[]relay.TradeType{h}, desktop, "browser"},
		{[]relay.TradeType{h}, mini, "browser"},
		{[]relay.TradeType{n, h}, weChat, "screen"},
		{[]relay.TradeType{j, h}, desktop, "wechat"},
		{[]relay.TradeType{j, n}, phone, "wechat"},
		{[]relay.TradeType{app}, weChat, "app"},
		{[]relay.TradeType{app}, phone, "app"},
		{[]relay.TradeType{app}, desktop, "app"},
		{[]relay.TradeType{relay.TradeMiniProgram}, mini, "app"},
	} {
		b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Clients[0].Allow = tc.allow })
		page := b.visit(b.token("A000000001"), tc.where, buyersIP)
		got := string(page.State)
		if page.State == relay.CheckoutWrongPlace {
			got = string(page.Need)
			if b.wechat.count("prepay") != 0 {
				t.Errorf("%v at %d: ordered at WeChat for a page that cannot be paid on", tc.allow, tc.where)
			}
		}
		if got != tc.want {
			t.Errorf("%v opened at %d is %s, want %s", tc.allow, tc.where, got, tc.want)
		}
	}
}

// TestCashierWithoutAccount: what the client may and the merchant cannot is
// not offered.
func TestCashierWithoutAccount(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Merchants[0].Accounts = []string{"mini"} })
	token := b.token("A000000001")
	for where, want := range map[relay.Surroundings]string{
		relay.SurroundWeChat: "screen", relay.SurroundDesktop: "waiting_native", relay.SurroundPhone: "waiting_h5",
	} {
		page := b.visit(token, where, buyersIP)
		if got := string(page.State); got != want && string(page.Need) != want {
			t.Errorf("at %d: %s, want %s", where, got, want)
		}
	}
}

// TestCashierH5_I07: the phone's own address goes to WeChat when it is a
// public one, and never another. Without one the page leads elsewhere, except
// that a sandbox gets an example.
func TestCashierH5_I07(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		ip      string
		sandbox bool
		state   relay.CheckoutState
		told    string
	}{
		{"8.8.4.4", false, relay.CheckoutH5, "8.8.4.4"},
		{"::ffff:8.8.4.4", false, relay.CheckoutH5, "8.8.4.4"},
		{"2001:4860:4860::8888", false, relay.CheckoutH5, "2001:4860:4860::8888"},
		{"127.0.0.1", false, relay.CheckoutWrongPlace, ""},
		{"192.168.1.7", false, relay.CheckoutWrongPlace, ""},
		{"fd00::7", false, relay.CheckoutWrongPlace, ""},
		{"", false, relay.CheckoutWrongPlace, ""},
		{"8.8.4.4, 9.9.9.9", false, relay.CheckoutWrongPlace, ""},
		{"127.0.0.1", true, relay.CheckoutH5, "192.0.2.1"},
		{"8.8.4.4", true, relay.CheckoutH5, "8.8.4.4"},
	} {
		b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Platform.Sandbox = tc.sandbox })
		page := b.visit(b.token("A000000001"), relay.SurroundPhone, tc.ip)
		if page.State != tc.state {
			t.Errorf("%s, sandbox %t: %s, want %s", tc.ip, tc.sandbox, page.State, tc.state)
		}
		told := ""
		for _, p := range b.wechat.told {
			told = p.PayerIP
		}
		if told != tc.told {
			t.Errorf("%s, sandbox %t: WeChat was told %q, want %q", tc.ip, tc.sandbox, told, tc.told)
		}
		if tc.state == relay.CheckoutWrongPlace && page.Need != relay.NeedWeChat {
			t.Errorf("%s leads to %s, want into WeChat", tc.ip, page.Need)
		}
	}
}

// TestCashierH5Barred: the only way to pay is barred by something that the
// buyer cannot mend: the page says so and sends him nowhere.
func TestCashierH5Barred(t *testing.T) {
	t.Parallel()
	only := func(c *relay.Config) { c.Clients[0].Allow = []relay.TradeType{relay.TradeH5} }
	b := newBench(t, memstore.New(), everyWay, only)
	if page := b.visit(b.token("A000000001"), relay.SurroundPhone, "10.0.0.1"); page.State != relay.CheckoutTrouble {
		t.Errorf("no public address: %s %s, want trouble", page.State, page.Need)
	}
	b.wechat.failing("prepay", &relay.GatewayError{Code: "NO_AUTH"})
	if page := b.visit(b.token("A000000002"), relay.SurroundPhone, buyersIP); page.State != relay.CheckoutTrouble {
		t.Errorf("no leave: %s %s, want trouble", page.State, page.Need)
	}
}

// TestCashierH5ComesBack: WeChat leads the buyer back to the page, whatever
// he did there. The page asks WeChat then, within limits, and asks the buyer
// while nothing is known.
func TestCashierH5ComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New(), everyWay)
		token := b.token("A000000001")
		first := b.visit(token, relay.SurroundPhone, buyersIP)
		link, err := url.Parse(first.H5URL)
		if err != nil || first.State != relay.CheckoutH5 || link.Query().Get("redirect_url") != "https://pay.example.com/checkout/"+token {
			t.Fatalf("page = %+v, want a link that leads back here", first)
		}
		if got := first.H5Until.Sub(first.Now); got != 4*time.Minute {
			t.Errorf("the link is good for %s, want 4m", got)
		}
		for range 20 { // impatient
			if page := b.visit(token, relay.SurroundPhone, buyersIP); page.State != relay.CheckoutReturned || page.H5URL != first.H5URL {
				t.Fatalf("back: %+v, want the same link and the question whether it is paid", page)
			}
		}
		if n := b.wechat.count("query"); n != 1 {
			t.Errorf("WeChat was asked %d times for twenty looks at once, want 1", n)
		}
		<-time.After(5 * time.Second)
		b.wechat.failing("query", errTest)
		if page := b.visit(token, relay.SurroundPhone, buyersIP); page.State != relay.CheckoutReturned {
			t.Errorf("WeChat is silent: %s, want the page to wait", page.State)
		}
		b.wechat.failing("query", nil)
		<-time.After(5 * time.Second)
		for no := range b.wechat.told {
			b.wechat.paid(no, time.Now())
		}
		if page := b.visit(token, relay.SurroundPhone, buyersIP); page.State != relay.CheckoutPaid || page.ReturnURL == "" {
			t.Errorf("paid: %+v, want paid and the way back to the shop", page)
		}
	})
}

// TestConfirmThenH5: the second handshake survives the trip to WeChat and
// back to the bare address, in the same browser and in no other.
func TestConfirmThenH5(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Clients[0].Confirm = true })
	token := b.token("A000000001")
	path := "/checkout/" + token
	query := "order_no=A000000001&amount=100&client_id=" + vectorClient + "&timestamp=" + strconv.FormatInt(time.Now().Unix(), 10) + "&nonce=n0nce-0000000003"
	req := relay.CheckoutRequest{Token: token, Surroundings: relay.SurroundPhone, ClientIP: buyersIP}
	req.Target = path + "?" + query + "&sig=" + relay.SignLink(relay.NewSecret(vectorSecret), vectorClient, "pay.example.com", path, query)
	first, err := b.Checkout(t.Context(), req)
	if err != nil || first.Page.State != relay.CheckoutH5 || first.BrowserID == "" {
		t.Fatalf("signed link on a phone = %+v, %v; want a link to WeChat and a name for the browser", first, err)
	}
	req.Target = path
	if _, err := b.Checkout(t.Context(), req); err == nil {
		t.Error("another browser came in without a signed link")
	}
	req.BrowserID = first.BrowserID
	if back, err := b.Checkout(t.Context(), req); err != nil || back.Page.State != relay.CheckoutReturned {
		t.Errorf("back from WeChat = %+v, %v; want the question whether it is paid", back, err)
	}
}

// TestCashierWithoutH5Leave: a merchant whom WeChat does not let take H5
// payments loses no buyer: phones are led into WeChat, and WeChat is not
// tried again for every one of them.
func TestCashierWithoutH5Leave(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"NO_AUTH", "NOAUTH"} {
		b := newBench(t, memstore.New(), everyWay)
		b.wechat.failing("prepay", &relay.GatewayError{Code: code})
		for i := range 3 {
			page := b.visit(b.token(fmt.Sprintf("A%09d", i)), relay.SurroundPhone, buyersIP)
			if page.State != relay.CheckoutWrongPlace || page.Need != relay.NeedWeChat {
				t.Errorf("%s: %s %s, want into WeChat", code, page.State, page.Need)
			}
		}
		if n := b.wechat.count("prepay"); n != 1 {
			t.Errorf("%s: WeChat was tried %d times, want 1", code, n)
		}
	}
}

// TestCashierPayerElsewhere: an order for a payer that is known under another
// app id cannot be paid in this one, and the page says so before WeChat is
// called.
func TestCashierPayerElsewhere_C10(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) {
		c.Accounts = append(c.Accounts, &relay.Account{Name: "blog", Kind: relay.AccountOfficial, AppID: "wx4444444444444444", Secret: relay.NewSecret("s")})
		c.Merchants[0].Accounts = append(c.Merchants[0].Accounts, "blog")
		c.Clients[1].Account, c.Clients[1].Allow = "blog", relay.AllTradeTypes()
	})
	b.wechat.openID = "o-buyer"
	browser, state := b.silentLogin(b.token("A000000001"))
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "c", State: state, BrowserID: browser}); err != nil {
		t.Fatal(err)
	}
	req := goodOrder("B000000001")
	req.OpenID = "o-buyer"
	v, _, err := b.CreateOrder(t.Context(), b.caller(b.ClientByID("2000000000000002")), req)
	if err != nil {
		t.Fatal(err)
	}
	page := b.visit(strings.TrimPrefix(v.CheckoutURL, "https://pay.example.com/checkout/"), relay.SurroundWeChat, buyersIP)
	if page.State != relay.CheckoutTrouble || b.wechat.count("prepay") != 0 {
		t.Errorf("page = %s after %d calls, want trouble before any", page.State, b.wechat.count("prepay"))
	}
}
