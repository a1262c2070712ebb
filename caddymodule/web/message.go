package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/wxrelay/wxrelay/relay"
)

// messageAccepted is what WeChat wants to hear; anything else is shown to the
// person who wrote, as a fault of the account (oauth.md section 7).
const messageAccepted = "success"

// serveMessages answers WeChat at an account's message address: a GET is the
// check of the address, a POST a message.
func (x *exchange) serveMessages() error {
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		query = nil // nothing that WeChat would send
	}
	if x.r.Method == http.MethodPost {
		return x.takeMessage(query)
	}
	echo, err := x.service.CheckMessages(x.param, query)
	if err != nil {
		return unbelieved(err)
	}
	return x.writeText(http.StatusOK, echo)
}

// takeMessage says success only after what was pushed is on stable storage.
// WeChat gives up after five seconds here too.
func (x *exchange) takeMessage(query url.Values) error {
	ctx, cancel := context.WithTimeout(x.r.Context(), notifyTime)
	defer cancel()
	body, err := x.readBody(notifyTime)
	if err != nil {
		return err
	}
	if err := x.service.TakeMessage(ctx, x.param, query, body); err != nil {
		return unbelieved(err)
	}
	return x.writeText(http.StatusOK, messageAccepted)
}

// errUnbelieved is the answer to what is not WeChat's. It is no 401, which
// would ask for a signature in a header.
var errUnbelieved = &edgeError{answer{http.StatusForbidden, "SIGN_ERROR", 0}, "message refused"}

// unbelieved gives everything that was not believed one answer, and the log
// its cause.
func unbelieved(err error) error {
	if e, ok := errors.AsType[*relay.Error](err); ok && (e.Kind == relay.KindSign || e.Kind == relay.KindTimestamp) {
		return fmt.Errorf("%w: %w", errUnbelieved, err)
	}
	return err
}

const plainText = "text/plain; charset=utf-8"

// writeText answers with a text that is no page, whatever stands in it.
func (x *exchange) writeText(status int, text string) error {
	return writeWhole(x.w, status, plainText, []byte(text))
}
