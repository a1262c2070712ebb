package shop

import (
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of the shop's memory of visitors.
const (
	maxSessions  = 1000
	maxLogins    = 5 // that one browser may have begun
	sessionLife  = 12 * time.Hour
	loginLife    = 10 * time.Minute
	callbackPath = "/shop/login/callback"
)

// sessionCookie names a visitor's session.
const sessionCookie = "shop_session"

// Visitor is who logged in, as the relay tells it.
type Visitor struct {
	OpenID    string `json:"openid"`
	UnionID   string `json:"unionid"`
	AppID     string `json:"app_id"`
	Scope     string `json:"scope"`
	Nickname  string `json:"nickname"`
	AvatarURL string `json:"avatar_url"`
}

// Name is what the pages call a visitor: the nickname, or the end of the
// openid when the login was silent.
func (v Visitor) Name() string {
	if v.Nickname != "" {
		return v.Nickname
	}
	return "…" + v.OpenID[max(0, len(v.OpenID)-6):]
}

// Initial stands in for a picture that the shop does not show.
func (v Visitor) Initial() string {
	if first, size := utf8.DecodeRuneInString(v.Nickname); size > 0 && first != utf8.RuneError {
		return string(first)
	}
	return "微"
}

// payingOpenID is the openid that orders of a visitor name: who logged in by
// a website's code has one that is of no use for paying inside WeChat.
func (v Visitor) payingOpenID() string {
	if v.Scope == "snsapi_login" {
		return ""
	}
	return v.OpenID
}

// begun is a login that a browser began.
type begun struct {
	State string
	At    time.Time
	Ended bool // it was answered
}

// session is what the shop remembers of a browser.
type session struct {
	At      time.Time
	Logins  []begun
	Visitor *Visitor // nil until logged in
}

// sessions remembers browsers. Safe for concurrent use.
type sessions struct {
	now func() time.Time

	mu    sync.Mutex // guards what follows
	all   map[string]*session
	order []string // oldest first
}

// newSessions makes an empty memory.
func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, all: map[string]*session{}}
}

// put keeps a session under a new name and forgets the oldest above the
// limit. The caller holds mu.
func (l *sessions) put(id string, s *session) {
	s.At = l.now()
	l.all[id] = s
	l.order = append(l.order, id)
	for len(l.order) > maxSessions {
		delete(l.all, l.order[0])
		l.order = l.order[1:]
	}
}

// find returns a session that lives, or nil. The caller holds mu.
func (l *sessions) find(id string) *session {
	s := l.all[id]
	if s == nil || l.now().Sub(s.At) >= sessionLife {
		return nil
	}
	return s
}

// begin keeps the state of a login that a browser began. It returns the name
// of the session, which is fresh when the browser has none.
func (l *sessions) begin(id, fresh, state string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(id)
	if s == nil {
		id, s = fresh, &session{}
		l.put(id, s)
	}
	s.Logins = append(s.Logins, begun{State: state, At: l.now()})
	s.Logins = slices.Delete(s.Logins, 0, max(0, len(s.Logins)-maxLogins))
	return id
}

// end takes back the state of a login, once, and reports whether this
// browser began it: an answer that somebody else's login got must not log
// this browser in. It reports apart from that whether the browser has come
// back with this state before: browsers in WeChat load a page twice, even at
// the same moment.
func (l *sessions) end(id, state string) (mine, again bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.find(id)
	if s == nil || state == "" {
		return false, false
	}
	i := slices.IndexFunc(s.Logins, func(b begun) bool {
		return subtle.ConstantTimeCompare([]byte(b.State), []byte(state)) == 1 && l.now().Sub(b.At) < loginLife
	})
	if i < 0 {
		return false, false
	}
	again = s.Logins[i].Ended
	s.Logins[i].Ended = true
	return !again, again
}

// logIn gives a session its visitor under a new name, so that nobody who
// planted the old one is logged in too. The old name knows the logins that
// ended and nothing else.
func (l *sessions) logIn(id, fresh string, visitor Visitor) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entered := &session{Visitor: &visitor}
	if s := l.find(id); s != nil {
		entered.Logins = slices.Clone(s.Logins)
		s.Logins = slices.DeleteFunc(s.Logins, func(b begun) bool { return !b.Ended })
		s.Visitor = nil
	}
	l.put(fresh, entered)
}

// logOut forgets a session.
func (l *sessions) logOut(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, id)
	l.order = slices.DeleteFunc(l.order, func(name string) bool { return name == id })
}

// visitor returns who is logged in, or nil.
func (l *sessions) visitor(id string) *Visitor {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.find(id); s != nil && s.Visitor != nil {
		known := *s.Visitor
		return &known
	}
	return nil
}

// random makes 32 hexadecimal digits.
func (s *Shop) random() (string, error) {
	raw := make([]byte, 16)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	return hex.EncodeToString(raw), nil
}

// sessionOf reads the name of a browser's session.
func sessionOf(r *http.Request) string {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// setSession names a browser's session; an empty name takes it away.
func setSession(w http.ResponseWriter, r *http.Request, id string) {
	cookie := &http.Cookie{ //nolint:gosec // a shop on loopback has no TLS
		Name: sessionCookie, Value: id, Path: "/shop", HttpOnly: true, Secure: r.TLS != nil,
		// Lax: the browser comes back from the relay, which is another site.
		SameSite: http.SameSiteLaxMode, MaxAge: int(sessionLife / time.Second),
	}
	if id == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// serveLogin answers GET /shop/login: it sends the browser to the relay with
// a state of its own. scope=snsapi_base logs in silently where that can be.
func (s *Shop) serveLogin(w http.ResponseWriter, r *http.Request) {
	scope := "snsapi_userinfo"
	if r.URL.Query().Get("scope") == "snsapi_base" {
		scope = "snsapi_base"
	}
	state, stateErr := s.random()
	fresh, freshErr := s.random()
	if err := errors.Join(stateErr, freshErr); err != nil {
		s.show(w, r, http.StatusInternalServerError, "message.html", shown{Message: failed(err)})
		return
	}
	setSession(w, r, s.sessions.begin(sessionOf(r), fresh, state))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, s.relay.LoginURL(ownAddress(r)+callbackPath, state, scope), http.StatusFound)
}

// LoginURL is where a browser goes to log in; the relay sends it on to
// redirectURI, which must be registered, with a ticket and the state.
func (c *Client) LoginURL(redirectURI, state, scope string) string {
	query := url.Values{"client_id": {c.clientID}, "redirect_uri": {redirectURI}, "state": {state}, "scope": {scope}}
	return c.base.String() + "/login?" + query.Encode()
}

// serveLoginCallback answers the browser that comes back from the relay. The
// state comes first: without it the ticket could be somebody else's.
func (s *Shop) serveLoginCallback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	query := r.URL.Query()
	mine, again := s.sessions.end(sessionOf(r), query.Get("state"))
	if !mine {
		if again || s.sessions.visitor(sessionOf(r)) != nil { // the back button
			http.Redirect(w, r, "/shop/", http.StatusSeeOther)
			return
		}
		s.show(w, r, http.StatusBadRequest, "message.html", shown{Message: said{"登录不是在此浏览器开始的，或已超时。", "This login was not begun in this browser, or it took too long."}, LogIn: true})
		return
	}
	if query.Get("ticket") == "" {
		message := said{"没有登录。", "Nobody logged in."}
		if query.Get("error") == "access_denied" {
			message = said{"登录被拒绝。您仍可以游客身份购买。", "The login was refused. You can still buy as a guest."}
		}
		s.show(w, r, http.StatusForbidden, "message.html", shown{Message: message, LogIn: true})
		return
	}
	visitor, err := s.relay.RedeemTicket(r.Context(), query.Get("ticket"))
	var fresh string
	if err == nil {
		fresh, err = s.random()
	}
	if err != nil {
		s.show(w, r, http.StatusBadGateway, "message.html", shown{Message: failed(err), LogIn: true})
		return
	}
	s.sessions.logIn(sessionOf(r), fresh, visitor)
	setSession(w, r, fresh)
	// Away from the address with the ticket, which the history keeps.
	http.Redirect(w, r, "/shop/", http.StatusSeeOther)
}

// serveLogout answers POST /shop/logout.
func (s *Shop) serveLogout(w http.ResponseWriter, r *http.Request) {
	s.sessions.logOut(sessionOf(r))
	setSession(w, r, "")
	http.Redirect(w, r, "/shop/", http.StatusSeeOther)
}

// ownPicture is the picture of a visitor if it comes from this very site,
// which is all that the pages' policy lets in.
func ownPicture(r *http.Request, v *Visitor) string {
	if v == nil {
		return ""
	}
	u, err := url.Parse(v.AvatarURL)
	if err != nil || u.Host == "" || u.Host != r.Host {
		return ""
	}
	return u.EscapedPath()
}
