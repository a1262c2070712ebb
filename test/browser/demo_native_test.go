package browser

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var (
	desktop       = device{width: 1280, height: 900, language: "en"}
	desktopZH     = device{width: 1280, height: 900, language: "zh-CN"}
	outsideWeChat = device{width: 375, height: 812, mobile: true, language: "zh-CN", agent: phoneAgent}
)

// phoneAgent is how a phone's own browser names itself.
const phoneAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1"

// streamOnly leaves a cashier page nothing but its stream to hear from.
const streamOnly = `{
	const real = window.fetch;
	window.fetch = (to, ...rest) => String(to).endsWith('/status') ? Promise.reject(new Error('no asking in this test')) : real(to, ...rest);
}`

// The first command of the README, as a buyer at a computer sees it.
func TestDemoIsPaidByCode(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, desktop)
	tb.beforeLoad(streamOnly)
	tb.open(d.sandbox + "/")
	tb.arrive(`button[value="tea"]`)
	tb.look("shop")
	d.buy(tb, "tea", "waiting_native")
	tb.look("native")
	code := scan(t, tb.shoot())
	if !strings.HasPrefix(code, "weixin://wxpay/bizpayurl?pr=SANDBOX") {
		t.Fatalf("the code says %q, which is no code of the sandbox", code)
	}
	d.pay(`{"code_url":"` + code + `"}`)

	tb.arrive(`main a[href="/shop/orders"].main`)
	back, err := url.Parse(tb.address())
	if err != nil {
		t.Fatal(err)
	}
	if back.Path != "/shop/return" || back.Query().Get("status") != "paid" || back.Query().Get("amount") != "800" {
		t.Errorf("the buyer came back to %s", back)
	}
	if got := tb.says("h1"); got != "Thank you" {
		t.Errorf("the shop says %q to the signed link", got)
	}
	tb.look("return")
	tb.press(`main a[href="/shop/orders"].main`, `[data-live] table`)
	tb.untilSays(`[data-live] table`, "verified")
	if got := tb.says(`[data-live] h2`); !strings.Contains(got, "¥8.00 · paid") {
		t.Errorf("the shop's list says %q", got)
	}
	if got := tb.says(`[data-live] td.answer`); got != "204" {
		t.Errorf("the shop answered the notification with %q", got)
	}
	tb.look("orders")

	forger := openTab(t, desktop, brokenStream)
	forger.open(strings.Replace(back.String(), "amount=800", "amount=801", 1))
	if got := forger.says("h1"); got != "Cannot be confirmed" {
		t.Errorf("the shop says %q to a changed link (D11)", got)
	}
	forger.look("return-refused")
}

func TestDemoOnAPhoneOutsideWeChat(t *testing.T) {
	t.Parallel()
	d := startDemo(t, "allow jsapi native")
	tb := openTab(t, outsideWeChat)
	page := d.buy(tb, "stamp", "wrong_place")
	if got := tb.says("#heading"); got != "请在微信中打开" {
		t.Errorf("the page says %q", got)
	}
	if got := tb.text(`document.getElementById('address').value`); got != page {
		t.Errorf("the page gives the address %q, want %q", got, page)
	}
	tb.look("wrong-place")
	tb.truth(`(document.querySelector('.qr').scrollIntoView({ block: 'center' }), true)`)
	scanned := scan(t, tb.shoot())
	if scanned != page {
		t.Errorf("the code says %q, want the page's address %q", scanned, page)
	}

	// WeChat scans it: the buyer pays there, and both pages hear of it.
	inside := openTab(t, inWeChat)
	inside.beforeLoad(bridge)
	inside.open(scanned)
	inside.arrive(`body[data-state="waiting_jsapi"]`)
	inside.until(`calls.length === 1`)
	d.pay(`{"prepay_id":"` + inside.prepayID() + `"}`)
	tb.arrive(`main a[href="/shop/orders"].main`)
	if got := tb.says("h1"); got != "谢谢惠顾" {
		t.Errorf("the shop says %q", got)
	}
}

func TestDemoClosedOrder(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for orderNo, tc := range map[string]struct {
		device   device
		closed   string
		returned string
	}{
		"CLOSED0001": {desktop, "Order closed", "Nothing was paid"},
		"CLOSED0002": {desktopZH, "订单已关闭", "没有付款"},
	} {
		lang := tc.device.language
		page := d.order(orderNo)
		tb := openTab(t, tc.device)
		tb.beforeLoad(streamOnly)
		tb.open(page)
		tb.untilState("waiting_native")
		d.call(http.MethodPost, "/v1/orders/"+orderNo+"/close", "", http.StatusOK, nil)
		tb.untilState("closed")
		for _, seen := range []string{"live", "reloaded"} {
			if got := tb.says("#heading"); got != tc.closed {
				t.Errorf("%s: the %s page says %q, want %q", lang, seen, got, tc.closed)
			}
			if tb.truth(`[...document.querySelectorAll('.qr')].some((q) => q.checkVisibility())`) {
				t.Errorf("%s: the %s page still shows the code of a closed order", lang, seen)
			}
			tb.run(chromedp.Reload())
		}
		tb.look("closed-" + lang)
		tb.press("#return", `main a[href="/shop/orders"].main`)
		if got := tb.text(`new URLSearchParams(location.search).get('status')`); got != "closed" {
			t.Errorf("%s: the way back says %q", lang, got)
		}
		if got := tb.says("section.card p strong"); got != "closed" {
			t.Errorf("%s: the cashier is quoted with %q", lang, got)
		}
		if got := tb.says("h1"); got != tc.returned {
			t.Errorf("%s: the shop says %q, want %q", lang, got, tc.returned)
		}
	}
}

func TestDemoPageOfNoOrder(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for _, tc := range []struct {
		device device
		want   string
	}{{desktop, "Order not found"}, {inWeChat, "找不到这个订单"}} {
		tb := openTab(t, tc.device, brokenStream)
		for name, token := range map[string]string{"unknown": "0123456789abcdefghijkl", "cut": "0123456789", "hostile": "%3Cscript%3Ealert(1)%3C"} {
			tb.open(d.relay + "/checkout/" + token)
			if got := tb.says("#heading"); got != tc.want {
				t.Errorf("%s: the page says %q, want %q", name, got, tc.want)
			}
		}
		tb.look("not-found-" + tc.device.language)
	}
}
