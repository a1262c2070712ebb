package web

import "net/http"

const (
	maxEvents     = 200 // per page, contract section 4
	defaultEvents = 50
	maxCursor     = 64 // bytes; cursors are relay's and opaque here
	maxEventID    = 64
)

// eventID takes the event id of the path.
func (x *exchange) eventID() (string, error) {
	if len(x.param) > maxEventID || !plainName(x.param) {
		return "", notFound("event")
	}
	return x.param, nil
}

func (x *exchange) listEvents() error {
	s, err := x.authenticateRead()
	if err != nil {
		return err
	}
	query, err := x.query(&s, "after", "limit")
	if err != nil {
		return err
	}
	limit, err := intParam(query, "limit", maxEvents, defaultEvents)
	if err != nil {
		return err
	}
	if len(query["after"]) > maxCursor {
		return paramError("after", "is not a cursor of this relay")
	}
	page, err := x.service.Events(x.r.Context(), s.caller, query["after"], limit)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, page)
}

func (x *exchange) showEvent() error {
	s, err := x.authenticateRead()
	if err != nil {
		return err
	}
	if _, err := x.query(&s); err != nil {
		return err
	}
	id, err := x.eventID()
	if err != nil {
		return err
	}
	view, err := x.service.Event(x.r.Context(), s.caller, id)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}

func (x *exchange) deliverEvent() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	if err := x.decodeEmpty(&s); err != nil {
		return err
	}
	id, err := x.eventID()
	if err != nil {
		return err
	}
	view, err := x.service.Deliver(x.r.Context(), s.caller, id)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusAccepted, view)
}
