package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/internal/testport"
)

// TestVerifyFiles: WeChat gets the files that prove who owns a domain at the
// root of every site of the relay, although the relay is below a path and the
// site redirects, rewrites and asks for a password; and nobody gets more.
func TestVerifyFiles(t *testing.T) {
	t.Parallel()
	l := newLayout(t)
	site := func() string { return fmt.Sprintf("http://127.0.0.1:%d", testport.Free(t)) }
	gated, limited, foreign := site(), site(), site()
	const password = "$2a$14$Zkx19XLiW6VYouLHR5NmfOFU0z2GTNmpkT/5qqR7hx4IjWJPDhjvG"
	text := strings.NewReplacer(
		"public_url "+l.url, "public_url "+l.url+"/pay",
		"account shop", "account shop {\n\t\t\tverify_file MP_verify_abc.txt abc\n\t\t\tverify_file MP_verify_def.txt {env.SHOP_NOTIFY}\n\t\t}",
	).Replace(l.caddyfile(&setup{site: "redir https://elsewhere.example{uri} 308"}))
	text += gated + ` {
	wxrelay
	rewrite * /gone
	basic_auth {
		bob ` + password + `
	}
	forward_auth 127.0.0.1:1 {
		uri /auth
	}
	encode gzip
	respond "gated"
}
` + limited + ` {
	wxrelay /pay/*
	redir /MP_verify_abc.txt /moved
	respond "limited"
}
` + foreign + ` {
	respond "foreign"
}
`
	writeFile(t, l.config, text)
	s := l.start(t)
	for _, tt := range []struct {
		name, url string
		status    int
		body      string // "": not looked at
	}{
		{"before a redirect", l.url + "/MP_verify_abc.txt", http.StatusOK, "abc"},
		{"text from a placeholder", l.url + "/MP_verify_def.txt", http.StatusOK, shopNotify},
		{"before gates", gated + "/MP_verify_abc.txt", http.StatusOK, "abc"},
		{"beside a limited relay", limited + "/MP_verify_abc.txt", http.StatusOK, "abc"},
		{"below the relay's path", l.url + "/pay/MP_verify_abc.txt", http.StatusPermanentRedirect, ""},
		{"another name", l.url + "/MP_verify_xyz.txt", http.StatusPermanentRedirect, ""},
		{"another name behind the gate", gated + "/MP_verify_xyz.txt", http.StatusUnauthorized, ""},
		{"another name beside a limited relay", limited + "/MP_verify_xyz.txt", http.StatusOK, "limited"},
		{"another spelling", limited + "/MP%5Fverify_abc.txt", http.StatusFound, ""},
		{"a site without the relay", foreign + "/MP_verify_abc.txt", http.StatusOK, "foreign"},
		{"the relay before a redirect", l.url + "/pay/wechat/health", http.StatusOK, ""},
		{"the relay before gates", gated + "/pay/wechat/health", http.StatusOK, ""},
	} {
		a := get(t, s.http, tt.url, "WeChat", "Accept-Encoding", "gzip")
		if a.status != tt.status || (tt.body != "" && string(a.body) != tt.body) {
			t.Errorf("%s: %s = %s, want %d %q", tt.name, tt.url, a, tt.status, tt.body)
		}
		if tt.body == "abc" && a.header.Get("Content-Type") != "text/plain; charset=utf-8" {
			t.Errorf("%s: Content-Type %q, want text/plain", tt.name, a.header.Get("Content-Type"))
		}
	}
	for _, method := range []string{http.MethodHead, http.MethodPost} {
		r, err := http.NewRequestWithContext(t.Context(), method, l.url+"/MP_verify_abc.txt", nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int{http.MethodHead: http.StatusOK, http.MethodPost: http.StatusPermanentRedirect}[method]
		if a, err := send(s.http, r); err != nil || a.status != want || len(a.body) != 0 {
			t.Errorf("%s = %v, %v; want %d without a body", method, a, err, want)
		}
	}
}
