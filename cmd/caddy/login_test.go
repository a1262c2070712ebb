package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

const (
	shopBack  = "https://books.example.com/wx/callback"
	oddBack   = "https://books.example.com/登录?来=%E5%8D%97&u=https%253A%252F%252Fx.example%252F%253Fa%253Db"
	otherBack = "https://songs.example.com/cb"
)

// loginServer is a server whose clients have return addresses.
func loginServer(t *testing.T, change ...func(*setup)) *server {
	t.Helper()
	su := setup{
		merchant: merchantKeys(t),
		app:      "account web {\n\t\t\tkind website_app\n\t\t}",
		bookshop: "redirect_uri " + shopBack + "\n\t\t\tredirect_uri " + oddBack,
		clients: `client other {
			id ` + otherID + `
			secret {env.OTHER_SECRET}
			merchant main
			redirect_uri ` + otherBack + `
		}`,
	}
	for _, c := range change {
		c(&su)
	}
	return start(t, su)
}

// visitor is a browser.
type visitor struct {
	*server
	http  *http.Client
	agent string
}

func (s *server) visitor(t *testing.T, agent string) *visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{server: s, agent: agent, http: &http.Client{
		Jar: jar, Timeout: patience, Transport: s.http.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (v *visitor) open(t *testing.T, address string) *answer {
	t.Helper()
	return get(t, v.http, address, v.agent, "Accept-Language", "en")
}

// loginAt is the address of a login at the relay.
func (s *server) loginAt(clientID, redirectURI, state, more string) string {
	return s.url + "/login?client_id=" + clientID + "&redirect_uri=" + url.QueryEscape(redirectURI) + "&state=" + url.QueryEscape(state) + more
}

// leads opens an address that has to lead on, and returns where.
func (v *visitor) leads(t *testing.T, address string) string {
	t.Helper()
	a := v.open(t, address)
	to := a.header.Get("Location")
	if a.status/100 != 3 || to == "" {
		t.Fatalf("%.60s… = %s, want a redirect", address, a)
	}
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect is kept, or tells where it was: %v", a.header)
	}
	return to
}

// consents answers WeChat's page and returns the callback to which it leads.
func (v *visitor) consents(t *testing.T, page, decision, user string) string {
	t.Helper()
	_, query, _ := strings.Cut(page, "?")
	query, _, _ = strings.Cut(query, "#")
	form := url.Values{"query": {query}, "decision": {decision}, "user": {user}}
	if strings.Contains(page, "/connect/qrconnect?") {
		form.Set("scan", "true")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.platform+"/sandbox/consent", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	a, err := send(v.http, r)
	if err != nil || a.status/100 != 3 {
		t.Fatalf("WeChat's page = %v, %v", a, err)
	}
	return a.header.Get("Location")
}

// silently begins a login and returns the callback that WeChat leads to.
func (v *visitor) silently(t *testing.T, address string) string {
	t.Helper()
	return v.leads(t, v.leads(t, address))
}

// param reads a parameter of an address below another one.
func param(t *testing.T, address, below, name string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(address, below) || u.Query().Get(name) == "" {
		t.Fatalf("led to %q, want %s with %s", address, below, name)
	}
	return u.Query().Get(name)
}

type ticketJSON struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	AppID     string `json:"app_id"`
	Scope     string `json:"scope"`
	Nickname  string `json:"nickname"`
	AvatarURL string `json:"avatar_url"`
}

func (s *shop) redeem(t *testing.T, ticket string) ticketJSON {
	t.Helper()
	var who ticketJSON
	s.call(t, "POST", "/v1/tickets/"+ticket, "", http.StatusOK, &who)
	return who
}

// TestLoginByTicket is contract section 4 in each of the surroundings.
func TestLoginByTicket(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)

	back := v.leads(t, v.silently(t, s.loginAt(shopID, shopBack, "s1", "")))
	who := s.shop.redeem(t, param(t, back, shopBack+"?", "ticket"))
	if param(t, back, shopBack, "state") != "s1" || who.OpenID == "" || who.AppID != sandbox.DefaultAppID || who.Scope != "snsapi_base" || who.Nickname != "" || who.UnionID != "" {
		t.Errorf("silently: %q gave %+v", back, who)
	}

	page := v.leads(t, s.loginAt(shopID, shopBack, "s2", "&scope=snsapi_userinfo"))
	back = v.leads(t, v.consents(t, page, "allow", "ada"))
	asked := s.shop.redeem(t, param(t, back, shopBack+"?", "ticket"))
	if asked.Nickname == "" || asked.UnionID == "" || asked.Scope != "snsapi_userinfo" || asked.AppID != sandbox.DefaultAppID {
		t.Errorf("with consent: %+v", asked)
	}

	desk := s.visitor(t, desktopAgent)
	page = desk.leads(t, s.loginAt(shopID, shopBack, "s3", ""))
	if !strings.HasPrefix(page, s.platform+"/connect/qrconnect?") {
		t.Fatalf("a desktop is sent to %q", page)
	}
	back = desk.leads(t, desk.consents(t, page, "allow", "ada"))
	scanned := s.shop.redeem(t, param(t, back, shopBack+"?", "ticket"))
	if scanned.AppID != sandbox.DefaultWebsiteAppID || scanned.Scope != "snsapi_login" || scanned.OpenID == asked.OpenID || scanned.UnionID != asked.UnionID {
		t.Errorf("on a desktop: %+v, want the other openid and the same unionid as %+v", scanned, asked)
	}

	for agent, state := range map[string]string{
		desktopAgent: "login_desktop",
		"Mozilla/5.0 (Linux; Android 14; Pixel 8) Chrome/120 Mobile Safari/537.36": "login_phone",
	} {
		a := s.visitor(t, agent).open(t, s.loginAt(shopID, shopBack, "s4", "&account=shop"))
		checkPage(t, a, http.StatusOK)
		for _, want := range []string{`data-state="` + state + `"`, "bookshop", "books.example.com", "<svg xmlns", url.QueryEscape(shopBack)} {
			if !strings.Contains(string(a.body), want) {
				t.Errorf("%s: the page lacks %q", state, want)
			}
		}
	}
}

// TestLoginKeepsAddressAndState_E25: what the site wrote comes back.
func TestLoginKeepsAddressAndState_E25(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)
	for _, state := range []string{"a&b=c#d", "\r\n\x00\xff", "测 试+%2B", strings.Repeat("é", 1024)} {
		start := v.leads(t, s.loginAt(shopID, oddBack, state, ""))
		if strings.Contains(start, url.QueryEscape(state)) {
			t.Error("the site's state is sent to WeChat")
		}
		back := v.leads(t, v.leads(t, start))
		const want = "https://books.example.com/%E7%99%BB%E5%BD%95?%E6%9D%A5=%E5%8D%97&u=https%253A%252F%252Fx.example%252F%253Fa%253Db&ticket="
		_, sent, _ := strings.Cut(back, "&state=")
		if got, err := url.QueryUnescape(sent); err != nil || got != state || !strings.HasPrefix(back, want) {
			t.Errorf("state %q: led to %q", state, back)
		}
	}
	if a := v.open(t, s.loginAt(shopID, shopBack, strings.Repeat("x", 2049), "")); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
		t.Errorf("a state of 2049 bytes = %s", a)
	}
}

// TestLoginTargets_D01_D11: no address but a registered one is led to, and no
// site but a registered one is told from another.
func TestLoginTargets_D01_D02_D03_D04_D05_D07_D08_D09_D10_D11(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)
	refused := func(name, address string) {
		a := v.open(t, address)
		if a.status/100 != 4 || a.header.Get("Location") != "" || !strings.HasPrefix(a.header.Get("Content-Type"), "text/html") {
			t.Errorf("%s = %d to %q, want a page", name, a.status, a.header.Get("Location"))
		}
		if strings.Contains(string(a.body), "evil.example") {
			t.Errorf("%s: the page repeats the address", name)
		}
	}
	for _, target := range wrongBacks() {
		refused(fmt.Sprintf("%q", target), s.loginAt(shopID, target, "s", ""))
	}
	refused("an unknown site", s.loginAt("9999999999999999", shopBack, "s", ""))
	refused("two addresses", s.loginAt(shopID, shopBack, "s", "&redirect_uri=https%3A%2F%2Fevil.example"))
	refused("an added code", s.loginAt(shopID, shopBack, "s", "&code=mine"))
	refused("a second state", s.loginAt(shopID, shopBack, "s", "&state=mine"))
	refused("nothing", s.url+"/login")
	if unknown, other := v.open(t, s.loginAt("9999999999999999", shopBack, "s", "")), v.open(t, s.loginAt(shopID, otherBack, "s", "")); unknown.status != other.status || detail(unknown) != detail(other) {
		t.Errorf("an unknown site is told from an unknown address: %q, %q", detail(unknown), detail(other))
	}
}

// wrongBacks are addresses that are not shopBack, however they read.
func wrongBacks() []string {
	const host = "books.example.com/wx/callback"
	return []string{
		"", "https://books.example.com.evil.example/wx/callback", shopBack + "x", shopBack + "/../evil", shopBack + "/", shopBack + "?", // D01
		"https://books.example.com@evil.example/wx/callback", "https://books.example.com:443@evil.example/", // D02
		`https://evil.example\@` + host, `/\evil.example`, "//evil.example", "///evil.example", "https:/evil.example", "https:evil.example", // D03
		"https://bооks.example.com/wx/callback", "https://books.example.com。evil.example/", "https://books．example.com/wx/callback", // D04
		shopBack + "#x", "https://evil.example#@" + host, // D05
		"javascript:alert(1)//" + host, "data:text/html,evil.example", "JaVaScRiPt:alert(1)", "java\tscript:alert(1)", "http://" + host, "weixin://" + host, // D07
		shopBack + "%0d%0aSet-Cookie:a=b", shopBack + "\r\nSet-Cookie:a=b", // D08
		shopBack + "?code=x", shopBack + "&ticket=mine", // D09
		url.QueryEscape(shopBack),                                                        // D10
		"http://127.0.0.1:1@evil.example/cb", "http://localhost:80@evil.example/" + host, // D11
		otherBack, "HTTPS://" + host, "https://BOOKS.example.com/wx/callback", "https://books.example.com:443/wx/callback",
	}
}

// detail is the sentence for developers on a page.
func detail(a *answer) string {
	_, text, _ := strings.Cut(string(a.body), `<p class="detail">`)
	text, _, _ = strings.Cut(text, "</p>")
	return text
}

// TestLoginOtherBrowsers_E01_E02_E03: a login ends in the browser that began
// it, and two tabs of one browser are two logins.
func TestLoginOtherBrowsers_E01_E02_E03(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	attacker, victim, fresh := s.visitor(t, wechatAgent), s.visitor(t, wechatAgent), s.visitor(t, wechatAgent)
	link := attacker.silently(t, s.loginAt(shopID, shopBack, "s1", ""))
	own := victim.silently(t, s.loginAt(shopID, shopBack, "s2", ""))
	for name, v := range map[string]*visitor{"another visitor": victim, "a visitor without a cookie": fresh} {
		a := v.open(t, link)
		if a.status != http.StatusForbidden || a.header.Get("Location") != "" {
			t.Errorf("%s with the attacker's callback = %s", name, a)
		}
	}
	param(t, victim.leads(t, own), shopBack, "ticket")

	// The victim follows the attacker's link to WeChat.
	begun := attacker.leads(t, s.loginAt(shopID, shopBack, "s3", ""))
	completed := victim.leads(t, begun)
	if a := victim.open(t, completed); a.status != http.StatusForbidden || a.header.Get("Location") != "" {
		t.Errorf("the victim completes the attacker's login: %s", a)
	}

	first := victim.silently(t, s.loginAt(shopID, shopBack, "tab1", ""))
	second := victim.silently(t, s.loginAt(shopID, shopBack, "tab2", ""))
	for callback, state := range map[string]string{second: "tab2", first: "tab1"} {
		if got := param(t, victim.leads(t, callback), shopBack, "state"); got != state {
			t.Errorf("tab %s came back with %s", state, got)
		}
	}
}

// TestLoginAgain_E12_E19: loaded twice, gone back to, redeemed by many at once
// and by others.
func TestLoginAgain_E12_E19(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)
	callback := v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))
	first, again := v.leads(t, callback), v.leads(t, callback)
	if first != again {
		t.Errorf("loaded twice: %q, then %q", first, again)
	}
	ticket := param(t, first, shopBack, "ticket")
	other := newShop(s.url, otherID, otherSecret)
	unknown, err := other.try(t.Context(), "POST", "/v1/tickets/"+strings.Repeat("0", len(ticket)), "")
	refusal{http.StatusNotFound, "NOT_FOUND", ""}.check(t, "an unknown ticket", unknown, err)
	foreign, err := other.try(t.Context(), "POST", "/v1/tickets/"+ticket, "")
	refusal{http.StatusNotFound, "NOT_FOUND", ""}.check(t, "another client's ticket", foreign, err)

	var won, lost atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			a, err := s.shop.try(t.Context(), "POST", "/v1/tickets/"+ticket, "")
			switch {
			case err == nil && a.status == http.StatusOK:
				won.Add(1)
			case err == nil && a.status == http.StatusNotFound && a.code() == "NOT_FOUND":
				lost.Add(1)
			default:
				t.Errorf("a redemption = %v, %v", a, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d of 50 redeemed the ticket, %d were told there is none", won.Load(), lost.Load())
	}
	// The back button, after the ticket was spent.
	later := param(t, v.leads(t, callback), shopBack, "ticket")
	if later == ticket {
		t.Error("the spent ticket is handed out again")
	}
	if who := s.shop.redeem(t, later); who.OpenID == "" {
		t.Errorf("after the back button: %+v", who)
	}
	// WeChat's code of the first login, in a login of its own.
	u, _ := url.Parse(callback)
	page := v.leads(t, s.loginAt(shopID, shopBack, "s2", ""))
	w, _ := url.Parse(page)
	spent := s.url + "/wechat/callback?code=" + u.Query().Get("code") + "&state=" + w.Query().Get("state")
	if to := v.leads(t, spent); to != page {
		t.Errorf("a spent code leads to %q, want WeChat again", to)
	}
	if a := v.open(t, spent); a.status != http.StatusBadGateway || a.header.Get("Location") != "" {
		t.Errorf("a spent code, twice = %s, want a page", a)
	}
	param(t, v.leads(t, v.leads(t, page)), shopBack, "ticket")
}

// TestLoginMishaps: what WeChat and its users do.
func TestLoginMishaps(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)
	asking := s.loginAt(shopID, shopBack, "s1", "&scope=snsapi_userinfo")

	if to := v.leads(t, v.consents(t, v.leads(t, asking), "refuse", "ada")); to != shopBack+"?error=access_denied&state=s1" {
		t.Errorf("after a refusal: %q", to)
	}

	s.fault(t, `{"fault":"oauth_snapshot"}`)
	page := v.leads(t, asking)
	a := v.open(t, v.consents(t, page, "allow", "ada"))
	checkPage(t, a, http.StatusForbidden)
	for _, want := range []string{`data-state="snapshot"`, `id="again"`, strings.ReplaceAll(page, "&", "&amp;")} {
		if !strings.Contains(string(a.body), want) {
			t.Errorf("the page of the limited view lacks %q: %s", want, a.body)
		}
	}
	param(t, v.leads(t, v.consents(t, page, "allow", "ada")), shopBack, "ticket") // "use full service"

	s.fault(t, `{"fault":"oauth_busy"}`)
	param(t, v.leads(t, v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))), shopBack, "ticket")

	callback := v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))
	s.fault(t, `{"fault":"oauth_rate"}`)
	a = v.open(t, callback)
	checkPage(t, a, http.StatusTooManyRequests)
	if a.header.Get("Retry-After") != "60" || !strings.Contains(string(a.body), `http-equiv="refresh" content="60"`) {
		t.Errorf("too many = %v %s", a.header, a.body)
	}
	param(t, v.leads(t, callback), shopBack, "ticket")

	callback = v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))
	s.fault(t, `{"fault":"oauth_500"}`)
	if to := v.leads(t, callback); to != shopBack+"?error=temporarily_unavailable&state=s1" {
		t.Errorf("while WeChat is out of order: %q", to)
	}

	for more, word := range map[string]string{"&scope=snsapi_all": "invalid_scope", "&account=nobody": "unauthorized_client"} {
		if to := v.leads(t, s.loginAt(shopID, shopBack, "s1", more)); to != shopBack+"?error="+word+"&state=s1" {
			t.Errorf("%s: %q", more, to)
		}
	}
}

// TestLoginGuards_E15_E20_I04_I05: the cookie, frames, and names that others
// can plant.
func TestLoginGuards_E15_E20_I04_I05(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	address := s.loginAt(shopID, shopBack, "s1", "")
	fresh := s.http
	a := get(t, fresh, address, wechatAgent)
	cookie := a.header.Get("Set-Cookie")
	for _, want := range []string{"wxrelay=", "Path=/", "HttpOnly", "SameSite=Lax"} {
		if !strings.Contains(cookie, want) || strings.Contains(cookie, "Domain") {
			t.Errorf("the cookie is %q", cookie)
		}
	}
	if a := get(t, fresh, address, wechatAgent, "Sec-Fetch-Dest", "iframe"); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
		t.Errorf("in a frame = %s", a)
	}
	for _, header := range []string{"X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "Referer", "Origin"} {
		a := get(t, fresh, address, wechatAgent, header, "evil.example")
		if strings.Contains(a.header.Get("Location"), "evil") || a.status != http.StatusSeeOther {
			t.Errorf("%s: led to %q", header, a.header.Get("Location"))
		}
	}
	page := get(t, fresh, s.loginAt(shopID, shopBack, "s1", "&account=shop"), desktopAgent)
	if page.header.Get("X-Frame-Options") != "DENY" || !strings.Contains(page.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Errorf("the page may stand in a frame: %v", page.header)
	}
}

// TestBorrowedOpenID_C10: a site orders for whom it knows itself.
func TestBorrowedOpenID_C10(t *testing.T) {
	t.Parallel()
	s := loginServer(t, func(su *setup) {
		su.clients += `
		client strict {
			id 3000000000000003
			secret {env.OTHER_SECRET}
			merchant main
			openid_policy issued
			redirect_uri ` + otherBack + `
		}`
	})
	v := s.visitor(t, wechatAgent)
	openID := s.shop.redeem(t, param(t, v.leads(t, v.silently(t, s.loginAt(shopID, shopBack, "s1", ""))), shopBack, "ticket")).OpenID
	other, strict := newShop(s.url, otherID, otherSecret), newShop(s.url, "3000000000000003", otherSecret)
	pays := func(c *shop, orderNo string) (*answer, error) {
		c.order(t, orderNo, "")
		return c.try(t.Context(), "POST", "/v1/orders/"+orderNo+"/payments", `{"trade_type":"jsapi","openid":"`+openID+`"}`)
	}
	if a, err := pays(s.shop, "C000000001"); err != nil || a.status != http.StatusCreated {
		t.Errorf("the site that knows the buyer = %v, %v", a, err)
	}
	for name, c := range map[string]*shop{"another site": other, "a strict one": strict} {
		a, err := pays(c, "C000000002")
		refusal{http.StatusBadRequest, "PARAM_ERROR", "openid"}.check(t, name, a, err)
		if err == nil && strings.Contains(string(a.body), openID) {
			t.Errorf("%s: the answer has the openid", name)
		}
	}
	for i, c := range []*shop{other, strict} {
		param(t, v.leads(t, v.silently(t, s.loginAt(c.id, otherBack, "s1", ""))), otherBack, "ticket")
		if a, err := pays(c, fmt.Sprintf("C00000001%d", i)); err != nil || a.status != http.StatusCreated {
			t.Errorf("%s after its own login = %v, %v", c.id, a, err)
		}
	}
}

// TestLoginLeavesNoTrace_H04: who came, and by which ticket, is in no log.
func TestLoginLeavesNoTrace_H04(t *testing.T) {
	t.Parallel()
	s := loginServer(t, func(su *setup) { su.global, su.site = "debug", "log" })
	v := s.visitor(t, wechatAgent)
	start := s.loginAt(shopID, shopBack, "MARKEDSTATE", "")
	callback := v.silently(t, start)
	back := v.leads(t, callback)
	ticket := param(t, back, shopBack, "ticket")
	who := s.shop.redeem(t, ticket)
	if a, err := s.shop.try(t.Context(), "POST", "/v1/tickets/"+ticket, ""); err != nil || a.status != http.StatusNotFound {
		t.Errorf("the ticket again = %v, %v", a, err)
	}
	if a := s.visitor(t, wechatAgent).open(t, callback); a.status != http.StatusForbidden {
		t.Errorf("in another browser = %s", a)
	}
	get(t, s.http, s.url+"/elsewhere", desktopAgent)
	eventually(t, "the access log", func() error {
		if !strings.Contains(s.log.String(), "/elsewhere") {
			return fmt.Errorf("nothing is written")
		}
		return nil
	})
	u, _ := url.Parse(callback)
	for name, secret := range map[string]string{
		"site's state": "MARKEDSTATE", "our state": u.Query().Get("state"), "code": u.Query().Get("code"), "ticket": ticket, "openid": who.OpenID,
	} {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, `"msg":"handled request"`) && strings.Contains(line, s.platform[len("http://"):]) {
				continue // the sandbox's own
			}
			if strings.Contains(line, secret) {
				t.Errorf("the log has the %s: %.300s", name, line)
			}
		}
	}
	var config json.RawMessage
	if a, err := s.administer(t.Context(), http.MethodGet, "/config/", "", ""); err != nil || json.Unmarshal(a.body, &config) != nil || strings.Contains(string(config), who.OpenID) {
		t.Errorf("the configuration = %v, %v", a, err)
	}
}
