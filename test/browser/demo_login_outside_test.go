package browser

import (
	"strings"
	"testing"
)

// withoutWebsite runs the example without the account by which browsers
// outside WeChat log in.
func withoutWebsite(t *testing.T) *demo {
	t.Helper()
	return startDemoWith(t, func(config string) string { return withoutAccount(t, config, "demo_site") })
}

// Without a website's account a desktop shows the address as a code. Who
// scans it is told by the site to log in there, on the phone.
func TestDemoLoginOnDesktopWithoutWebsite(t *testing.T) {
	t.Parallel()
	d := withoutWebsite(t)
	for _, on := range []device{desktop, desktopZH} {
		tb := openTab(t, on)
		tb.beforeLoad(copies)
		d.beginLogin(tb, `body[data-state="login_desktop"]`)
		if got, want := tb.says("#heading"), map[string]string{"en": "Log in with WeChat", "zh-CN": "用微信登录"}[on.language]; got != want {
			t.Errorf("the page says %q, want %q", got, want)
		}
		if got, host := tb.says("#site"), strings.TrimPrefix(d.sandbox, "http://"); !strings.Contains(got, "demo") || !strings.Contains(got, host) {
			t.Errorf("the page says of who asks %q (E26)", got)
		}
		tb.look("login-desktop-" + on.language)
		tb.click("#copy")
		tb.until(`window.copied === location.href`)
		address := scan(t, tb.shoot())
		if address != tb.address() {
			t.Errorf("the code says %s, want the page's address %s", address, tb.address())
		}

		handset := openTab(t, inWeChat, "400")
		handset.open(address)
		handset.press(consentForm+` button[value="allow"]`, `h1 + p.bad`)
		handset.look("login-other-browser")
		handset.press(`#login`, consentForm)
		handset.press(`button[value="allow"]`, `[data-visitor]`)
		d.greets(handset, "小明")
	}
}

// copies hears what a page copies.
const copies = `Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (s) => { window.copied = s; } } })`

// A phone's own browser is sent to WeChat, which has no code to scan for it,
// whether a website's account is configured or not.
func TestDemoLoginOnAPhoneOutsideWeChat(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]*demo{"with a website": startDemo(t), "without": withoutWebsite(t)} {
		for lang, want := range map[string]string{"zh-CN": "请在微信中打开", "en": "Please open in WeChat"} {
			on := outsideWeChat
			on.language, on.width, on.height = lang, 320, 568
			tb := openTab(t, on)
			tb.beforeLoad(copies)
			d.beginLogin(tb, `body[data-state="login_phone"]`)
			if got := tb.says("#heading"); got != want {
				t.Errorf("%s: the page says %q, want %q", name, got, want)
			}
			tb.checkFit("login-phone-"+lang, on.width)
			tb.look("login-phone-" + lang)
			tb.click("#copy")
			tb.until(`window.copied === location.href`)
			tb.truth(`(document.querySelector('.qr').scrollIntoView({ block: 'center' }), true)`)
			if got := scan(t, tb.shoot()); got != tb.address() {
				t.Errorf("%s: the code says %s, want the page's address", name, got)
			}
		}
	}
}

// A link that no site may use says so in both languages and leads nowhere.
func TestDemoLoginNotRegistered(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for lang, want := range map[string]string{"zh-CN": "无法登录", "en": "Login is not possible"} {
		on := inWeChat
		on.language = lang
		tb := openTab(t, on, "403")
		tb.open(d.relay + "/login?client_id=" + demoClientID + "&redirect_uri=https%3A%2F%2Fevil.example%2F&state=s")
		if got := tb.says("#heading"); got != want {
			t.Errorf("the page says %q, want %q", got, want)
		}
		if tb.truth(`document.querySelector('main a') !== null`) {
			t.Error("the page leads somewhere")
		}
		tb.look("login-not-registered-" + lang)
	}
}
