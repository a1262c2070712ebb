package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// TestDeliveryGet tells in the seed's form: parameters signed by the v2 rule,
// and nothing but the word is success.
func TestDeliveryGet(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	shopSide.answers(func(w http.ResponseWriter) { fmt.Fprint(w, " Success\n") })
	s := start(t, setup{receiver: shopSide.url, app: "allow_networks 127.0.0.0/8", bookshop: "notify get"})
	e := s.paid(t, "G000000001", `,"attach":"a b+c&d=茶"`)
	n := shopSide.await(t, 1)
	if err := checkGet(&n, shopNotify); err != nil {
		t.Errorf("the notification: %v", err)
	}
	for name, want := range map[string]string{
		"client_id": shopID, "event": "order.paid", "event_id": e.ID, "order_no": "G000000001", "out_trade_no": e.Data.OutTradeNo,
		"transaction_id": e.Data.TransactionID, "amount": "100", "currency": "CNY", "status": "paid", "paid_at": e.Data.PaidAt,
		"attach": "a b+c&d=茶",
	} {
		if n.query[name] != want {
			t.Errorf("%s = %q, want %q", name, n.query[name], want)
		}
	}
	s.shop.awaitDelivery(t, e.ID, "delivered")

	shopSide.answers(func(w http.ResponseWriter) { fmt.Fprint(w, "<p>success</p>") })
	e = s.paid(t, "G000000002", "")
	shopSide.await(t, 2)
	eventually(t, "the failed attempt", func() error {
		if v := s.shop.event(t, e.ID); v.Delivery.Status != "pending" || len(v.Delivery.Attempts) != 1 {
			return fmt.Errorf("delivery is %+v", v.Delivery)
		}
		return nil
	})
}

// TestDeliveryDownAndUp: a shop that is down is told by hand once it is up,
// and what happened can be pulled meanwhile, in pages.
func TestDeliveryDownAndUp(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	shopSide.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) })
	s := start(t, setup{receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"})
	var first eventJSON
	for i := range 5 {
		e := s.paid(t, fmt.Sprintf("D00000000%d", i), "")
		if i == 0 {
			first = e
		}
	}
	down := shopSide.awaitOf(t, first.ID, 1)
	eventually(t, "the failed attempt", func() error {
		v := s.shop.event(t, first.ID).Delivery
		if v.Status != "pending" || len(v.Attempts) != 1 || v.Attempts[0].HTTPStatus != http.StatusBadGateway || v.NextAttemptAt == "" {
			return fmt.Errorf("delivery is %+v", v)
		}
		return nil
	})

	var seen []string
	for after, pages := "", 0; ; pages++ {
		var page eventsJSON
		s.shop.call(t, "GET", "/v1/events?limit=2&after="+after, "", http.StatusOK, &page)
		for _, e := range page.Events {
			seen = append(seen, e.Data.OrderNo)
		}
		after = page.Next
		if !page.HasMore {
			if len(page.Events) != 1 || pages != 2 {
				t.Errorf("page %d has %d events, want the third with one", pages, len(page.Events))
			}
			var none eventsJSON
			s.shop.call(t, "GET", "/v1/events?after="+after, "", http.StatusOK, &none)
			if len(none.Events) != 0 || none.HasMore || none.Next != after {
				t.Errorf("beyond the end there is %+v", none)
			}
			break
		}
	}
	if got := strings.Join(seen, " "); got != "D000000000 D000000001 D000000002 D000000003 D000000004" {
		t.Errorf("the pages hold %s", got)
	}

	shopSide.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK) })
	s.shop.call(t, "POST", "/v1/events/"+first.ID+"/deliver", "", http.StatusAccepted, nil)
	up := shopSide.awaitOf(t, first.ID, 2)
	if err := checkStandard(&up, shopNotify); err != nil {
		t.Errorf("the notification by hand: %v", err)
	}
	if down.body != up.body {
		t.Errorf("told %s by hand, want %s as before", up.body, down.body)
	}
	v := s.shop.awaitDelivery(t, first.ID, "delivered")
	if n := len(v.Delivery.Attempts); n != 2 || !v.Delivery.Attempts[1].Manual || v.Delivery.NextAttemptAt != "" {
		t.Errorf("delivery = %+v, want the failed attempt and the one by hand, and no more", v.Delivery)
	}
}

// TestDeliveryRedirect_F36: a shop cannot send the relay on to another host.
func TestDeliveryRedirect_F36(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	t.Cleanup(canary.Close)
	shopSide := newReceiver(t)
	shopSide.answers(func(w http.ResponseWriter) {
		w.Header().Set("Location", canary.URL+"/latest/meta-data/")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	s := start(t, setup{receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"})
	e := s.paid(t, "R000000001", "")
	eventually(t, "the failed attempt", func() error {
		v := s.shop.event(t, e.ID).Delivery
		if v.Status != "pending" || len(v.Attempts) != 1 || v.Attempts[0].HTTPStatus != http.StatusTemporaryRedirect {
			return fmt.Errorf("delivery is %+v", v)
		}
		return nil
	})
	if n := hits.Load(); n != 0 {
		t.Errorf("the redirect was followed %d times", n)
	}
}

// TestDeliveryPrivate_F35: without allow_networks no client reaches this
// machine through the relay, and the operator's mistake is to be seen.
func TestDeliveryPrivate_F35(t *testing.T) {
	t.Parallel()
	shopSide := newReceiver(t)
	s := start(t, setup{receiver: shopSide.url})
	e := s.paid(t, "P000000001", "")
	eventually(t, "the blocked attempt", func() error {
		v := s.shop.event(t, e.ID).Delivery
		if v.Status != "pending" || len(v.Attempts) != 1 || v.Attempts[0].HTTPStatus != 0 || v.Attempts[0].Failure == "" {
			return fmt.Errorf("delivery is %+v", v)
		}
		return nil
	})
	if n := len(shopSide.all()); n != 0 {
		t.Errorf("the private address was called %d times", n)
	}
}
