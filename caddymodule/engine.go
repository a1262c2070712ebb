package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/relay"
)

// drainTimeout bounds how long a store that no configuration names any more
// stays open for requests and deliveries under way.
const drainTimeout = 10 * time.Second

// engines holds what outlives configurations, by the key of the store. It is
// touched in Start and Cleanup only: Caddy calls those one at a time, so that
// nobody meets a store that is still closing.
var engines = caddy.NewUsagePool()

// engine is an open store with the workers on it. All configurations that
// name the same store share one engine, and it keeps nothing of any of them
// but what they attach.
//
// The first attach starts its goroutines, by the runtime; Destruct stops them
// and waits.
type engine struct {
	store   openStore
	runtime *relay.Runtime
	users   users
	log     *swapHandler
	start   sync.Once
	scrub   *scrub // set by start

	mu     sync.Mutex // guards leases
	leases []*lease   // attached configurations, newest last
}

// acquireEngine joins the engine of a store, or opens it. Each success is to
// be answered by one releaseEngine.
func acquireEngine(store storeModule, storage keyStorage, logger *slog.Logger) (*engine, error) {
	value, _, err := engines.LoadOrNew(store.key(), func() (caddy.Destructor, error) {
		return openEngine(store, storage, logger)
	})
	if err != nil {
		return nil, err
	}
	return value.(*engine), nil
}

// releaseEngine gives a reference back and closes the store with the last.
func releaseEngine(store storeModule) error {
	_, err := engines.Delete(store.key())
	return err
}

func openEngine(module storeModule, storage keyStorage, logger *slog.Logger) (*engine, error) {
	log := newSwapHandler(logger.Handler())
	store, err := module.open(slog.New(log))
	if err != nil {
		return nil, err // names the store and says what to do
	}
	e := &engine{store: store, log: log}
	key, err := loadNotifyKey(context.Background(), storage)
	if err != nil {
		// Only a client that is told by it needs it, and keeps the relay from
		// starting then.
		logger.Error("the relay has no key of its own to sign notifications with; no client can have notify wechat_v3", "error", err)
	}
	e.runtime, err = relay.NewRuntime(relay.RuntimeOptions{
		Store:     store,
		Now:       time.Now,
		Rand:      rand.Reader,
		Logger:    slog.New(log),
		Observe:   observer(),
		NotifyKey: key,
		Sealer:    loadSealer(context.Background(), storage, logger),
	})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	openEngines.add(e)
	return e, nil
}

// health reports what keeps the engine from working.
func (e *engine) health(ctx context.Context) error { return e.runtime.Health(ctx) }

// lease is one configuration's hold on an engine.
type lease struct {
	engine  *engine
	service *relay.Service
	handler slog.Handler
}

// attach makes a configuration decide about deliveries, until a newer one is
// attached or it is released.
func (e *engine) attach(service *relay.Service, logger *slog.Logger) *lease {
	l := &lease{engine: e, service: service, handler: logger.Handler()}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leases = append(e.leases, l)
	e.follow()
	e.start.Do(e.begin) // not earlier: without a configuration every client is unknown
	return l
}

// begin starts the engine's goroutines.
func (e *engine) begin() {
	e.runtime.Start()
	if store, ok := e.store.(verifier); ok {
		e.scrub = startScrub(store, slog.New(e.log), func(n int) { storeProblems.Set(float64(n)) })
	}
}

// release detaches the configuration: the newest of those left decides. It
// may be called on nil and twice.
func (l *lease) release() {
	if l == nil {
		return
	}
	e := l.engine
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, attached := range e.leases {
		if attached == l {
			e.leases = append(e.leases[:i], e.leases[i+1:]...)
			e.follow()
			return
		}
	}
}

// follow makes the newest lease decide; e.mu is held. After the last one the
// engine goes on as it was, because it is about to be closed.
func (e *engine) follow() {
	if len(e.leases) == 0 {
		return
	}
	newest := e.leases[len(e.leases)-1]
	e.log.swap(newest.handler)
	e.runtime.Use(newest.service)
}

// Destruct stops the workers, waits a bounded time for attempts and requests
// under way, and closes the store. It implements caddy.Destructor.
func (e *engine) Destruct() error {
	openEngines.remove(e)
	e.scrub.stop()
	waiting := e.runtime.Deliveries().Destinations
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- e.runtime.Stop(ctx) }()
	var errs []error
	if err := e.users.drain(ctx); err != nil {
		errs = append(errs, fmt.Errorf("waiting for requests under way: %w", err))
	}
	if err := <-stopped; err != nil {
		errs = append(errs, fmt.Errorf("stopping deliveries: %w", err))
	}
	if err := e.store.Close(); err != nil {
		errs = append(errs, fmt.Errorf("closing store: %w", err))
	}
	// A configuration with another store does not take over what waits here.
	slog.New(e.log).Info("store closed; what waits in it goes on when it is opened again", "destinations_waiting", waiting)
	return errors.Join(errs...)
}
