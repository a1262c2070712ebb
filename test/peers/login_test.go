package peers

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ArtisanCloud/PowerLibs/v3/object"
	"github.com/ArtisanCloud/PowerSocialite/v3/src/providers"
	"github.com/markbates/goth"
	gothwechat "github.com/markbates/goth/providers/wechat"
	silenceper "github.com/silenceper/wechat/v2"
	"github.com/silenceper/wechat/v2/cache"
	officialconfig "github.com/silenceper/wechat/v2/officialaccount/config"
	"github.com/silenceper/wechat/v2/officialaccount/oauth"
	"github.com/wxrelay/wxrelay/caddymodule/web"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/store/memstore"
)

const (
	siteHost     = "books.example.com"
	siteCallback = "https://" + siteHost + "/wx/callback"
	weChatAgent  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.60(0x18003c2f) NetType/WIFI Language/zh_CN"
	desktopAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// loginRelay is a relay behind TLS to which the names of WeChat's hosts lead:
// that, and the client's id and secret in place of the account's, is all that
// changes for a site.
type loginRelay struct {
	url  *url.URL
	cert *x509.Certificate
	line http.RoundTripper
}

func newLoginRelay(t *testing.T) *loginRelay {
	t.Helper()
	box, err := sandbox.New(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wechat := httptest.NewServer(box)
	t.Cleanup(func() {
		wechat.Close()
		if err := box.Close(); err != nil {
			t.Error(err)
		}
	})
	front := httptest.NewUnstartedServer(nil)
	publicURL := &url.URL{Scheme: "https", Host: front.Listener.Addr().String()}
	runtime, err := relay.NewRuntime(relay.RuntimeOptions{Store: memstore.New(), Now: time.Now, Rand: rand.Reader, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c := config(publicURL, wechat.URL, siteCallback, setup{}, []string{newTell})
	c.Clients[0].RedirectURIs = []string{siteCallback}
	c.Clients[0].AllowAPI = []string{"/cgi-bin/get_api_domain_ip", "/cgi-bin/ticket/getticket", "/cgi-bin/user/info"}
	c.Accounts = append(c.Accounts, &relay.Account{
		Name: "web", Kind: relay.AccountWebsiteApp, AppID: sandbox.DefaultWebsiteAppID, Secret: relay.NewSecret(sandbox.DefaultWebsiteSecret),
	})
	service, err := relay.NewService(c, runtime, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	runtime.Start()
	runtime.Use(service)
	t.Cleanup(func() {
		if err := runtime.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	face, err := web.New(web.Options{Service: service, PublicURL: publicURL, Ready: runtime.Health})
	if err != nil {
		t.Fatal(err)
	}
	front.Config.Handler = face
	front.StartTLS()
	t.Cleanup(front.Close)
	roots := x509.NewCertPool()
	roots.AddCert(front.Certificate())
	line := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	t.Cleanup(line.CloseIdleConnections)
	return &loginRelay{url: publicURL, cert: front.Certificate(), line: line}
}

// RoundTrip leads the name of WeChat's server to the relay.
func (l *loginRelay) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == "api.weixin.qq.com" {
		r = r.Clone(r.Context())
		r.URL.Host, r.Host = l.url.Host, ""
	}
	return l.line.RoundTrip(r)
}

var (
	consentQuery = regexp.MustCompile(`name="query" value="([^"]*)"`)
	consentScan  = regexp.MustCompile(`name="scan" value="true"`)
)

// visit sends a browser to where the site's library says, lets the user agree
// where WeChat asks, and returns what the site's callback is called with.
func (l *loginRelay) visit(t *testing.T, agent, address string) url.Values {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Transport: l, Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if r.URL.Host == siteHost {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	const open = "https://open.weixin.qq.com/"
	if !strings.HasPrefix(address, open) {
		t.Fatalf("the library leads to %s", address)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, l.url.String()+"/"+strings.TrimPrefix(address, open), nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("User-Agent", agent)
	status, location, page := fetch(t, browser, request)
	if status == http.StatusOK { // WeChat asks
		found := consentQuery.FindStringSubmatch(page)
		if found == nil {
			t.Fatalf("the visitor sees\n%s", page)
		}
		form := url.Values{"query": {html.UnescapeString(found[1])}, "user": {"hong"}, "decision": {"allow"}}
		if consentScan.MatchString(page) {
			form.Set("scan", "true")
		}
		asked := location.ResolveReference(&url.URL{Path: "/sandbox/consent"})
		if request, err = http.NewRequestWithContext(t.Context(), http.MethodPost, asked.String(), strings.NewReader(form.Encode())); err != nil {
			t.Fatal(err)
		}
		request.Header.Set("User-Agent", agent)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		status, location, page = fetch(t, browser, request)
	}
	if location.Host != siteHost || location.Path != "/wx/callback" {
		t.Fatalf("the visitor ends at %s with %d\n%s", location, status, page)
	}
	return location.Query()
}

// fetch makes a request and tells where the browser stands, or is sent if that
// is the site.
func fetch(t *testing.T, browser *http.Client, request *http.Request) (status int, where *url.URL, page string) {
	t.Helper()
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	where = response.Request.URL
	if to, err := response.Location(); err == nil {
		where = to
	}
	return response.StatusCode, where, string(body)
}

// TestLoginLibraries: libraries that sites already use log their users in
// through the relay, unmodified. It does not run beside other tests because
// three of them take Go's own client.
func TestLoginLibraries(t *testing.T) {
	l := newLoginRelay(t)
	before := http.DefaultTransport
	http.DefaultTransport = l
	t.Cleanup(func() { http.DefaultTransport = before })
	t.Run("silenceper/wechat", func(t *testing.T) { silenceperLogsIn(t, l) })
	t.Run("silenceper/wechat API", func(t *testing.T) { silenceperCalls(t) })
	t.Run("goth", func(t *testing.T) { gothLogsIn(t, l) })
	t.Run("PowerSocialite", func(t *testing.T) { powerSocialiteLogsIn(t, l) })
	t.Run("wechat-oauth", func(t *testing.T) { wechatOAuthLogsIn(t, l) })
}

// silenceperLogsIn runs all that silenceper/wechat can do about logins.
func silenceperLogsIn(t *testing.T, l *loginRelay) {
	login := silenceper.NewWechat().GetOfficialAccount(&officialconfig.Config{AppID: clientID, AppSecret: clientSecret, Cache: cache.NewMemory()}).GetOauth()
	silently := func(t *testing.T) oauth.ResAccessToken {
		t.Helper()
		address, err := login.GetRedirectURL(siteCallback, "snsapi_base", "s1")
		if err != nil {
			t.Fatal(err)
		}
		back := l.visit(t, weChatAgent, address)
		if back.Get("state") != "s1" || len(back) != 2 {
			t.Errorf("the site is called with %v, want code and state", back)
		}
		token, err := login.GetUserAccessToken(back.Get("code"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = login.GetUserAccessToken(back.Get("code") + "x")
		wantErrCode(t, "a code with more", err, "40029")
		return token
	}

	t.Run("silently", func(t *testing.T) {
		token := silently(t)
		if token.OpenID != sandbox.OpenID(sandbox.DefaultAppID, "ming") || token.Scope != "snsapi_base" || token.ExpiresIn != 7200 || token.IsSnapShotUser != 0 {
			t.Errorf("got openid %s, scope %s, life %d", token.OpenID, token.Scope, token.ExpiresIn)
		}
		if ok, err := login.CheckAccessToken(token.AccessToken, token.OpenID); !ok || err != nil {
			t.Errorf("CheckAccessToken = %v, %v", ok, err)
		}
		if ok, err := login.CheckAccessToken(token.AccessToken, token.OpenID+"x"); ok || err != nil {
			t.Errorf("CheckAccessToken of another user = %v, %v", ok, err)
		}
		_, err := login.GetUserInfo(token.AccessToken, token.OpenID, "")
		wantErrCode(t, "user info after a silent login", err, "48001")
		again, err := login.RefreshAccessToken(token.RefreshToken)
		if err != nil || again.OpenID != token.OpenID || again.RefreshToken != token.RefreshToken {
			t.Errorf("RefreshAccessToken = openid %s, %v", again.OpenID, err)
		}
		if ok, err := login.CheckAccessToken(again.AccessToken, token.OpenID); !ok || err != nil {
			t.Errorf("CheckAccessToken after the refresh = %v, %v", ok, err)
		}
		_, err = login.RefreshAccessToken(token.AccessToken)
		wantErrCode(t, "refresh by an access token", err, "40030")
	})
	t.Run("asking", func(t *testing.T) {
		address, err := login.GetRedirectURL(siteCallback, "snsapi_userinfo", "s2")
		if err != nil {
			t.Fatal(err)
		}
		code := l.visit(t, weChatAgent, address).Get("code")
		user, err := login.GetUserInfoByCodeContext(t.Context(), code)
		if err != nil || user.OpenID != sandbox.OpenID(sandbox.DefaultAppID, "hong") || user.Nickname != "小红" || user.HeadImgURL == "" {
			t.Errorf("GetUserInfoByCode = %+v, %v", user, err)
		}
		_, err = login.GetUserInfoByCodeContext(t.Context(), code)
		wantErrCode(t, "the code again", err, "40163")
	})
	t.Run("on a desktop", func(t *testing.T) {
		address, err := login.GetWebAppRedirectURL(siteCallback, "snsapi_login", "s3")
		if err != nil {
			t.Fatal(err)
		}
		user, err := login.GetUserInfoByCodeContext(t.Context(), l.visit(t, desktopAgent, address).Get("code"))
		if err != nil || user.OpenID != sandbox.OpenID(sandbox.DefaultWebsiteAppID, "hong") || user.Nickname != "小红" {
			t.Errorf("GetUserInfoByCode = %+v, %v", user, err)
		}
	})
	t.Run("wrong secret", func(t *testing.T) {
		stranger := silenceper.NewWechat().GetOfficialAccount(&officialconfig.Config{AppID: clientID, AppSecret: newTell, Cache: cache.NewMemory()}).GetOauth()
		_, err := stranger.GetUserAccessToken("code")
		wantErrCode(t, "a wrong secret", err, "40125")
	})
}

// silenceperCalls uses the account's server interface, with the relay's token
// in place of the account's, and nothing but what the client is granted.
func silenceperCalls(t *testing.T) {
	t.Helper()
	account := silenceper.NewWechat().GetOfficialAccount(&officialconfig.Config{AppID: clientID, AppSecret: clientSecret, Cache: cache.NewMemory()})
	token, err := account.GetAccessToken()
	if err != nil || token == "" || strings.HasPrefix(token, "SANDBOX") {
		t.Fatalf("GetAccessToken = %d characters, %v; want a token of the relay's own", len(token), err)
	}
	if addresses, err := account.GetBasic().GetAPIDomainIP(); err != nil || len(addresses) == 0 {
		t.Errorf("GetAPIDomainIP = %v, %v", addresses, err)
	}
	openID := sandbox.OpenID(sandbox.DefaultAppID, "hong")
	if user, err := account.GetUser().GetUserInfo(openID); err != nil || user.OpenID != openID {
		t.Errorf("GetUserInfo = %+v, %v", user, err)
	}
	if page, err := account.GetJs().GetConfig("https://" + siteHost + "/"); err != nil || len(page.Signature) != 40 {
		t.Errorf("GetConfig = %+v, %v", page, err)
	}
	_, err = account.GetBasic().GetCallbackIP()
	wantErrCode(t, "a call that is not granted", err, "48001")
}

// wantErrCode wants WeChat's number in a library's error.
func wantErrCode(t *testing.T, what string, err error, code string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

// gothLogsIn logs in by the provider of goth, on a desktop.
func gothLogsIn(t *testing.T, l *loginRelay) {
	provider := gothwechat.New(clientID, clientSecret, siteCallback, gothwechat.WECHAT_LANG_CN)
	session, err := provider.BeginAuth("a/b&c=d")
	if err != nil {
		t.Fatal(err)
	}
	address, err := session.GetAuthURL()
	if err != nil {
		t.Fatal(err)
	}
	back := l.visit(t, desktopAgent, address)
	if back.Get("state") != "a/b&c=d" {
		t.Errorf("state comes back as %q", back.Get("state"))
	}
	if _, err := session.Authorize(provider, back); err != nil {
		t.Fatal(err)
	}
	user, err := provider.FetchUser(session)
	if err != nil || user.UserID != sandbox.OpenID(sandbox.DefaultWebsiteAppID, "hong") || user.NickName != "小红" || user.AvatarURL == "" {
		t.Errorf("FetchUser = %+v, %v", user, err)
	}
	var params goth.Params = back
	if _, err := session.Authorize(provider, params); err == nil {
		t.Error("the code works twice")
	}
}

// powerSocialiteLogsIn logs in by the library of PowerWeChat.
func powerSocialiteLogsIn(t *testing.T, l *loginRelay) {
	provider := providers.NewWeChat(&object.HashMap{"client_id": clientID, "client_secret": clientSecret, "redirect": siteCallback})
	provider.SetScopes([]string{"snsapi_userinfo"})
	provider.WithState("s4")
	address, err := provider.Redirect(siteCallback)
	if err != nil {
		t.Fatal(err)
	}
	back := l.visit(t, weChatAgent, address)
	user, err := provider.UserFromCode(back.Get("code"))
	if err != nil {
		t.Fatal(err)
	}
	if back.Get("state") != "s4" || user.GetOpenID() != sandbox.OpenID(sandbox.DefaultAppID, "hong") || user.GetNickname() != "小红" || user.GetRefreshToken() == "" || user.IsSnapShotUser() {
		t.Errorf("the user is %+v", user)
	}
	if _, err := provider.UserFromCode(back.Get("code")); err == nil {
		t.Error("the code works twice")
	}
}

// wechatOAuthLogsIn logs in by node-webot's library.
func wechatOAuthLogsIn(t *testing.T, l *loginRelay) {
	needNode(t, "login")
	input := map[string]any{
		"appid": clientID, "secret": clientSecret, "port": l.url.Port(), "ca": pemOf(t, "CERTIFICATE", l.cert.Raw), "callback": siteCallback,
	}
	var begun struct{ Inside, Desktop string }
	runNode(t, "login", "begin", nil, input, &begun)
	for name, c := range map[string]struct{ agent, address, appID string }{
		"inside WeChat": {weChatAgent, begun.Inside, sandbox.DefaultAppID},
		"on a desktop":  {desktopAgent, begun.Desktop, sandbox.DefaultWebsiteAppID},
	} {
		t.Run(name, func(t *testing.T) {
			back := l.visit(t, c.agent, c.address)
			input["code"] = back.Get("code")
			var came struct {
				Token, Refreshed, User map[string]any
				Verified               map[string]any
				Replay, Gone           int
			}
			runNode(t, "login", "finish", nil, input, &came)
			openID := sandbox.OpenID(c.appID, "hong")
			if back.Get("state") != "s 5" || came.Token["openid"] != openID || came.User["openid"] != openID || came.User["nickname"] != "小红" || came.Refreshed["openid"] != openID {
				t.Errorf("the login came to %+v with state %q", came, back.Get("state"))
			}
			if came.Verified["errcode"] != 0.0 || came.Replay != 40163 || came.Gone != 40001 {
				t.Errorf("check %v, replay %d, and then %d; want 0, 40163, 40001", came.Verified, came.Replay, came.Gone)
			}
		})
	}
}
