package relay_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	backURL      = "https://books.example.com/wx/callback"
	websiteAppID = "wx5555555555555555"
)

// newLoginBench is a bench whose first client has return addresses.
func newLoginBench(t *testing.T, change ...func(*relay.Config)) *bench {
	t.Helper()
	return newLoginBenchOn(t, memstore.New(), change...)
}

func newLoginBenchOn(t *testing.T, store relay.Store, change ...func(*relay.Config)) *bench {
	t.Helper()
	b := newBench(t, store, append([]func(*relay.Config){func(c *relay.Config) {
		c.Clients[0].RedirectURIs = []string{backURL, "https://books.example.com/登录?来=%E5%8D%97&u=https%253A%252F%252Fx.example%252F"}
		c.Clients[1].RedirectURIs = []string{"https://songs.example.com/cb"}
	}}, change...)...)
	b.wechat.openID = "o-user"
	return b
}

func withWebsiteApp(c *relay.Config) {
	c.Accounts = append(c.Accounts, &relay.Account{
		Name: "web", Kind: relay.AccountWebsiteApp, AppID: websiteAppID, Secret: relay.NewSecret(strings.Repeat("w", 32)),
	})
}

func loginFor(purpose relay.LoginPurpose) relay.LoginRequest {
	return relay.LoginRequest{
		Purpose: purpose, ClientID: vectorClient, RedirectURI: backURL, State: "s1", HasState: true, Surroundings: relay.SurroundWeChat,
	}
}

// trip is a login that waits for WeChat's word.
type trip struct{ browser, state, scope string }

func (b *bench) begin(req relay.LoginRequest) trip {
	b.t.Helper()
	start, err := b.BeginLogin(b.t.Context(), req)
	if err != nil {
		b.t.Fatalf("BeginLogin: %v", err)
	}
	to, err := url.Parse(start.Redirect)
	if err != nil || to.Host != "open.example" {
		b.t.Fatalf("BeginLogin leads to %q, want WeChat", start.Redirect)
	}
	browser := start.BrowserID
	if browser == "" {
		browser = req.BrowserID
	}
	return trip{browser, to.Query().Get("state"), to.Query().Get("scope")}
}

func (b *bench) back(tr trip, code string) (string, error) {
	return b.LoginCallback(b.t.Context(), relay.LoginCallback{Code: code, State: tr.state, BrowserID: tr.browser})
}

// arrives is back for a return that has to succeed; it gives the value of one
// parameter.
func (b *bench) arrives(tr trip, code, param string) string {
	b.t.Helper()
	to, err := b.back(tr, code)
	if err != nil {
		b.t.Fatalf("LoginCallback: %v", err)
	}
	u, err := url.Parse(to)
	if err != nil || !strings.HasPrefix(to, backURL+"?") || u.Query().Get("state") != "s1" || u.Query().Get(param) == "" {
		b.t.Fatalf("LoginCallback leads to %q, want the site with %s and state", to, param)
	}
	return u.Query().Get(param)
}

func (b *bench) redeem(c *relay.Client, ticket string) (relay.TicketView, error) {
	return b.RedeemTicket(b.t.Context(), b.caller(c), ticket)
}

func TestTicketLogin(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	b.wechat.users = map[string]relay.LoginUser{"c1": {OpenID: "o-1", UnionID: "u-1", Scope: "snsapi_userinfo", Nickname: "小明", AvatarURL: "https://x.example/0"}}
	req := loginFor(relay.LoginForTicket)
	req.Scope = "snsapi_userinfo"
	tr := b.begin(req)
	if tr.scope != "snsapi_userinfo" {
		t.Errorf("WeChat is asked for %q", tr.scope)
	}
	got, err := b.redeem(b.client, b.arrives(tr, "c1", "ticket"))
	want := relay.TicketView{OpenID: "o-1", UnionID: "u-1", AppID: testAppID, Scope: "snsapi_userinfo", Nickname: "小明", AvatarURL: "https://x.example/0"}
	if err != nil || got != want {
		t.Errorf("ticket = %+v, %v; want %+v", got, err, want)
	}
}

// TestTicketOnce_E12: once, for its owner, for a minute; and every other way
// is answered alike.
func TestTicketOnce_E12(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLoginBench(t)
		ticket := b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c1", "ticket")
		code := b.arrives(b.begin(loginFor(relay.LoginForCode)), "c2", "code")
		other := b.ClientByID("2000000000000002")
		_, foreign := b.redeem(other, ticket)
		_, wrongKind := b.redeem(b.client, code)
		_, unknown := b.redeem(b.client, strings.Repeat("0", 32))
		_, odd := b.redeem(b.client, "../x")
		if _, err := b.redeem(b.client, ticket); err != nil {
			t.Fatalf("the owner's redemption: %v", err)
		}
		_, twice := b.redeem(b.client, ticket)
		late := b.arrives(b.begin(loginFor(relay.LoginForTicket)), "c3", "ticket")
		<-time.After(time.Minute)
		_, over := b.redeem(b.client, late)
		for name, err := range map[string]error{"foreign": foreign, "wrong kind": wrongKind, "unknown": unknown, "odd": odd, "twice": twice, "over": over} {
			if kindOf(err) != relay.KindNotFound || err.Error() != unknown.Error() {
				t.Errorf("%s: %v, want the same KindNotFound for all", name, err)
			}
		}
	})
}

// TestLoginTargets_D: nothing but a registered address, letter by letter, is
// ever led to, and an unknown site is answered as an unknown address.
func TestLoginTargets_D01_D02_D03_D04_D05_D07_D08_D09_D10_D11(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	_, unknown := b.BeginLogin(t.Context(), relay.LoginRequest{Purpose: relay.LoginForTicket, ClientID: "9999999999999999", RedirectURI: backURL, State: "s1"})
	for _, target := range badTargets(backURL) {
		for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
			req := loginFor(purpose)
			req.RedirectURI = target
			start, err := b.BeginLogin(t.Context(), req)
			if kindOf(err) != relay.KindNoAuth || start != (relay.LoginStart{}) || err.Error() != unknown.Error() {
				t.Errorf("%q: %+v, %v; want the refusal of an unknown site", target, start, err)
			}
		}
	}
}

// badTargets are the inputs of threats section D for a registered address.
func badTargets(good string) []string {
	host := strings.TrimPrefix(good, "https://")
	return []string{
		"", "https://books.example.com.evil.example/wx/callback", good + "x", good + "/../../evil", good + "/", good + "?", good + "?a=1",
		"https://books.example.com@evil.example/wx/callback", "https://books.example.com:443@evil.example/",
		`https://evil.example\@` + host, `/\evil.example`, "//evil.example", "///evil.example", "https:/evil.example", "https:evil.example",
		"https://bооks.example.com/wx/callback", "https://books.example.com。evil.example/wx/callback", "https://books．example.com/wx/callback",
		good + "#x", "https://evil.example#@" + host, "https://*.example.com/wx/callback",
		"javascript:alert(1)//" + host, "data:text/html,x", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "http://" + host, "weixin://" + host, "HTTPS://" + host,
		good + "%0d%0aSet-Cookie:a=b", good + "\r\nSet-Cookie:a=b", good + "?code=x", good + "&code=mine", good + "?ticket=x",
		url.QueryEscape(good), "https://BOOKS.example.com/wx/callback", "https://books.example.com:443/wx/callback", " " + good, good + " ", good + "\x00",
		"http://127.0.0.1:1@evil.example/cb", "http://localhost:80@evil.example", "https://songs.example.com/cb",
	}
}

// TestAddressSurvives: what stands in a registered address stays as it is, and
// characters outside ASCII are escaped byte by byte.
func TestAddressSurvives(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	req := loginFor(relay.LoginForTicket)
	req.RedirectURI = "https://books.example.com/登录?来=%E5%8D%97&u=https%253A%252F%252Fx.example%252F"
	to, err := b.back(b.begin(req), "c1")
	want := "https://books.example.com/%E7%99%BB%E5%BD%95?%E6%9D%A5=%E5%8D%97&u=https%253A%252F%252Fx.example%252F&ticket="
	if err != nil || !strings.HasPrefix(to, want) || !strings.HasSuffix(to, "&state=s1") {
		t.Errorf("LoginCallback = %q, %v; want %q…", to, err, want)
	}
}

// TestClientState_E25: a state never reaches WeChat and comes back byte by
// byte.
func TestClientState_E25(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	for _, state := range []string{
		"x", "a&b=c", "a\r\nb", "测试 🙂", "YWJj==", "%41%2541", "\x00\xff", "+ +", "#f", strings.Repeat("é", 1024),
	} {
		req := loginFor(relay.LoginForTicket)
		req.State = state
		start, err := b.BeginLogin(t.Context(), req)
		if err != nil || strings.Contains(start.Redirect, url.QueryEscape(state)) && len(state) > 1 {
			t.Fatalf("BeginLogin with state %q = %q, %v", state, start.Redirect, err)
		}
		sent, _ := url.Parse(start.Redirect)
		to, err := b.back(trip{browser: start.BrowserID, state: sent.Query().Get("state")}, "c1")
		if err != nil {
			t.Fatal(err)
		}
		_, raw, _ := strings.Cut(to, "&state=")
		if got, err := url.QueryUnescape(raw); err != nil || got != state {
			t.Errorf("state %q came back as %q", state, raw)
		}
		if got, err := url.PathUnescape(raw); err != nil || got != state {
			t.Errorf("state %q reads %q without the rule of forms", state, got)
		}
	}
	for name, c := range map[string]struct {
		purpose relay.LoginPurpose
		state   string
		want    relay.Kind
	}{
		"too long":          {relay.LoginForTicket, strings.Repeat("x", 2049), relay.KindParam},
		"too long, code":    {relay.LoginForCode, strings.Repeat("x", 2049), relay.KindParam},
		"none":              {relay.LoginForTicket, "", relay.KindParam},
		"none, as WeChat's": {relay.LoginForCode, "", 0},
	} {
		req := loginFor(c.purpose)
		req.State, req.HasState = c.state, c.state != ""
		if _, err := b.BeginLogin(t.Context(), req); kindOf(err) != c.want {
			t.Errorf("%s: %v, want kind %d", name, err, c.want)
		}
	}
}

// TestLoginDoors: by surroundings, or as the request says.
func TestLoginDoors(t *testing.T) {
	t.Parallel()
	both := newLoginBench(t, withWebsiteApp)
	alone := newLoginBench(t)
	none := newLoginBench(t, func(c *relay.Config) { c.Accounts[0].Kind = relay.AccountMiniProgram })
	for _, c := range []struct {
		name    string
		b       *bench
		where   relay.Surroundings
		scope   string
		account string
		want    string // scope at WeChat, "page", or OAuth's word
	}{
		{"WeChat", both, relay.SurroundWeChat, "", "", "snsapi_base"},
		{"WeChat, asking", both, relay.SurroundWeChat, "snsapi_userinfo", "", "snsapi_userinfo"},
		{"mini-program", both, relay.SurroundMiniProgram, "snsapi_base", "", "snsapi_base"},
		{"desktop", both, relay.SurroundDesktop, "", "", "snsapi_login"},
		{"desktop, asking", both, relay.SurroundDesktop, "snsapi_userinfo", "", "snsapi_login"},
		{"desktop, by name", both, relay.SurroundDesktop, "", "shop", "page"},
		{"desktop without a website app", alone, relay.SurroundDesktop, "", "", "page"},
		{"phone", both, relay.SurroundPhone, "", "", "page"},
		{"phone, by scope", both, relay.SurroundPhone, "snsapi_login", "", "snsapi_login"},
		{"WeChat, website by name", both, relay.SurroundWeChat, "", "web", "snsapi_login"},
		{"scope unknown", both, relay.SurroundWeChat, "snsapi_all", "", "invalid_scope"},
		{"scopes joined", both, relay.SurroundWeChat, "snsapi_base snsapi_userinfo", "", "invalid_scope"},
		{"account unknown", both, relay.SurroundWeChat, "", "nobody", "unauthorized_client"},
		{"scope of no account", alone, relay.SurroundDesktop, "snsapi_login", "", "unauthorized_client"},
		{"no account at all", none, relay.SurroundWeChat, "", "", "unauthorized_client"},
	} {
		req := loginFor(relay.LoginForTicket)
		req.Surroundings, req.Scope, req.Account = c.where, c.scope, c.account
		start, err := c.b.BeginLogin(t.Context(), req)
		to, _ := url.Parse(start.Redirect)
		got := to.Query().Get("scope") + to.Query().Get("error")
		if start.Redirect == "" && start.Page.Host == "books.example.com" && start.Page.Site == "books" {
			got = "page"
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q to %q, %v; want %q", c.name, got, start.Redirect, err, c.want)
		}
		if e := to.Query().Get("error"); e != "" && start.Redirect != backURL+"?error="+e+"&state=s1" {
			t.Errorf("%s: the site is told by %q", c.name, start.Redirect)
		}
	}
}

// TestCodeDoors: the page that a site names decides whose login it is, lest it
// take the openid of one account for that of another (threats E18).
func TestCodeDoors_E18(t *testing.T) {
	t.Parallel()
	both := newLoginBench(t, withWebsiteApp)
	alone := newLoginBench(t)
	website := newLoginBench(t, withWebsiteApp, func(c *relay.Config) { c.Accounts[0].Kind = relay.AccountMiniProgram })
	for _, c := range []struct {
		name  string
		b     *bench
		where relay.Surroundings
		scope string
		want  string // scope at WeChat, "page", or "refused"
	}{
		{"authorize in WeChat", both, relay.SurroundWeChat, "snsapi_base", "snsapi_base"},
		{"authorize in WeChat, asking", both, relay.SurroundWeChat, "snsapi_userinfo", "snsapi_userinfo"},
		{"authorize on a desktop", both, relay.SurroundDesktop, "snsapi_userinfo", "page"},
		{"authorize on a phone", both, relay.SurroundPhone, "snsapi_base", "page"},
		{"authorize without a scope", both, relay.SurroundWeChat, "", "snsapi_base"},
		{"authorize without an official account", website, relay.SurroundWeChat, "snsapi_base", "refused"},
		{"qrconnect on a desktop", both, relay.SurroundDesktop, "snsapi_login", "snsapi_login"},
		{"qrconnect in WeChat", both, relay.SurroundWeChat, "snsapi_login", "snsapi_login"},
		{"qrconnect without a website app", alone, relay.SurroundDesktop, "snsapi_login", "refused"},
		{"scope unknown", both, relay.SurroundWeChat, "snsapi_all", "refused"},
	} {
		req := loginFor(relay.LoginForCode)
		req.Surroundings, req.Scope = c.where, c.scope
		start, err := c.b.BeginLogin(t.Context(), req)
		to, _ := url.Parse(start.Redirect)
		got := to.Query().Get("scope")
		switch {
		case err != nil:
			got = "refused"
		case start.Redirect == "" && start.Page.Host == "books.example.com":
			got = "page"
		}
		if got != c.want {
			t.Errorf("%s: %q to %q, %v; want %q", c.name, got, start.Redirect, err, c.want)
		}
	}
}

// TestLoginElsewhere_E01_E02: only the browser that began a login ends it, and
// nobody's code is spent on the way.
func TestLoginElsewhere_E01_E02(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	attacker, victim := b.begin(loginFor(relay.LoginForTicket)), b.begin(loginFor(relay.LoginForTicket))
	for name, tr := range map[string]trip{
		"the attacker's link in the victim's browser": {browser: victim.browser, state: attacker.state},
		"in a browser without a cookie":               {state: attacker.state},
		"an invented state":                           {browser: victim.browser, state: strings.Repeat("0", 32)},
	} {
		if to, err := b.back(tr, "c1"); kindOf(err) != relay.KindSign || to != "" {
			t.Errorf("%s: %q, %v; want KindSign", name, to, err)
		}
	}
	if n := b.wechat.count("exchange"); n != 0 {
		t.Errorf("%d codes were exchanged, want none", n)
	}
}

// TestTwoTabs_E03: two logins of one browser do not meet.
func TestTwoTabs_E03(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	first := b.begin(loginFor(relay.LoginForTicket))
	req := loginFor(relay.LoginForTicket)
	req.State, req.BrowserID = "s2", first.browser
	second := b.begin(req)
	if to, err := b.back(second, "c2"); err != nil || !strings.HasSuffix(to, "&state=s2") {
		t.Errorf("the second tab: %q, %v", to, err)
	}
	b.arrives(first, "c1", "ticket")
}

// TestLoadedTwice_E19: the same answer while it is unspent, a new one after;
// never two that work.
func TestLoadedTwice_E19(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLoginBench(t)
		tr := b.begin(loginFor(relay.LoginForTicket))
		first := b.arrives(tr, "c1", "ticket")
		if again := b.arrives(tr, "c1", "ticket"); again != first {
			t.Errorf("the unspent ticket %q became %q", first, again)
		}
		if _, err := b.redeem(b.client, first); err != nil {
			t.Fatal(err)
		}
		second := b.arrives(tr, "c1", "ticket")
		<-time.After(time.Minute)
		third := b.arrives(tr, "c1", "ticket")
		if second == first || third == second {
			t.Errorf("tickets %q, %q, %q; want a new one after each that is over", first, second, third)
		}
		if _, err := b.redeem(b.client, second); kindOf(err) != relay.KindNotFound {
			t.Errorf("the ticket before the last: %v, want KindNotFound", err)
		}
		if n := b.wechat.count("exchange"); n != 1 {
			t.Errorf("WeChat was asked %d times, want once", n)
		}
		<-time.After(relay.FlowLife)
		if _, err := b.back(tr, "c1"); kindOf(err) != relay.KindSign {
			t.Errorf("after the flow's life: %v, want KindSign", err)
		}
	})
}

// TestAnotherUser: who goes back and lets somebody else agree gets that
// person's ticket, and the first one's is worth nothing any more.
func TestAnotherUser(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	b.wechat.users = map[string]relay.LoginUser{"c1": {OpenID: "o-1"}, "c2": {OpenID: "o-1"}, "c3": {OpenID: "o-3"}}
	tr := b.begin(loginFor(relay.LoginForTicket))
	first := b.arrives(tr, "c1", "ticket")
	if same := b.arrives(tr, "c2", "ticket"); same != first {
		t.Errorf("another code of the same user made %q of %q", same, first)
	}
	third := b.arrives(tr, "c3", "ticket")
	if _, err := b.redeem(b.client, first); kindOf(err) != relay.KindNotFound {
		t.Errorf("the first user's ticket: %v, want KindNotFound", err)
	}
	if got, err := b.redeem(b.client, third); err != nil || got.OpenID != "o-3" {
		t.Errorf("the second user's ticket = %+v, %v", got, err)
	}
}

// TestCodeSpent: a code that WeChat does not take begins the trip again once;
// with a result of ours it does not matter.
func TestCodeSpent(t *testing.T) {
	t.Parallel()
	for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
		b := newLoginBench(t)
		b.wechat.refused = map[string]error{"spent": relay.ErrCodeSpent}
		tr := b.begin(loginFor(purpose))
		if to, err := b.back(tr, "spent"); err != nil || !strings.HasPrefix(to, "https://open.example/authorize?scope=snsapi_base&state="+tr.state) {
			t.Errorf("%s, first: %q, %v; want WeChat again", purpose, to, err)
		}
		if to, err := b.back(tr, "spent"); kindOf(err) != relay.KindUpstream || to != "" {
			t.Errorf("%s, second: %q, %v; want a page", purpose, to, err)
		}
		first := b.arrives(tr, "good", string(purpose))
		if again := b.arrives(tr, "spent", string(purpose)); again != first {
			t.Errorf("%s: a spent code after the result made %q of %q", purpose, again, first)
		}
	}
}

// TestNearlyOver_E19: who comes back late gets a ticket that the site has the
// time to redeem, and the one before is worth nothing any more.
func TestNearlyOver_E19(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	b.clock = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	start := b.clock
	tr := b.begin(loginFor(relay.LoginForTicket))
	first := b.arrives(tr, "c1", "ticket")
	b.clock = start.Add(30 * time.Second)
	if again := b.arrives(tr, "c1", "ticket"); again != first {
		t.Error("half a minute before its end the ticket was replaced")
	}
	b.clock = start.Add(59 * time.Second)
	second := b.arrives(tr, "c1", "ticket")
	if _, err := b.redeem(b.client, first); second == first || kindOf(err) != relay.KindNotFound {
		t.Errorf("a second before its end the ticket is handed out again, or both work: %v", err)
	}
	b.clock = start.Add(2*time.Minute - 2*time.Second)
	if _, err := b.redeem(b.client, second); err != nil {
		t.Errorf("the second ticket, 59 seconds old: %v", err)
	}
}

func TestLoginTroubles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		err    error
		word   string // to the site of a ticket; empty: a page
		onPage relay.Kind
		wait   time.Duration
	}{
		{"rate", relay.ErrLoginRate, "", relay.KindRate, time.Minute},
		{"busy", relay.ErrLoginBusy, "temporarily_unavailable", relay.KindUnavailable, 0},
		{"wrong secret", errors.New("errcode 40125"), "server_error", relay.KindUpstream, 0},
	} {
		for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
			b := newLoginBench(t)
			b.wechat.refused = map[string]error{"c1": c.err}
			tr := b.begin(loginFor(purpose))
			to, err := b.back(tr, "c1")
			if purpose == relay.LoginForTicket && c.word != "" {
				if err != nil || to != backURL+"?error="+c.word+"&state=s1" {
					t.Errorf("%s: %q, %v; want %s at the site", c.name, to, err, c.word)
				}
				continue
			}
			if kindOf(err) != c.onPage || to != "" {
				t.Errorf("%s for a %s: %q, %v; want a page of kind %d", c.name, purpose, to, err, c.onPage)
			}
			if why, ok := errors.AsType[*relay.LoginError](err); c.wait > 0 && (!ok || why.Wait != c.wait) {
				t.Errorf("%s: %+v, want a wait of %s", c.name, why, c.wait)
			}
			delete(b.wechat.refused, "c1")
			b.arrives(tr, "c1", string(purpose)) // the button on the page
		}
	}
}

// TestConsentRefused: each is told in its own words.
func TestConsentRefused(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	for _, code := range []string{"", "authdeny"} {
		if to, err := b.back(b.begin(loginFor(relay.LoginForTicket)), code); err != nil || to != backURL+"?error=access_denied&state=s1" {
			t.Errorf("ticket: %q, %v", to, err)
		}
		if to, err := b.back(b.begin(loginFor(relay.LoginForCode)), code); err != nil || to != backURL+"?state=s1" {
			t.Errorf("code: %q, %v", to, err)
		}
	}
	req := loginFor(relay.LoginForCode)
	req.State, req.HasState = "", false
	if to, err := b.back(b.begin(req), ""); err != nil || to != backURL {
		t.Errorf("code without a state: %q, %v", to, err)
	}
	if n := b.wechat.count("exchange"); n != 0 {
		t.Errorf("%d codes were exchanged, want none", n)
	}
}

// TestSnapshotLogin: the user of WeChat's limited view is nobody's, and the
// way on leads to WeChat, however often the page is loaded.
func TestSnapshotLogin(t *testing.T) {
	t.Parallel()
	for _, purpose := range []relay.LoginPurpose{relay.LoginForTicket, relay.LoginForCode} {
		b := newLoginBench(t)
		b.wechat.snapshot = true
		tr := b.begin(loginFor(purpose))
		for range 2 {
			to, err := b.back(tr, "c1")
			why, ok := errors.AsType[*relay.LoginError](err)
			if to != "" || !ok || !why.Snapshot || !strings.HasPrefix(why.Again, "https://open.example/authorize?") {
				t.Fatalf("%s: %q, %v; want a page that leads to WeChat", purpose, to, err)
			}
		}
		if n := b.wechat.count("exchange"); n != 1 {
			t.Errorf("WeChat was asked %d times, want once", n)
		}
		if err := b.rt.Store().View(t.Context(), func(r relay.Reader) error {
			_, err := r.Payer("o-user")
			return err
		}); !errors.Is(err, relay.ErrNotFound) {
			t.Errorf("the user of the limited view is remembered: %v", err)
		}
		b.wechat.snapshot = false
		b.arrives(tr, "c2", string(purpose))
	}
}

// TestLoginOfRemovedSite: what is not registered any more gets no answer.
func TestLoginOfRemovedSite(t *testing.T) {
	t.Parallel()
	b := newLoginBench(t)
	tr := b.begin(loginFor(relay.LoginForTicket))
	b.client.RedirectURIs = slices.Delete(b.client.RedirectURIs, 0, 1)
	if to, err := b.back(tr, "c1"); kindOf(err) != relay.KindNoAuth || to != "" {
		t.Errorf("%q, %v; want KindNoAuth", to, err)
	}
}

// TestLoginsBounded_J04: nothing is written before WeChat is reached, and who
// comes after too many is told so. Who pays is not kept from it by them.
func TestLoginsBounded_J04(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newLoginBench(t)
		token := b.token("A000000001")
		for range relay.MaxFlows {
			b.begin(loginFor(relay.LoginForTicket))
		}
		start, err := b.BeginLogin(t.Context(), loginFor(relay.LoginForTicket))
		if err != nil || start.Redirect != backURL+"?error=temporarily_unavailable&state=s1" {
			t.Errorf("one too many: %+v, %v", start, err)
		}
		if _, err := b.BeginLogin(t.Context(), loginFor(relay.LoginForCode)); kindOf(err) != relay.KindUnavailable {
			t.Errorf("one too many, for a code: %v, want KindUnavailable", err)
		}
		if res := b.open(token, relay.SurroundWeChat, ""); !strings.HasPrefix(res.Redirect, "https://open.example/") {
			t.Errorf("a buyer meanwhile: %+v, want a login", res)
		}
		<-time.After(relay.FlowLife)
		b.begin(loginFor(relay.LoginForTicket))
	})
}
