package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// book is what the outside knows of the orders of a load: what the relay
// acknowledged, which it must never forget.
type book struct {
	mu     sync.Mutex        // guards what follows
	made   []string          // orders answered 201
	notice map[string]string // order to the id of WeChat's notification
}

func (b *book) add(orderNo string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made = append(b.made, orderNo)
}

func (b *book) pays(orderNo, notifyID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notice[orderNo] = notifyID
}

func (b *book) orders() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.made...)
}

func (b *book) notifyID(orderNo string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.notice[orderNo]
}

// load makes buyers buy without a pause until ctx ends. Errors stop a buyer
// for the moment only: servers die under this load.
func (s *server) load(ctx context.Context, b *book, prefix string, buyers int, settled *atomic.Int64) {
	var group sync.WaitGroup
	for buyer := range buyers {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if s.buy(ctx, b, fmt.Sprintf("%sB%dN%d", prefix, buyer, i)) == nil {
					settled.Add(1)
				}
			}
		})
	}
	group.Wait()
}

// buy lets one order be made and paid. It does not wait for what WeChat then
// tells the relay.
func (s *server) buy(ctx context.Context, b *book, orderNo string) error {
	a, err := s.shop.try(ctx, "POST", "/v1/orders", `{"order_no":"`+orderNo+`","amount":100,"description":"tea"}`)
	if err == nil && a.status != http.StatusCreated {
		err = fmt.Errorf("making an order: %s", a)
	}
	if err != nil {
		return err
	}
	b.add(orderNo)
	a, err = s.shop.try(ctx, "POST", "/v1/orders/"+orderNo+"/payments", `{"trade_type":"native"}`)
	if err == nil && a.status != http.StatusCreated {
		err = fmt.Errorf("making a payment: %s", a)
	}
	if err != nil {
		return err
	}
	var p paymentJSON
	if err := json.Unmarshal(a.body, &p); err != nil {
		return err
	}
	// The buyer's phone does not lose its connection when the relay dies.
	request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, s.platform+"/sandbox/pay", jsonBody(map[string]string{"code_url": p.CodeURL}))
	if err != nil {
		return err
	}
	a, err = send(s.http, request)
	if err == nil && a.status != http.StatusOK {
		err = fmt.Errorf("paying: %s", a)
	}
	if err != nil {
		return err
	}
	var paid payJSON
	if err := json.Unmarshal(a.body, &paid); err != nil {
		return err
	}
	b.pays(orderNo, paid.NotifyID)
	return nil
}

// TestKilled_F01_F02 kills the server without warning at random moments of a
// load. What it acknowledged is there after every start, whole, and every
// shop is told in the end.
func TestKilled_F01_F02(t *testing.T) {
	t.Parallel()
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	w := newWechat(t, 1.0/200)
	shopSide := newReceiver(t)
	l := newLayout(t)
	l.write(t, &setup{
		platform: w.url, merchant: merchantKeys(t), receiver: shopSide.url, app: "allow_networks 127.0.0.0/8",
	})
	known := &book{notice: map[string]string{}}
	checked := map[string]bool{}
	var bought atomic.Int64
	for round := range rounds {
		s := l.start(t)
		ctx, cancel := context.WithCancel(t.Context())
		var loading sync.WaitGroup
		before := bought.Load()
		loading.Go(func() { s.load(ctx, known, fmt.Sprintf("K%d", round), 4, &bought) })
		eventually(t, "the first purchase of a round", func() error {
			if bought.Load() == before {
				return fmt.Errorf("none in round %d", round)
			}
			return nil
		})
		moment := time.NewTimer(time.Duration(rand.Int64N(int64(300 * time.Millisecond))))
		<-moment.C
		s.kill()
		cancel()
		loading.Wait()
		checkSurvivors(t, l.start(t), w, known, checked)
	}
	s := l.start(t)
	tellTheRest(t, s, w, known)
	checkTold(t, s, shopSide, rounds)
	t.Logf("%d orders, %d of them bought, over %d kills", len(known.orders()), bought.Load(), rounds)
}

// checkSurvivors looks for what was acknowledged before the kill, and for
// halves. It ends the server by the next kill.
func checkSurvivors(t *testing.T, s *server, w *wechat, known *book, checked map[string]bool) {
	t.Helper()
	events := map[string][]eventJSON{}
	for _, e := range s.shop.allEvents(t) {
		events[e.Data.OrderNo] = append(events[e.Data.OrderNo], e)
	}
	for _, orderNo := range known.orders() {
		if checked[orderNo] {
			continue
		}
		// WeChat repeats while this looks, so that what was read first is
		// asked first.
		acked := w.took(known.notifyID(orderNo))
		own := events[orderNo]
		v := s.shop.view(t, orderNo)
		switch {
		case len(own) > 1:
			t.Errorf("%s has %d events", orderNo, len(own))
		case len(own) == 1 && (v.Status != "paid" || v.PaidAmount != 100):
			t.Errorf("%s has an event, but is %s", orderNo, v.Status)
		case acked && v.Status != "paid":
			t.Errorf("%s was acknowledged, but is %s", orderNo, v.Status)
		}
		if v.Status == "paid" && len(own) == 0 {
			own = eventsOf(s.shop.allEvents(t), orderNo)
		}
		if v.Status != "paid" {
			continue
		}
		if len(own) != 1 {
			t.Errorf("%s is paid and has %d events", orderNo, len(own))
			continue
		}
		if e := s.shop.event(t, own[0].ID); e.Delivery.Status != "delivered" && (e.Delivery.Status != "pending" || e.Delivery.NextAttemptAt == "") {
			t.Errorf("the delivery of %s is %+v", orderNo, e.Delivery)
		}
		checked[orderNo] = true
	}
	s.kill()
}

// tellTheRest waits until WeChat has told the relay of every payment, and has
// every shop told that an interruption left waiting.
func tellTheRest(t *testing.T, s *server, w *wechat, known *book) {
	t.Helper()
	for _, orderNo := range known.orders() {
		id := known.notifyID(orderNo)
		if id == "" {
			continue // never paid, or the buyer never learnt that it was
		}
		eventually(t, "WeChat to be answered about "+orderNo, func() error {
			if !w.took(id) {
				return fmt.Errorf("notification %s is not taken", id)
			}
			return nil
		})
	}
	for _, e := range s.shop.allEvents(t) {
		if s.shop.event(t, e.ID).Delivery.Status == "pending" {
			s.shop.call(t, "POST", "/v1/events/"+e.ID+"/deliver", "", http.StatusAccepted, nil)
		}
		s.shop.awaitDelivery(t, e.ID, "delivered")
	}
}

// checkTold compares what the shop was told with what happened: everything
// was told, with the same bytes each time, and repeated only where a kill cut
// an attempt short.
func checkTold(t *testing.T, s *server, shopSide *receiver, kills int) {
	t.Helper()
	bodies, times := map[string]string{}, map[string]int{}
	for _, n := range shopSide.all() {
		if err := checkStandard(&n, shopNotify); err != nil {
			t.Errorf("notification %s: %v", n.id(), err)
		}
		if was, ok := bodies[n.id()]; ok && was != n.body {
			t.Errorf("event %s was told as %s and as %s", n.id(), was, n.body)
		}
		bodies[n.id()] = n.body
		times[n.id()]++
	}
	repeats := 0
	for _, e := range s.shop.allEvents(t) {
		if times[e.ID] == 0 {
			t.Errorf("event %s was never told", e.ID)
		}
		repeats += times[e.ID] - 1
		delete(times, e.ID)
	}
	for id := range times {
		t.Errorf("event %s was told and is not in the list", id)
	}
	// Each of the four buyers has few notifications under way at a time.
	if limit := kills * 2 * 8; repeats > limit {
		t.Errorf("%d notifications were repeated over %d kills, want at most those under way", repeats, 2*kills)
	}
}
