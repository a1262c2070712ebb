package relay_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// hashes lists the grants that are left, in the order in which they end.
func hashes(t *testing.T, s relay.Store) (left []string) {
	t.Helper()
	err := s.View(t.Context(), func(r relay.Reader) error {
		keys, err := r.ExpiredGrants(time.Now().Add(1000*time.Hour), 10_000)
		for _, k := range keys {
			left = append(left, k.Hash)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}

// sweeping runs a test beside a Runtime that is started, in virtual time.
func sweeping(t *testing.T, s relay.Store, test func(t *testing.T, rt *relay.Runtime)) {
	t.Helper()
	merchantKey()
	platformKey()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, s)
		b.rt.Start()
		test(t, b.rt)
		if err := b.rt.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// after lets time pass until the sweeper has done its rounds.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// Expired grants go, used or not, when nobody can want to know of them any
// more; what is still good stays, also what was put again with a later end.
func TestGrantSweep(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	sweeping(t, store, func(t *testing.T, _ *relay.Runtime) {
		now := time.Now()
		put := func(hash string, ends time.Duration, used time.Time) {
			t.Helper()
			putGrant(t, store, relay.Grant{
				GrantKey: relay.GrantKey{Kind: relay.GrantTicket, Hash: hash}, ClientID: vectorClient,
				CreatedAt: now, ExpiresAt: now.Add(ends), UsedAt: used,
			})
		}
		put("ticket", time.Minute, time.Time{})
		put("used", time.Minute+1, now)
		put("extended", 2*time.Minute, time.Time{})
		put("token", 2*time.Hour, time.Time{})
		after(time.Minute)
		if got, want := fmt.Sprint(hashes(t, store)), "[ticket used extended token]"; got != want {
			t.Errorf("at their end: %s, want %s", got, want)
		}
		put("extended", time.Hour, time.Time{})
		after(relay.GrantGrace + 2*time.Minute)
		if got, want := fmt.Sprint(hashes(t, store)), "[extended token]"; got != want {
			t.Errorf("after the grace: %s, want %s", got, want)
		}
		after(3 * time.Hour)
		if got := hashes(t, store); len(got) > 0 {
			t.Errorf("after all ends: %v, want none", got)
		}
	})
}

// spyStore counts transactions and refuses to drop one grant, as a damaged row
// does.
type spyStore struct {
	relay.Store
	updates, largest atomic.Int64
	damaged          atomic.Pointer[relay.GrantKey]
}

type spyTx struct {
	relay.Tx
	store *spyStore
	drops int64
}

func (s *spyStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, func(tx relay.Tx) error {
		spy := &spyTx{Tx: tx, store: s}
		err := fn(spy)
		s.largest.Store(max(s.largest.Load(), spy.drops))
		return err
	})
}

func (t *spyTx) DropGrant(k relay.GrantKey) error {
	if d := t.store.damaged.Load(); d != nil && k == *d {
		return fmt.Errorf("grant row: %w", relay.ErrCorrupt)
	}
	t.drops++
	return t.Tx.DropGrant(k)
}

// Many go in one round and few in one transaction, beside a damaged one that
// cannot go; a relay without any writes nothing.
func TestGrantSweepInBatches(t *testing.T) {
	t.Parallel()
	const many = 3*relay.GrantSweepBatch + 10
	store := &spyStore{Store: memstore.New()}
	store.damaged.Store(&relay.GrantKey{Kind: relay.GrantCode, Hash: "hash-0000"})
	sweeping(t, store, func(t *testing.T, _ *relay.Runtime) {
		now := time.Now()
		err := store.Update(t.Context(), func(tx relay.Tx) error {
			for i := range many {
				g := relay.Grant{GrantKey: relay.GrantKey{Kind: relay.GrantCode, Hash: fmt.Sprintf("hash-%04d", i)}, ExpiresAt: now}
				if err := tx.PutGrant(&g); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		after(relay.GrantGrace - time.Second)
		before := store.updates.Load()
		after(time.Minute)
		if n := store.updates.Load() - before; n != 4 {
			t.Errorf("%d transactions, want 4 in one round", n)
		}
		if got, want := fmt.Sprint(hashes(t, store)), "[hash-0000]"; got != want {
			t.Errorf("left: %s, want %s", got, want)
		}
		if n := store.largest.Load(); n > relay.GrantSweepBatch {
			t.Errorf("one transaction dropped %d, want at most %d", n, relay.GrantSweepBatch)
		}
		store.damaged.Store(nil)
		after(2 * time.Minute)
		updates := store.updates.Load()
		after(time.Hour)
		if n := store.updates.Load() - updates; n > 0 {
			t.Errorf("%d transactions although nothing expired, want none", n)
		}
	})
}

// A store in trouble is told once a round, and swept when it is well again.
func TestGrantSweepAfterTrouble(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	putGrant(t, store, relay.Grant{GrantKey: relay.GrantKey{Kind: relay.GrantTicket, Hash: "h"}, ExpiresAt: time.Unix(0, 0)})
	var log bytes.Buffer
	rt, err := relay.NewRuntime(relay.RuntimeOptions{
		Store: store, Now: time.Now, Rand: bytes.NewReader(make([]byte, relay.MasterKeyLen)), Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	rt.SweepGrants(t.Context())
	if n := bytes.Count(log.Bytes(), []byte("dropping expired logins")); n != 1 {
		t.Errorf("told %d times, want once: %s", n, log.String())
	}
	store.Reopen()
	ended, end := context.WithCancel(t.Context())
	end()
	rt.SweepGrants(ended)
	if got := hashes(t, store); len(got) != 1 || bytes.Count(log.Bytes(), []byte("level")) != 1 {
		t.Errorf("while stopping: %v and %s, want nothing done and nothing told", got, log.String())
	}
	rt.SweepGrants(t.Context())
	if got := hashes(t, store); len(got) != 0 {
		t.Errorf("left: %v, want none", got)
	}
}
