package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/internal/testport"
)

// layout is where the parts of a server under test are.
type layout struct {
	home     string // of the process
	config   string // Caddyfile
	admin    string // socket of the admin endpoint
	url      string // public_url of the relay
	platform string // the sandbox
	store    string // directory
	zone     string // of the process's clock; empty: the machine's
}

// setup says how a test's server differs from the plain one.
type setup struct {
	platform string // another sandbox than the server's own site
	store    string // another directory than one of the test's own
	receiver string // origin where the client bookshop is told, at /notify
	merchant string // block of the merchant main
	app      string // more lines in the global option wxrelay
	bookshop string // more lines in the client bookshop
	clients  string // more clients
	global   string // more global options
	site     string // more lines in the relay's site
}

// environment holds the secrets that the configurations name.
func environment() []string {
	return []string{
		"SHOP_SECRET=" + shopSecret, "SHOP_NOTIFY=" + shopNotify, "SHOP_OLD_NOTIFY=" + shopOldTell,
		"OTHER_SECRET=" + otherSecret,
	}
}

func newLayout(t *testing.T) *layout {
	t.Helper()
	dir := shortDir(t)
	l := &layout{
		home:     dir,
		config:   filepath.Join(dir, "Caddyfile"),
		admin:    filepath.Join(dir, "admin.sock"),
		url:      fmt.Sprintf("http://127.0.0.1:%d", testport.Free(t)),
		platform: fmt.Sprintf("http://127.0.0.1:%d", testport.Free(t)),
		store:    filepath.Join(dir, "store"),
	}
	return l
}

// caddyfile writes the configuration: the relay, what stands behind it, and
// unless the test brings its own the sandbox.
func (l *layout) caddyfile(s *setup) string {
	store, notify, sandboxSite := l.store, "", ""
	if s.store != "" {
		store = s.store
	}
	if s.platform != "" {
		l.platform = s.platform
	} else {
		sandboxSite = l.platform + " {\n\twxrelay_sandbox\n}\n"
	}
	if s.receiver != "" {
		notify = "notify_url " + s.receiver + "/notify\n\t\t\tallow_origin " + s.receiver
	}
	return fmt.Sprintf(`{
	admin unix/%s
	persist_config off
	default_bind 127.0.0.1
	grace_period 10s
	%s
	wxrelay {
		public_url %s
		platform %s
		store badger {
			path %s
			ballast 1MiB
		}
		account shop
		merchant main %s
		%s
		client bookshop {
			id %s
			secret {env.SHOP_SECRET}
			notify_secret {env.SHOP_NOTIFY}
			rate 100000
			%s
			%s
		}
		%s
	}
}
%s {
	wxrelay
	header X-Behind yes
	respond "behind {http.request.method} {http.request.uri}"
	%s
}
%s`, l.admin, s.global, l.url, l.platform, store, s.merchant, s.app, shopID, notify, s.bookshop, s.clients, l.url, s.site, sandboxSite)
}

func (l *layout) write(t *testing.T, s *setup) {
	t.Helper()
	writeFile(t, l.config, l.caddyfile(s))
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// server is a running server with its relay, sandbox and a client.
type server struct {
	*layout
	*process
	shop *shop
	http *http.Client // for pages and the sandbox
}

// start starts a server.
func start(t *testing.T, s setup) *server {
	t.Helper()
	l := newLayout(t)
	l.write(t, &s)
	return l.start(t)
}

// start starts a server with what is written.
func (l *layout) start(t *testing.T) *server {
	t.Helper()
	env := environment()
	if l.zone != "" {
		env = append(env, "TZ="+l.zone)
	}
	p := run(t, l.home, l.config, env)
	client := &http.Client{
		Timeout:       patience,
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &server{layout: l, process: p, shop: newShop(l.url, shopID, shopSecret), http: client}
}

// pay lets the buyer pay and returns what the sandbox says of it.
func (s *server) pay(t *testing.T, request string) payJSON {
	t.Helper()
	a := post(t, s.http, s.platform+"/sandbox/pay", request)
	var p payJSON
	if err := json.Unmarshal(a.body, &p); err != nil || a.status != http.StatusOK {
		t.Fatalf("paying = %s, %v", a, err)
	}
	return p
}

// payJSON is the sandbox's answer to a buyer.
type payJSON struct {
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	OpenID        string `json:"openid"`
	NotifyID      string `json:"notification_id"`
}

// fault makes something go wrong in the sandbox.
func (s *server) fault(t *testing.T, request string) {
	t.Helper()
	if a := post(t, s.http, s.platform+"/sandbox/faults", request); a.status != http.StatusOK {
		t.Fatalf("ordering a fault = %s", a)
	}
}

// paid makes an order that is paid, and returns its event.
func (s *server) paid(t *testing.T, orderNo, more string) eventJSON {
	t.Helper()
	s.shop.order(t, orderNo, more)
	s.pay(t, `{"code_url":"`+s.shop.native(t, orderNo).CodeURL+`"}`)
	s.shop.awaitStatus(t, orderNo, "paid")
	own := eventsOf(s.shop.allEvents(t), orderNo)
	if len(own) != 1 || own[0].Type != "order.paid" {
		t.Fatalf("events of %s = %+v, want one order.paid", orderNo, own)
	}
	return own[0]
}

// health is the status of the health page and its text.
func (s *server) health(t *testing.T) *answer {
	t.Helper()
	return get(t, s.http, s.url+"/wechat/health", "health check")
}

// administer sends a request to the admin endpoint.
func (l *layout) administer(ctx context.Context, method, path, contentType, body string) (*answer, error) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", l.admin)
		},
	}}
	r, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	return send(client, r)
}

// reload gives the running server another configuration.
func (l *layout) reload(t *testing.T, caddyfile string) *answer {
	t.Helper()
	a, err := l.administer(t.Context(), http.MethodPost, "/load", "text/caddyfile", caddyfile)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// metric reads one line of the metrics, as far as its value.
func (l *layout) metric(t *testing.T, name string) string {
	t.Helper()
	a, err := l.administer(t.Context(), http.MethodGet, "/metrics", "", "")
	if err != nil || a.status != http.StatusOK {
		t.Fatalf("metrics = %v, %v", a, err)
	}
	for line := range strings.Lines(string(a.body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
