package browser

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// prepayID is what the page last asked WeChat to pay, by the stand-in bridge.
func (tb *tab) prepayID() string {
	tb.t.Helper()
	asked := tb.text(`calls.at(-1).values.package`)
	id, ok := strings.CutPrefix(asked, "prepay_id=")
	if !ok {
		tb.t.Fatalf("WeChat is asked to pay %q", asked)
	}
	return id
}

// itinerary is where a tab was sent, redirects included.
type itinerary struct {
	mu    sync.Mutex // guards stops
	stops []string
}

// follow writes down where the tab goes from now on.
func (tb *tab) follow() *itinerary {
	tb.t.Helper()
	it := new(itinerary)
	chromedp.ListenTarget(tb.context, func(event any) {
		if e, ok := event.(*network.EventRequestWillBeSent); ok && e.Type == network.ResourceTypeDocument {
			it.mu.Lock()
			defer it.mu.Unlock()
			it.stops = append(it.stops, e.Request.URL)
		}
	})
	tb.run(network.Enable())
	return it
}

// stop is the first address with a prefix that the tab was sent to.
func (it *itinerary) stop(t *testing.T, prefix string) string {
	t.Helper()
	it.mu.Lock()
	defer it.mu.Unlock()
	for _, s := range it.stops {
		if strings.HasPrefix(s, prefix) {
			return s
		}
	}
	t.Fatalf("the browser never came by %s, only %q", prefix, it.stops)
	return ""
}

func TestDemoIsPaidInsideWeChat(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat)
	tb.beforeLoad(bridge)
	tb.beforeLoad(handTimers)
	went := tb.follow()
	page := d.buy(tb, "book", "waiting_jsapi")
	tb.until(`calls.length === 1`)
	tb.look("jsapi")
	went.stop(t, d.sandbox+"/connect/oauth2/authorize?")
	callback := went.stop(t, d.relay+"/wechat/callback?")
	first := tb.prepayID()
	tb.truth(`(answer('get_brand_wcpay_request:cancel'), true)`)
	tb.untilState("cancelled")
	tb.look("jsapi-cancelled")

	// E19: WeChat's web view goes back to the callback, or loads it twice.
	for _, move := range []struct {
		name   string
		action chromedp.Action
	}{
		{"callback again", chromedp.Navigate(callback)},
		{"reload", chromedp.Reload()},
		{"back", chromedp.NavigateBack()},
		{"forward", chromedp.NavigateForward()},
		{"callback once more", chromedp.Navigate(callback)},
	} {
		tb.run(move.action)
		tb.arrive(`body[data-state="waiting_jsapi"], body[data-state="cancelled"]`)
		if got := tb.address(); got != page {
			t.Errorf("%s leads to %q, want the page %q", move.name, got, page)
		}
	}

	tb.until(`calls.length === 1`)
	tb.truth(`(answer('get_brand_wcpay_request:cancel'), true)`)
	tb.untilState("cancelled")
	tb.click("#pay")
	tb.until(`calls.length === 2`)
	if again := tb.prepayID(); again != first {
		t.Errorf("paying again pays %q, want the payment that lives, %q", again, first)
	}
	d.pay(`{"prepay_id":"` + first + `"}`)
	tb.truth(`(answer('get_brand_wcpay_request:ok'), true)`)
	tb.untilState("paid")
	tb.look("paid-live")
	tb.open(callback)
	tb.arrive(`body[data-state="paid"]`)
	tb.look("paid")
	tb.truth(`(ticks(), ticks(), ticks(), true)`)
	tb.arrive(`main a[href="/shop/orders"].main`)
	if got := tb.says("h1"); got != "谢谢惠顾" {
		t.Errorf("the shop says %q", got)
	}
	number := tb.text(`new URLSearchParams(location.search).get('order_no')`)
	var paid struct {
		Status    string `json:"status"`
		TradeType string `json:"trade_type"`
	}
	d.call(http.MethodGet, "/v1/orders/"+number, "", http.StatusOK, &paid)
	if paid.Status != "paid" || paid.TradeType != "jsapi" {
		t.Errorf("the relay says the order is %+v", paid)
	}
	d.openOrders(tb, "已验证")
	tb.look("orders-zh")
}

// E01: a stranger's callback logs nobody in.
func TestDemoCallbackOfAnotherBrowser_E01(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	attacker := openTab(t, inWeChat)
	attacker.beforeLoad(bridge)
	went := attacker.follow()
	d.buy(attacker, "tea", "waiting_jsapi")
	victim := openTab(t, inWeChat, brokenStream)
	victim.open(went.stop(t, d.relay+"/wechat/callback?"))
	if got := victim.says("#heading"); got != "登录已失效" {
		t.Errorf("the page says %q", got)
	}
	victim.look("login-expired")
}
