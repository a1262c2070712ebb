package relay_test

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
	"github.com/wxrelay/wxrelay/store/badgerstore"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// stores are what the benchmarks run on: the durable one, and one without
// disk as the ceiling.
func stores(b *testing.B) map[string]func() relay.Store {
	b.Helper()
	return map[string]func() relay.Store{
		"memory": func() relay.Store { return memstore.New() },
		"badger": func() relay.Store {
			s, err := badgerstore.Open(badgerstore.Options{Path: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = s.Close() })
			return s
		},
	}
}

func benchService(b *testing.B, store relay.Store) (*relay.Service, *relay.Config) {
	b.Helper()
	t := new(testing.T) // testConfig needs one to fail on, and cannot fail
	cfg := testConfig(t)
	cfg.Clients[0].Rate = 1e6
	rt, err := relay.NewRuntime(relay.RuntimeOptions{Store: store, Now: time.Now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler), Sender: refusingSender{}})
	if err != nil {
		b.Fatal(err)
	}
	s, err := relay.NewService(cfg, rt, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	return s, cfg
}

// BenchmarkNotify is the whole path of a notification but HTTP: verify,
// decrypt, decode, compare, commit durably (budgets P1).
func BenchmarkNotify(b *testing.B) {
	for name, open := range stores(b) {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				store := open()
				s, cfg := benchService(b, store)
				notices := prepareNotifications(b, cfg, store)
				var next atomic.Int64
				b.ResetTimer()
				b.SetParallelism((callers + 1) / 2) // times GOMAXPROCS, two here
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := s.Notify(b.Context(), "main", notices[next.Add(1)-1]); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// prepareNotifications stores b.N orders with a payment each and signs b.N
// notifications for them.
func prepareNotifications(b *testing.B, cfg *relay.Config, store relay.Store) []relay.RawNotification {
	b.Helper()
	const serial = "PUB_KEY_ID_0000000000000024101100397200000006"
	platform, err := payv3.NewPlatform(payv3.PlatformOptions{Keys: []payv3.PlatformKey{{Serial: serial, Private: platformKey()}}})
	if err != nil {
		b.Fatal(err)
	}
	cipher, err := payv3.NewCipher(cfg.Merchants[0].APIv3.Key.Reveal())
	if err != nil {
		b.Fatal(err)
	}
	notices := make([]relay.RawNotification, b.N)
	now := time.Now().UTC()
	for from := 0; from < b.N; from += 500 {
		err := store.Update(b.Context(), func(tx relay.Tx) error {
			for i := from; i < min(from+500, b.N); i++ {
				if err := putPaying(tx, i, now); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	for i := range notices {
		text := fmt.Sprintf(`{"mchid":"%s","appid":"%s","out_trade_no":"out-trade-no-%010d","transaction_id":"42000000000000%010d","trade_type":"NATIVE","trade_state":"SUCCESS","trade_state_desc":"ok","bank_type":"OTHERS","success_time":"%s","payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"amount":{"total":100,"payer_total":100,"currency":"CNY","payer_currency":"CNY"}}`,
			testMchID, testAppID, i, i, now.Format(time.RFC3339))
		body, err := platform.NewNotification(cipher, fmt.Sprintf("EV-%d", i), "TRANSACTION.SUCCESS", "transaction", "ok", []byte(text))
		if err != nil {
			b.Fatal(err)
		}
		notices[i] = relay.RawNotification{Header: http.Header{}, Body: body}
		if err := platform.SignHeaders(notices[i].Header, serial, body); err != nil {
			b.Fatal(err)
		}
	}
	return notices
}

func putPaying(tx relay.Tx, i int, now time.Time) error {
	key := relay.OrderKey{ClientID: vectorClient, OrderNo: fmt.Sprintf("A%09d", i)}
	number := fmt.Sprintf("out-trade-no-%010d", i)
	o := &relay.Order{
		OrderKey: key, Token: fmt.Sprintf("%022d", i), AmountFen: 100, Description: "a book", NotifyURL: "https://books.example.com/notify",
		MchID: testMchID, Status: relay.OrderPaying, Version: 2, CreatedAt: now, ExpiresAt: now.Add(2 * time.Hour), Payments: []string{number},
	}
	if err := tx.PutOrder(o); err != nil {
		return err
	}
	return tx.PutPayment(&relay.Payment{
		PaymentKey: relay.PaymentKey{MchID: testMchID, OutTradeNo: number}, Order: key, TradeType: relay.TradeNative, AppID: testAppID,
		AmountFen: 100, Description: "a book", Status: relay.PaymentPending, CreatedAt: now, ExpiresAt: now.Add(2 * time.Hour),
		CodeURL: "weixin://wxpay/bizpayurl?pr=" + strings.Repeat("x", 9), PrepaidAt: now,
	})
}

// BenchmarkCreateOrder is a signed order but HTTP: authenticate, nonce,
// check, commit durably (budgets P5).
func BenchmarkCreateOrder(b *testing.B) {
	for name, open := range stores(b) {
		for _, callers := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
				s, _ := benchService(b, open())
				var next atomic.Int64
				b.ResetTimer()
				b.SetParallelism((callers + 1) / 2)
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := createSigned(b, s, next.Add(1)); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

func createSigned(b *testing.B, s *relay.Service, i int64) error {
	b.Helper()
	body := []byte(`{"order_no":"A000000001","amount":100,"description":"a book"}`)
	at, nonce := fmt.Sprint(time.Now().Unix()), fmt.Sprintf("nonce-%020d", i)
	text := relay.StringToSign("WXRELAY1-HMAC-SHA256", vectorClient, http.MethodPost, "pay.example.com", "/v1/orders", at, nonce, body)
	caller, err := s.Authenticate(relay.SignedRequest{
		Method: http.MethodPost, Target: "/v1/orders", Body: body,
		Authorization: []string{`WXRELAY1-HMAC-SHA256 client_id="` + vectorClient + `",timestamp="` + at + `",nonce="` + nonce + `",signature="` + relay.SignHMAC(relay.NewSecret(vectorSecret), text) + `"`},
	})
	if err != nil {
		return err
	}
	if err := s.CheckNonce(b.Context(), caller); err != nil {
		return err
	}
	_, _, err = s.CreateOrder(b.Context(), caller, goodOrder(fmt.Sprintf("B%010d", i)))
	return err
}
