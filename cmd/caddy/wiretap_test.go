package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// tapped are the names under which the protocols carry secrets and what is
// personal, in addresses, forms and JSON alike.
var tapped = []string{
	"access_token", "refresh_token", "code", "js_code", "state", "ticket", "secret", "openid", "openId", "unionid", "unionId", "nickname", "nickName",
	"headimgurl", "avatar_url", "avatarUrl", "session_key", "session_id", "signature", "msg_signature", "sig", "echostr", "touser",
	"encrypted_data", "encryptedData", "raw_data", "rawData", "phoneNumber", "purePhoneNumber", "content",
}

// wiretap notes all that passes on the wires under one of these names, so that
// the test forgets nothing that it did not make itself, and what the relay
// answers when it refuses.
type wiretap struct {
	line     http.RoundTripper
	relay    string            // host
	mu       sync.Mutex        // guards what follows
	seen     map[string]string // name by value
	names    map[string]bool   // that came with a value
	refusals []string
}

var (
	jsonString   = regexp.MustCompile(`"(\w+)"\s*:\s*("(?:[^"\\]|\\.)*")`)
	ownSignature = regexp.MustCompile(`signature="([^"]+)"`)
)

func (w *wiretap) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	w.address(r.URL)
	w.json(body, true)
	if m := ownSignature.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		w.note("signature of a request", m[1])
	}
	response, err := w.line.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return nil, err
	}
	response.Body = io.NopCloser(bytes.NewReader(answer))
	if to, err := url.Parse(response.Header.Get("Location")); err == nil {
		w.address(to)
	}
	for _, c := range response.Cookies() {
		w.note("cookie", c.Value)
	}
	refused := response.StatusCode >= http.StatusBadRequest || bytes.Contains(answer, []byte(`"errcode":4`)) || bytes.Contains(answer, []byte(`"errcode":-1`))
	w.json(answer, !refused)
	if refused && r.URL.Host == w.relay {
		w.mu.Lock()
		w.refusals = append(w.refusals, string(answer))
		w.mu.Unlock()
	}
	return response, nil
}

func (w *wiretap) address(u *url.URL) {
	for name, values := range u.Query() {
		if slices.Contains(tapped, name) {
			for _, v := range values {
				w.note(name, v)
			}
		}
	}
}

// json notes what a body has. In a refusal, code is the kind of the refusal.
func (w *wiretap) json(body []byte, codes bool) {
	for _, m := range jsonString.FindAllSubmatch(body, -1) {
		var value string
		if name := string(m[1]); slices.Contains(tapped, name) && (codes || name != "code") && json.Unmarshal(m[2], &value) == nil {
			w.note(name, value)
		}
	}
}

func (w *wiretap) note(name, value string) {
	if len(value) < 8 {
		if !strings.HasPrefix(strings.ToLower(name), "nick") || value == "" {
			return // nothing that could be found again
		}
		value = `"` + value + `"`
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.names[name] = true
	if _, known := w.seen[value]; !known { // by the name under which it came first
		w.seen[value] = name
	}
}

func (w *wiretap) saw(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.names[name]
}

func (w *wiretap) allRefusals() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.refusals)
}

// find looks in a text for all that was noted but what is excepted.
func (w *wiretap) find(t *testing.T, where, text string, except ...string) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	told := map[string]bool{}
	for value, name := range w.seen {
		if slices.Contains(except, name) || told[name] {
			continue
		}
		quoted, _ := json.Marshal(value) // a string always encodes
		for _, spelled := range []string{value, url.QueryEscape(value), url.PathEscape(value), strings.Trim(string(quoted), `"`)} {
			if before, after, found := strings.Cut(text, spelled); found {
				told[name] = true
				t.Errorf("%s has a %s, %q: …%.300s", where, name, value, before[strings.LastIndexByte(before, '\n')+1:]+spelled+after)
				break
			}
		}
	}
}

// tapWeChat puts the wiretap between the relay and WeChat. The address of
// WeChat is given when it is known.
func tapWeChat(t *testing.T, tap *wiretap) (address string, to *atomic.Pointer[url.URL]) {
	t.Helper()
	to = new(atomic.Pointer[url.URL])
	proxy := &httputil.ReverseProxy{
		Transport: tap,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to.Load()) },
		// A connection that is cut behind the tap is cut before it.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to.Load() == nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	return front.URL, to
}
