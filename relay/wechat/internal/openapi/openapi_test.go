package openapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// at builds a caller with two hosts whose requests f answers.
func at(t *testing.T, f roundTripper) *Caller {
	t.Helper()
	c, err := New(Options{BaseURL: "https://a.example", BackupURL: "https://b.example", HTTP: &http.Client{Transport: f}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct{ base, backup, want string }{
		{"", "", DefaultBaseURL + " " + DefaultBackupURL},
		{"", "https://b.example", DefaultBaseURL + " https://b.example"},
		{"https://a.example", "", "https://a.example"},
		{"https://a.example", "https://b.example", "https://a.example https://b.example"},
	}
	for _, tt := range tests {
		c, err := New(Options{BaseURL: tt.base, BackupURL: tt.backup})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range c.hosts.Len() {
			got = append(got, c.hosts.URL(i))
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q and %q: %q, want %s", tt.base, tt.backup, got, tt.want)
		}
	}
}

func TestNewNamesEveryProblem(t *testing.T) {
	t.Parallel()
	_, err := New(Options{BaseURL: "https://a.example/", BackupURL: "x", AttemptTimeout: -1})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"absolute http", "final slash", "attempt timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}

type okReply struct {
	ErrCode int    `json:"errcode"`
	ErrMsg  string `json:"errmsg"`
}

func (r *okReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

func TestDoPostsJSON(t *testing.T) {
	t.Parallel()
	c := at(t, func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			r.Header.Get("Accept-Encoding") != "identity" || string(body) != `{"a":1}` || r.URL.RawQuery != "" {
			t.Errorf("sent %s %s %v %s, %v", r.Method, r.URL, r.Header, body, err)
		}
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
	})
	if err := c.Do(t.Context(), Call{Op: "x", Path: "/y", Body: func() ([]byte, error) { return []byte(`{"a":1}`), nil }}, &okReply{}); err != nil {
		t.Error(err)
	}
	cause := errors.New("no")
	if err := c.Do(t.Context(), Call{Op: "x", Path: "/y", Body: func() ([]byte, error) { return nil, cause }}, &okReply{}); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// TestPass: what may be a write goes out once, unless no connection came
// about.
func TestPass(t *testing.T) {
	t.Parallel()
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
	good := &http.Response{StatusCode: http.StatusTeapot, Header: http.Header{"Content-Type": {"a/b"}}}
	tests := []struct {
		name   string
		errors []error // in turn; nil answers
		hosts  []string
		ok     bool
	}{
		{"answer", []error{nil}, []string{"a.example"}, true},
		{"no connection", []error{refused, nil}, []string{"a.example", "b.example"}, true},
		{"no connection to either", []error{refused, refused}, []string{"a.example", "b.example"}, false},
		{"cut", []error{reset}, []string{"a.example"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var hosts []string
			c := at(t, func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err != nil || string(body) != "body" || r.URL.RawQuery != "a=b+c" {
					t.Errorf("sent %s with %s, %v", r.URL, body, err)
				}
				hosts = append(hosts, r.URL.Host)
				if err := tt.errors[len(hosts)-1]; err != nil {
					return nil, err
				}
				resp := *good
				resp.Body = io.NopCloser(strings.NewReader("12345"))
				return &resp, nil
			})
			req := Request{Method: http.MethodPost, Path: "/y", Query: url.Values{"a": {"b c"}}, Body: []byte("body")}
			got, err := c.Pass(t.Context(), req, 5, time.Second)
			if (err == nil) != tt.ok || !slices.Equal(hosts, tt.hosts) {
				t.Errorf("tries at %v, %v; want %v", hosts, err, tt.hosts)
			}
			if tt.ok && (got.Status != http.StatusTeapot || string(got.Body) != "12345" || got.Header.Get("Content-Type") != "a/b") {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestHostThatFailed: a call that may not be repeated spends its time at a host
// that hangs, but the next ones begin at the backup for a while.
func TestHostThatFailed(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(context.Context, *Caller) error{
		"do": func(ctx context.Context, c *Caller) error { return c.Do(ctx, Call{Op: "x", Path: "/y"}, &okReply{}) },
		"pass": func(ctx context.Context, c *Caller) error {
			_, err := c.Pass(ctx, Request{Method: http.MethodPost, Path: "/y"}, 5, time.Second)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var hosts []string
				c := at(t, func(r *http.Request) (*http.Response, error) {
					hosts = append(hosts, r.URL.Host)
					if r.URL.Host == "a.example" {
						<-r.Context().Done()
						return nil, r.Context().Err()
					}
					return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("{}"))}, nil
				})
				gaveUp, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, cancel)
				first, second, third := call(gaveUp, c), call(t.Context(), c), call(t.Context(), c)
				if first == nil || second == nil || third != nil {
					t.Errorf("got %v, %v and %v", first, second, third)
				}
				time.Sleep(transport.BackupHold)
				if err := call(t.Context(), c); err == nil {
					t.Error("the primary is not tried again")
				}
				// Whoever gives up says nothing about the host.
				if want := []string{"a.example", "a.example", "b.example", "a.example"}; !slices.Equal(hosts, want) {
					t.Errorf("tries at %v, want %v", hosts, want)
				}
			})
		})
	}
}

func TestPassIsBounded(t *testing.T) {
	t.Parallel()
	c := at(t, func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("123456"))}, nil
	})
	if _, err := c.Pass(t.Context(), Request{Method: http.MethodGet, Path: "/y"}, 5, time.Second); err == nil {
		t.Error("an answer that is too long is taken")
	}
	synctest.Test(t, func(t *testing.T) {
		c := at(t, func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		_, err := c.Pass(t.Context(), Request{Method: http.MethodGet, Path: "/y"}, 5, 3*time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 3*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestCleanMessage(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                 "",
		"ok":                               "ok",
		"invalid code, rid: 1-2-3":         "invalid code",
		"rid: 1":                           "",
		"a\nrid: b, rid: c":                "arid: b",
		strings.Repeat("长", 100) + ", rid": strings.Repeat("长", 66),
	} {
		if got := cleanMessage(in); got != want {
			t.Errorf("cleanMessage(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestIsVisible(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"": false, "a": true, "!~aZ9": true, "12345": true, "123456": false, "a b": false, "a\x7f": false, "a\n": false, "é": false,
	} {
		if got := IsVisible(in, 5); got != want {
			t.Errorf("IsVisible(%q, 5) = %t", in, got)
		}
	}
}
