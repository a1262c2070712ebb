package relay

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
)

// EventView is an event as its client reads it.
type EventView struct {
	ID        string          `json:"id"`
	Type      EventType       `json:"type"`
	Timestamp string          `json:"timestamp"`
	Data      json.RawMessage `json:"data"`
	Delivery  *DeliveryView   `json:"delivery,omitempty"`
}

// EventPage is the answer to GET /v1/events. Next is the cursor from which
// to go on, the same as before when nothing new happened.
type EventPage struct {
	Events  []EventView `json:"events"`
	Next    string      `json:"next"`
	HasMore bool        `json:"has_more"`
}

// DeliveryView is how far the telling of an event has come.
type DeliveryView struct {
	Status        DeliveryStatus `json:"status"`
	NextAttemptAt string         `json:"next_attempt_at,omitempty"`
	Attempts      []AttemptView  `json:"attempts"`
}

// AttemptView is one try to tell an event.
type AttemptView struct {
	Number     int    `json:"number"`
	Manual     bool   `json:"manual,omitempty"`
	StartedAt  string `json:"started_at"`
	DurationMS int64  `json:"duration_ms"`
	HTTPStatus int    `json:"http_status,omitempty"`
	Failure    string `json:"failure,omitempty"`
	Answer     string `json:"answer,omitempty"` // first KiB, invalid UTF-8 replaced
}

// Events lists what happened to a client's orders after a cursor, oldest
// first. A limit is 1..200; the empty cursor begins at the beginning.
func (s *Service) Events(ctx context.Context, caller *Caller, after string, limit int) (EventPage, error) {
	seq, err := parseCursor(after)
	if err != nil {
		return EventPage{}, err
	}
	if limit < 1 || limit > 200 {
		return EventPage{}, refuse(KindParam, "limit", "1 to 200")
	}
	var events []Event
	err = s.rt.store.View(ctx, func(r Reader) (err error) {
		events, err = r.Events(caller.Client.ID, seq, limit+1)
		return err
	})
	if err != nil {
		return EventPage{}, outcome(err)
	}
	page := EventPage{Events: make([]EventView, 0, len(events)), HasMore: len(events) > limit}
	for i := range events[:min(limit, len(events))] {
		v, err := eventView(&events[i])
		if err != nil {
			return EventPage{}, err
		}
		page.Events = append(page.Events, v)
		seq = events[i].Seq
	}
	page.Next = strconv.FormatUint(seq, 10)
	return page, nil
}

func parseCursor(after string) (uint64, error) {
	if after == "" {
		return 0, nil
	}
	seq, err := strconv.ParseUint(after, 10, 64)
	if err != nil || strconv.FormatUint(seq, 10) != after {
		return 0, refuse(KindParam, "after", "a cursor that an earlier answer gave as next")
	}
	return seq, nil
}

func eventView(e *Event) (EventView, error) {
	v := EventView{ID: e.ID}
	if err := json.Unmarshal(e.Body, &v); err != nil {
		return v, errors.Join(ErrCorrupt, err)
	}
	return v, nil
}

// Event tells a client one event and how far its telling has come.
func (s *Service) Event(ctx context.Context, caller *Caller, id string) (EventView, error) {
	var v EventView
	err := s.rt.store.View(ctx, func(r Reader) error {
		e, err := r.Event(caller.Client.ID, id)
		if err != nil {
			return err
		}
		if v, err = eventView(&e); err != nil {
			return err
		}
		v.Delivery, err = deliveryView(r, id)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return EventView{}, notFound("event")
	}
	return v, outcome(err)
}

// deliveryView is nil for an event that is told by listing alone.
func deliveryView(r Reader, eventID string) (*DeliveryView, error) {
	d, err := r.Delivery(eventID)
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // no delivery is the answer, not a failure
	}
	if err != nil {
		return nil, err
	}
	attempts, err := r.Attempts(eventID)
	if err != nil {
		return nil, err
	}
	v := &DeliveryView{Status: d.Status, NextAttemptAt: stamp(d.NextAt()), Attempts: make([]AttemptView, 0, len(attempts))}
	for i := range attempts {
		v.Attempts = append(v.Attempts, attemptView(&attempts[i]))
	}
	return v, nil
}

func attemptView(a *Attempt) AttemptView {
	return AttemptView{
		Number:     a.Number,
		Manual:     a.Manual,
		StartedAt:  stamp(a.StartedAt),
		DurationMS: a.Duration.Milliseconds(),
		HTTPStatus: a.HTTPStatus,
		Failure:    a.Failure,
		Answer:     string(a.Answer),
	}
}

// Deliver asks for an attempt now, outside the schedule. It uses up none of
// the schedule's attempts; its success ends the chain.
func (s *Service) Deliver(ctx context.Context, caller *Caller, id string) (EventView, error) {
	var d Delivery
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.Event(caller.Client.ID, id); err != nil {
			return err
		}
		if err := s.claimNonce(tx, caller); err != nil {
			return err
		}
		var err error
		d, err = RequestDelivery(tx, id, s.rt.now())
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return EventView{}, notFound("event with a delivery")
	}
	if err != nil {
		return EventView{}, outcome(err)
	}
	s.rt.dispatcher.Wake(d.Destination(), d.NextAt())
	return s.Event(ctx, caller, id)
}
