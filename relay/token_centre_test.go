package relay_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// atOnce calls fn from so many goroutines and waits for them.
func atOnce(n int, fn func()) {
	var wg sync.WaitGroup
	for range n {
		wg.Go(fn)
	}
	wg.Wait()
}

// TestTokenOneRefresh: two hundred who need a token that just ended cause one
// call to WeChat, and so do two nodes that share nothing but the store.
func TestTokenOneRefresh(t *testing.T) {
	t.Parallel()
	for name, nodes := range map[string]int{"one node": 1, "two nodes": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, api := memstore.New(), newFakeAPI()
				api.slowDown(time.Second)
				all := make([]*node, nodes)
				for i := range all {
					all[i] = newNode(t, store, api)
				}
				for round := 1; round <= 3; round++ {
					var got sync.Map
					var wg sync.WaitGroup
					for _, n := range all {
						wg.Go(func() { atOnce(200/nodes, func() { got.Store(n.token(), true) }) })
					}
					wg.Wait()
					different := 0
					got.Range(func(any, any) bool { different++; return true })
					if calls := api.count("stable"); calls != round || different != 1 {
						t.Fatalf("after round %d: %d calls, %d different tokens; want %d and 1", round, calls, different, round)
					}
					time.Sleep(2 * time.Hour) // nobody renews: the workers are not at work
				}
			})
		})
	}
}

// TestTokenDay: over a day in which it is used, a token is renewed in its last
// five minutes and at no other time, and nobody ever waits. So is a ticket,
// which is asked for more often, because WeChat does not tell its end.
func TestTokenDay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		one, two := newNode(t, store, api), newNode(t, store, api)
		one.run()
		two.run()
		one.ticket()
		two.ticket()
		api.slowDown(3 * time.Second)
		for begin := time.Now(); time.Since(begin) < 24*time.Hour; time.Sleep(2 * time.Minute) {
			for _, n := range []*node{one, two} {
				was := time.Now()
				n.token()
				if waited := time.Since(was); waited > 0 {
					t.Fatalf("waited %s for a token at %s", waited, time.Since(begin))
				}
				// A ticket has no overlap: the one that is held may have ended
				// at this very moment.
				if got := n.ticket(); got == "" {
					t.Fatal("no ticket")
				}
			}
		}
		// 24 hours of 1 h 55 min each, with the first.
		synctest.Wait() // for a round that begins at this very moment
		tokens, tickets := api.given()
		if calls := api.count("stable"); tokens < 12 || tokens > 14 || calls != tokens {
			t.Errorf("%d tokens by %d calls, want about 13 by as many", tokens, calls)
		}
		if calls := api.count("ticket"); tickets < 12 || tickets > 13 || calls > 2*24*5 {
			t.Errorf("%d tickets by %d calls", tickets, calls)
		}
		one.quiet()
	})
}

// TestTokenUnused: nobody renews what nobody uses.
func TestTokenUnused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		n := newNode(t, memstore.New(), api)
		n.run()
		n.token()
		time.Sleep(24 * time.Hour)
		if calls := api.count("stable"); calls != 1 {
			t.Errorf("%d calls for a token that was used once", calls)
		}
	})
}

// TestTokenSurvivesRestart: the next process lends what this one got, which
// stands sealed in the store (threats H09); one with another master key
// fetches its own and is not out of order.
func TestTokenSurvivesRestart_H09(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		first := newNode(t, store, api)
		token, ticket := first.token(), first.ticket()
		err := store.View(t.Context(), func(r relay.Reader) error {
			for _, kind := range []relay.TokenKind{relay.TokenAccess, relay.TokenJSAPITicket} {
				row, err := r.AccountToken(relay.TokenKey{AppID: testAppID, Kind: kind})
				if err != nil {
					return err
				}
				if len(row.Sealed) == 0 || bytes.Contains(row.Sealed, []byte("marker")) || row.Holder != "" {
					t.Errorf("%s: the row holds the token in clear, or a lease", kind)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		second := newNode(t, store, api)
		if second.token() != token || second.ticket() != ticket || api.count("stable") != 1 || api.count("ticket") != 1 {
			t.Errorf("the next process asked WeChat again: %v", api.calls)
		}
		otherKey := func(cfg *relay.Config) { cfg.MasterKeys = []relay.Secret{relay.NewSecret(strings.Repeat("o", 32))} }
		if third := newNode(t, store, api, otherKey); third.token() != token || api.count("stable") != 2 {
			t.Errorf("with another master key: %v", api.calls)
		}
	})
}

// TestTokenDeadHolder: a process is killed while it asks WeChat. The next one
// waits for the lease and no longer, and where a token still lives it does
// not wait at all.
func TestTokenDeadHolder(t *testing.T) {
	t.Parallel()
	kill := func(t *testing.T, store relay.Store) {
		t.Helper()
		err := store.Update(t.Context(), func(tx relay.Tx) error {
			row, err := tx.AccountToken(relay.TokenKey{AppID: testAppID, Kind: relay.TokenAccess})
			if errors.Is(err, relay.ErrNotFound) {
				row = relay.AccountToken{TokenKey: relay.TokenKey{AppID: testAppID, Kind: relay.TokenAccess}}
			} else if err != nil {
				return err
			}
			row.Holder, row.LeaseUntil = "dead", time.Now().Add(relay.TokenLease)
			return tx.PutAccountToken(&row)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("first token", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store, api := memstore.New(), newFakeAPI()
			kill(t, store)
			n := newNode(t, store, api)
			begin := time.Now()
			atOnce(20, func() { n.token() })
			if waited := time.Since(begin); waited > relay.TokenLease+time.Second || api.count("stable") != 1 {
				t.Errorf("waited %s, %v", waited, api.calls)
			}
		})
	})
	t.Run("renewal", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			store, api := memstore.New(), newFakeAPI()
			n := newNode(t, store, api)
			n.run()
			old := n.token()
			time.Sleep(time.Hour + 54*time.Minute)
			n.token()
			kill(t, store)
			time.Sleep(time.Minute)
			begin := time.Now()
			n.token()
			if waited := time.Since(begin); waited != 0 {
				t.Errorf("waited %s while the old one lives", waited)
			}
			time.Sleep(2 * time.Minute)
			if n.token() == old {
				t.Error("the lease of a dead node keeps the token from renewal")
			}
		})
	})
}

// TestTokenCallerGone: the call for a token goes on when the one who needed it
// first has gone away.
func TestTokenCallerGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		api.slowDown(3 * time.Second)
		n := newNode(t, memstore.New(), api)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		// The call goes on for whoever comes next.
		if _, err := n.AccessToken(ctx, "shop"); err != nil {
			t.Errorf("the token came, but its caller got %v", err)
		}
		n.token()
		if calls := api.count("stable"); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

func refusal(code int) *errcode.Error {
	return &errcode.Error{Op: "get stable token", Code: code, HTTPStatus: 200}
}

// TestTokenTrouble: while WeChat gives no token, the old one is lent as long
// as it lives, WeChat is asked at the pace of the trouble, and callers learn
// whether to come back.
func TestTokenTrouble(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		err        error
		kind       relay.Kind
		code       string
		least, top int // calls within an hour
	}{
		{"busy", refusal(errcode.Busy), relay.KindUnavailable, "", 90, 130},
		{"no answer", errors.New("get stable token: connection refused"), relay.KindUnavailable, "", 90, 130},
		{"HTTP 500", &errcode.Error{Op: "get stable token", HTTPStatus: 500}, relay.KindUnavailable, "", 90, 130},
		{"too many", refusal(errcode.TooMany), relay.KindUnavailable, "", 50, 61},
		{"wrong secret", refusal(errcode.WrongSecret), relay.KindUpstream, "40125", 90, 121},
		{"secret frozen", refusal(errcode.SecretFrozen), relay.KindUpstream, "40243", 90, 121},
		{"quota", refusal(errcode.DailyQuota), relay.KindUnavailable, "", 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				api := newFakeAPI()
				n := newNode(t, memstore.New(), api)
				n.run()
				old := n.token()
				time.Sleep(time.Hour + 54*time.Minute)
				api.fail(tt.err)
				before := api.count("stable")
				n.token()
				time.Sleep(5 * time.Minute)
				if n.token() != old {
					t.Error("the old token is not lent while it lives")
				}
				for range 55 * 12 {
					time.Sleep(5 * time.Second)
					_, _ = n.AccessToken(t.Context(), "shop")
				}
				_, err := n.AccessToken(t.Context(), "shop")
				var known *relay.Error
				if !errors.As(err, &known) || known.Kind != tt.kind || known.UpstreamCode != tt.code {
					t.Errorf("callers get %v", err)
				}
				if calls := api.count("stable") - before; calls < tt.least || calls > tt.top {
					t.Errorf("%d calls in an hour, want %d to %d", calls, tt.least, tt.top)
				}
				n.quiet()
			})
		})
	}
}

// TestTokenQuotaMidnight: a spent quota is left alone until midnight in
// Beijing, when it begins anew.
func TestTokenQuotaMidnight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		api.fail(refusal(errcode.DailyQuota))
		n := newNode(t, memstore.New(), api)
		zone := time.FixedZone("CST", 8*60*60)
		midnight := time.Date(2000, 1, 2, 0, 0, 0, 0, zone) // the bubble begins at midnight UTC of 2000-01-01
		for time.Until(midnight) > time.Minute {
			_, _ = n.AccessToken(t.Context(), "shop")
			time.Sleep(time.Minute)
		}
		if calls := api.count("stable"); calls != 1 {
			t.Errorf("%d calls before midnight", calls)
		}
		api.fail(nil)
		time.Sleep(2 * time.Minute)
		n.token()
	})
}

// TestTokenAddressNotAllowed: the operator is told which address to add, once
// in a while, and watchers can see it until it is done.
func TestTokenAddressNotAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		api.fail(&errcode.Error{Op: "get stable token", Code: errcode.IPNotAllowed, Message: "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"})
		n := newNode(t, memstore.New(), api)
		for range 9 {
			if _, err := n.AccessToken(t.Context(), "shop"); kindOf(err) != relay.KindUpstream {
				t.Errorf("callers get %v", err)
			}
			time.Sleep(time.Minute)
		}
		if got := strings.Count(n.log.String(), "add_ip=203.0.113.7"); got != 1 {
			t.Errorf("the address is in the log %d times in nine minutes, want once:\n%s", got, n.log)
		}
		if states := n.rt.Tokens(); len(states) != 1 || states[0].MissingIP != "203.0.113.7" || states[0].Account != "shop" || states[0].IPRefusedAt.IsZero() {
			t.Errorf("states = %+v", states)
		}
		api.fail(nil)
		time.Sleep(time.Minute)
		n.token()
		if states := n.rt.Tokens(); states[0].MissingIP != "" || !states[0].IPRefusedAt.IsZero() || states[0].ObtainedAt.IsZero() {
			t.Errorf("after it was added: %+v", states)
		}
	})
}

// TestTokenTicketFirstSeen: somebody else fetched the ticket before. Its end,
// which WeChat does not tell, is found within a quarter of an hour.
func TestTokenTicketFirstSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		api := newFakeAPI()
		api.ticket, api.over = "marker-ticket-0", time.Now().Add(40*time.Minute)
		n := newNode(t, memstore.New(), api)
		n.run()
		if n.ticket() != "marker-ticket-0" {
			t.Fatal("another ticket")
		}
		for range 56 {
			time.Sleep(time.Minute)
			n.ticket()
		}
		if got := n.ticket(); got != "marker-ticket-1" {
			t.Errorf("%s is still lent", got)
		}
	})
}

// TestTokenTicketAges: each time the same ticket is told of, WeChat gives it
// two hours, but its end is counted from when it was first seen.
func TestTokenTicketAges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, memstore.New(), newFakeAPI())
		n.run()
		first := time.Now()
		for range 40 { // some checks on the way
			n.ticket()
			time.Sleep(time.Minute)
		}
		var end time.Time
		for _, state := range n.rt.Tokens() {
			if state.Kind == relay.TokenJSAPITicket {
				end = state.ExpiresAt
			}
		}
		if want := first.Add(2 * time.Hour); !end.Equal(want) {
			t.Errorf("the ticket ends at %v, want %v", end, want)
		}
	})
}
