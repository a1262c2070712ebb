package browser

import (
	"io"
	"net/http"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// sandboxBridge is the script that gives a browser the sandbox's payment
// window in place of WeChat's.
func (d *demo) sandboxBridge() string {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), http.MethodGet, d.sandbox+"/sandbox/bridge.js", http.NoBody)
	if err != nil {
		d.t.Fatal(err)
	}
	answer, err := demoHTTP.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	script, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("the bridge = %d, %v", answer.StatusCode, err)
	}
	return string(script)
}

// popup is the window that an action makes the tab open.
func (tb *tab) popup(action func()) *tab {
	tb.t.Helper()
	opened := chromedp.WaitNewTarget(tb.context, func(i *target.Info) bool { return i.Type == "page" })
	action()
	select {
	case id := <-opened:
		ctx, cancel := chromedp.NewContext(tb.context, chromedp.WithTargetID(id))
		tb.t.Cleanup(cancel)
		window := &tab{t: tb.t, context: ctx, device: tb.device}
		chromedp.ListenTarget(ctx, window.listen)
		tb.t.Cleanup(window.check)
		window.run()
		return window
	case <-tb.context.Done():
		tb.t.Fatal("no window was opened")
		return nil
	}
}

// The sandbox's payment window stands in for WeChat's sheet where a page is
// looked at in a browser. Windows that nobody clicked for are blocked, so the
// cashier, which asks by itself, is told of a failure first.
func TestDemoPaymentWindow(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, inWeChat)
	tb.beforeLoad(d.sandboxBridge())
	tb.beforeLoad(handTimers)
	d.buy(tb, "tea", "failed")
	tb.look("jsapi-failed")

	window := tb.popup(func() { tb.click("#pay") })
	window.arrive(`button[value="cancel"]`)
	window.look("sheet")
	window.press(`button[value="cancel"]`, `#back`)
	tb.untilState("cancelled")

	// The window that is still open is used again.
	tb.click("#pay")
	window.arrive(`button[value="pay"]`)
	window.press(`button[value="pay"]`, `#back`)
	if got := window.text(`document.querySelector('h1').dataset.result`); got != "get_brand_wcpay_request:ok" {
		t.Errorf("the payment window tells the page %q", got)
	}
	window.look("sheet-paid")
	tb.untilState("paid")
}
