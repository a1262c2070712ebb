package relay

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	expiryTick  = 15 * time.Second // how often expired orders are looked for
	expiryBatch = 1000             // orders closed per tick at most
	expiryAtAll = 4                // orders closed at the same time
	expiryRetry = 5 * time.Minute  // pause before an order whose close failed
	expiryCall  = 30 * time.Second // bound on closing one order
)

// expiry closes orders that ran out: WeChat is asked, told to close, asked
// again, and only then is the order closed.
type expiry struct {
	*rounds
	rt     *Runtime
	failed map[OrderKey]time.Time // when to try again; owned by the goroutine
}

func newExpiry(rt *Runtime) *expiry {
	x := &expiry{rt: rt, failed: map[OrderKey]time.Time{}}
	x.rounds = newRounds(expiryTick, x.sweep)
	return x
}

// sweep closes what has expired by the configuration that is current.
func (x *expiry) sweep(ctx context.Context) {
	s := x.rt.current.Load()
	if s == nil {
		return
	}
	now := x.rt.now()
	keys, err := x.expired(ctx, now)
	if err != nil {
		x.rt.log.Load().Warn("looking for expired orders failed", slog.Any("error", err))
		return
	}
	failures := make([]error, len(keys))
	var silent sync.Map // merchant numbers for which WeChat did not answer in this sweep
	slots := make(chan struct{}, expiryAtAll)
	var wg sync.WaitGroup
	for i, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			failures[i] = s.closeExpired(ctx, key, &silent)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return // what was broken off by stop is no failure
	}
	for i, key := range keys {
		x.note(key, failures[i], now)
	}
}

// expired lists orders to close now, leaving out those that failed a moment
// ago, so that one merchant in trouble does not keep the others waiting.
func (x *expiry) expired(ctx context.Context, now time.Time) ([]OrderKey, error) {
	var keys []OrderKey
	err := x.rt.store.View(ctx, func(r Reader) (err error) {
		keys, err = r.OpenOrders(now, expiryBatch+len(x.failed))
		return err
	})
	if err != nil {
		return nil, err
	}
	// Orders that are not listed any more were closed or paid otherwise.
	failed := make(map[OrderKey]time.Time, len(x.failed))
	waiting := keys[:0]
	for _, key := range keys {
		retry, again := x.failed[key]
		if again {
			failed[key] = retry
		}
		if !retry.After(now) {
			waiting = append(waiting, key)
		}
	}
	x.failed = failed
	return waiting, nil
}

func (x *expiry) note(key OrderKey, err error, now time.Time) {
	if err == nil {
		delete(x.failed, key)
		return
	}
	x.failed[key] = now.Add(expiryRetry)
	if errors.Is(err, errSilent) {
		return // the order that found out was logged
	}
	x.rt.log.Load().Warn("closing an expired order failed; trying again later",
		slog.String("client_id", key.ClientID), slog.String("order_no", key.OrderNo), slog.Any("error", err))
}

// errSilent puts an order off because WeChat did not answer for its merchant
// a moment ago.
var errSilent = errors.New("WeChat does not answer for this merchant now")

// closeExpired closes one order that ran out. That it was paid in the end is
// a success: the money is booked. When WeChat does not answer for a merchant,
// its other orders are put off, so that one merchant in trouble does not keep
// those of the others waiting for its time-outs.
func (s *Service) closeExpired(ctx context.Context, key OrderKey, silent *sync.Map) error {
	ctx, cancel := context.WithTimeout(ctx, expiryCall)
	defer cancel()
	var o Order
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		o, err = r.Order(key)
		return err
	})
	if err != nil {
		return err
	}
	if _, put := silent.Load(o.MchID); put && len(o.Payments) > 0 {
		return errSilent
	}
	err = s.closeOrder(ctx, key, CloseReasonExpired)
	var known *Error
	switch {
	case !errors.As(err, &known):
		return err
	case known.Kind == KindOrderPaid:
		return nil
	case known.Kind == KindUpstreamTimeout:
		silent.Store(o.MchID, true)
	}
	return err
}
