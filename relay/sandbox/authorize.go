package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// The scopes of web authorisation.
const (
	scopeBase     = "snsapi_base"
	scopeUserInfo = "snsapi_userinfo"
	scopeLogin    = "snsapi_login"
)

var stateForm = regexp.MustCompile(`^[0-9A-Za-z]{0,128}$`)

// authorization is a checked request for a code.
type authorization struct {
	AppID       string
	RedirectURI *url.URL
	Scope       string
	State       string
	HasState    bool
	Snapshot    bool // forceSnapShot: play a snapshot user
}

// authorizeError is what WeChat's page says instead of asking the user
// (oauth.md 2).
type authorizeError struct {
	Number  int // 0 where WeChat has none
	Message string
}

// Error is the message.
func (e *authorizeError) Error() string { return e.Message }

// parseAuthorization checks the query of an authorisation page. The order of
// the parameters is part of WeChat's rule.
func (s *Sandbox) parseAuthorization(rawQuery string, scan bool) (*authorization, error) {
	names, values, err := orderedQuery(rawQuery)
	if err != nil {
		return nil, err
	}
	required := map[string]*authorizeError{
		"appid":        {10012, "appid 参数为空 (appid is empty)"},
		"redirect_uri": {10011, "redirect_uri 参数为空 (redirect_uri is empty)"},
		"scope":        {10010, "scope 参数为空 (scope is empty)"},
	}
	for _, name := range []string{"appid", "redirect_uri", "scope"} {
		if values[name] == "" {
			return nil, required[name]
		}
	}
	if issue := orderIssue(names, scan); issue != "" {
		return nil, &authorizeError{Message: issue}
	}
	if values["response_type"] != "code" {
		return nil, &authorizeError{Message: "response_type 须为 code (response_type must be code)"}
	}
	a := &authorization{AppID: values["appid"], Scope: values["scope"], State: values["state"], Snapshot: values["forceSnapShot"] == "true"}
	a.HasState = slices.Contains(names, "state")
	if !stateForm.MatchString(a.State) {
		return nil, &authorizeError{Message: "state 须为最多128个字母和数字 (state must be at most 128 letters and digits)"}
	}
	return a, s.checkAuthorization(a, values["redirect_uri"], scan)
}

// checkAuthorization checks account, scope and address.
func (s *Sandbox) checkAuthorization(a *authorization, redirectURI string, scan bool) error {
	account := s.directory.accounts[a.AppID]
	if account == nil {
		return &authorizeError{Message: "appid 错误 (the sandbox has no such account; see /sandbox/credentials)"}
	}
	// Pages inside WeChat belong to official accounts, codes to scan to
	// website applications (oauth.md 2).
	kind := OfficialAccount
	if scan {
		kind = WebsiteApp
	}
	if account.Kind != "" && account.Kind != kind {
		return &authorizeError{10005, "该账号没有网页授权权限 (accounts of this kind do not log in by this page)"}
	}
	userInfo := a.Scope == scopeUserInfo && !account.BaseOnly
	if scan && a.Scope != scopeLogin || !scan && a.Scope != scopeBase && !userInfo {
		return &authorizeError{10005, "Scope 参数错误或没有 Scope 权限 (wrong scope, or no permission for it)"}
	}
	target, err := url.Parse(redirectURI)
	if err != nil || (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" || target.User != nil ||
		strings.ContainsFunc(redirectURI, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '\\' }) {
		return &authorizeError{10003, "redirect_uri 域名与后台配置不一致 (redirect_uri is not a full http or https address)"}
	}
	if len(account.RedirectHosts) > 0 && !slices.Contains(account.RedirectHosts, strings.ToLower(target.Host)) {
		return &authorizeError{10003, "redirect_uri 域名与后台配置不一致 (the host of redirect_uri is not registered)"}
	}
	a.RedirectURI = target
	return nil
}

// orderedQuery decodes a query and keeps the order of its names. A name that
// occurs twice, and escapes that do not decode, are refused.
func orderedQuery(rawQuery string) ([]string, map[string]string, error) {
	var names []string
	values := map[string]string{}
	for pair := range strings.SplitSeq(rawQuery, "&") {
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, nil, &authorizeError{Message: "参数编码错误 (a name is badly escaped)"}
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, nil, &authorizeError{Message: "参数编码错误 (a value is badly escaped)"}
		}
		if slices.Contains(names, name) {
			return nil, nil, &authorizeError{Message: "参数重复 (a parameter occurs twice)"}
		}
		names = append(names, name)
		values[name] = value
	}
	return names, values, nil
}

// orderIssue says what is wrong with the names and their order (oauth.md 2).
func orderIssue(names []string, scan bool) string {
	order := []string{"appid", "redirect_uri", "response_type", "scope", "state"}
	if !scan {
		order = append(order, "forcePopup", "forceSnapShot")
	}
	last := -1
	for _, name := range names {
		at := slices.Index(order, name)
		switch {
		case at < 0:
			return "未知参数 (a parameter is unknown; an escaped redirect_uri keeps its own inside)"
		case at < last:
			return "参数顺序错误 (wrong order: appid, redirect_uri, response_type, scope, state)"
		}
		last = at
	}
	return ""
}

// consentPage is what the consent page shows.
type consentPage struct {
	Assets string
	Query  string // of the authorisation page, to be checked again
	AppID  string
	Host   string // where the user will be sent
	Users  []user
	User   string // current one
}

// serveAuthorize answers /connect/oauth2/authorize. WeChat's page opens in
// WeChat alone; this one opens in every browser, so that a demo needs no
// phone, and plays the refusal on request.
func (s *Sandbox) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	if s.faults.happens(faultOAuthOutside) != nil {
		s.renderMessage(w, r, http.StatusOK, "请在微信客户端打开链接 (open this link in WeChat)")
		return
	}
	a, err := s.parseAuthorization(r.URL.RawQuery, false)
	if err != nil {
		s.renderAuthorizeError(w, r, err)
		return
	}
	current := currentUser(r)
	if a.Scope == scopeBase {
		s.sendCode(w, r, a, current)
		return
	}
	s.pages.RenderWith(w, r, http.StatusOK, "consent.html", consentPage{
		Assets: assetsPath, Query: r.URL.RawQuery, AppID: a.AppID, Host: a.RedirectURI.Host,
		Users: testUsers, User: current.ID,
	}, anySite)
}

// anySite lets the form of a page lead anywhere: who asked may send the
// browser on to a site that the sandbox has not heard of, and browsers check
// each hop of a form's way against the page's policy.
const anySite = "http: https:"

// serveConsent takes the user's decision from the consent page.
func (s *Sandbox) serveConsent(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		s.renderMessage(w, r, http.StatusBadRequest, "the form is malformed")
		return
	}
	a, err := s.parseAuthorization(r.PostForm.Get("query"), r.PostForm.Get("scan") == "true")
	if err != nil {
		s.renderAuthorizeError(w, r, err)
		return
	}
	if r.PostForm.Get("decision") != "allow" {
		redirect(w, r, a, "")
		return
	}
	who, ok := userByID(r.PostForm.Get("user"))
	if !ok {
		s.renderMessage(w, r, http.StatusBadRequest, "there is no such user")
		return
	}
	setCurrentUser(w, r, who)
	s.sendCode(w, r, a, who)
}

// sendCode makes a code and sends the browser back with it.
func (s *Sandbox) sendCode(w http.ResponseWriter, r *http.Request, a *authorization, who user) {
	redirect(w, r, a, s.newCode(a, who))
}

// newCode makes a code for what a user allowed; that of a snapshot user when
// the page asks for it, as WeChat's parameter for tests does, or on request.
// A limited view that was once opened answers silent logins too; codes to scan
// know none.
func (s *Sandbox) newCode(a *authorization, who user) string {
	snapshot := a.Scope == scopeUserInfo && a.Snapshot || a.Scope != scopeLogin && s.faults.happens(faultOAuthSnapshot) != nil
	code := "SANDBOX" + s.randomHex(12)
	s.login.addCode(code, grant{AppID: a.AppID, UserID: who.ID, Scope: a.Scope, Snapshot: snapshot})
	return code
}

// redirect sends the browser to the address of the request; without a code
// after a refusal.
func redirect(w http.ResponseWriter, r *http.Request, a *authorization, code string) {
	target := *a.RedirectURI
	var added []string
	if code != "" {
		added = append(added, "code="+code)
	}
	if a.HasState || code != "" {
		added = append(added, "state="+a.State)
	}
	if target.RawQuery != "" {
		added = append([]string{target.RawQuery}, added...)
	}
	target.RawQuery = strings.Join(added, "&")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	http.Redirect(w, r, target.String(), http.StatusFound) //nolint:gosec // sending browsers to the checked address is what it plays
}

// renderAuthorizeError shows WeChat's error page.
func (s *Sandbox) renderAuthorizeError(w http.ResponseWriter, r *http.Request, err error) {
	page := messagePage{Assets: assetsPath, Text: err.Error()}
	if known, ok := errors.AsType[*authorizeError](err); ok {
		page.Number = known.Number
	}
	// WeChat's page is a 200; a sandbox helps scripts more with a 400.
	s.pages.Render(w, r, http.StatusBadRequest, "message.html", page)
}
