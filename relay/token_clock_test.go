package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// shiftRow moves the times of a stored token, as a clock that was wrong when
// it was written does.
func shiftRow(t *testing.T, store relay.Store, kind relay.TokenKind, by time.Duration) {
	t.Helper()
	err := store.Update(t.Context(), func(tx relay.Tx) error {
		row, err := tx.AccountToken(relay.TokenKey{AppID: testAppID, Kind: kind})
		if err != nil {
			return err
		}
		row.ObtainedAt, row.ExpiresAt = row.ObtainedAt.Add(by), row.ExpiresAt.Add(by)
		return tx.PutAccountToken(&row)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTokenLeaseOfWrongClock_F42: a node whose clock is ahead is killed while
// it asks WeChat. Its lease ends for others no later than their own would.
func TestTokenLeaseOfWrongClock_F42(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{"ten minutes": 10 * time.Minute, "a year": 365 * 24 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store, api := memstore.New(), newFakeAPI()
				newNode(t, store, api).token()
				time.Sleep(3 * time.Hour) // the token is over
				err := store.Update(t.Context(), func(tx relay.Tx) error {
					row, err := tx.AccountToken(relay.TokenKey{AppID: testAppID, Kind: relay.TokenAccess})
					if err != nil {
						return err
					}
					row.Holder, row.LeaseUntil = "dead", time.Now().Add(ahead+relay.TokenLease)
					return tx.PutAccountToken(&row)
				})
				if err != nil {
					t.Fatal(err)
				}
				begin := time.Now()
				newNode(t, store, api).token()
				if waited := time.Since(begin); waited > relay.TokenLease+time.Second {
					t.Errorf("waited %s for a dead node", waited)
				}
			})
		})
	}
}

// TestTokenOfWrongClock_F21: what was kept while the clock was a year ahead is
// not lent for a year; WeChat is asked once and knows.
func TestTokenOfWrongClock_F21(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		first := newNode(t, store, api)
		first.token()
		first.ticket()
		const year = 365 * 24 * time.Hour
		shiftRow(t, store, relay.TokenAccess, year)
		shiftRow(t, store, relay.TokenJSAPITicket, year)
		time.Sleep(3 * time.Hour) // both are over
		second := newNode(t, store, api)
		if got := second.token(); got != "marker-token-2" {
			t.Errorf("lends %s", got)
		}
		if got := second.ticket(); got != "marker-ticket-2" {
			t.Errorf("lends %s", got)
		}
		for _, s := range second.rt.Tokens() {
			if left := time.Until(s.ExpiresAt); left > 2*time.Hour {
				t.Errorf("%s is said to live for %s", s.Kind, left)
			}
		}
	})
}

// TestAPITokenOfWrongClock_F21: a token that was given out while the clock was
// ahead lives no longer than any other.
func TestAPITokenOfWrongClock_F21(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, api := memstore.New(), newFakeAPI()
		ahead := newNode(t, store, api, granted("/cgi-bin/user/info"))
		ahead.ahead = 365 * 24 * time.Hour
		token, _ := ahead.clientToken(relay.APITokenPath)
		n := newNode(t, store, api, granted("/cgi-bin/user/info"))
		if _, err := n.AuthenticateAPIToken(token); err == nil {
			t.Error("a token that lives for a year is taken")
		}
	})
}
