package relay_test

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// TestNotifyOfAnotherSubMerchant_A22: a service provider's key signs for all
// its merchants, so that a genuine statement about one of them is worth nothing
// at another's address, nor at the provider's own.
func TestNotifyOfAnotherSubMerchant_A22(t *testing.T) {
	t.Parallel()
	store := &countingStore{Store: memstore.New()}
	cfg := testConfig(t)
	for name, sub := range map[string]string{"first": "1900000208", "second": "1900000209"} {
		m := *cfg.Merchants[0]
		m.Name, m.SubMchID = name, sub
		cfg.Merchants = append(cfg.Merchants, &m)
	}
	logger := slog.New(slog.DiscardHandler)
	rt, err := relay.NewRuntime(relay.RuntimeOptions{Store: store, Now: time.Now, Rand: rand.Reader, Logger: logger, Sender: refusingSender{}})
	if err != nil {
		t.Fatal(err)
	}
	s, err := relay.NewService(cfg, rt, logger)
	if err != nil {
		t.Fatal(err)
	}
	platform, err := payv3.NewPlatform(payv3.PlatformOptions{Keys: []payv3.PlatformKey{{Serial: testPublicKeyID, Private: platformKey()}}})
	if err != nil {
		t.Fatal(err)
	}
	cipher, err := payv3.NewCipher(payv3.APIv3Key(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	statement := func(merchant string) relay.RawNotification {
		t.Helper()
		plaintext := `{` + merchant + `,"out_trade_no":"number0001","transaction_id":"4200000001","trade_type":"NATIVE","trade_state":"SUCCESS",` +
			`"success_time":"2026-11-22T10:00:00+08:00","amount":{"total":100,"currency":"CNY"}}`
		body, err := platform.NewNotification(cipher, "EV-1", "TRANSACTION.SUCCESS", "transaction", "paid", []byte(plaintext))
		if err != nil {
			t.Fatal(err)
		}
		n := relay.RawNotification{Header: http.Header{}, Body: body}
		if err := platform.SignHeaders(n.Header, testPublicKeyID, body); err != nil {
			t.Fatal(err)
		}
		return n
	}
	own := statement(`"mchid":"` + testMchID + `","appid":"` + testAppID + `"`)
	second := statement(`"sp_mchid":"` + testMchID + `","sp_appid":"` + testAppID + `","sub_mchid":"1900000209"`)
	for _, tt := range []struct {
		name, address string
		n             relay.RawNotification
	}{
		{"one sub merchant's at another's", "first", second},
		{"a sub merchant's at the provider's own", "main", second},
		{"the provider's own at a sub merchant's", "second", own},
	} {
		if err := s.Notify(t.Context(), tt.address, tt.n); kindOf(err) != relay.KindSign && kindOf(err) != relay.KindParam {
			t.Errorf("%s: %v, want it refused", tt.name, err)
		}
	}
	if n := store.updates.Load(); n != 0 {
		t.Errorf("%d transactions for what was refused, want none", n)
	}
	if err := s.Notify(t.Context(), "second", second); kindOf(err) != relay.KindNotFound {
		t.Errorf("at its own address: %v, want it believed, about an order that nobody knows", err)
	}
}
