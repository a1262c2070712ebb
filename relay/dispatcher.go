package relay

import (
	"context"
	"crypto/rand"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
)

const (
	// dispatchMaxInFlight bounds the attempts under way at once, to all
	// destinations.
	dispatchMaxInFlight = 2048
	// dispatchTick is how often everything is looked at again, so that a
	// wake-up that was lost, or a jump of the clock, costs a minute at most.
	dispatchTick = time.Minute
	// dispatchOverdue is how late a destination must be to count as one that
	// is being caught up with; dispatchSpread is over how long the first
	// attempts to such destinations are spread.
	dispatchOverdue = time.Minute
	dispatchSpread  = 30 * time.Second
	// dispatchClockJump is how far wall clock and monotonic clock may part
	// between two looks.
	dispatchClockJump = time.Minute
	// dispatchForget is how long an idle destination's concurrency limit is
	// remembered.
	dispatchForget = 10 * time.Minute
)

// Sender makes the HTTP request of one attempt. networks are private ranges
// that may be called for this client. It must bound the time it takes.
type Sender interface {
	Send(ctx context.Context, req *http.Request, networks []netip.Prefix) (safehttp.Result, error)
}

// NewSender sends through the guarded client.
func NewSender(c *safehttp.Client) Sender { return guardedSender{c} }

type guardedSender struct{ client *safehttp.Client }

func (s guardedSender) Send(ctx context.Context, req *http.Request, networks []netip.Prefix) (safehttp.Result, error) {
	return s.client.Allowing(networks...).Do(ctx, req)
}

// DeliverySettings say how a client is told now, as opposed to what was fixed
// when the delivery was made.
type DeliverySettings struct {
	NotifySecrets []Secret       // live ones, the newest first; none means wait
	AllowNetworks []netip.Prefix // private ranges that its addresses may lead into
	SignType      V2SignType     // of NotifyWeChatV2; empty means HMAC-SHA256
	NotifyKey     *NotifyKey     // of NotifyWeChatV3
}

// DispatcherOptions are what a Dispatcher is made of. Store, Settings and
// Logger are needed.
type DispatcherOptions struct {
	Store Store
	// Settings tells how a client is told; false when it is unknown or
	// disabled now, in which case its deliveries wait. It must be quick.
	Settings func(clientID string) (DeliverySettings, bool)
	// Sender makes the requests; by default the guarded client, which never
	// calls an address that Own says is the relay's.
	Sender Sender
	Own    func(u *url.URL) bool
	Logger *slog.Logger
	// Now is the wall clock; time.Now by default.
	Now func() time.Time
	// Jitter returns a number in 0..1; random by default.
	Jitter func() float64
	// Nonce returns 16 to 32 letters and digits; random by default.
	Nonce   func() string
	Observe DispatchObserver
	// MaxInFlight bounds the attempts under way at once; 2048 by default.
	MaxInFlight int
}

// DispatchOutcome says what an attempt led to.
type DispatchOutcome string

// The outcomes of attempts. Failed leaves further attempts; Faulted was our
// own fault and counts against nobody.
const (
	DispatchDelivered DispatchOutcome = "delivered"
	DispatchFailed    DispatchOutcome = "failed"
	DispatchExhausted DispatchOutcome = "exhausted"
	DispatchCancelled DispatchOutcome = "cancelled"
	DispatchFaulted   DispatchOutcome = "faulted"
)

// DispatchReport describes one attempt.
type DispatchReport struct {
	EventID  string
	ClientID string
	Manual   bool
	Outcome  DispatchOutcome
	Status   int           // HTTP status; 0 when no answer came
	Failure  string        // short reason; empty on success
	Lateness time.Duration // from when it was due to its start
	Duration time.Duration
}

// DispatchTrouble names a condition that keeps deliveries from being made.
type DispatchTrouble string

// The troubles of a dispatcher.
const (
	DispatchStoreTrouble    DispatchTrouble = "store"    // the store does not answer or does not commit
	DispatchRecordTrouble   DispatchTrouble = "record"   // a record is damaged or missing
	DispatchSettingsTrouble DispatchTrouble = "settings" // a client is unknown or disabled
	DispatchClockTrouble    DispatchTrouble = "clock"    // the wall clock jumped
	DispatchPanicTrouble    DispatchTrouble = "panic"    // an attempt panicked
)

// DispatchObserver is told what the dispatcher does, for metrics. Callbacks
// may be nil, are called from many goroutines, and must be quick.
type DispatchObserver struct {
	Attempt func(DispatchReport)
	Trouble func(DispatchTrouble)
}

// DispatcherStats is the state of a dispatcher at one moment.
type DispatcherStats struct {
	Destinations int // with something waiting or under way
	Failing      int // of these, those whose latest attempt failed
	InFlight     int
	Unrecorded   int // attempts made whose outcome the store does not take
	Parked       int // deliveries put aside because of damaged records or our own faults
}

// Dispatcher tells clients: it makes the attempts of deliveries when they are
// due and records what came of them. Each destination has its own queue, in
// the store, and its own limit of parallel attempts, so that a slow or dead
// one delays itself alone; in memory there is one entry per destination and
// one per attempt under way.
//
// An attempt and what follows from it are committed together. When the
// process dies between, the attempt is made again with the same event id.
// One Dispatcher at a time works on a store.
//
// Start begins the goroutines, once; Stop ends them and waits. Stop may be
// called again, and before Start, which then does nothing.
type Dispatcher struct {
	o DispatcherOptions

	mu         sync.Mutex // guards everything below
	state      dispatcherState
	queues     map[Destination]*dispatchQueue
	waiting    dispatchHeap // queues with something due later
	healthy    dispatchList // queues with something due now
	failing    dispatchList
	preferBad  bool // which list is served next
	inFlight   int
	badFlight  int // of these, those to failing destinations
	unrecorded int
	spawn      func(q *dispatchQueue, item DueItem, bad bool)
	cancel     context.CancelFunc // ends the attempts under way

	kick    chan struct{} // the loop should look again; never blocks the sender
	stop    chan struct{} // closed when Stop begins
	stopped chan struct{} // closed when all goroutines have ended
	workers sync.WaitGroup
}

type dispatcherState int

const (
	dispatcherNew dispatcherState = iota
	dispatcherRunning
	dispatcherStopped
)

// NewDispatcher makes a dispatcher that does nothing until Start.
func NewDispatcher(o DispatcherOptions) *Dispatcher {
	if o.Sender == nil {
		o.Sender = NewSender(safehttp.New(safehttp.Options{UserAgent: "wxrelay", Deny: o.Own}))
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jitter == nil {
		o.Jitter = mathrand.Float64
	}
	if o.Nonce == nil {
		o.Nonce = rand.Text
	}
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = dispatchMaxInFlight
	}
	return &Dispatcher{
		o:       o,
		queues:  make(map[Destination]*dispatchQueue),
		kick:    make(chan struct{}, 1),
		stop:    make(chan struct{}),
		stopped: make(chan struct{}),
	}
}

// Start begins to deliver what is due, first of all what the store holds
// from before.
func (dsp *Dispatcher) Start() {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	if dsp.state != dispatcherNew {
		return
	}
	dsp.state = dispatcherRunning
	ctx, cancel := context.WithCancel(context.Background())
	dsp.cancel = cancel
	dsp.spawn = func(q *dispatchQueue, item DueItem, bad bool) {
		dsp.workers.Go(func() { dsp.work(ctx, q, item, bad) })
	}
	dsp.workers.Go(func() { dsp.run(ctx) })
}

// Stop begins no further attempt and waits for those under way. When ctx
// ends first they are broken off, unrecorded, and will be made again by the
// next dispatcher; the context's error is returned.
func (dsp *Dispatcher) Stop(ctx context.Context) error {
	dsp.mu.Lock()
	before := dsp.state
	dsp.state = dispatcherStopped
	if before != dispatcherStopped {
		close(dsp.stop)
	}
	dsp.mu.Unlock()

	switch before {
	case dispatcherNew:
		close(dsp.stopped)
	case dispatcherRunning:
		go func() { // ends with the workers, which the cancellation below ends
			dsp.workers.Wait()
			close(dsp.stopped)
		}()
	case dispatcherStopped: // somebody else waits already
	}
	select {
	case <-dsp.stopped:
		dsp.end()
		return nil
	case <-ctx.Done():
		dsp.end()
		<-dsp.stopped
		return ctx.Err()
	}
}

func (dsp *Dispatcher) end() {
	if dsp.cancel != nil {
		dsp.cancel()
	}
}

// Wake says that a delivery was committed that is due at the destination at
// the given time. It may be called before Start, and never blocks.
func (dsp *Dispatcher) Wake(d Destination, due time.Time) {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	if dsp.state == dispatcherStopped {
		return
	}
	dsp.expect(dsp.queue(d), due)
	dsp.pump()
}

// SettingsChanged says that Settings may answer differently now, so that
// clients that were unknown or disabled are looked at again at once.
func (dsp *Dispatcher) SettingsChanged() {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	for _, q := range dsp.queues {
		if q.unsettled {
			q.unsettled, q.heldUntil = false, time.Time{}
			dsp.expect(q, dsp.now())
		}
	}
	dsp.pump()
}

// Stats counts.
func (dsp *Dispatcher) Stats() DispatcherStats {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	s := DispatcherStats{InFlight: dsp.inFlight, Unrecorded: dsp.unrecorded}
	for _, q := range dsp.queues {
		s.Parked += len(q.parked)
		if q.idle() {
			continue
		}
		s.Destinations++
		if q.failures > 0 {
			s.Failing++
		}
	}
	return s
}

// now is the wall clock without the monotonic reading, which must not take
// part in comparisons with stored times.
func (dsp *Dispatcher) now() time.Time { return dsp.o.Now().Round(0).UTC() }

func (dsp *Dispatcher) trouble(t DispatchTrouble) {
	if dsp.o.Observe.Trouble != nil {
		dsp.o.Observe.Trouble(t)
	}
}

// run wakes queues when they are due, and looks at everything once a minute.
func (dsp *Dispatcher) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	clock := dispatchClock{mono: time.Now(), wall: dsp.now()}
	spread := true // the first look catches up with what was missed
	look := time.Duration(0)
	for {
		if time.Since(clock.mono) >= look {
			jump := clock.advance(time.Now(), dsp.now())
			if jump > dispatchClockJump || jump < -dispatchClockJump {
				dsp.o.Logger.Warn("wall clock jumped; deliveries are planned again", "by", jump)
				dsp.trouble(DispatchClockTrouble)
				spread = spread || jump > 0
				if jump < 0 {
					dsp.endPauses()
				}
			}
			look = dispatchTick
			if err := dsp.survey(ctx, spread); err != nil {
				dsp.o.Logger.Error("reading what waits for delivery", "error", err)
				dsp.trouble(DispatchStoreTrouble)
				look = dispatchStorePause
			} else {
				spread = false
			}
		}
		timer.Reset(min(dsp.wakeDue(), max(look-time.Since(clock.mono), 0)))
		select {
		case <-dsp.stop:
			return
		case <-timer.C:
		case <-dsp.kick:
		}
	}
}

// endPauses ends what was to last until a moment of the wall clock that a
// clock set back has moved far away.
func (dsp *Dispatcher) endPauses() {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	now := dsp.now()
	for _, q := range dsp.queues {
		q.heldUntil, q.usedAt = time.Time{}, now
		for id, p := range q.parked {
			p.until = now
			q.parked[id] = p
		}
	}
}

// dispatchClock compares the wall clock with the monotonic one.
type dispatchClock struct{ mono, wall time.Time }

// advance returns how far the wall clock moved beyond the time that passed.
func (c *dispatchClock) advance(mono, wall time.Time) time.Duration {
	jump := wall.Sub(c.wall) - mono.Sub(c.mono)
	c.mono, c.wall = mono, wall
	return jump
}

// survey takes every destination at which something waits from the store.
// With spread, those that are overdue get a moment of their own to begin.
func (dsp *Dispatcher) survey(ctx context.Context, spread bool) error {
	ctx, cancel := context.WithTimeout(ctx, dispatchStoreTimeout)
	defer cancel()
	err := dsp.o.Store.View(ctx, func(r Reader) error {
		return r.Destinations(func(d Destination, due time.Time) bool {
			dsp.mu.Lock()
			defer dsp.mu.Unlock()
			q := dsp.queue(d)
			if now := dsp.now(); spread && now.Sub(due) > dispatchOverdue {
				dsp.hold(q, now.Add(time.Duration(dsp.o.Jitter()*float64(dispatchSpread))))
			}
			dsp.expect(q, due)
			return dsp.state == dispatcherRunning
		})
	})
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	dsp.forgetIdle()
	return err
}

// wakeDue makes the queues whose time has come ready and returns how long
// nothing else is due.
func (dsp *Dispatcher) wakeDue() time.Duration {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	now := dsp.now()
	for len(dsp.waiting) > 0 && !dsp.waiting[0].wakeAt.After(now) {
		q := dsp.waiting[0]
		dsp.waiting.remove(q)
		q.unread = true
		dsp.list(q)
	}
	dsp.pump()
	if len(dsp.waiting) == 0 {
		return dispatchTick
	}
	return max(dsp.waiting[0].wakeAt.Sub(now), time.Millisecond)
}
