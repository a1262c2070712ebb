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

func (x *exchange) createSplit() error { return create(x, x.orderNo, x.service.CreateSplit) }

func (x *exchange) showSplit() error { return show(x, x.splitNo, x.service.Split) }

func (x *exchange) returnSplit() error { return create(x, x.splitNo, x.service.ReturnSplit) }

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
