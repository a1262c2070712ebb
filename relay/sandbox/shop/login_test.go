package shop

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// visitorBrowser is a browser with the shop's cookie.
type visitorBrowser struct {
	shop   *Shop
	cookie string
}

// ask sends a request and keeps the cookie that comes back.
func (b *visitorBrowser) ask(method, target, form string) *httptest.ResponseRecorder {
	header := http.Header{}
	if b.cookie != "" {
		header.Set("Cookie", sessionCookie+"="+b.cookie)
	}
	w := ask(b.shop, method, target, form, header)
	for _, cookie := range w.Result().Cookies() {
		if cookie.Name == sessionCookie {
			b.cookie = cookie.Value
		}
	}
	return w
}

// begin begins a login and returns the state that goes to the relay.
func (b *visitorBrowser) begin(t *testing.T) string {
	t.Helper()
	w := b.ask(http.MethodGet, "/shop/login", "")
	target, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != http.StatusFound {
		t.Fatalf("answer %d to %q, %v", w.Code, w.Header().Get("Location"), err)
	}
	query := target.Query()
	if target.Host != "pay.example.com" || target.Path != "/login" || query.Get("client_id") != exampleClient ||
		query.Get("redirect_uri") != "http://books.example.com/shop/login/callback" || query.Get("scope") != "snsapi_userinfo" || len(query.Get("state")) != 32 {
		t.Fatalf("leads to %s", target)
	}
	return query.Get("state")
}

// ticket is one that the relay may know.
const ticket = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"

// ming is the relay's answer to a ticket.
const ming = `{"openid":"oMING-123456","unionid":"u1","app_id":"wx8888888888888888","scope":"snsapi_userinfo","nickname":"小明","avatar_url":"http://books.example.com/sandbox/faces/ming/132"}`

// logIn logs a browser in.
func (b *visitorBrowser) logIn(t *testing.T, relay *fakeRelay, who string) {
	t.Helper()
	state := b.begin(t)
	relay.tickets[ticket] = who
	before := b.cookie
	w := b.ask(http.MethodGet, "/shop/login/callback?ticket="+ticket+"&state="+state, "")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/shop/" || b.cookie == before {
		t.Fatalf("answer %d to %q: %s; a new session: %v", w.Code, w.Header().Get("Location"), w.Body, b.cookie != before)
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	b := &visitorBrowser{shop: s}
	if page := b.ask(http.MethodGet, "/shop/", "").Body.String(); !strings.Contains(page, `id="login"`) {
		t.Error("a guest is not offered to log in")
	}
	b.logIn(t, relay, ming)
	page := b.ask(http.MethodGet, "/shop/", "").Body.String()
	if !strings.Contains(page, `data-visitor>小明<`) || !strings.Contains(page, `src="/sandbox/faces/ming/132"`) || strings.Contains(page, "oMING") {
		t.Errorf("page = %s", page)
	}
	if w := b.ask(http.MethodPost, "/shop/buy", "product=book"); w.Code != http.StatusSeeOther {
		t.Fatalf("buying answers %d: %s", w.Code, w.Body)
	}
	if got := relay.orders[0].OpenID; got != "oMING-123456" {
		t.Errorf("the order names the buyer %q", got)
	}
	if live := b.ask(http.MethodGet, "/shop/orders/live", "").Body.String(); !strings.Contains(live, "小明") {
		t.Error("the order does not show its buyer")
	}
	b.ask(http.MethodPost, "/shop/logout", "")
	if page := b.ask(http.MethodGet, "/shop/", "").Body.String(); !strings.Contains(page, `id="login"`) || b.cookie != "" {
		t.Errorf("after logging out, cookie %q: %s", b.cookie, page)
	}
	buy(t, s, relay)
	if got := relay.orders[1].OpenID; got != "" {
		t.Errorf("a guest's order names the buyer %q", got)
	}
}

func TestSilentLoginShowsTheEndOfTheOpenID(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	b := &visitorBrowser{shop: s}
	if w := b.ask(http.MethodGet, "/shop/login?scope=snsapi_base", ""); !strings.Contains(w.Header().Get("Location"), "scope=snsapi_base") {
		t.Errorf("leads to %s", w.Header().Get("Location"))
	}
	b.logIn(t, relay, `{"openid":"oMING-123456","app_id":"wx8888888888888888","scope":"snsapi_base"}`)
	if page := b.ask(http.MethodGet, "/shop/", "").Body.String(); !strings.Contains(page, "…123456") {
		t.Errorf("page = %s", page)
	}
}

// Who logged in by a code to scan has an openid that no payment inside
// WeChat takes.
func TestOrderOfAWebsiteLoginNamesNobody(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	b := &visitorBrowser{shop: s}
	b.logIn(t, relay, strings.Replace(ming, "snsapi_userinfo", "snsapi_login", 1))
	b.ask(http.MethodPost, "/shop/buy", "product=tea")
	if len(relay.orders) != 1 || relay.orders[0].OpenID != "" {
		t.Errorf("orders = %+v", relay.orders)
	}
}

func TestLoginRefuses(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	relay.tickets[ticket] = ming
	b := &visitorBrowser{shop: s}
	// An attacker's answer in the victim's browser (E01).
	stranger := &visitorBrowser{shop: s}
	foreign := stranger.begin(t)
	for name, test := range map[string]struct {
		query string
		want  int
	}{
		"no state":            {"ticket=" + ticket, http.StatusBadRequest},
		"unknown state":       {"ticket=" + ticket + "&state=x", http.StatusBadRequest},
		"another's state":     {"ticket=" + ticket + "&state=" + foreign, http.StatusBadRequest},
		"refused":             {"error=access_denied&state=" + b.begin(t), http.StatusForbidden},
		"no ticket":           {"state=" + b.begin(t), http.StatusForbidden},
		"ticket that is over": {"ticket=" + strings.Repeat("0", 32) + "&state=" + b.begin(t), http.StatusBadGateway},
		"malformed ticket":    {"ticket=..&state=" + b.begin(t), http.StatusBadGateway},
	} {
		w := b.ask(http.MethodGet, "/shop/login/callback?"+test.query, "")
		if w.Code != test.want || strings.Contains(w.Body.String(), "data-visitor") || !strings.Contains(w.Body.String(), `href="/shop/login"`) {
			t.Errorf("%s: answer %d, want %d: %s", name, w.Code, test.want, w.Body)
		}
	}
	if s.sessions.visitor(b.cookie) != nil || len(relay.tickets) != 1 {
		t.Error("somebody is logged in, or the ticket was redeemed before the state was known")
	}
	// The back button after a login.
	state := b.begin(t)
	b.ask(http.MethodGet, "/shop/login/callback?ticket="+ticket+"&state="+state, "")
	if w := b.ask(http.MethodGet, "/shop/login/callback?ticket="+ticket+"&state="+state, ""); w.Code != http.StatusSeeOther {
		t.Errorf("the callback once more answers %d: %s", w.Code, w.Body)
	}
}

// WeChat's web view may load the callback twice before it has taken the cookie
// of the first answer (E19). The old cookie leads to the shop, and logs nobody
// in.
func TestCallbackTwiceAtOnce_E19(t *testing.T) {
	t.Parallel()
	s, relay := newTestShop(t)
	relay.tickets[ticket] = ming
	b := &visitorBrowser{shop: s}
	state := b.begin(t)
	other := b.begin(t)
	old := b.cookie
	callback := "/shop/login/callback?ticket=" + ticket + "&state=" + state
	for range 2 {
		b.cookie = old
		w := b.ask(http.MethodGet, callback, "")
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/shop/" {
			t.Fatalf("answer %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
		}
	}
	if s.sessions.visitor(old) != nil {
		t.Error("the old name of the session is logged in")
	}
	if mine, again := s.sessions.end(old, other); mine || again {
		t.Error("who knows the old name can end another login")
	}
}

func TestLoginsAndSessionsEnd(t *testing.T) {
	t.Parallel()
	at := exampleTime
	l := newSessions(func() time.Time { return at })
	l.begin("", "a", "s1")
	at = at.Add(loginLife)
	if mine, again := l.end("a", "s1"); mine || again {
		t.Error("a login that took ten minutes counts")
	}
	l.logIn("a", "b", Visitor{OpenID: "o"})
	if l.visitor("a") != nil || l.visitor("b") == nil {
		t.Error("the session keeps its old name")
	}
	at = at.Add(sessionLife)
	if l.visitor("b") != nil {
		t.Error("the session does not end")
	}
	for i := range maxSessions + 5 {
		l.begin("", fmt.Sprint(i), "s")
	}
	for range maxLogins + 5 {
		l.begin(fmt.Sprint(maxSessions), "x", "s")
	}
	if len(l.all) != maxSessions || len(l.all[fmt.Sprint(maxSessions)].Logins) != maxLogins {
		t.Errorf("%d sessions, %d logins are kept", len(l.all), len(l.all[fmt.Sprint(maxSessions)].Logins))
	}
}

func TestForeignPicturesAreNotShown(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/shop/", nil)
	r.Host = "books.example.com"
	for address, want := range map[string]string{
		"https://thirdwx.qlogo.cn/mmopen/x/132": "", "": "", "javascript:alert(1)": "", "//evil.example/x": "",
		"http://books.example.com/sandbox/faces/ming/132": "/sandbox/faces/ming/132",
	} {
		if got := ownPicture(r, &Visitor{AvatarURL: address}); got != want {
			t.Errorf("%q: picture %q, want %q", address, got, want)
		}
	}
}
