package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// ownKeyTimeout bounds the wait for another instance that makes a key.
const ownKeyTimeout = 30 * time.Second

// keyStorage is what is needed of Caddy's storage.
type keyStorage interface {
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

// ownKey reads a key of the relay's own from Caddy's storage, or makes it when
// there is none, and says whether it did. All instances that share the storage
// have the same key, and it is never replaced.
func ownKey(ctx context.Context, storage keyStorage, name string, generate func() ([]byte, error)) (text []byte, made bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, ownKeyTimeout)
	defer cancel()
	text, err = storage.Load(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		text, made, err = makeOwnKey(ctx, storage, name, generate)
	}
	if err != nil {
		return nil, false, fmt.Errorf("loading %s from Caddy's storage: %w", name, err)
	}
	return text, made, nil
}

// makeOwnKey makes the key unless another instance did meanwhile.
func makeOwnKey(ctx context.Context, storage keyStorage, name string, generate func() ([]byte, error)) (text []byte, made bool, err error) {
	if err := storage.Lock(ctx, name); err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), name)) }()
	text, err = storage.Load(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, false, err
	}
	if text, err = generate(); err != nil {
		return nil, false, err
	}
	return text, true, storage.Store(ctx, name, text)
}
