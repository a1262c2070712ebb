package main

import (
	"net/http"
	"sync"
	"testing"
)

// TestNotification1000Copies_F25_A20 posts one genuine notification a
// thousand times at once: one paid order, one event, every copy answered
// success.
func TestNotification1000Copies_F25_A20(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	w.holds(true)
	shopSide := newReceiver(t)
	s := start(t, setup{
		platform: w.url, merchant: merchantKeys(t), receiver: shopSide.url, app: "allow_networks 127.0.0.0/8",
	})
	s.shop.order(t, "A000000001", "")
	s.pay(t, `{"code_url":"`+s.shop.native(t, "A000000001").CodeURL+`"}`)
	n := w.captured(t)
	if n.url != s.url+"/wechat/notify/main" {
		t.Errorf("WeChat was given the address %s", n.url)
	}
	forge(t, s, n)

	const copies = 1000
	answers := make(chan *answer, copies)
	var group sync.WaitGroup
	for range copies {
		group.Go(func() {
			a, err := n.send(t.Context(), s.http)
			if err != nil {
				a = &answer{body: []byte(err.Error())}
			}
			answers <- a
		})
	}
	group.Wait()
	close(answers)
	for a := range answers {
		if a.status != http.StatusNoContent || len(a.body) != 0 {
			t.Fatalf("a copy was answered %s, want 204 without body", a)
		}
	}
	if v := s.shop.view(t, "A000000001"); v.Status != "paid" || v.PaidAmount != 100 || v.Case != nil {
		t.Errorf("order = %+v, want it paid once, without a case", v)
	}
	if all := s.shop.allEvents(t); len(all) != 1 || all[0].Type != "order.paid" {
		t.Errorf("events = %+v, want one order.paid", all)
	}
	first := shopSide.await(t, 1)
	s.shop.awaitDelivery(t, first.id(), "delivered")
	if told := shopSide.all(); len(told) != 1 {
		t.Errorf("the shop was told %d times, want once", len(told))
	}
}

// forge posts what is not quite the notification: all of it is refused in
// WeChat's own form and changes nothing (threats A01, B16, B18).
func forge(t *testing.T, s *server, n *posted) {
	t.Helper()
	change := func(f func(n *posted)) *posted {
		c := &posted{url: n.url, header: n.header.Clone(), body: append([]byte(nil), n.body...)}
		f(c)
		return c
	}
	for name, forged := range map[string]*posted{
		"a blank more":         change(func(n *posted) { n.body = append(n.body, ' ') }),
		"no body":              change(func(n *posted) { n.body = nil }),
		"no signature":         change(func(n *posted) { n.header.Del("Wechatpay-Signature") }),
		"two signatures":       change(func(n *posted) { n.header.Add("Wechatpay-Signature", n.header.Get("Wechatpay-Signature")) }),
		"another time":         change(func(n *posted) { n.header.Set("Wechatpay-Timestamp", "1795296000") }),
		"unknown key":          change(func(n *posted) { n.header.Set("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000000000") }),
		"unknown merchant":     change(func(n *posted) { n.url += "x" }),
		"signature test probe": change(func(n *posted) { n.header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/x") }),
	} {
		a, err := forged.send(t.Context(), s.http)
		if err != nil || a.status != http.StatusUnauthorized || a.code() != "FAIL" {
			t.Errorf("%s: answered %v, %v; want 401 FAIL", name, a, err)
		}
	}
	if v := s.shop.view(t, "A000000001"); v.Status != "paying" {
		t.Errorf("a forged notification made the order %s", v.Status)
	}
}
