package relay

import (
	"sync"
	"time"
)

const (
	// askSpacing is the shortest time between two questions to WeChat about
	// one thing that somebody who looks at it causes: a buyer who reloads a
	// page, or a client that polls, must not use up what WeChat allows the
	// merchant.
	askSpacing = 5 * time.Second

	// maxSpaced bounds what is remembered; beyond it everybody waits.
	maxSpaced = 10_000
)

// spacing keeps such questions about things of one kind apart, each thing for
// itself, whoever wants to know. It forgets what is older than askSpacing.
type spacing[K comparable] struct {
	mu   sync.Mutex // guards last
	last map[K]time.Time
}

// allow reports whether askSpacing has passed since it last said so for the
// key.
func (s *spacing[K]) allow(key K, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.last[key]; ok && now.Sub(at) < askSpacing {
		return false
	}
	if len(s.last) >= maxSpaced {
		for k, at := range s.last {
			if now.Sub(at) >= askSpacing {
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
