package relay

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// tokenTick is how often tokens are looked at that may need renewal.
	tokenTick = 5 * time.Second
	// tokenLead is how long before its end a token is renewed: WeChat gives a
	// new one in the last five minutes and not before, while the old one goes
	// on working (oauth.md section 5).
	tokenLead = 5 * time.Minute
	// tokenJitter keeps nodes that know the same token from renewing at once.
	tokenJitter = 30 * time.Second
	// ticketCheck is how often a ticket is asked for again: WeChat does not
	// tell when it ends, and one that somebody else fetched first ends before
	// its time is over here (oauth.md section 6).
	ticketCheck = 15 * time.Minute
	// ticketGrace is how long a ticket is taken for good that WeChat still
	// answers after its time.
	ticketGrace = time.Minute
	// tokenSpare is what must be left of a token's life to be lent: WeChat
	// must still know it when the call arrives.
	tokenSpare = 5 * time.Second
	// tokenPause is the least time between two questions about one token that
	// its age asks for.
	tokenPause = 30 * time.Second
	// tokenUnused is how long after its last use a token is kept fresh.
	tokenUnused = time.Hour
)

// tokenCentre lends out the tokens of accounts: one owner for each, who
// renews it before its end, so that clients do not replace each other's. Other
// nodes on the store own them too, in turns, by the lease in AccountToken.
//
// It belongs to the Runtime, which starts and stops its one goroutine. That
// one renews what was used lately; who needs a token that is not there fetches
// it.
type tokenCentre struct {
	*rounds
	rt       *Runtime
	fetching keyedLocks[TokenKey]

	mu   sync.Mutex // guards held and what is in it
	held map[TokenKey]*heldToken
}

// lentToken is a token as its borrowers see it.
type lentToken struct {
	value     Secret
	expiresAt time.Time
}

// heldToken is what is known of one token.
type heldToken struct {
	account    string // its name, for whoever watches
	value      Secret // empty before the first
	obtainedAt time.Time
	expiresAt  time.Time
	renewAt    time.Time
	usedAt     time.Time

	trouble tokenTrouble
	refusal tokenRefusal
}

func newTokenCentre(rt *Runtime) *tokenCentre {
	c := &tokenCentre{rt: rt, held: map[TokenKey]*heldToken{}}
	c.rounds = newRounds(tokenTick, c.round)
	return c
}

// of finds what is known of a token; mu is held.
func (c *tokenCentre) of(key TokenKey) *heldToken {
	h := c.held[key]
	if h == nil {
		h = &heldToken{}
		c.held[key] = h
	}
	return h
}

func (h *heldToken) alive(now time.Time) bool {
	return h.value.Len() > 0 && now.Add(tokenSpare).Before(h.expiresAt)
}

func (h *heldToken) lent() lentToken { return lentToken{h.value, h.expiresAt} }

// lend gives the token that is held, and notes that it is used.
func (c *tokenCentre) lend(key TokenKey) (lentToken, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.rt.now()
	h := c.of(key)
	h.usedAt = now
	return h.lent(), h.alive(now)
}

// peek gives the token that is held, whether it is good or not.
func (c *tokenCentre) peek(key TokenKey) (t lentToken, alive bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.of(key)
	return h.lent(), h.alive(c.rt.now())
}

// hold keeps a token that WeChat or the store has just given.
func (c *tokenCentre) hold(a *Account, row *AccountToken, value Secret) lentToken {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.of(row.TokenKey)
	if !sameSecret(h.value, value) {
		h.refusal.forget()
	}
	h.account, h.value, h.obtainedAt, h.expiresAt = a.Name, value, row.ObtainedAt, row.ExpiresAt
	h.renewAt = c.renewAt(row)
	h.trouble = tokenTrouble{told: h.trouble.told}
	return h.lent()
}

// renewAt chooses when WeChat is asked again.
func (c *tokenCentre) renewAt(row *AccountToken) time.Time {
	now := c.rt.now()
	at := row.ExpiresAt.Add(-tokenLead).Add(c.jitter())
	if row.Kind == TokenJSAPITicket {
		// No overlap is promised for tickets, so that the last moment is as
		// good as any other before it.
		at = now.Add(ticketCheck + c.jitter())
		if end := row.ExpiresAt; end.Before(at) {
			at = end
		}
	}
	if soonest := now.Add(tokenPause); at.Before(soonest) && row.ExpiresAt.After(now) {
		at = soonest
	}
	return at
}

// jitter is a random time up to tokenJitter.
func (c *tokenCentre) jitter() time.Duration {
	b, err := c.rt.random.bytes(4)
	if err != nil {
		return 0
	}
	return tokenJitter * time.Duration(binary.BigEndian.Uint32(b)>>16) >> 16
}

// due lists the tokens that the background renews now, with the values that
// are to be replaced.
func (c *tokenCentre) due() map[TokenKey]tokenWish {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.rt.now()
	due := map[TokenKey]tokenWish{}
	for key, h := range c.held {
		switch {
		case h.value.Len() == 0 || now.Before(h.trouble.until):
		case h.refusal.force:
			due[key] = tokenWish{not: h.value, force: true}
			h.refusal.force = false // once, whatever comes of it
		case now.Sub(h.usedAt) < tokenUnused && !now.Before(h.renewAt):
			due[key] = tokenWish{not: h.value}
		}
	}
	return due
}

// forget drops what belongs to accounts that are not configured any more.
func (c *tokenCentre) forget(configured func(TokenKey) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.held, func(key TokenKey, _ *heldToken) bool { return !configured(key) })
}

// round renews what is due by the configuration that is current.
func (c *tokenCentre) round(ctx context.Context) {
	s := c.rt.current.Load()
	if s == nil {
		return
	}
	c.forget(func(key TokenKey) bool { return s.tokenAccount(key.AppID) != nil })
	var wg sync.WaitGroup
	for key, wish := range c.due() {
		wg.Go(func() { _, _ = s.renewToken(ctx, s.tokenAccount(key.AppID), key.Kind, wish) }) // it tells by itself what went wrong
	}
	wg.Wait()
}

// TokenState is what may be told of one account's token.
type TokenState struct {
	Account    string // name
	Kind       TokenKind
	ObtainedAt time.Time
	ExpiresAt  time.Time
	// MissingIP is the relay's address that WeChat wants on the account's IP
	// list; IPRefusedAt is when it last refused it, also when it did not say
	// which. Both are empty once a token was given.
	MissingIP   string
	IPRefusedAt time.Time
}

// Tokens tells of the tokens that this process knows, ordered by account.
func (rt *Runtime) Tokens() []TokenState {
	c := rt.tokens
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []TokenState
	for key, h := range c.held {
		if h.account == "" {
			continue
		}
		list = append(list, TokenState{
			Account: h.account, Kind: key.Kind, ObtainedAt: h.obtainedAt, ExpiresAt: h.expiresAt,
			MissingIP: h.trouble.missingIP, IPRefusedAt: h.trouble.ipRefusedAt,
		})
	}
	slices.SortFunc(list, func(a, b TokenState) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Kind, b.Kind))
	})
	return list
}
