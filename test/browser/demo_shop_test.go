package browser

import (
	"net/http"
	"strings"
	"testing"
)

// A shop that is down is told again later, or at once when it asks for it.
func TestDemoShopIsDownAndComesBack(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	tb := openTab(t, desktop)
	d.openOrders(tb, "No orders yet.")
	tb.look("orders-none")
	tb.press(`button[name="down"][value="true"]`, `button[name="down"][value="false"]`)

	d.buy(tb, "stamp", "waiting_native")
	d.pay(`{"code_url":"` + scan(t, tb.shoot()) + `"}`)
	tb.arrive(`main a[href="/shop/orders"].main`)
	if got := tb.says(`section.card`); !strings.Contains(got, "Waiting for the notification") {
		t.Errorf("a shop that was not told says %q", got)
	}
	tb.look("return-waiting")
	d.openOrders(tb, "the relay tries again at")
	if got := tb.says(`[data-live] td.answer`); got != "503" {
		t.Errorf("the shop that is down answered %q", got)
	}
	if got := tb.says(`[data-live] h2`); !strings.HasSuffix(got, "unpaid") {
		t.Errorf("the shop that is down says %q", got)
	}
	tb.look("orders-down")

	event := tb.says(`[data-live] td code`)
	var told struct {
		Delivery struct {
			Status        string `json:"status"`
			NextAttemptAt string `json:"next_attempt_at"`
			Attempts      []struct {
				HTTPStatus int `json:"http_status"`
			} `json:"attempts"`
		} `json:"delivery"`
	}
	d.call(http.MethodGet, "/v1/events/"+event, "", http.StatusOK, &told)
	if a := told.Delivery.Attempts; len(a) != 1 || a[0].HTTPStatus != http.StatusServiceUnavailable || told.Delivery.Status != "pending" {
		t.Errorf("the relay says of its delivery %+v", told.Delivery)
	}

	tb.press(`button[name="down"][value="false"]`, `button[name="down"][value="true"]`)
	d.call(http.MethodPost, "/v1/events/"+event+"/deliver", "", http.StatusAccepted, nil)
	tb.untilSays(`[data-live]`, "¥0.01 · paid")
	if got := tb.text(`[...document.querySelectorAll('td.answer')].map((a) => a.textContent).join()`); got != "204,503" {
		t.Errorf("the shop answered %s, newest first", got)
	}
	if tb.truth(`document.querySelector('[data-live]').textContent.includes('tries again')`) {
		t.Error("the page still announces another attempt")
	}
	tb.look("orders-back")
}
