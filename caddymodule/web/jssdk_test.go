package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	pageOrigin = "https://books.example.com"
	pageURL    = pageOrigin + "/cart?id=1"
)

// fakePages is the part of the fake relay that signs pages. It allows
// pageOrigin and the relay's own origin.
type fakePages struct {
	signPage func(pageURL string) (relay.PageSignature, error)
	signOwn  func(relay.OwnPageRequest) (relay.PageSignature, error)
}

func (f *fakePages) SignPage(_ context.Context, _ *relay.Caller, pageURL string) (relay.PageSignature, error) {
	return f.signPage(pageURL)
}

func (f *fakePages) SignOwnPage(_ context.Context, req relay.OwnPageRequest) (relay.PageSignature, error) {
	return f.signOwn(req)
}

func (*fakePages) AllowsOrigin(origin string) bool {
	return origin == pageOrigin || origin == publicURL
}

// pageFace answers who asked instead of a signature.
func pageFace(t *testing.T) face {
	t.Helper()
	return newFace(t, &fakeService{
		authenticate: func(req relay.SignedRequest) error {
			if len(req.Authorization) != 1 || req.Authorization[0] != "good" {
				return refusal(relay.KindSign, "not signed")
			}
			return nil
		},
		fakePages: fakePages{
			signPage: func(pageURL string) (relay.PageSignature, error) {
				return relay.PageSignature{AppID: "server", Timestamp: 7, NonceStr: "n", Signature: "s", URL: pageURL}, nil
			},
			signOwn: func(req relay.OwnPageRequest) (relay.PageSignature, error) {
				if req.Origin != pageOrigin && req.Origin != publicURL {
					return relay.PageSignature{}, refusal(relay.KindNoAuth, "pages of this origin may not ask")
				}
				return relay.PageSignature{AppID: req.Origin + " " + req.ClientID, URL: req.URL}, nil
			},
		},
	})
}

func askURL(query ...string) string {
	q := url.Values{"url": {pageURL}}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	return "/v1/js-sdk?" + q.Encode()
}

// TestWhoseSignatureIsAsked_I05: the page's origin is what its browser says in
// headers that pages cannot set, never Host or what a proxy adds.
func TestWhoseSignatureIsAsked_I05(t *testing.T) {
	t.Parallel()
	f := pageFace(t)
	for _, tt := range []struct {
		name    string
		headers []string
		status  int
		asker   string
		cors    string // Access-Control-Allow-Origin
	}{
		{"server", []string{"Authorization", "good"}, 200, "server", ""},
		{"server with Origin", []string{"Authorization", "good", "Origin", pageOrigin}, 200, "server", ""},
		{"wrongly signed page", []string{"Authorization", "bad", "Origin", pageOrigin}, 401, "", ""},
		{"page of another site", []string{"Origin", pageOrigin}, 200, pageOrigin + " ", pageOrigin},
		{"page of nobody's site", []string{"Origin", "https://evil.example"}, 403, "", ""},
		{"sandboxed page", []string{"Origin", "null"}, 403, "", ""},
		{"file", []string{"Origin", "file://"}, 403, "", ""},
		{"evil Origin, good Referer", []string{"Origin", "https://evil.example", "Referer", pageURL}, 403, "", ""},
		{"two Origins", []string{"Origin", pageOrigin, "Origin", "https://evil.example"}, 400, "", ""},
		{"page of this site", []string{"Sec-Fetch-Site", "same-origin", "Referer", pageURL}, 200, pageOrigin + " ", ""},
		{"page of this site, old browser", []string{"Referer", pageURL}, 200, pageOrigin + " ", ""},
		{"page of this site without Referer", []string{"Sec-Fetch-Site", "same-origin"}, 200, publicURL + " ", ""},
		{"image of another site", []string{"Sec-Fetch-Site", "cross-site", "Referer", pageURL}, 401, "", ""},
		{"typed in", []string{"Sec-Fetch-Site", "none"}, 401, "", ""},
		{"sibling site", []string{"Sec-Fetch-Site", "same-site", "Referer", pageURL}, 401, "", ""},
		{"nothing", nil, 401, "", ""},
		{"Host alone", []string{"X-Forwarded-Host", "books.example.com"}, 401, "", ""},
		{"evil Referer", []string{"Referer", "https://evil.example/?" + pageURL}, 403, "", ""},
		{"Referer with user", []string{"Referer", "https://books.example.com@evil.example/"}, 401, "", ""},
		{"broken Referer", []string{"Referer", "https://%"}, 401, "", ""},
		{"other scheme in Referer", []string{"Referer", "weixin://books.example.com/"}, 401, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := f.do(t, http.MethodGet, askURL(), "", tt.headers...)
			if w.Code != tt.status {
				t.Fatalf("status %d %s, want %d", w.Code, w.Body, tt.status)
			}
			if tt.asker != "" && !strings.Contains(w.Body.String(), `"appId":"`+tt.asker+`"`) {
				t.Errorf("got %s, want it for %q", w.Body, tt.asker)
			}
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != tt.cors {
				t.Errorf("Access-Control-Allow-Origin %q, want %q", got, tt.cors)
			}
			if got := w.Header().Get("Vary"); got != "Origin" {
				t.Errorf("Vary %q", got)
			}
		})
	}
}

// TestNoCredentialedCORS_E24: no origin but a client's reads an answer, and
// none with cookies.
func TestNoCredentialedCORS_E24(t *testing.T) {
	t.Parallel()
	f := pageFace(t)
	for _, origin := range []string{"", "null", "*", "https://evil.example", pageOrigin, pageOrigin + ".evil.example", "http://books.example.com", "HTTPS://BOOKS.EXAMPLE.COM"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
			h := f.do(t, method, askURL(), "", "Origin", origin, "Access-Control-Request-Method", "GET").Header()
			want := ""
			if origin == pageOrigin {
				want = origin
			}
			if got := h.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %q: Access-Control-Allow-Origin %q, want %q", method, origin, got, want)
			}
			if got := h.Get("Access-Control-Allow-Credentials") + h.Get("Access-Control-Allow-Headers"); got != "" {
				t.Errorf("%s from %q: allows %q", method, origin, got)
			}
		}
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	f := pageFace(t)
	w := f.do(t, http.MethodOptions, "/v1/js-sdk", "", "Origin", pageOrigin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "authorization")
	if w.Code != http.StatusNoContent || w.Body.Len() > 0 || w.Header().Get("Access-Control-Allow-Methods") != "GET" || w.Header().Get("Vary") != "Origin" {
		t.Errorf("got %d %v", w.Code, w.Header())
	}
	w = f.do(t, http.MethodOptions, "/v1/js-sdk", "", "Origin", "https://evil.example", "Access-Control-Request-Method", "GET")
	if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("evil.example: got %d %v", w.Code, w.Header())
	}
}

// TestJSSDKAnswer: WeChat's own names, and the parameters once each.
func TestJSSDKAnswer(t *testing.T) {
	t.Parallel()
	f := pageFace(t)
	w := f.do(t, http.MethodGet, askURL(), "", "Authorization", "good")
	if got, want := w.Body.String(), `{"appId":"server","timestamp":7,"nonceStr":"n","signature":"s","url":"`+pageURL+`"}`; got != want || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %s, want %s", got, want)
	}
	if w := f.do(t, http.MethodGet, askURL("client_id", clientID), "", "Origin", pageOrigin); !strings.Contains(w.Body.String(), pageOrigin+" "+clientID) {
		t.Errorf("got %s", w.Body)
	}
	for name, target := range map[string]string{
		"two addresses":      askURL() + "&url=x",
		"unknown":            askURL("callback", "f"),
		"of another account": askURL("appid", "wx1"),
		"broken":             askURL() + "&%",
	} {
		for _, header := range [][]string{{"Origin", pageOrigin}, {"Authorization", "good"}} {
			if w := f.do(t, http.MethodGet, target, "", header...); w.Code != http.StatusBadRequest {
				t.Errorf("%s by %s: status %d %s", name, header[0], w.Code, w.Body)
			}
		}
	}
	if w := f.do(t, http.MethodGet, askURL("client_id", clientID), "", "Authorization", "good"); w.Code != http.StatusBadRequest {
		t.Errorf("client_id beside a signature: status %d", w.Code)
	}
}

// TestJSSDKRefusalsAreReadable: a page of an allowed origin learns why it was
// refused.
func TestJSSDKRefusalsAreReadable(t *testing.T) {
	t.Parallel()
	f := pageFace(t)
	for name, tt := range map[string]struct {
		err    error
		status int
		code   string
	}{
		"busy":  {refusal(relay.KindUnavailable, "later"), http.StatusServiceUnavailable, "UNAVAILABLE"},
		"limit": {refusal(relay.KindRate, "slow down"), http.StatusTooManyRequests, "FREQUENCY_LIMITED"},
		"wrong": {refusal(relay.KindParam, "no address"), http.StatusBadRequest, "PARAM_ERROR"},
		"boom":  {errors.New("boom"), http.StatusInternalServerError, "INTERNAL"},
	} {
		f.service.signOwn = func(relay.OwnPageRequest) (relay.PageSignature, error) { return relay.PageSignature{}, tt.err }
		w := f.do(t, http.MethodGet, askURL(), "", "Origin", pageOrigin)
		if got := errorBody(t, w).Code; w.Code != tt.status || got != tt.code || w.Header().Get("Access-Control-Allow-Origin") != pageOrigin {
			t.Errorf("%s: got %d %s %v", name, w.Code, got, w.Header())
		}
	}
	f.service.signOwn = func(relay.OwnPageRequest) (relay.PageSignature, error) { panic("boom") }
	if w := f.do(t, http.MethodGet, askURL(), "", "Origin", pageOrigin); w.Code != http.StatusInternalServerError {
		t.Errorf("panic: status %d", w.Code)
	}
}

// TestScript: the script is what old web views read, small, cached for an
// hour, and for pages of other sites.
func TestScript(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{})
	w := f.do(t, http.MethodGet, "/v1/js-sdk.js?v=1", "")
	h := w.Header()
	for name, want := range map[string]string{
		"Content-Type": "text/javascript; charset=utf-8", "Cache-Control": "public, max-age=3600", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Resource-Policy": "cross-origin", "Access-Control-Allow-Origin": "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s %q, want %q", name, got, want)
		}
	}
	if w.Code != http.StatusOK || w.Body.Len() > 3<<10 {
		t.Errorf("status %d, %d bytes", w.Code, w.Body.Len())
	}
	if newer := regexp.MustCompile("=>|\\b(const|let|class|async|await)\\b [^\\n]*[;{]|`|\\bfetch\\(|\\.includes\\(|\\.\\.\\.").FindString(stripComments(w.Body.String())); newer != "" {
		t.Errorf("%q is newer than ECMAScript 5", newer)
	}
	etag := h.Get("ETag")
	if w := f.do(t, http.MethodGet, "/v1/js-sdk.js", "", "If-None-Match", etag); etag == "" || w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("unchanged: status %d, %d bytes, ETag %s", w.Code, w.Body.Len(), etag)
	}
}

func stripComments(s string) string {
	return regexp.MustCompile(`(?s)/\*.*?\*/|(?m:^\s*//.*$)`).ReplaceAllString(s, "")
}
