package oauth

import (
	"context"
	"errors"
	"net/url"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

// statusReply is an answer that says nothing but whether it worked.
type statusReply struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
}

// Failure implements openapi.Reply.
func (r *statusReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// Auth reports whether the token is still good for the user that it is about.
// WeChat says so by a code that is no failure here; an error means that it is
// not known.
func (c *Client) Auth(ctx context.Context, t *Token) (bool, error) {
	var reply statusReply
	err := c.api.Do(ctx, openapi.Call{Op: "check token", Path: "/sns/auth", Safe: true, Query: func() url.Values {
		return url.Values{"access_token": {t.AccessToken}, "openid": {t.OpenID}}
	}}, &reply)
	if e, refused := errors.AsType[*Error](err); refused && (e.TokenInvalid() || e.Code == errcode.InvalidOpenID) {
		return false, nil
	}
	return err == nil, err
}
