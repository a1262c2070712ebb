package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestAnomalies lets WeChat, buyers and attackers do what they should not.
// Nothing that is not WeChat's is believed, and no money is lost sight of.
func TestAnomalies(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	s := start(t, setup{receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"})
	buy := func(orderNo string) {
		t.Helper()
		s.shop.order(t, orderNo, "")
		s.pay(t, `{"code_url":"`+s.shop.native(t, orderNo).CodeURL+`"}`)
	}

	s.fault(t, `{"faults":[{"fault":"forged"},{"fault":"tampered"},{"fault":"stale"},{"fault":"probe"},{"fault":"unknown_event"},{"fault":"doubled"}]}`)
	buy("X000000001")
	s.shop.awaitStatus(t, "X000000001", "paid")
	if log := get(t, s.http, s.platform+"/sandbox/notifications", desktopAgent); strings.Contains(string(log.body), `"fooled": true`) || !strings.Contains(string(log.body), `"forged"`) {
		t.Errorf("an attacker was believed, or never came: %s", log)
	}

	s.fault(t, `{"fault":"wrong_amount","amount":7}`)
	buy("X000000002")
	s.awaitCase(t, "X000000002", "amount_mismatch", "paying")

	s.shop.order(t, "X000000003", "")
	p := s.shop.native(t, "X000000003")
	s.shop.call(t, "POST", "/v1/orders/X000000003/close", "", http.StatusOK, nil)
	// WeChat's time of payment has whole seconds; one that is not after the
	// close counts as made before it.
	<-time.NewTimer(time.Until(time.Now().Truncate(time.Second).Add(time.Second))).C
	s.pay(t, `{"out_trade_no":"`+p.OutTradeNo+`","force":true}`)
	s.awaitCase(t, "X000000003", "paid_after_close", "closed")

	var got []string
	for _, e := range s.shop.allEvents(t) {
		got = append(got, e.Data.OrderNo+" "+e.Type)
		s.shop.awaitDelivery(t, e.ID, "delivered")
	}
	want := "X000000001 order.paid, X000000002 order.anomaly, X000000003 order.closed, X000000003 order.anomaly"
	if strings.Join(got, ", ") != want {
		t.Errorf("events = %s, want %s", strings.Join(got, ", "), want)
	}
}

// awaitCase waits until an order has a case and checks what became of it.
func (s *server) awaitCase(t *testing.T, orderNo, kind, status string) {
	t.Helper()
	eventually(t, "the case of "+orderNo, func() error {
		v := s.shop.view(t, orderNo)
		if v.Case == nil || v.Case.Kind != kind {
			return fmt.Errorf("order is %+v", v)
		}
		if v.Status != status {
			t.Errorf("%s is %s, want %s", orderNo, v.Status, status)
		}
		return nil
	})
}

// TestLostNotification_A18: a payment of which WeChat never tells is found by
// asking.
func TestLostNotification_A18(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	s.fault(t, `{"fault":"lost","times":16}`)
	s.shop.order(t, "X000000004", "")
	s.pay(t, `{"code_url":"`+s.shop.native(t, "X000000004").CodeURL+`"}`)
	if v := s.shop.view(t, "X000000004"); v.Status != "paying" {
		t.Errorf("order = %+v, want it not to know", v)
	}
	var v orderJSON
	s.shop.call(t, "GET", "/v1/orders/X000000004?refresh=true", "", http.StatusOK, &v)
	if v.Status != "paid" || len(eventsOf(s.shop.allEvents(t), "X000000004")) != 1 {
		t.Errorf("order = %+v, want it paid with one event", v)
	}
}
