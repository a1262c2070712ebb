package relay

import (
	"context"
	"sync"
	"time"
)

const (
	// askEvery is the pause between two questions about one payment that
	// somebody who looks at it causes: a buyer who reloads a page must not
	// use up what WeChat allows the merchant.
	askEvery = 5 * time.Second
	// sweepAsked is how many payments are remembered before those of which
	// the pause is over are forgotten.
	sweepAsked = 1024
)

// asked remembers when WeChat was asked about payments on somebody's behalf.
type asked struct {
	mu sync.Mutex // guards at
	at map[PaymentKey]time.Time
}

// claim reports whether the payment may be asked about now, and notes it.
func (a *asked) claim(key PaymentKey, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, ok := a.at[key]; ok && now.Sub(last) < askEvery {
		return false
	}
	if len(a.at) >= sweepAsked {
		for k, last := range a.at {
			if now.Sub(last) >= askEvery {
				delete(a.at, k)
			}
		}
	}
	if a.at == nil {
		a.at = make(map[PaymentKey]time.Time)
	}
	a.at[key] = now
	return true
}

// askNow asks WeChat about a payment because somebody wants to know, unless
// it was asked just before. It reports whether the payment is paid.
func (s *Service) askNow(ctx context.Context, m *merchant, p *Payment) (paid bool, err error) {
	if !s.rt.asked.claim(p.PaymentKey, s.rt.now()) {
		return false, nil
	}
	return s.ask(ctx, m, p)
}
