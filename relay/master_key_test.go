package relay_test

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// A configuration seals with its own master key, and otherwise with the
// Runtime's; a Runtime that was given none has one for as long as it lives.
func TestServiceSealer(t *testing.T) {
	t.Parallel()
	generated := newSealer(t, rand.Reader, masterKey('g'))
	service := func(sealer *relay.Sealer, keys ...relay.Secret) *relay.Service {
		t.Helper()
		rt, err := relay.NewRuntime(relay.RuntimeOptions{
			Store: memstore.New(), Now: newBench(t, memstore.New()).now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler), Sealer: sealer,
		})
		if err != nil {
			t.Fatal(err)
		}
		cfg := testConfig(t)
		cfg.MasterKeys = keys
		s, err := relay.NewService(cfg, rt, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, c := range []struct {
		name    string
		service *relay.Service
		opens   relay.Secret // a key that must open what it seals; none: no other Runtime can
	}{
		{"its own", service(generated, masterKey('a'), masterKey('b')), masterKey('a')},
		{"its own without a generated one", service(nil, masterKey('a')), masterKey('a')},
		{"the generated one", service(generated), masterKey('g')},
		{"none", service(nil), relay.Secret{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sealed := seal(t, c.service.Sealer(), relay.SealMiniSession, "row", "plain")
			if plain, err := c.service.Sealer().Open(relay.SealMiniSession, "row", sealed); err != nil || string(plain) != "plain" {
				t.Errorf("opened by itself: got %q, %v", plain, err)
			}
			other := service(nil).Sealer()
			if c.opens.Len() > 0 {
				other = newSealer(t, rand.Reader, c.opens)
			}
			_, err := other.Open(relay.SealMiniSession, "row", sealed)
			if c.opens.Len() > 0 && err != nil || c.opens.Len() == 0 && !errors.Is(err, relay.ErrSealed) {
				t.Errorf("opened elsewhere: got %v", err)
			}
		})
	}
}
