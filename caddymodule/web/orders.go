package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

const maxOrderNo = 32

// orderNo takes the order number of the path. One that no order can have is
// as unknown as one that no order has.
func (x *exchange) orderNo() (string, error) {
	if len(x.param) > maxOrderNo || !plainName(x.param) {
		return "", notFound("order")
	}
	return x.param, nil
}

func (x *exchange) createOrder() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.CreateOrderRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	view, created, err := x.service.CreateOrder(x.r.Context(), s.caller, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, made(created), view)
}

func (x *exchange) showOrder() error { return show(x, x.orderNo, x.service.Order) }

func (x *exchange) createPayment() error { return create(x, x.orderNo, x.service.CreatePayment) }

func (x *exchange) closeOrder() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	if err := x.decodeEmpty(&s); err != nil {
		return err
	}
	orderNo, err := x.orderNo()
	if err != nil {
		return err
	}
	view, err := x.service.CloseOrder(x.r.Context(), s.caller, orderNo)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}
