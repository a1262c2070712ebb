package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

const (
	// notifyKeyName is where the relay's own key is in Caddy's storage. All
	// instances that share the storage sign with the same key.
	notifyKeyName = "wxrelay/notify_key.pem"
	// notifyKeyBits is the size of WeChat's own keys.
	notifyKeyBits = 2048
	// notifyKeyTimeout bounds the wait for another instance that makes it.
	notifyKeyTimeout = 30 * time.Second
)

// keyStorage is what is needed of Caddy's storage.
type keyStorage interface {
	Lock(ctx context.Context, name string) error
	Unlock(ctx context.Context, name string) error
	Load(ctx context.Context, key string) ([]byte, error)
	Store(ctx context.Context, key string, value []byte) error
}

// loadNotifyKey reads the relay's own key, or makes it when there is none. It
// is never replaced: clients hold its public half.
func loadNotifyKey(ctx context.Context, storage keyStorage) (*relay.NotifyKey, error) {
	ctx, cancel := context.WithTimeout(ctx, notifyKeyTimeout)
	defer cancel()
	text, err := storage.Load(ctx, notifyKeyName)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeNotifyKey(ctx, storage)
	}
	if err != nil {
		return nil, fmt.Errorf("loading %s from Caddy's storage: %w", notifyKeyName, err)
	}
	private, err := payv3.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s in Caddy's storage is damaged; put it back from a backup, or remove it to get a new key, "+
			"which every client with notify wechat_v3 must then be given: %w", notifyKeyName, err)
	}
	return relay.NewNotifyKey(private)
}

// makeNotifyKey makes the key unless another instance did meanwhile.
func makeNotifyKey(ctx context.Context, storage keyStorage) (text []byte, err error) {
	if err := storage.Lock(ctx, notifyKeyName); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, storage.Unlock(context.WithoutCancel(ctx), notifyKeyName)) }()
	text, err = storage.Load(ctx, notifyKeyName)
	if !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	private, err := rsa.GenerateKey(rand.Reader, notifyKeyBits)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return text, storage.Store(ctx, notifyKeyName, text)
}
