package payv3

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// hosts are WeChat's addresses and the memory of which one failed.
type hosts struct {
	urls []string // primary, and the backup if there is one

	mu          sync.Mutex // guards backupUntil
	backupUntil time.Time  // calls begin at the backup until then
}

func newHosts(base, backup string) (*hosts, error) {
	if base == "" {
		base = DefaultBaseURL
		if backup == "" {
			backup = DefaultBackupURL
		}
	}
	h := &hosts{urls: []string{base}}
	if backup != "" {
		h.urls = append(h.urls, backup)
	}
	var problems []error
	for _, u := range h.urls {
		if err := transport.CheckBaseURL(u); err != nil {
			problems = append(problems, fmt.Errorf("WeChat address: %w", err))
		}
	}
	return h, errors.Join(problems...)
}

// first returns the index of the address that a call begins with.
func (h *hosts) first(now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.urls) > 1 && now.Before(h.backupUntil) {
		return 1
	}
	return 0
}

// failed remembers a failure of the address i and returns the one to try next.
func (h *hosts) failed(i int, now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.backupUntil = time.Time{}
	if i == 0 {
		h.backupUntil = now.Add(backupHold)
	}
	return (i + 1) % len(h.urls)
}
