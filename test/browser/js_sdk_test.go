package browser

import (
	"strings"
	"testing"
)

// iPhone is how WeChat's web view on iOS names itself.
const iPhoneWeChat = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 " +
	"MicroMessenger/8.0.60(0x18003c2f) NetType/WIFI Language/zh_CN"

// includeScripts opens a page of the sandbox's origin that includes what stands
// in for jweixin and the relay's script, and keeps what the script tells.
func (d *demo) includeScripts(tb *tab, path, attributes string) {
	d.t.Helper()
	tb.open(d.sandbox + path)
	tb.truth(`(() => {
		window.told = [];
		for (const name of ['ready', 'error']) {
			document.addEventListener('wxrelay:' + name, (e) => window.told.push(name + ' ' + (e.detail.code || '') + ' ' + e.detail.url));
		}
		const include = (src, then) => {
			const script = document.createElement('script');
			script.src = src;
			for (const [name, value] of Object.entries(then ? {} : ` + attributes + `)) script.setAttribute(name, value);
			script.onload = then || (() => { window.included = true; });
			document.documentElement.append(script);
		};
		include('` + d.sandbox + `/sandbox/js-sdk.js', () => include('` + d.relay + `/v1/js-sdk.js'));
		return true;
	})()`)
	tb.until(`window.included === true`)
}

// told waits for the nth event of the script.
func (tb *tab) told(n string) string {
	tb.t.Helper()
	tb.until(`window.told.length > ` + n)
	return tb.text(`window.told[` + n + `]`)
}

const blankPage = "/sandbox/js-sdk/check"

// The script has WeChat accept the page, on iOS and elsewhere, before and after
// the page changed its address without loading.
func TestScriptConfiguresThePage(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	for name, agent := range map[string]string{"Android": weChatAgent, "iOS": iPhoneWeChat} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tb := openTab(t, device{width: 360, height: 740, mobile: true, language: "zh-CN", agent: agent})
			landing := d.sandbox + blankPage + "?a=%E4%B9%A6&b=1"
			d.includeScripts(tb, strings.TrimPrefix(landing, d.sandbox)+"#top", `{'data-apis': 'getNetworkType, updateAppMessageShareData'}`)
			if got := tb.told("0"); got != "ready  "+landing {
				t.Errorf("told %q", got)
			}
			tb.truth(`(wx.getNetworkType({success: (r) => { window.network = r.networkType; }}), true)`)
			tb.until(`window.network === 'wifi'`)

			tb.truth(`(history.pushState({}, '', '/shop/?page=2#x'), wxrelay.config(['getNetworkType']), true)`)
			want := d.sandbox + "/shop/?page=2"
			if name == "iOS" {
				want = landing
			}
			if got := tb.told("1"); got != "ready  "+want {
				t.Errorf("after a change of route: told %q, want %s", got, want)
			}
		})
	}
}

// Where a client compares otherwise than its name lets expect, the other
// address is tried.
func TestScriptTriesTheOtherAddress(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, device{width: 360, height: 740, mobile: true, language: "zh-CN", agent: weChatAgent})
	d.includeScripts(tb, blankPage, `{}`)
	// The stand-in goes on comparing as on Android; the script, included again,
	// takes the browser for one on iOS.
	tb.truth(`(Object.defineProperty(navigator, 'userAgent', {value: ` + "`" + iPhoneWeChat + "`" + `}), true)`)
	tb.truth(`(() => {
		window.included = false;
		const script = document.createElement('script');
		script.src = '` + d.relay + `/v1/js-sdk.js';
		script.onload = () => { window.included = true; };
		document.documentElement.append(script);
		return true;
	})()`)
	tb.until(`window.included === true`)
	tb.truth(`(history.pushState({}, '', '/shop/?page=3'), wxrelay.config(['getNetworkType']), true)`)
	if got, want := tb.told("0"), "ready  "+d.sandbox+"/shop/?page=3"; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
}

// What goes wrong is told to the page: jweixin is missing, the origin is
// nobody's.
func TestScriptTellsTrouble(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, phone)
	d.includeScripts(tb, blankPage, `{}`)
	tb.truth(`(delete window.wx, wxrelay.config(['getNetworkType']), true)`)
	if got, want := tb.told("0"), "error NO_WX "+d.sandbox+blankPage; got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	stranger := openTab(t, phone, "403", "favicon.ico")
	stranger.open(d.relay + "/wechat/health")
	stranger.truth(`(() => {
		window.told = [];
		document.addEventListener('wxrelay:error', (e) => window.told.push(e.detail.code));
		window.wx = {};
		const script = document.createElement('script');
		script.src = '/v1/js-sdk.js';
		script.setAttribute('data-apis', 'getNetworkType');
		document.documentElement.append(script);
		return true;
	})()`)
	if got := stranger.told("0"); got != "NO_AUTH" {
		t.Errorf("a page of no client's origin: told %q", got)
	}
}
