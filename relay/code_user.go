package relay

import (
	"context"
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// UserOf is who an access token is about: all that the login learned, for a
// site whose user agreed to it.
func (s *Service) UserOf(ctx context.Context, accessToken, openID string) (LoginUser, error) {
	user, err := s.tokenUser(ctx, accessToken, openID)
	if err != nil {
		return LoginUser{}, err
	}
	if !showsProfile(user.Scope) {
		return LoginUser{}, refuseAsWeChat(errcode.NotAuthorised, "api unauthorized: the user was not asked; log in with scope snsapi_userinfo")
	}
	return user, nil
}

// CheckUserToken tells whether an access token is good for an openid.
func (s *Service) CheckUserToken(ctx context.Context, accessToken, openID string) error {
	_, err := s.tokenUser(ctx, accessToken, openID)
	return err
}

// tokenUser finds the user of an access token. WeChat asks for nothing else,
// so the token alone says whose rate it is. A client that is gone takes its
// tokens along (threats E10).
func (s *Service) tokenUser(ctx context.Context, accessToken, openID string) (LoginUser, error) {
	var g Grant
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		g, err = r.Grant(GrantKey{GrantUserToken, grantHash(accessToken)})
		return err
	})
	client := s.clients[g.ClientID]
	switch {
	case errors.Is(err, ErrNotFound), err == nil && client == nil:
		return LoginUser{}, refuseAsWeChat(errcode.InvalidSecret, "invalid credential, access_token is invalid or not latest")
	case err != nil:
		return LoginUser{}, outcome(err)
	case !g.ExpiresAt.After(s.rt.now()):
		return LoginUser{}, refuseAsWeChat(errcode.TokenExpired, "access_token expired")
	}
	if err := s.withinRate(client); err != nil {
		return LoginUser{}, err
	}
	if g.User.OpenID != openID {
		return LoginUser{}, refuseAsWeChat(errcode.InvalidOpenID, "invalid openid")
	}
	return g.User, nil
}
