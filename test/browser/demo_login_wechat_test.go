package browser

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Where a login passes.
const (
	wechatDoor    = "/connect/"
	relayCallback = "/wechat/callback?"
	shopCallback  = "/shop/login/callback?"
	snapshotPage  = `body[data-state="snapshot"]`
	consentForm   = `form[action="/sandbox/consent"]`
)

// count tells how many stops have a prefix.
func (it *itinerary) count(prefix string) int {
	it.mu.Lock()
	defer it.mu.Unlock()
	n := 0
	for _, s := range it.stops {
		if strings.HasPrefix(s, prefix) {
			n++
		}
	}
	return n
}

// greets checks that the tab is back at the shop, which calls its visitor by
// a name.
func (d *demo) greets(tb *tab, name string) {
	d.t.Helper()
	tb.arrive(`[data-visitor]`)
	if got := tb.says(`[data-visitor]`); got != name || tb.address() != d.sandbox+"/shop/" {
		d.t.Errorf("the shop at %s greets %q, want %q", tb.address(), got, name)
	}
}

// Inside WeChat a silent login shows no page at all: the visitor comes back
// known by the end of the openid, and is asked only when a site wants more.
func TestDemoSilentLogin(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat)
	went := tb.follow()
	tb.open(d.sandbox + "/shop/login?scope=snsapi_base")
	tb.arrive(`[data-visitor]`)
	if got := tb.says(`[data-visitor]`); !strings.HasPrefix(got, "…") || len(got) != len("…")+6 {
		t.Errorf("the shop greets %q, want the end of an openid", got)
	}
	if asked := went.stop(t, d.sandbox+wechatDoor); !strings.Contains(asked, "scope=snsapi_base") {
		t.Errorf("WeChat was asked by %s", asked)
	}
	tb.look("login-silent")

	tb.press(`form[action="/shop/logout"] button`, `#login`)
	tb.press(`#login`, consentForm)
	tb.press(`button[value="allow"]`, `[data-visitor]`)
	d.greets(tb, "小明")
}

// E19: WeChat's web view goes back to the callback, or loads it twice. The
// visitor is logged in and sees no page of an error.
func TestDemoLoginAgainAndBack_E19(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat)
	went := tb.follow()
	d.beginLogin(tb, consentForm)
	tb.press(`button[value="allow"]`, `[data-visitor]`)
	d.greets(tb, "小明")
	// Back leads to WeChat's page, as in life. Agreeing there once more ends as
	// the first time did.
	tb.truth(`(history.back(), true)`)
	tb.arrive(consentForm)
	tb.press(`form[action="/sandbox/consent"] button[value="allow"]`, `[data-visitor]`)
	d.greets(tb, "小明")

	callback, back := went.stop(t, d.relay+relayCallback), went.stop(t, d.sandbox+shopCallback)
	for _, move := range []struct {
		name   string
		action chromedp.Action
	}{
		{"the relay's callback again", chromedp.Navigate(callback)},
		{"the shop's callback again", chromedp.Navigate(back)},
		{"reload", chromedp.Reload()},
		{"the relay's callback once more", chromedp.Navigate(callback)},
	} {
		t.Log(move.name)
		tb.run(move.action)
		d.greets(tb, "小明")
	}
}

// WeChat's web view is known to ask for the callback twice at the same
// moment; whichever answer it keeps must be a success.
func TestDemoLoginCallbackTwiceAtOnce_E19(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat, "404")
	went := tb.follow()
	tb.open(d.sandbox + "/shop/login?scope=snsapi_base")
	tb.arrive(`[data-visitor]`)
	callback := went.stop(t, d.relay+relayCallback)
	// From a page of the relay's own origin, so that its answers can be seen.
	tb.open(d.relay + "/")
	var answers []string
	ask := fmt.Sprintf(`Promise.all([1, 2, 3, 4].map(() => fetch(%q, { redirect: 'manual' }).then((answer) => answer.type)))`, callback)
	tb.run(chromedp.Evaluate(ask, &answers, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	if len(answers) != 4 || slices.ContainsFunc(answers, func(kind string) bool { return kind != "opaqueredirect" }) {
		t.Errorf("the callback answered %q, want redirects alone", answers)
	}
	tb.open(callback)
	tb.arrive(`[data-visitor]`)
}

// Who says no at WeChat is back at the shop, which says so; the relay shows
// no page of its own, and the shop sells to guests as before.
func TestDemoLoginRefusedInWeChat(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for lang, want := range map[string]string{"zh-CN": "登录被拒绝", "en": "The login was refused"} {
		on := inWeChat
		on.language = lang
		tb := openTab(t, on, "403")
		tb.beforeLoad(bridge)
		went := tb.follow()
		d.beginLogin(tb, consentForm)
		tb.press(`button[value="refuse"]`, `h1 + p.bad`)
		if got := tb.says(`h1 + p.bad`); !strings.Contains(got, want) {
			t.Errorf("%s: the shop says %q, want %q", lang, got, want)
		}
		if back := went.stop(t, d.sandbox+shopCallback); !strings.Contains(back, "error=access_denied") || strings.Contains(back, "ticket=") {
			t.Errorf("%s: the shop is told %s", lang, back)
		}
		tb.look("login-refused-" + lang)
		// Another mind: the same page leads to a login.
		tb.press(`#login`, consentForm)
		tb.press(`button[value="allow"]`, `[data-visitor]`)
		d.greets(tb, "小明")
	}
}

// WeChat's limited view makes a user up. The site learns nothing, the visitor
// reads what to do, and the button leads to a login that is one.
func TestDemoSnapshotUserLogsIn(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for lang, want := range map[string]string{"zh-CN": "使用完整服务", "en": "Use Full Service"} {
		on := inWeChat
		on.language = lang
		tb := openTab(t, on, "403")
		went := tb.follow()
		d.fault("oauth_snapshot")
		d.beginLogin(tb, consentForm)
		tb.press(`button[value="allow"]`, snapshotPage)
		if got := tb.says(`main`); !strings.Contains(got, want) {
			t.Errorf("%s: the page says %q, want %q in it", lang, got, want)
		}
		tb.look("login-snapshot-" + lang)
		tb.run(chromedp.Reload())
		tb.arrive(snapshotPage)
		if n := went.count(d.sandbox + shopCallback); n != 0 {
			t.Errorf("%s: the shop was called %d times for a user who is nobody", lang, n)
		}
		tb.press(`#again`, consentForm)
		tb.press(`button[value="allow"]`, `[data-visitor]`)
		d.greets(tb, "小明")
	}
}

// A snapshot user cannot pay: the cashier asks WeChat for nothing until
// somebody real is there.
func TestDemoSnapshotUserCannotPay(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat, "403")
	tb.beforeLoad(bridge)
	tb.beforeLoad(handTimers)
	d.fault("oauth_snapshot")
	tb.open(d.sandbox + "/shop/")
	tb.press(`button[value="tea"]`, snapshotPage)
	tb.look("cashier-snapshot")
	if tb.truth(`document.getElementById('pay') !== null || calls.length > 0`) {
		t.Error("a user who is nobody can pay")
	}
	tb.press(`#again`, `body[data-state="waiting_jsapi"]`)
	tb.until(`calls.length === 1`)
	d.pay(`{"prepay_id":"` + tb.prepayID() + `"}`)
	tb.truth(`(answer('get_brand_wcpay_request:ok'), true)`)
	tb.untilState("paid")
}

// A site at an origin of its own gets its visitors back from WeChat's pages
// too, both ways and by yes and no, without a referrer that tells of the login
// (E13).
func TestDemoLoginOfAnotherSite_E13(t *testing.T) {
	t.Parallel()
	theirs := newSite(t)
	d := startDemo(t, "redirect_uri "+theirs.server.URL+"/back")
	for name, tc := range map[string]struct {
		on     device
		answer string
		path   string
		form   string
		want   string
	}{
		"ticket allowed":   {inWeChat, "allow", "/login?client_id=", consentForm, "ticket"},
		"ticket refused":   {inWeChat, "refuse", "/login?client_id=", consentForm, "error"},
		"code allowed":     {inWeChat, "allow", "/connect/oauth2/authorize?response_type=code&appid=", consentForm, "code"},
		"code refused":     {inWeChat, "refuse", "/connect/oauth2/authorize?response_type=code&appid=", consentForm, ""},
		"desktop's ticket": {desktop, "allow", "/login?client_id=", "[data-here]", "ticket"},
	} {
		tb := openTab(t, tc.on)
		tb.open(d.relay + tc.path + demoClientID + "&redirect_uri=" + theirs.server.URL + "/back&state=a%20b&scope=snsapi_userinfo")
		tb.press(tc.form+` button[value="`+tc.answer+`"]`, `#site`)
		visit := theirs.last(t)
		query := visit.URL.Query()
		if query.Get("state") != "a b" || (tc.want != "") != query.Has(tc.want) || query.Has("code") != (tc.want == "code") || query.Has("ticket") != (tc.want == "ticket") {
			t.Errorf("%s: the site was visited with %v", name, query)
		}
		if got := visit.Referer(); got != "" {
			t.Errorf("%s: the site learns the referrer %q", name, got)
		}
	}
}
