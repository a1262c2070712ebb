package web

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// heartbeat keeps proxies from taking a quiet stream for a dead one.
	heartbeat = 15 * time.Second
	// streamLife bounds a stream; the page opens the next one by itself.
	streamLife = 10 * time.Minute
	// streamWrite is how long a reader may take for one message.
	streamWrite = 10 * time.Second
	// reconnect is what the browser waits after a stream ended.
	reconnect = 3 * time.Second
)

// showStatus tells the status of a cashier page, once or as it changes.
func (x *exchange) showStatus() error {
	token, err := x.token()
	if err != nil {
		return err
	}
	if x.r.Method == http.MethodGet && wantsMedia(x.r.Header.Values("Accept"), "text/event-stream") {
		return x.stream(token)
	}
	status, err := x.service.CheckoutStatus(x.r.Context(), token)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, status)
}

// stream sends the status at once and again whenever it changed, in messages
// named "status", until it can change no more. The watch begins before the
// first look, so that no change falls between. With too many streams open
// the answer is a refusal, upon which the page asks from time to time.
func (x *exchange) stream(token string) error {
	changed, stop, err := x.service.WatchCheckout(x.r.Context(), token)
	if err != nil {
		return err
	}
	defer stop()
	s := &statusStream{exchange: x, rc: http.NewResponseController(x.w), token: token}
	// The connection may carry further requests, which set no deadline of
	// their own unless the server has one.
	defer func() { _ = s.rc.SetWriteDeadline(time.Time{}) }()
	if err := s.look(); err != nil || s.over {
		return err
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	end := time.NewTimer(streamLife)
	defer end.Stop()
	for !s.over {
		select {
		case <-x.r.Context().Done():
			return nil
		case <-x.drained:
			return nil
		case <-end.C:
			return nil
		case <-changed:
			err = s.look()
		case <-beat.C:
			err = s.beat()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// statusStream is one stream of server-sent events (WHATWG HTML, section
// 9.2).
type statusStream struct {
	*exchange
	rc    *http.ResponseController
	token string
	last  string // status that was told last
	over  bool   // the status is final
}

// look tells the status if it is another than was told last. The signed
// link within it is new each time and no news.
func (s *statusStream) look() error {
	status, err := s.service.CheckoutStatus(s.r.Context(), s.token)
	if err != nil || status.Status == s.last {
		return err
	}
	data, err := json.Marshal(status)
	if err != nil {
		return err
	}
	var message bytes.Buffer
	if s.last == "" {
		s.begin()
		fmt.Fprintf(&message, "retry: %d\n", reconnect.Milliseconds())
	}
	fmt.Fprintf(&message, "event: status\ndata: %s\n\n", data)
	s.last = status.Status
	s.over = status.Final()
	return s.send(message.Bytes())
}

// beat looks too: another relay on the same store may have changed the order
// without this one being told.
func (s *statusStream) beat() error {
	if err := s.send([]byte(":\n\n")); err != nil {
		return err
	}
	return s.look()
}

func (s *statusStream) begin() {
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Some proxies collect small answers before they pass them on.
	h.Set("X-Accel-Buffering", "no")
	s.w.WriteHeader(http.StatusOK)
}

// send writes a message and flushes it. The deadline, which takes the place
// of the server's for this answer, ends the stream of a reader that stopped
// reading; connections without deadlines exist in tests alone.
func (s *statusStream) send(message []byte) error {
	_ = s.rc.SetWriteDeadline(s.now().Add(streamWrite))
	if _, err := s.w.Write(message); err != nil {
		return fmt.Errorf("writing to stream: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		s.w.broken = true
		return fmt.Errorf("flushing stream: %w", err)
	}
	return nil
}
