package relay

import (
	"context"
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/account"
)

// accountAPI is WeChat's server interface for one account.
type accountAPI interface {
	StableToken(ctx context.Context, force bool) (*account.Token, error)
	Ticket(ctx context.Context, accessToken string, kind account.TicketKind) (*account.Token, error)
	Call(ctx context.Context, r account.Request, accessToken string) (*account.Response, error)
}

// connectAPI makes an account's server interface where WeChat has one:
// website and mobile apps have a secret for logins alone. It calls nobody.
func (s *Service) connectAPI(a *Account) error {
	if a.Secret.Len() == 0 || (a.Kind != AccountOfficial && a.Kind != AccountMiniProgram) {
		return nil
	}
	c, err := account.NewClient(account.Options{
		AppID:   a.AppID,
		Secret:  a.Secret.Reveal,
		BaseURL: s.cfg.Platform.BaseAPI,
		HTTP:    apiHTTP(),
	})
	if err == nil {
		s.apis[a.Name] = c
	}
	return err
}

// apiTimeout bounds a call in an account's name.
const apiTimeout = 20 * time.Second

// apiHTTP is the client for such calls: they may carry media and take longer
// than others.
func apiHTTP() *http.Client {
	c := platformHTTP()
	c.Timeout = apiTimeout
	if t, ok := c.Transport.(*http.Transport); ok {
		t.ResponseHeaderTimeout = apiTimeout
	}
	return c
}

// accountByAppID finds a configured account that has a server interface.
func (s *Service) accountByAppID(appID string) *Account {
	for _, a := range s.cfg.Accounts {
		if a.AppID == appID && s.apis[a.Name] != nil {
			return a
		}
	}
	return nil
}
