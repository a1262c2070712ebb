package relay_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

func (b *bench) payer(openID string) relay.Payer {
	b.t.Helper()
	var p relay.Payer
	err := b.rt.Store().View(b.t.Context(), func(r relay.Reader) (err error) {
		p, err = r.Payer(openID)
		return err
	})
	if err != nil && !errors.Is(err, relay.ErrNotFound) {
		b.t.Fatal(err)
	}
	return p
}

// TestOpenIDPolicy_C10: which openids a client may name, by what the relay
// knows of them.
func TestOpenIDPolicy_C10(t *testing.T) {
	t.Parallel()
	const songs = "2000000000000002"
	for _, c := range []struct {
		name             string
		known            relay.Payer
		unborrowed, only bool // taken by default; with "issued"
	}{
		{"never seen", relay.Payer{}, true, false},
		{"seen before clients were noted", relay.Payer{AppID: testAppID}, true, false},
		{"the client's own", relay.Payer{AppID: testAppID, Clients: []string{vectorClient}}, true, true},
		{"the client's and another's", relay.Payer{AppID: testAppID, Clients: []string{vectorClient, songs}}, true, true},
		{"another's", relay.Payer{AppID: testAppID, Clients: []string{songs}}, false, false},
		{"of another app id", relay.Payer{AppID: websiteAppID, Clients: []string{vectorClient}}, false, false},
		{"of another app id, nobody's", relay.Payer{AppID: websiteAppID}, false, false},
	} {
		for policy, want := range map[relay.OpenIDPolicy]bool{"": c.unborrowed, relay.OpenIDUnborrowed: c.unborrowed, relay.OpenIDIssued: c.only} {
			b := newBench(t, memstore.New(), func(cfg *relay.Config) { cfg.Clients[0].OpenIDPolicy = policy })
			if c.known.AppID != "" {
				c.known.OpenID, c.known.SeenAt = "o-1", time.Unix(1795296000, 0)
				if err := b.rt.Store().Update(t.Context(), func(tx relay.Tx) error { return tx.PutPayer(&c.known) }); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := b.Payable(t.Context(), b.client, b.order("A000000001"), relay.TradeJSAPI, "o-1")
			known, refused := errors.AsType[*relay.Error](err)
			if (err == nil) != want || refused && (known.Kind != relay.KindParam || known.Field != "openid") {
				t.Errorf("%s under %q: %v, want taken %t", c.name, policy, err, want)
			}
		}
	}
}

// TestEveryLoginTeaches_C10: tickets, codes and cashier pages note whose the
// openid is.
func TestEveryLoginTeaches_C10(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	b.wechat.openID = "o-shared"
	b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c1", "ticket")
	if p := b.payer("o-shared"); p.AppID != testAppID || !slices.Equal(p.Clients, []string{vectorClient}) {
		t.Errorf("after a ticket: %+v", p)
	}
	req := loginFor(relay.LoginForCode)
	req.ClientID, req.RedirectURI = "2000000000000002", "https://songs.example.com/cb"
	if _, err := b.back(b.begin(req), "c2"); err != nil {
		t.Fatal(err)
	}
	if p := b.payer("o-shared"); !slices.Equal(p.Clients, []string{vectorClient, "2000000000000002"}) {
		t.Errorf("after a code for another site: %+v", p)
	}
	b.wechat.openID = "o-buyer"
	browser, state := b.silentLogin(b.token("A000000001"))
	if _, err := b.LoginCallback(t.Context(), relay.LoginCallback{Code: "c3", State: state, BrowserID: browser}); err != nil {
		t.Fatal(err)
	}
	if p := b.payer("o-buyer"); !slices.Equal(p.Clients, []string{vectorClient}) {
		t.Errorf("after a cashier page: %+v", p)
	}
}

// TestPayerOfTwoAppIDs_E18: an openid that by chance is one of another app id
// is not mixed with it.
func TestPayerOfTwoAppIDs_E18(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t, withWebsiteApp)
	b.wechat.openID = "o-1"
	b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c1", "ticket")
	req := loginFor(relay.LoginForTicket)
	req.ClientID, req.RedirectURI, req.Surroundings = "2000000000000002", "https://songs.example.com/cb", relay.SurroundDesktop
	if _, err := b.back(b.begin(req), "c2"); err != nil {
		t.Fatal(err)
	}
	if p := b.payer("o-1"); p.AppID != websiteAppID || !slices.Equal(p.Clients, []string{"2000000000000002"}) {
		t.Errorf("payer = %+v, want nothing of the first app id", p)
	}
}

// TestPayerClientsBounded: a person who logs in everywhere costs a bounded
// record, and the client at hand is in it.
func TestPayerClientsBounded(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	p := relay.Payer{OpenID: "o-user", AppID: testAppID, SeenAt: time.Now()}
	for i := range relay.MaxPayerClients {
		p.Clients = append(p.Clients, "0"+string(rune('A'+i/400))+string(rune('a'+i/20%20))+string(rune('a'+i%20)))
	}
	slices.Sort(p.Clients)
	if err := b.rt.Store().Update(t.Context(), func(tx relay.Tx) error { return tx.PutPayer(&p) }); err != nil {
		t.Fatal(err)
	}
	b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c1", "ticket")
	if got := b.payer("o-user").Clients; !slices.Contains(got, vectorClient) || len(got) > relay.MaxPayerClients {
		t.Errorf("%d clients are remembered, the last one: %t", len(got), slices.Contains(got, vectorClient))
	}
}
