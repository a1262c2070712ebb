package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// fakeServerAPI is the part of the fake relay that passes calls on.
type fakeServerAPI struct {
	noAPI    bool
	apiToken error
	callAPI  func(relay.APIRequest) (relay.APIAnswer, error)

	apiMu sync.Mutex // guards calls
	paths []string
}

func (f *fakeServerAPI) OffersAPI() bool { return !f.noAPI }

func (f *fakeServerAPI) APIToken(_ context.Context, c *relay.Caller, path string) (relay.APIToken, error) {
	return relay.APIToken{Value: relay.NewSecret("token of " + c.Client.ID + " by " + path), ExpiresIn: 2 * time.Hour}, f.apiToken
}

func (f *fakeServerAPI) AuthenticateAPIToken(token string) (*relay.Caller, error) {
	switch token {
	case "a1":
		return &relay.Caller{Client: &relay.Client{ID: clientID}}, nil
	case "b1":
		return &relay.Caller{Client: &relay.Client{ID: "2000000000000002"}}, nil
	case "old":
		return nil, &relay.Error{Kind: relay.KindSign, Message: "access_token expired", WeChatCode: errcode.TokenExpired}
	case "fast":
		return nil, &relay.Error{Kind: relay.KindRate, Message: "too many requests; slow down"}
	}
	return nil, &relay.Error{Kind: relay.KindSign, Message: "invalid credential", WeChatCode: errcode.InvalidSecret}
}

func (f *fakeServerAPI) CallAPI(_ context.Context, _ *relay.Caller, req relay.APIRequest) (relay.APIAnswer, error) {
	f.apiMu.Lock()
	f.paths = append(f.paths, req.Method+" "+req.Path)
	f.apiMu.Unlock()
	if f.callAPI == nil {
		panic("no call is expected")
	}
	return f.callAPI(req)
}

const signedHeader = `WXRELAY1-HMAC-SHA256 client_id="1000000000000001",timestamp="1",nonce="n",signature="s"`

// TestCallAPI: method, path, parameters, type and body arrive as they were sent
// without what is the relay's own, and the answer goes back as it came.
func TestCallAPI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, method, target, body string
		header                     []string
		query                      url.Values // as WeChat shall get it
		account                    string
	}{
		{"token, GET", "GET", "/cgi-bin/user/info?access_token=a1&openid=o1&lang=zh_CN", "", nil, url.Values{"openid": {"o1"}, "lang": {"zh_CN"}}, ""},
		{"token, POST", "POST", "/cgi-bin/message/custom/send?access_token=a1", `{"touser":"o1"}`, []string{"Content-Type", "application/json"}, url.Values{}, ""},
		{"token, a parameter named account", "GET", "/cgi-bin/x?access_token=a1&account=k", "", nil, url.Values{"account": {"k"}}, ""},
		{"token, an upload", "POST", "/cgi-bin/media/upload?access_token=a1&type=image", strings.Repeat("\xff\xd8", 100_000), []string{"Content-Type", "multipart/form-data; boundary=x"}, url.Values{"type": {"image"}}, ""},
		{"signed, GET", "GET", "/cgi-bin/getcallbackip", "", []string{"Authorization", signedHeader}, url.Values{}, ""},
		{"signed, POST for an account", "POST", "/cgi-bin/menu/create?account=shop&x=1", `{}`, []string{"Authorization", signedHeader, "Content-Type", "text/plain"}, url.Values{"x": {"1"}}, "shop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{}
			f := newFace(t, service)
			service.callAPI = func(req relay.APIRequest) (relay.APIAnswer, error) {
				path, _, _ := strings.Cut(tt.target, "?")
				if req.Method != tt.method || req.Path != path || req.Query.Encode() != tt.query.Encode() || req.Account != tt.account || string(req.Body) != tt.body {
					t.Errorf("relay got %s %s %s for %q with %d bytes", req.Method, req.Path, req.Query.Encode(), req.Account, len(req.Body))
				}
				if len(tt.header) == 2 && tt.header[0] == "Content-Type" && req.ContentType != tt.header[1] {
					t.Errorf("Content-Type %q", req.ContentType)
				}
				return relay.APIAnswer{Status: 200, ContentType: "image/jpeg", ContentDisposition: `attachment; filename="a.jpg"`, Body: []byte("\xff\xd8")}, nil
			}
			w := f.do(t, tt.method, tt.target, tt.body, tt.header...)
			if w.Code != 200 || w.Body.String() != "\xff\xd8" || w.Header().Get("Content-Type") != "image/jpeg" || w.Header().Get("Content-Disposition") != `attachment; filename="a.jpg"` {
				t.Errorf("answer %d %v %q", w.Code, w.Header(), w.Body)
			}
		})
	}
}

// TestCallAPIIsNoPage_I12: what WeChat keeps for a client, such as an uploaded
// file, comes from the relay's own origin and must not act as a page there.
func TestCallAPIIsNoPage_I12(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	f := newFace(t, service)
	service.callAPI = func(relay.APIRequest) (relay.APIAnswer, error) {
		return relay.APIAnswer{Status: 200, ContentType: "text/html", Body: []byte("<script>alert(1)</script>")}, nil
	}
	h := f.do(t, "GET", "/cgi-bin/media/get?access_token=a1&media_id=m", "").Header()
	for name, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
		"X-Content-Type-Options":  "nosniff",
		"Cache-Control":           "no-store",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestCallAPIRefusals: a library that takes the relay for WeChat is refused as
// WeChat refuses, a signed call as the relay does, and nothing is passed on.
func TestCallAPIRefusals(t *testing.T) {
	t.Parallel()
	lost := &relay.Error{Kind: relay.KindUpstreamTimeout, Message: "WeChat did not answer"}
	signed := []string{"Authorization", signedHeader}
	tests := []struct {
		name, method, target, body string
		header                     []string
		err                        error // of the call
		status                     int
		want                       string // in the body
	}{
		{"no token", "GET", "/cgi-bin/user/info", "", nil, nil, 200, `{"errcode":41001,`},
		{"foreign token", "GET", "/cgi-bin/user/info?access_token=a2", "", nil, nil, 200, `{"errcode":40001,`},
		{"old token", "GET", "/cgi-bin/user/info?access_token=old", "", nil, nil, 200, `{"errcode":42001,`},
		{"two tokens", "GET", "/cgi-bin/user/info?access_token=a1&access_token=a1", "", nil, nil, 200, `{"errcode":40035,`},
		{"too fast", "GET", "/cgi-bin/user/info?access_token=fast", "", nil, nil, 200, `{"errcode":45011,`},
		{"semicolon", "GET", "/cgi-bin/user/info?access_token=a1;x", "", nil, nil, 200, `{"errcode":40035,`},
		{"not granted", "GET", "/cgi-bin/user/info?access_token=a1", "", nil, refusal(relay.KindNoAuth, "no"), 200, `{"errcode":48001,`},
		{"not granted, signed", "GET", "/cgi-bin/user/info", "", signed, refusal(relay.KindNoAuth, "no"), 403, `{"code":"NO_AUTH",`},
		{"no answer", "GET", "/cgi-bin/user/info?access_token=a1", "", nil, lost, 504, `{"errcode":-1,`},
		{"no answer, signed", "GET", "/cgi-bin/user/info", "", signed, lost, 504, `{"code":"UPSTREAM_TIMEOUT",`},
		{"both ways", "GET", "/cgi-bin/user/info?access_token=a1", "", signed, nil, 400, `"field":"access_token"`},
		{"GET with a body", "GET", "/cgi-bin/user/info?access_token=a1", "x", nil, nil, 200, `{"errcode":40035,`},
		{"too large", "POST", "/cgi-bin/media/upload?access_token=a1", strings.Repeat("x", relay.MaxAPIBody+1), nil, nil, 200, `{"errcode":45002,`},
		{"too large, signed", "POST", "/cgi-bin/media/upload", strings.Repeat("x", relay.MaxAPIBody+1), signed, nil, 413, `{"code":"BODY_TOO_LARGE",`},
		{"a relay's own call", "POST", "/cgi-bin/menu/create?access_token=a1", "{}", []string{safehttp.MarkerHeader, "x"}, nil, 200, `{"errcode":48001,`},
		{"other method", "PUT", "/cgi-bin/menu/create?access_token=a1", "{}", nil, nil, 405, `{"errcode":4300`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{}
			if tt.err != nil {
				service.callAPI = func(relay.APIRequest) (relay.APIAnswer, error) { return relay.APIAnswer{}, tt.err }
			}
			f := newFace(t, service)
			w := f.do(t, tt.method, tt.target, tt.body, tt.header...)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.status, tt.want)
			}
			if tt.err == nil && len(service.paths) > 0 {
				t.Errorf("passed on: %v", service.paths)
			}
			if log := f.log.String(); strings.Contains(log, "access_token=") || strings.Contains(log, "user/info") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// TestCallAPISignedWriteNeedsFreshNonce_C02: a signed write is refused by its
// nonce before WeChat hears of it; calls by token have none.
func TestCallAPISignedWriteNeedsFreshNonce_C02(t *testing.T) {
	t.Parallel()
	service := &fakeService{checkNonce: refusal(relay.KindReplayed, "used before")}
	f := newFace(t, service)
	if w := f.do(t, "POST", "/cgi-bin/menu/create", "{}", "Authorization", signedHeader); w.Code != http.StatusConflict || len(service.paths) > 0 {
		t.Errorf("got %d, passed on %v", w.Code, service.paths)
	}
	service.callAPI = func(relay.APIRequest) (relay.APIAnswer, error) { return relay.APIAnswer{Status: 200}, nil }
	if w := f.do(t, "GET", "/cgi-bin/menu/get", "", "Authorization", signedHeader); w.Code != http.StatusOK {
		t.Errorf("a read: %d", w.Code)
	}
}

// TestGiveToken: a site that fetched tokens from WeChat fetches them here, in
// both of WeChat's ways.
func TestGiveToken(t *testing.T) {
	t.Parallel()
	const good = `{"grant_type":"client_credential","appid":"1000000000000001","secret":"right","force_refresh":true,"x":1}`
	tests := []struct {
		name, method, target, body string
		err                        error
		status                     int
		want                       string
	}{
		{"token", "GET", "/cgi-bin/token?grant_type=client_credential&appid=1000000000000001&secret=right", "", nil, 200, `{"access_token":"token of 1000000000000001 by /cgi-bin/token","expires_in":7200}`},
		{"stable", "POST", "/cgi-bin/stable_token", good, nil, 200, `{"access_token":"token of 1000000000000001 by /cgi-bin/stable_token","expires_in":7200}`},
		{"no appid", "GET", "/cgi-bin/token?grant_type=client_credential&secret=right", "", nil, 200, `{"errcode":41002,`},
		{"no secret", "GET", "/cgi-bin/token?grant_type=client_credential&appid=1", "", nil, 200, `{"errcode":41004,`},
		{"two secrets", "GET", "/cgi-bin/token?grant_type=client_credential&appid=1&secret=a&secret=right", "", nil, 200, `{"errcode":40035,`},
		{"other grant", "GET", "/cgi-bin/token?grant_type=code&appid=1000000000000001&secret=right", "", nil, 200, `{"errcode":40002,`},
		{"wrong secret", "GET", "/cgi-bin/token?grant_type=client_credential&appid=1000000000000001&secret=wrong", "", nil, 200, `{"errcode":40125,`},
		{"stable, wrong secret", "POST", "/cgi-bin/stable_token", strings.Replace(good, "right", "wrong", 1), nil, 200, `{"errcode":40125,`},
		{"stable, no secret", "POST", "/cgi-bin/stable_token", `{"grant_type":"client_credential","appid":"1"}`, nil, 200, `{"errcode":41004,`},
		{"stable, two secrets", "POST", "/cgi-bin/stable_token", strings.Replace(good, `"x":1`, `"secret":"right"`, 1), nil, 200, `{"errcode":47001,`},
		{"stable, no JSON", "POST", "/cgi-bin/stable_token", "grant_type=client_credential", nil, 200, `{"errcode":47001,`},
		{"stable by GET", "GET", "/cgi-bin/stable_token?grant_type=client_credential", "", nil, 405, `{"errcode":43002,`},
		{"token by POST", "POST", "/cgi-bin/token", "", nil, 405, `{"errcode":43001,`},
		{"granted nothing", "GET", "/cgi-bin/token?grant_type=client_credential&appid=1000000000000001&secret=right", "", refusal(relay.KindNoAuth, "no"), 200, `{"errcode":48001,`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			service := &fakeService{}
			service.apiToken = tt.err
			f := newFace(t, service)
			w := f.do(t, tt.method, tt.target, tt.body)
			if w.Code != tt.status || !strings.HasPrefix(w.Body.String(), tt.want) || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.status, tt.want)
			}
			if strings.Contains(f.log.String(), "right") || strings.Contains(f.log.String(), "wrong\"") {
				t.Errorf("log: %s", f.log)
			}
		})
	}
}

// TestAPIPathsAreSomebodyElses: where no client may call, a site's own scripts
// below /cgi-bin/ are left alone.
func TestAPIPathsAreSomebodyElses(t *testing.T) {
	t.Parallel()
	with, without := newFace(t, &fakeService{}), newFace(t, &fakeService{fakeServerAPI: fakeServerAPI{noAPI: true}})
	for _, path := range []string{"/cgi-bin/token", "/cgi-bin/stable_token", "/cgi-bin/user/info", "/cgi-bin/a//b", "/cgi-bin/%2e%2e/x"} {
		if !with.Match(path) || !Matcher(mustURL(t, publicURL), true)(path) {
			t.Errorf("%s is not the relay's", path)
		}
		if without.Match(path) || Matcher(mustURL(t, publicURL), false)(path) {
			t.Errorf("%s is the relay's although no client may call", path)
		}
	}
}

// TestCallAPIPathAsSent_C03: relay judges the path as it was sent.
func TestCallAPIPathAsSent_C03(t *testing.T) {
	t.Parallel()
	service := &fakeService{}
	service.callAPI = func(req relay.APIRequest) (relay.APIAnswer, error) {
		return relay.APIAnswer{}, refusal(relay.KindParam, fmt.Sprintf("[%s]", req.Path))
	}
	f := newFace(t, service)
	for _, path := range []string{"/cgi-bin/..%2Ftoken", "/cgi-bin/user%2Finfo", "/cgi-bin/a//b", "/cgi-bin/a/../token", "/cgi-bin/%74oken"} {
		if w := f.do(t, "GET", path+"?access_token=a1", ""); !strings.Contains(w.Body.String(), "["+path+"]") {
			t.Errorf("%s became %s", path, w.Body)
		}
	}
}
