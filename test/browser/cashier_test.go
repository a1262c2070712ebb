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

// brokenStream is what the browser itself reports of a stream that is refused.
const brokenStream = "Failed to load resource"

var waiting = pages.Checkout{State: pages.StateWaitingNative, QRText: codeURL}

// paid is the status of a paid order, with the way back to the shop.
func paid(rl *relayStandIn) map[string]string {
	return map[string]string{"status": "paid", "return_url": rl.shop.URL + "/done?order_no=A000001024&status=paid&sig=fresh"}
}

// handTimers puts the page's intervals into the test's hands: ticks() runs
// each of them once. Only the way back to the shop uses any, so that a paid
// page stays until the test has looked at it.
const handTimers = `
	const held = new Map();
	window.setInterval = (f) => { held.set(held.size + 1, f); return held.size; };
	window.clearInterval = (id) => held.delete(id);
	window.ticks = () => { for (const f of [...held.values()]) f(); return held.size; };
`

func TestPaymentArrivesByStream(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	tb := openTab(t, phone)
	tb.beforeLoad(handTimers)
	tb.open(rl.page())
	tb.untilState("waiting_native")
	before := tb.number(`history.length`)
	rl.become(paid(rl))
	tb.untilState("paid")
	if got := tb.text(`document.getElementById('heading').textContent`); got != "支付成功" {
		t.Errorf("heading says %q", got)
	}
	if got := tb.text(`document.title`); got != "支付成功 · ¥128.80" {
		t.Errorf("title says %q", got)
	}
	if got := tb.text(`document.getElementById('live').textContent`); !strings.Contains(got, "支付成功") {
		t.Errorf("a screen reader hears %q", got)
	}
	if tb.truth(`[...document.querySelectorAll('.qr')].some((q) => q.checkVisibility())`) {
		t.Error("the code of a paid order is still shown")
	}
	tb.truth(`(ticks(), ticks(), ticks(), true)`)
	visit := rl.waitForVisit()
	if got, want := rl.shop.URL+visit.RequestURI, paid(rl)["return_url"]; got != want {
		t.Errorf("returned to %q, want %q", got, want)
	}
	if got := visit.Referer(); got != "" {
		t.Errorf("the shop learns the referrer %q (E13)", got)
	}
	tb.run(chromedp.WaitReady("#shop", chromedp.ByQuery))
	if got := tb.number(`history.length`); got != before {
		t.Errorf("history has %v entries, want %v: Back would lead to the paid cashier", got, before)
	}
	if len(rl.polls) != 0 {
		t.Errorf("%d plain requests beside a stream that works", len(rl.polls))
	}
}

func TestPaymentArrivesWithoutStream(t *testing.T) {
	t.Parallel()
	for name, streams := range map[string]http.HandlerFunc{
		"refused": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"of another type": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<p>a proxy's page"))
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("event: status\ndata: {\"status\":\"paying\"}\n\n"))
		},
		"held up": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"garbled": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = w.Write([]byte("event: status\ndata: {\"status\n\n"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rl := newRelay(t, waiting)
			rl.streams = streams
			tb := openTab(t, phone, brokenStream, "MIME type")
			tb.beforeLoad(handTimers)
			tb.open(rl.page())
			rl.waitForPoll()
			rl.become(paid(rl))
			tb.untilState("paid")
		})
	}
}

func TestUnsteadyLineIsTold(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	rl.streams = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	rl.refuse(true)
	tb := openTab(t, phone, brokenStream)
	tb.beforeLoad(handTimers)
	tb.open(rl.page())
	tb.until(`document.getElementById('offline').checkVisibility()`)
	tb.keep("offline-phone")
	rl.refuse(false)
	tb.until(`!document.getElementById('offline').checkVisibility()`)
	rl.become(paid(rl))
	tb.untilState("paid")
}

func TestPageLooksAgainWhenSeenAgain(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	tb := openTab(t, phone)
	tb.open(rl.page())
	tb.untilState("waiting_native")
	if !tb.truth(`document.dispatchEvent(new Event('visibilitychange'))`) {
		t.Fatal("the event was stopped")
	}
	rl.waitForPoll()
}

func TestBuyerMayStay(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	tb := openTab(t, phone)
	tb.beforeLoad(handTimers)
	tb.open(rl.page())
	rl.become(paid(rl))
	tb.untilState("paid")
	if got := tb.text(`document.getElementById('pause').textContent.trim()`); !strings.HasPrefix(got, "3 秒后自动返回商家") {
		t.Errorf("page says %q", got)
	}
	tb.run(chromedp.Click("#stay", chromedp.ByQuery))
	if got := tb.number(`ticks() + ticks() + ticks() + ticks()`); got != 0 {
		t.Errorf("%v timers run on", got)
	}
	if got := tb.text(`document.activeElement.id`); got != "return" {
		t.Errorf("focus is at %q, want the link to the shop", got)
	}
	tb.run(chromedp.Click("#return", chromedp.ByQuery))
	rl.waitForVisit()
}

// A page that is told of a payment by somebody who cannot give a good address
// goes nowhere (I02).
func TestReturnsToWebAddressesOnly_I02(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{
		"script": "javascript:document.body.dataset.state='owned'", "data": "data:text/html,x", "relative": "/evil", "none": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rl := newRelay(t, waiting)
			tb := openTab(t, phone)
			tb.beforeLoad(handTimers)
			tb.open(rl.page())
			rl.become(map[string]string{"status": "paid", "return_url": address})
			tb.untilState("paid")
			if tb.truth(`document.getElementById('return').checkVisibility()`) {
				t.Errorf("a link to %q is offered", address)
			}
			if got := tb.number(`ticks()`); got != 0 {
				t.Errorf("%v timers wait to leave for %q", got, address)
			}
		})
	}
}

func TestHostileTextStaysText_I01(t *testing.T) {
	t.Parallel()
	hostile := `<img src=x onerror="document.title='owned'"></script><script>document.title='owned'</script>`
	view := waiting
	view.Shop, view.Description, view.OrderNo = hostile, hostile, hostile
	rl := newRelay(t, view)
	tb := openTab(t, phone)
	tb.open(rl.page())
	tb.untilState("waiting_native")
	rl.become(map[string]string{"status": hostile, "return_url": hostile})
	rl.become(map[string]string{"status": "closed", "close_reason": hostile})
	tb.untilState("closed")
	if got := tb.number(`document.querySelectorAll('img').length`); got != 0 {
		t.Errorf("%v images on the page", got)
	}
	if got := tb.text(`document.title`); strings.Contains(got, "owned") {
		t.Errorf("title says %q", got)
	}
	if got := tb.text(`document.querySelector('.payee bdi').textContent`); !strings.HasPrefix(got, "<img src=x") {
		t.Errorf("payee is shown as %q", got)
	}
}

func TestTimeRunsOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		then map[string]string
		want string
	}{
		"expired":                     {map[string]string{"status": "expired"}, "expired"},
		"closed for being too late":   {map[string]string{"status": "closed", "close_reason": "expired"}, "expired"},
		"closed by the shop":          {map[string]string{"status": "closed", "close_reason": "requested"}, "closed"},
		"paid in the last moment":     {map[string]string{"status": "paid"}, "paid"},
		"paid and refunded meanwhile": {map[string]string{"status": "refunded"}, "refunded"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			view := waiting
			view.ExpiresAt = standInTime.Add(1500 * time.Millisecond)
			rl := newRelay(t, view)
			tb := openTab(t, phone)
			tb.beforeLoad(handTimers)
			tb.open(rl.page())
			// The page does not decide by itself that it is too late: it asks.
			tb.untilState("checking")
			rl.waitForPoll()
			if tb.truth(`document.querySelector('.qr').checkVisibility()`) {
				t.Error("a code that may be dead is still shown")
			}
			rl.become(tc.then)
			tb.untilState(tc.want)
		})
	}
}

func TestCountdownIgnoresThePhonesClock(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	tb := openTab(t, phone)
	tb.beforeLoad(`const real = Date.now; Date.now = () => real() - 20 * 365 * 86400e3`)
	tb.open(rl.page())
	tb.until(`/^2\d:\d\d$/.test(document.getElementById('time').textContent)`)
	if got := tb.text(`document.getElementById('time-label').textContent`); got != "剩余支付时间" {
		t.Errorf("the countdown is called %q", got)
	}
}

func TestH5LinkTellsWeChatTheOriginOnly_E13(t *testing.T) {
	t.Parallel()
	view := pages.Checkout{State: pages.StateWaitingH5}
	rl := newRelay(t, view)
	filled := rl.fill(view)
	filled.H5URL = rl.shop.URL + "/checkmweb?prepay_id=1"
	rl.view = func() pages.Checkout { return filled }
	tb := openTab(t, phone)
	tb.open(rl.page())
	tb.run(chromedp.Click("a.main[referrerpolicy]", chromedp.ByQuery))
	if got, want := rl.waitForVisit().Referer(), rl.server.URL+"/"; got != want {
		t.Errorf("referrer is %q, want %q", got, want)
	}
}

func TestPageAddressCanBeCopied(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, looks()["other"])
	tb := openTab(t, phone)
	tb.beforeLoad(`Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (s) => { window.copied = s; } } })`)
	tb.open(rl.page())
	tb.run(chromedp.Click("#copy", chromedp.ByQuery))
	tb.until(`document.getElementById('copy').textContent === '已复制'`)
	if got := tb.text(`window.copied`); got != looks()["other"].PageURL {
		t.Errorf("copied %q", got)
	}
}

// Without scripts the page shows all that is needed and looks again by itself.
func TestWorksWithoutScript(t *testing.T) {
	t.Parallel()
	rl := newRelay(t, waiting)
	bare := phone
	bare.noScript = true
	first, second := rl.fill(waiting), rl.fill(pages.Checkout{State: pages.StatePaid})
	loads := make(chan struct{}, 10)
	rl.view = func() pages.Checkout {
		loads <- struct{}{}
		if len(loads) == 1 {
			return first
		}
		return second
	}
	tb := openTab(t, bare)
	tb.open(rl.page())
	var text string
	tb.run(chromedp.Text("body", &text, chromedp.ByQuery))
	for _, want := range []string{"微信扫码支付", "128.80", "2026-11-22 14:29 北京时间"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q: %q", want, text)
		}
	}
	tb.keep("native-phone-noscript")
	tb.run(chromedp.WaitVisible("#return", chromedp.ByQuery))
	tb.run(chromedp.Text("body", &text, chromedp.ByQuery))
	if !strings.Contains(text, "支付成功") {
		t.Errorf("the page says %q after payment", text)
	}
}

// The other tests rely on complaints being heard.
func TestViolationsAreHeard(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		pages.SetHeaders(w.Header())
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<!DOCTYPE html><title>x</title><p style="color:red">x<script>document.title = 'owned'</script>`))
	}))
	t.Cleanup(server.Close)
	tb := openTab(t, phone, "CSP violation", "Content Security Policy", "favicon", brokenStream)
	heard := make(chan struct{}, 10)
	chromedp.ListenTarget(tb.context, func(event any) {
		if strings.Contains(describe(event), "CSP violation") {
			heard <- struct{}{}
		}
	})
	tb.open(server.URL)
	select {
	case <-heard:
	case <-tb.context.Done():
		t.Fatal("no violation was heard")
	}
	if got := tb.text(`document.title`); got != "x" {
		t.Errorf("an inline script ran: title is %q", got)
	}
}
