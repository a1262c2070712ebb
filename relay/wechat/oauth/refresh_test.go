package oauth

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestRefresh(t *testing.T) {
	t.Parallel()
	c, s := scripted(t, answer(200, goodToken))
	got, err := c.Refresh(t.Context(), "REFRESH_TOKEN")
	want := Token{AccessToken: "ACCESS_TOKEN", RefreshToken: "REFRESH_TOKEN", OpenID: "OPENID", Scope: "snsapi_base", ExpiresIn: 2 * time.Hour}
	if err != nil || *got != want {
		t.Fatalf("Refresh differs: %v", err)
	}
	r := s.seen[0]
	q := r.URL.Query()
	if r.Method != http.MethodGet || r.URL.Path != "/sns/oauth2/refresh_token" || q.Get("appid") != "appid" ||
		q.Get("grant_type") != "refresh_token" || q.Get("refresh_token") != "REFRESH_TOKEN" || len(q) != 3 {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, answer(200, `{"errcode":42002,"errmsg":"refresh_token expired, rid: 1"}`))
	_, err := c.Refresh(t.Context(), "REFRESH_TOKEN")
	if e, ok := errors.AsType[*Error](err); !ok || !e.Restart() || e.Message != "refresh_token expired" {
		t.Errorf("got %#v", err)
	}
	for _, bad := range []string{"", "a b", "\n", strings.Repeat("r", 513)} {
		c, _ := scripted(t)
		if _, err := c.Refresh(t.Context(), bad); err == nil {
			t.Errorf("refresh token %q is sent", bad)
		}
	}
}

func TestAuth(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		body     string
		good, ok bool
	}{
		{"good", `{"errcode":0,"errmsg":"ok"}`, true, true},
		{"other user", `{"errcode":40003,"errmsg":"invalid openid"}`, false, true},
		{"unknown", `{"errcode":40001,"errmsg":"invalid credential"}`, false, true},
		{"expired", `{"errcode":42001,"errmsg":"access_token expired"}`, false, true},
		{"too many", `{"errcode":45011,"errmsg":"api minute-quota reach limit"}`, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, s := scripted(t, answer(200, tt.body))
			good, err := c.Auth(t.Context(), &Token{AccessToken: "A", OpenID: "O"})
			if good != tt.good || (err == nil) != tt.ok {
				t.Errorf("Auth = %t, %v", good, err)
			}
			q := s.seen[0].URL.Query()
			if s.seen[0].URL.Path != "/sns/auth" || q.Get("access_token") != "A" || q.Get("openid") != "O" || len(q) != 2 {
				t.Errorf("asked %s", s.seen[0].URL)
			}
		})
	}
}

func TestErrorFromAnswer(t *testing.T) {
	t.Parallel()
	c, _ := scripted(t, answer(200, `{"errcode":40029,"errmsg":"invalid code, rid: 5f1b2c3d-0a1b2c3d\n"}`))
	_, err := c.Exchange(t.Context(), "CODE")
	e, ok := errors.AsType[*Error](err)
	if !ok || *e != (Error{Op: "exchange code", Code: 40029, HTTPStatus: 200, Message: "invalid code"}) {
		t.Errorf("got %#v", err)
	}
}
