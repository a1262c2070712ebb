package transport

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// WeChat Pay's hosts (doc 4012075113): the nearest access point, and another
// city. Both serve both protocol generations.
const (
	DefaultPayURL       = "https://api.mch.weixin.qq.com"
	DefaultPayBackupURL = "https://api2.mch.weixin.qq.com"
)

// BackupHold is how long calls begin at the backup host after the primary one
// failed, so that a hanging host does not cost each call its timeout.
const BackupHold = time.Minute

// Hosts are WeChat Pay's addresses and the memory of which one failed. They
// are safe for concurrent use.
type Hosts struct {
	urls []string // primary, and the backup if there is one

	mu          sync.Mutex // guards backupUntil
	backupUntil time.Time  // calls begin at the backup until then
}

// NewHosts returns the addresses. When base is empty both have WeChat's own
// values; when only backup is empty there is no backup.
func NewHosts(base, backup string) (*Hosts, error) {
	if base == "" {
		base = DefaultPayURL
		if backup == "" {
			backup = DefaultPayBackupURL
		}
	}
	h := &Hosts{urls: []string{base}}
	if backup != "" {
		h.urls = append(h.urls, backup)
	}
	var problems []error
	for _, u := range h.urls {
		if err := CheckBaseURL(u); err != nil {
			problems = append(problems, fmt.Errorf("WeChat address: %w", err))
		}
	}
	return h, errors.Join(problems...)
}

// URL returns the address i.
func (h *Hosts) URL(i int) string { return h.urls[i] }

// Len is the number of addresses.
func (h *Hosts) Len() int { return len(h.urls) }

// First returns the index of the address that a call begins with.
func (h *Hosts) First(now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.urls) > 1 && now.Before(h.backupUntil) {
		return 1
	}
	return 0
}

// Failed remembers a failure of the address i and returns the one to try next.
func (h *Hosts) Failed(i int, now time.Time) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.backupUntil = time.Time{}
	if i == 0 {
		h.backupUntil = now.Add(BackupHold)
	}
	return (i + 1) % len(h.urls)
}
