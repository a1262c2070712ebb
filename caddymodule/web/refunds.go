package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

const maxRefundNo = 32

// refundNo takes the refund number of the path. One that no refund can have
// is as unknown as one that no refund has.
func (x *exchange) refundNo() (string, error) {
	if len(x.param) > maxRefundNo || !plainName(x.param) {
		return "", notFound("refund")
	}
	return x.param, nil
}

func (x *exchange) createRefund() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.CreateRefundRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	orderNo, err := x.orderNo()
	if err != nil {
		return err
	}
	view, created, err := x.service.CreateRefund(x.r.Context(), s.caller, orderNo, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, made(created), view)
}

func (x *exchange) showRefund() error {
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
	refundNo, err := x.refundNo()
	if err != nil {
		return err
	}
	view, err := x.service.Refund(x.r.Context(), s.caller, refundNo, refresh)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}
