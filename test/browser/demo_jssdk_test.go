package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// iosWeChatAgent is how WeChat's web view on an iPhone names itself.
const iosWeChatAgent = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
	"Mobile/15E148 MicroMessenger/8.0.59(0x18003b2c) NetType/WIFI Language/zh_CN"

// heardScript lists what the relay's script tells the page.
const heardScript = `<script>
	window.heard = [];
	for (const name of ['ready', 'error']) {
		document.addEventListener('wxrelay:' + name, (event) => heard.push({ ...event.detail, name }));
	}
</script>`

// showSDK makes a page that calls WeChat's JS-SDK by the relay's script, with
// the sandbox's stand-in for WeChat's own.
func (d *demo) showSDK(s *site) {
	s.show(heardScript + `<script src="` + d.sandbox + `/sandbox/js-sdk.js"></script>` +
		`<script src="` + d.relay + `/v1/js-sdk.js" data-apis="getNetworkType"></script>`)
}

// sdkNews is one thing that the script told.
type sdkNews struct {
	Name    string `json:"name"`
	URL     string `json:"url"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// hears waits until the script told as many things and returns the last.
func (tb *tab) hears(count int) sdkNews {
	tb.t.Helper()
	tb.until(fmt.Sprintf(`heard.length === %d`, count))
	var news sdkNews
	tb.run(chromedp.Evaluate(`heard.at(-1)`, &news))
	return news
}

// asks calls one of WeChat's functions and returns the answer's text.
func (tb *tab) asks(call string) string {
	tb.t.Helper()
	return tb.text(`(() => { let said; wx.` + call + `({ complete: (result) => { said = result.errMsg; } }); return said; })()`)
}

// A page of an allowed origin includes one script and may call the JS-SDK,
// after a change of its address too: an iPhone signs the address at which the
// page was entered, others the one that is shown.
func TestDemoPageCallsTheJSSDK(t *testing.T) {
	t.Parallel()
	theirs := newSite(t)
	d := startDemo(t, "allow_origin "+theirs.server.URL)
	d.showSDK(theirs)
	for name, tc := range map[string]struct {
		on      device
		landing bool // is what is signed after a change of address
	}{
		"WeChat on Android":     {inWeChat, false},
		"WeChat on an iPhone":   {device{width: 390, height: 844, mobile: true, language: "zh-CN", agent: iosWeChatAgent}, true},
		"a developer's desktop": {desktop, false},
	} {
		tb := openTab(t, tc.on)
		landing := theirs.server.URL + "/%E4%B9%A6/list?a=1&b=%26%20x"
		tb.open(landing + "#top")
		if got := tb.hears(1); got.Name != "ready" || got.URL != landing {
			t.Errorf("%s: the page is told %+v, want ready for %s", name, got, landing)
		}
		if got := tb.asks("getNetworkType"); got != "getNetworkType:ok" {
			t.Errorf("%s: WeChat says %q", name, got)
		}
		if got := tb.asks("updateTimelineShareData"); got != "updateTimelineShareData:permission denied" {
			t.Errorf("%s: WeChat says %q to what was not asked for", name, got)
		}

		next := theirs.server.URL + "/item?id=2"
		tb.truth(`(history.pushState({}, '', '/item?id=2#part'), wxrelay.config(['updateTimelineShareData']), true)`)
		signed := next
		if tc.landing {
			signed = landing
		}
		if got := tb.hears(2); got.Name != "ready" || got.URL != signed {
			t.Errorf("%s: after a change of address the page is told %+v, want ready for %s", name, got, signed)
		}
		if got := tb.asks("updateTimelineShareData"); got != "updateTimelineShareData:ok" {
			t.Errorf("%s: WeChat says %q", name, got)
		}
		// Loaded anew, the page was entered at its new address.
		tb.run(chromedp.Reload())
		if got := tb.hears(1); got.Name != "ready" || got.URL != next {
			t.Errorf("%s: loaded anew the page is told %+v, want ready for %s", name, got, next)
		}
	}
}

// A page of another origin gets no signature, and one made for an allowed page
// is of no use to it: the relay vouches for nobody else's pages (E24).
func TestDemoJSSDKRefusesOtherOrigins_E24(t *testing.T) {
	t.Parallel()
	theirs, evil := newSite(t), newSite(t)
	d := startDemo(t, "allow_origin "+theirs.server.URL)
	d.showSDK(evil)
	tb := openTab(t, inWeChat, "CORS policy", brokenStream)
	tb.open(evil.server.URL + "/")
	if got := tb.hears(1); got.Name != "error" || got.Code != "NETWORK" {
		t.Errorf("the page is told %+v", got)
	}
	if got := tb.asks("getNetworkType"); !strings.HasSuffix(got, "permission denied") {
		t.Errorf("WeChat says %q", got)
	}

	// The relay's answer is what wx.config takes.
	var signed json.RawMessage
	d.call(http.MethodGet, "/v1/js-sdk?url="+url.QueryEscape(theirs.server.URL+"/"), "", http.StatusOK, &signed)
	config := `wx.config({ ...` + string(signed) + `, jsApiList: ['getNetworkType'] })`
	// The web view calls ready after a refusal too.
	judge := `(window.verdict = '', wx.error((e) => { verdict = e.errMsg; }), wx.ready(() => { verdict ||= 'ok'; }), ` + config + `, true)`
	tb.truth(judge)
	tb.until(`verdict !== ''`)
	if got := tb.text(`verdict`); got != "config:invalid signature" {
		t.Errorf("WeChat says %q to another page's signature", got)
	}

	// The same on the page that it is for is right.
	theirs.show(`<script src="` + d.sandbox + `/sandbox/js-sdk.js"></script>`)
	tb.open(theirs.server.URL + "/")
	tb.truth(judge)
	tb.until(`verdict !== ''`)
	if got := tb.text(`verdict`); got != "ok" {
		t.Errorf("WeChat says %q to the page's own signature", got)
	}
}

// Web views that go by another address than the script expects are tried with
// the other one, and a page without WeChat's script is told so.
func TestDemoJSSDKTriesBothAddresses(t *testing.T) {
	t.Parallel()
	theirs := newSite(t)
	d := startDemo(t, "allow_origin "+theirs.server.URL)
	for name, agent := range map[string]string{"Android by the landing address": weChatAgent, "an iPhone by the current one": iosWeChatAgent} {
		on := inWeChat
		on.agent = agent
		tb := openTab(t, on)
		// A stand-in that says how it compares, and always the other way.
		theirs.show(heardScript + `<script>
			window.configs = [];
			const calls = { ready: [], error: [] };
			window.wx = {
				config(options) {
					configs.push(options);
					const right = configs.length !== 2;
					calls.ready = []; calls.error = [];
					setTimeout(() => {
						if (!right) calls.error.forEach((call) => call({ errMsg: 'config:invalid signature' }));
						calls.ready.forEach((call) => call());
					});
				},
				ready(call) { calls.ready.push(call); },
				error(call) { calls.error.push(call); },
			};
		</script><script src="` + d.relay + `/v1/js-sdk.js" data-apis="getNetworkType"></script>`)
		tb.open(theirs.server.URL + "/a")
		tb.hears(1)
		tb.truth(`(history.pushState({}, '', '/b'), wxrelay.config(), true)`)
		want := theirs.server.URL + "/a"
		if agent == iosWeChatAgent {
			want = theirs.server.URL + "/b"
		}
		if got := tb.hears(2); got.Name != "ready" || got.URL != want || tb.number(`configs.length`) != 3 {
			t.Errorf("%s: the page is told %+v after %v tries, want ready for %s", name, got, tb.number(`configs.length`), want)
		}

		theirs.show(heardScript + `<script src="` + d.relay + `/v1/js-sdk.js" data-apis="getNetworkType"></script>`)
		tb.open(theirs.server.URL + "/")
		if got := tb.hears(1); got.Name != "error" || got.Code != "NO_WX" {
			t.Errorf("%s: a page without WeChat's script is told %+v", name, got)
		}
	}
}
