package relay

import (
	"context"
	"errors"
	"time"
)

// errTokenReread says that it was looked for another token a moment ago and
// there was none.
var errTokenReread = errors.New("there was no other token a moment ago")

const (
	// tokenReread is the least time between two looks for another token
	// because one was refused: calls that are always refused must not use up
	// the quota of stable_token.
	tokenReread = 5 * time.Second
	// tokenForce is the least time between two forced renewals; WeChat takes
	// twenty a day (oauth.md section 5).
	tokenForce = 90 * time.Minute
)

// tokenRefusal is what is known of refusals of the token that is held.
type tokenRefusal struct {
	reread time.Time // when it was last looked for another one
	force  bool      // the background shall ask WeChat for another one
	forced time.Time // when it last did
}

// forget begins anew with another token.
func (r *tokenRefusal) forget() { r.reread, r.force = time.Time{}, false }

// withToken makes a call that needs the account's access token. When WeChat
// refuses the token, in which case it did nothing, another is looked for once
// and the call is made once more, never a third time (oauth.md section 5).
func (s *Service) withToken(ctx context.Context, a *Account, call func(access Secret) (refused bool, err error)) error {
	access, err := s.accessToken(ctx, a)
	if err != nil {
		return err
	}
	refused, err := call(access)
	if !refused {
		return err
	}
	other, again := s.otherToken(ctx, a, access)
	if !again {
		return err
	}
	if refused, err = call(other); refused {
		s.rt.tokens.refusedAgain(TokenKey{a.AppID, TokenAccess}, other)
	}
	return err
}

// otherToken looks, without force, for another token than the one that WeChat
// refused. It may find the same one, which is then tried once more: WeChat's
// machines do not all know a new token at once. Nothing is found when it was
// looked for a moment ago.
func (s *Service) otherToken(ctx context.Context, a *Account, refused Secret) (Secret, bool) {
	t, err := s.renewToken(ctx, a, TokenAccess, tokenWish{not: refused, urgent: true})
	return t.value, err == nil
}

// mayReread reports whether it is time to look for another token than the one
// that was refused, and notes that it is done.
func (c *tokenCentre) mayReread(key TokenKey, refused Secret) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, now := c.of(key), c.rt.now()
	if !sameSecret(h.value, refused) {
		return true
	}
	if now.Sub(h.refusal.reread) < tokenReread {
		return false
	}
	h.refusal.reread = now
	return true
}

// refusedAgain notes that WeChat refused a token, which should live, after it
// was looked for another one. The background then asks for a new one by force.
func (c *tokenCentre) refusedAgain(key TokenKey, refused Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h, now := c.of(key), c.rt.now()
	if sameSecret(h.value, refused) && now.Sub(h.refusal.forced) >= tokenForce {
		h.refusal.force, h.refusal.forced = true, now
		c.wake()
	}
}
