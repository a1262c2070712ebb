package relay_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/badgerstore"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// grantStores are the stores on which races for a grant are run.
func grantStores(t *testing.T) map[string]relay.Store {
	t.Helper()
	s, err := badgerstore.Open(badgerstore.Options{Path: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return map[string]relay.Store{"memstore": memstore.New(), "badgerstore": s}
}

func putGrant(t *testing.T, s relay.Store, g relay.Grant) {
	t.Helper()
	if err := s.Update(t.Context(), func(tx relay.Tx) error { return tx.PutGrant(&g) }); err != nil {
		t.Fatal(err)
	}
}

// Of fifty who redeem one ticket or code at once, one gets it.
func TestRedeemOnce_E08_E12(t *testing.T) {
	t.Parallel()
	for name, s := range grantStores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, s)
			for _, kind := range []relay.GrantKind{relay.GrantTicket, relay.GrantCode} {
				key := relay.GrantKey{Kind: kind, Hash: relay.GrantHash("text")}
				putGrant(t, s, relay.Grant{GrantKey: key, ClientID: vectorClient, User: relay.LoginUser{OpenID: "o1"}, ExpiresAt: time.Now().Add(time.Hour)})
				var won atomic.Int64
				var wg sync.WaitGroup
				for range 50 {
					wg.Go(func() {
						g, err := b.RedeemOnce(t.Context(), key, vectorClient)
						switch {
						case err == nil:
							won.Add(1)
							fallthrough
						case errors.Is(err, relay.ErrGrantUsed):
							if g.User.OpenID != "o1" || g.UsedAt.IsZero() {
								t.Errorf("got %+v with %v, want the grant as it was redeemed", g, err)
							}
						default:
							t.Errorf("got %v, want the grant or that it was redeemed", err)
						}
					})
				}
				wg.Wait()
				if won.Load() != 1 {
					t.Errorf("%s: %d won, want 1", kind, won.Load())
				}
			}
		})
	}
}

func TestRedeemOnceRefuses_E12(t *testing.T) {
	t.Parallel()
	const other = "2000000000000002"
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	key := relay.GrantKey{Kind: relay.GrantTicket, Hash: relay.GrantHash("text")}
	for _, c := range []struct {
		name   string
		key    relay.GrantKey
		client string
		later  time.Duration
		want   error
	}{
		{"in time", key, vectorClient, time.Minute - 1, nil},
		{"unknown text", relay.GrantKey{Kind: relay.GrantTicket, Hash: relay.GrantHash("texts")}, vectorClient, 0, relay.ErrNotFound},
		{"the text itself as hash", relay.GrantKey{Kind: relay.GrantTicket, Hash: "text"}, vectorClient, 0, relay.ErrNotFound},
		{"of another kind", relay.GrantKey{Kind: relay.GrantCode, Hash: key.Hash}, vectorClient, 0, relay.ErrNotFound},
		{"no text", relay.GrantKey{Kind: relay.GrantTicket}, vectorClient, 0, relay.ErrNotFound},
		{"another client's", key, other, 0, relay.ErrNotFound},
		{"another client's and expired", key, other, time.Hour, relay.ErrNotFound},
		{"at its end", key, vectorClient, time.Minute, relay.ErrGrantExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := memstore.New()
			b := newBench(t, s)
			b.clock = now.Add(c.later)
			putGrant(t, s, relay.Grant{GrantKey: key, ClientID: vectorClient, ExpiresAt: now.Add(time.Minute)})
			if _, err := b.RedeemOnce(t.Context(), c.key, c.client); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if c.want == nil {
				return
			}
			// Whoever was refused took nothing from the owner.
			b.clock = now
			if _, err := b.RedeemOnce(t.Context(), key, vectorClient); err != nil {
				t.Errorf("the owner afterwards: got %v", err)
			}
		})
	}
}

// A store in trouble is no refusal: the client may ask again.
func TestRedeemOnceWithoutStore(t *testing.T) {
	t.Parallel()
	b := newBench(t, memstore.New())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := b.RedeemOnce(ctx, relay.GrantKey{Kind: relay.GrantTicket, Hash: "h"}, vectorClient)
	if !errors.Is(err, relay.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
