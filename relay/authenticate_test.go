package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

// signed builds a request as a client would, at the time of contract 3.5.
func signed(clientID, secret, method, target, body string) relay.SignedRequest {
	const at, nonce = "1795296000", "n0nce-0000000001"
	text := relay.StringToSign("WXRELAY1-HMAC-SHA256", clientID, method, "pay.example.com", target, at, nonce, []byte(body))
	return relay.SignedRequest{
		Method: method, Target: target, Body: []byte(body),
		Authorization: []string{`WXRELAY1-HMAC-SHA256 client_id="` + clientID + `",timestamp="` + at + `",nonce="` + nonce +
			`",signature="` + relay.SignHMAC(relay.NewSecret(secret), text) + `"`},
	}
}

func authBench(t *testing.T, change ...func(*relay.Config)) *bench {
	t.Helper()
	b := newBench(t, memstore.New(), change...)
	b.clock = time.Unix(1795296000, 0)
	return b
}

// TestAuthenticate_C01_C03_C17 signs rightly and wrongly; whoever signs
// wrongly learns nothing about who exists.
func TestAuthenticate_C01_C03_C17(t *testing.T) {
	t.Parallel()
	b := authBench(t)
	caller, err := b.Authenticate(signed(vectorClient, vectorSecret, "POST", "/v1/orders?a=%2F", "{}"))
	if err != nil || caller.Client.Name != "books" {
		t.Fatalf("Authenticate = %+v, %v; want books", caller, err)
	}
	var texts []string
	for name, req := range map[string]relay.SignedRequest{
		"unknown client": signed("3000000000000003", vectorSecret, "GET", "/v1/events", ""),
		"wrong secret":   signed(vectorClient, strings.Repeat("x", 32), "GET", "/v1/events", ""),
		"empty secret":   signed("3000000000000003", "", "GET", "/v1/events", ""),
	} {
		_, err := b.Authenticate(req)
		if kindOf(err) != relay.KindSign {
			t.Errorf("%s: %v, want KindSign", name, err)
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if text != texts[0] {
			t.Errorf("answers differ: %q and %q", text, texts[0])
		}
	}
	for name, change := range map[string]func(*relay.SignedRequest){
		"method":       func(r *relay.SignedRequest) { r.Method = "PUT" },
		"path case":    func(r *relay.SignedRequest) { r.Target = "/V1/orders?a=%2F" },
		"decoded path": func(r *relay.SignedRequest) { r.Target = "/v1/orders?a=/" },
		"body":         func(r *relay.SignedRequest) { r.Body = []byte("{} ") },
		"no body":      func(r *relay.SignedRequest) { r.Body = nil },
	} {
		req := signed(vectorClient, vectorSecret, "POST", "/v1/orders?a=%2F", "{}")
		change(&req)
		if _, err := b.Authenticate(req); kindOf(err) != relay.KindSign {
			t.Errorf("changed %s: %v, want KindSign", name, err)
		}
	}
}

// TestRefusalsTellNothing_H05: what a wrong signature is answered with holds
// neither the right one nor the text that it signs.
func TestRefusalsTellNothing_H05(t *testing.T) {
	t.Parallel()
	b := authBench(t)
	right := signed(vectorClient, vectorSecret, "POST", "/v1/orders", `{"order_no":"A000000001"}`)
	wrong := signed(vectorClient, strings.Repeat("x", 32), "POST", "/v1/orders", `{"order_no":"A000000001"}`)
	_, signature, _ := strings.Cut(right.Authorization[0], `signature="`)
	_, err := b.Authenticate(wrong)
	if kindOf(err) != relay.KindSign {
		t.Fatalf("Authenticate = %v, want KindSign", err)
	}
	for _, secret := range []string{strings.TrimSuffix(signature, `"`), vectorSecret, "n0nce-0000000001", "pay.example.com", "A000000001", "/v1/orders"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q tells %q", err, secret)
		}
	}
}

// TestAuthenticateOrder: form before time before signature before rate.
func TestAuthenticateOrder(t *testing.T) {
	t.Parallel()
	b := authBench(t, func(c *relay.Config) { c.Clients[0].Rate = 1 })
	b.clock = b.clock.Add(time.Hour)
	broken := signed(vectorClient, "wrong", "GET", "/v1/events", "")
	broken.Authorization[0] += ","
	if _, err := b.Authenticate(broken); kindOf(err) != relay.KindParam {
		t.Errorf("malformed, late and wrong: %v, want KindParam", err)
	}
	if _, err := b.Authenticate(signed(vectorClient, "wrong", "GET", "/v1/events", "")); kindOf(err) != relay.KindTimestamp {
		t.Errorf("late and wrong: %v, want KindTimestamp", err)
	}
	b.clock = b.clock.Add(-time.Hour)
	for range 100 { // wrong signatures take nothing from the client's rate
		if _, err := b.Authenticate(signed(vectorClient, "wrong", "GET", "/v1/events", "")); kindOf(err) != relay.KindSign {
			t.Fatalf("wrong: %v, want KindSign", err)
		}
	}
	if _, err := b.Authenticate(signed(vectorClient, vectorSecret, "GET", "/v1/events", "")); err != nil {
		t.Errorf("after a hundred forged requests: %v, want accepted", err)
	}
}

// TestRate_C20_J01: a client's flood meets its own limit and nobody else's.
func TestRate_C20_J01(t *testing.T) {
	t.Parallel()
	b := authBench(t, func(c *relay.Config) { c.Clients[0].Rate = 5 })
	good := signed(vectorClient, vectorSecret, "GET", "/v1/events", "")
	for i := range 10 {
		if _, err := b.Authenticate(good); err != nil {
			t.Fatalf("request %d of the burst: %v", i, err)
		}
	}
	if _, err := b.Authenticate(good); kindOf(err) != relay.KindRate {
		t.Errorf("beyond the burst: %v, want KindRate", err)
	}
	if _, err := b.Authenticate(signed("2000000000000002", vectorSecret, "GET", "/v1/events", "")); err != nil {
		t.Errorf("another client: %v, want accepted", err)
	}
	b.clock = b.clock.Add(time.Second)
	if _, err := b.Authenticate(good); err != nil {
		t.Errorf("a second later: %v, want accepted", err)
	}
}
