package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

// sessionID takes the session's name of the path: 128 bits of base64url, like
// a cashier page's. One of another form names no session.
func (x *exchange) sessionID() (string, error) {
	if len(x.param) != tokenLength || !plainName(x.param) {
		return "", notFound("session")
	}
	return x.param, nil
}

func (x *exchange) createSession() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	var req relay.MiniSessionRequest
	if err := x.decode(&s, &req); err != nil {
		return err
	}
	view, err := x.service.CreateMiniSession(x.r.Context(), s.caller, req)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusCreated, view)
}

func (x *exchange) decryptData() error { return read(x, x.sessionID, x.service.DecryptMiniData) }

func (x *exchange) verifyData() error { return read(x, x.sessionID, x.service.VerifyMiniData) }
