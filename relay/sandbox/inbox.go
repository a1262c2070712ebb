package sandbox

import (
	"net/http"
	"slices"
	"sync"
)

// maxInbox bounds the texts that are kept.
const maxInbox = 200

// inbox keeps what accounts wrote to the test users. Safe for concurrent
// use.
type inbox struct {
	mu   sync.Mutex // guards list
	list []customMessage
}

// add keeps a text and forgets the oldest above the limit.
func (b *inbox) add(m customMessage) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, m)
	b.list = slices.Delete(b.list, 0, max(0, len(b.list)-maxInbox))
}

// newest lists up to limit texts, newest first.
func (b *inbox) newest(limit int) []customMessage {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := slices.Clone(b.list[max(0, len(b.list)-limit):])
	slices.Reverse(list)
	return list
}

// serveInbox answers GET /sandbox/messages: what accounts wrote to their
// users, newest first.
func (s *Sandbox) serveInbox(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Messages []customMessage `json:"messages"`
	}{append([]customMessage{}, s.inbox.newest(maxInbox)...)})
}
