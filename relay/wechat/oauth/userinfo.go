package oauth

import (
	"context"
	"errors"
	"net/url"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

// UserInfo is what a user shows to the account after consent.
type UserInfo struct {
	OpenID    string
	UnionID   string // empty unless the account belongs to an Open Platform account
	Nickname  string
	AvatarURL string
}

// userInfoReply is the answer to /sns/userinfo. WeChat has left sex and region
// empty since 2021.
type userInfoReply struct {
	ErrCode    int    `json:"errcode"`
	ErrMsg     string `json:"errmsg"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid"`
	Nickname   string `json:"nickname"`
	HeadImgURL string `json:"headimgurl"`
}

// Failure implements openapi.Reply.
func (r *userInfoReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// UserInfo asks for name and picture of the user that the token is about. The
// token's scope must be ScopeUserInfo or ScopeLogin.
func (c *Client) UserInfo(ctx context.Context, t *Token) (*UserInfo, error) {
	const op = "get user info"
	var reply userInfoReply
	err := c.api.Do(ctx, openapi.Call{Op: op, Path: "/sns/userinfo", Safe: true, Query: func() url.Values {
		return url.Values{"access_token": {t.AccessToken}, "openid": {t.OpenID}, "lang": {"zh_CN"}}
	}}, &reply)
	if err != nil {
		return nil, err
	}
	if reply.OpenID != t.OpenID {
		return nil, errors.New(op + ": answer is about another user")
	}
	return &UserInfo{
		OpenID: reply.OpenID, UnionID: reply.UnionID, Nickname: reply.Nickname, AvatarURL: reply.HeadImgURL,
	}, nil
}
