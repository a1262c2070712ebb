package transport

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

func TestNewClientStaysWhereItIs(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Errorf("the redirect to %s was followed", r.URL.Path)
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	given := &http.Client{Jar: jar}
	for name, c := range map[string]*http.Client{"own": NewClient(nil), "given": NewClient(given)} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/", strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusTemporaryRedirect {
			t.Errorf("%s: status %d, want the redirect itself", name, resp.StatusCode)
		}
	}
	if given.CheckRedirect != nil || given.Jar == nil {
		t.Error("the given client was changed")
	}
	if cookies := jar.Cookies(mustURL(t, server.URL)); len(cookies) != 0 {
		t.Errorf("cookies kept: %v", cookies)
	}
}

func TestCheckBaseURL(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"https://api.mch.weixin.qq.com", "http://127.0.0.1:8080", "https://h.example/sandbox"} {
		if err := CheckBaseURL(good); err != nil {
			t.Errorf("CheckBaseURL(%q) = %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "api.example", "//api.example", "ftp://api.example", "https://", "https://u@api.example", "https://api.example/",
		"https://api.example?a", "https://api.example?", "https://api.example#f", "https://api.example#", "https://a b",
	} {
		if CheckBaseURL(bad) == nil {
			t.Errorf("CheckBaseURL(%q) accepted", bad)
		}
	}
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	if got, err := ReadAll(strings.NewReader("12345"), 5); err != nil || string(got) != "12345" {
		t.Errorf("at the limit: %q, %v", got, err)
	}
	var long *TooLongError
	if got, err := ReadAll(strings.NewReader("123456"), 5); !errors.As(err, &long) || got != nil {
		t.Errorf("over the limit: %q, %v", got, err)
	}
	if got, err := ReadAll(io.MultiReader(strings.NewReader("1"), iotest.ErrReader(io.ErrUnexpectedEOF)), 5); !errors.Is(err, io.ErrUnexpectedEOF) || got != nil {
		t.Errorf("cut: %q, %v", got, err)
	}
}

// TestWithoutURL_H03: the address of a call may have secrets in its query.
func TestWithoutURL_H03(t *testing.T) {
	t.Parallel()
	refused := errors.New("connection refused")
	c := http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) { return nil, refused })}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://wechat.example/?secret=marker", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Do(req) //nolint:bodyclose // fails always
	if !strings.Contains(err.Error(), "marker") {
		t.Fatalf("%v has no address; the test shows nothing", err)
	}
	if got := WithoutURL(err); strings.Contains(got.Error(), "marker") || !errors.Is(got, refused) {
		t.Errorf("WithoutURL = %v", got)
	}
	if got := WithoutURL(refused); !errors.Is(got, refused) {
		t.Errorf("WithoutURL of another error = %v", got)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestPause(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		deadline time.Duration // 0 for none
		cancel   time.Duration // 0 for never
		want     bool
		took     time.Duration
	}{
		{"runs out", 0, 0, true, time.Second},
		{"deadline after it", 2 * time.Second, 0, true, time.Second},
		{"deadline before it ends at once", 500 * time.Millisecond, 0, false, 0},
		{"cancelled", 0, 300 * time.Millisecond, false, 300 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				start := time.Now()
				if got := Pause(ctx, time.Second); got != tt.want || time.Since(start) != tt.took {
					t.Errorf("Pause = %t after %v, want %t after %v", got, time.Since(start), tt.want, tt.took)
				}
			})
		})
	}
}

func TestLogText(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in   string
		n    int
		want string
	}{
		{"plain", 5, "plain"},
		{"plain", 4, "plai"},
		{"支付成功", 7, "支付"},
		{"支付成功", 2, ""},
		{"a\n{\"level\":\"info\"}\x00\x1b[31m", 100, `a{"level":"info"}[31m`},
		{"a\xffb\ufffdc", 100, "abc"},
		{"\u202eabc", 100, "abc"}, // turns the direction of writing
	}
	for _, tt := range tests {
		if got := LogText(tt.in, tt.n); got != tt.want {
			t.Errorf("LogText(%q, %d) = %q, want %q", tt.in, tt.n, got, tt.want)
		}
	}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
