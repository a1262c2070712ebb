package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// told is one notification that a shop got.
type told struct {
	method string
	query  map[string]string
	header http.Header
	body   string
}

func (n *told) id() string {
	if n.method == http.MethodGet {
		return n.query["event_id"]
	}
	return n.header.Get("Webhook-Id")
}

// receiver is where a shop is told.
type receiver struct {
	url string

	mu     sync.Mutex // guards what follows
	answer func(w http.ResponseWriter)
	got    []told
	more   chan struct{} // closed and replaced when got grows
}

// newReceiver starts a receiver that answers 204.
func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{more: make(chan struct{})}
	r.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) })
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// answers sets what is answered from now on.
func (r *receiver) answers(answer func(http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	n := told{method: req.Method, header: req.Header, body: string(body), query: map[string]string{}}
	for name, values := range req.URL.Query() {
		n.query[name] = strings.Join(values, "\x00")
	}
	r.mu.Lock()
	r.got = append(r.got, n)
	answer := r.answer
	close(r.more)
	r.more = make(chan struct{})
	r.mu.Unlock()
	answer(w)
}

// all returns what came so far.
func (r *receiver) all() []told {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]told(nil), r.got...)
}

// await waits for the n-th notification.
func (r *receiver) await(t *testing.T, n int) told {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		r.mu.Lock()
		more := r.more
		if len(r.got) >= n {
			defer r.mu.Unlock()
			return r.got[n-1]
		}
		have := len(r.got)
		r.mu.Unlock()
		select {
		case <-more:
		case <-ctx.Done():
			t.Fatalf("%d notifications came, want %d", have, n)
		}
	}
}

// awaitOf waits for the n-th notification of an event. Those of several events
// come in any order.
func (r *receiver) awaitOf(t *testing.T, id string, n int) (found told) {
	t.Helper()
	eventually(t, fmt.Sprintf("notification %d of event %s", n, id), func() error {
		seen := 0
		for _, found = range r.all() {
			if found.id() != id {
				continue
			}
			if seen++; seen == n {
				return nil
			}
		}
		return fmt.Errorf("%d came", seen)
	})
	return found
}

// checkStandard verifies a notification by Standard Webhooks 1.0: one
// signature for each live secret, fresh, of these bytes.
func checkStandard(n *told, secrets ...string) error {
	if n.method != http.MethodPost || n.header.Get("Content-Type") != "application/json" {
		return fmt.Errorf("it is a %s of %q, want a POST of application/json", n.method, n.header.Get("Content-Type"))
	}
	at := n.header.Get("Webhook-Timestamp")
	if err := fresh(at); err != nil {
		return err
	}
	var want []string
	for _, s := range secrets {
		want = append(want, signWebhook(s, n.id(), at, n.body))
	}
	if got := n.header.Values("Webhook-Signature"); len(got) != 1 || got[0] != strings.Join(want, " ") {
		return fmt.Errorf("signatures are %q, want %q", got, want)
	}
	return nil
}

// checkGet verifies a notification of the form get.
func checkGet(n *told, secret string) error {
	if n.method != http.MethodGet || n.body != "" {
		return fmt.Errorf("it is a %s with %d bytes, want a GET without body", n.method, len(n.body))
	}
	if err := fresh(n.query["timestamp"]); err != nil {
		return err
	}
	if got, want := n.query["sign"], signV2(secret, n.query); got != want || n.query["sign_type"] != "HMAC-SHA256" {
		return fmt.Errorf("%s signature is %s, want %s", n.query["sign_type"], got, want)
	}
	return nil
}

func fresh(timestamp string) error {
	var at int64
	if _, err := fmt.Sscan(timestamp, &at); err != nil {
		return fmt.Errorf("timestamp %q: %w", timestamp, err)
	}
	if age := time.Since(time.Unix(at, 0)); age < -time.Minute || age > time.Minute {
		return fmt.Errorf("timestamp is %s old", age)
	}
	return nil
}
