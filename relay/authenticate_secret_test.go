package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// TestAuthenticateSecret_C01_C17_C19 sends secrets rightly and wrongly;
// whoever sends a wrong one learns nothing about who exists.
func TestAuthenticateSecret_C01_C17_C19(t *testing.T) {
	t.Parallel()
	const older = "older6789abcdef0123456789ABCDEFx"
	b := authBench(t, func(c *relay.Config) {
		c.Clients[0].Secrets = []relay.Secret{relay.NewSecret(vectorSecret), relay.NewSecret(older)}
	})
	for _, secret := range []string{vectorSecret, older} {
		caller, err := b.AuthenticateSecret(vectorClient, secret)
		if err != nil || caller.Client.Name != "books" {
			t.Fatalf("AuthenticateSecret = %+v, %v; want books", caller, err)
		}
	}
	var texts []string
	for name, given := range map[string][2]string{
		"unknown client":      {"3000000000000003", vectorSecret},
		"no client":           {"", vectorSecret},
		"no client, nothing":  {"", ""},
		"wrong secret":        {vectorClient, strings.Repeat("x", 32)},
		"empty secret":        {vectorClient, ""},
		"secret cut":          {vectorClient, vectorSecret[:31]},
		"secret with more":    {vectorClient, vectorSecret + "0"},
		"two secrets joined":  {vectorClient, vectorSecret + older},
		"secret of upper":     {vectorClient, strings.ToUpper(vectorSecret)},
		"id of another shape": {vectorClient + " ", vectorSecret},
	} {
		_, err := b.AuthenticateSecret(given[0], given[1])
		if kindOf(err) != relay.KindSign {
			t.Errorf("%s: %v, want KindSign", name, err)
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if text != texts[0] || strings.Contains(text, vectorClient) {
			t.Errorf("answers differ: %q and %q", text, texts[0])
		}
	}
}

// TestAuthenticateSecretRate_C20: who guesses takes nothing from the client's
// rate, and the client's own flood meets its limit.
func TestAuthenticateSecretRate_C20(t *testing.T) {
	t.Parallel()
	b := authBench(t, func(c *relay.Config) { c.Clients[0].Rate = 1 })
	for range 100 {
		if _, err := b.AuthenticateSecret(vectorClient, "wrong"); kindOf(err) != relay.KindSign {
			t.Fatalf("wrong: %v, want KindSign", err)
		}
	}
	for range 2 {
		if _, err := b.AuthenticateSecret(vectorClient, vectorSecret); err != nil {
			t.Fatalf("within the rate: %v", err)
		}
	}
	if _, err := b.AuthenticateSecret(vectorClient, vectorSecret); kindOf(err) != relay.KindRate {
		t.Errorf("above the rate: %v, want KindRate", err)
	}
	b.clock = b.clock.Add(time.Second)
	if _, err := b.AuthenticateSecret(vectorClient, vectorSecret); err != nil {
		t.Errorf("a second later: %v", err)
	}
}
