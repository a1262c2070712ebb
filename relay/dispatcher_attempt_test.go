package relay_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// The whole way over HTTP: what a site receives verifies with its notify
// secret, in both formats, and addresses that the operator did not open, or
// that are our own, are not called (F01, F10, F13).
func TestDispatcher_OverLoopback_F01_F10_F13(t *testing.T) {
	t.Parallel()
	const secret = "abcdef0123456789ABCDEF0123456789"
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	tests := []struct {
		name    string
		format  relay.NotifyFormat
		allow   []netip.Prefix
		own     bool
		failure string
		hits    int
	}{
		{"standard", relay.NotifyStandard, loopback, false, "", 1},
		{"get", relay.NotifyGet, loopback, false, "", 1},
		{"not allowed", relay.NotifyStandard, nil, false, "blocked address", 0},
		{"our own", relay.NotifyStandard, loopback, true, "blocked address", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hits := make(chan bool, 10)
			site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				hits <- verifies(r, secret)
				_, _ = io.WriteString(w, "SUCCESS\n")
			}))
			defer site.Close()

			w := newWorld(t, nil)
			reports := make(chan relay.DispatchReport, 10)
			w.options = relay.DispatcherOptions{
				Store: w.store, Logger: slog.New(slog.DiscardHandler),
				Own: func(*url.URL) bool { return tt.own },
				Settings: func(string) (relay.DeliverySettings, bool) {
					return relay.DeliverySettings{
						NotifySecrets: []relay.Secret{relay.NewSecret(secret)}, AllowNetworks: tt.allow,
					}, true
				},
				Observe: relay.DispatchObserver{Attempt: func(r relay.DispatchReport) { reports <- r }},
			}
			w.start()
			defer w.stop()
			w.tell("evt_1", "unused.example", func(d *relay.Delivery) {
				d.Format, d.URL = tt.format, site.URL+"/notify"
			})
			if r := <-reports; r.Failure != tt.failure {
				t.Errorf("failure = %q, want %q", r.Failure, tt.failure)
			}
			if len(hits) != tt.hits {
				t.Fatalf("%d requests, want %d", len(hits), tt.hits)
			}
			if tt.hits > 0 && !<-hits {
				t.Error("the site could not verify what it got")
			}
		})
	}
}

// verifies checks a notification as a site would.
func verifies(r *http.Request, secret string) bool {
	if r.Method == http.MethodGet {
		fields := make(map[string]string)
		for name := range r.URL.Query() {
			fields[name] = r.URL.Query().Get(name)
		}
		return fields["sign"] != "" && fields["sign"] == relay.SignV2(fields, relay.NewSecret(secret), relay.V2SignHMACSHA256)
	}
	body, err := io.ReadAll(r.Body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "." + string(body)))
	return err == nil && r.Header.Get("webhook-signature") == "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// A wish for an event that has no delivery is ErrNotFound.
func TestRequestDelivery_NotFound(t *testing.T) {
	t.Parallel()
	err := memstore.New().Update(t.Context(), func(tx relay.Tx) error {
		_, err := relay.RequestDelivery(tx, "evt_none", time.Now())
		return err
	})
	if !errors.Is(err, relay.ErrNotFound) {
		t.Errorf("RequestDelivery = %v, want ErrNotFound", err)
	}
}
