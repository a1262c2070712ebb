package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/internal/testport"
)

// TestPassesOn: what is not the relay's goes on as it came.
func TestPassesOn(t *testing.T) {
	t.Parallel()
	s := start(t, setup{})
	for _, target := range []string{
		"/", "/v1", "/v1/order", "/v1/orders/", "/v1/orders/A1/", "/v1/orders/A1/x", "/V1/orders", "//v1/orders", "/v1/orders%2FA1",
		"/checkout", "/checkout/", "/wechat", "/wechat/notify", "/wechat/notify/main/x", "/wechat/health/", "/sandbox", "/x?y=%2F&z",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPut} {
			r, err := http.NewRequestWithContext(t.Context(), method, s.url+target, strings.NewReader("body"))
			if err != nil {
				t.Fatal(err)
			}
			a, err := send(s.http, r)
			if err != nil || a.status != http.StatusOK || string(a.body) != "behind "+method+" "+target || a.header.Get("X-Behind") != "yes" {
				t.Errorf("%s %s = %v, %v", method, target, a, err)
			}
			if a.header.Get("Request-Id") != "" {
				t.Errorf("%s %s has headers of the relay: %v", method, target, a.header)
			}
		}
	}
	if a := s.health(t); a.status != http.StatusOK || !strings.Contains(string(a.body), `"ok"`) {
		t.Errorf("health = %s", a)
	}
	for method, target := range map[string]string{http.MethodPost: "/wechat/health", http.MethodPut: "/v1/orders", http.MethodGet: "/wechat/notify/main"} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := send(s.http, r); err != nil || a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
			t.Errorf("%s %s = %v, %v; want 405 and Allow", method, target, a, err)
		}
	}
	checkPage(t, get(t, s.http, s.url+"/checkout/"+strings.Repeat("x", 22), desktopAgent), http.StatusNotFound)
	if v := s.metric(t, `wxrelay_orders_created_total`); v != "0" {
		t.Errorf("orders made are counted as %q, want 0", v)
	}
	for i := range 3 {
		s.shop.order(t, fmt.Sprintf("M00000000%d", i), "")
	}
	if v := s.metric(t, `wxrelay_orders_created_total`); v != "3" {
		t.Errorf("orders made are counted as %q, want 3", v)
	}
}

// TestPathPrefix puts the relay below a path, behind a rewrite and in two
// sites: signatures cover the address as it was sent, and both sites are one
// relay.
func TestPathPrefix(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	origin, second := l.url, fmt.Sprintf("http://127.0.0.1:%d", testport.Free(t))
	plan := setup{}
	text := strings.NewReplacer(
		"public_url "+origin, "public_url "+origin+"/pay",
		origin+" {\n\twxrelay\n", origin+" {\n\trewrite /pay/* /index.php\n\twxrelay /pay/*\n",
	).Replace(l.caddyfile(&plan)) + second + " {\n\twxrelay\n}\n"
	writeFile(t, l.config, text)
	s := l.start(t)
	s.shop.url = origin + "/pay"
	direct := &prefixed{shop: s.shop, host: strings.TrimPrefix(origin, "http://"), prefix: "/pay"}

	a := direct.send(t, origin, "POST", "/v1/orders", `{"order_no":"P000000001","amount":100,"description":"tea"}`)
	if a.status != http.StatusCreated || !strings.Contains(string(a.body), origin+"/pay/checkout/") {
		t.Fatalf("order = %s", a)
	}
	if a := direct.send(t, second, "GET", "/v1/orders/P000000001", ""); a.status != http.StatusOK {
		t.Errorf("the order in the other site = %s", a)
	}
	a = direct.send(t, origin, "POST", "/v1/orders/P000000001/payments", `{"trade_type":"native"}`)
	_, code, _ := strings.Cut(string(a.body), `"code_url":"`)
	s.pay(t, `{"code_url":"`+strings.TrimRight(code, "\"}")+`"}`)
	eventually(t, "the payment", func() error {
		if a := direct.send(t, origin, "GET", "/v1/orders/P000000001", ""); !strings.Contains(string(a.body), `"status":"paid"`) {
			return fmt.Errorf("order = %s", a)
		}
		return nil
	})
	if a := get(t, s.http, origin+"/v1/orders", desktopAgent); string(a.body) != "behind GET /v1/orders" {
		t.Errorf("outside of the prefix: %s", a)
	}
}

// prefixed signs for a relay below a path.
type prefixed struct {
	*shop
	host, prefix string
}

func (p *prefixed) send(t *testing.T, site, method, target, body string) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, site+p.prefix+target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", signHeader(p.secret, p.id, method, p.host, p.prefix+target, nowText(), freshNonce(), body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	a, err := send(p.http, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}
