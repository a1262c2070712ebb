package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
)

// Service is one configuration at work. It never changes after NewService
// and is safe for concurrent use; its requests may outlive the moment at
// which a newer Service takes over.
type Service struct {
	cfg       *Config
	rt        *Runtime
	log       *slog.Logger
	sealer    *Sealer // of what this configuration keeps in the store
	host      string  // of PublicURL, as signatures spell it
	clients   map[string]*Client
	nobody    *Client // stands in for unknown clients
	accounts  map[string]*Account
	merchants map[string]*merchant // by name
	byNumber  map[merchantID]*merchant
	logins    map[string]loginClient // by account name, of those that have one
	minis     map[string]miniClient  // likewise
	apis      map[string]accountAPI  // likewise
	receivers messageReceivers
}

// loginClient trades a browser's code for who the user is. Its errors wrap
// errCodeSpent, errLoginRate or errLoginBusy where WeChat said so.
type loginClient interface {
	AuthorizeURL(redirectURI, scope, state string) string
	Exchange(ctx context.Context, code string) (loginResult, error)
}

// loginResult is what WeChat says of a user.
type loginResult struct {
	User     LoginUser
	Snapshot bool  // a throw-away user of the limited "snapshot" view
	Partly   error // why name and picture are missing although the user agreed
}

// NewService puts a configuration to work on a Runtime. It opens no
// connection. It takes effect for deliveries and expiry when given to
// [Runtime.Use].
func NewService(cfg *Config, rt *Runtime, logger *slog.Logger) (*Service, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if client, needed := cfg.needsNotifyKey(); needed && rt.notifyKey == nil {
		return nil, fmt.Errorf("client %s: notify wechat_v3 needs the relay's own key, which could not be loaded", client)
	}
	s := &Service{
		cfg:       cfg,
		rt:        rt,
		log:       logger,
		host:      hostOf(cfg.PublicURL),
		clients:   make(map[string]*Client, len(cfg.Clients)),
		accounts:  make(map[string]*Account, len(cfg.Accounts)),
		merchants: make(map[string]*merchant, len(cfg.Merchants)),
		byNumber:  make(map[merchantID]*merchant, len(cfg.Merchants)),
	}
	if err := s.standIn(); err != nil {
		return nil, err
	}
	var err error
	if s.sealer, err = newServiceSealer(cfg, rt); err != nil {
		return nil, err
	}
	if s.logins, err = loginClients(cfg); err != nil {
		return nil, err
	}
	if s.minis, err = miniClients(cfg); err != nil {
		return nil, err
	}
	if s.apis, err = apiClients(cfg); err != nil {
		return nil, err
	}
	if s.receivers, err = newMessageReceivers(cfg.Accounts); err != nil {
		return nil, err
	}
	for _, c := range cfg.Clients {
		s.clients[c.ID] = c
	}
	for _, a := range cfg.Accounts {
		s.accounts[a.Name] = a
	}
	for _, m := range cfg.Merchants {
		connected, err := connect(m, cfg.Platform, rt, logger)
		if err != nil {
			return nil, fmt.Errorf("merchant %s: %w", m.Name, err)
		}
		s.merchants[m.Name], s.byNumber[merchantID{m.MchID, m.SubMchID}] = connected, connected
	}
	return s, nil
}

// standIn makes the client against which signatures of unknown clients are
// checked, so that they cost the same and never fit.
func (s *Service) standIn() error {
	secret, err := s.rt.random.state()
	if err != nil {
		return fmt.Errorf("reading randomness: %w", err)
	}
	s.nobody = &Client{Secrets: []Secret{NewSecret(secret)}}
	return nil
}

// PublicURL is the address prefix at which the relay is reached, without a
// trailing slash.
func (s *Service) PublicURL() string { return s.cfg.PublicURL.String() }

// Sandbox reports whether the platform plays WeChat.
func (s *Service) Sandbox() bool { return s.cfg.Platform.Sandbox }

// merchantOf is the merchant that collects for a client.
func (s *Service) merchantOf(c *Client) (*merchant, error) {
	m := s.merchants[c.Merchant]
	if c.Merchant == "" {
		return nil, refuse(KindNoAuth, "", "this client has no merchant, so that nobody can pay it")
	}
	if m == nil {
		return nil, refuse(KindUnavailable, "", "this client's merchant is not configured")
	}
	return m, nil
}

// accountOf is the account that pays for the client at the merchant: the
// client's own where it is of a kind that is needed, or else the merchant's
// first of the best kind.
func (s *Service) accountOf(c *Client, m *merchant, kinds ...AccountKind) (*Account, error) {
	if a := s.accounts[c.Account]; a != nil && slices.Contains(kinds, a.Kind) {
		if !slices.Contains(m.Accounts, a.Name) {
			return nil, refusef(KindNoAuth, "account", "account %s is not bound to merchant %s", a.Name, m.Name)
		}
		return a, nil
	}
	for _, kind := range kinds {
		for _, name := range m.Accounts {
			if a := s.accounts[name]; a != nil && a.Kind == kind {
				return a, nil
			}
		}
	}
	return nil, refusef(KindNoAuth, "account", "merchant %s has no account of kind %s", m.Name, kinds[0])
}

// outcome turns what a store said into what a caller may read.
func outcome(err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	if errors.Is(err, ErrUnavailable) {
		return &Error{Kind: KindUnavailable, Message: "cannot take this now; try again", Err: err}
	}
	return err
}
