package sandbox

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// authorizeQuery is a well-formed query in WeChat's order.
func authorizeQuery(scope, state string) string {
	return "appid=" + DefaultAppID + "&redirect_uri=" + url.QueryEscape("http://127.0.0.1/wechat/callback?a=b") +
		"&response_type=code&scope=" + scope + "&state=" + state
}

// locationOf parses where an answer leads.
func locationOf(t *testing.T, w *httptest.ResponseRecorder) *url.URL {
	t.Helper()
	mustStatus(t, w, http.StatusFound)
	target, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		t.Fatalf("Location: %v", err)
	}
	return target
}

func TestSilentLogin(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	w := get(s, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "State123"))
	target := locationOf(t, w)
	if target.Host != "127.0.0.1" || target.Path != "/wechat/callback" {
		t.Errorf("leads to %s", target)
	}
	query := target.Query()
	if query.Get("a") != "b" || query.Get("state") != "State123" || !strings.HasPrefix(query.Get("code"), "SANDBOX") {
		t.Errorf("query = %s, want its own, code and state", target.RawQuery)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Error("the answer may be cached")
	}
}

func TestSilentLoginOfWhoHoldsThePhone(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for cookie, want := range map[string]string{"": "ming", "ada": "ada", "nobody": "ming"} {
		r := httptest.NewRequest(http.MethodGet, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "s"), nil)
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: userCookie, Value: cookie})
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		g, wrong := s.login.useCode(DefaultAppID, locationOf(t, w).Query().Get("code"))
		if wrong != nil || g.UserID != want {
			t.Errorf("cookie %q: code of %q, %v, want %q", cookie, g.UserID, wrong, want)
		}
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Accounts: []Account{
		{AppID: "wx0000000000000002", Secret: "SANDBOX2", RedirectHosts: []string{"pay.example.com"}, BaseOnly: true},
	}})
	good := authorizeQuery(scopeBase, "s")
	registered := strings.NewReplacer(DefaultAppID, "wx0000000000000002", "127.0.0.1", "pay.example.com").Replace(good)
	replace := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	tests := map[string]struct {
		query string
		words string
	}{
		"empty":                {"", "10012"},
		"no appid":             {replace("appid="+DefaultAppID+"&", ""), "10012"},
		"no redirect_uri":      {"appid=" + DefaultAppID + "&response_type=code&scope=snsapi_base", "10011"},
		"no scope":             {replace("&scope=snsapi_base", ""), "10010"},
		"other order":          {"redirect_uri=http%3A%2F%2F127.0.0.1%2F&appid=" + DefaultAppID + "&response_type=code&scope=snsapi_base", "order"},
		"state first":          {"state=s&" + strings.TrimSuffix(good, "&state=s"), "order"},
		"unescaped address":    {"appid=" + DefaultAppID + "&redirect_uri=http://127.0.0.1/?a=b&c=d&response_type=code&scope=snsapi_base", "unknown"},
		"twice":                {good + "&state=s", "twice"},
		"bad escape":           {replace("%2F", "%2"), "escaped"},
		"other response_type":  {replace("=code", "=token"), "response_type"},
		"unknown appid":        {replace(DefaultAppID, "wx404"), "no such account"},
		"unknown scope":        {replace("snsapi_base", "snsapi_all"), "10005"},
		"scope of another way": {replace("snsapi_base", scopeLogin), "10005"},
		"scope not allowed":    {strings.Replace(registered, "snsapi_base", scopeUserInfo, 1), "10005"},
		"state with a dash":    {good + "-", "state"},
		"state of 129":         {replace("state=s", "state="+strings.Repeat("s", 129)), "state"},
		"relative address":     {replace("http%3A%2F%2F127.0.0.1", ""), "10003"},
		"other scheme":         {replace("http%3A", "javascript%3A"), "10003"},
		"user information":     {replace("127.0.0.1", "good%40127.0.0.1"), "10003"},
		"backslash":            {replace("127.0.0.1%2F", "evil.example%5C%40127.0.0.1%2F"), "10003"},
		"line break":           {replace("127.0.0.1%2F", "127.0.0.1%2F%0d%0a"), "10003"},
		"other host":           {strings.Replace(registered, "pay.example.com", "evil.example.com", 1), "10003"},
		"prefix of the host":   {strings.Replace(registered, "pay.example.com", "pay.example.com.evil.example", 1), "10003"},
		"other port":           {strings.Replace(registered, "pay.example.com", "pay.example.com%3A8443", 1), "10003"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(s, "/connect/oauth2/authorize?"+test.query)
			mustStatus(t, w, http.StatusBadRequest)
			if !strings.Contains(w.Body.String(), test.words) || w.Header().Get("Location") != "" {
				t.Errorf("page does not say %q, or leads away to %q", test.words, w.Header().Get("Location"))
			}
		})
	}
	locationOf(t, get(s, "/connect/oauth2/authorize?"+registered))
}

func TestStateIsOptional(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for _, query := range []string{
		strings.TrimSuffix(authorizeQuery(scopeBase, ""), "&state="),
		authorizeQuery(scopeBase, ""),
		authorizeQuery(scopeBase, strings.Repeat("s", 128)),
		authorizeQuery(scopeBase, "s") + "&forcePopup=true&forceSnapShot=false",
	} {
		locationOf(t, get(s, "/connect/oauth2/authorize?"+query))
	}
}

// consent decides on the consent page of a query.
func consent(t *testing.T, s *Sandbox, query string, scan bool, decision, who string) *httptest.ResponseRecorder {
	t.Helper()
	form := url.Values{"query": {query}, "decision": {decision}, "user": {who}}
	if scan {
		form.Set("scan", "true")
	}
	r := httptest.NewRequest(http.MethodPost, "/sandbox/consent", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func TestConsent(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	query := authorizeQuery(scopeUserInfo, "s1")
	page := get(s, "/connect/oauth2/authorize?"+query)
	mustStatus(t, page, http.StatusOK)
	if policy := page.Header().Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' http: https:;") {
		t.Errorf("policy = %q, want one that lets the form lead back", policy)
	}
	for _, who := range testUsers {
		if !strings.Contains(page.Body.String(), who.Name) {
			t.Errorf("the page does not offer %s", who.Name)
		}
	}

	allowed := consent(t, s, query, false, "allow", "hong")
	if g, wrong := s.login.useCode(DefaultAppID, locationOf(t, allowed).Query().Get("code")); wrong != nil || g.UserID != "hong" || g.Scope != scopeUserInfo {
		t.Errorf("grant = %+v, %v", g, wrong)
	}
	if cookies := allowed.Result().Cookies(); len(cookies) != 1 || cookies[0].Value != "hong" {
		t.Errorf("cookies = %v, want the choice to be remembered", cookies)
	}

	refused := locationOf(t, consent(t, s, query, false, "refuse", "hong")).Query()
	if refused.Get("state") != "s1" || refused.Has("code") {
		t.Errorf("after a refusal the query is %v, want the state alone", refused)
	}
	mustStatus(t, consent(t, s, query, false, "allow", "nobody"), http.StatusBadRequest)
	mustStatus(t, consent(t, s, "a=b", false, "allow", "hong"), http.StatusBadRequest)
}

func TestScanLogin(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	query := websiteQuery("s")
	mustStatus(t, get(s, "/connect/qrconnect?"+query), http.StatusOK)
	mustStatus(t, get(s, "/connect/qrconnect?"+strings.Replace(query, scopeLogin, scopeBase, 1)), http.StatusBadRequest)
	if code := locationOf(t, consent(t, s, query, true, "allow", "ming")).Query().Get("code"); code == "" {
		t.Error("no code came back")
	}
	mustStatus(t, consent(t, s, query, false, "allow", "ming"), http.StatusBadRequest)
}

func TestOutsideWeChat(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"oauth_outside"}`), http.StatusOK)
	w := get(s, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "s"))
	mustStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), "请在微信客户端打开链接") {
		t.Errorf("page = %s", w.Body)
	}
	locationOf(t, get(s, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "s")))
}

// A redirect target is never taken from what does not parse back to itself.
func FuzzParseAuthorization(f *testing.F) {
	f.Add(authorizeQuery(scopeBase, "s"))
	f.Add("appid=wx8888888888888888&redirect_uri=%2F%2Fevil&response_type=code&scope=snsapi_base")
	s, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, rawQuery string) {
		a, err := s.parseAuthorization(rawQuery, false)
		if err != nil {
			return
		}
		target := a.RedirectURI
		if (target.Scheme != "http" && target.Scheme != "https") || target.Host == "" || target.User != nil || !stateForm.MatchString(a.State) {
			t.Errorf("took %q", rawQuery)
		}
	})
}

// Pages inside WeChat belong to official accounts, codes to scan to website
// applications; an account of no kind is both.
func TestLoginAndKindsOfAccounts(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Accounts: []Account{{AppID: "wx0000000000000001", Secret: "x"}}})
	for appID, want := range map[string][2]int{ // inside WeChat, by scanning
		DefaultAppID:            {http.StatusFound, http.StatusBadRequest},
		DefaultWebsiteAppID:     {http.StatusBadRequest, http.StatusOK},
		DefaultMiniProgramAppID: {http.StatusBadRequest, http.StatusBadRequest},
		DefaultMobileAppID:      {http.StatusBadRequest, http.StatusBadRequest},
		"wx0000000000000001":    {http.StatusFound, http.StatusOK},
	} {
		of := func(scope string) string { return strings.Replace(authorizeQuery(scope, "s"), DefaultAppID, appID, 1) }
		if w := get(s, "/connect/oauth2/authorize?"+of(scopeBase)); w.Code != want[0] {
			t.Errorf("%s inside WeChat: %d, want %d", appID, w.Code, want[0])
		}
		if w := get(s, "/connect/qrconnect?"+of(scopeLogin)); w.Code != want[1] {
			t.Errorf("%s by scanning: %d, want %d", appID, w.Code, want[1])
		}
	}
}
