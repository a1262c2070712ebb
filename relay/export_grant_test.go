package relay

import (
	"context"
	"errors"
)

// Why a grant is not redeemed.
var (
	ErrGrantUsed    = errGrantUsed
	ErrGrantExpired = errGrantExpired
)

// GrantHash is the hash under which a text is known.
func GrantHash(text string) string { return grantHash(text) }

// RedeemOnce redeems a grant for a client, in a transaction of its own.
func (s *Service) RedeemOnce(ctx context.Context, k GrantKey, clientID string) (g Grant, err error) {
	err = s.rt.store.Update(ctx, func(tx Tx) (err error) {
		g, err = redeemGrant(tx, k, clientID, s.rt.now())
		return err
	})
	if errors.Is(err, ErrUnavailable) {
		return Grant{}, err // the transaction may still be at work
	}
	return g, err
}

// Sealer seals what the configuration keeps in the store.
func (s *Service) Sealer() *Sealer { return s.sealer }

// What the sweeper goes by.
const (
	GrantGrace      = grantGrace
	GrantSweepBatch = grantSweepBatch
)

// SweepGrants does one round of the sweeper.
func (rt *Runtime) SweepGrants(ctx context.Context) { rt.grants.round(ctx) }
