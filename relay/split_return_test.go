package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func TestSplitReturns(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.results["1900000300"], s.w.results["1900000301"] = relay.ShareSuccess, relay.ShareClosed
	person := relay.SplitReceiverRequest{Type: relay.ReceiverOpenID, Account: "1900000302", Amount: 5, Description: "part"}
	s.w.results["1900000302"] = relay.ShareSuccess
	s.mustSplit(splitOf("S1", partFor("1900000300", 30), partFor("1900000301", 10), person))
	back := func(no, account string, fen int64) (relay.SplitReturnView, bool, error) {
		return s.ReturnSplit(t.Context(), s.caller(s.client), "S1", relay.SplitReturnRequest{ReturnNo: no, Account: account, Amount: fen, Description: "back"})
	}
	for name, tt := range map[string]struct {
		no, account string
		fen         int64
		kind        relay.Kind
	}{
		"more than was given":    {"B1", "1900000300", 31, relay.KindAmountExceeded},
		"of one who got nothing": {"B1", "1900000301", 1, relay.KindAmountExceeded},
		"of a stranger":          {"B1", "1900000309", 1, relay.KindAmountExceeded},
		"of a person":            {"B1", "1900000302", 1, relay.KindAmountExceeded},
		"of an openid":           {"B1", "o-person", 1, relay.KindParam},
		"nothing":                {"B1", "1900000300", 0, relay.KindParam},
		"without number":         {"", "1900000300", 1, relay.KindParam},
	} {
		if v, _, err := back(tt.no, tt.account, tt.fen); kindOf(err) != tt.kind {
			t.Errorf("%s: %+v, %v, want kind %d", name, v, err, tt.kind)
		}
	}
	v, made, err := back("B1", "1900000300", 20)
	if err != nil || !made || v.Status != relay.ReturnProcessing || v.SplitNo != "S1" {
		t.Fatalf("return = %+v, made %t, %v", v, made, err)
	}
	if again, made, err := back("B1", "1900000300", 20); err != nil || made || again != v {
		t.Errorf("repeat = %+v, made %t, %v", again, made, err)
	}
	if _, _, err := back("B1", "1900000300", 19); kindOf(err) != relay.KindSplitConflict {
		t.Errorf("other content: %v", err)
	}
	if _, _, err := back("B2", "1900000300", 11); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("more than is left while one is on its way: %v", err)
	}
	s.w.back = relay.ReturnSucceeded
	s.later(time.Minute)
	if got := s.shown("S1"); got.Returns[0].Status != relay.ReturnSucceeded || len(s.w.returns) != 1 {
		t.Errorf("done: %+v", got.Returns)
	}
	s.w.fail["return_split"] = &relay.GatewayError{Op: "return_split", HTTPStatus: 403, Code: "NOT_ENOUGH"}
	if _, _, err := back("B3", "1900000300", 10); kindOf(err) != relay.KindUpstream {
		t.Errorf("refused return: %v", err)
	}
	delete(s.w.fail, "return_split")
	if v, _, err := back("B4", "1900000300", 10); err != nil || v.Status != relay.ReturnSucceeded {
		t.Errorf("after a refused one the money can still come back: %+v, %v", v, err)
	}
	if got := s.shown("S1"); len(got.Returns) != 3 || got.Returns[1].Status != relay.ReturnFailed || got.Returns[1].FailReason != "NOT_ENOUGH" {
		t.Errorf("returns %+v", got.Returns)
	}
	s.clock = s.now().Add(181 * 24 * time.Hour)
	if _, _, err := back("B5", "1900000300", 1); kindOf(err) != relay.KindOrderConflict {
		t.Errorf("after 180 days: %v", err)
	}
}

// TestRefundOfSharedMoney_C09: what receivers have does not go back to the
// buyer before it came back from them, and what goes back to the buyer is not
// shared.
func TestRefundOfSharedMoney_C09(t *testing.T) {
	t.Parallel()
	s := newSharing(t, memstore.New(), time.Hour)
	s.w.results["1900000300"], s.w.back = relay.ShareSuccess, relay.ReturnSucceeded
	s.mustSplit(splitOf("S1", partFor("1900000300", 30)))
	number := 0
	refund := func(fen int64) error {
		number++
		return s.rt.Store().Update(t.Context(), func(tx relay.Tx) error {
			o, err := tx.Order(relay.OrderKey{ClientID: s.client.ID, OrderNo: "A000000001"})
			if err != nil {
				return err
			}
			p, err := tx.Payment(relay.PaymentKey{MchID: o.MchID, OutTradeNo: o.PaidBy})
			if err != nil {
				return err
			}
			r := &relay.Refund{RefundKey: relay.RefundKey{OutRefundNo: fmt.Sprint("out", number)}, RefundNo: fmt.Sprint("R", number), Source: relay.RefundByClient, AmountFen: fen}
			if err := s.ReserveRefund(tx, &p, &o, r); err != nil {
				return err
			}
			return errors.Join(tx.PutOrder(&o), tx.PutPayment(&p))
		})
	}
	err := refund(80)
	if kindOf(err) != relay.KindAmountExceeded || !strings.Contains(err.Error(), "return 10 fen from the receivers first") {
		t.Errorf("refund of shared money: %v", err)
	}
	if err := refund(50); err != nil {
		t.Fatalf("refund of what nobody has: %v", err)
	}
	if _, _, err := s.split(splitOf("S2", partFor("1900000301", 21))); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("split of refunded money: %v", err)
	}
	if err := refund(21); kindOf(err) != relay.KindAmountExceeded {
		t.Errorf("refund of shared money: %v", err)
	}
	if _, _, err := s.ReturnSplit(t.Context(), s.caller(s.client), "S1", relay.SplitReturnRequest{ReturnNo: "B1", Account: "1900000300", Amount: 30, Description: "back"}); err != nil {
		t.Fatal(err)
	}
	if err := refund(50); err != nil {
		t.Errorf("refund after the return: %v", err)
	}
}
