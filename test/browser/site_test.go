package browser

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
)

// site is one of another developer: of another origin than relay and sandbox.
// Every address of it shows the same page.
type site struct {
	server *httptest.Server

	mu     sync.Mutex // guards what follows
	body   string
	visits []*http.Request // of browsers that came back from a login
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := new(site)
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// ServeHTTP shows the page.
func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.URL.Path == "/back" {
		s.visits = append(s.visits, r)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = fmt.Fprintf(w, `<!DOCTYPE html><title>site</title><link rel="icon" href="data:,">%s<main id="site">`, s.body)
}

// show puts something into the page.
func (s *site) show(body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// last is the latest visit of a browser that came back from a login.
func (s *site) last(t *testing.T) *http.Request {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.visits) == 0 {
		t.Fatal("nobody came back to the site")
	}
	return s.visits[len(s.visits)-1]
}
