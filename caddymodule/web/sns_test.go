package web

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// fakeCodeRelay is the part of the fake relay that speaks WeChat's own calls.
// It answers with err where there is one.
type fakeCodeRelay struct {
	err  error
	boom func()
	got  []string
	user relay.LoginUser
}

func (f *fakeCodeRelay) gets(texts ...string) {
	if f.boom != nil {
		f.boom()
	}
	f.got = append(f.got, texts...)
}

// snsQueries is what the calls need beside a code.
var snsQueries = map[route]string{
	routeAuthorize:    "&response_type=code",
	routeScan:         "&response_type=code",
	routeUserToken:    "&appid=1000000000000001&secret=right&grant_type=authorization_code",
	routeRefreshToken: "&appid=1000000000000001&refresh_token=r1&grant_type=refresh_token",
	routeUserInfo:     "&access_token=a1&openid=o1",
	routeUserAuth:     "&access_token=a1&openid=o1",
	routeAPI:          "&access_token=a1",
	routeAPIToken:     "&appid=1000000000000001&secret=right&grant_type=client_credential",
}

var snsToken = relay.UserToken{
	AccessToken: relay.NewSecret("access-1"), RefreshToken: relay.NewSecret("refresh-1"), ExpiresIn: 2 * time.Hour,
	OpenID: "o1", Scope: "snsapi_userinfo", UnionID: "u1",
}

func (f *fakeCodeRelay) AuthenticateSecret(id, secret string) (*relay.Caller, error) {
	f.gets(id, secret)
	if secret != "right" {
		return nil, &relay.Error{Kind: relay.KindSign, Message: "wrong appid or secret"}
	}
	return &relay.Caller{Client: &relay.Client{ID: id}}, nil
}

func (f *fakeCodeRelay) RedeemCode(_ context.Context, c *relay.Caller, code string) (relay.UserToken, error) {
	f.gets(c.Client.ID, code)
	return snsToken, f.err
}

func (f *fakeCodeRelay) RefreshUserToken(_ context.Context, clientID, refreshToken string) (relay.UserToken, error) {
	f.gets(clientID, refreshToken)
	token := snsToken
	token.UnionID = ""
	return token, f.err
}

func (f *fakeCodeRelay) UserOf(_ context.Context, accessToken, openID string) (relay.LoginUser, error) {
	f.gets(accessToken, openID)
	return f.user, f.err
}

func (f *fakeCodeRelay) CheckUserToken(_ context.Context, accessToken, openID string) error {
	f.gets(accessToken, openID)
	return f.err
}

// TestSNSAnswers: each call takes WeChat's parameters in any order beside
// others, and answers in WeChat's form.
func TestSNSAnswers(t *testing.T) {
	t.Parallel()
	const tokens = `{"access_token":"access-1","expires_in":7200,"refresh_token":"refresh-1","openid":"o1","scope":"snsapi_userinfo"`
	for name, c := range map[string]struct{ target, got, want string }{
		"code": {
			"/sns/oauth2/access_token?grant_type=authorization_code&code=c%2B1&secret=right&appid=1000000000000001&random=7",
			"1000000000000001 right 1000000000000001 c+1", tokens + `,"unionid":"u1"}`,
		},
		"refresh": {
			"/sns/oauth2/refresh_token?appid=1000000000000001&grant_type=refresh_token&refresh_token=r1",
			"1000000000000001 r1", tokens + `}`,
		},
		"user": {
			"/sns/userinfo?access_token=a1&openid=o1&lang=zh_CN", "a1 o1",
			`{"openid":"o1","nickname":"\u003c书\u003e","sex":0,"province":"","city":"","country":"","headimgurl":"https://thirdwx.qlogo.cn/1/132","privilege":[],"unionid":"u1"}`,
		},
		"check": {"/sns/auth?access_token=a1&openid=o1", "a1 o1", `{"errcode":0,"errmsg":"ok"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{}
			service.user = relay.LoginUser{OpenID: "o1", UnionID: "u1", Nickname: "<书>", AvatarURL: "https://thirdwx.qlogo.cn/1/132"}
			f := newFace(t, service)
			rec := httptest.NewRecorder()
			f.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, publicURL+c.target, nil))
			if rec.Code != http.StatusOK || rec.Body.String() != c.want {
				t.Errorf("got %d %s, want %s", rec.Code, rec.Body, c.want)
			}
			if got := strings.Join(service.got, " "); got != c.got {
				t.Errorf("relay got %q, want %q", got, c.got)
			}
			for header, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
				if got := rec.Header().Get(header); got != want {
					t.Errorf("%s: got %q, want %q", header, got, want)
				}
			}
		})
	}
}

// TestSNSRefusals_C14_H05: what is wrong is told by status 200 and WeChat's
// number, and no answer and no log line repeats what was sent.
func TestSNSRefusals_C14_H05(t *testing.T) {
	t.Parallel()
	const exchange = "/sns/oauth2/access_token?appid=1000000000000001&secret=right&code=c0de&grant_type=authorization_code"
	refusal := func(kind relay.Kind, code int) error {
		return &relay.Error{Kind: kind, WeChatCode: code, Message: "said", Err: errors.New("cause")}
	}
	for name, c := range map[string]struct {
		target string
		err    error
		want   string
	}{
		"no appid":            {"/sns/oauth2/access_token?secret=right&code=c0de&grant_type=authorization_code", nil, `{"errcode":41002,"errmsg":"appid missing`},
		"empty secret":        {"/sns/oauth2/access_token?appid=1&secret=&code=c0de&grant_type=authorization_code", nil, `{"errcode":41004,"errmsg":"secret missing`},
		"no code":             {"/sns/oauth2/access_token?appid=1&secret=right&grant_type=authorization_code", nil, `{"errcode":41008,"errmsg":"code missing`},
		"no grant type":       {"/sns/oauth2/access_token?appid=1&secret=right&code=c0de", nil, `{"errcode":40002,"errmsg":"grant_type missing`},
		"other grant type":    {"/sns/oauth2/access_token?appid=1&secret=right&code=c0de&grant_type=refresh_token", nil, `{"errcode":40002,"errmsg":"invalid grant_type`},
		"code twice":          {exchange + "&code=other", nil, `{"errcode":40035,"errmsg":"code is given twice`},
		"malformed":           {exchange + "&x=%zz", nil, `{"errcode":40035,"errmsg":"invalid parameter`},
		"semicolon":           {exchange + ";x=1", nil, `{"errcode":40035,"errmsg":"invalid parameter`},
		"wrong secret":        {"/sns/oauth2/access_token?appid=1000000000000001&secret=s3cret&code=c0de&grant_type=authorization_code", nil, `{"errcode":40125,"errmsg":"wrong appid or secret`},
		"code used":           {exchange, refusal(relay.KindParam, errcode.CodeUsed), `{"errcode":40163,"errmsg":"said`},
		"too many":            {exchange, refusal(relay.KindRate, 0), `{"errcode":45011,"errmsg":"said`},
		"store in trouble":    {exchange, relay.ErrUnavailable, `{"errcode":-1,"errmsg":"system error, try again`},
		"something else":      {exchange, errors.New("c0de broke"), `{"errcode":-1,"errmsg":"system error, try again`},
		"no refresh token":    {"/sns/oauth2/refresh_token?appid=1&grant_type=refresh_token", nil, `{"errcode":41003,"errmsg":"refresh_token missing`},
		"refresh of a code":   {"/sns/oauth2/refresh_token?appid=1&grant_type=authorization_code&refresh_token=r", nil, `{"errcode":40002,"errmsg":"invalid grant_type`},
		"no access token":     {"/sns/userinfo?openid=o1", nil, `{"errcode":41001,"errmsg":"access_token missing`},
		"no openid":           {"/sns/auth?access_token=t0ken", nil, `{"errcode":41009,"errmsg":"openid missing`},
		"scope too small":     {"/sns/userinfo?access_token=t0ken&openid=o1", refusal(relay.KindParam, errcode.NotAuthorised), `{"errcode":48001,"errmsg":"said`},
		"token of nobody":     {"/sns/auth?access_token=t0ken&openid=o1", refusal(relay.KindParam, errcode.InvalidSecret), `{"errcode":40001,"errmsg":"said`},
		"check: no such user": {"/sns/auth?access_token=t0ken&openid=0penid", refusal(relay.KindParam, errcode.InvalidOpenID), `{"errcode":40003,"errmsg":"said`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{}
			service.err = c.err
			f := newFace(t, service)
			rec := httptest.NewRecorder()
			f.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, publicURL+c.target, nil))
			want, status := c.want+", rid: "+rec.Header().Get("Request-Id")+`"}`, http.StatusOK
			switch name {
			case "store in trouble":
				status = http.StatusServiceUnavailable
			case "something else":
				status = http.StatusInternalServerError
			}
			if rec.Code != status || rec.Body.String() != want {
				t.Errorf("got %d %s, want %d %s", rec.Code, rec.Body, status, want)
			}
			told := rec.Body.String()
			if name != "something else" {
				told += f.log.String()
			}
			for _, secret := range []string{"s3cret", "c0de", "t0ken", "0penid"} {
				if strings.Contains(told, secret) {
					t.Errorf("%q is told: %s", secret, told)
				}
			}
		})
	}
}

// TestSNSMethods: a HEAD would use a code up without showing its worth, and
// secrets belong to no other method either.
func TestSNSMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
		service := &fakeService{}
		f := newFace(t, service)
		rec := httptest.NewRecorder()
		f.ServeHTTP(rec, httptest.NewRequest(method, publicURL+"/sns/oauth2/access_token?appid=1&secret=right&code=c0de&grant_type=authorization_code", nil))
		if rec.Code != http.StatusMethodNotAllowed || !strings.HasPrefix(rec.Body.String(), `{"errcode":43001,"errmsg":"require GET method, rid: `) || len(service.got) > 0 {
			t.Errorf("%s: got %d %s and calls %q, want 405, 43001 and no call", method, rec.Code, rec.Body, service.got)
		}
	}
}

// FuzzWeChatQuery: whatever the query says, WeChat's own calls answer in
// WeChat's form, and relay hears of it only what net/url reads in one way.
func FuzzWeChatQuery(f *testing.F) {
	f.Add("appid=1000000000000001&secret=right&code=c1&grant_type=authorization_code")
	f.Add("grant_type=authorization_code&code=a&code=b&secret=right&appid=1")
	f.Add("appid=1;secret=right&code=%zz&%63ode=x&grant_type=authorization_code")
	f.Add("appid=&secret=right&code=+&grant_type=authorization_code#x")
	service := &fakeService{}
	face := newFace(f, service)
	f.Fuzz(func(t *testing.T, query string) {
		service.got = nil
		r := httptest.NewRequest(http.MethodGet, publicURL+"/sns/oauth2/access_token", nil)
		r.URL.RawQuery = query
		rec := httptest.NewRecorder()
		face.ServeHTTP(rec, r)
		var answer struct {
			ErrCode     int    `json:"errcode"`
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &answer); err != nil || rec.Code != http.StatusOK || (answer.ErrCode == 0) != (answer.AccessToken != "") {
			t.Fatalf("%q: %d %s", query, rec.Code, rec.Body)
		}
		if len(service.got) == 0 {
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("relay heard of a query that net/url refuses: %v", err)
		}
		want := []string{values.Get("appid"), values.Get("secret"), values.Get("appid"), values.Get("code")}
		for i, got := range service.got {
			if got == "" || got != want[i] {
				t.Fatalf("relay got %q, want %q", service.got, want)
			}
		}
		for _, name := range []string{"appid", "secret", "code", "grant_type"} {
			if len(values[name]) != 1 {
				t.Fatalf("relay heard of %q with %s %d times", query, name, len(values[name]))
			}
		}
	})
}
