package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

func TestStatusOnce(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{status: func(got string) (relay.CheckoutStatus, error) {
		if got != token {
			t.Errorf("asked about %q", got)
		}
		return relay.CheckoutStatus{Status: "paying", ExpiresAt: "2026-11-22T14:00:00+08:00"}, nil
	}})
	want := `{"status":"paying","expires_at":"2026-11-22T14:00:00+08:00"}`
	for _, accept := range []string{"", "application/json", "*/*", "text/event-streams", "text/html, */*;q=0.1"} {
		w := f.do(t, http.MethodGet, "/checkout/"+token+"/status", "", "Accept", accept)
		if w.Code != http.StatusOK || w.Body.String() != want || w.Header().Get("Content-Type") != "application/json" {
			t.Errorf("%q: got %d %s, want 200 %s", accept, w.Code, w.Body, want)
		}
	}
}

func TestStatusOfNothing(t *testing.T) {
	t.Parallel()
	f := newFace(t, failing(refusal(relay.KindNotFound, "no such page")))
	for _, accept := range []string{"application/json", "text/event-stream"} {
		w := f.do(t, http.MethodGet, "/checkout/"+token+"/status", "", "Accept", accept)
		if got := errorBody(t, w).Code; w.Code != http.StatusNotFound || got != "NOT_FOUND" {
			t.Errorf("%s: got %d %s, want 404 NOT_FOUND", accept, w.Code, got)
		}
	}
}

func TestWantsMedia(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"text/event-stream":                        true,
		"Text/Event-Stream; q=1, */*":              true,
		"application/json,  text/event-stream":     true,
		"text/event-stream-not":                    false,
		"application/json;x=text/event-stream":     false,
		"application/json; x=\"text/event-strea\"": false,
		"": false,
	} {
		if got := wantsMedia([]string{line}, "text/event-stream"); got != want {
			t.Errorf("wantsMedia(%q) = %v, want %v", line, got, want)
		}
	}
}

// pipe is a connection on which a stream is read while it is written.
type pipe struct {
	mu        sync.Mutex // guards all below
	header    http.Header
	status    int
	text      strings.Builder
	flushed   int // length of text that a reader has
	deadlines []time.Time
	gone      error
}

func (p *pipe) Header() http.Header { return p.header }

func (p *pipe) WriteHeader(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone != nil {
		return 0, p.gone
	}
	return p.text.Write(b)
}

func (p *pipe) FlushError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.flushed = p.text.Len()
	return p.gone
}

func (p *pipe) SetWriteDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deadlines = append(p.deadlines, t)
	return nil
}

// take returns what was flushed since the last take.
func (p *pipe) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.text.String()[:p.flushed]
	rest := p.text.String()[p.flushed:]
	p.text.Reset()
	p.text.WriteString(rest)
	p.flushed = 0
	return s
}

// orderPage is an order that changes while its page waits.
type orderPage struct {
	mu      sync.Mutex // guards status, err and stopped
	status  string
	err     error
	stopped int
	changed chan struct{}
}

func (o *orderPage) set(status string, tell bool) {
	o.mu.Lock()
	o.status = status
	o.mu.Unlock()
	if tell {
		o.changed <- struct{}{}
	}
}

func (o *orderPage) fail(err error) {
	o.mu.Lock()
	o.err = err
	o.mu.Unlock()
	o.changed <- struct{}{}
}

func (o *orderPage) stops() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.stopped
}

// streaming is a stream under way inside a synctest bubble.
type streaming struct {
	face
	order *orderPage
	pipe  *pipe
	leave context.CancelFunc
	ended chan struct{}
}

func startStream(t *testing.T, status string) *streaming {
	t.Helper()
	o := &orderPage{status: status, changed: make(chan struct{}, 1)}
	service := &fakeService{
		status: func(string) (relay.CheckoutStatus, error) {
			o.mu.Lock()
			defer o.mu.Unlock()
			return relay.CheckoutStatus{Status: o.status, ReturnURL: "https://x.example/?t=" + time.Now().Format("150405")}, o.err
		},
		watch: func(string) (<-chan struct{}, func(), error) {
			return o.changed, func() {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.stopped++
			}, nil
		},
	}
	s := &streaming{face: newFace(t, service), order: o, pipe: &pipe{header: http.Header{}}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	s.leave = cancel
	r := httptest.NewRequest(http.MethodGet, "/checkout/"+token+"/status", nil).WithContext(ctx)
	r.Header.Set("Accept", "text/event-stream")
	go func() {
		defer close(s.ended)
		s.ServeHTTP(s.pipe, r)
	}()
	synctest.Wait()
	return s
}

// after lets time pass and returns what the reader got meanwhile.
func (s *streaming) after(d time.Duration) string {
	if d > 0 {
		<-time.After(d)
	}
	synctest.Wait()
	return s.pipe.take()
}

// over reports whether the stream has ended and let go of its watch.
func (s *streaming) over(t *testing.T) bool {
	t.Helper()
	synctest.Wait()
	select {
	case <-s.ended:
		if n := s.order.stops(); n != 1 {
			t.Errorf("the watch was ended %d times, want once", n)
		}
		return true
	default:
		return false
	}
}

func TestStreamTellsEachChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		got := s.after(0)
		want := "retry: 3000\nevent: status\ndata: {\"status\":\"created\",\"expires_at\":\"\",\"return_url\":\"https://x.example/?t=000000\"}\n\n"
		if got != want {
			t.Errorf("at once: %q, want %q", got, want)
		}
		h := s.pipe.header
		if s.pipe.status != http.StatusOK || h.Get("Content-Type") != "text/event-stream" || h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("status %d, header %v", s.pipe.status, h)
		}
		s.order.set("paying", true)
		if got := s.after(time.Second); !strings.HasPrefix(got, "event: status\ndata: {\"status\":\"paying\"") {
			t.Errorf("after the first change: %q", got)
		}
		s.order.changed <- struct{}{} // something that the page does not show
		if got := s.after(time.Second); got != "" {
			t.Errorf("without news: %q", got)
		}
		if s.over(t) {
			t.Error("the stream ended before the order did")
		}
		s.order.set("paid", true)
		if got := s.after(0); !strings.HasPrefix(got, "event: status\ndata: {\"status\":\"paid\"") {
			t.Errorf("when paid: %q", got)
		}
		if !s.over(t) {
			t.Error("the stream goes on after the last status")
		}
		if s.log.Len() > 0 {
			t.Errorf("logged %s", s.log)
		}
	})
}

func TestStreamOfAFinishedOrderEndsAtOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"paid", "refunded", "closed", "expired"} {
		synctest.Test(t, func(t *testing.T) {
			s := startStream(t, status)
			if got := s.after(0); !strings.Contains(got, `"status":"`+status+`"`) || !s.over(t) {
				t.Errorf("%s: got %q", status, got)
			}
		})
	}
}

func TestStreamBeatsAndLooks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		s.after(0)
		if got := s.after(14 * time.Second); got != "" {
			t.Errorf("before the beat: %q", got)
		}
		if got := s.after(time.Second); got != ":\n\n" {
			t.Errorf("the beat: %q", got)
		}
		// Time makes an order expire, and tells nobody.
		s.order.set("expired", false)
		if got := s.after(15 * time.Second); !strings.HasPrefix(got, ":\n\nevent: status\ndata: {\"status\":\"expired\"") {
			t.Errorf("the beat after the end: %q", got)
		}
		if !s.over(t) {
			t.Error("the stream goes on")
		}
	})
}

func TestStreamEndsAfterTenMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		if s.after(10*time.Minute - time.Second); s.over(t) {
			t.Error("ended early")
		}
		if s.after(time.Second); !s.over(t) {
			t.Error("goes on")
		}
	})
}

func TestStreamEndsWhenTheServerDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		s.Drain()
		s.Drain()
		if !s.over(t) {
			t.Error("goes on")
		}
		if s.log.Len() > 0 {
			t.Errorf("logged %s", s.log)
		}
	})
}

func TestStreamEndsWhenTheReaderLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		s.leave()
		if !s.over(t) {
			t.Error("goes on")
		}
	})
}

func TestStreamEndsWhenTheReaderIsDeaf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		s.pipe.mu.Lock()
		s.pipe.gone = errors.New("i/o timeout")
		s.pipe.mu.Unlock()
		s.after(15 * time.Second)
		if !s.over(t) {
			t.Error("goes on")
		}
		if log := s.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, `"level":"DEBUG"`) {
			t.Errorf("want one line of level DEBUG, got %s", log)
		}
	})
}

func TestStreamEndsWhenTheStoreFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStream(t, "created")
		s.after(0)
		s.order.fail(relay.ErrUnavailable)
		if got := s.after(0); got != "" || !s.over(t) {
			t.Errorf("got %q", got)
		}
		if log := s.log.String(); !strings.Contains(log, `"code":"UNAVAILABLE"`) {
			t.Errorf("not logged: %s", log)
		}
	})
}

func TestStreamWritesHaveDeadlines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		s := startStream(t, "paid")
		if !s.over(t) {
			t.Fatal("goes on")
		}
		got := s.pipe.deadlines
		if len(got) != 2 || !got[0].Equal(began.Add(10*time.Second)) || !got[1].IsZero() {
			t.Errorf("deadlines %v, want one ten seconds ahead, then none", got)
		}
	})
}

// Beyond the number of streams that relay allows the page polls; the refusal
// must be one that an EventSource does not repeat by itself (threats J05).
func TestTooManyStreamsFallBackToPolling_J05(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{watch: func(string) (<-chan struct{}, func(), error) {
		return nil, nil, refusal(relay.KindUnavailable, "too many pages wait; poll instead")
	}})
	w := f.do(t, http.MethodGet, "/checkout/"+token+"/status", "", "Accept", "text/event-stream")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %v, want 503 with Retry-After", w.Code, w.Header())
	}
}

func TestHeadOfAStreamIsAnAnswer(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{status: func(string) (relay.CheckoutStatus, error) { return relay.CheckoutStatus{Status: "created"}, nil }})
	if w := f.do(t, http.MethodHead, "/checkout/"+token+"/status", "", "Accept", "text/event-stream"); w.Code != http.StatusOK {
		t.Errorf("status %d, want 200", w.Code)
	}
}
