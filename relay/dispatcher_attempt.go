package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
)

const (
	// dispatchStoreTimeout bounds one call of the store.
	dispatchStoreTimeout = 30 * time.Second
	// dispatchStorePause is the first pause after the store failed; it
	// doubles up to dispatchStoreLongest.
	dispatchStorePause   = time.Second
	dispatchStoreLongest = 30 * time.Second
	// dispatchSettingsPause is how often a client without settings is looked
	// at again.
	dispatchSettingsPause = time.Minute
	// dispatchAnswerKept is how much of an answer's body is kept.
	dispatchAnswerKept = 1 << 10
)

// errDispatchPanic stands for a panic inside an attempt.
var errDispatchPanic = errors.New("attempt panicked")

// dispatchResult is what the queue must know of an attempt that ended.
type dispatchResult struct {
	kind dispatchKind
	next time.Time    // when the delivery is due again; zero if it is not
	move *Destination // where, when it is another destination now
}

type dispatchKind int

const (
	dispatchStale     dispatchKind = iota + 1 // was not due any more
	dispatchOK                                // delivered
	dispatchBad                               // not delivered
	dispatchFault                             // our own fault or a damaged record: put aside
	dispatchUnsettled                         // the client has no settings
	dispatchNoStore                           // the store does not answer
	dispatchBroken                            // broken off by Stop
)

// work fills one slot: it reads what is due if nothing is read ahead, makes
// one attempt, and gives the slot back.
func (dsp *Dispatcher) work(ctx context.Context, q *dispatchQueue, item DueItem, bad bool) {
	result := dispatchResult{kind: dispatchFault}
	defer func() { dsp.release(q, item, bad, result) }()
	if item.EventID == "" {
		var ok bool
		if item, ok = dsp.fetch(ctx, q); !ok {
			result.kind = dispatchStale
			return
		}
	}
	result = dsp.attempt(ctx, q.key, item)
}

// fetch reads what is due at the queue and takes the first of it.
func (dsp *Dispatcher) fetch(ctx context.Context, q *dispatchQueue) (DueItem, bool) {
	dsp.mu.Lock()
	// The ones that are skipped must not hide others behind them.
	limit := len(q.inflight) + len(q.parked) + min(2*q.limit, dispatchAhead)
	dsp.mu.Unlock()

	var items []DueItem
	err := dsp.view(ctx, func(r Reader) (err error) {
		items, err = r.Due(q.key, limit)
		return err
	})

	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	q.fetching = false
	if err != nil {
		dsp.o.Logger.Error("reading due deliveries", "client", q.key.ClientID, "error", err)
		dsp.trouble(DispatchStoreTrouble)
		dsp.hold(q, dsp.now().Add(dispatchStorePause))
		dsp.expect(q, q.heldUntil)
		return DueItem{}, false
	}
	if dsp.sort(q, items) && len(items) >= limit {
		q.unread = true
	}
	item, ok := dsp.take(q)
	if len(q.ahead) > 0 || q.unread {
		dsp.list(q)
		dsp.pump()
	}
	return item, ok
}

// view reads from the store, with a bound on time.
func (dsp *Dispatcher) view(ctx context.Context, fn func(Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, dispatchStoreTimeout)
	defer cancel()
	return dsp.o.Store.View(ctx, fn)
}

// release gives the slot back and draws the consequences.
func (dsp *Dispatcher) release(q *dispatchQueue, item DueItem, bad bool, r dispatchResult) {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	now := dsp.now()
	q.active--
	dsp.inFlight--
	if bad {
		dsp.badFlight--
	}
	q.usedAt = now
	delete(q.inflight, item.EventID)
	if r.kind != dispatchFault {
		delete(q.parked, item.EventID)
	}
	if r.kind == dispatchOK || r.kind == dispatchBad {
		q.unsettled = false
	}
	switch r.kind {
	case dispatchOK:
		q.succeeded()
	case dispatchBad:
		q.failed()
		if q.failures >= dispatchPaceAfter {
			dsp.hold(q, now.Add(dispatchPace))
		}
	case dispatchFault:
		q.park(item.EventID, now)
		r.next = q.parked[item.EventID].until
		if len(q.parked) >= dispatchMaxParked {
			dsp.hold(q, now.Add(dispatchParkFirst))
		}
	case dispatchUnsettled:
		q.unsettled, q.ahead = true, nil
		dsp.hold(q, now.Add(dispatchSettingsPause))
		r.next = q.heldUntil
	case dispatchNoStore:
		q.ahead = nil
		dsp.hold(q, now.Add(dispatchStorePause))
		r.next = q.heldUntil
	case dispatchStale, dispatchBroken:
	}
	if r.move != nil {
		dsp.expect(dsp.queue(*r.move), r.next)
	} else {
		dsp.expect(q, r.next)
	}
	if len(q.ahead) > 0 || q.unread {
		dsp.list(q)
	}
	dsp.pump()
}

// attempt makes one attempt if the delivery is due, and records it.
func (dsp *Dispatcher) attempt(ctx context.Context, key Destination, item DueItem) dispatchResult {
	settings, ok := dsp.o.Settings(key.ClientID)
	if !ok || len(settings.NotifySecrets) == 0 {
		dsp.trouble(DispatchSettingsTrouble)
		return dispatchResult{kind: dispatchUnsettled}
	}
	var d Delivery
	var e Event
	err := dsp.view(ctx, func(r Reader) (err error) {
		if d, err = r.Delivery(item.EventID); err != nil {
			return err
		}
		e, err = r.Event(d.ClientID, d.EventID)
		return err
	})
	if err != nil {
		return dsp.unreadable(item.EventID, err)
	}
	if at := d.Destination(); at != key {
		return dispatchResult{kind: dispatchStale, next: d.NextAt(), move: &at}
	}
	started := dsp.now()
	claim, due := d.claim(started)
	if !due {
		return dsp.notDue(&d, started)
	}

	monotonic := time.Now()
	res, verdict, err := dsp.send(ctx, &e, &d, settings, started)
	took := time.Since(monotonic)
	if ctx.Err() != nil && !verdict.Delivered {
		return dispatchResult{kind: dispatchBroken}
	}
	report := DispatchReport{
		EventID: d.EventID, ClientID: d.ClientID, Manual: claim.Manual,
		Status: res.Status, Failure: verdict.Failure,
		Lateness: started.Sub(claim.Due), Duration: took,
	}
	if err != nil {
		report.Outcome, report.Failure = DispatchFaulted, errDispatchPanic.Error()
		dsp.report(ctx, report)
		return dispatchResult{kind: dispatchFault}
	}
	row := Attempt{
		EventID: d.EventID, Number: d.Tries + 1, Manual: claim.Manual,
		StartedAt: started, Duration: took,
		HTTPStatus: res.Status, Failure: verdict.Failure,
		Answer: res.Body[:min(len(res.Body), dispatchAnswerKept)],
	}
	return dsp.conclude(ctx, claim, verdict, &row, report)
}

// notDue puts the delivery back where it belongs. One that contradicts
// itself, over but with an attempt planned, is put aside: it would be found
// due again at once, for ever.
func (dsp *Dispatcher) notDue(d *Delivery, now time.Time) dispatchResult {
	next := d.NextAt()
	if next.IsZero() || next.After(now) {
		return dispatchResult{kind: dispatchStale, next: next}
	}
	dsp.o.Logger.Error("delivery is over but has an attempt planned; it is put aside", "event", d.EventID, "state", string(d.Status))
	dsp.trouble(DispatchRecordTrouble)
	return dispatchResult{kind: dispatchFault}
}

// unreadable decides what to do about a delivery that cannot be read.
func (dsp *Dispatcher) unreadable(id string, err error) dispatchResult {
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) {
		dsp.o.Logger.Error("delivery cannot be read; it is put aside", "event", id, "error", err)
		dsp.trouble(DispatchRecordTrouble)
		return dispatchResult{kind: dispatchFault}
	}
	dsp.o.Logger.Error("reading delivery", "event", id, "error", err)
	dsp.trouble(DispatchStoreTrouble)
	return dispatchResult{kind: dispatchNoStore}
}

// send makes the request and judges the answer. An error is a panic: our
// fault, which costs the client no attempt.
func (dsp *Dispatcher) send(
	ctx context.Context, e *Event, d *Delivery, s DeliverySettings, at time.Time,
) (res safehttp.Result, v webhookVerdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			// The value is left out: it can hold what was sent.
			dsp.o.Logger.Error("attempt panicked; the delivery is put aside",
				"event", d.EventID, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			dsp.trouble(DispatchPanicTrouble)
			err = errDispatchPanic
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, safehttp.TotalTimeout)
	defer cancel()
	req, err := buildWebhook(ctx, e, d, s.NotifySecrets, webhookAttempt{At: at, Nonce: dsp.o.Nonce(), SignType: s.SignType, Key: s.NotifyKey})
	if err != nil {
		// Recorded like any failure, so that the chain ends and is seen.
		dsp.o.Logger.Error("notification cannot be made", "event", d.EventID, "error", err)
		return res, webhookVerdict{Failure: "unusable notification"}, nil
	}
	res, err = dsp.o.Sender.Send(ctx, req, s.AllowNetworks)
	return res, judgeWebhook(d.Format, &res, err, dsp.now()), nil
}

// conclude records the attempt and what follows from it, in one commit. When
// the store does not take it, it is offered again rather than the request
// repeated; meanwhile nothing else is begun.
func (dsp *Dispatcher) conclude(
	ctx context.Context, c deliveryClaim, v webhookVerdict, row *Attempt, report DispatchReport,
) dispatchResult {
	ended, jitter := row.StartedAt.Add(row.Duration), dsp.o.Jitter()
	waiting := false
	defer func() {
		if waiting {
			dsp.countUnrecorded(-1)
		}
	}()
	for pause := dispatchStorePause; ; pause = min(2*pause, dispatchStoreLongest) {
		d, err := dsp.record(ctx, c, v, row, ended, jitter)
		switch {
		case err == nil:
			return dsp.concluded(ctx, &d, v, report)
		case ctx.Err() != nil:
			return dispatchResult{kind: dispatchBroken}
		case !errors.Is(err, ErrUnavailable):
			// Nothing was written and a repeat would fail alike.
			dsp.o.Logger.Error("recording attempt; the delivery is put aside", "event", row.EventID, "error", err)
			dsp.trouble(DispatchRecordTrouble)
			return dispatchResult{kind: dispatchFault}
		}
		dsp.o.Logger.Error("recording attempt; trying again", "event", row.EventID, "error", err)
		dsp.trouble(DispatchStoreTrouble)
		if !waiting {
			waiting = true
			dsp.countUnrecorded(1)
		}
		if !waitFor(ctx, pause) {
			return dispatchResult{kind: dispatchBroken}
		}
	}
}

// record commits the attempt's row and the delivery. It is harmless when an
// earlier call with the same claim landed after all.
func (dsp *Dispatcher) record(
	ctx context.Context, c deliveryClaim, v webhookVerdict, row *Attempt, ended time.Time, jitter float64,
) (Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, dispatchStoreTimeout)
	defer cancel()
	// The transaction may outlive this call, so it writes to memory of its
	// own, read only when Update has said that it is done.
	written := new(Delivery)
	err := dsp.o.Store.Update(ctx, func(tx Tx) error {
		d, err := tx.Delivery(row.EventID)
		if err != nil {
			return err
		}
		if d.Tries > c.Tries {
			*written = d
			return nil
		}
		d.settle(c, v, ended, jitter)
		if err := tx.AddAttempt(row); err != nil {
			return err
		}
		*written = d
		return tx.PutDelivery(&d)
	})
	if err != nil {
		return Delivery{}, err
	}
	return *written, nil
}

// countUnrecorded keeps the number of outcomes that the store does not take.
func (dsp *Dispatcher) countUnrecorded(n int) {
	dsp.mu.Lock()
	defer dsp.mu.Unlock()
	dsp.unrecorded += n
}

// waitFor waits unless ctx ends first.
func waitFor(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// concluded reports an attempt that is on stable storage.
func (dsp *Dispatcher) concluded(ctx context.Context, d *Delivery, v webhookVerdict, report DispatchReport) dispatchResult {
	result := dispatchResult{kind: dispatchBad, next: d.NextAt()}
	report.Outcome = DispatchFailed
	switch {
	case v.Delivered:
		result.kind, report.Outcome = dispatchOK, DispatchDelivered
	case report.Manual:
	case d.Status == DeliveryExhausted:
		report.Outcome = DispatchExhausted
	case d.Status == DeliveryCancelled:
		report.Outcome = DispatchCancelled
	}
	if at := d.Destination(); !d.NextAt().IsZero() {
		result.move = &at
	}
	dsp.report(ctx, report)
	return result
}

func (dsp *Dispatcher) report(ctx context.Context, r DispatchReport) {
	level, message := slog.LevelInfo, "notification not delivered yet"
	switch r.Outcome {
	case DispatchDelivered:
		level, message = slog.LevelDebug, "notification delivered"
	case DispatchExhausted:
		level, message = slog.LevelWarn, "notification not delivered: all attempts failed; it can be sent by hand"
	case DispatchCancelled:
		level, message = slog.LevelWarn, "notification not delivered: its receiver wants no more of it"
	case DispatchFailed, DispatchFaulted:
	}
	dsp.o.Logger.LogAttrs(ctx, level, message,
		slog.String("event", r.EventID), slog.String("client", r.ClientID), slog.Bool("manual", r.Manual),
		slog.Int("status", r.Status), slog.String("reason", r.Failure), slog.Duration("took", r.Duration))
	if dsp.o.Observe.Attempt != nil {
		dsp.o.Observe.Attempt(r)
	}
}
