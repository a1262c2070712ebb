package oauth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestExchange(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, body string
		want       Token
	}{
		{"base", goodToken, Token{AccessToken: "ACCESS_TOKEN", RefreshToken: "REFRESH_TOKEN", OpenID: "OPENID", Scope: "snsapi_base", ExpiresIn: 2 * time.Hour}},
		{"with unionid", `{"access_token":"A","openid":"O","unionid":"U","scope":"snsapi_userinfo","new_member":[1]}`, Token{AccessToken: "A", OpenID: "O", UnionID: "U", Scope: "snsapi_userinfo"}},
		{"snapshot user", `{"access_token":"A","openid":"O","is_snapshotuser":1}`, Token{AccessToken: "A", OpenID: "O", SnapshotUser: true}},
		{"snapshot user as a word", `{"access_token":"A","openid":"O","is_snapshotuser":true}`, Token{AccessToken: "A", OpenID: "O", SnapshotUser: true}},
		{"snapshot user as text", `{"access_token":"A","openid":"O","is_snapshotuser":"1"}`, Token{AccessToken: "A", OpenID: "O", SnapshotUser: true}},
		{"snapshot user in another form", `{"access_token":"A","openid":"O","is_snapshotuser":[2]}`, Token{AccessToken: "A", OpenID: "O", SnapshotUser: true}},
		{"no snapshot user as a word", `{"access_token":"A","openid":"O","is_snapshotuser":false}`, Token{AccessToken: "A", OpenID: "O"}},
		{"no snapshot user as text", `{"access_token":"A","openid":"O","is_snapshotuser":"0"}`, Token{AccessToken: "A", OpenID: "O"}},
		{"no snapshot user", `{"access_token":"A","openid":"O","is_snapshotuser":0}`, Token{AccessToken: "A", OpenID: "O"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, s := scripted(t, answer(200, tt.body))
			got, err := c.Exchange(t.Context(), "CODE")
			if err != nil || *got != tt.want {
				t.Fatalf("Exchange differs: %v", err)
			}
			r := s.seen[0]
			q := r.URL.Query()
			if r.Method != http.MethodGet || r.URL.Path != "/sns/oauth2/access_token" || q.Get("appid") != "appid" ||
				q.Get("secret") != "secret-marker" || q.Get("code") != "CODE" || q.Get("grant_type") != "authorization_code" || len(q) != 4 {
				t.Errorf("asked %s %s", r.Method, r.URL)
			}
		})
	}
}

func TestExchangeRefusesIncomplete(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"access_token":"A"}`, `{"openid":"O"}`, `{"access_token":"A","openid":""}`, `{"access_token":null,"openid":"O"}`} {
		c, _ := scripted(t, answer(200, body))
		if got, err := c.Exchange(t.Context(), "CODE"); err == nil || got != nil {
			t.Errorf("%s gives a token", body)
		}
	}
}

// TestExchangeCode: a code comes from a browser; what can be none is not sent.
func TestExchangeCode(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"", "a b", "a\n", "码", "\x7f", strings.Repeat("c", 513)} {
		c, _ := scripted(t)
		if _, err := c.Exchange(t.Context(), code); err == nil {
			t.Errorf("code %q is sent", code)
		}
	}
	c, s := scripted(t, answer(200, goodToken))
	const odd = "a&secret=x#%2B+"
	if _, err := c.Exchange(t.Context(), odd); err != nil || s.seen[0].URL.Query().Get("code") != odd || len(s.seen[0].URL.Query()) != 4 {
		t.Errorf("odd code: %v, %v", s.seen[0].URL, err)
	}
}

func TestTokenIsRedacted_H03(t *testing.T) {
	t.Parallel()
	token := Token{AccessToken: "marker", RefreshToken: "marker", OpenID: "marker", UnionID: "marker"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "pointer", &token, "inside", struct{ T *Token }{&token})
	marshalled, err := json.Marshal(&token)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, token), fmt.Sprintf(verb, &token), fmt.Sprintf(verb, []Token{token}))
	}
	for _, s := range printed {
		if strings.Contains(s, "marker") || strings.Contains(s, "6d61726b6572") {
			t.Errorf("printed %s", s)
		}
	}
}

// FuzzExchange: whatever WeChat answers, there is a complete token or an error.
func FuzzExchange(f *testing.F) {
	f.Add([]byte(goodToken))
	f.Add([]byte(`{"errcode":40029,"errmsg":"invalid code, rid: 1"}`))
	f.Add([]byte(`{"openid":"a","openid":"b"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _ := scripted(t, answer(200, string(body)), fail(errReset))
		got, err := c.Exchange(t.Context(), "CODE")
		if (err == nil) == (got == nil) || got != nil && (got.OpenID == "" || got.AccessToken == "") {
			t.Fatalf("token %t, error %v", got != nil, err)
		}
	})
}
