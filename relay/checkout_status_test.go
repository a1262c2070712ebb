package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestCheckoutStatusWhenTimeIsOver: a page that waits is told of the end once
// it is certain, with the way back to the shop, and not a moment earlier.
func TestCheckoutStatusWhenTimeIsOver(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		paidLate bool
		want     string
	}{
		"nobody paid":             {false, "expired"},
		"paid in the last moment": {true, "paid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New())
			token := b.token("A000000001")
			b.open(token, relay.SurroundDesktop, "")
			b.clock = time.Now().Add(3 * time.Hour)
			status, err := b.CheckoutStatus(t.Context(), token)
			if err != nil || status.Final() || status.ReturnURL != "" {
				t.Fatalf("before WeChat was asked the status is %+v, %v; want to wait", status, err)
			}
			if tc.paidLate {
				key := relay.OrderKey{ClientID: b.client.ID, OrderNo: "A000000001"}
				if err := b.notify(b.wechat.paid(b.view(key).Payments[0].OutTradeNo, b.clock.Add(-61*time.Minute))); err != nil {
					t.Fatal(err)
				}
			}
			b.rt.SweepExpired(t.Context())
			status, err = b.CheckoutStatus(t.Context(), token)
			if err != nil || status.Status != tc.want || !status.Final() || !strings.Contains(status.ReturnURL, "&sig=") {
				t.Errorf("afterwards the status is %+v, %v; want %s and a way back", status, err, tc.want)
			}
		})
	}
}
