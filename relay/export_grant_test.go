package relay

import "context"

// Why a grant is not redeemed.
var (
	ErrGrantUsed    = errGrantUsed
	ErrGrantExpired = errGrantExpired
)

// GrantHash is the hash under which a text is known.
func GrantHash(text string) string { return grantHash(text) }

// RedeemOnce redeems a grant for a client.
func (s *Service) RedeemOnce(ctx context.Context, k GrantKey, clientID string) (Grant, error) {
	return s.redeemOnce(ctx, k, clientID)
}

// Sealer seals what the configuration keeps in the store.
func (s *Service) Sealer() *Sealer { return s.sealer() }

// What the sweeper goes by.
const (
	GrantGrace      = grantGrace
	GrantSweepBatch = grantSweepBatch
)

// SweepGrants does one round of the sweeper.
func (rt *Runtime) SweepGrants(ctx context.Context) { rt.grants.round(ctx) }
