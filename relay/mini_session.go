package relay

import (
	"context"
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// miniSessionLife is how long a session of a mini-program's user is kept.
// WeChat does not say how long its key lives: it replaces the key when the
// user has been away, so that one of three days is mostly stale.
const miniSessionLife = 3 * 24 * time.Hour

// maxMiniCode bounds the code of wx.login.
const maxMiniCode = 512

// MiniSessionRequest is the code that wx.login gave a mini-program.
type MiniSessionRequest struct {
	Account string `json:"account"` // optional where the client has one mini-program
	Code    string `json:"code"`
}

// MiniSessionView is who the user is, and the name of the session under which
// the relay keeps the key of the user's data.
type MiniSessionView struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid,omitempty"`
	AppID     string `json:"app_id"`
	SessionID string `json:"session_id"`
	ExpiresAt string `json:"expires_at"`
}

// CreateMiniSession trades the code of a mini-program's user for who that is.
// The session's key is sealed into the store and never told (oauth.md section
// 4). A code works once: of two that bring it at the same moment WeChat
// refuses one.
func (s *Service) CreateMiniSession(ctx context.Context, caller *Caller, req MiniSessionRequest) (MiniSessionView, error) {
	account, err := s.accountOfKind(caller.Client, req.Account, AccountMiniProgram)
	if err != nil {
		return MiniSessionView{}, err
	}
	mini := s.minis[account.Name]
	if mini == nil {
		return MiniSessionView{}, refusef(KindNoAuth, "account", "the secret of account %s is not configured, which logins need", account.Name)
	}
	if !validMiniCode(req.Code) {
		return MiniSessionView{}, refuse(KindParam, "code", "must be the code that wx.login gave, unchanged")
	}
	// Before WeChat is asked, so that a replay does not use up what it allows
	// the account, nor a broken store the code.
	if err := s.useNonce(ctx, caller); err != nil {
		return MiniSessionView{}, err
	}
	who, err := mini.Session(ctx, req.Code)
	if err != nil {
		return MiniSessionView{}, miniRefusal(account.Name, err)
	}
	g, id, err := s.miniGrant(caller.Client, account, who)
	if err != nil {
		return MiniSessionView{}, err
	}
	err = s.rt.store.Update(ctx, func(tx Tx) error { return tx.PutGrant(&g) })
	if err == nil {
		err = s.learnPayer(ctx, g.User.OpenID, g.AppID, g.ClientID)
	}
	if err != nil {
		return MiniSessionView{}, outcome(err)
	}
	return MiniSessionView{
		OpenID: g.User.OpenID, UnionID: g.User.UnionID, AppID: g.AppID, SessionID: id, ExpiresAt: stamp(g.ExpiresAt),
	}, nil
}

// miniGrant is the session as the store keeps it, and its name.
func (s *Service) miniGrant(c *Client, a *Account, who *miniprogram.Session) (g Grant, id string, err error) {
	if id, err = s.rt.random.token(); err != nil {
		return Grant{}, "", err
	}
	now := s.rt.now().Truncate(time.Second)
	g = Grant{
		GrantKey: GrantKey{Kind: GrantMiniSession, Hash: grantHash(id)},
		ClientID: c.ID, AppID: a.AppID, User: LoginUser{OpenID: who.OpenID, UnionID: who.UnionID},
		CreatedAt: now, ExpiresAt: now.Add(miniSessionLife),
	}
	g.Sealed, err = s.sealer.Seal(SealMiniSession, g.Hash, []byte(who.Key))
	return g, id, err
}

// miniKey finds a client's session and opens its key. A session of another
// client, one that ended, and one whose key does not open any more are as
// unknown as one that never was. It uses up the caller's nonce.
func (s *Service) miniKey(ctx context.Context, caller *Caller, sessionID string) (g Grant, key miniprogram.SessionKey, err error) {
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		var err error
		g, err = tx.Grant(GrantKey{Kind: GrantMiniSession, Hash: grantHash(sessionID)})
		if err != nil {
			return err
		}
		if g.ClientID != caller.Client.ID || !s.rt.now().Before(g.ExpiresAt) {
			return ErrNotFound
		}
		return s.claimNonce(tx, caller)
	})
	if err == nil {
		var plain []byte
		plain, err = s.sealer.Open(SealMiniSession, g.Hash, g.Sealed)
		key = miniprogram.SessionKey(plain)
	}
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrSealed):
		return Grant{}, "", notFound("session; call wx.login again")
	case err != nil:
		return Grant{}, "", outcome(err)
	}
	return g, key, nil
}

func validMiniCode(code string) bool {
	return code != "" && len(code) <= maxMiniCode && onlyChars(code, func(c byte) bool { return c > ' ' && c < 0x7f })
}
