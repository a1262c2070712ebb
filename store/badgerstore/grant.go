package badgerstore

import (
	"errors"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func appendGrantKey(k []byte, g relay.GrantKey) []byte {
	return append(part(append(k, prefixGrant), string(g.Kind)), g.Hash...)
}

func appendExpiringKey(k []byte, expires time.Time, g relay.GrantKey) []byte {
	k = ordered(append(k, prefixExpiring), expires.UnixNano())
	return append(part(k, string(g.Kind)), g.Hash...)
}

// parseExpiring reads what follows the prefix in a key of the index by expiry.
func parseExpiring(rest string) (relay.GrantKey, bool) {
	if len(rest) < 8 {
		return relay.GrantKey{}, false
	}
	kind, hash, ok := strings.Cut(rest[8:], "\x00")
	return relay.GrantKey{Kind: relay.GrantKind(kind), Hash: hash}, ok
}

// Grant reads a grant.
func (r *reader) Grant(k relay.GrantKey) (relay.Grant, error) {
	if hasZero(string(k.Kind)) {
		return relay.Grant{}, relay.ErrNotFound
	}
	var buf [keyRoom]byte
	row, err := r.src.get(store.KindGrant, appendGrantKey(buf[:0], k))
	if err != nil {
		return relay.Grant{}, err
	}
	return store.DecodeGrant(row)
}

// ExpiredGrants lists grants that have run out, earliest first.
func (r *reader) ExpiredGrants(until time.Time, limit int) ([]relay.GrantKey, error) {
	if limit <= 0 {
		return nil, nil
	}
	entries, err := r.first(r.marks.queue([]byte{prefixExpiring}), limit, func(entry string) bool {
		return len(entry) >= 8 && fromOrdered([]byte(entry[:8])) > until.UnixNano()
	})
	if len(entries) == 0 || err != nil {
		return nil, err
	}
	keys := make([]relay.GrantKey, 0, len(entries))
	for _, e := range entries {
		k, ok := parseExpiring(e)
		if !ok {
			return nil, errIndexRow
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// PutGrant keeps the grant and its place in the index by expiry.
func (t *tx) PutGrant(g *relay.Grant) error {
	if err := t.check(store.KindGrant, string(g.Kind), g.Hash); err != nil {
		return err
	}
	if g.ExpiresAt.IsZero() {
		return store.ErrNoExpiry
	}
	old, err := t.Grant(g.GrantKey)
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		return err
	}
	var buf [keyRoom]byte
	if there := err == nil; !there || !old.ExpiresAt.Equal(g.ExpiresAt) {
		if there {
			t.over.put(appendExpiringKey(buf[:0], old.ExpiresAt, g.GrantKey), nil)
		}
		t.over.put(appendExpiringKey(buf[:0], g.ExpiresAt, g.GrantKey), noRow)
	}
	return putRecord(t, appendGrantKey(buf[:0], g.GrantKey), g, store.EncodeGrant)
}

// DropGrant forgets the grant.
func (t *tx) DropGrant(k relay.GrantKey) error {
	if err := t.check(store.KindGrant, string(k.Kind), k.Hash); err != nil {
		return err
	}
	old, err := t.Grant(k)
	if errors.Is(err, relay.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	var buf [keyRoom]byte
	t.over.put(appendExpiringKey(buf[:0], old.ExpiresAt, k), nil)
	t.over.put(appendGrantKey(buf[:0], k), nil)
	return nil
}
