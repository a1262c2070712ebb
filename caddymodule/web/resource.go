package web

import (
	"context"
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

// create answers a signed request that makes something: under the thing that
// the path names, by the words of the body.
func create[Request, View any](
	x *exchange, name func() (string, error),
	do func(context.Context, *relay.Caller, string, Request) (v View, created bool, err error),
) error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req Request
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	named, err := name()
	if err != nil {
		return err
	}
	view, created, err := do(x.r.Context(), s.caller, named, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, made(created), view)
}

// read answers a signed request that asks, by the words of the body, about the
// thing that the path names. It changes nothing but takes a fresh nonce.
func read[Request, View any](
	x *exchange, name func() (string, error),
	do func(context.Context, *relay.Caller, string, Request) (View, error),
) error {
	return create(x, name, func(ctx context.Context, c *relay.Caller, named string, req Request) (View, bool, error) {
		view, err := do(ctx, c, named, req)
		return view, false, err
	})
}

// show answers a signed request that reads what the path names; with
// refresh, WeChat is asked first.
func show[View any](
	x *exchange, name func() (string, error),
	do func(ctx context.Context, c *relay.Caller, named string, refresh bool) (View, error),
) error {
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
	named, err := name()
	if err != nil {
		return err
	}
	view, err := do(x.r.Context(), s.caller, named, refresh)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}

// made is 201 for what was made and 200 for what was there already.
func made(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}
