package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

const (
	// notifyKeyName is where the relay's own key is in Caddy's storage. All
	// instances that share the storage sign with the same key.
	notifyKeyName = "wxrelay/notify_key.pem"
	// notifyKeyBits is the size of WeChat's own keys.
	notifyKeyBits = 2048
)

// loadNotifyKey reads the relay's own key, or makes it when there is none. It
// is never replaced: clients hold its public half.
func loadNotifyKey(ctx context.Context, storage keyStorage) (*relay.NotifyKey, error) {
	text, _, err := ownKey(ctx, storage, notifyKeyName, newNotifyKey)
	if err != nil {
		return nil, err
	}
	private, err := payv3.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s in Caddy's storage is damaged; put it back from a backup, or remove it to get a new key, "+
			"which every client with notify wechat_v3 must then be given: %w", notifyKeyName, err)
	}
	return relay.NewNotifyKey(private)
}

func newNotifyKey() ([]byte, error) {
	private, err := rsa.GenerateKey(rand.Reader, notifyKeyBits)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
