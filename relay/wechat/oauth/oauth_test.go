package oauth

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func newTestClient(tb testing.TB, change func(*Options)) *Client {
	tb.Helper()
	o := Options{AppID: "appid", Secret: func() []byte { return []byte("secret-marker") }}
	if change != nil {
		change(&o)
	}
	c, err := NewClient(o)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestAuthorizeURLVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "authorize_url.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID    string
			Input struct {
				AppID, Scope, State string
				RedirectURI         string `json:"redirect_uri"`
			}
			Expected struct{ URL string }
		}
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	for _, v := range file.Vectors {
		t.Run(v.ID, func(t *testing.T) {
			t.Parallel()
			c := newTestClient(t, func(o *Options) { o.AppID = v.Input.AppID })
			if got := c.AuthorizeURL(v.Input.RedirectURI, v.Input.Scope, v.Input.State); got != v.Expected.URL {
				t.Errorf("got %s, want %s", got, v.Expected.URL)
			}
			if got := c.AuthorizeURL(v.Input.RedirectURI, v.Input.Scope, v.Input.State+"x"); got == v.Expected.URL {
				t.Error("another state has the same address")
			}
		})
	}
}

// TestAuthorizeURLEscapes: whatever stands in a value stays in it.
func TestAuthorizeURLEscapes(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *Options) { o.OpenURL = "http://127.0.0.1:9090/wechat" })
	const redirect, state = "https://pay.example.com/a b/回?x=1&state=forged#wechat_redirect", "s&scope=snsapi_userinfo+%"
	got := c.AuthorizeURL(redirect, ScopeBase, state)
	u, err := url.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if !strings.HasPrefix(got, "http://127.0.0.1:9090/wechat/connect/oauth2/authorize?appid=appid&redirect_uri=https%3A%2F%2F") ||
		q.Get("redirect_uri") != redirect || q.Get("state") != state || q.Get("scope") != ScopeBase || q.Get("response_type") != "code" ||
		u.Fragment != "wechat_redirect" || len(q) != 5 || strings.Contains(u.RawQuery, "+") {
		t.Errorf("got %s", got)
	}
}

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	c, err := NewClient(Options{OpenURL: "x", BaseURL: "https://a.example/", AttemptTimeout: -1})
	if err == nil || c != nil {
		t.Fatalf("NewClient = %v, %v", c, err)
	}
	for _, want := range []string{"app id", "app secret", "absolute http", "final slash", "attempt timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}

func TestQRConnectURL(t *testing.T) {
	t.Parallel()
	c := newTestClient(t, func(o *Options) { o.AppID = "wxbdc5610cc59c1631" })
	got := c.QRConnectURL("https://passport.yhd.com/wechat/callback.do", "3d6be0a4035d839573b04816624a415e")
	// The example of WeChat's document for website apps, its redirect_uri
	// escaped as the document asks.
	const want = "https://open.weixin.qq.com/connect/qrconnect?appid=wxbdc5610cc59c1631&redirect_uri=https%3A%2F%2Fpassport.yhd.com%2Fwechat%2Fcallback.do" +
		"&response_type=code&scope=snsapi_login&state=3d6be0a4035d839573b04816624a415e#wechat_redirect"
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
