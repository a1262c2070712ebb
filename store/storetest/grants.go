package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
)

func grantKey(hash string) relay.GrantKey {
	return relay.GrantKey{Kind: relay.GrantTicket, Hash: hash}
}

func grant(hash string, expires time.Time) *relay.Grant {
	g := new(relay.Grant)
	Fill(g, 7)
	g.GrantKey, g.ExpiresAt, g.UsedAt = grantKey(hash), expires, time.Time{}
	return g
}

func putGrant(t *testing.T, s relay.Store, g *relay.Grant) {
	t.Helper()
	update(t, s, func(tx relay.Tx) error { return tx.PutGrant(g) })
}

// wantExpired compares the hashes of what has expired, seen from outside and
// inside a transaction.
func wantExpired(t *testing.T, s relay.Store, until time.Time, limit int, hashes ...string) {
	t.Helper()
	check := func(rd relay.Reader) error {
		keys, err := rd.ExpiredGrants(until, limit)
		var got []string
		for _, k := range keys {
			got = append(got, k.Hash)
		}
		wantEqual(t, "ExpiredGrants", got, hashes)
		return err
	}
	view(t, s, check)
	update(t, s, func(tx relay.Tx) error { return check(tx) })
}

func minute(m int) time.Time { return T0.Add(time.Duration(m) * time.Minute).UTC() }

func testGrants(t *testing.T, b Backend) {
	s := b.Open(t)
	one, used := grant("h1", minute(1)), grant("h1", minute(1))
	other := grant("h1", minute(2))
	other.Kind, other.ClientID = relay.GrantCode, "other"
	used.UsedAt = minute(0)
	for _, g := range []*relay.Grant{one, other, used} {
		putGrant(t, s, g)
	}
	s = b.Reopen(t, s)
	view(t, s, func(rd relay.Reader) error {
		g, err := rd.Grant(one.GrantKey)
		wantEqual(t, "Grant", g, *used)
		h, err2 := rd.Grant(other.GrantKey)
		wantEqual(t, "Grant of another kind", h, *other)
		for _, k := range []relay.GrantKey{
			{Kind: relay.GrantMiniSession, Hash: "h1"}, grantKey("h"), grantKey("h10"), grantKey(""), {Kind: "ticket\x00h1"}, {Hash: "h1"},
		} {
			_, err := rd.Grant(k)
			wantIs(t, fmt.Sprintf("Grant of %q", k), err, relay.ErrNotFound)
		}
		return all(err, err2)
	})
	err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutGrant(grant("for ever", time.Time{})) })
	wantIs(t, "PutGrant without an expiry", err, store.ErrNoExpiry)
}

func testGrantsByExpiry(t *testing.T, b Backend) {
	s := b.Open(t)
	wantExpired(t, s, minute(99), 9)
	putGrant(t, s, grant("late", minute(30)))
	putGrant(t, s, grant("early", minute(10)))
	putGrant(t, s, grant("middle", minute(20)))
	wantExpired(t, s, minute(99), 9, "early", "middle", "late")
	wantExpired(t, s, minute(99), 2, "early", "middle")
	wantExpired(t, s, minute(99), 0)
	wantExpired(t, s, minute(10), 9, "early")
	wantExpired(t, s, minute(10).Add(-1), 9)
	putGrant(t, s, grant("early", minute(25))) // put again, it moves
	wantExpired(t, s, minute(99), 9, "middle", "early", "late")
	putGrant(t, s, grant("late", minute(1)))
	wantExpired(t, s, minute(99), 9, "late", "middle", "early")
	used := grant("middle", minute(20)) // put again, it stays where it is
	used.UsedAt = minute(2)
	putGrant(t, s, used)
	s = b.Reopen(t, s)
	wantExpired(t, s, minute(99), 9, "late", "middle", "early")
	// Of equal times, each stands for itself.
	for _, kind := range []relay.GrantKind{relay.GrantCode, relay.GrantMiniSession} {
		g := grant("late", minute(1))
		g.Kind = kind
		putGrant(t, s, g)
	}
	wantExpired(t, s, minute(1), 9, "late", "late", "late")
	update(t, s, func(tx relay.Tx) error { return tx.PutGrant(grant("past", time.Unix(0, -5).UTC())) })
	wantExpired(t, s, minute(0), 9, "past")
}

func testGrantsDropped(t *testing.T, b Backend) {
	s := b.Open(t)
	for i, h := range []string{"a", "b", "c"} {
		putGrant(t, s, grant(h, minute(i)))
	}
	drop := func(hashes ...string) {
		t.Helper()
		update(t, s, func(tx relay.Tx) error {
			for _, h := range hashes {
				if err := tx.DropGrant(grantKey(h)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	drop("b", "none", "b")
	wantExpired(t, s, minute(99), 9, "a", "c")
	view(t, s, func(rd relay.Reader) error {
		_, err := rd.Grant(grantKey("b"))
		wantIs(t, "Grant that was dropped", err, relay.ErrNotFound)
		return nil
	})
	drop("a", "c")
	wantExpired(t, s, minute(99), 9)
	putGrant(t, s, grant("b", minute(5))) // the name is free again
	s = b.Reopen(t, s)
	wantExpired(t, s, minute(99), 9, "b")
	update(t, s, func(tx relay.Tx) error { // dropped and put in one transaction
		return all(tx.DropGrant(grantKey("b")), tx.PutGrant(grant("b", minute(7))), tx.PutGrant(grant("d", minute(6))), tx.DropGrant(grantKey("d")))
	})
	wantExpired(t, s, minute(99), 9, "b")
	wantExpired(t, s, minute(6), 9)
	// More than a store remembers of an index's head.
	update(t, s, func(tx relay.Tx) error {
		for i := range 100 {
			if err := tx.PutGrant(grant(fmt.Sprintf("many-%02d", i), minute(10+i))); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range 100 {
		if i == 0 {
			drop("b")
		}
		wantExpired(t, s, minute(999), 1, fmt.Sprintf("many-%02d", i))
		drop(fmt.Sprintf("many-%02d", i))
	}
	wantExpired(t, s, minute(999), 9)
}

func testGrantsRolledBack(t *testing.T, b Backend) {
	s := b.Open(t)
	putGrant(t, s, grant("a", minute(1)))
	putGrant(t, s, grant("b", minute(2)))
	err := s.Update(t.Context(), func(tx relay.Tx) error {
		return all(tx.PutGrant(grant("a", minute(9))), tx.DropGrant(grantKey("b")), tx.PutGrant(grant("c", minute(3))), errRefused)
	})
	wantIs(t, "Update", err, errRefused)
	wantExpired(t, s, minute(99), 9, "a", "b")
	view(t, s, func(rd relay.Reader) error {
		g, err := rd.Grant(grantKey("a"))
		wantEqual(t, "Grant", g, *grant("a", minute(1)))
		_, err2 := rd.Grant(grantKey("c"))
		wantIs(t, "Grant that was refused", err2, relay.ErrNotFound)
		return err
	})
}

// E12: of many who mark one grant as used, one finds it unused.
func testGrantRace(t *testing.T, b Backend) {
	s := b.Open(t)
	putGrant(t, s, grant("h", minute(1)))
	var won atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx relay.Tx) error {
				g, err := tx.Grant(grantKey("h"))
				if err != nil || !g.UsedAt.IsZero() {
					return all(err, errRefused)
				}
				g.UsedAt = T0
				return tx.PutGrant(&g)
			})
			if err == nil {
				won.Add(1)
			} else {
				wantIs(t, "PutGrant", err, errRefused)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "winners", won.Load(), int64(1))
}

func testAccountTokens(t *testing.T, b Backend) {
	s := b.Open(t)
	key := func(app string, kind relay.TokenKind) relay.TokenKey { return relay.TokenKey{AppID: app, Kind: kind} }
	want := map[relay.TokenKey]relay.AccountToken{}
	for i, k := range []relay.TokenKey{
		key("wx1", relay.TokenAccess), key("wx1", relay.TokenJSAPITicket), key("wx2", relay.TokenAccess), key("wx1", relay.TokenAccess),
	} {
		a := new(relay.AccountToken)
		Fill(a, 20+i)
		a.TokenKey = k
		want[k] = *a
		update(t, s, func(tx relay.Tx) error { return tx.PutAccountToken(a) })
	}
	s = b.Reopen(t, s)
	check := func(rd relay.Reader) error {
		for k, a := range want {
			got, err := rd.AccountToken(k)
			if err != nil {
				return err
			}
			wantEqual(t, "AccountToken", got, a)
		}
		for _, k := range []relay.TokenKey{key("wx2", relay.TokenJSAPITicket), key("", relay.TokenAccess), key("wx1\x00access_token", ""), key("wx1", "")} {
			_, err := rd.AccountToken(k)
			wantIs(t, fmt.Sprintf("AccountToken of %q", k), err, relay.ErrNotFound)
		}
		return nil
	}
	view(t, s, check)
	update(t, s, func(tx relay.Tx) error { return check(tx) })
}

// Of many who take the lease of a token at once, one holds it.
func testAccountTokenRace(t *testing.T, b Backend) {
	s := b.Open(t)
	key := relay.TokenKey{AppID: "wx1", Kind: relay.TokenAccess}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			err := s.Update(t.Context(), func(tx relay.Tx) error {
				if a, err := tx.AccountToken(key); err == nil && a.LeaseUntil.After(T0) {
					return errRefused
				}
				return tx.PutAccountToken(&relay.AccountToken{TokenKey: key, Holder: fmt.Sprint("node", i), LeaseUntil: minute(1)})
			})
			if err == nil {
				won.Add(1)
			} else {
				wantIs(t, "PutAccountToken", err, errRefused)
			}
		})
	}
	wg.Wait()
	wantEqual(t, "holders", won.Load(), int64(1))
}
