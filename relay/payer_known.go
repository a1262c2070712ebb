package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// payerFresh is how long a payer is not written again: who buys every day
	// costs one write a day.
	payerFresh = 24 * time.Hour
	// maxPayerClients bounds the clients that are remembered of one person.
	maxPayerClients = 1000
)

// learnPayer remembers under which app id, and for which client, a login
// produced an openid.
func (s *Service) learnPayer(ctx context.Context, openID, appID, clientID string) error {
	now := s.rt.now().Truncate(time.Second)
	known, err := s.payer(ctx, openID)
	if err != nil || known.AppID == appID && known.has(clientID) && now.Sub(known.SeenAt) < payerFresh {
		return err
	}
	return s.rt.store.Update(ctx, func(tx Tx) error {
		known, err := tx.Payer(openID)
		switch {
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		case known.AppID != appID:
			known = Payer{OpenID: openID, AppID: appID}
		}
		known.SeenAt = now
		s.addClient(&known, clientID)
		return tx.PutPayer(&known)
	})
}

// addClient notes a client of a payer. Where there are too many, those go
// first that are not configured any more.
func (s *Service) addClient(p *Payer, clientID string) {
	at, found := slices.BinarySearch(p.Clients, clientID)
	if found || clientID == "" {
		return
	}
	p.Clients = slices.Insert(slices.Clone(p.Clients), at, clientID)
	if len(p.Clients) > maxPayerClients {
		p.Clients = slices.DeleteFunc(p.Clients, func(id string) bool { return s.clients[id] == nil })
	}
	for i := 0; len(p.Clients) > maxPayerClients; i++ {
		if p.Clients[i] != clientID {
			p.Clients = slices.Delete(p.Clients, i, i+1)
		}
	}
}

// has reports whether a login for the client produced the openid.
func (p *Payer) has(clientID string) bool {
	_, found := slices.BinarySearch(p.Clients, clientID)
	return found
}

// checkPayer refuses an openid that the client must not name, in words that
// tell of no other client and no other app id (threats C10): always one that
// this relay knows to belong to another app id, and by the client's policy one
// that it produced for other clients alone, or did not produce for this one.
func (s *Service) checkPayer(ctx context.Context, c *Client, openID, appID string) error {
	known, err := s.payer(ctx, openID)
	switch {
	case err != nil:
		return err
	case known.AppID != "" && known.AppID != appID:
		return refusef(KindParam, "openid", "belongs to another app id than %s, in which the buyer pays; WeChat gives a person another openid under each app id", appID)
	case known.has(c.ID):
		return nil
	case c.OpenIDPolicy == OpenIDIssued || len(known.Clients) > 0:
		return refuse(KindParam, "openid", "no login here gave it to this client; log the buyer in for this site first")
	default:
		return nil
	}
}

// payer reads what is known of an openid; the zero Payer when nothing is.
func (s *Service) payer(ctx context.Context, openID string) (p Payer, err error) {
	err = s.rt.store.View(ctx, func(r Reader) (err error) {
		p, err = r.Payer(openID)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return Payer{}, nil
	}
	return p, err
}
