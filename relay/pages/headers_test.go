package pages

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
)

// everyAnswer draws each page in each language and each static file.
func everyAnswer(t *testing.T) map[string]*httptest.ResponseRecorder {
	t.Helper()
	p := newPages(t)
	answers := make(map[string]*httptest.ResponseRecorder)
	for _, lang := range []string{"zh", "en"} {
		for _, state := range allStates {
			w := httptest.NewRecorder()
			if err := p.WriteCheckout(w, request(t, http.MethodGet, lang), http.StatusOK, ordinary(state)); err != nil {
				t.Fatal(err)
			}
			answers["checkout "+string(state)+" "+lang] = w
		}
		for place := range chineseLogin.Places {
			w := httptest.NewRecorder()
			if err := p.WriteLogin(w, request(t, http.MethodGet, lang), ordinaryLogin(place)); err != nil {
				t.Fatal(err)
			}
			answers["login "+string(place)+" "+lang] = w
		}
		for _, kind := range allKinds {
			w := httptest.NewRecorder()
			if err := p.WriteMessage(w, request(t, http.MethodGet, lang), http.StatusForbidden, Message{Kind: kind}); err != nil {
				t.Fatal(err)
			}
			answers["message "+string(kind)+" "+lang] = w
		}
	}
	for _, name := range []string{"checkout.css", "checkout.js", "icon.svg"} {
		w := httptest.NewRecorder()
		if !p.ServeStatic(w, request(t, http.MethodGet, ""), path.Base(p.StaticURL(name))) {
			t.Fatalf("%s is not served", name)
		}
		answers["static "+name] = w
	}
	return answers
}

func TestHeadersOfEveryAnswer_I03_I04_I08_I12_E13(t *testing.T) {
	t.Parallel()
	for name, w := range everyAnswer(t) {
		h := w.Header()
		for key, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", // I03
			"X-Frame-Options":         "DENY",                                                                                                                                                           // I04
			"X-Content-Type-Options":  "nosniff",                                                                                                                                                        // I12
			"Referrer-Policy":         "no-referrer",                                                                                                                                                    // E13
		} {
			if got := h.Values(key); len(got) != 1 || got[0] != want {
				t.Errorf("%s: %s = %q, want %q", name, key, got, want)
			}
		}
		kind, rest, _ := strings.Cut(name, " ")
		wantCache, wantType := "no-store", "text/html; charset=utf-8" // I08
		if kind == "static" {
			wantCache, wantType = "public, max-age=31536000, immutable", staticTypes[path.Ext(rest)]
		} else if h.Get("Permissions-Policy") == "" {
			t.Errorf("%s: no Permissions-Policy", name)
		}
		if got := h.Get("Cache-Control"); got != wantCache {
			t.Errorf("%s: Cache-Control = %q, want %q", name, got, wantCache)
		}
		if got := h.Get("Content-Type"); got != wantType {
			t.Errorf("%s: Content-Type = %q, want %q", name, got, wantType)
		}
	}
}

// The policy lets nothing inline run; a page that relied on it would be
// broken, and an injected one would look like ours.
func TestNothingInline_I03(t *testing.T) {
	t.Parallel()
	for name, w := range everyAnswer(t) {
		if strings.HasPrefix(name, "static") {
			continue
		}
		for _, n := range elements(parse(t, w)) {
			kind, _ := attribute(n, "type")
			src, hasSrc := attribute(n, "src")
			switch {
			case n.Data == "style" || n.Data == "iframe" || n.Data == "base" || n.Data == "form" || n.Data == "object":
				t.Errorf("%s: <%s>", name, n.Data)
			case n.Data == "script" && kind != "application/json" && !hasSrc:
				t.Errorf("%s: inline script", name)
			case hasSrc && !strings.HasPrefix(src, DefaultStaticPrefix):
				t.Errorf("%s: <%s src=%q> comes from elsewhere", name, n.Data, src)
			}
			for _, a := range n.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" {
					t.Errorf("%s: <%s %s>", name, n.Data, a.Key)
				}
			}
		}
	}
}

// A page that can take money is cut off from the windows that it opens; a
// sandbox's is told by the payment window.
func TestOpenerPolicy(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	for test, want := range map[bool]string{false: "same-origin", true: "same-origin-allow-popups"} {
		v := ordinary(StateWaitingJSAPI)
		v.Test = test
		w := httptest.NewRecorder()
		if err := p.WriteCheckout(w, request(t, http.MethodGet, "en"), http.StatusOK, v); err != nil {
			t.Fatal(err)
		}
		if got := w.Header().Values("Cross-Origin-Opener-Policy"); len(got) != 1 || got[0] != want {
			t.Errorf("with Test %v the opener policy is %q, want %q", test, got, want)
		}
	}
}
