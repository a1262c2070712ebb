package web

import (
	"context"
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

const maxSplitNo = 64

// splitNo takes the split's number of the path. One that no split can have is
// as unknown as one that no split has.
func (x *exchange) splitNo() (string, error) {
	if len(x.param) > maxSplitNo || !plainName(x.param) {
		return "", notFound("split")
	}
	return x.param, nil
}

func (x *exchange) createSplit() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.SplitRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	orderNo, err := x.orderNo()
	if err != nil {
		return err
	}
	view, created, err := x.service.CreateSplit(x.r.Context(), s.caller, orderNo, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, made(created), view)
}

func (x *exchange) showSplit() error {
	s, err := x.authenticateRead()
	if err != nil {
		return err
	}
	query, err := x.query(&s, "refresh")
	if err != nil {
		return err
	}
	refresh, err := refreshParam(query)
	if err != nil {
		return err
	}
	splitNo, err := x.splitNo()
	if err != nil {
		return err
	}
	view, err := x.service.Split(x.r.Context(), s.caller, splitNo, refresh)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}

func (x *exchange) returnSplit() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.SplitReturnRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	splitNo, err := x.splitNo()
	if err != nil {
		return err
	}
	view, created, err := x.service.ReturnSplit(x.r.Context(), s.caller, splitNo, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, made(created), view)
}

func (x *exchange) addReceiver() error { return x.changeReceiver(x.service.AddReceiver) }

func (x *exchange) deleteReceiver() error { return x.changeReceiver(x.service.DeleteReceiver) }

func (x *exchange) changeReceiver(change func(context.Context, *relay.Caller, relay.ReceiverRequest) (relay.ReceiverView, error)) error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.ReceiverRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	view, err := change(x.r.Context(), s.caller, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}
