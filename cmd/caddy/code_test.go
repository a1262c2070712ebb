package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// connectAt is WeChat's own address of a login, at the relay.
func (s *server) connectAt(page, clientID, redirectURI, scope, more string) string {
	return s.url + "/connect/" + page + "?appid=" + clientID + "&redirect_uri=" + url.QueryEscape(redirectURI) +
		"&response_type=code&scope=" + scope + more + "#wechat_redirect"
}

// snsJSON is all that WeChat's own calls answer.
type snsJSON struct {
	ErrCode      int       `json:"errcode"`
	ErrMsg       string    `json:"errmsg"`
	AccessToken  string    `json:"access_token"`
	ExpiresIn    int       `json:"expires_in"`
	RefreshToken string    `json:"refresh_token"`
	OpenID       string    `json:"openid"`
	Scope        string    `json:"scope"`
	UnionID      string    `json:"unionid"`
	Nickname     string    `json:"nickname"`
	Sex          *int      `json:"sex"`
	AvatarURL    string    `json:"headimgurl"`
	Privilege    *[]string `json:"privilege"`
}

// trySNS makes a call of WeChat's own at the relay.
func (s *server) trySNS(t *testing.T, call string, params ...string) (snsJSON, error) {
	t.Helper()
	query := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	a, err := fetch(t.Context(), s.http, s.url+"/sns/"+call+"?"+query.Encode(), "site/1")
	if err != nil {
		return snsJSON{}, err
	}
	var reply snsJSON
	if err := json.Unmarshal(a.body, &reply); err != nil || a.status != http.StatusOK {
		return snsJSON{}, fmt.Errorf("%s = %s, %w", call, a, err)
	}
	return reply, nil
}

func (s *server) sns(t *testing.T, call string, params ...string) snsJSON {
	t.Helper()
	reply, err := s.trySNS(t, call, params...)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func (s *server) exchange(t *testing.T, code string) snsJSON {
	t.Helper()
	return s.sns(t, "oauth2/access_token", "appid", shopID, "secret", shopSecret, "code", code, "grant_type", "authorization_code")
}

func (s *server) checked(t *testing.T, token, openID string) int {
	t.Helper()
	return s.sns(t, "auth", "access_token", token, "openid", openID).ErrCode
}

// codeOf logs a visitor in silently and returns the code.
func (v *visitor) codeOf(t *testing.T) string {
	t.Helper()
	return param(t, v.leads(t, v.silently(t, v.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_base", "&state=s1"))), shopBack+"?", "code")
}

// TestCodeRelay is a site that speaks to WeChat and changed the host, its id
// and its secret.
func TestCodeRelay(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)

	back := v.leads(t, v.silently(t, s.url+"/connect/oauth2/authorize?state=s1&connect_redirect=1&scope=snsapi_base&response_type=code&redirect_uri="+
		url.QueryEscape(shopBack)+"&forcePopup=true&appid="+shopID))
	code := param(t, back, shopBack, "code")
	if back != shopBack+"?code="+code+"&state=s1" {
		t.Errorf("the site is called at %q", back)
	}
	silent := s.exchange(t, code)
	if silent.AccessToken == "" || silent.ExpiresIn != 7200 || silent.RefreshToken == "" || silent.OpenID == "" || silent.Scope != "snsapi_base" || silent.UnionID != "" {
		t.Errorf("silently: %+v", silent)
	}
	if got := s.sns(t, "userinfo", "access_token", silent.AccessToken, "openid", silent.OpenID); got.ErrCode != 48001 {
		t.Errorf("user info after a silent login = %+v", got)
	}
	if back := v.leads(t, v.silently(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_base", ""))); strings.Contains(back, "state") {
		t.Errorf("without a state the site is called at %q", back)
	}

	page := v.leads(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_userinfo", "&state=s2"))
	asked := s.exchange(t, param(t, v.leads(t, v.consents(t, page, "allow", "ada")), shopBack, "code"))
	user := s.sns(t, "userinfo", "access_token", asked.AccessToken, "openid", asked.OpenID, "lang", "zh_CN")
	if user.OpenID != asked.OpenID || user.Nickname != "Ada" || user.Sex == nil || user.AvatarURL == "" || user.Privilege == nil || user.UnionID == "" || user.UnionID != asked.UnionID {
		t.Errorf("with consent: %+v, %+v", asked, user)
	}
	again := s.sns(t, "oauth2/refresh_token", "appid", shopID, "grant_type", "refresh_token", "refresh_token", asked.RefreshToken)
	if again.AccessToken == "" || again.AccessToken == asked.AccessToken || again.RefreshToken != asked.RefreshToken || again.OpenID != asked.OpenID {
		t.Errorf("refreshed: %+v", again)
	}
	for _, token := range []string{asked.AccessToken, again.AccessToken} {
		if got := s.checked(t, token, asked.OpenID); got != 0 {
			t.Errorf("check = %d", got)
		}
	}

	desk := s.visitor(t, desktopAgent)
	page = desk.leads(t, s.connectAt("qrconnect", shopID, shopBack, "snsapi_login", "&state=s3"))
	scanned := s.exchange(t, param(t, desk.leads(t, desk.consents(t, page, "allow", "ada")), shopBack, "code"))
	if scanned.Scope != "snsapi_login" || scanned.OpenID != sandbox.OpenID(sandbox.DefaultWebsiteAppID, "ada") || scanned.UnionID != asked.UnionID {
		t.Errorf("on a desktop: %+v", scanned)
	}
	a := desk.open(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_base", "&state=s4"))
	checkPage(t, a, http.StatusOK)
	if !strings.Contains(string(a.body), `data-state="login_desktop"`) {
		t.Errorf("the official account's page on a desktop = %s", a)
	}

	// As from WeChat, the site of somebody who says no gets its state alone.
	page = v.leads(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_userinfo", "&state=s5"))
	if to := v.leads(t, v.consents(t, page, "refuse", "ada")); to != shopBack+"?state=s5" {
		t.Errorf("after a refusal: %q", to)
	}
}

// TestCodeTargets: WeChat's own addresses lead nowhere else than /login does.
func TestCodeTargets_D01_D02_D03_D04_D05_D07_D08_D09_D10_D11(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)
	for page, scope := range map[string]string{"oauth2/authorize": "snsapi_base", "qrconnect": "snsapi_login"} {
		for _, target := range wrongBacks() {
			a := v.open(t, s.connectAt(page, shopID, target, scope, "&state=s"))
			if a.status/100 != 4 || a.header.Get("Location") != "" || strings.Contains(string(a.body), "evil.example") {
				t.Errorf("%s to %q = %d to %q, want a page", page, target, a.status, a.header.Get("Location"))
			}
		}
		unknown := v.open(t, s.connectAt(page, "9999999999999999", shopBack, scope, "&state=s"))
		other := v.open(t, s.connectAt(page, shopID, otherBack, scope, "&state=s"))
		if unknown.status != http.StatusForbidden || other.status != unknown.status || detail(unknown) != detail(other) {
			t.Errorf("%s: an unknown site is told from an unknown address: %q, %q", page, detail(unknown), detail(other))
		}
		for _, more := range []string{"&redirect_uri=https%3A%2F%2Fevil.example", "&appid=" + otherID, "&state=a&state=b", "&response_type=token"} {
			if a := v.open(t, s.connectAt(page, shopID, shopBack, scope, more)); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
				t.Errorf("%s with %s = %d to %q, want a page", page, more, a.status, a.header.Get("Location"))
			}
		}
	}
	for _, state := range []string{"a&b=c#d", "\r\n\x00\xff", "测 试+%2B", strings.Repeat("é", 1024)} { // E25
		start := v.leads(t, s.connectAt("oauth2/authorize", shopID, oddBack, "snsapi_base", "&state="+url.QueryEscape(state)))
		_, sent, _ := strings.Cut(v.leads(t, v.leads(t, start)), "&state=")
		if got, err := url.QueryUnescape(sent); err != nil || got != state {
			t.Errorf("state %q came back as %q", state, sent)
		}
	}
}

// TestCodeOnce_E08_E09_E10: a code is worth one token, to its own client.
func TestCodeOnce_E08_E09_E10(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	v := s.visitor(t, wechatAgent)

	code := v.codeOf(t)
	foreign := s.sns(t, "oauth2/access_token", "appid", otherID, "secret", otherSecret, "code", code, "grant_type", "authorization_code")
	unknown := s.sns(t, "oauth2/access_token", "appid", otherID, "secret", otherSecret, "code", "x"+code, "grant_type", "authorization_code")
	if foreign.ErrCode != 40029 || unknown.ErrCode != 40029 || wordsOf(foreign) != wordsOf(unknown) {
		t.Errorf("another client's code = %+v, an unknown one = %+v", foreign, unknown)
	}
	var won, lost atomic.Int32
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			reply, err := s.trySNS(t, "oauth2/access_token", "appid", shopID, "secret", shopSecret, "code", code, "grant_type", "authorization_code")
			switch {
			case err == nil && reply.AccessToken != "":
				won.Add(1)
			case err == nil && reply.ErrCode == 40163:
				lost.Add(1)
			default:
				t.Errorf("a redemption = %+v, %v", reply, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || lost.Load() != 49 {
		t.Errorf("%d of 50 redeemed the code, %d were told that it is used", won.Load(), lost.Load())
	}

	code = v.codeOf(t)
	token := s.exchange(t, code)
	for cut := 1; cut <= 4; cut++ {
		if got := s.checked(t, token.AccessToken[:len(token.AccessToken)-cut], token.OpenID); got != 40001 {
			t.Errorf("a token cut by %d = %d, want 40001", cut, got)
		}
	}
	if got := s.checked(t, token.AccessToken, token.OpenID+"x"); got != 40003 {
		t.Errorf("another openid = %d, want 40003", got)
	}
	if got := s.checked(t, token.AccessToken, token.OpenID); got != 0 {
		t.Errorf("the token = %d, want 0", got)
	}
	if got := s.exchange(t, code); got.ErrCode != 40163 || got.AccessToken != "" {
		t.Errorf("the code again = %+v, want 40163", got)
	}
	if got := s.checked(t, token.AccessToken, token.OpenID); got != 40001 {
		t.Errorf("the token after the replay = %d, want 40001", got)
	}
	if got := s.sns(t, "oauth2/refresh_token", "appid", shopID, "grant_type", "refresh_token", "refresh_token", token.RefreshToken); got.ErrCode != 40030 {
		t.Errorf("refresh after the replay = %+v, want 40030", got)
	}
}

// wordsOf is what a refusal says, without the request's id.
func wordsOf(reply snsJSON) string {
	words, _, _ := strings.Cut(reply.ErrMsg, ", rid: ")
	return words
}

// TestCodeCallers_C01_C17: who calls is told nothing about who exists, and a
// call that is not WeChat's form uses nothing up.
func TestCodeCallers_C01_C17(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	code := s.visitor(t, wechatAgent).codeOf(t)
	good := map[string]string{"appid": shopID, "secret": shopSecret, "code": code, "grant_type": "authorization_code"}
	with := func(change map[string]string) (params []string) {
		all := maps.Clone(good)
		maps.Copy(all, change)
		for name, value := range all {
			params = append(params, name, value)
		}
		return params
	}
	wrong := s.sns(t, "oauth2/access_token", with(map[string]string{"secret": otherSecret})...)
	unknown := s.sns(t, "oauth2/access_token", with(map[string]string{"appid": "9999999999999999"})...)
	if wrong.ErrCode != 40125 || unknown.ErrCode != 40125 || wordsOf(wrong) != wordsOf(unknown) {
		t.Errorf("a wrong secret = %+v, an unknown client = %+v", wrong, unknown)
	}
	for name, want := range map[string]int{"appid": 41002, "secret": 41004, "code": 41008, "grant_type": 40002} {
		if got := s.sns(t, "oauth2/access_token", with(map[string]string{name: ""})...); got.ErrCode != want {
			t.Errorf("without %s = %+v, want %d", name, got, want)
		}
	}
	query := url.Values{"appid": {shopID}, "secret": {shopSecret}, "code": {code}, "grant_type": {"authorization_code"}}.Encode()
	for _, method := range []string{http.MethodHead, http.MethodPost} {
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+"/sns/oauth2/access_token?"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if a, err := send(s.http, r); err != nil || a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s = %v, %v", method, a, err)
		}
	}
	if got := s.exchange(t, code); got.ErrCode != 0 || got.AccessToken == "" {
		t.Errorf("the code after all that = %+v", got)
	}
}

// TestUserTokensLive_E10: a token outlives the process, and ends with its
// client.
func TestUserTokensLive_E10(t *testing.T) {
	t.Parallel()
	s := loginServer(t)
	token := s.exchange(t, s.visitor(t, wechatAgent).codeOf(t))
	s.kill()
	again := s.start(t)
	again.outliveReloads()
	if got := again.checked(t, token.AccessToken, token.OpenID); got != 0 {
		t.Errorf("after kill -9: %d, want 0", got)
	}
	refreshed := again.sns(t, "oauth2/refresh_token", "appid", shopID, "grant_type", "refresh_token", "refresh_token", token.RefreshToken)
	if refreshed.ErrCode != 0 {
		t.Errorf("refresh after kill -9: %+v", refreshed)
	}
	without := again.caddyfile(&setup{merchant: merchantKeys(t)})
	without = strings.Replace(without, shopID, "3000000000000003", 1)
	if a := again.reload(t, without); a.status != http.StatusOK {
		t.Fatalf("reload = %s", a)
	}
	if got := again.checked(t, refreshed.AccessToken, token.OpenID); got != 40001 {
		t.Errorf("without its client: %d, want 40001", got)
	}
}

// TestCodeLeavesNoTrace_H04: what WeChat's own calls carry in their addresses
// is in no log.
func TestCodeLeavesNoTrace_H04(t *testing.T) {
	t.Parallel()
	s := loginServer(t, func(su *setup) { su.global, su.site = "debug", "log" })
	v := s.visitor(t, wechatAgent)
	page := v.leads(t, s.connectAt("oauth2/authorize", shopID, shopBack, "snsapi_userinfo", "&state=MARKEDSTATE"))
	code := param(t, v.leads(t, v.consents(t, page, "allow", "ada")), shopBack, "code")
	token := s.exchange(t, code)
	s.sns(t, "userinfo", "access_token", token.AccessToken, "openid", token.OpenID)
	again := s.sns(t, "oauth2/refresh_token", "appid", shopID, "grant_type", "refresh_token", "refresh_token", token.RefreshToken)
	s.checked(t, again.AccessToken, "o-somebody-else-0000000000000")
	s.exchange(t, code)
	get(t, s.http, s.url+"/sns/auth?%61ccess_token="+again.AccessToken+"&%6fpenid="+token.OpenID, "site/1")
	get(t, s.http, s.url+"/elsewhere", desktopAgent)
	eventually(t, "the access log", func() error {
		if !strings.Contains(s.log.String(), "/elsewhere") {
			return fmt.Errorf("nothing is written")
		}
		return nil
	})
	for name, secret := range map[string]string{
		"site's state": "MARKEDSTATE", "code": code, "access token": token.AccessToken, "refreshed token": again.AccessToken, "refresh token": token.RefreshToken,
		"openid": token.OpenID, "client's secret": shopSecret, "nickname": `"Ada"`,
	} {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, secret) {
				t.Errorf("the log has the %s: %.300s", name, line)
			}
		}
	}
	a, err := s.administer(t.Context(), http.MethodGet, "/config/", "", "")
	if err != nil || a.status != http.StatusOK || strings.Contains(string(a.body), token.OpenID) {
		t.Errorf("the configuration = %v, %v", a, err)
	}
}
