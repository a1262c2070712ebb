package relay

import (
	"sync"
	"time"
)

// spacing keeps things of one kind apart in time, each for itself, whoever
// wants them. It forgets what is older than its interval.
type spacing[K comparable] struct {
	every time.Duration

	mu   sync.Mutex // guards last
	last map[K]time.Time
}

// maxSpaced bounds what is remembered; beyond it everybody waits.
const maxSpaced = 10_000

// allow reports whether the interval has passed since it last said so for the
// key.
func (s *spacing[K]) allow(key K, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.last[key]; ok && now.Sub(at) < s.every {
		return false
	}
	if len(s.last) >= maxSpaced {
		for k, at := range s.last {
			if now.Sub(at) >= s.every {
				delete(s.last, k)
			}
		}
		if len(s.last) >= maxSpaced {
			return false
		}
	}
	if s.last == nil {
		s.last = map[K]time.Time{}
	}
	s.last[key] = now
	return true
}
