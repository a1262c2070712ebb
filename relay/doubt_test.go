package relay_test

import (
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestRefusalAfterDoubt_C09: the first call for a refund was tried twice; the
// first try took effect unheard and the second was refused for good. Were the
// refund called a failure, its client would order the money a second time.
func TestRefusalAfterDoubt_C09(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), mayRefund)
	key, p := b.paidOrder("A000000001")
	b.wechat.lose(&relay.GatewayError{Op: "refund", HTTPStatus: 400, Code: "INVALID_REQUEST", Repeat: true})
	r := b.giveBack(key, "R1", 60)
	if r.Status != relay.RefundProcessing || r.RefundID == "" {
		t.Errorf("refund = %+v, want it on its way as WeChat says when asked", r)
	}
	if _, _, err := b.CreateRefund(t.Context(), b.caller(b.client), key.OrderNo, wantRefund("R2", 60)); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("the same money again: %v, want KindAmountExceeded", err)
	}
	if sum := b.wechat.givenBack(p.OutTradeNo); sum != 60 {
		t.Errorf("WeChat gives %d fen back, want 60", sum)
	}
}

// TestRefusalNobodyHeardOf: whatever WeChat calls a refund that it has not, its
// refusal of the repeat is final then, and the money is free.
func TestRefusalNobodyHeardOf(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"REFUNDNOTEXIST", "REFUND_NOT_EXISTS", "RESOURCE_NOT_EXISTS"} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, memstore.New(), mayRefund)
			key, _ := b.paidOrder("A000000001")
			b.wechat.fail = map[string]error{
				"refund":       &relay.GatewayError{Op: "refund", HTTPStatus: 403, Code: "NO_AUTH", Repeat: true},
				"query_refund": &relay.GatewayError{Op: "query_refund", HTTPStatus: 404, Code: code},
			}
			if r := b.giveBack(key, "R1", 60); r.Status != relay.RefundFailed || r.FailCode != "NO_AUTH" {
				t.Errorf("refund = %+v, want it refused", r)
			}
		})
	}
}

// TestSplitAfterDoubt_C09: a split took effect, but the relay ended before it
// could note that, or heard only of a refused repeat. It asks before it takes
// the shared money for free.
func TestSplitAfterDoubt_C09(t *testing.T) {
	t.Parallel()
	refusal := relay.GatewayError{Op: "split", HTTPStatus: 400, Code: "INVALID_REQUEST"}
	t.Run("a repeat within the call", func(t *testing.T) {
		t.Parallel()
		s := newSharing(t, memstore.New(), 2*time.Minute)
		repeat := refusal
		repeat.Repeat = true
		s.w.splitDone = &repeat
		if v := s.mustSplit(splitOf("S1", partFor("1900000300", 20))); v.Status != relay.SplitProcessing {
			t.Errorf("split = %+v, want what WeChat says when asked", v)
		}
	})
	t.Run("a crash after the call", func(t *testing.T) {
		t.Parallel()
		s := newSharing(t, memstore.New(), 2*time.Minute)
		s.mustSplit(splitOf("S1", partFor("1900000300", 20)))
		s.crashed("S1")
		s.wechat.failing("split", &refusal)
		s.later(time.Minute)
		if v := s.shown("S1"); v.Status != relay.SplitProcessing || v.FailCode != "" {
			t.Errorf("split = %+v, want what WeChat says when asked", v)
		}
	})
}

// crashed takes back what the relay noted of WeChat's answer to a split.
func (s *sharing) crashed(no string) {
	s.t.Helper()
	sp := s.stored(no)
	sp.WeChatID, sp.Calls = "", 0
	if err := s.rt.Store().Update(s.t.Context(), func(tx relay.Tx) error { return tx.PutSplit(&sp) }); err != nil {
		s.t.Fatal(err)
	}
}
