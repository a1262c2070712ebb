package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// openPhone opens the buyer's phone in a window of its own.
func (d *demo) openPhone(on device, expected ...string) *tab {
	d.t.Helper()
	tb := openTab(d.t, on, expected...)
	tb.open(d.sandbox + "/sandbox")
	tb.untilSays(`[data-live="/sandbox/live"]`, "Notifications")
	return tb
}

// The buyer uses the sandbox's phone page by hand, beside the cashier.
func TestDemoPhonePaysFromItsList(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	phone := d.openPhone(desktop)
	phone.look("phone-empty")
	cashier := openTab(t, desktop)
	d.buy(cashier, "tea", "waiting_native")

	phone.until(`document.querySelectorAll('[data-live] button[value="cancel"]').length === 1`)
	phone.look("phone-order")
	phone.press(`[data-live] button[value="cancel"]`, `[data-live] button[value="success"]`)
	if got := cashier.text(`document.body.dataset.state`); got != "waiting_native" {
		t.Errorf("the cashier of a buyer who cancelled is %q", got)
	}
	phone.run(chromedp.SetValue(`select[name="user"]`, phone.text(`document.querySelectorAll('select[name="user"] option')[1].value`), chromedp.ByQuery))
	second := phone.text(`document.querySelector('select[name="user"]').selectedOptions[0].textContent`)
	phone.press(`form[action="/sandbox/user"] button`, `[data-live] button[value="success"]`)
	if got := phone.text(`document.querySelector('select[name="user"]').selectedOptions[0].textContent`); got != second {
		t.Errorf("the phone is in the hands of %q, want %q", got, second)
	}
	phone.press(`[data-live] button[value="success"]`, `[data-live] td .good`)
	cashier.arrive(`main a[href="/shop/orders"].main`)
	phone.untilSays(`[data-live]`, "SUCCESS")
	if got := phone.says(`[data-live] td .good`); got != "204" {
		t.Errorf("the relay answered the notification with %q", got)
	}
	if phone.truth(`document.querySelector('[data-live] button[value="success"], [data-live] button[value="cancel"]') !== null`) {
		t.Error("a paid order can be paid again")
	}
	phone.look("phone-paid")
}

func TestDemoPhonePaysByPastedCode(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	cashier := openTab(t, desktopZH)
	d.buy(cashier, "book", "waiting_native")
	code := scan(t, cashier.shoot())
	paste := func(tb *tab, next string) {
		tb.run(chromedp.SendKeys(`#code_url`, code, chromedp.ByQuery))
		tb.press(`form.stack[action="/sandbox/pay"] button.main`, next)
	}
	paste(d.openPhone(desktop), `[data-live] td .good`)
	cashier.arrive(`main a[href="/shop/orders"].main`)

	late := d.openPhone(desktop, brokenStream)
	paste(late, `main.narrow h1`)
	if got := late.says(`section.card p`); !strings.Contains(got, "paid") {
		t.Errorf("a code that was paid leads to %q", got)
	}
	late.look("phone-paid-twice")
}

// What the panel arranges goes wrong, and the relay refuses it.
func TestDemoPhoneArrangesAFault(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	phone := d.openPhone(desktop)
	phone.run(chromedp.SetValue(`select[name="fault"]`, "forged", chromedp.ByQuery))
	phone.press(`form.stack[action="/sandbox/faults"] button`, `[data-live] section:last-child code`)
	if got := phone.says(`[data-live] section:last-child p`); !strings.HasPrefix(got, "forged × 1") {
		t.Errorf("the fault that was arranged is shown as %q", got)
	}
	cashier := openTab(t, desktop)
	d.buy(cashier, "tea", "waiting_native")
	d.pay(fmt.Sprintf(`{"code_url":%q}`, scan(t, cashier.shoot())))
	cashier.arrive(`main a[href="/shop/orders"].main`)
	phone.untilSays(`[data-live] table`, "forged")
	if phone.truth(`document.querySelector('[data-live]').textContent.includes('had to refuse')`) {
		t.Error("the relay took a forged notification")
	}
	phone.look("phone-forged")
}

// Sandbox and shop are used from another machine, a real phone say: their
// forms are their own there too, and those of other sites are not (I10).
func TestDemoFromAnotherMachine_I10(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	port := d.sandbox[strings.LastIndex(d.sandbox, ":")+1:]
	d.sandbox = elsewhere(port)
	cashier := openTab(t, desktop)
	d.buy(cashier, "tea", "waiting_native")
	phone := d.openPhone(desktop)
	phone.until(`document.querySelector('[data-live] button[value="success"]') !== null`)
	phone.press(`[data-live] button[value="success"]`, `[data-live] td .good`)
	cashier.arrive(`main a[href="/shop/orders"].main`)

	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<!DOCTYPE html><link rel="icon" href="data:,"><form method="post" action="%s/shop/switch"><button name="down" value="true">x</button></form>`, d.sandbox)
	}))
	t.Cleanup(evil.Close)
	victim := openTab(t, desktop, brokenStream)
	victim.open(evil.URL)
	victim.press("button", "pre")
	if got := victim.says("pre"); !strings.Contains(got, "cross-origin request") {
		t.Errorf("a form of another site is answered %q", got)
	}
}
