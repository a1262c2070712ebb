package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"
)

// RuntimeOptions are what a Runtime is made of. Store, Now, Rand and Logger
// are needed.
type RuntimeOptions struct {
	Store   Store
	Now     func() time.Time
	Rand    io.Reader
	Logger  *slog.Logger
	Observe Observer
	// Sender makes the attempts of deliveries; nil takes the guarded
	// outgoing client.
	Sender Sender
	// NotifyKey signs notifications in the form of WeChat's v3. Nil is for a
	// relay none of whose clients is told in it.
	NotifyKey *NotifyKey
	// Sealer seals secrets in the store for configurations without a master
	// key of their own. Nil takes a key that is gone with the Runtime, and
	// what it sealed with it.
	Sealer *Sealer
}

// Observer is told what happens, for metrics. Every callback may be nil and
// must be quick.
type Observer struct {
	// Notification is called for each notification with its outcome: what it
	// did to the books, unavailable, or the reason for which it was refused.
	Notification func(outcome string, took time.Duration)
	// Message is called for each message posted to an account's address.
	Message func(MessageOutcome)
	// Order is called for each order made.
	Order func()
	// Refund is called for each refund that came to its end, with who wanted
	// it: succeeded, failed or abnormal.
	Refund func(source RefundSource, outcome RefundStatus)
	// Upstream is called for each call to WeChat with the call's name and
	// outcome.
	Upstream func(op, outcome string)
	// Token is called each time an account's token was asked for, with the
	// account's name.
	Token func(account string, kind TokenKind, outcome TokenOutcome)
	// Dispatch observes deliveries.
	Dispatch DispatchObserver
}

// Runtime outlives configurations: it holds the store, the dispatcher of
// deliveries, the watch on expiring orders and unpaid payments, the follower
// of refunds, the sweeper of expired grants, the centre of the accounts'
// tokens, and what is kept in memory about browsers and clients. One Runtime
// belongs to one open store.
//
// Start begins its goroutines and Stop ends them and waits; both may be
// called once each, Stop also without Start.
type Runtime struct {
	store      Store
	clock      func() time.Time
	log        atomic.Pointer[slog.Logger]
	observe    Observer
	notifyKey  *NotifyKey
	sealer     *Sealer
	random     random
	dispatcher *Dispatcher
	current    atomic.Pointer[Service]
	limits     rateLimits
	compat     compatPins
	watchers   watchers
	flows      flows
	prepaying  keyedLocks[OrderKey]
	loggingIn  keyedLocks[string] // by the state sent to WeChat
	splitting  keyedLocks[SplitKey]
	expiry     *expiry
	refunds    *refundFollower
	asker      *asker
	counted    caseCounts
	splits     *splitFollower
	grants     *grantSweeper
	tokens     *tokenCentre
	upkeep     upkeep

	// What WeChat was asked about because somebody wanted to know.
	askedPayments spacing[PaymentKey]
	askedRefunds  spacing[RefundKey]
	askedLists    spacing[PaymentKey] // of refunds
	askedSplits   spacing[SplitKey]
}

// NewRuntime makes a Runtime on an open store. It starts nothing.
func NewRuntime(o RuntimeOptions) (*Runtime, error) {
	if o.Store == nil || o.Now == nil || o.Rand == nil || o.Logger == nil {
		return nil, errors.New("making runtime: store, clock, randomness and logger are needed")
	}
	rt := &Runtime{store: o.Store, clock: o.Now, observe: o.Observe, notifyKey: o.NotifyKey, random: random{o.Rand}}
	if rt.sealer = o.Sealer; rt.sealer == nil {
		var err error
		if rt.sealer, err = newRandomSealer(o.Rand); err != nil {
			return nil, fmt.Errorf("making runtime: %w", err)
		}
	}
	rt.log.Store(o.Logger)
	rt.dispatcher = NewDispatcher(DispatcherOptions{
		Store:    o.Store,
		Settings: rt.deliverySettings,
		Sender:   o.Sender,
		Own:      rt.ownAddress,
		Logger:   o.Logger,
		Now:      o.Now,
		Observe:  o.Observe.Dispatch,
	})
	rt.expiry = newExpiry(rt)
	rt.refunds = newRefundFollower(rt)
	rt.asker = newAsker(rt)
	rt.splits = newSplitFollower(rt)
	rt.grants = newGrantSweeper(rt)
	rt.tokens = newTokenCentre(rt)
	return rt, nil
}

// Use makes s the configuration that decides about deliveries and expiry
// from now on.
func (rt *Runtime) Use(s *Service) {
	rt.current.Store(s)
	if s != nil {
		rt.log.Store(s.log)
	}
	rt.upkeep.use(s)
	rt.dispatcher.SettingsChanged()
}

// Start begins to deliver, to close expired orders, to ask about unpaid
// payments, to drop expired grants, and to renew tokens.
func (rt *Runtime) Start() {
	rt.dispatcher.Start()
	rt.expiry.start()
	rt.refunds.start()
	rt.asker.start()
	rt.splits.start()
	rt.grants.start()
	rt.tokens.start()
	rt.upkeep.start()
}

// Stop ends the Runtime's goroutines and waits for them, for attempts under
// way until ctx ends.
func (rt *Runtime) Stop(ctx context.Context) error {
	rt.upkeep.stop()
	rt.refunds.stop()
	rt.expiry.stop()
	rt.asker.stop()
	rt.splits.stop()
	rt.grants.stop()
	rt.tokens.stop()
	return rt.dispatcher.Stop(ctx)
}

// Health reports what keeps the relay from working, in words that may be
// shown; nil when all is well.
func (rt *Runtime) Health(ctx context.Context) error {
	if h, ok := rt.store.(HealthChecker); ok {
		return h.Health(ctx)
	}
	return nil
}

// Deliveries is the state of the deliveries at this moment, for metrics.
func (rt *Runtime) Deliveries() DispatcherStats { return rt.dispatcher.Stats() }

func (rt *Runtime) now() time.Time { return rt.clock().UTC() }

// deliverySettings tells the dispatcher how a client is told now.
func (rt *Runtime) deliverySettings(clientID string) (DeliverySettings, bool) {
	s := rt.current.Load()
	if s == nil {
		return DeliverySettings{}, false
	}
	c := s.clients[clientID]
	if c == nil {
		return DeliverySettings{}, false
	}
	d := DeliverySettings{
		NotifySecrets: c.NotifySecrets,
		AllowNetworks: slices.Concat(s.cfg.AllowNetworks, c.AllowNetworks),
		SignType:      V2SignHMACSHA256,
		NotifyKey:     rt.notifyKey,
	}
	if c.Compat == CompatMD5 {
		d.SignType = V2SignMD5
	}
	return d, true
}
