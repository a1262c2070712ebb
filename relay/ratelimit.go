package relay

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// rateLimits holds one token bucket per client. It belongs to the Runtime,
// so that a reload does not refill the buckets.
type rateLimits struct {
	mu      sync.Mutex // guards buckets
	buckets map[string]*rate.Limiter
}

// allow takes a token from the client's bucket: perSecond tokens a second,
// twice that at once.
func (l *rateLimits) allow(clientID string, perSecond float64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	b := l.buckets[clientID]
	if b == nil {
		b = rate.NewLimiter(rate.Limit(perSecond), burst(perSecond))
		if l.buckets == nil {
			l.buckets = map[string]*rate.Limiter{}
		}
		l.buckets[clientID] = b
	}
	if b.Limit() != rate.Limit(perSecond) {
		b.SetLimitAt(now, rate.Limit(perSecond))
		b.SetBurstAt(now, burst(perSecond))
	}
	return b.AllowN(now, 1)
}

func burst(perSecond float64) int { return max(1, int(2*perSecond)) }
