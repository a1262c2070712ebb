package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// wire is the line between a relay and a sandbox, on which a test listens.
type wire struct {
	url string

	mu   sync.Mutex // guards sent
	sent map[string][]byte
}

// newWire lays a line to a sandbox.
func newWire(t *testing.T, to string) *wire {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{sent: map[string][]byte{}}
	proxy := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.mu.Lock()
		w.sent[r.URL.Path] = body
		w.mu.Unlock()
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// payerIP is the address that WeChat was last told as an H5 buyer's.
func (w *wire) payerIP(t *testing.T) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	var order struct {
		SceneInfo struct {
			PayerClientIP string `json:"payer_client_ip"`
		} `json:"scene_info"`
	}
	if err := json.Unmarshal(w.sent["/v3/pay/transactions/h5"], &order); err != nil {
		t.Fatalf("WeChat was told %q: %v", w.sent["/v3/pay/transactions/h5"], err)
	}
	return order.SceneInfo.PayerClientIP
}

// TestBuyersAddress_I07 opens the cashier on a phone that says it is somebody
// else. WeChat is told what the server believes: X-Forwarded-For counts from
// a trusted proxy alone.
func TestBuyersAddress_I07(t *testing.T) {
	t.Parallel()
	const said = "203.0.113.9"
	for _, tt := range []struct {
		name, global string
		believed     bool
	}{
		{"nobody trusted", "", false},
		{"this machine trusted", "servers {\n\t\ttrusted_proxies static 127.0.0.1/32\n\t\ttrusted_proxies_strict\n\t}", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			line := newWire(t, newWechat(t, 1).url)
			s := start(t, setup{platform: line.url, merchant: merchantKeys(t), global: tt.global})
			o := s.shop.order(t, "I000000001", "")
			a := get(t, s.http, o.CheckoutURL, phoneAgent, "X-Forwarded-For", "198.51.100.1, "+said)
			if a.status != http.StatusOK || !strings.Contains(string(a.body), "checkmweb") {
				t.Fatalf("the page has no way into WeChat: %s", a)
			}
			if told := line.payerIP(t); (told == said) != tt.believed || told == "" || strings.HasPrefix(told, "127.") {
				t.Errorf("WeChat was told the buyer's address %q, believed %t", told, tt.believed)
			}
		})
	}
}
