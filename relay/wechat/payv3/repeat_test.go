package payv3

import (
	"errors"
	"testing"
	"testing/synctest"
)

// TestClientRepeat_C09: a refusal after a try without an answer says so, for
// that try may have moved the money.
func TestClientRepeat_C09(t *testing.T) {
	t.Parallel()
	testKeys()
	final := unsigned(400, `{"code":"INVALID_REQUEST"}`)
	for name, tt := range map[string]struct {
		steps  []step
		repeat bool
	}{
		"first try":             {[]step{final}, false},
		"after a lost answer":   {[]step{hang, final}, true},
		"after a broken answer": {[]step{refuse, final}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := scripted(t, tt.steps...)
				_, _, err := c.Refund(t.Context(), &RefundRequest{
					OutTradeNo: "A000000001", OutRefundNo: "R1", Amount: RefundRequestAmount{Refund: 30, Total: 100, Currency: "CNY"},
				})
				refused, ok := errors.AsType[*APIError](err)
				if !ok || refused.Repeat != tt.repeat {
					t.Errorf("Refund = %v, want a refusal with Repeat %t", err, tt.repeat)
				}
			})
		})
	}
}
