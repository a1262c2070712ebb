package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// notifyTimeout is how long WeChat waits for the answer to a notification
// (v3.md 13).
const notifyTimeout = 5 * time.Second

// errSandboxClosed says that nothing new is begun.
var errSandboxClosed = errors.New("the sandbox is closed")

// rhythm is how long WeChat waits after each failed attempt before the next
// one: 15 repeats over 24 hours and 4 minutes (v2.md 8).
var rhythm = []time.Duration{
	15 * time.Second, 15 * time.Second, 30 * time.Second, 3 * time.Minute, 10 * time.Minute, 20 * time.Minute,
	30 * time.Minute, 30 * time.Minute, 30 * time.Minute, time.Hour,
	3 * time.Hour, 3 * time.Hour, 3 * time.Hour, 6 * time.Hour, 6 * time.Hour,
}

// Bounds of the notifier's memory.
const (
	maxLog     = 500
	maxRunning = 1000
	maxAnswer  = 1 << 10
)

// attempt is one try to notify, as the control panel shows it.
type attempt struct {
	ID         string        `json:"id"`
	OutTradeNo string        `json:"out_trade_no"`
	Event      string        `json:"event"`
	Number     int           `json:"number"` // 1..16; 0 for what an attacker sent
	Fault      string        `json:"fault,omitempty"`
	URL        string        `json:"url"`
	At         time.Time     `json:"at"`
	Took       time.Duration `json:"took_ns"`
	Status     int           `json:"status,omitempty"`
	Failure    string        `json:"failure,omitempty"`
	Answer     string        `json:"answer,omitempty"`
	Success    bool          `json:"success"`

	// Fooled says that the receiver took what it had to refuse.
	Fooled bool `json:"fooled,omitempty"`
}

// notification is one notification on its way.
type notification struct {
	id         string
	outTradeNo string
	event      string // as v3 names events, such as REFUND.SUCCESS
	url        string
	letter     letter
}

// letter is what a generation of the API makes of a notification.
type letter interface {
	// faults are those that this kind of notification can play.
	faults() faultGroup
	// write makes headers and body of one attempt, wrongly as f asks; f is
	// nil when nothing shall be wrong.
	write(f *fault) (http.Header, []byte, error)
	// taken reports whether the merchant's answer is a success.
	taken(status int, answer []byte) bool
}

// notifier tells merchants what happened to their money. It owns one goroutine for
// each notification that is not delivered yet; stop ends them and waits.
type notifier struct {
	now    func() time.Time
	scale  float64
	client *http.Client
	faults *faultBox
	log    *slog.Logger

	ctx    context.Context //nolint:containedctx // ends the goroutines, which no caller's context may
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu       sync.Mutex // guards what follows
	attempts []attempt  // newest last
	running  int
	sent     chan struct{} // closed and replaced after every attempt
}

// start begins to notify. It returns at once.
func (n *notifier) start(note *notification) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return errSandboxClosed
	}
	if n.running >= maxRunning {
		return errors.New("too many notifications are waiting")
	}
	n.running++
	n.group.Go(func() {
		n.run(note)
		n.mu.Lock()
		defer n.mu.Unlock()
		n.running--
	})
	return nil
}

// after does something after d, unless the sandbox is closed before.
func (n *notifier) after(d time.Duration, do func()) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ctx.Err() != nil {
		return errSandboxClosed
	}
	n.group.Go(func() {
		if n.wait(d) {
			do()
		}
	})
	return nil
}

// stop ends all notifications and waits for their goroutines.
func (n *notifier) stop() {
	n.mu.Lock()
	n.cancel() // not while a goroutine is being started
	n.mu.Unlock()
	n.group.Wait()
	n.client.CloseIdleConnections()
}

// run tries until an attempt succeeds or the rhythm is over.
func (n *notifier) run(note *notification) {
	for number := 1; ; number++ {
		f := n.intrude(note)
		if n.try(note, number, f) || number > len(rhythm) {
			return
		}
		if !n.wait(n.scaled(rhythm[number-1])) {
			return
		}
	}
}

// intrude sends what faults put before the next attempt, and returns the
// fault of the attempt itself.
func (n *notifier) intrude(note *notification) *fault {
	for {
		f := n.faults.take(note.letter.faults(), "")
		if f == nil || !f.intrudes() {
			return f
		}
		n.send(note, 0, f)
	}
}

// intrudes reports whether a fault adds a message before the genuine one.
func (f *fault) intrudes() bool {
	switch f.Name {
	case faultForged, faultTampered, faultStale, faultProbe, faultUnknownEvent:
		return true
	}
	return false
}

// try makes one attempt and reports whether the merchant took it.
func (n *notifier) try(note *notification, number int, f *fault) bool {
	if f == nil {
		return n.send(note, number, nil)
	}
	switch f.Name {
	case faultLost:
		n.record(&attempt{
			ID: note.id, OutTradeNo: note.outTradeNo, Event: note.event, Number: number, Fault: f.Name, URL: note.url,
			At: n.now(), Failure: "lost on the way",
		})
		return false
	case faultLate:
		if !n.wait(f.wait(n.scaled(time.Minute))) {
			return false
		}
	case faultReordered:
		n.awaitOther(f.wait(n.scaled(time.Minute)))
	case faultDoubled:
		var twin sync.WaitGroup
		var taken bool
		twin.Go(func() { taken = n.send(note, number, f) })
		first := n.send(note, number, f)
		twin.Wait()
		return first || taken
	}
	return n.send(note, number, f)
}

// send posts the notification once and records what came back.
func (n *notifier) send(note *notification, number int, f *fault) bool {
	ctx, cancel := context.WithTimeout(n.ctx, notifyTimeout)
	defer cancel()
	a := attempt{ID: note.id, OutTradeNo: note.outTradeNo, Event: note.event, Number: number, URL: note.url, At: n.now()}
	if f != nil {
		a.Fault = f.Name
	}
	request, err := n.request(ctx, note, f)
	if err == nil {
		err = n.exchange(request, &a)
	}
	if err != nil {
		a.Failure = failureText(err)
		n.log.Info("sandbox: notification failed", "out_trade_no", note.outTradeNo, "attempt", number, "reason", a.Failure)
	}
	a.Took = n.now().Sub(a.At)
	a.Success = err == nil && note.letter.taken(a.Status, []byte(a.Answer))
	a.Fooled = a.Success && f != nil && f.intrudes() && f.Name != faultUnknownEvent
	n.record(&a)
	return a.Success
}

// exchange sends the request and fills in the answer.
func (n *notifier) exchange(request *http.Request, a *attempt) error {
	response, err := n.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	a.Status = response.StatusCode
	a.Answer = strings.ToValidUTF8(string(answer), "?")
	return nil
}

// request writes one attempt, wrongly when a fault asks for it.
func (n *notifier) request(ctx context.Context, note *notification, f *fault) (*http.Request, error) {
	header, body, err := note.letter.write(f)
	if err != nil {
		return nil, err
	}
	var content io.Reader = bytes.NewReader(body)
	if f != nil && f.Name == faultSlow {
		content = newTrickle(ctx, body, f.wait(standardTrickle))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, note.url, content)
	if err != nil {
		return nil, fmt.Errorf("making a notification: %w", err)
	}
	request.ContentLength = int64(len(body))
	request.Header = header
	header.Set("Accept", "*/*")
	header.Set("User-Agent", "Mozilla/4.0 (wxrelay sandbox, not WeChat)")
	return request, nil
}

// failureText says why no answer came, without the address.
func failureText(err error) string {
	switch {
	case errors.Is(err, errPublicAddress):
		return errPublicAddress.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within 5 seconds"
	case errors.Is(err, context.Canceled):
		return "the sandbox was closed"
	default:
		return "no connection, or it broke"
	}
}

// record keeps an attempt and wakes who waits for another one's.
func (n *notifier) record(a *attempt) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.attempts = append(n.attempts, *a)
	if len(n.attempts) > maxLog {
		n.attempts = slices.Delete(n.attempts, 0, len(n.attempts)-maxLog)
	}
	close(n.sent)
	n.sent = make(chan struct{})
}

// recent lists up to limit attempts, newest first.
func (n *notifier) recent(limit int) []attempt {
	n.mu.Lock()
	defer n.mu.Unlock()
	list := slices.Clone(n.attempts[max(0, len(n.attempts)-limit):])
	slices.Reverse(list)
	return list
}

// awaitOther waits until another attempt was made, at most d.
func (n *notifier) awaitOther(d time.Duration) {
	n.mu.Lock()
	sent := n.sent
	n.mu.Unlock()
	wait(n.ctx, sent, d)
}

// wait waits for d, and reports false when the sandbox is closed.
func (n *notifier) wait(d time.Duration) bool { return wait(n.ctx, nil, d) }

// scaled shortens a time of WeChat's.
func (n *notifier) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * n.scale)
}
