package oauth

import (
	"context"
	"errors"
	"net/url"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

// Refresh turns the refresh token of a user, which lives 30 days, into a
// token. WeChat may answer the access token that is still valid, with its life
// made longer. An *Error whose [Error.Restart] is true means that the user
// must authorise again.
func (c *Client) Refresh(ctx context.Context, refreshToken string) (*Token, error) {
	const op = "refresh token"
	if !isCode(refreshToken) {
		return nil, errors.New(op + ": refresh token is not 1 to 512 visible characters")
	}
	return c.token(ctx, openapi.Call{Op: op, Path: "/sns/oauth2/refresh_token", Safe: true, Query: func() url.Values {
		return url.Values{"appid": {c.appID}, "grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	}})
}
