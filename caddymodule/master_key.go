package caddymodule

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"

	"github.com/wxrelay/wxrelay/relay"
)

// masterKeyName is where the relay's own master key is in Caddy's storage. All
// instances that share the storage and the store open what one of them sealed.
const masterKeyName = "wxrelay/master_key"

// buildMasterKeys reads the master keys that the operator gave.
func (a *App) buildMasterKeys(r *resolver) []relay.Secret {
	var keys []relay.Secret
	for _, text := range r.secrets("", "master_key", a.MasterKeys) {
		if text.Len() == 0 {
			continue // could not be resolved, which is recorded
		}
		if key, err := relay.ParseMasterKey(text); !r.fail("", "master_key", err) {
			keys = append(keys, key)
		}
	}
	return keys
}

// loadSealer seals with the relay's own master key, which is made when there
// is none. Nil when it cannot be had: the runtime then seals with a key that it
// forgets, which costs sessions and tokens at a restart and stops no payment.
func loadSealer(ctx context.Context, storage keyStorage, logger *slog.Logger) *relay.Sealer {
	key, made, err := loadMasterKey(ctx, storage)
	if err != nil {
		logger.Error("the relay has no master key of its own; without master_key in the configuration, "+
			"sessions of mini-programs end and tokens are fetched anew at each restart", "error", err)
		return nil
	}
	if made {
		logger.Warn("made a master key, which seals session keys and tokens in the store wherever master_key is not set; "+
			"back it up apart from the store, or set your own: openssl rand -base64 32 in a file, and master_key {file./path} in the option wxrelay",
			"storage_key", masterKeyName)
	}
	sealer, err := relay.NewSealer([]relay.Secret{key}, rand.Reader)
	if err != nil {
		logger.Error("the relay's own master key is of no use", "error", err)
		return nil
	}
	return sealer
}

// loadMasterKey reads the relay's own master key, or makes it, and says
// whether it did.
func loadMasterKey(ctx context.Context, storage keyStorage) (key relay.Secret, made bool, err error) {
	text, made, err := ownKey(ctx, storage, masterKeyName, newMasterKey)
	if err != nil {
		return relay.Secret{}, false, err
	}
	key, err = relay.ParseMasterKey(relay.NewSecret(strings.TrimSpace(string(text))))
	if err != nil {
		return relay.Secret{}, false, fmt.Errorf("%s in Caddy's storage is damaged; put it back from a backup, or remove it to get a new key, "+
			"with which sessions end and tokens are fetched anew: it %w", masterKeyName, err)
	}
	return key, made, nil
}

func newMasterKey() ([]byte, error) {
	key := make([]byte, relay.MasterKeyLen)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(key) + "\n"), nil
}
