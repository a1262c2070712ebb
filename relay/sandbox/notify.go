package sandbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// notifyTimeout is how long WeChat waits for the answer to a notification
// (v3.md 13).
const notifyTimeout = 5 * time.Second

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
	url        string
	serial     string
	body       []byte
	other      func(f *fault) ([]byte, error) // another authentic body, for faults
}

// notifier tells merchants that they were paid. It owns one goroutine for
// each notification that is not delivered yet; stop ends them and waits.
type notifier struct {
	now      func() time.Time
	scale    float64
	client   *http.Client
	platform *platform
	faults   *faultBox
	log      *slog.Logger

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
		return errors.New("the sandbox is closed")
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

// stop ends all notifications and waits for their goroutines.
func (n *notifier) stop() {
	n.cancel()
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
		f := n.faults.take(notifyFaults, "")
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
			ID: note.id, OutTradeNo: note.outTradeNo, Number: number, Fault: f.Name, URL: note.url,
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
	a := attempt{ID: note.id, OutTradeNo: note.outTradeNo, Number: number, URL: note.url, At: n.now()}
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
	a.Success = a.Status == http.StatusOK || a.Status == http.StatusNoContent
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

// request signs one attempt, wrongly when a fault asks for it.
func (n *notifier) request(ctx context.Context, note *notification, f *fault) (*http.Request, error) {
	body, serial, forged, shift := note.body, note.serial, false, time.Duration(0)
	if f != nil {
		switch f.Name {
		case faultForged:
			forged = true
		case faultStale:
			shift = -staleBy
		case faultKeyCertificate:
			serial = n.platform.currentSerial()
		case faultKeyPublic:
			serial = DefaultPublicKeyID
		case faultWrongAmount, faultUnknownEvent:
			var err error
			if body, err = note.other(f); err != nil {
				return nil, err
			}
		}
	}
	signer, err := n.platform.signer(forged, shift)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	if err := signer.SignHeaders(header, serial, body); err != nil {
		return nil, fmt.Errorf("signing a notification: %w", err)
	}
	if f != nil && f.Name == faultProbe {
		probe(header)
	}
	if f != nil && f.Name == faultTampered {
		body = append(slices.Clone(body), ' ')
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
	header.Set("Content-Type", "application/json")
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

// newNotification seals the notification of a paid order.
func (s *Sandbox) newNotification(m *merchant, o *order) (*notification, error) {
	seal := func(id, eventType string, paid *order) ([]byte, error) {
		plaintext, err := json.Marshal(paid.transaction())
		if err != nil {
			return nil, fmt.Errorf("encoding a transaction: %w", err)
		}
		signer, err := s.platform.signer(false, 0)
		if err != nil {
			return nil, err
		}
		return signer.NewNotification(m.cipher, id, eventType, "transaction", "支付成功", plaintext)
	}
	id := "EV-SANDBOX-" + s.now().In(beijing.Zone).Format("20060102150405") + "-" + s.randomHex(8)
	body, err := seal(id, "TRANSACTION.SUCCESS", o)
	if err != nil {
		return nil, fmt.Errorf("sealing a notification: %w", err)
	}
	paid := *o
	return &notification{
		id: id, outTradeNo: o.OutTradeNo, url: o.NotifyURL, serial: o.Serial, body: body,
		other: func(f *fault) ([]byte, error) {
			if f.Name == faultUnknownEvent {
				return seal(id+"-U", "SANDBOX.UNKNOWN", &paid)
			}
			wrong := paid
			wrong.PaidFen = f.AmountFen
			if wrong.PaidFen == 0 {
				wrong.PaidFen = paid.PaidFen + 1
			}
			return seal(id, "TRANSACTION.SUCCESS", &wrong)
		},
	}, nil
}
