package relay

import (
	"context"
	"errors"
	"time"
)

// handOutLife is how long a site may take to redeem a ticket or a code
// (threats section 0).
const handOutLife = 60 * time.Second

// handAgain is how much of that must be left for a ticket or a code to be
// given to a browser once more: less may not take it to the site in time.
const handAgain = handOutLife / 2

// handOut gives the site of a flow a text that it redeems for the user, and
// returns the address that carries it. A browser that comes back gets the same
// one until it is spent or nearly over, and then another, so that a flow never
// has two that work.
func (s *Service) handOut(ctx context.Context, fl *flow, kind GrantKind, name string) (string, error) {
	text, err := s.rt.random.state()
	if err != nil {
		return "", err
	}
	now := s.rt.now()
	g := Grant{
		GrantKey: GrantKey{kind, grantHash(text)}, ClientID: fl.clientID, AppID: fl.appID, User: fl.who,
		CreatedAt: now, ExpiresAt: now.Add(handOutLife),
	}
	same := false
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		same = false
		if fl.handed != "" {
			last := GrantKey{kind, grantHash(fl.handed)}
			old, err := tx.Grant(last)
			unspent := err == nil && old.UsedAt.IsZero() && now.Before(old.ExpiresAt)
			switch {
			case err != nil && !errors.Is(err, ErrNotFound):
				return err
			case unspent && old.User == fl.who && old.ExpiresAt.Sub(now) >= handAgain:
				same = true
				return nil
			case unspent: // nearly over, or another user said yes in the meantime
				if err := tx.DropGrant(last); err != nil {
					return err
				}
			}
		}
		return tx.PutGrant(&g)
	})
	if err != nil {
		return "", outcome(err)
	}
	if !same {
		fl.handed = text
		s.rt.flows.note(*fl)
	}
	return returnTo(fl, name, fl.handed), nil
}

// TicketView is who logged in, as the site learns it.
type TicketView struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid,omitempty"`
	AppID     string `json:"app_id"`
	Scope     string `json:"scope,omitempty"`
	Nickname  string `json:"nickname,omitempty"`
	AvatarURL string `json:"avatar_url,omitempty"`
}

// ticketSize is the length of a ticket: 128 bits in hexadecimal digits.
const ticketSize = 32

// RedeemTicket tells a client who logged in, once. A ticket that is unknown,
// spent or over, and one of another client, which stays its owner's, are the
// same KindNotFound (threats E12).
func (s *Service) RedeemTicket(ctx context.Context, caller *Caller, ticket string) (TicketView, error) {
	if len(ticket) != ticketSize || !onlyChars(ticket, isAlnum) {
		return TicketView{}, notFound("ticket")
	}
	var g Grant
	err := s.rt.store.Update(ctx, func(tx Tx) (err error) {
		g, err = redeemGrant(tx, GrantKey{GrantTicket, grantHash(ticket)}, caller.Client.ID, s.rt.now())
		if err != nil {
			return err
		}
		return s.claimNonce(tx, caller)
	})
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, errGrantUsed), errors.Is(err, errGrantExpired):
		return TicketView{}, notFound("ticket")
	case err != nil:
		return TicketView{}, outcome(err)
	}
	return TicketView{
		OpenID: g.User.OpenID, UnionID: g.User.UnionID, AppID: g.AppID, Scope: g.User.Scope,
		Nickname: g.User.Nickname, AvatarURL: g.User.AvatarURL,
	}, nil
}
