package relay

import (
	"context"
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// Lives of what a code is worth, as WeChat's own (oauth.md section 3).
const (
	userTokenLife    = 7200 * time.Second
	refreshTokenLife = 30 * 24 * time.Hour
)

// UserToken is what a site gets for a code, as WeChat's own: who the user is
// to the account, and the right to ask this relay for more. The tokens are
// the relay's and worth nothing at WeChat.
type UserToken struct {
	AccessToken  Secret
	RefreshToken Secret
	ExpiresIn    time.Duration // of AccessToken
	OpenID       string
	UnionID      string // empty where the account has none
	Scope        string
}

// RedeemCode turns a code that a browser brought to a site into a token, once
// and for the client to which it was given. Another client's code is like none
// and stays good for its owner (threats E09). One that comes a second time
// ends what it gave before (E08).
func (s *Service) RedeemCode(ctx context.Context, c *Caller, code string) (UserToken, error) {
	began := s.rt.now()
	access, refresh, err := s.newTokens()
	if err != nil {
		return UserToken{}, err
	}
	var user LoginUser
	var refused error
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		now := s.rt.now()
		g, err := redeemGrant(tx, GrantKey{GrantCode, grantHash(code)}, c.Client.ID, now)
		switch {
		case errors.Is(err, ErrNotFound):
			return refuseAsWeChat(errcode.InvalidCode, "invalid code")
		case errors.Is(err, errGrantExpired):
			return refuseAsWeChat(errcode.CodeExpired, "code expired")
		case errors.Is(err, errGrantUsed):
			refused = refuseAsWeChat(errcode.CodeUsed, "code been used")
			if !began.After(g.UsedAt) {
				return nil // it lost a race, which is no replay
			}
			return revokeGiven(tx, g.Gave)
		case err != nil:
			return err
		}
		user = g.User
		return giveTokens(tx, &g, access, refresh, now)
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return UserToken{}, outcome(err)
	}
	return userTokenOf(user, access, refresh), nil
}

// newTokens makes the texts of an access token and a refresh token.
func (s *Service) newTokens() (access, refresh string, err error) {
	if access, err = s.rt.random.token(); err != nil {
		return "", "", err
	}
	refresh, err = s.rt.random.token()
	return access, refresh, err
}

// giveTokens keeps both tokens of a code, and with the code which they are.
func giveTokens(tx Tx, code *Grant, access, refresh string, now time.Time) error {
	accessKey, refreshKey := GrantKey{GrantUserToken, grantHash(access)}, GrantKey{GrantRefreshToken, grantHash(refresh)}
	code.Gave = []GrantKey{accessKey, refreshKey}
	return errors.Join(
		tx.PutGrant(code),
		tx.PutGrant(follower(code, accessKey, userTokenLife, now)),
		tx.PutGrant(follower(code, refreshKey, refreshTokenLife, now, accessKey)),
	)
}

// follower is a grant about the same user that another one gives.
func follower(from *Grant, key GrantKey, life time.Duration, now time.Time, gave ...GrantKey) *Grant {
	return &Grant{
		GrantKey: key, ClientID: from.ClientID, AppID: from.AppID, User: from.User,
		CreatedAt: now, ExpiresAt: now.Add(life), Gave: gave,
	}
}

// revokeGiven ends what a grant gave, and what that gave in turn.
func revokeGiven(tx Tx, gave []GrantKey) error {
	for _, key := range gave {
		g, err := tx.Grant(key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(revokeGiven(tx, g.Gave), tx.DropGrant(key)); err != nil {
			return err
		}
	}
	return nil
}

func userTokenOf(user LoginUser, access, refresh string) UserToken {
	return UserToken{
		AccessToken: NewSecret(access), RefreshToken: NewSecret(refresh), ExpiresIn: userTokenLife,
		OpenID: user.OpenID, UnionID: user.UnionID, Scope: user.Scope,
	}
}
