package relay_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	booksOrigin = "https://books.example.com"
	booksPage   = booksOrigin + "/cart?id=1&name=%E4%B9%A6"
)

// newPageBench is a bench whose WeChat lends "ticket of" each app id.
func newPageBench(t *testing.T, change ...func(*relay.Config)) *bench {
	t.Helper()
	return newPageBenchAt(t, `{"errcode":0,"errmsg":"ok","ticket":"ticket-of-%s","expires_in":7200}`, change...)
}

// newPageBenchAt is one whose WeChat answers who asks for a ticket so.
func newPageBenchAt(t *testing.T, ticket string, change ...func(*relay.Config)) *bench {
	t.Helper()
	wechat := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cgi-bin/stable_token":
			body := make([]byte, 4<<10)
			n, _ := r.Body.Read(body)
			_, appID, _ := strings.Cut(string(body[:n]), `"appid":"`)
			fmt.Fprintf(w, `{"access_token":"%.18s","expires_in":7200}`, appID)
		case "/cgi-bin/ticket/getticket":
			_, _ = io.WriteString(w, strings.ReplaceAll(ticket, "%s", r.URL.Query().Get("access_token")))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(wechat.Close)
	b := newBench(t, memstore.New(), append([]func(*relay.Config){func(cfg *relay.Config) {
		cfg.Platform.BaseAPI = wechat.URL
	}}, change...)...)
	b.clock = time.Unix(1795296000, 0)
	return b
}

// wantSigned checks a signature as WeChat's client does.
func wantSigned(t *testing.T, got relay.PageSignature, appID, page string) {
	t.Helper()
	text := "jsapi_ticket=ticket-of-" + appID + "&noncestr=" + got.NonceStr + "&timestamp=" + strconv.FormatInt(got.Timestamp, 10) + "&url=" + page
	sum := sha1.Sum([]byte(text))
	if got.AppID != appID || got.URL != page || got.Timestamp != 1795296000 || len(got.NonceStr) < 16 || got.Signature != hex.EncodeToString(sum[:]) {
		t.Errorf("got %+v, want the signature of %s for %s", got, page, appID)
	}
}

func TestSignPage(t *testing.T) {
	t.Parallel()
	b := newPageBench(t)
	for given, signed := range map[string]string{
		booksPage:                    booksPage,
		booksPage + "#/route?x=y":    booksPage,
		booksOrigin:                  booksOrigin,
		booksOrigin + ":443/a":       booksOrigin + ":443/a",
		booksOrigin + "?u=https://e": booksOrigin + "?u=https://e",
	} {
		got, err := b.SignPage(t.Context(), b.caller(b.client), given)
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		wantSigned(t, got, testAppID, signed)
		got, err = b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: given, Origin: booksOrigin})
		if err != nil {
			t.Fatalf("%s: %v", given, err)
		}
		wantSigned(t, got, testAppID, signed)
	}
}

// TestNeverSignsOtherOrigins_D01_D02_D03_D04_D05_D07_D08_D10_D11: the account
// vouches for no page but the client's own, whatever the address looks like;
// otherwise a phishing page on a registered domain could have itself signed.
func TestNeverSignsOtherOrigins_D01_D02_D03_D04_D05_D07_D08_D10_D11(t *testing.T) {
	t.Parallel()
	b := newPageBench(t, func(cfg *relay.Config) {
		cfg.Clients[0].AllowOrigins = []string{"https://good.example", "http://127.0.0.1:1"}
		cfg.Clients[0].Rate, cfg.Clients[1].Rate = 10_000, 10_000
	})
	for _, address := range []string{
		"https://good.example.evil.example/cb", "https://evilgood.example/", "https://www.good.example/", "https://good.example:8443/",
		"https://good.example@evil.example/cb", "https://good.example:443@evil.example/", "https://evil.example@good.example/",
		`https://evil.example\@good.example/cb`, `/\evil.example`, "//evil.example", "///evil.example", "https:/evil.example", "https:evil.example", "https:/good.example",
		"https://gооd.example/cb", "https://xn--gd-jbaa.example/cb", "https://good.example。evil.example/cb", "https://good．example/cb", "https://good.example./",
		"https://evil.example#@good.example/cb", "https://evil.example/#https://good.example", "https://evil.example?https://good.example/",
		"javascript:alert(1)//good.example", "javascript://good.example/%0aalert(1)", "data:text/html,x", "JaVaScRiPt:1", "ht\ttps://good.example/", "http://good.example/", "weixin://good.example/",
		"https://good.example\r\nX: y/", "https://good.example%0d%0a.evil.example/", "https://good.example/\r\nSet-Cookie:a=b", "https://good.example/\x00",
		"https%3A%2F%2Fgood.example%2Fcb", "https://good%2eexample/", "https://good.example%2f.evil.example/", "https://good.example%00.evil.example/",
		"http://127.0.0.1:1@evil.example/cb", "http://127.0.0.1/", "http://127.0.0.1:2/", "http://localhost:1/", "http://127.1:1/",
		"", "#", "null", "*", "https://*/", "https://", "https://good.example/" + strings.Repeat("a", 2048),
		booksPage, // of another client
	} {
		for name, ask := range map[string]func() (relay.PageSignature, error){
			"server": func() (relay.PageSignature, error) {
				return b.SignPage(t.Context(), b.caller(b.client), address)
			},
			"page": func() (relay.PageSignature, error) {
				return b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: address, Origin: "https://good.example"})
			},
		} {
			got, err := ask()
			kind := kindOf(err)
			if kind != relay.KindNoAuth && kind != relay.KindParam || got != (relay.PageSignature{}) {
				t.Errorf("%s: %q: got %+v, %v", name, address, got, err)
			}
		}
	}
}

// TestOnlyPagesOfAllowedOriginsAsk: an origin that no client has gets nothing,
// not even for a page that a client has.
func TestOnlyPagesOfAllowedOriginsAsk(t *testing.T) {
	t.Parallel()
	b := newPageBench(t)
	for _, origin := range []string{
		"", "null", "*", "https://evil.example", "https://books.example.com.evil.example", "http://books.example.com", "https://books.example.com:443",
		"https://books.example.com/", "HTTPS://BOOKS.EXAMPLE.COM", " https://books.example.com", "https://pay.example.com",
	} {
		for _, address := range []string{booksPage, origin + "/"} {
			if _, err := b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: address, Origin: origin}); kindOf(err) != relay.KindNoAuth {
				t.Errorf("%s for a page of %q: %v", address, origin, err)
			}
		}
		if b.AllowsOrigin(origin) {
			t.Errorf("%q is allowed", origin)
		}
	}
	if !b.AllowsOrigin(booksOrigin) {
		t.Error("the client's own is not allowed")
	}
	if _, err := b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: booksPage, Origin: booksOrigin, ClientID: "2000000000000002"}); kindOf(err) != relay.KindNoAuth {
		t.Errorf("another client's page: %v", err)
	}
}

// TestPagesOfSeveralClients: the page says whose it is where that decides
// about the account.
func TestPagesOfSeveralClients(t *testing.T) {
	t.Parallel()
	const newsAppID = "wx0000000000000001"
	b := newPageBench(t, func(cfg *relay.Config) {
		cfg.Accounts = append(cfg.Accounts, &relay.Account{Name: "news", Kind: relay.AccountOfficial, AppID: newsAppID, Secret: relay.NewSecret(strings.Repeat("b", 32))})
		cfg.Clients[1].AllowOrigins = []string{booksOrigin}
		cfg.Clients[1].Account = "news"
		cfg.Merchants[0].Accounts = []string{"shop", "news"}
		third := *cfg.Clients[0]
		third.Name, third.ID, third.AllowOrigins = "third", "3000000000000003", []string{"https://third.example.com"}
		fourth := third
		fourth.Name, fourth.ID = "fourth", "4000000000000004"
		cfg.Clients = append(cfg.Clients, &third, &fourth)
	})
	ask := func(origin, clientID string) (relay.PageSignature, error) {
		return b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: origin + "/", Origin: origin, ClientID: clientID})
	}
	if _, err := ask(booksOrigin, ""); kindOf(err) != relay.KindParam {
		t.Errorf("nobody named: %v", err)
	}
	for clientID, appID := range map[string]string{vectorClient: testAppID, "2000000000000002": newsAppID} {
		got, err := ask(booksOrigin, clientID)
		if err != nil {
			t.Fatal(err)
		}
		wantSigned(t, got, appID, booksOrigin+"/")
	}
	got, err := ask("https://third.example.com", "")
	if err != nil {
		t.Fatalf("one account for both: %v", err)
	}
	wantSigned(t, got, testAppID, "https://third.example.com/")
}

// TestPagesHaveTheirOwnRate_C20: visitors cannot use up what the client's
// server may send, and the other way round.
func TestPagesHaveTheirOwnRate_C20(t *testing.T) {
	t.Parallel()
	b := newPageBench(t, func(cfg *relay.Config) { cfg.Clients[0].Rate = 2 })
	limited := 0
	for range 10 {
		_, err := b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: booksPage, Origin: booksOrigin})
		if kindOf(err) == relay.KindRate {
			limited++
		}
	}
	if limited != 6 { // the clock stands still
		t.Errorf("%d of 10 limited, want 6", limited)
	}
	if _, err := b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: "https://songs.example.com/", Origin: "https://songs.example.com"}); err != nil {
		t.Errorf("another client's page: %v", err)
	}
}

// TestNoTicketNoSignature: while WeChat lends no ticket, pages are told when to
// come again or that the operator must act, and never WeChat's words.
func TestNoTicketNoSignature(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer string
		want   relay.Kind
	}{
		"quota":       {`{"errcode":45009,"errmsg":"reach max api daily quota limit MARKED"}`, relay.KindUnavailable},
		"not allowed": {`{"errcode":48001,"errmsg":"api unauthorized MARKED"}`, relay.KindUpstream},
	} {
		b := newPageBenchAt(t, tt.answer)
		for range 2 {
			got, err := b.SignOwnPage(t.Context(), relay.OwnPageRequest{URL: booksPage, Origin: booksOrigin})
			var e *relay.Error
			if !asError(err, &e) || e.Kind != tt.want || strings.Contains(e.Message, "MARKED") || got != (relay.PageSignature{}) {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
	}
}
