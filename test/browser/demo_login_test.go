package browser

import (
	"strings"
	"testing"
)

// scanOnPhone reads the code on a screen as a phone does and opens what it
// says in a browser of its own.
func (d *demo) scanOnPhone(screen *tab, on device) *tab {
	d.t.Helper()
	address := scan(d.t, screen.shoot())
	if !strings.HasPrefix(address, d.sandbox+"/sandbox/scan/") {
		d.t.Fatalf("the code says %q", address)
	}
	handset := openTab(d.t, on)
	handset.open(address)
	return handset
}

// beginLogin opens the shop and begins to log in, which leads to a part of
// another page.
func (d *demo) beginLogin(tb *tab, next string) {
	d.t.Helper()
	tb.open(d.sandbox + "/shop/")
	tb.press("#login", next)
}

// A visitor on a desktop logs in with a second browser, the phone.
func TestDemoLoginByScan(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	screen := openTab(t, desktop)
	d.beginLogin(screen, `[data-wait]`)
	screen.look("scan-screen")
	handset := d.scanOnPhone(screen, phone)
	screen.until(`!document.querySelector('[data-state="scanned"]').hidden`)
	handset.look("scan-phone")
	handset.truth(`(document.querySelector('select[name="user"]').value = 'hong', true)`)
	handset.press(`button[value="allow"]`, `main.narrow`)
	screen.arrive(`[data-visitor]`)
	if got := screen.says(`[data-visitor]`); got != "小红" || screen.address() != d.sandbox+"/shop/" {
		t.Errorf("the shop at %s greets %q", screen.address(), got)
	}
	screen.until(`document.querySelector('img.face').naturalWidth > 0`)
	screen.look("shop-visitor")
	screen.press(`form[action="/shop/logout"] button`, `#login`)
	screen.look("shop-guest")
}

// The phone refuses: the shop learns it, and sells to guests as before.
func TestDemoLoginIsRefusedOnThePhone(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	screen := openTab(t, desktopZH, "403")
	d.beginLogin(screen, `[data-wait]`)
	handset := d.scanOnPhone(screen, phone)
	handset.press(`button[value="refuse"]`, `main.narrow`)
	screen.arrive(`h1 + p.bad`)
	if got := screen.says(`h1 + p.bad`); !strings.Contains(got, "登录被拒绝") {
		t.Errorf("the shop says %q", got)
	}
	d.buy(screen, "tea", "waiting_native")
}

// One screen is enough.
func TestDemoLoginOnOneScreen(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	screen := openTab(t, desktop)
	d.beginLogin(screen, `[data-wait]`)
	screen.press(`[data-here] button[value="allow"]`, `[data-visitor]`)
	if got := screen.says(`[data-visitor]`); got != "小明" {
		t.Errorf("the shop greets %q", got)
	}
}

// Inside WeChat a visitor is asked, and pays without another login.
func TestDemoLoginInsideWeChat(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat)
	tb.beforeLoad(bridge)
	tb.beforeLoad(handTimers)
	d.beginLogin(tb, `form[action="/sandbox/consent"]`)
	tb.look("consent")
	tb.truth(`(document.querySelector('select[name="user"]').value = 'ada', true)`)
	tb.press(`button[value="allow"]`, `[data-visitor]`)
	if got := tb.says(`[data-visitor]`); got != "Ada" {
		t.Errorf("the shop greets %q", got)
	}
	went := tb.follow()
	d.buy(tb, "stamp", "waiting_jsapi")
	for _, stop := range went.stops {
		if strings.Contains(stop, "/connect/") {
			t.Errorf("the buyer, who is known, was sent to %s", stop)
		}
	}
}
