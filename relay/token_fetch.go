package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/account"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

const (
	// tokenCall bounds asking WeChat for a token, tries and waits included.
	tokenCall = 10 * time.Second
	// tokenLease is how long others leave the asking to one node; longer than
	// tokenCall, so that it lapses for dead nodes alone.
	tokenLease = 15 * time.Second
	// tokenPatience is how long somebody who needs a token waits for one:
	// longer than a dead node's lease.
	tokenPatience = 20 * time.Second
	// tokenPoll is how often the store is looked at meanwhile.
	tokenPoll = 200 * time.Millisecond
	// tokenRecord bounds writing down what WeChat gave.
	tokenRecord = 5 * time.Second
	// tokenSkew is how far the clocks of nodes may be apart. What seems to be
	// from later than that was written by a clock that was wrong, and tells
	// nothing of how long a token lives.
	tokenSkew = 15 * time.Minute
)

// errTokenLeased says that another node is asking WeChat just now.
var errTokenLeased = errors.New("another node is renewing the token")

// TokenOutcome is what came of asking for a token.
type TokenOutcome string

// The outcomes.
const (
	TokenRenewed   TokenOutcome = "renewed"   // WeChat gave another one
	TokenUnchanged TokenOutcome = "unchanged" // WeChat gave the same one
	TokenAdopted   TokenOutcome = "adopted"   // another node, or this one before it was restarted, had got it
	TokenRefused   TokenOutcome = "refused"   // WeChat refused
	TokenFailed    TokenOutcome = "failed"    // WeChat did not answer
)

// tokenWish says which token somebody wants.
type tokenWish struct {
	not    Secret // a value that will not do, because it is old or was refused
	force  bool   // WeChat shall end the old one at once
	urgent bool   // somebody waits for it
}

func (w *tokenWish) fits(value Secret, alive bool) bool {
	return alive && (w.not.Len() == 0 || !sameSecret(w.not, value))
}

// accessToken lends the access token of an account.
func (s *Service) accessToken(ctx context.Context, a *Account) (Secret, error) {
	t, err := s.lendToken(ctx, a, TokenAccess)
	return t.value, err
}

// jsTicket lends the ticket with which an account signs pages.
func (s *Service) jsTicket(ctx context.Context, a *Account) (Secret, error) {
	t, err := s.lendToken(ctx, a, TokenJSAPITicket)
	return t.value, err
}

func (s *Service) lendToken(ctx context.Context, a *Account, kind TokenKind) (lentToken, error) {
	if t, alive := s.rt.tokens.lend(TokenKey{a.AppID, kind}); alive {
		return t, nil
	}
	return s.renewToken(ctx, a, kind, tokenWish{urgent: true})
}

// renewToken gets a token that fits the wish: from who got it meanwhile, from
// the store, or from WeChat. At most one goroutine of this process and one
// node on the store ask WeChat at a time.
func (s *Service) renewToken(ctx context.Context, a *Account, kind TokenKind, wish tokenWish) (lentToken, error) {
	key, c := TokenKey{a.AppID, kind}, s.rt.tokens
	waiting, cancel := context.WithTimeout(ctx, tokenPatience)
	defer cancel()
	unlock, err := c.fetching.lock(waiting, key)
	if err != nil {
		return lentToken{}, tokenLate(err)
	}
	defer unlock()
	if t, alive := c.peek(key); wish.fits(t.value, alive) {
		return t, nil
	}
	if err := c.paused(key); err != nil {
		return lentToken{}, err
	}
	if wish.urgent && wish.not.Len() > 0 && !c.mayReread(key, wish.not) {
		return lentToken{}, errTokenReread
	}
	claim, err := s.leaseToken(waiting, key, wish)
	switch {
	case errors.Is(err, errTokenLeased), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return lentToken{}, tokenLate(err)
	case err != nil:
		return lentToken{}, outcome(err)
	case !claim.mine:
		s.observeToken(a, kind, TokenAdopted)
		return c.hold(a, &claim.row, claim.value), nil
	}
	return s.fetchToken(ctx, a, claim, wish)
}

// tokenLate refuses who waited too long.
func tokenLate(err error) error {
	return &Error{Kind: KindUnavailable, Message: "the account's token is being renewed; try again in a moment", Err: err}
}

// tokenClaim is a row of the store: with a token that fits a wish, or with the
// lease that makes it this node's turn to fetch one.
type tokenClaim struct {
	row   AccountToken
	value Secret // empty where there is none, or none that opens
	mine  bool
}

// leaseToken waits until the store has a token that fits, or it is this node's
// turn to fetch one. Who is not urgent does not wait.
func (s *Service) leaseToken(ctx context.Context, key TokenKey, wish tokenWish) (tokenClaim, error) {
	holder, err := s.rt.random.token()
	if err != nil {
		return tokenClaim{}, err
	}
	for {
		claim, err := s.claimToken(ctx, key, wish, holder)
		if !errors.Is(err, errTokenLeased) || !wish.urgent {
			return claim, err
		}
		if !waitFor(ctx, tokenPoll) {
			return tokenClaim{}, ctx.Err()
		}
	}
}

func (s *Service) claimToken(ctx context.Context, key TokenKey, wish tokenWish, holder string) (tokenClaim, error) {
	now := s.rt.now()
	var claim tokenClaim // not to be read after an error: the transaction may still be under way
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		row, err := tx.AccountToken(key)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
			row = AccountToken{TokenKey: key} // WeChat has another one
		} else if err != nil {
			return err
		}
		claim = tokenClaim{row: row, value: s.openToken(&row)}
		if row.ObtainedAt.After(now.Add(tokenSkew)) {
			claim.value = Secret{}
		}
		held := heldToken{value: claim.value, expiresAt: row.ExpiresAt}
		if wish.fits(claim.value, held.alive(now)) {
			return nil
		}
		if row.leased(now) {
			return errTokenLeased
		}
		row.Holder, row.LeaseUntil = holder, now.Add(tokenLease)
		claim.row, claim.mine = row, true
		return tx.PutAccountToken(&row)
	})
	if err != nil {
		return tokenClaim{}, err
	}
	return claim, nil
}

// leased reports whether another node is fetching a token. A lease that ends
// later than any that is given now was given by a clock that is ahead: without
// that clock's word it may have lapsed long ago.
func (t *AccountToken) leased(now time.Time) bool {
	return t.Holder != "" && now.Before(t.LeaseUntil) && t.LeaseUntil.Before(now.Add(2*tokenLease))
}

// sealPlace is the place of a token in the store, to which it is sealed.
func (k TokenKey) sealPlace() string { return k.AppID + "/" + string(k.Kind) }

// openToken opens the token of a row; one that does not open is none.
func (s *Service) openToken(row *AccountToken) Secret {
	if len(row.Sealed) == 0 {
		return Secret{}
	}
	value, err := s.sealer.Open(SealAccountToken, row.sealPlace(), row.Sealed)
	if err != nil {
		return Secret{}
	}
	return NewSecret(string(value))
}

// fetchToken asks WeChat, with the lease in hand. Others wait for what comes,
// so that it goes on when the one who needed it first has gone away.
func (s *Service) fetchToken(ctx context.Context, a *Account, claim tokenClaim, wish tokenWish) (lentToken, error) {
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenCall+tokenRecord)
	defer cancel()
	if wish.urgent {
		ctx = record
	}
	asking, cancel := context.WithTimeout(ctx, tokenCall)
	defer cancel()
	kind, asked := claim.row.Kind, s.rt.now()
	got, err := s.askToken(asking, a, kind, wish.force)
	if err != nil {
		s.releaseToken(record, &claim.row)
		if !wish.urgent && ctx.Err() != nil {
			return lentToken{}, err // the relay is stopping, which says nothing of WeChat
		}
		s.observeToken(a, kind, failedToken(err))
		if wish.force {
			// The quota of forced renewals says nothing of the others'.
			s.log.LogAttrs(ctx, slog.LevelWarn, "WeChat refuses the account's token but makes no new one",
				slog.String("account", a.Name), slog.Any("error", err))
			return lentToken{}, err
		}
		return lentToken{}, s.rt.tokens.failed(ctx, s, a, kind, err)
	}
	result := TokenRenewed
	if sameSecret(claim.value, NewSecret(got.Value)) {
		result = TokenUnchanged
	}
	s.observeToken(a, kind, result)
	row := s.agedToken(&claim, got, asked, result)
	s.recordToken(record, a, &row, got.Value)
	return s.rt.tokens.hold(a, &row, NewSecret(got.Value)), nil
}

// askToken makes the call for a token.
func (s *Service) askToken(ctx context.Context, a *Account, kind TokenKind, force bool) (*account.Token, error) {
	api := s.apis[a.Name]
	if kind == TokenAccess {
		return api.StableToken(ctx, force)
	}
	var got *account.Token
	err := s.withToken(ctx, a, func(access Secret) (bool, error) {
		var err error
		got, err = api.Ticket(ctx, string(access.Reveal()), account.TicketJSAPI)
		refused, ok := errors.AsType[*errcode.Error](err)
		return ok && refused.TokenInvalid(), err
	})
	return got, err
}

// agedToken is the row of what WeChat gave. A ticket's life counts from when
// this very ticket was first seen; WeChat always says two hours (oauth.md
// section 6).
func (s *Service) agedToken(claim *tokenClaim, got *account.Token, asked time.Time, result TokenOutcome) AccountToken {
	row := claim.row
	row.ExpiresAt = asked.Add(got.ExpiresIn)
	if result != TokenUnchanged || row.ObtainedAt.IsZero() {
		row.ObtainedAt = asked
		return row
	}
	if row.Kind == TokenJSAPITicket {
		row.ExpiresAt = row.ObtainedAt.Add(got.ExpiresIn)
		if grace := asked.Add(ticketGrace); row.ExpiresAt.Before(grace) {
			row.ExpiresAt = grace
		}
	}
	return row
}

// recordToken keeps a token in the store and gives the lease back. When that
// fails the token is good nevertheless: this process has it, the lease lapses,
// and others ask WeChat again.
func (s *Service) recordToken(ctx context.Context, a *Account, row *AccountToken, value string) {
	sealed, err := s.sealer.Seal(SealAccountToken, row.sealPlace(), []byte(value))
	if err == nil {
		row.Sealed = sealed
		err = s.endLease(ctx, row.Holder, row)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "a token could not be kept; after a restart it is fetched again",
			slog.String("account", a.Name), slog.String("kind", string(row.Kind)), slog.Any("error", err))
	}
}

// releaseToken gives the lease back without a new token. When that fails it
// lapses.
func (s *Service) releaseToken(ctx context.Context, row *AccountToken) {
	_ = s.endLease(ctx, row.Holder, row)
}

// endLease writes a row without its lease, unless the lease lapsed and
// another node took it.
func (s *Service) endLease(ctx context.Context, holder string, row *AccountToken) error {
	row.Holder, row.LeaseUntil = "", time.Time{}
	return s.rt.store.Update(ctx, func(tx Tx) error {
		now, err := tx.AccountToken(row.TokenKey)
		if err != nil || now.Holder != holder {
			return err
		}
		return tx.PutAccountToken(row)
	})
}

func failedToken(err error) TokenOutcome {
	if _, answered := errors.AsType[*errcode.Error](err); answered {
		return TokenRefused
	}
	return TokenFailed
}

func (s *Service) observeToken(a *Account, kind TokenKind, result TokenOutcome) {
	if s.rt.observe.Token != nil {
		s.rt.observe.Token(a.Name, kind, result)
	}
}
