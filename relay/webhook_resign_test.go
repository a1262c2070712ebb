package relay_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/store/memstore"
)

var ownKey = sync.OnceValue(func() *relay.NotifyKey {
	k, err := relay.NewNotifyKey(newTestKey())
	if err != nil {
		panic(err)
	}
	return k
})

// site is a relay on a store, whose first client is told in a format.
func site(t *testing.T, store relay.Store, format relay.NotifyFormat, sender relay.Sender) *bench {
	t.Helper()
	cfg := testConfig(t)
	cfg.Clients[0].Notify = format
	rt, err := relay.NewRuntime(relay.RuntimeOptions{
		Store: store, Now: time.Now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler), Sender: sender, NotifyKey: ownKey(),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, wechat: &fakeWeChat{payments: map[string]*relay.Transaction{}}, client: cfg.Clients[0], rt: rt}
	if b.Service, err = relay.NewService(cfg, rt, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	b.PlayWeChat(b.wechat)
	rt.Use(b.Service)
	rt.Start()
	return b
}

func (b *bench) stop() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.rt.Stop(ctx); err != nil {
		b.t.Errorf("Stop: %v", err)
	}
}

// A payment is told in WeChat's own form, again after a restart, and with the
// same bytes on every attempt until the site answers as WeChat wants it.
func TestWeChatFormats_AcrossRestart_F24_F34(t *testing.T) {
	t.Parallel()
	ownKey() // outside of the bubbles
	merchantKey()
	platformKey()
	for _, c := range []struct {
		format  relay.NotifyFormat
		refusal reply // looks like success in another format
		success reply
	}{
		{relay.NotifyWeChatV2, reply{status: 200, body: "success"}, reply{status: 200, body: string(payv2.SuccessReply())}},
		{relay.NotifyWeChatV3, reply{status: 201, body: `{"code":"SUCCESS"}`}, reply{status: 204}},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				receiver := newReceiver(func(n int, _ call) reply {
					if n < 3 {
						return c.refusal
					}
					return c.success
				})
				store := memstore.New()
				b := site(t, store, c.format, receiver)
				key := b.order("A000000001")
				if err := b.notify(b.wechat.paid(b.native(key).OutTradeNo, time.Now())); err != nil {
					t.Fatalf("Notify: %v", err)
				}
				pass(90 * time.Second) // the first attempt and one of the schedule
				b.stop()
				b = site(t, store, c.format, receiver)
				pass(24 * time.Hour)
				b.stop()

				id := b.events()[0].ID
				calls := receiver.of(id)
				if len(calls) != 4 {
					t.Fatalf("%d attempts, want three refused and one taken", len(calls))
				}
				for i, made := range calls {
					if made.body == "" || made.body != calls[0].body {
						t.Errorf("attempt %d has another body:\n%s\n%s", i, made.body, calls[0].body)
					}
				}
				v, err := b.Event(t.Context(), b.caller(b.client), id)
				if err != nil || v.Delivery.Status != relay.DeliveryDelivered {
					t.Errorf("delivery = %+v, %v, want it delivered", v.Delivery, err)
				}
			})
		})
	}
}

// Facts that WeChat has no notification for stay in the list of events.
func TestWeChatFormats_ClosedIsNotTold(t *testing.T) {
	t.Parallel()
	b := site(t, memstore.New(), relay.NotifyWeChatV3, refusingSender{})
	defer b.stop()
	key := b.order("A000000001")
	if _, err := b.CloseOrder(t.Context(), b.caller(b.client), key.OrderNo); err != nil {
		t.Fatal(err)
	}
	events := b.events()
	if len(events) != 1 || events[0].Type != relay.EventOrderClosed {
		t.Fatalf("events = %+v, want one order.closed", events)
	}
	if v, err := b.Event(t.Context(), b.caller(b.client), events[0].ID); err != nil || v.Delivery != nil {
		t.Errorf("event = %+v, %v, want no delivery", v, err)
	}
}

// Without a key of its own a relay refuses a client that needs it, and says
// which.
func TestNewService_NeedsNotifyKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format relay.NotifyFormat
		key    *relay.NotifyKey
		good   bool
	}{
		{relay.NotifyWeChatV3, nil, false},
		{relay.NotifyWeChatV3, ownKey(), true},
		{relay.NotifyWeChatV2, nil, true},
		{relay.NotifyStandard, nil, true},
	} {
		t.Run(fmt.Sprint(c.format, c.key != nil), func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			cfg.Clients[1].Notify = c.format
			rt, err := relay.NewRuntime(relay.RuntimeOptions{
				Store: memstore.New(), Now: time.Now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler), NotifyKey: c.key,
			})
			if err != nil {
				t.Fatal(err)
			}
			s, err := relay.NewService(cfg, rt, slog.New(slog.DiscardHandler))
			if (err == nil) != c.good || err != nil && !strings.Contains(err.Error(), "client songs") {
				t.Errorf("NewService: %v, want success %t", err, c.good)
			}
			if c.good && s.NotifyKey() != c.key {
				t.Errorf("NotifyKey = %v, want %v", s.NotifyKey(), c.key)
			}
		})
	}
}

// A14: an attach that could pass for two fields is refused where it would be
// told under a v2 signature.
func TestWeChatFormats_AttachThatCannotBeSigned_A14(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format relay.NotifyFormat
		attach string
		taken  bool
	}{
		{relay.NotifyWeChatV2, "x&total_fee=1", false},
		{relay.NotifyWeChatV2, "x & y = 1", true},
		{relay.NotifyWeChatV3, "x&total_fee=1", true},
		{relay.NotifyStandard, "x&total_fee=1", true},
	} {
		b := site(t, memstore.New(), c.format, refusingSender{})
		req := goodOrder("A000000001")
		req.Attach = c.attach
		_, _, err := b.CreateOrder(t.Context(), b.caller(b.client), req)
		if (err == nil) != c.taken || err != nil && kindOf(err) != relay.KindParam {
			t.Errorf("%s, attach %q: %v, want taken %t", c.format, c.attach, err, c.taken)
		}
		b.stop()
	}
}
