package store

import (
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// EncodeEvent appends the row of an event to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeEvent(dst []byte, v *relay.Event) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, v.ID)
	e.uint(2, v.Seq)
	e.text(3, v.ClientID)
	e.text(4, string(v.Type))
	e.text(5, v.OrderNo)
	e.time(6, v.CreatedAt)
	e.bytes(7, v.Body)
	return finish(&e, len(dst), KindEvent)
}

// DecodeEvent reads the row of an event. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeEvent(row []byte) (relay.Event, error) {
	d, err := open(KindEvent, row)
	if err != nil {
		return relay.Event{}, err
	}
	var v relay.Event
	for d.next() {
		switch d.field {
		case 1:
			v.ID = d.text()
		case 2:
			v.Seq = d.uint()
		case 3:
			v.ClientID = d.text()
		case 4:
			v.Type = relay.EventType(d.text())
		case 5:
			v.OrderNo = d.text()
		case 6:
			v.CreatedAt = d.time()
		case 7:
			v.Body = d.bytes()
		}
	}
	if err := d.result(KindEvent); err != nil {
		return relay.Event{}, err
	}
	return v, nil
}

// EncodeDelivery appends the row of a delivery to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeDelivery(dst []byte, v *relay.Delivery) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, v.EventID)
	e.text(2, v.ClientID)
	e.text(3, v.URL)
	e.text(4, string(v.Format))
	e.text(5, string(v.Status))
	e.time(6, v.CallbackAt)
	e.durations(7, v.Schedule)
	e.int(8, int64(v.Attempts))
	e.time(9, v.DueAt)
	e.time(10, v.LastEndedAt)
	e.time(11, v.ManualDueAt)
	e.int(12, int64(v.Tries))
	e.bytes(13, v.Payload)
	return finish(&e, len(dst), KindDelivery)
}

// DecodeDelivery reads the row of a delivery. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeDelivery(row []byte) (relay.Delivery, error) {
	d, err := open(KindDelivery, row)
	if err != nil {
		return relay.Delivery{}, err
	}
	var v relay.Delivery
	for d.next() {
		switch d.field {
		case 1:
			v.EventID = d.text()
		case 2:
			v.ClientID = d.text()
		case 3:
			v.URL = d.text()
		case 4:
			v.Format = relay.NotifyFormat(d.text())
		case 5:
			v.Status = relay.DeliveryStatus(d.text())
		case 6:
			v.CallbackAt = d.time()
		case 7:
			v.Schedule = d.durations()
		case 8:
			v.Attempts = d.int()
		case 9:
			v.DueAt = d.time()
		case 10:
			v.LastEndedAt = d.time()
		case 11:
			v.ManualDueAt = d.time()
		case 12:
			v.Tries = d.int()
		case 13:
			v.Payload = d.bytes()
		}
	}
	if err := d.result(KindDelivery); err != nil {
		return relay.Delivery{}, err
	}
	return v, nil
}

// EncodeAttempt appends the row of an attempt to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeAttempt(dst []byte, a *relay.Attempt) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, a.EventID)
	e.int(2, int64(a.Number))
	e.bool(3, a.Manual)
	e.time(4, a.StartedAt)
	e.int(5, int64(a.Duration))
	e.int(6, int64(a.HTTPStatus))
	e.text(7, a.Failure)
	e.bytes(8, a.Answer)
	return finish(&e, len(dst), KindAttempt)
}

// DecodeAttempt reads the row of an attempt. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeAttempt(row []byte) (relay.Attempt, error) {
	d, err := open(KindAttempt, row)
	if err != nil {
		return relay.Attempt{}, err
	}
	var a relay.Attempt
	for d.next() {
		switch d.field {
		case 1:
			a.EventID = d.text()
		case 2:
			a.Number = d.int()
		case 3:
			a.Manual = d.bool()
		case 4:
			a.StartedAt = d.time()
		case 5:
			a.Duration = time.Duration(d.int64())
		case 6:
			a.HTTPStatus = d.int()
		case 7:
			a.Failure = d.text()
		case 8:
			a.Answer = d.bytes()
		}
	}
	if err := d.result(KindAttempt); err != nil {
		return relay.Attempt{}, err
	}
	return a, nil
}
