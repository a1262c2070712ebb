package relay

import "context"

// AccountAPI is WeChat's server interface for one account.
type AccountAPI = accountAPI

// PlayAccount puts the test in WeChat's place for one account.
func (s *Service) PlayAccount(name string, api AccountAPI) { s.apis[name] = api }

// AccessToken lends the access token of a configured account.
func (s *Service) AccessToken(ctx context.Context, name string) (Secret, error) {
	return s.accessToken(ctx, s.accounts[name])
}

// JSTicket lends its ticket.
func (s *Service) JSTicket(ctx context.Context, name string) (Secret, error) {
	return s.jsTicket(ctx, s.accounts[name])
}

// WithToken makes a call that needs the access token.
func (s *Service) WithToken(ctx context.Context, name string, call func(Secret) (bool, error)) error {
	return s.withToken(ctx, s.accounts[name], call)
}

// TokenLease is how long a dead node keeps others waiting.
const TokenLease = tokenLease
