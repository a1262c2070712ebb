package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// jsSDKPage is a site's page that uses the JS-SDK by the relay's script, with
// the sandbox's stand-in for WeChat's.
const jsSDKPage = `<!doctype html><meta charset="utf-8"><title>page</title>
<script>
  window.heard = [];
  for (const name of ['ready', 'error']) {
    document.addEventListener('wxrelay:' + name, (e) => heard.push(name + ' ' + (e.detail.message || '')));
  }
</script>
<script src="%[1]s/sandbox/js-sdk.js"></script>
<script src="%[2]s/v1/js-sdk.js" data-apis="getNetworkType"></script>
<p>page</p>`

// A page's wx.config is taken by who checks signatures as WeChat does, at
// the landing address and after the page has changed its address itself.
func TestDemoJSSDK(t *testing.T) {
	t.Parallel()
	var html atomic.Value
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/favicon.ico" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, html.Load().(string))
	}))
	defer site.Close()
	d := startDemo(t, "allow_origin "+site.URL)
	html.Store(fmt.Sprintf(jsSDKPage, d.sandbox, d.relay))
	iOS := inWeChat
	iOS.agent = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.49"
	for name, on := range map[string]device{"Android": inWeChat, "iOS": iOS} {
		tb := openTab(t, on)
		tb.open(site.URL + "/book?a=%E4%B8%AD&b=1#part")
		tb.until(`heard.length === 1`)
		if got := tb.text(`heard[0]`); got != "ready " {
			t.Errorf("%s: the page heard %q", name, got)
		}
		tb.truth(`(wx.getNetworkType({ success: (r) => heard.push(r.errMsg), fail: (r) => heard.push(r.errMsg) }), true)`)
		tb.truth(`(wx.updateTimelineShareData({ fail: (r) => heard.push(r.errMsg) }), true)`)
		if got := tb.text(`heard.slice(1).join()`); got != "getNetworkType:ok,updateTimelineShareData:permission denied" {
			t.Errorf("%s: the calls say %q", name, got)
		}
		tb.truth(`(history.pushState({}, '', '/other?c=2'), heard.length = 0, wxrelay.config(['getNetworkType']), true)`)
		tb.until(`heard.length === 1`)
		if got := tb.text(`heard[0]`); got != "ready " {
			t.Errorf("%s: after pushState the page heard %q", name, got)
		}
	}
}
