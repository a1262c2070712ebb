package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestReloaded_F03 reloads twenty times in a row while buyers buy, pages
// watch and strangers ask for what stands behind the relay.
func TestReloaded_F03(t *testing.T) {
	t.Parallel()
	const reloads = 20
	w := newWechat(t, 1)
	shopSide := newReceiver(t)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t), receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"}
	l.write(t, &plan)
	s := l.start(t)
	again := s.outliveReloads()
	w.line = again

	ctx, stop := context.WithCancel(t.Context())
	known := &book{notice: map[string]string{}}
	var bought, passed atomic.Int64
	var loading sync.WaitGroup
	for buyer := range 4 {
		loading.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if err := s.buy(context.WithoutCancel(ctx), known, fmt.Sprintf("L%dN%d", buyer, i)); err != nil {
					t.Errorf("buyer %d: %v", buyer, err)
				}
				bought.Add(1)
			}
		})
	}
	loading.Go(func() {
		for ctx.Err() == nil {
			if a, err := fetch(context.WithoutCancel(ctx), s.http, s.url+"/somewhere?else", desktopAgent); err != nil || string(a.body) != "behind GET /somewhere?else" {
				t.Errorf("behind the relay: %v, %v", a, err)
			}
			if a, err := fetch(context.WithoutCancel(ctx), s.http, s.url+"/wechat/health", desktopAgent); err != nil || a.status != http.StatusOK {
				t.Errorf("health = %v, %v", a, err)
			}
			passed.Add(1)
		}
	})

	for i := range reloads {
		bought0, passed0 := bought.Load(), passed.Load()
		plan.site = fmt.Sprintf("header X-Generation %d", i)
		if a := s.reload(t, l.caddyfile(&plan)); a.status != http.StatusOK {
			t.Errorf("reload %d = %s", i, a)
		}
		eventually(t, "life after a reload", func() error {
			if bought.Load() == bought0 || passed.Load() == passed0 {
				return fmt.Errorf("nobody is answered after reload %d", i)
			}
			return nil
		})
	}
	stop()
	loading.Wait()

	for _, orderNo := range known.orders() {
		s.shop.awaitStatus(t, orderNo, "paid")
	}
	events := s.shop.allEvents(t)
	if len(events) != len(known.orders()) {
		t.Errorf("%d orders have %d events", len(known.orders()), len(events))
	}
	for _, e := range events {
		s.shop.awaitDelivery(t, e.ID, "delivered")
	}
	if told := shopSide.all(); len(told) != len(events) {
		t.Errorf("the shop was told %d times of %d events", len(told), len(events))
	}
	w.allTaken(t)
	// A store that is closed writes its tables out.
	if tables, err := filepath.Glob(filepath.Join(l.store, "*.sst")); err != nil || len(tables) != 0 {
		t.Errorf("the store was closed meanwhile: %v %v", tables, err)
	}
	for _, word := range []string{"panic", "has it open", `"level":"error"`} {
		if text := s.log.String(); strings.Contains(text, word) {
			t.Errorf("the log has %q", word)
		}
	}
	t.Logf("%d orders over %d reloads, %d of %d requests sent twice", len(known.orders()), reloads, again.cuts.Load(), again.sent.Load())
}

// resender sends a request again, byte for byte, when its connection is
// closed without an answer. A net/http server does that to requests that
// come in on a connection it accepted just before it shut down, without
// anybody looking at them, and a reload of Caddy shuts the old server down.
// Had the relay seen the request, the nonce would make the second one 409
// REPLAYED.
type resender struct {
	line       http.RoundTripper
	sent, cuts atomic.Int64
}

// outliveReloads makes the server's callers send again what a reload cut.
func (s *server) outliveReloads() *resender {
	again := &resender{line: &http.Transport{DisableKeepAlives: true}}
	s.shop.http.Transport, s.http.Transport = again, again
	return again
}

func (s *resender) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	s.sent.Add(1)
	for {
		again := r.Clone(r.Context())
		again.Body = io.NopCloser(bytes.NewReader(body))
		response, err := s.line.RoundTrip(again)
		if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return response, err
		}
		s.cuts.Add(1)
	}
}

// TestReloadedEndsStreams_F03: a page that watches does not hold the old
// configuration up, and learns what happened after it has connected again.
func TestReloadedEndsStreams_F03(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t)}
	l.write(t, &plan)
	s := l.start(t)
	w.line = s.outliveReloads()
	o := s.shop.order(t, "W000000001", "")
	code := s.shop.native(t, "W000000001").CodeURL
	first := watch(t, o.CheckoutURL+"/status")
	first.next(t)
	plan.site = "header X-Generation two"
	if a := s.reload(t, l.caddyfile(&plan)); a.status != http.StatusOK {
		t.Fatalf("reload = %s", a)
	}
	first.ended(t)
	second := watch(t, o.CheckoutURL+"/status")
	second.next(t)
	s.pay(t, `{"code_url":"`+code+`"}`)
	if v := second.next(t); v.Status != "paid" {
		t.Errorf("the live status after the reload is %+v, want paid", v)
	}
	if err := s.log.await(t.Context(), "load complete"); err != nil {
		t.Error(err)
	}
}

// TestReloadedStorePath_F03: another path is another store. The old one is
// closed once nobody uses it, and everything is in it.
func TestReloadedStorePath_F03(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	l := newLayout(t)
	plan := setup{platform: w.url, merchant: merchantKeys(t)}
	l.write(t, &plan)
	s := l.start(t)
	w.line = s.outliveReloads()
	s.shop.order(t, "S000000001", "")
	moved := plan
	moved.store = filepath.Join(l.home, "moved")
	if a := s.reload(t, l.caddyfile(&moved)); a.status != http.StatusOK {
		t.Fatalf("reload = %s", a)
	}
	s.shop.call(t, "GET", "/v1/orders/S000000001", "", http.StatusNotFound, nil)
	s.shop.order(t, "S000000002", "")
	eventually(t, "the old store to be closed", func() error {
		if tables, _ := filepath.Glob(filepath.Join(l.store, "*.sst")); len(tables) == 0 {
			return fmt.Errorf("its tables are not written out")
		}
		return nil
	})
	if a := s.reload(t, l.caddyfile(&plan)); a.status != http.StatusOK {
		t.Fatalf("reload = %s", a)
	}
	if v := s.shop.view(t, "S000000001"); v.Status != "created" {
		t.Errorf("order = %+v", v)
	}
	s.shop.call(t, "GET", "/v1/orders/S000000002", "", http.StatusNotFound, nil)
}

// TestReloadedWrong: a configuration that cannot be used changes nothing.
func TestReloadedWrong(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	plan := setup{}
	l.write(t, &plan)
	s := l.start(t)
	s.outliveReloads()
	s.shop.order(t, "B000000001", "")
	wrong := plan
	wrong.bookshop = "merchant nobody"
	if a := s.reload(t, l.caddyfile(&wrong)); a.status == http.StatusOK || !strings.Contains(string(a.body), "nobody") {
		t.Errorf("reload = %s, want it refused by name", a)
	}
	s.shop.native(t, "B000000001")
	if a := s.health(t); a.status != http.StatusOK {
		t.Errorf("health = %s", a)
	}
}

// TestTerminated_F03: a server that is asked to stop ends by itself, with
// success, and what waits for a shop is still there at the next start.
func TestTerminated_F03(t *testing.T) {
	t.Parallel()
	w := newWechat(t, 1)
	shopSide := newReceiver(t)
	shopSide.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) })
	l := newLayout(t)
	l.write(t, &setup{platform: w.url, merchant: merchantKeys(t), receiver: shopSide.url, app: "allow_networks 127.0.0.0/8"})
	s := l.start(t)
	o := s.shop.order(t, "T000000000", "")
	watch(t, o.CheckoutURL+"/status").next(t) // a page that stays open holds nothing up
	e := s.paid(t, "T000000001", "")
	eventually(t, "the first attempt", func() error {
		if v := s.shop.event(t, e.ID).Delivery; len(v.Attempts) != 1 {
			return fmt.Errorf("delivery is %+v", v)
		}
		return nil
	})
	before := s.shop.event(t, e.ID).Delivery
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.exited(t)
	if s.err != nil {
		t.Errorf("the server ended with %v", s.err)
	}
	s = l.start(t)
	if after := s.shop.event(t, e.ID).Delivery; after.Status != "pending" || after.NextAttemptAt != before.NextAttemptAt || len(after.Attempts) != 1 {
		t.Errorf("delivery = %+v after the restart, want %+v", after, before)
	}
}
