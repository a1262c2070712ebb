package relay

import (
	"errors"
	"time"
)

// Why a grant that is there is not redeemed. A code says so to its client as
// WeChat does (oauth.md section 8); a ticket is not found in each case.
var (
	errGrantUsed    = errors.New("redeemed before")
	errGrantExpired = errors.New("expired before it was redeemed")
)

// redeemGrant redeems a grant for a client, inside a transaction that may do
// more. Of many at once one wins (threats E08, E12). An unknown one is
// ErrNotFound, and so is another client's, which its owner can still redeem.
// With errGrantUsed and errGrantExpired the grant comes too, so that a replay
// can take back what the first one gave.
func redeemGrant(tx Tx, k GrantKey, clientID string, now time.Time) (Grant, error) {
	g, err := tx.Grant(k)
	switch {
	case err != nil:
		return Grant{}, err
	case g.ClientID != clientID:
		return Grant{}, ErrNotFound
	case !g.UsedAt.IsZero():
		return g, errGrantUsed
	case !now.Before(g.ExpiresAt):
		return g, errGrantExpired
	}
	g.UsedAt = now
	return g, tx.PutGrant(&g)
}
