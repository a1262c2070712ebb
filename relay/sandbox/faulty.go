package sandbox

import (
	"context"
	"io"
	"net/http"
	"time"
)

// How long answers are held back when a fault names no time.
const (
	standardSlow    = 3 * time.Second
	standardTimeout = time.Minute
	standardTrickle = 4 * time.Second
)

// faultBefore plays an API fault that keeps the call from taking effect. It
// reports whether the call is over. spoil sends a refusal in the form of the
// call's generation.
func (s *Sandbox) faultBefore(w http.ResponseWriter, r *http.Request, f *fault, spoil func(*apiError)) bool {
	switch f.Name {
	case faultAPI429:
		spoil(refuse(http.StatusTooManyRequests, "FREQUENCY_LIMITED", "频率超限", logFrequency))
	case faultAPI500Before:
		spoil(refuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统错误", logNoError))
	case faultAPI502:
		s.write(w, apiReply{
			status: http.StatusBadGateway, contentType: "text/html",
			body: []byte("<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"),
		})
	case faultAPICutBefore:
		cut()
	case faultAPISlow:
		return !s.hold(r.Context(), f.wait(standardSlow))
	default:
		return false
	}
	return true
}

// faultAfter plays an API fault that spoils the answer of a call that took
// effect. It reports whether the answer is over.
func (s *Sandbox) faultAfter(r *http.Request, f *fault, spoil func(*apiError)) bool {
	switch f.Name {
	case faultAPI500After:
		spoil(refuse(http.StatusInternalServerError, "SYSTEM_ERROR", "系统错误", logNoError))
		return true
	case faultAPITimeout:
		s.hold(r.Context(), f.wait(standardTimeout))
		cut()
	case faultAPICut:
		cut()
	}
	return false
}

// cut ends the connection without an answer.
func cut() { panic(http.ErrAbortHandler) }

// hold waits, and reports false when the peer or the sandbox went away first.
func (s *Sandbox) hold(ctx context.Context, d time.Duration) bool {
	return wait(ctx, s.notifier.ctx.Done(), d)
}

// wait waits for d, and reports false when ctx or stop ended first.
func wait(ctx context.Context, stop <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-stop:
	}
	return false
}

// trickle is a reader that spreads its bytes evenly over a time.
type trickle struct {
	pause func() bool // waits before each piece
	size  int         // of a piece
	piece []byte      // what is left of the current one
	rest  []byte
}

// trickleSteps is into how many pieces a slow body is cut.
const trickleSteps = 4

// newTrickle makes a reader that takes total to give all of body.
func newTrickle(ctx context.Context, body []byte, total time.Duration) *trickle {
	return &trickle{
		pause: func() bool { return wait(ctx, nil, total/trickleSteps) },
		size:  len(body)/trickleSteps + 1,
		rest:  body,
	}
}

// Read gives more of the current piece, or the next one after a pause.
func (t *trickle) Read(p []byte) (int, error) {
	if len(t.piece) == 0 {
		if len(t.rest) == 0 {
			return 0, io.EOF
		}
		if !t.pause() {
			return 0, io.ErrUnexpectedEOF
		}
		cut := min(t.size, len(t.rest))
		t.piece, t.rest = t.rest[:cut], t.rest[cut:]
	}
	n := copy(p, t.piece)
	t.piece = t.piece[n:]
	return n, nil
}
