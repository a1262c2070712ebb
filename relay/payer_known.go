package relay

import (
	"context"
	"errors"
	"time"
)

// payerFresh is how long a payer is not written again: who buys every day
// costs one write a day.
const payerFresh = 24 * time.Hour

// learnPayer remembers under which app id a login produced an openid.
func (s *Service) learnPayer(ctx context.Context, openID, appID string) error {
	now := s.rt.now().Truncate(time.Second)
	known, err := s.payer(ctx, openID)
	if err != nil || known.AppID == appID && now.Sub(known.SeenAt) < payerFresh {
		return err
	}
	return s.rt.store.Update(ctx, func(tx Tx) error {
		return tx.PutPayer(&Payer{OpenID: openID, AppID: appID, SeenAt: now})
	})
}

// checkPayer refuses an openid that this relay knows to belong to another app
// id, in words that name no other one (issue part 8, threats C10). One that
// it never saw may come from the client's own login.
func (s *Service) checkPayer(ctx context.Context, openID, appID string) error {
	known, err := s.payer(ctx, openID)
	if err != nil || known.AppID == "" || known.AppID == appID {
		return err
	}
	return refusef(KindParam, "openid", "belongs to another app id than %s, in which the buyer pays; WeChat gives a person another openid under each app id", appID)
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
