package peers

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/wxrelay/wxrelay/caddymodule/web"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	clientID     = "1000000000000001"
	clientSecret = "0123456789abcdef0123456789ABCDEF"
	newTell      = "abcdef0123456789ABCDEF0123456789"
	oldTell      = "ABCDEF0123456789abcdef0123456789"
)

// relayed is a relay in this process: the real services and dispatcher on a
// store in memory, with a sandbox as WeChat.
type relayed struct {
	url     string
	service *relay.Service
	sandbox *sandbox.Sandbox
}

// setup says how the client is told.
type setup struct {
	format relay.NotifyFormat // default: standard
	compat relay.CompatMode
	key    *relay.NotifyKey
}

func newRelay(t *testing.T, notifyURL string, how setup, secrets ...string) *relayed {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{TimeScale: 1.0 / 100})
	if err != nil {
		t.Fatal(err)
	}
	wechat := httptest.NewServer(box)
	t.Cleanup(func() {
		wechat.Close()
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	front := httptest.NewUnstartedServer(nil)
	publicURL := &url.URL{Scheme: "http", Host: front.Listener.Addr().String()}
	runtime, err := relay.NewRuntime(relay.RuntimeOptions{
		Store: memstore.New(), Now: time.Now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler),
		NotifyKey: how.key,
	})
	if err != nil {
		t.Fatal(err)
	}
	service, err := relay.NewService(config(publicURL, wechat.URL, notifyURL, how, secrets), runtime, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	runtime.Start()
	runtime.Use(service)
	t.Cleanup(func() {
		if err := runtime.Stop(t.Context()); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	face, err := web.New(web.Options{Service: service, PublicURL: publicURL, Ready: runtime.Health})
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = face
	front.Start()
	t.Cleanup(front.Close)
	return &relayed{url: front.URL, service: service, sandbox: box}
}

func config(publicURL *url.URL, platform, notifyURL string, how setup, secrets []string) *relay.Config {
	c := sandbox.DefaultCredentials()
	client := &relay.Client{
		Name: "shop", ID: clientID, Secrets: []relay.Secret{relay.NewSecret(clientSecret)}, Merchant: "main",
		NotifyURL: notifyURL, Notify: cmp.Or(how.format, relay.NotifyStandard), Compat: how.compat, Callback: relay.CallbackRelay, Allow: []relay.TradeType{relay.TradeNative}, AllowRefund: true, Rate: 1000,
		Schedule: relay.DefaultSchedule(), AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}
	for _, s := range secrets {
		client.NotifySecrets = append(client.NotifySecrets, relay.NewSecret(s))
	}
	return &relay.Config{
		PublicURL: publicURL,
		Platform:  relay.Platform{PayAPI: platform, BaseAPI: platform, Open: platform, Sandbox: true},
		Accounts:  []*relay.Account{{Name: "shop", Kind: relay.AccountOfficial, AppID: c.AppID, Secret: relay.NewSecret(c.AppSecret)}},
		Merchants: []*relay.Merchant{{Name: "main", MchID: c.MchID, Accounts: []string{"shop"}, APIv3: &relay.APIv3Credentials{
			Key: relay.NewSecret(string(c.APIv3Key)), CertificateSerial: c.CertificateSerial, PrivateKey: c.PrivateKey,
			PublicKeys: map[string]*rsa.PublicKey{c.PublicKeyID: c.PublicKey},
		}}},
		Clients: []*relay.Client{client},
	}
}

// caller signs as the client does; every write takes a new one.
func (r *relayed) caller(t *testing.T, nonce string) *relay.Caller {
	t.Helper()
	const scheme, target = "WXRELAY1-HMAC-SHA256", "/v1/orders"
	now := strconv.FormatInt(time.Now().Unix(), 10)
	host := strings.TrimPrefix(r.url, "http://")
	text := relay.StringToSign(scheme, clientID, "POST", host, target, now, nonce, nil)
	caller, err := r.service.Authenticate(relay.SignedRequest{
		Method: "POST", Target: target,
		Authorization: []string{fmt.Sprintf(`%s client_id="%s",timestamp="%s",nonce="%s",signature="%s"`,
			scheme, clientID, now, nonce, base64.StdEncoding.EncodeToString(hmacSHA256(clientSecret, text)))},
	})
	if err != nil {
		t.Fatal(err)
	}
	return caller
}

// sell makes an order and has it paid.
func (r *relayed) sell(t *testing.T) {
	t.Helper()
	if _, _, err := r.service.CreateOrder(t.Context(), r.caller(t, "nonce-0000000001"), relay.CreateOrderRequest{
		OrderNo: "A000000001", Amount: new(int64(100)), Description: "tea",
	}); err != nil {
		t.Fatal(err)
	}
	p, _, err := r.service.CreatePayment(t.Context(), r.caller(t, "nonce-0000000002"), "A000000001", relay.CreatePaymentRequest{TradeType: relay.TradeNative})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.sandbox.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sandbox/pay", strings.NewReader(`{"code_url":"`+p.CodeURL+`"}`)))
	if w.Code != http.StatusOK {
		t.Fatalf("paying = %d %s", w.Code, w.Body)
	}
}

// giveBack refunds a part of what sell sold.
func (r *relayed) giveBack(t *testing.T) {
	t.Helper()
	if _, _, err := r.service.CreateRefund(t.Context(), r.caller(t, freshNonce()), "A000000001", relay.CreateRefundRequest{
		RefundNo: "R000000001", Amount: new(int64(40)), Reason: "cold",
	}); err != nil {
		t.Fatal(err)
	}
}

// awaitAttempt waits until the first attempt to tell is on record.
func (r *relayed) awaitAttempt(t *testing.T, want relay.DeliveryStatus) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		page, err := r.service.Events(t.Context(), r.caller(t, freshNonce()), "", 10)
		if err != nil || len(page.Events) != 1 {
			t.Fatalf("events = %+v, %v", page, err)
		}
		e, err := r.service.Event(t.Context(), r.caller(t, freshNonce()), page.Events[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Delivery.Attempts) > 0 {
			if e.Delivery.Status != want {
				t.Errorf("delivery = %+v, want %s", e.Delivery, want)
			}
			return
		}
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("no attempt was made")
		}
	}
}

// TestStandardWebhooks verifies what the relay tells with the official
// library: while two secrets live, each of them alone is enough, and the
// bytes are those that were signed.
func TestStandardWebhooks(t *testing.T) {
	t.Parallel()
	came := make(chan note, 16)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the notification: %v", err)
		}
		came <- note{r.Header.Clone(), body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(shop.Close)
	newRelay(t, shop.URL+"/notify", setup{}, newTell, oldTell).sell(t)

	var got note
	select {
	case got = <-came:
	case <-t.Context().Done():
		t.Fatal("the shop was not told")
	}
	signatures := strings.Fields(got.header.Get("Webhook-Signature"))
	if len(signatures) != 2 || signatures[0] == signatures[1] {
		t.Errorf("signatures = %q, want two", signatures)
	}
	for name, tc := range map[string]struct {
		secret    string
		signature string
		body      []byte
		taken     bool
	}{
		"new secret":             {newTell, strings.Join(signatures, " "), got.body, true},
		"old secret":             {oldTell, strings.Join(signatures, " "), got.body, true},
		"first alone":            {newTell, signatures[0], got.body, true},
		"second alone":           {oldTell, signatures[1], got.body, true},
		"first with old secret":  {oldTell, signatures[0], got.body, false},
		"second with new secret": {newTell, signatures[1], got.body, false},
		"the client's secret":    {clientSecret, strings.Join(signatures, " "), got.body, false},
		"another body":           {newTell, strings.Join(signatures, " "), bytes.Replace(got.body, []byte("100"), []byte("999"), 1), false},
	} {
		header := got.header.Clone()
		header.Set("Webhook-Signature", tc.signature)
		hook, err := standardwebhooks.NewWebhook("whsec_" + base64.StdEncoding.EncodeToString([]byte(tc.secret)))
		if err != nil {
			t.Fatal(err)
		}
		if err := hook.Verify(tc.body, header); (err == nil) != tc.taken {
			t.Errorf("%s: %v, want taken %t", name, err, tc.taken)
		}
	}
}
