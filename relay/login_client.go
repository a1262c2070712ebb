package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/oauth"
)

// oauthLogin is the login of an official account or of a website app.
type oauthLogin struct{ client *oauth.Client }

// loginClients are the logins of the accounts by name; no page is opened in
// mini-programs and mobile apps.
func loginClients(cfg *Config) (map[string]loginClient, error) {
	clients := make(map[string]loginClient)
	for _, a := range cfg.Accounts {
		if a.Kind != AccountOfficial && a.Kind != AccountWebsiteApp {
			continue
		}
		c, err := oauth.NewClient(oauth.Options{
			AppID:   a.AppID,
			Secret:  a.Secret.Reveal,
			OpenURL: cfg.Platform.Open,
			BaseURL: cfg.Platform.BaseAPI,
			HTTP:    platformHTTP(),
		})
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		clients[a.Name] = oauthLogin{c}
	}
	return clients, nil
}

// AuthorizeURL is where a browser is asked who it is: in WeChat, or for a
// website app by a code to scan.
func (l oauthLogin) AuthorizeURL(redirectURI, scope, state string) string {
	if scope == oauth.ScopeLogin {
		return l.client.QRConnectURL(redirectURI, state)
	}
	return l.client.AuthorizeURL(redirectURI, scope, state)
}

// Exchange asks who a code is about, and for name and picture where the user
// agreed to show them. A user without these is logged in all the same.
func (l oauthLogin) Exchange(ctx context.Context, code string) (loginResult, error) {
	t, err := l.client.Exchange(ctx, code)
	if err != nil {
		return loginResult{}, loginError(err)
	}
	found := loginResult{User: LoginUser{OpenID: t.OpenID, UnionID: t.UnionID, Scope: t.Scope}, Snapshot: t.SnapshotUser}
	if !t.SnapshotUser && showsProfile(t.Scope) {
		found.Partly = l.addProfile(ctx, t, &found.User)
	}
	return found, nil
}

func (l oauthLogin) addProfile(ctx context.Context, t *oauth.Token, u *LoginUser) error {
	info, err := l.client.UserInfo(ctx, t)
	if err != nil {
		return err
	}
	u.Nickname, u.AvatarURL = info.Nickname, info.AvatarURL
	if info.UnionID != "" {
		u.UnionID = info.UnionID
	}
	return nil
}

// showsProfile reports whether a granted scope, or one of a list of them, lets
// the account see name and picture.
func showsProfile(granted string) bool {
	scopes := strings.Split(granted, ",")
	return slices.Contains(scopes, oauth.ScopeUserInfo) || slices.Contains(scopes, oauth.ScopeLogin)
}

// loginError says what WeChat's refusal of a code means for its browser.
func loginError(err error) error {
	known, ok := errors.AsType[*errcode.Error](err)
	switch {
	case !ok: // no answer, or none that makes sense
		return fmt.Errorf("%w: %w", errLoginBusy, err)
	case known.CodeSpent():
		return fmt.Errorf("%w: %w", errCodeSpent, err)
	case known.Code == errcode.TooMany:
		return fmt.Errorf("%w: %w", errLoginRate, err)
	case known.Retryable():
		return fmt.Errorf("%w: %w", errLoginBusy, err)
	default:
		return err
	}
}
