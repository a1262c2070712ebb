package relay

import (
	"context"
	"fmt"
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

// apiClients are the server interfaces of the accounts by name, where WeChat
// has one: website and mobile apps have a secret for logins alone.
func apiClients(cfg *Config) (map[string]accountAPI, error) {
	clients := make(map[string]accountAPI)
	for _, a := range cfg.Accounts {
		if a.Secret.Len() == 0 || (a.Kind != AccountOfficial && a.Kind != AccountMiniProgram) {
			continue
		}
		c, err := account.NewClient(account.Options{
			AppID:   a.AppID,
			Secret:  a.Secret.Reveal,
			BaseURL: cfg.Platform.BaseAPI,
			HTTP:    apiHTTP(),
		})
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		clients[a.Name] = c
	}
	return clients, nil
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

// tokenAccount finds the configured account of a token.
func (s *Service) tokenAccount(appID string) *Account {
	a := s.cfg.accountByAppID(appID)
	if a == nil || s.apis[a.Name] == nil {
		return nil
	}
	return a
}
