package relay

import (
	"net/url"
	"testing"
	"time"
)

func TestDelivery_Destination(t *testing.T) {
	t.Parallel()
	tests := []struct{ address, want string }{
		{"https://shop.example/a", "https://shop.example:443"},
		{"https://SHOP.example:443/b?x=1", "https://shop.example:443"},
		{"HTTP://shop.example", "http://shop.example:80"},
		{"http://shop.example:8080/a", "http://shop.example:8080"},
		{"https://[2001:DB8::1]/a", "https://[2001:db8::1]:443"},
		{"https://shop.example", "https://shop.example:443"},
		{"https://shop.example?a=/", "https://shop.example:443"},
		{"https://user@shop.example/", "https://shop.example:443"},
		{"https:///a", "https:///a"},
		{"not a url", "not a url"},
		{"%zz", "%zz"},
	}
	for _, tt := range tests {
		d := Delivery{ClientID: "c", URL: tt.address}
		if got := d.Destination(); got != (Destination{ClientID: "c", Origin: tt.want}) {
			t.Errorf("destination of %q = %+v, want %q", tt.address, got, tt.want)
		}
	}
}

func TestDelivery_NextAt(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	later := at.Add(time.Minute)
	tests := []struct {
		name              string
		due, manual, want time.Time
	}{
		{"none", time.Time{}, time.Time{}, time.Time{}},
		{"schedule", at, time.Time{}, at},
		{"by hand", time.Time{}, at, at},
		{"schedule first", at, later, at},
		{"by hand first", later, at, at},
	}
	for _, tt := range tests {
		d := Delivery{DueAt: tt.due, ManualDueAt: tt.manual}
		if got := d.NextAt(); !got.Equal(tt.want) {
			t.Errorf("%s: NextAt = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDelivery_Claim(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	past, future := now.Add(-time.Minute), now.Add(time.Minute)
	tests := []struct {
		name   string
		d      Delivery
		due    bool
		manual bool
		wish   time.Time
	}{
		{"due now", Delivery{Status: DeliveryPending, DueAt: now}, true, false, time.Time{}},
		{"not yet", Delivery{Status: DeliveryPending, DueAt: future}, false, true, time.Time{}},
		{"by hand", Delivery{Status: DeliveryExhausted, ManualDueAt: past}, true, true, past},
		{"by hand before its time", Delivery{Status: DeliveryPending, DueAt: future, ManualDueAt: past}, true, true, past},
		{"one attempt serves both", Delivery{Status: DeliveryPending, DueAt: past, ManualDueAt: now}, true, false, now},
		{"wish for later", Delivery{Status: DeliveryPending, DueAt: past, ManualDueAt: future}, true, false, time.Time{}},
		{"over", Delivery{Status: DeliveryDelivered}, false, true, time.Time{}},
		{"cancelled with a leftover", Delivery{Status: DeliveryCancelled, DueAt: past}, false, true, time.Time{}},
	}
	for _, tt := range tests {
		c, due := tt.d.claim(now)
		if due != tt.due || (due && (c.Manual != tt.manual || !c.ManualDueAt.Equal(tt.wish))) {
			t.Errorf("%s: claim = %+v, %v", tt.name, c, due)
		}
	}
}

// A wish that arrives while an attempt is under way is not served by it.
func TestDelivery_SettleKeepsNewWish(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 5, 20, 0, 0, time.UTC)
	d := Delivery{
		Status: DeliveryPending, CallbackAt: now, Schedule: DefaultSchedule(),
		Attempts: 1, DueAt: now.Add(time.Minute), ManualDueAt: now,
	}
	c, _ := d.claim(now)
	d.ManualDueAt = now.Add(time.Second)
	d.settle(c, webhookVerdict{Failure: "reset"}, now.Add(2*time.Second), 0)
	if !d.ManualDueAt.Equal(now.Add(time.Second)) || d.Attempts != 1 || !d.DueAt.Equal(now.Add(time.Minute)) {
		t.Errorf("after a failure by hand: %+v, want the wish and the schedule kept", d)
	}
	c, _ = d.claim(now.Add(2 * time.Second))
	d.settle(c, webhookVerdict{Delivered: true}, now.Add(3*time.Second), 0)
	if d.Status != DeliveryDelivered || !d.NextAt().IsZero() || d.Tries != 2 {
		t.Errorf("after success by hand: %+v, want it over", d)
	}
}

func TestNewDelivery(t *testing.T) {
	t.Parallel()
	at := time.Now()
	e := Event{ID: "evt_1", ClientID: "c"}
	d := NewDelivery(&e, "https://shop.example/", NotifyGet, DefaultSchedule(), at)
	if d.EventID != "evt_1" || d.ClientID != "c" || d.Status != DeliveryPending || !d.DueAt.Equal(at) || !d.CallbackAt.Equal(at) {
		t.Errorf("delivery = %+v", d)
	}
	if d.DueAt != d.DueAt.Round(0).UTC() {
		t.Error("times carry a monotonic reading or a zone")
	}
}

func FuzzDeliveryOrigin(f *testing.F) {
	for _, s := range []string{"https://a.example/x", "http://a:8080", "https://[::1]/", "https://A/", "x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, address string) {
		fast, ok := plainOrigin(address)
		u, err := url.Parse(address)
		if !ok || err != nil {
			return
		}
		port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
		if want := u.Scheme + "://" + u.Host + port; fast != want {
			t.Errorf("origin of %q = %q, want %q", address, fast, want)
		}
	})
}
