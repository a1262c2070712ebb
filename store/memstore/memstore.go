// Package memstore is a relay.Store in memory, for tests and for virtual
// time: it starts no goroutine, reads no clock and forgets everything when
// it is dropped. It keeps to the promises of relay.Store except that of
// stable storage, and refuses what a persistent store would refuse.
package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/wxrelay/wxrelay/relay"
)

// Store is a relay.Store in memory. The zero value is not usable; call New.
type Store struct {
	mu     sync.RWMutex // guards what follows; held while a caller's fn runs
	data   data
	closed bool
}

var (
	_ relay.Store         = (*Store)(nil)
	_ relay.HealthChecker = (*Store)(nil)
	_ relay.NonceReader   = reader{}
)

// New makes an empty store.
func New() *Store {
	return &Store{data: newData()}
}

// Update runs fn alone and keeps what it wrote when it returns nil. fn must
// not call the store. A panic in fn becomes an error.
func (s *Store) Update(ctx context.Context, fn func(relay.Tx) error) error {
	if err := ended(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	t := &tx{reader: reader{&s.data}}
	if err := run(func() error { return fn(t) }); err != nil {
		t.rollBack()
		return err
	}
	return nil
}

// View runs fn beside other readers. fn must not call the store.
func (s *Store) View(ctx context.Context, fn func(relay.Reader) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err := s.usable(ctx); err != nil {
		return err
	}
	return run(func() error { return fn(reader{&s.data}) })
}

// Health reports whether the store is open.
func (s *Store) Health(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.usable(ctx)
}

// Close refuses further work. The records stay, see Reopen.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Reopen takes work again after Close, as a restart of a persistent store
// would, with the same records.
func (s *Store) Reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = false
}

var errClosed = errors.New("the store is closed")

func (s *Store) usable(ctx context.Context) error {
	if s.closed {
		return fmt.Errorf("%w: %w", relay.ErrUnavailable, errClosed)
	}
	return ended(ctx)
}

func ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", relay.ErrUnavailable, err)
	}
	return nil
}

// run turns a panic of fn into an error, so that one bad request ends alone.
func run(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a transaction: %v", p)
		}
	}()
	return fn()
}
