package main

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestZones: whatever zone the relay's machine is in, times that WeChat
// writes without an offset (v2.md section 2) are Beijing's, and clients read
// RFC 3339.
func TestZones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"UTC", "Asia/Shanghai", "America/Los_Angeles", "Asia/Kathmandu"} {
		for _, generation := range []string{"api_v2", "api_v3"} {
			t.Run(zone+" "+generation, func(t *testing.T) {
				t.Parallel()
				if _, err := time.LoadLocation(zone); err != nil {
					t.Skipf("this machine has no zone data: %v", err)
				}
				w := newWechat(t, 0.05)
				l := newLayout(t)
				l.zone = zone
				l.write(t, &setup{
					platform: w.url, merchant: "{\n\t\t\tprefer " + generation + "\n\t\t}", bookshop: "allow native refund",
				})
				s := l.start(t)
				began := time.Now().Truncate(time.Second)
				s.paid(t, "Z000000001", "")
				var refund struct {
					Status      string `json:"status"`
					SucceededAt string `json:"succeeded_at"`
				}
				s.shop.call(t, "POST", "/v1/orders/Z000000001/refunds", `{"refund_no":"ZR1","amount":40}`, http.StatusCreated, nil)
				eventually(t, "the refund", func() error {
					s.shop.call(t, "GET", "/v1/refunds/ZR1", "", http.StatusOK, &refund)
					if refund.Status != "succeeded" {
						return errors.New("is under way")
					}
					return nil
				})
				var order struct {
					CreatedAt string `json:"created_at"`
					ExpiresAt string `json:"expires_at"`
					PaidAt    string `json:"paid_at"`
				}
				s.shop.call(t, "GET", "/v1/orders/Z000000001", "", http.StatusOK, &order)
				ended := time.Now()
				for what, text := range map[string]string{
					"created_at": order.CreatedAt, "paid_at": order.PaidAt, "succeeded_at": refund.SucceededAt,
				} {
					at, err := time.Parse(time.RFC3339, text)
					if err != nil || at.Before(began) || at.After(ended) || !strings.HasSuffix(text, "+08:00") {
						t.Errorf("%s = %q (%v), want a time in Beijing between %s and %s", what, text, err, began, ended)
					}
				}
			})
		}
	}
}
