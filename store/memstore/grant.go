package memstore

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func (r reader) Grant(k relay.GrantKey) (relay.Grant, error) {
	g, err := found(r.grants, k)
	g.Sealed, g.Gave = bytes.Clone(g.Sealed), slices.Clone(g.Gave)
	return g, err
}

func (r reader) ExpiredGrants(until time.Time, limit int) ([]relay.GrantKey, error) {
	var keys []relay.GrantKey
	for _, e := range r.expiring {
		if len(keys) >= limit || e.expires > until.UnixNano() {
			break
		}
		keys = append(keys, e.key)
	}
	return keys, nil
}

func compareExpiring(a, b expiring) int {
	return cmp.Or(cmp.Compare(a.expires, b.expires),
		strings.Compare(string(a.key.Kind), string(b.key.Kind)), strings.Compare(a.key.Hash, b.key.Hash))
}

// PutGrant keeps the grant and its place in the index by expiry.
func (t *tx) PutGrant(g *relay.Grant) error {
	if err := store.CheckKey(store.KindGrant, string(g.Kind), g.Hash); err != nil {
		return err
	}
	if g.ExpiresAt.IsZero() {
		return store.ErrNoExpiry
	}
	c, err := canonical(g, store.EncodeGrant, store.DecodeGrant)
	if err != nil {
		return err
	}
	t.forgetExpiry(c.GrantKey)
	e := expiring{c.ExpiresAt.UnixNano(), c.GrantKey}
	t.undo = append(t.undo, func() { t.expiring = remove(t.expiring, e, compareExpiring) })
	t.expiring = insert(t.expiring, e, compareExpiring)
	set(t, t.grants, c.GrantKey, c)
	return nil
}

// DropGrant forgets the grant.
func (t *tx) DropGrant(k relay.GrantKey) error {
	if err := store.CheckKey(store.KindGrant, string(k.Kind), k.Hash); err != nil {
		return err
	}
	t.forgetExpiry(k)
	unset(t, t.grants, k)
	return nil
}

// forgetExpiry takes a grant that is there out of the index.
func (t *tx) forgetExpiry(k relay.GrantKey) {
	old, there := t.grants[k]
	if !there {
		return
	}
	e := expiring{old.ExpiresAt.UnixNano(), k}
	t.undo = append(t.undo, func() { t.expiring = insert(t.expiring, e, compareExpiring) })
	t.expiring = remove(t.expiring, e, compareExpiring)
}
