package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wxReply holds every member that the calls of this file answer.
type wxReply struct {
	wxError
	tokenReply
	Nickname  string   `json:"nickname"`
	Privilege []string `json:"privilege"`
	Face      string   `json:"headimgurl"`
}

// wx makes a call of api.weixin.qq.com.
func wx(t *testing.T, s *Sandbox, target string) wxReply {
	t.Helper()
	w := get(s, target)
	mustStatus(t, w, http.StatusOK)
	if kind := w.Header().Get("Content-Type"); kind != "text/plain" {
		t.Errorf("Content-Type = %q, want text/plain as the real one", kind)
	}
	var reply wxReply
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return reply
}

// tokenTarget is the address of an exchange.
func tokenTarget(code string) string {
	return "/sns/oauth2/access_token?appid=" + DefaultAppID + "&secret=" + DefaultAppSecret + "&code=" + code + "&grant_type=authorization_code"
}

// newCode makes a code for Ming.
func newCode(s *Sandbox, scope string) string {
	code := "SANDBOXtest" + s.randomHex(4)
	s.login.addCode(code, grant{AppID: DefaultAppID, UserID: "ming", Scope: scope})
	return code
}

func TestExchangeOfACode(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	code := newCode(s, scopeBase)
	got := wx(t, s, tokenTarget(code))
	if got.Code != 0 || got.OpenID != OpenID(DefaultAppID, "ming") || got.ExpiresIn != 7200 || got.Scope != scopeBase ||
		got.AccessToken == "" || got.RefreshToken == "" || got.UnionID != "" {
		t.Errorf("answer = %+v", got)
	}
	if again := wx(t, s, tokenTarget(code)); again.Code != 40163 || again.AccessToken != "" {
		t.Errorf("the same code again = %+v, want 40163", again)
	}
	if got := wx(t, s, tokenTarget(newCode(s, scopeUserInfo))); got.UnionID == "" {
		t.Error("snsapi_userinfo gives no unionid")
	}
}

func TestExchangeRefuses(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{Accounts: []Account{{AppID: "wx0000000000000002", Secret: "SANDBOX2"}}})
	good := func(t *testing.T) string { t.Helper(); return tokenTarget(newCode(s, scopeBase)) }
	tests := map[string]struct {
		from, to string
		want     int
	}{
		"no appid":         {"appid=" + DefaultAppID, "", 41002},
		"unknown appid":    {DefaultAppID, "wx404", 40013},
		"no secret":        {"secret=" + DefaultAppSecret, "", 41004},
		"wrong secret":     {DefaultAppSecret, "wrong", 40125},
		"no code":          {"code=SANDBOXtest", "x=", 41008},
		"unknown code":     {"code=SANDBOX", "code=other", 40029},
		"wrong grant_type": {"authorization_code", "client_credential", 40002},
		"other account":    {"appid=" + DefaultAppID + "&secret=" + DefaultAppSecret, "appid=wx0000000000000002&secret=SANDBOX2", 40029},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := wx(t, s, strings.Replace(good(t), test.from, test.to, 1))
			if got.Code != test.want || !strings.Contains(got.Message, "rid: ") || got.AccessToken != "" {
				t.Errorf("answer = %+v, want %d with a rid", got, test.want)
			}
		})
	}
}

func TestCodeLivesFiveMinutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t, Options{Now: time.Now})
		early, late := newCode(s, scopeBase), newCode(s, scopeBase)
		<-time.After(5*time.Minute - time.Second)
		if got := wx(t, s, tokenTarget(early)); got.Code != 0 {
			t.Errorf("after 4m59s = %+v", got)
		}
		<-time.After(time.Second)
		if got := wx(t, s, tokenTarget(late)); got.Code != 42003 {
			t.Errorf("after 5m = %+v, want 42003", got)
		}
	})
}

func TestUserInfo(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	base := wx(t, s, tokenTarget(newCode(s, scopeBase)))
	full := wx(t, s, tokenTarget(newCode(s, scopeUserInfo)))
	target := func(token, openID string) string { return "/sns/userinfo?access_token=" + token + "&openid=" + openID }
	got := wx(t, s, target(full.AccessToken, full.OpenID)+"&lang=zh_CN")
	if got.Code != 0 || got.Nickname != "小明" || got.OpenID != full.OpenID || got.UnionID != full.UnionID || got.Privilege == nil {
		t.Errorf("answer = %+v", got)
	}
	if path, own := strings.CutPrefix(got.Face, "http://example.com"); !own || get(s, path).Code != http.StatusOK {
		t.Errorf("picture at %q is not the sandbox's own", got.Face)
	}
	for _, path := range []string{facePath + "nobody/132", facePath + "ming/1"} {
		if w := get(s, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: status = %d, want 404", path, w.Code)
		}
	}
	for name, test := range map[string]struct {
		target string
		want   int
	}{
		"no token":     {target("", full.OpenID), 41001},
		"no openid":    {target(full.AccessToken, ""), 41009},
		"other token":  {target("x", full.OpenID), 40014},
		"other openid": {target(full.AccessToken, "x"), 40003},
		"small scope":  {target(base.AccessToken, base.OpenID), 48001},
	} {
		if got := wx(t, s, test.target); got.Code != test.want || got.Nickname != "" {
			t.Errorf("%s: answer = %+v, want %d", name, got, test.want)
		}
	}
	auth := func(token, openID string) int {
		return wx(t, s, "/sns/auth?access_token="+token+"&openid="+openID).Code
	}
	if got := auth(base.AccessToken, base.OpenID); got != 0 {
		t.Errorf("/sns/auth of a good token = %d", got)
	}
	if got := auth(base.AccessToken, "x"); got != 40003 {
		t.Errorf("/sns/auth of another openid = %d, want 40003", got)
	}
}

func TestTokensExpireAndRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t, Options{Now: time.Now})
		first := wx(t, s, tokenTarget(newCode(s, scopeUserInfo)))
		<-time.After(2 * time.Hour)
		if got := wx(t, s, "/sns/userinfo?access_token="+first.AccessToken+"&openid="+first.OpenID); got.Code != 42001 {
			t.Errorf("after two hours = %+v, want 42001", got)
		}
		refresh := "/sns/oauth2/refresh_token?appid=" + DefaultAppID + "&grant_type=refresh_token&refresh_token="
		second := wx(t, s, refresh+first.RefreshToken)
		if second.Code != 0 || second.AccessToken == first.AccessToken || second.RefreshToken != first.RefreshToken || second.UnionID != "" {
			t.Errorf("refreshed = %+v", second)
		}
		if got := wx(t, s, "/sns/userinfo?access_token="+second.AccessToken+"&openid="+first.OpenID); got.Nickname != "小明" {
			t.Errorf("with the new token = %+v", got)
		}
		for target, want := range map[string]int{
			refresh: 41003, refresh + "x": 40030,
			strings.Replace(refresh, DefaultAppID, "wx404", 1) + "x":       40013,
			strings.Replace(refresh, "appid="+DefaultAppID, "", 1) + "x":   41002,
			strings.Replace(refresh, "=refresh_token&", "=other&", 1) + "": 40002,
		} {
			if got := wx(t, s, target); got.Code != want {
				t.Errorf("%s = %d, want %d", target, got.Code, want)
			}
		}
		<-time.After(30 * 24 * time.Hour)
		if got := wx(t, s, refresh+first.RefreshToken); got.Code != 42002 {
			t.Errorf("after thirty days = %+v, want 42002", got)
		}
	})
}

// A limited view answers silent logins too, once for each time arranged; a
// code to scan knows none and leaves the fault to the next.
func TestSnapshotUserOfASilentLogin(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"oauth_snapshot"}`), http.StatusOK)
	scanned := authorizeQuery(scopeLogin, "s")
	scanned = strings.Replace(scanned, DefaultAppID, DefaultWebsiteAppID, 1)
	for _, tc := range []struct {
		name string
		code *httptest.ResponseRecorder
		from *strings.Replacer
		want int
	}{
		{"scanned", consent(t, s, scanned, true, "allow", "ming"), strings.NewReplacer(DefaultAppID, DefaultWebsiteAppID, DefaultAppSecret, DefaultWebsiteSecret), 0},
		{"silent", get(s, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "s")), strings.NewReplacer(), 1},
		{"silent afterwards", get(s, "/connect/oauth2/authorize?"+authorizeQuery(scopeBase, "s")), strings.NewReplacer(), 0},
	} {
		target := tc.from.Replace(tokenTarget(locationOf(t, tc.code).Query().Get("code")))
		if got := wx(t, s, target); got.IsSnapshotUser != tc.want || got.OpenID == "" {
			t.Errorf("%s: %+v, want is_snapshotuser %d", tc.name, got, tc.want)
		}
	}
}

func TestSnapshotUser(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"oauth_snapshot"}`), http.StatusOK)
	w := consent(t, s, authorizeQuery(scopeUserInfo, "s"), false, "allow", "ming")
	got := wx(t, s, tokenTarget(locationOf(t, w).Query().Get("code")))
	if got.IsSnapshotUser != 1 || got.OpenID == OpenID(DefaultAppID, "ming") || got.UnionID != "" {
		t.Errorf("answer = %+v, want a throw-away user", got)
	}
	if s.directory.payer(DefaultAppID, got.OpenID) != payerUnknown {
		t.Error("a snapshot user can pay")
	}
	info := wx(t, s, "/sns/userinfo?access_token="+got.AccessToken+"&openid="+got.OpenID)
	if info.Nickname == "小明" || info.UnionID != "" {
		t.Errorf("userinfo = %+v, want nobody", info)
	}
}

func TestOAuthFaults(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{faultOAuthBusy: -1, faultOAuthQuota: 45009, faultOAuthRate: 45011} {
		s := newSandbox(t, Options{})
		mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`"}`), http.StatusOK)
		code := newCode(s, scopeBase)
		if got := wx(t, s, tokenTarget(code)); got.Code != want {
			t.Errorf("%s: answer = %+v, want %d", name, got, want)
		}
		if got := wx(t, s, tokenTarget(code)); got.Code != 0 {
			t.Errorf("%s: the code was used up: %+v", name, got)
		}
	}
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"oauth_500"}`), http.StatusOK)
	mustStatus(t, get(s, tokenTarget(newCode(s, scopeBase))), http.StatusInternalServerError)
}

func TestGrantsAreBounded(t *testing.T) {
	t.Parallel()
	l := newLogin(time.Now)
	for range maxGrants + 5 {
		l.addCode(time.Now().String(), grant{})
	}
	l.addCode("last", grant{AppID: "a"})
	if len(l.codes.all) > maxGrants || len(l.codes.order) > maxGrants {
		t.Errorf("%d codes are kept, want at most %d", len(l.codes.all), maxGrants)
	}
	if _, wrong := l.useCode("a", "last"); wrong != nil {
		t.Errorf("the newest code is gone: %v", wrong)
	}
}
