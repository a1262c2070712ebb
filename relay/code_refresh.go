package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// maxLiveUserTokens is how many access tokens one refresh token keeps alive:
// the last one and the one before it, with which a call may be under way.
const maxLiveUserTokens = 2

// RefreshUserToken makes a new access token for a refresh token, which itself
// stays as it is. WeChat asks for no secret here, and so does the relay: the
// refresh token is one. The client's rate is counted once it is known.
func (s *Service) RefreshUserToken(ctx context.Context, clientID, refreshToken string) (UserToken, error) {
	key := GrantKey{GrantRefreshToken, grantHash(refreshToken)}
	var g Grant
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		g, err = s.refreshGrant(r, key, clientID)
		return err
	})
	if err == nil {
		err = s.withinRate(s.clients[g.ClientID])
	}
	if err != nil {
		return UserToken{}, outcome(err)
	}
	access, err := s.rt.random.token()
	if err != nil {
		return UserToken{}, err
	}
	err = s.rt.store.Update(ctx, func(tx Tx) (err error) {
		if g, err = s.refreshGrant(tx, key, clientID); err != nil {
			return err
		}
		return giveAgain(tx, &g, GrantKey{GrantUserToken, grantHash(access)}, s.rt.now())
	})
	if err != nil {
		return UserToken{}, outcome(err)
	}
	token := userTokenOf(g.User, access, refreshToken)
	token.UnionID = "" // WeChat says it with the code alone
	return token, nil
}

// refreshGrant reads the grant of a refresh token of that client's.
func (s *Service) refreshGrant(r GrantReader, key GrantKey, clientID string) (Grant, error) {
	g, err := r.Grant(key)
	switch {
	case errors.Is(err, ErrNotFound), err == nil && (g.ClientID != clientID || s.clients[clientID] == nil):
		return Grant{}, refuseAsWeChat(errcode.InvalidRefresh, "invalid refresh_token")
	case err == nil && !g.ExpiresAt.After(s.rt.now()):
		return Grant{}, refuseAsWeChat(errcode.RefreshExpired, "refresh_token expired")
	}
	return g, err
}

// giveAgain keeps one more access token of a refresh token and ends those that
// are too old, so that who refreshes all day keeps two and not thousands.
func giveAgain(tx Tx, refresh *Grant, access GrantKey, now time.Time) error {
	for len(refresh.Gave) >= maxLiveUserTokens {
		if err := tx.DropGrant(refresh.Gave[0]); err != nil {
			return err
		}
		refresh.Gave = refresh.Gave[1:]
	}
	refresh.Gave = append(slices.Clip(refresh.Gave), access)
	return errors.Join(tx.PutGrant(refresh), tx.PutGrant(follower(refresh, access, userTokenLife, now)))
}
