package sandbox

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Lifetimes of what web authorisation gives out (oauth.md 3).
const (
	codeLife    = 5 * time.Minute
	tokenLife   = 2 * time.Hour
	refreshLife = 30 * 24 * time.Hour
	maxGrants   = 10_000 // of each kind
)

// wxError is an error of api.weixin.qq.com, sent with HTTP 200.
type wxError struct {
	Code    int    `json:"errcode"`
	Message string `json:"errmsg"`
}

// The errors of oauth.md 8 that web authorisation gives.
var (
	wxBusy           = wxError{-1, "system error"}
	wxInvalidSecret  = wxError{40125, "invalid appsecret"}
	wxInvalidGrant   = wxError{40002, "invalid grant_type"}
	wxInvalidOpenID  = wxError{40003, "invalid openid"}
	wxInvalidAppID   = wxError{40013, "invalid appid"}
	wxInvalidToken   = wxError{40014, "invalid access_token"}
	wxInvalidCode    = wxError{40029, "invalid code"}
	wxInvalidRefresh = wxError{40030, "invalid refresh_token"}
	wxCodeUsed       = wxError{40163, "code been used"}
	wxNoToken        = wxError{41001, "access_token missing"}
	wxNoAppID        = wxError{41002, "appid missing"}
	wxNoRefresh      = wxError{41003, "refresh_token missing"}
	wxNoSecret       = wxError{41004, "appsecret missing"}
	wxNoCode         = wxError{41008, "missing code"}
	wxNoOpenID       = wxError{41009, "missing openid"}
	wxTokenExpired   = wxError{42001, "access_token expired"}
	wxRefreshExpired = wxError{42002, "refresh_token expired"}
	wxCodeExpired    = wxError{42003, "code expired"}
	wxDailyQuota     = wxError{45009, "reach max api daily quota limit"}
	wxMinuteQuota    = wxError{45011, "api minute-quota reach limit"}
	wxUnauthorized   = wxError{48001, "api unauthorized"}
)

// grant is what a user allowed to an account.
type grant struct {
	AppID    string
	UserID   string
	Scope    string
	Snapshot bool
	At       time.Time
	Used     bool // of codes
}

// openID returns the openid of a grant; that of a snapshot user belongs to
// nobody.
func (g *grant) openID() string {
	if g.Snapshot {
		return OpenID(g.AppID, "snapshot")
	}
	return OpenID(g.AppID, g.UserID)
}

// grants is a bounded list of grants by a secret name.
type grants struct {
	life  time.Duration
	all   map[string]*grant
	order []string
}

// login keeps codes and tokens. Safe for concurrent use.
type login struct {
	now func() time.Time

	mu        sync.Mutex // guards what follows
	codes     grants
	tokens    grants
	refreshes grants
}

// newLogin makes an empty login.
func newLogin(now func() time.Time) *login {
	return &login{
		now:       now,
		codes:     grants{life: codeLife, all: map[string]*grant{}},
		tokens:    grants{life: tokenLife, all: map[string]*grant{}},
		refreshes: grants{life: refreshLife, all: map[string]*grant{}},
	}
}

// put keeps a grant and forgets the oldest above the limit.
func (g *grants) put(name string, added grant) {
	g.all[name] = &added
	g.order = append(g.order, name)
	for len(g.order) > maxGrants {
		delete(g.all, g.order[0])
		g.order = g.order[1:]
	}
}

// find returns a grant and whether its time is over.
func (g *grants) find(name string, now time.Time) (found *grant, expired bool) {
	found = g.all[name]
	return found, found != nil && now.Sub(found.At) >= g.life
}

// addCode keeps a new code.
func (l *login) addCode(code string, g grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g.At = l.now()
	l.codes.put(code, g)
}

// useCode takes a code, once.
func (l *login) useCode(appID, code string) (grant, *wxError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, expired := l.codes.find(code, l.now())
	switch {
	case g == nil || g.AppID != appID:
		return grant{}, &wxInvalidCode
	case g.Used:
		return grant{}, &wxCodeUsed
	case expired:
		return grant{}, &wxCodeExpired
	}
	g.Used = true
	return *g, nil
}

// issue keeps a token pair for a grant.
func (l *login) issue(token, refresh string, g grant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g.At = l.now()
	l.tokens.put(token, g)
	if refresh != "" {
		l.refreshes.put(refresh, g)
	}
}

// byToken finds the grant of an access token.
func (l *login) byToken(token string) (grant, *wxError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, expired := l.tokens.find(token, l.now())
	switch {
	case g == nil:
		return grant{}, &wxInvalidToken
	case expired:
		return grant{}, &wxTokenExpired
	}
	return *g, nil
}

// byRefresh finds the grant of a refresh token.
func (l *login) byRefresh(appID, refresh string) (grant, *wxError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g, expired := l.refreshes.find(refresh, l.now())
	switch {
	case g == nil || g.AppID != appID:
		return grant{}, &wxInvalidRefresh
	case expired:
		return grant{}, &wxRefreshExpired
	}
	return *g, nil
}

// tokenReply is the answer to a code or a refresh token.
type tokenReply struct {
	AccessToken    string `json:"access_token"`
	ExpiresIn      int    `json:"expires_in"`
	RefreshToken   string `json:"refresh_token"`
	OpenID         string `json:"openid"`
	Scope          string `json:"scope"`
	UnionID        string `json:"unionid,omitempty"`
	IsSnapshotUser int    `json:"is_snapshotuser,omitempty"`
}

// userReply is the answer to /sns/userinfo. Since 2021 sex and region are
// empty (oauth.md 3).
type userReply struct {
	OpenID     string   `json:"openid"`
	Nickname   string   `json:"nickname"`
	Sex        int      `json:"sex"`
	Language   string   `json:"language"`
	City       string   `json:"city"`
	Province   string   `json:"province"`
	Country    string   `json:"country"`
	HeadImgURL string   `json:"headimgurl"`
	Privilege  []string `json:"privilege"`
	UnionID    string   `json:"unionid,omitempty"`
}

// writeWX answers as the calls of web authorisation do: JSON that says it is
// text.
func (s *Sandbox) writeWX(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "text/plain")
	s.writeErrcode(w, v)
}

// writeErrcode answers as api.weixin.qq.com does, errors with HTTP 200.
func (s *Sandbox) writeErrcode(w http.ResponseWriter, v any) {
	if wrong, ok := v.(*wxError); ok && wrong.Code != 0 {
		v = wxError{wrong.Code, wrong.Message + ", rid: sandbox-" + s.randomHex(8)}
	}
	body, err := json.Marshal(v)
	if err != nil {
		s.fail(w, "answer", err)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // a client that left is not our error
}

// oauthFault plays a fault of the calls. It reports whether the call is over.
func (s *Sandbox) oauthFault(w http.ResponseWriter, r *http.Request) bool {
	f := s.faults.take(oauthFaults, "")
	if f == nil {
		return false
	}
	switch f.Name {
	case faultOAuthBusy:
		s.writeWX(w, &wxBusy)
	case faultOAuthQuota:
		s.writeWX(w, &wxDailyQuota)
	case faultOAuthRate:
		s.writeWX(w, &wxMinuteQuota)
	case faultOAuth500:
		http.Error(w, "SANDBOX: out of order on request", http.StatusInternalServerError)
	case faultOAuthCut:
		cut()
	case faultOAuthSlow:
		return !s.hold(r.Context(), f.wait(standardSlow))
	}
	return true
}

// serveAccessToken answers GET /sns/oauth2/access_token.
func (s *Sandbox) serveAccessToken(w http.ResponseWriter, r *http.Request) {
	if s.oauthFault(w, r) {
		return
	}
	query := r.URL.Query()
	if wrong := s.checkAccount(query); wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	if query.Get("code") == "" {
		s.writeWX(w, &wxNoCode)
		return
	}
	if query.Get("grant_type") != "authorization_code" {
		s.writeWX(w, &wxInvalidGrant)
		return
	}
	g, wrong := s.login.useCode(query.Get("appid"), query.Get("code"))
	if wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	refresh := "SANDBOX_REFRESH_" + s.randomHex(24)
	s.sendToken(w, g, refresh, true)
}

// serveRefreshToken answers GET /sns/oauth2/refresh_token.
func (s *Sandbox) serveRefreshToken(w http.ResponseWriter, r *http.Request) {
	if s.oauthFault(w, r) {
		return
	}
	query := r.URL.Query()
	var wrong *wxError
	switch {
	case query.Get("appid") == "":
		wrong = &wxNoAppID
	case s.directory.accounts[query.Get("appid")] == nil:
		wrong = &wxInvalidAppID
	case query.Get("grant_type") != "refresh_token":
		wrong = &wxInvalidGrant
	case query.Get("refresh_token") == "":
		wrong = &wxNoRefresh
	}
	var g grant
	if wrong == nil {
		g, wrong = s.login.byRefresh(query.Get("appid"), query.Get("refresh_token"))
	}
	if wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	s.sendToken(w, g, query.Get("refresh_token"), false)
}

// sendToken issues an access token. The reply to a code names the unionid
// and the refresh token is new.
func (s *Sandbox) sendToken(w http.ResponseWriter, g grant, refresh string, first bool) {
	token := "SANDBOX_TOKEN_" + s.randomHex(24)
	reply := tokenReply{
		AccessToken: token, ExpiresIn: int(tokenLife / time.Second), RefreshToken: refresh,
		OpenID: g.openID(), Scope: g.Scope,
	}
	if first && g.Scope != scopeBase && !g.Snapshot {
		reply.UnionID = unionID(g.UserID)
	}
	if g.Snapshot {
		reply.IsSnapshotUser = 1
	}
	issued := ""
	if first {
		issued = refresh
	}
	s.login.issue(token, issued, g)
	s.writeWX(w, reply)
}

// checkAccount checks appid and secret.
func (s *Sandbox) checkAccount(query url.Values) *wxError {
	switch account := s.directory.accounts[query.Get("appid")]; {
	case query.Get("appid") == "":
		return &wxNoAppID
	case account == nil:
		return &wxInvalidAppID
	case query.Get("secret") == "":
		return &wxNoSecret
	case subtle.ConstantTimeCompare([]byte(query.Get("secret")), []byte(account.Secret)) != 1:
		return &wxInvalidSecret
	}
	return nil
}

// tokenOf checks access_token and openid of a call.
func (s *Sandbox) tokenOf(query url.Values) (grant, *wxError) {
	switch {
	case query.Get("access_token") == "":
		return grant{}, &wxNoToken
	case query.Get("openid") == "":
		return grant{}, &wxNoOpenID
	}
	g, wrong := s.login.byToken(query.Get("access_token"))
	if wrong == nil && g.openID() != query.Get("openid") {
		wrong = &wxInvalidOpenID
	}
	return g, wrong
}

// serveUserInfo answers GET /sns/userinfo.
func (s *Sandbox) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	if s.oauthFault(w, r) {
		return
	}
	g, wrong := s.tokenOf(r.URL.Query())
	if wrong == nil && g.Scope == scopeBase {
		wrong = &wxUnauthorized
	}
	if wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	reply := userReply{OpenID: g.openID(), Nickname: "微信用户", Privilege: []string{}}
	if who, ok := userByID(g.UserID); ok && !g.Snapshot {
		reply.Nickname, reply.UnionID = who.Name, unionID(who.ID)
		reply.HeadImgURL = originOf(r) + facePath + who.ID + "/132"
	}
	s.writeWX(w, reply)
}

// serveAuth answers GET /sns/auth: whether a token is still good.
func (s *Sandbox) serveAuth(w http.ResponseWriter, r *http.Request) {
	if s.oauthFault(w, r) {
		return
	}
	if _, wrong := s.tokenOf(r.URL.Query()); wrong != nil {
		s.writeWX(w, wrong)
		return
	}
	s.writeWX(w, &wxError{0, "ok"})
}
