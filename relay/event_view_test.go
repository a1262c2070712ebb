package relay_test

import (
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestDeliver asks for an attempt outside the schedule: the wish is durable,
// uses up the nonce, and is the owner's alone.
func TestDeliver(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newBench(t, store)
	b.clock = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)
	key := b.order("A000000001")
	if err := b.notify(b.wechat.paid(b.native(key).OutTradeNo, b.clock)); err != nil {
		t.Fatal(err)
	}
	id := b.events()[0].ID
	b.clock = b.clock.Add(-time.Second) // earlier than the schedule, so that the wish shows
	caller := relay.CallerFor(b.client, "nonce-of-one-wish")
	v, err := b.Deliver(t.Context(), caller, id)
	if err != nil || v.ID != id || v.Delivery == nil || v.Delivery.NextAttemptAt != "2026-11-22T13:59:59+08:00" {
		t.Fatalf("Deliver = %+v, %v; want the next attempt now", v.Delivery, err)
	}
	var d relay.Delivery
	if err := store.View(t.Context(), func(r relay.Reader) (err error) {
		d, err = r.Delivery(id)
		return err
	}); err != nil || !d.ManualDueAt.Equal(b.clock) || d.Attempts != 0 {
		t.Errorf("stored %+v, %v; want a wish that counts no attempt", d, err)
	}
	if _, err := b.Deliver(t.Context(), caller, id); kindOf(err) != relay.KindReplayed {
		t.Errorf("the same nonce again: %v, want KindReplayed", err)
	}
	if _, err := b.Deliver(t.Context(), b.caller(b.ClientByID("2000000000000002")), id); kindOf(err) != relay.KindNotFound {
		t.Errorf("another client: %v, want KindNotFound (C06)", err)
	}
	if _, err := b.Deliver(t.Context(), b.caller(b.client), "evt_none"); kindOf(err) != relay.KindNotFound {
		t.Errorf("no such event: %v, want KindNotFound", err)
	}
}

// TestToldByListingAlone: a client without an address has no delivery, and
// nothing to send again.
func TestToldByListingAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New(), func(c *relay.Config) { c.Clients[0].NotifyURL = "" })
	key := b.order("A000000001")
	if err := b.notify(b.wechat.paid(b.native(key).OutTradeNo, time.Now())); err != nil {
		t.Fatal(err)
	}
	v, err := b.Event(t.Context(), b.caller(b.client), b.events()[0].ID)
	if err != nil || v.Delivery != nil {
		t.Errorf("Event = %+v, %v; want no delivery", v, err)
	}
	if _, err := b.Deliver(t.Context(), b.caller(b.client), v.ID); kindOf(err) != relay.KindNotFound {
		t.Errorf("Deliver = %v, want KindNotFound", err)
	}
}
