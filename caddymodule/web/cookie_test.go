package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestCookieIsGuarded_E15(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://pay.example.com":     "__Host-wxrelay=" + browserID + "; Path=/; HttpOnly; Secure; SameSite=Lax",
		"https://example.com/pay":     "__Host-wxrelay=" + browserID + "; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080/relay": "wxrelay=" + browserID + "; Path=/; HttpOnly; SameSite=Lax",
	} {
		w := httptest.NewRecorder()
		cookieFor(mustURL(t, address)).set(w, browserID)
		if got := w.Header().Get("Set-Cookie"); got != want {
			t.Errorf("at %s: %s, want %s", address, got, want)
		}
	}
}

func TestOddCookiesAreNone_E14(t *testing.T) {
	t.Parallel()
	const name = "__Host-wxrelay"
	for header, want := range map[string]string{
		name + "=" + browserID:                     browserID,
		"a=b; " + name + "=" + browserID + "; c=d": browserID,
		"":                                      "",
		"wxrelay=" + browserID:                  "",
		"__host-wxrelay=" + browserID:           "",
		name + "=":                              "",
		name + "=short":                         "",
		name + "=" + strings.Repeat("x", 64):    strings.Repeat("x", 64),
		name + "=" + strings.Repeat("x", 65):    "",
		name + "=" + strings.Repeat("x", 8<<10): "",
		name + "=" + browserID + "; " + name + "=" + browserID:   "",
		name + "=../../../../etc/passwd":                         "",
		name + `="` + browserID + `"`:                            browserID,
		strings.Repeat(name+"="+browserID+"; ", 59) + "last=one": "",
	} {
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		if got := cookieFor(mustURL(t, publicURL)).read(r); got != want {
			t.Errorf("%.80q: %q, want %q", header, got, want)
		}
	}
}

func TestPlainName(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]bool{
		"azAZ09_-": true, "": false, "a.b": false, "a b": false, "a/b": false, "a%2F": false, "é": false, "a\x00": false, "a\n": false,
	} {
		if got := plainName(s); got != want {
			t.Errorf("plainName(%q) = %v, want %v", s, got, want)
		}
	}
}
