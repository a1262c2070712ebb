package relay_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	miniAppID   = "wx7777777777777777"
	mobileAppID = "wx6666666666666666"
	buyersIP    = "8.8.4.4"
)

// everyWay gives the merchant an account of each kind and lets the first
// client use every trade type.
func everyWay(c *relay.Config) {
	c.Accounts = append(c.Accounts,
		&relay.Account{Name: "mini", Kind: relay.AccountMiniProgram, AppID: miniAppID},
		&relay.Account{Name: "mobile", Kind: relay.AccountMobileApp, AppID: mobileAppID})
	c.Merchants[0].Accounts = []string{"mobile", "mini", "shop"}
	c.Clients[0].Allow = relay.AllTradeTypes()
}

// told is what WeChat was told of a payment.
func (b *bench) told(outTradeNo string) relay.Payment {
	b.wechat.mu.Lock()
	defer b.wechat.mu.Unlock()
	return b.wechat.told[outTradeNo]
}

// TestEveryTradeType: each way to pay is told to WeChat under the app id that
// it needs, and gives the front end what it pays with and nothing else.
func TestEveryTradeType(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay)
	for i, tc := range []struct {
		req   relay.CreatePaymentRequest
		appID string
		given string // the member of the answer
	}{
		{relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1"}, testAppID, "jsapi"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeNative}, testAppID, "code_url"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeNative, Account: "mini"}, miniAppID, "code_url"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: buyersIP}, testAppID, "h5_url"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "2001:4860:4860::8888"}, testAppID, "h5_url"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeApp}, mobileAppID, "app"},
		{relay.CreatePaymentRequest{TradeType: relay.TradeMiniProgram, OpenID: "o-1"}, miniAppID, "jsapi"},
	} {
		no := fmt.Sprintf("A%09d", i)
		b.order(no)
		v, created, err := b.CreatePayment(t.Context(), b.caller(b.client), no, tc.req)
		if err != nil || !created || v.TradeType != tc.req.TradeType {
			t.Errorf("%+v = %+v created %t, %v", tc.req, v, created, err)
			continue
		}
		given := map[string]bool{}
		for name, there := range map[string]bool{"jsapi": v.JSAPI != nil, "app": v.App != nil, "code_url": v.CodeURL != "", "h5_url": v.H5URL != ""} {
			if there {
				given[name] = true
			}
		}
		if !maps.Equal(given, map[string]bool{tc.given: true}) {
			t.Errorf("%+v gave %v, want %s alone", tc.req, given, tc.given)
		}
		if p := b.told(v.OutTradeNo); p.AppID != tc.appID || p.PayerAppID != tc.appID || p.OpenID != tc.req.OpenID || p.PayerIP == "" {
			t.Errorf("%+v was told to WeChat as %+v, want app id %s", tc.req, p, tc.appID)
		}
		if v.JSAPI != nil && v.JSAPI.AppID != tc.appID || v.App != nil && v.App.AppID != tc.appID {
			t.Errorf("%+v is signed for another app id than %s: %+v", tc.req, tc.appID, v)
		}
		again, created, err := b.CreatePayment(t.Context(), b.caller(b.client), no, tc.req)
		if err != nil || created || again.OutTradeNo != v.OutTradeNo {
			t.Errorf("%+v again = %+v created %t, %v; want the living payment", tc.req, again, created, err)
		}
	}
}

// TestWishRefused: what does not fit is refused in plain words, naming the
// field, before WeChat is called and before anything is stored.
func TestWishRefused_I07(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay)
	key := b.order("A000000001")
	for _, tc := range []struct {
		name  string
		req   relay.CreatePaymentRequest
		field string
	}{
		{"no trade type", relay.CreatePaymentRequest{}, "trade_type"},
		{"WeChat's spelling", relay.CreatePaymentRequest{TradeType: "NATIVE"}, "trade_type"},
		{"h5 without an address", relay.CreatePaymentRequest{TradeType: relay.TradeH5}, "payer_ip"},
		{"h5 from this machine", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "127.0.0.1"}, "payer_ip"},
		{"h5 from this machine, mapped", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "::ffff:127.0.0.1"}, "payer_ip"},
		{"h5 from a private network", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "192.168.1.2"}, "payer_ip"},
		{"h5 from a carrier's network", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "100.64.1.2"}, "payer_ip"},
		{"h5 from an example", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "203.0.113.7"}, "payer_ip"},
		{"h5 with a zone", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "2001:4860::1%eth0"}, "payer_ip"},
		{"h5 with a list", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: "8.8.8.8, 8.8.4.4"}, "payer_ip"},
		{"native with a strange address", relay.CreatePaymentRequest{TradeType: relay.TradeNative, PayerIP: "home"}, "payer_ip"},
		{"h5 with openid", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: buyersIP, OpenID: "o-1"}, "openid"},
		{"app with openid", relay.CreatePaymentRequest{TradeType: relay.TradeApp, OpenID: "o-1"}, "openid"},
		{"mini_program without openid", relay.CreatePaymentRequest{TradeType: relay.TradeMiniProgram}, "openid"},
		{"mini_program with an odd openid", relay.CreatePaymentRequest{TradeType: relay.TradeMiniProgram, OpenID: "o 1"}, "openid"},
		{"app in a mini-program", relay.CreatePaymentRequest{TradeType: relay.TradeApp, Account: "mini"}, "account"},
		{"jsapi in a mini-program", relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1", Account: "mini"}, "account"},
		{"an account that is not there", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: buyersIP, Account: "attic"}, "account"},
	} {
		_, _, err := b.CreatePayment(t.Context(), b.caller(b.client), key.OrderNo, tc.req)
		var known *relay.Error
		if !asError(err, &known) || known.Kind != relay.KindParam || known.Field != tc.field {
			t.Errorf("%s: %v, want KindParam for %s", tc.name, err, tc.field)
		}
	}
	if n := len(b.view(key).Payments); n != 0 || b.wechat.count("prepay") != 0 {
		t.Errorf("%d payments and %d calls after refusals alone", n, b.wechat.count("prepay"))
	}
}

// TestNoAccountOfKind: a trade type that is allowed but has no account at the
// merchant is refused by name.
func TestNoAccountOfKind(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].Allow = relay.AllTradeTypes() })
	b.order("A000000001")
	for trade, kind := range map[relay.TradeType]string{relay.TradeApp: "mobile_app", relay.TradeMiniProgram: "mini_program"} {
		req := relay.CreatePaymentRequest{TradeType: trade}
		if trade == relay.TradeMiniProgram {
			req.OpenID = "o-1"
		}
		_, _, err := b.CreatePayment(t.Context(), b.caller(b.client), "A000000001", req)
		if kindOf(err) != relay.KindNoAuth || !strings.Contains(err.Error(), kind) {
			t.Errorf("%s: %v, want KindNoAuth that names %s", trade, err, kind)
		}
	}
}

// TestSandboxTakesExamples: buyers of a sandbox are examples, and so may be
// their addresses.
func TestSandboxTakesExamples(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Platform.Sandbox = true })
	b.order("A000000001")
	for ip, taken := range map[string]bool{"203.0.113.7": true, "2001:db8::7": true, "127.0.0.1": false, "10.0.0.1": false} {
		_, _, err := b.CreatePayment(t.Context(), b.caller(b.client), "A000000001", relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: ip})
		if (err == nil) != taken {
			t.Errorf("payer_ip %s = %v, want taken %t", ip, err, taken)
		}
	}
}

// TestH5Life: an H5 address lives five minutes; after that WeChat is told
// again with the very same content. Another phone gets a payment of its own,
// because WeChat compares addresses.
func TestH5Life(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New(), everyWay)
		key := b.order("A000000001")
		ask := func(ip string) relay.Payment {
			v, _, err := b.CreatePayment(t.Context(), b.caller(b.client), key.OrderNo, relay.CreatePaymentRequest{TradeType: relay.TradeH5, PayerIP: ip})
			if err != nil {
				t.Fatal(err)
			}
			return b.told(v.OutTradeNo)
		}
		first := ask(buyersIP)
		<-time.After(3 * time.Minute)
		ask(buyersIP)
		if n := b.wechat.count("prepay"); n != 1 {
			t.Errorf("%d prepay calls while the address lives, want 1", n)
		}
		<-time.After(2 * time.Minute)
		again := ask(buyersIP)
		again.Status, again.H5URL, again.PrepaidAt = first.Status, first.H5URL, first.PrepaidAt // what WeChat answered
		if b.wechat.count("prepay") != 2 || again != first {
			t.Errorf("after five minutes WeChat was told\n%+v, want again\n%+v", again, first)
		}
		if other := ask("9.9.9.9"); other.OutTradeNo == first.OutTradeNo || b.wechat.count("close") != 1 {
			t.Errorf("another phone got %s after %d closes, want a payment of its own in place of the old one", other.OutTradeNo, b.wechat.count("close"))
		}
	})
}

// TestShortOrder: WeChat lets a payment live a minute at least, and refuses
// or moves an earlier end. The order itself ends when its client said.
func TestShortOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, memstore.New())
		req := goodOrder("A000000001")
		req.ExpiresIn = new(int64(60))
		if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); err != nil {
			t.Fatal(err)
		}
		key := relay.OrderKey{ClientID: b.client.ID, OrderNo: req.OrderNo}
		<-time.After(30 * time.Second)
		p := b.told(b.native(key).OutTradeNo)
		if life := time.Until(p.ExpiresAt); life <= time.Minute {
			t.Errorf("WeChat is told of an end in %s, want more than a minute", life)
		}
		b.rt.Start()
		<-time.After(30*time.Second + relay.ExpiryTick + time.Second)
		if v := b.view(key); v.Status != relay.OrderClosed || b.wechat.count("close") != 1 {
			t.Errorf("order is %s after %d closes at WeChat, want closed there and here", v.Status, b.wechat.count("close"))
		}
		if err := b.rt.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestBorrowedOpenID_C10: an openid that a login of this relay produced under
// one app id is of no use under another, and is refused in plain words before
// WeChat is called.
func TestBorrowedOpenID_C10(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay)
	b.wechat.openID = "o-buyer"
	token := b.token("A000000001")
	browser, state := b.silentLogin(token)
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "c", State: state, BrowserID: browser}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		trade  relay.TradeType
		openID string
		taken  bool
	}{
		{relay.TradeMiniProgram, "o-buyer", false},
		{relay.TradeMiniProgram, "o-seen-by-the-client", true},
		{relay.TradeJSAPI, "o-buyer", true},
	} {
		before := b.wechat.count("prepay")
		_, _, err := b.CreatePayment(t.Context(), b.caller(b.client), "A000000001", relay.CreatePaymentRequest{TradeType: tc.trade, OpenID: tc.openID})
		if tc.taken {
			if err != nil {
				t.Errorf("%s with %s: %v", tc.trade, tc.openID, err)
			}
			continue
		}
		var known *relay.Error
		if !asError(err, &known) || known.Kind != relay.KindParam || known.Field != "openid" || b.wechat.count("prepay") != before {
			t.Errorf("%s with %s: %v after a call: %t; want KindParam for openid before any", tc.trade, tc.openID, err, b.wechat.count("prepay") != before)
		}
		if strings.Contains(err.Error(), testAppID) || strings.Contains(err.Error(), tc.openID) {
			t.Errorf("the refusal tells of somebody else's app id or of the openid: %v", err)
		}
	}
}

// TestServiceProvider: a provider's payment names both merchants, the app ids
// of both where the buyer pays in the merchant's, and the openid's own.
func TestServiceProvider(t *testing.T) {
	t.Parallel()
	const subMchID = "1900000209"
	for _, tc := range []struct {
		name                        string
		accounts                    []string // of shop (official), mini, mobile
		subAppID                    string
		req                         relay.CreatePaymentRequest
		appID, subAppIDTold, payers string
	}{
		{"code", []string{"shop"}, "", relay.CreatePaymentRequest{TradeType: relay.TradeNative}, testAppID, "", testAppID},
		{"code of a merchant with an app", []string{"shop"}, "wx5555555555555555", relay.CreatePaymentRequest{TradeType: relay.TradeNative}, testAppID, "wx5555555555555555", "wx5555555555555555"},
		{"page of the provider", []string{"shop"}, "", relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1"}, testAppID, "", testAppID},
		{"page of the provider of a merchant with an app", []string{"shop"}, miniAppID, relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-1"}, testAppID, "", testAppID},
		{"mini-program of the merchant", []string{"mini", "shop"}, miniAppID, relay.CreatePaymentRequest{TradeType: relay.TradeMiniProgram, OpenID: "o-1"}, testAppID, miniAppID, miniAppID},
		{"mini-program of the provider", []string{"mini", "shop"}, "", relay.CreatePaymentRequest{TradeType: relay.TradeMiniProgram, OpenID: "o-1"}, miniAppID, "", miniAppID},
		{"app of the merchant", []string{"shop", "mobile"}, mobileAppID, relay.CreatePaymentRequest{TradeType: relay.TradeApp}, testAppID, mobileAppID, mobileAppID},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) {
				c.Merchants[0].SubMchID, c.Merchants[0].SubAppID, c.Merchants[0].Accounts = subMchID, tc.subAppID, tc.accounts
			})
			b.order("A000000001")
			v, _, err := b.CreatePayment(t.Context(), b.caller(b.client), "A000000001", tc.req)
			if err != nil {
				t.Fatal(err)
			}
			p := b.told(v.OutTradeNo)
			if p.MchID != testMchID || p.SubMchID != subMchID || p.AppID != tc.appID || p.SubAppID != tc.subAppIDTold || p.PayerAppID != tc.payers {
				t.Errorf("told %s/%s under %q/%q, paid in %q; want %q/%q, %q", p.MchID, p.SubMchID, p.AppID, p.SubAppID, p.PayerAppID, tc.appID, tc.subAppIDTold, tc.payers)
			}
		})
	}
}

// TestDirect: with callback direct WeChat calls the client itself. The relay
// learns by asking, keeps its books, and sends nothing to the same address.
func TestDirect(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), everyWay, func(c *relay.Config) { c.Clients[0].Callback = relay.CallbackDirect })
	for i, attach := range []string{"", "a-word-of-its-own"} {
		req := goodOrder(fmt.Sprintf("A%09d", i))
		req.Attach = attach
		if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req); err != nil {
			t.Fatal(err)
		}
		key := relay.OrderKey{ClientID: b.client.ID, OrderNo: req.OrderNo}
		p := b.told(b.native(key).OutTradeNo)
		want := attach
		if want == "" {
			want = req.OrderNo
		}
		if p.NotifyURL != b.client.NotifyURL || p.Attach != want {
			t.Errorf("WeChat was told to call %s with %q, want %s with %q", p.NotifyURL, p.Attach, b.client.NotifyURL, want)
		}
		b.wechat.paid(p.OutTradeNo, time.Now())
		if v, err := b.Order(t.Context(), b.caller(b.client), req.OrderNo, true); err != nil || v.Status != relay.OrderPaid {
			t.Errorf("refreshed order = %s, %v; want paid", v.Status, err)
		}
	}
	events := b.events()
	if len(events) != 2 {
		t.Fatalf("%d events, want 2 to pull", len(events))
	}
	for _, e := range events {
		one, err := b.Event(t.Context(), &relay.Caller{Client: b.client}, e.ID)
		if err != nil || one.Delivery != nil {
			t.Errorf("event %s has the delivery %+v, %v; want none", e.ID, one.Delivery, err)
		}
	}
	for attach, taken := range map[string]bool{"x&sign=1": false, "x&y": true} { // A14
		older := newBench(t, memstore.New(), func(c *relay.Config) {
			c.Merchants[0].APIv2 = &relay.APIv2Credentials{Key: relay.NewSecret(strings.Repeat("2", 32)), SignType: relay.V2SignMD5}
			c.Merchants[0].Prefer, c.Clients[0].Callback = relay.APIv2, relay.CallbackDirect
		})
		req := goodOrder("A000000001")
		req.Attach = attach
		if _, _, err := older.CreateOrder(t.Context(), older.caller(older.client), req); (err == nil) != taken {
			t.Errorf("API v2 is to carry %q: %v, want taken %t", attach, err, taken)
		}
	}
	long := goodOrder("A000000009")
	long.NotifyURL = "https://books.example.com/" + strings.Repeat("x", 256)
	if _, _, err := b.CreateOrder(t.Context(), b.caller(b.client), long); kindOf(err) != relay.KindParam {
		t.Errorf("an address longer than WeChat takes: %v, want KindParam", err)
	}
}

// TestMixedMerchants: many buyers of many merchants at once. Each payment
// carries the numbers of its own merchant and account (issue part 8), and no
// client sees or pays the order of another (C06).
func TestMixedMerchants_C06(t *testing.T) {
	t.Parallel()
	const merchants, orders = 5, 12
	b := newBench(t, memstore.New(), func(c *relay.Config) {
		first := c.Merchants[0]
		c.Accounts, c.Merchants, c.Clients = nil, nil, nil
		for i := range merchants {
			suffix := fmt.Sprint(i)
			c.Accounts = append(c.Accounts,
				&relay.Account{Name: "shop" + suffix, Kind: relay.AccountOfficial, AppID: "wx000000000000000" + suffix, Secret: relay.NewSecret("s")},
				&relay.Account{Name: "mini" + suffix, Kind: relay.AccountMiniProgram, AppID: "wx100000000000000" + suffix})
			m := *first
			m.Name, m.MchID, m.Accounts = "m"+suffix, "190000000"+suffix, []string{"shop" + suffix, "mini" + suffix}
			if i%3 > 0 {
				m.APIv2 = &relay.APIv2Credentials{Key: relay.NewSecret(strings.Repeat(suffix, 32)), SignType: relay.V2SignMD5}
			}
			if i%3 == 2 {
				m.Prefer = relay.APIv2
			}
			c.Merchants = append(c.Merchants, &m)
			client := *testConfig(t).Clients[0]
			client.Name, client.ID, client.Merchant, client.Allow = "c"+suffix, "100000000000000"+suffix, m.Name, relay.AllTradeTypes()
			c.Clients = append(c.Clients, &client)
		}
	})
	var wg sync.WaitGroup
	for i := range merchants {
		c := b.ClientByID("100000000000000" + fmt.Sprint(i))
		other := b.ClientByID("100000000000000" + fmt.Sprint((i+1)%merchants))
		for n := range orders {
			wg.Go(func() {
				suffix, no := fmt.Sprint(i), fmt.Sprintf("%c%09d", 'A'+i, n) // order numbers of one client are none of another's
				if _, _, err := b.CreateOrder(t.Context(), b.caller(c), goodOrder(no)); err != nil {
					t.Errorf("CreateOrder: %v", err)
					return
				}
				req, appID := relay.CreatePaymentRequest{TradeType: relay.TradeJSAPI, OpenID: "o-" + suffix}, "wx000000000000000"+suffix
				if n%2 == 1 {
					req.TradeType, appID = relay.TradeMiniProgram, "wx100000000000000"+suffix
				}
				v, _, err := b.CreatePayment(t.Context(), b.caller(c), no, req)
				if err != nil {
					t.Errorf("CreatePayment: %v", err)
					return
				}
				p := b.told(v.OutTradeNo)
				api := relay.APIv3
				if i%3 == 2 {
					api = relay.APIv2
				}
				if p.API != api || p.MchID != "190000000"+suffix || p.AppID != appID || v.JSAPI.AppID != appID || p.NotifyURL != "https://pay.example.com/wechat/notify/m"+suffix {
					t.Errorf("client %s pays %s under %s by %s, told at %s", suffix, p.MchID, p.AppID, p.API, p.NotifyURL)
				}
				for what, err := range map[string]error{
					"pay":   second(b.pay(other, no)),
					"read":  second(b.Order(t.Context(), b.caller(other), no, true)),
					"close": second(b.CloseOrder(t.Context(), b.caller(other), no)),
				} {
					if kindOf(err) != relay.KindNotFound || err.Error() != "no such order" {
						t.Errorf("another client may %s the order: %v", what, err)
					}
				}
			})
		}
	}
	wg.Wait()
}

func (b *bench) pay(c *relay.Client, no string) (relay.PaymentInvocation, error) {
	v, _, err := b.CreatePayment(b.t.Context(), b.caller(c), no, relay.CreatePaymentRequest{TradeType: relay.TradeNative})
	return v, err
}

func second[T any](_ T, err error) error { return err }

// TestGenerationTakenAway: a payment that was made in a generation whose
// credentials are gone is of no use to the buyer, as WeChat takes a payment's
// signature in its own generation alone. It is closed and made anew.
func TestGenerationTakenAway(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	older := newBench(t, store, func(c *relay.Config) {
		c.Merchants[0].APIv2 = &relay.APIv2Credentials{Key: relay.NewSecret(strings.Repeat("2", 32)), SignType: relay.V2SignMD5}
		c.Merchants[0].Prefer = relay.APIv2
	})
	key := older.order("A000000001")
	first := older.native(key)
	newer := newBench(t, store)
	newer.wechat.payments, newer.wechat.told = older.wechat.payments, older.wechat.told
	second, created, err := newer.Payable(t.Context(), newer.client, key, relay.TradeNative, "")
	if err != nil || !created || second.API != relay.APIv3 || first.API != relay.APIv2 {
		t.Fatalf("Payable = %s by %s, created %t, %v; want a new one by v3 in place of one by v2", second.OutTradeNo, second.API, created, err)
	}
	if v := newer.view(key); v.Payments[0].Status != relay.PaymentClosed || newer.wechat.count("close") != 1 {
		t.Errorf("the old payment is %s after %d closes, want it closed at WeChat", v.Payments[0].Status, newer.wechat.count("close"))
	}
}
