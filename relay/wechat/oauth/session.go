package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/url"
)

// Identity is who a user is to one app.
type Identity struct {
	OpenID  string
	UnionID string // empty unless the app belongs to an Open Platform account
}

// sessionReply is the answer to /sns/jscode2session. Its session_key is not
// even read: it must not leave the server, and nothing here needs it.
type sessionReply struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
	OpenID  string `json:"openid"`
	UnionID string `json:"unionid"`
}

func (r *sessionReply) failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// ExchangeMiniProgram turns the code of wx.login in a mini-program into the
// user's identity (code2Session). The code works once and for five minutes.
func (c *Client) ExchangeMiniProgram(ctx context.Context, code string) (*Identity, error) {
	const op = "exchange mini-program code"
	if !isCode(code) {
		return nil, fmt.Errorf("%s: %w", op, errCode)
	}
	var reply sessionReply
	err := c.get(ctx, op, "/sns/jscode2session", func() url.Values {
		return url.Values{
			"appid": {c.appID}, "secret": {string(c.secret())}, "js_code": {code}, "grant_type": {"authorization_code"},
		}
	}, &reply)
	if err != nil {
		return nil, err
	}
	if reply.OpenID == "" {
		return nil, errors.New(op + ": answer has no openid")
	}
	return &Identity{OpenID: reply.OpenID, UnionID: reply.UnionID}, nil
}
