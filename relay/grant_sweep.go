package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

const (
	grantSweepTick  = time.Minute // how often grants are looked for that have expired
	grantSweepBatch = 256         // grants dropped in one transaction at most

	// grantGrace is how long a grant stays after its end: until then an
	// expired code is told from one that never was, and one that is replayed
	// still takes back what it gave (threats E08).
	grantGrace = 10 * time.Minute
)

// grantSweeper drops grants that have expired.
type grantSweeper struct {
	*rounds
	rt *Runtime
}

func newGrantSweeper(rt *Runtime) *grantSweeper {
	w := &grantSweeper{rt: rt}
	w.rounds = newRounds(grantSweepTick, w.round)
	return w
}

// round drops all that have expired, batch after batch, so that nobody else's
// transaction waits long.
func (w *grantSweeper) round(ctx context.Context) {
	until := w.rt.now().Add(-grantGrace)
	for more := true; more && ctx.Err() == nil; {
		var err error
		if more, err = w.batch(ctx, until); err != nil && ctx.Err() == nil {
			w.rt.log.Load().Warn("dropping expired logins and tokens failed; trying again later", slog.Any("error", err))
		}
	}
}

// batch drops the grants that expired first and says whether there may be more.
// A damaged one stays, for the check of the store to find, and keeps no other
// from going.
func (w *grantSweeper) batch(ctx context.Context, until time.Time) (more bool, err error) {
	// Looked for outside of the transaction first: a quiet relay writes nothing.
	keys, err := w.expired(ctx, until)
	if err != nil || len(keys) == 0 {
		return false, err
	}
	full := false
	err = w.rt.store.Update(ctx, func(tx Tx) error {
		// Again, because a grant may have been put with another end meanwhile.
		keys, err := tx.ExpiredGrants(until, grantSweepBatch)
		if err != nil {
			return err
		}
		dropped := 0
		for _, k := range keys {
			switch err := tx.DropGrant(k); {
			case err == nil:
				dropped++
			case !errors.Is(err, ErrCorrupt):
				return err
			}
		}
		full = dropped > 0 && len(keys) == grantSweepBatch
		return nil
	})
	if err != nil {
		return false, err // the transaction may still be at work
	}
	return full, nil
}

func (w *grantSweeper) expired(ctx context.Context, until time.Time) (keys []GrantKey, err error) {
	err = w.rt.store.View(ctx, func(r Reader) (err error) {
		keys, err = r.ExpiredGrants(until, 1)
		return err
	})
	return keys, err
}
