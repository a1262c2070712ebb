package sandbox

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"sync"
)

// callTally counts the calls of api.weixin.qq.com by path. Safe for
// concurrent use.
type callTally struct {
	mu     sync.Mutex // guards counts
	counts map[string]int
}

// add counts a call.
func (t *callTally) add(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[path]++
}

// callCount is how often a path was called.
type callCount struct {
	Path  string `json:"path"`
	Count int    `json:"count"`
}

// list gives the counts by path.
func (t *callTally) list() []callCount {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := []callCount{}
	for _, path := range slices.Sorted(maps.Keys(t.counts)) {
		list = append(list, callCount{path, t.counts[path]})
	}
	return list
}

// clear begins to count anew.
func (t *callTally) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.counts)
}

// callsReply is the answer to /sandbox/calls: how often each path was
// called, and how many tokens and tickets accounts were given, which is how
// often somebody renewed them.
type callsReply struct {
	Calls  []callCount    `json:"calls"`
	Issued []issuedTokens `json:"issued"`
}

// callsNow makes the answer to /sandbox/calls.
func (s *Sandbox) callsNow() callsReply {
	reply := callsReply{Calls: s.calls.list(), Issued: s.accountTokens.counts()}
	slices.SortFunc(reply.Issued, func(a, b issuedTokens) int {
		return cmp.Or(cmp.Compare(a.AppID, b.AppID), cmp.Compare(a.Series, b.Series))
	})
	return reply
}

// serveCalls answers GET and DELETE /sandbox/calls; the latter begins to
// count anew.
func (s *Sandbox) serveCalls(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		s.calls.clear()
		s.accountTokens.forgetCounts()
	}
	writeJSON(w, http.StatusOK, s.callsNow())
}

// counted counts the calls of a handler under its path.
func (s *Sandbox) counted(path string, serve http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.calls.add(path)
		serve(w, r)
	}
}
