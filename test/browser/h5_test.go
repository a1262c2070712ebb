package browser

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// h5Server stands in for WeChat's middle page and tells who linked to it.
func h5Server(t *testing.T) (address string, referers chan string) {
	t.Helper()
	referers = make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><title>WeChat</title><link rel="icon" href="data:,"><p id="middle">opening WeChat`))
		referers <- r.Referer()
	}))
	t.Cleanup(server.Close)
	return server.URL + "/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2", referers
}

// WeChat opens only for a link from the registered domain, and the name of
// the page must not leave the relay: the link tells the origin and no more.
func TestH5LinkTellsTheOriginOnly_E13(t *testing.T) {
	t.Parallel()
	for name, noScript := range map[string]bool{"with scripts": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			middle, referers := h5Server(t)
			rl := newRelay(t, pages.Checkout{State: pages.StateWaitingH5, H5URL: middle})
			bare := phone
			bare.noScript = noScript
			tb := openTab(t, bare)
			tb.open(rl.page())
			tb.run(chromedp.Click("#wechat", chromedp.ByQuery), chromedp.WaitReady("#middle", chromedp.ByQuery))
			if got, want := <-referers, rl.server.URL+"/"; got != want {
				t.Errorf("WeChat is told the referrer %q, want %q", got, want)
			}
		})
	}
}

// hurry shortens the page's patience, so that no test waits for it.
const hurry = `{
	const real = window.setTimeout;
	window.setTimeout = (f, ms, ...rest) => real(f, ms >= 3000 ? 0 : ms, ...rest);
}`

// loads counts how often the page of a stand-in is opened.
func (rl *relayStandIn) loads(views ...pages.Checkout) chan struct{} {
	for i := range views {
		views[i] = rl.fill(views[i])
	}
	loaded, n := make(chan struct{}, 100), 0
	rl.view = func() pages.Checkout {
		rl.mu.Lock()
		defer rl.mu.Unlock()
		v := views[min(n, len(views)-1)]
		n++
		loaded <- struct{}{}
		return v
	}
	return loaded
}

func wait(t *testing.T, loaded chan struct{}, what string) {
	t.Helper()
	select {
	case <-loaded:
	case <-time.After(tabLimit):
		t.Fatalf("the page was never loaded: %s", what)
	}
}

// A buyer who switches back from WeChat to the very page is asked whether he
// paid, and the page is loaded again, which makes the server ask WeChat.
func TestH5BuyerSwitchesBack(t *testing.T) {
	t.Parallel()
	middle, _ := h5Server(t)
	rl := newRelay(t, pages.Checkout{})
	loaded := rl.loads(
		pages.Checkout{State: pages.StateWaitingH5, H5URL: middle},
		pages.Checkout{State: pages.StateReturned, H5URL: middle},
	)
	tb := openTab(t, outsideWeChat)
	// WeChat opens above the browser: the page stays where it is.
	tb.beforeLoad(handTimers + hurry + `addEventListener('click', (e) => { if (e.target.id === 'wechat') e.preventDefault(); });`)
	tb.open(rl.page())
	wait(t, loaded, "at first")
	tb.untilState("waiting_h5")
	tb.click("#wechat")
	tb.truth(`(dispatchEvent(new Event('pageshow')), true)`)
	wait(t, loaded, "after the buyer came back")
	tb.arrive(`body[data-state="returned"]`)
	if got := tb.says("#heading"); got != "支付完成了吗？" {
		t.Errorf("the page asks %q", got)
	}
	if !tb.truth(`document.getElementById('paid').checkVisibility() && document.getElementById('wechat').checkVisibility()`) {
		t.Error("the buyer can neither say that he paid nor pay")
	}
	tb.keep("h5-returned-live")
	rl.become(paid(rl))
	tb.untilState("paid")
	if tb.truth(`document.getElementById('wechat').checkVisibility() || document.getElementById('paid').checkVisibility()`) {
		t.Error("a paid order can be paid again")
	}
}

// A link that has run out is replaced before anybody follows it.
func TestH5LinkIsRenewed(t *testing.T) {
	t.Parallel()
	middle, _ := h5Server(t)
	rl := newRelay(t, pages.Checkout{})
	loaded := rl.loads(
		pages.Checkout{State: pages.StateWaitingH5, H5URL: middle, H5Until: standInTime}, // over
		pages.Checkout{State: pages.StateWaitingH5, H5URL: middle + "&fresh=1"},
	)
	tb := openTab(t, phone)
	tb.beforeLoad(`{ // a clock that has gone on when it is looked at again
		const real = Date.now, step = 1e6;
		let looks = 0;
		Date.now = () => real() + step * looks++;
	}` + hurry)
	tb.open(rl.page())
	wait(t, loaded, "at first")
	wait(t, loaded, "when the link ran out")
	tb.arrive(`#wechat[href$="fresh=1"]`)
}

// Where no script runs, the buyer who came back can say that he paid.
func TestH5WithoutScript(t *testing.T) {
	t.Parallel()
	middle, _ := h5Server(t)
	rl := newRelay(t, pages.Checkout{})
	rl.loads(
		pages.Checkout{State: pages.StateReturned, H5URL: middle},
		pages.Checkout{State: pages.StatePaid},
	)
	bare := phone
	bare.noScript = true
	tb := openTab(t, bare)
	tb.open(rl.page())
	var text string
	tb.run(chromedp.Text("body", &text, chromedp.ByQuery))
	if !strings.Contains(text, "支付完成了吗") || !strings.Contains(text, "我已完成支付") {
		t.Errorf("the page says %q", text)
	}
	tb.run(chromedp.Click("#paid", chromedp.ByQuery), chromedp.WaitVisible("#return", chromedp.ByQuery))
}
