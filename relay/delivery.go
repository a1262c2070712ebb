package relay

import (
	"net/url"
	"strings"
	"time"
)

// Destination returns the queue in which the delivery waits. An address that
// is no URL, which registration refuses, is its own origin.
func (d *Delivery) Destination() Destination {
	return Destination{ClientID: d.ClientID, Origin: deliveryOrigin(d.URL)}
}

// deliveryOrigin returns scheme://host:port of an address, in lower case and
// always with the port.
func deliveryOrigin(address string) string {
	if origin, ok := plainOrigin(address); ok {
		return origin
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		switch scheme {
		case "http":
			port = "80"
		case "https":
			port = "443"
		}
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return scheme + "://" + host + ":" + port
}

// plainOrigin is deliveryOrigin without a parser for the common spelling: it
// runs several times for each attempt.
func plainOrigin(address string) (string, bool) {
	port := ":443"
	rest, ok := strings.CutPrefix(address, "https://")
	if !ok {
		if rest, ok = strings.CutPrefix(address, "http://"); !ok {
			return "", false
		}
		port = ":80"
	}
	end := len(rest)
	for i := range len(rest) {
		b := rest[i]
		if b == '/' {
			end = i
			break
		}
		if (b < 'a' || b > 'z') && (b < '0' || b > '9') && b != '.' && b != '-' {
			return "", false
		}
	}
	return address[:len(address)-len(rest)+end] + port, end > 0
}

// NewDelivery returns the delivery of an event, due at once. at is T of the
// schedule: when the fact is committed.
func NewDelivery(e *Event, address string, format NotifyFormat, schedule []time.Duration, at time.Time) Delivery {
	at = at.Round(0).UTC()
	return Delivery{
		EventID:    e.ID,
		ClientID:   e.ClientID,
		URL:        address,
		Format:     format,
		Status:     DeliveryPending,
		CallbackAt: at,
		Schedule:   schedule,
		DueAt:      at,
	}
}

// NextAt returns when the delivery is attempted next, by schedule or by hand;
// zero when it is not.
func (d *Delivery) NextAt() time.Time {
	if d.DueAt.IsZero() || (!d.ManualDueAt.IsZero() && d.ManualDueAt.Before(d.DueAt)) {
		return d.ManualDueAt
	}
	return d.DueAt
}

// RequestDelivery asks for an attempt outside the schedule, whatever the
// state of the delivery: the same event id, and the scheduled attempts go on
// as if it had not been made, unless it succeeds. Asking several times before
// the attempt begins makes one attempt. The caller wakes the dispatcher after
// the commit. It returns the delivery as written.
func RequestDelivery(tx Tx, eventID string, now time.Time) (Delivery, error) {
	d, err := tx.Delivery(eventID)
	if err != nil {
		return Delivery{}, err
	}
	d.ManualDueAt = now.Round(0).UTC()
	return d, tx.PutDelivery(&d)
}

// deliveryClaim says what an attempt set out to do, from the delivery as it
// was when the attempt began.
type deliveryClaim struct {
	Manual      bool      // not an attempt of the schedule
	ManualDueAt time.Time // the wish it serves; zero if none
	Tries       int       // attempts made before
	Due         time.Time // when it was due
}

// claim decides which attempt is due now; false when none is. When the
// schedule and a wish are due together one attempt of the schedule serves
// both.
func (d *Delivery) claim(now time.Time) (deliveryClaim, bool) {
	c := deliveryClaim{Tries: d.Tries, Due: d.NextAt()}
	if !d.ManualDueAt.IsZero() && !d.ManualDueAt.After(now) {
		c.ManualDueAt = d.ManualDueAt
	}
	scheduled := d.Status == DeliveryPending && !d.DueAt.IsZero() && !d.DueAt.After(now)
	c.Manual = !scheduled
	return c, scheduled || !c.ManualDueAt.IsZero()
}

// settle writes the outcome of an attempt into the delivery, which may have
// changed since the claim: cancelled, or wished for again.
func (d *Delivery) settle(c deliveryClaim, v webhookVerdict, ended time.Time, jitter float64) {
	d.Tries++
	d.LastEndedAt = ended
	if d.ManualDueAt.Equal(c.ManualDueAt) {
		d.ManualDueAt = time.Time{}
	}
	if !c.Manual {
		d.Attempts++
	}
	switch {
	case v.Delivered:
		d.Status, d.DueAt = DeliveryDelivered, time.Time{}
	case d.Status != DeliveryPending || c.Manual && !v.Gone:
		// Failing by hand changes nothing, and a chain that was ended
		// meanwhile stays ended.
	case v.Gone:
		d.Status, d.DueAt = DeliveryCancelled, time.Time{}
	default:
		due, more := retryDue(d.CallbackAt, d.Schedule, d.Attempts, ended, v.RetryAfter, jitter)
		d.DueAt = due
		if !more {
			d.Status, d.DueAt = DeliveryExhausted, time.Time{}
		}
	}
}
