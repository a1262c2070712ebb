package relay_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const testPublicKeyID = "PUB_KEY_ID_0000000000000024101100397200000006"

// countingStore counts the transactions that are begun.
type countingStore struct {
	relay.Store
	updates atomic.Int64
}

func (s *countingStore) Update(ctx context.Context, fn func(relay.Tx) error) error {
	s.updates.Add(1)
	return s.Store.Update(ctx, fn)
}

// realService is a Service that verifies what WeChat posts, for the merchant
// main and another one, other, with an APIv3 key of its own.
func realService(t *testing.T, store relay.Store, otherKey string) *relay.Service {
	t.Helper()
	cfg := testConfig(t)
	main := cfg.Merchants[0]
	other := *main
	credentials := *main.APIv3
	credentials.Key = relay.NewSecret(otherKey)
	other.Name, other.MchID, other.APIv3 = "other", "1900000110", &credentials
	cfg.Merchants = append(cfg.Merchants, &other)
	logger := slog.New(slog.DiscardHandler)
	rt, err := relay.NewRuntime(relay.RuntimeOptions{Store: store, Now: time.Now, Rand: rand.Reader, Logger: logger, Sender: refusingSender{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := relay.NewService(cfg, rt, logger)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// statement is a payment as WeChat tells a merchant of it, signed with key.
func statement(t *testing.T, key *rsa.PrivateKey, mchID, apiV3Key string) relay.RawNotification {
	t.Helper()
	platform, err := payv3.NewPlatform(payv3.PlatformOptions{Keys: []payv3.PlatformKey{{Serial: testPublicKeyID, Private: key}}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := payv3.NewCipher(payv3.APIv3Key(apiV3Key))
	if err != nil {
		t.Fatal(err)
	}
	plaintext := `{"mchid":"` + mchID + `","appid":"` + testAppID + `","out_trade_no":"number0001","transaction_id":"4200000001",` +
		`"trade_type":"NATIVE","trade_state":"SUCCESS","success_time":"2026-11-22T10:00:00+08:00","payer":{"openid":"o-1"},` +
		`"amount":{"total":100,"currency":"CNY"}}`
	body, err := platform.NewNotification(cipher, "EV-1", "TRANSACTION.SUCCESS", "transaction", "paid", []byte(plaintext))
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := platform.SignHeaders(h, testPublicKeyID, body); err != nil {
		t.Fatal(err)
	}
	return relay.RawNotification{Header: h, Body: body}
}

// TestNotifyOfAnotherMerchant_A22: a genuine statement to one merchant is
// worth nothing at another's address, even when both use the same key.
func TestNotifyOfAnotherMerchant_A22(t *testing.T) {
	t.Parallel()
	mainKey := strings.Repeat("k", 32)
	for name, otherKey := range map[string]string{"keys of their own": strings.Repeat("o", 32), "one key for both": mainKey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &countingStore{Store: memstore.New()}
			s := realService(t, store, otherKey)
			of := statement(t, platformKey(), "1900000110", otherKey)
			if err := s.Notify(t.Context(), "main", of); kindOf(err) != relay.KindSign && kindOf(err) != relay.KindParam {
				t.Errorf("other's statement at main's address: %v, want it refused", err)
			}
			if n := store.updates.Load(); n != 0 {
				t.Errorf("%d transactions for a statement that was refused, want none", n)
			}
			if err := s.Notify(t.Context(), "other", of); kindOf(err) != relay.KindNotFound {
				t.Errorf("at its own address: %v, want it believed, about an order that nobody knows", err)
			}
		})
	}
}

// TestForgedNotifications_J02: what is refused writes nothing, so that a
// flood of it costs no disk.
func TestForgedNotifications_J02(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New()}
	key := strings.Repeat("k", 32)
	s := realService(t, store, strings.Repeat("o", 32))
	genuine := statement(t, platformKey(), testMchID, key)
	tampered := relay.RawNotification{Header: genuine.Header, Body: append([]byte(" "), genuine.Body...)}
	probe := relay.RawNotification{Header: genuine.Header.Clone(), Body: genuine.Body}
	probe.Header.Set("Wechatpay-Signature", "WECHATPAY/SIGNTEST/"+genuine.Header.Get("Wechatpay-Signature"))
	for name, n := range map[string]relay.RawNotification{
		"nothing":       {},
		"not signed":    {Header: http.Header{}, Body: genuine.Body},
		"another's key": statement(t, merchantKey(), testMchID, key),
		"tampered":      tampered,
		"probe":         probe,
	} {
		for _, merchant := range []string{"main", "nobody"} {
			if err := s.Notify(t.Context(), merchant, n); kindOf(err) != relay.KindSign {
				t.Errorf("%s for %s: %v, want KindSign", name, merchant, err)
			}
		}
	}
	if n := store.updates.Load(); n != 0 {
		t.Errorf("%d transactions for what was refused, want none", n)
	}
	var known *relay.Error
	if err := s.Notify(t.Context(), "main", genuine); !errors.As(err, &known) || known.Kind != relay.KindNotFound || store.updates.Load() != 1 {
		t.Errorf("the genuine one: %v after %d transactions, want it believed", err, store.updates.Load())
	}
}
