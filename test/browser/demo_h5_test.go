package browser

import (
	"fmt"
	"testing"
)

// A buyer with a phone, outside WeChat: the cashier opens WeChat, who checks
// where the link comes from and leads back to the cashier.
func TestDemoIsPaidFromAPhonesBrowser(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, outsideWeChat)
	page := d.buy(tb, "stamp", "waiting_h5")
	tb.look("h5")
	tb.press("#wechat", `form[action="/sandbox/h5"] button[value="pay"]`)
	tb.look("h5-wechat")
	tb.press(`form[action="/sandbox/h5"] button[value="cancel"]`, `body[data-state="returned"]`)
	if got := tb.address(); got != page {
		t.Errorf("WeChat leads back to %q, want %q", got, page)
	}
	tb.look("h5-returned")
	tb.press("#paid", `body[data-state="returned"]`)
	tb.press("#wechat", `form[action="/sandbox/h5"] button[value="pay"]`)
	tb.truth(`(document.querySelector('button[value="pay"]').click(), true)`)
	tb.arrive(`main a[href="/shop/orders"].main`)
	if got := tb.says("h1"); got != "谢谢惠顾" {
		t.Errorf("the shop says %q", got)
	}
	d.openOrders(tb, "paid")
}

// Coming back the cashier asks WeChat, so that a lost notification keeps no
// buyer waiting.
func TestDemoPhonesBrowserWithoutNotification(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.fault("lost")
	tb := openTab(t, outsideWeChat)
	d.buy(tb, "tea", "waiting_h5")
	tb.press("#wechat", `form[action="/sandbox/h5"] button[value="pay"]`)
	tb.truth(`(document.querySelector('button[value="pay"]').click(), true)`)
	tb.arrive(`main a[href="/shop/orders"].main`)
}

// Each place where an order cannot be paid says in both languages where it
// can be.
func TestDemoWrongPlaces(t *testing.T) {
	t.Parallel()
	const weChat, screen, browser, app = 0, 1, 2, 3
	says := map[string][4]string{
		"zh-CN": {"请在微信中打开", "请换一个屏幕打开", "请在手机浏览器中打开", "请在商家的 App 或小程序中支付"},
		"en":    {"Please open in WeChat", "Please use another screen", "Please open in your phone's browser", "Please pay in the shop's app"},
	}
	for allow, places := range map[string]map[string]int{
		"jsapi":            {"phone": weChat, "desktop": weChat},
		"native":           {"wechat": screen, "phone": screen},
		"h5":               {"wechat": browser, "desktop": browser},
		"app mini_program": {"wechat": app, "phone": app, "desktop": app},
	} {
		t.Run(allow, func(t *testing.T) {
			t.Parallel()
			d := startDemo(t, "allow "+allow)
			page := d.order("PLACE00001")
			for place, needs := range places {
				on := map[string]device{"wechat": inWeChat, "phone": outsideWeChat, "desktop": desktopZH}[place]
				for lang, words := range says {
					on.language = lang
					tb := openTab(t, on)
					tb.beforeLoad(bridge)
					tb.open(page)
					tb.arrive(`body[data-state="wrong_place"]`)
					if got := tb.says("#heading"); got != words[needs] {
						t.Errorf("%s, %s: the page says %q, want %q", place, lang, got, words[needs])
					}
					tb.checkFit(place, on.width)
					tb.keep(fmt.Sprintf("place-%s-%s-%s", allow, place, lang))
				}
			}
		})
	}
}
