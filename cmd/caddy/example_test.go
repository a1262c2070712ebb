package main

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

// example is Caddyfile.example with what replace says, which comes in pairs.
// A pair whose first is not there fails the test.
func example(t *testing.T, replace ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	out := string(text)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(out, replace[i]) {
			t.Fatalf("Caddyfile.example has no %q", replace[i])
		}
		out = strings.ReplaceAll(out, replace[i], replace[i+1])
	}
	return out
}

// startExample starts the example on ports of its own.
func startExample(t *testing.T, env []string, replace ...string) *server {
	t.Helper()
	l := newLayout(t)
	l.url = strings.Replace(l.url, "127.0.0.1", "localhost", 1)
	l.platform = strings.Replace(l.platform, "127.0.0.1", "localhost", 1)
	text := example(t, append([]string{
		"http://localhost:8080", l.url, "http://localhost:8081", l.platform,
		"	grace_period 10s\n", "	grace_period 10s\n	persist_config off\n	admin unix/" + l.admin + "\n",
	}, replace...)...)
	writeFile(t, l.config, text)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &server{
		layout: l, process: run(t, l.home, l.config, env),
		http: &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Jar: jar},
	}
}

// submit sends a form as a page of the same site.
func (s *server) submit(t *testing.T, address string, form url.Values) *answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("User-Agent", desktopAgent)
	r.Header.Set("Accept-Language", "en")
	a, err := send(s.http, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestExample is the README's first command: a visitor buys at the demo shop,
// pays on the phone, and the shop is told; and told again after it was down.
func TestExample(t *testing.T) {
	t.Parallel()
	s := startExample(t, nil)
	orders := func() string {
		a := get(t, s.http, s.platform+"/shop/orders/live", desktopAgent, "Accept-Language", "en")
		if a.status != http.StatusOK {
			t.Fatalf("the shop's orders = %s", a)
		}
		return string(a.body)
	}
	home := get(t, s.http, s.platform+"/", desktopAgent, "Accept-Language", "en")
	if !strings.Contains(string(home.body), "A cup of Longjing") {
		t.Fatalf("the shop shows %s", home)
	}
	buy := func() {
		t.Helper()
		cashier := s.submit(t, s.platform+"/shop/buy", url.Values{"product": {"tea"}})
		checkPage(t, cashier, http.StatusOK)
		if !strings.Contains(string(cashier.body), "8.00") {
			t.Fatalf("the cashier shows %s", cashier)
		}
		number := regexp.MustCompile(`S[A-Z2-9]{9}`).FindString(orders())
		phone := get(t, s.http, s.platform+"/sandbox/live", desktopAgent, "Accept-Language", "en")
		pay := regexp.MustCompile(`name="(out_trade_no)" value="([^"]+)"`).FindStringSubmatch(string(phone.body))
		if number == "" || pay == nil {
			t.Fatalf("the shop has the order %q, the phone shows %s", number, phone)
		}
		if a := s.submit(t, s.platform+"/sandbox/pay", url.Values{"out_trade_no": {pay[2]}}); a.status != http.StatusOK {
			t.Fatalf("paying on the phone = %s", a)
		}
	}

	buy()
	eventually(t, "the shop to be told", func() error {
		if text := orders(); !strings.Contains(text, "verified") || !strings.Contains(text, ">paid") {
			return fmt.Errorf("it shows %s", text)
		}
		return nil
	})

	s.submit(t, s.platform+"/shop/switch", url.Values{"down": {"true"}})
	buy()
	eventually(t, "a shop that is down to be called", func() error {
		if text := orders(); !strings.Contains(text, "503") || !strings.Contains(text, "tries again at") {
			return fmt.Errorf("it shows %s", text)
		}
		return nil
	})
	if text := orders(); !strings.Contains(text, "unpaid") {
		t.Errorf("a shop that is down believes what it refused: %s", text)
	}
	s.submit(t, s.platform+"/shop/switch", url.Values{"down": {"false"}})
	// The schedule would come back in a minute; the shop asks for it now.
	shop := newShop(s.url, "1000000000000001", "0123456789abcdef0123456789ABCDEF")
	events := shop.allEvents(t)
	if len(events) != 2 {
		t.Fatalf("events = %+v, want two", events)
	}
	shop.call(t, "POST", "/v1/events/"+events[1].ID+"/deliver", "", http.StatusAccepted, nil)
	shop.awaitDelivery(t, events[1].ID, "delivered")
	if text := orders(); strings.Contains(text, "unpaid") {
		t.Errorf("the shop is back and shows %s", text)
	}
}
