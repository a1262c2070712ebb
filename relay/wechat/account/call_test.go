package account

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

func TestCall(t *testing.T) {
	t.Parallel()
	w := &wechat{answer: func(int, sent) (*http.Response, error) {
		r := reply(http.StatusAccepted, "image/jpeg", "\xff\xd8")
		r.Header.Set("Content-Disposition", `attachment; filename="a.jpg"`)
		return r, nil
	}}
	query := url.Values{"openid": {"O"}, "lang": {"zh_CN"}, "access_token": {"theirs", "again"}}
	got, err := of(t, w).Call(t.Context(), Request{
		Method: http.MethodPost, Path: "/cgi-bin/media/get", Query: query, ContentType: "multipart/form-data; boundary=x", Body: []byte("--x"),
	}, "OURS")
	if err != nil {
		t.Fatal(err)
	}
	if s := w.seen[0]; s.method != http.MethodPost || s.path != "/cgi-bin/media/get" || s.query.Encode() != "access_token=OURS&lang=zh_CN&openid=O" ||
		s.contentType != "multipart/form-data; boundary=x" || s.body != "--x" {
		t.Errorf("sent %+v", s)
	}
	if got.Status != http.StatusAccepted || string(got.Body) != "\xff\xd8" || len(got.Header) != 2 ||
		got.Header.Get("Content-Type") != "image/jpeg" || got.Header.Get("Content-Disposition") != `attachment; filename="a.jpg"` {
		t.Errorf("got %+v", got)
	}
	if query.Get("access_token") != "theirs" {
		t.Error("the caller's query was changed")
	}
}

// TestCallGoesOutOnce: a write whose outcome is not known is not repeated, nor
// is a refusal.
func TestCallGoesOutOnce(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		err   error
		body  string
		tries int
	}{
		{"busy", nil, `{"errcode":-1,"errmsg":"system error"}`, 1},
		{"token refused", nil, `{"errcode":40001}`, 1},
		{"cut", &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}, "", 1},
		{"no connection", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &wechat{answer: func(int, sent) (*http.Response, error) {
				if tt.err != nil {
					return nil, tt.err
				}
				return reply(http.StatusOK, "application/json", tt.body), nil
			}}
			got, err := of(t, w).Call(t.Context(), Request{Method: http.MethodPost, Path: "/cgi-bin/x"}, "A")
			if (err == nil) != (tt.err == nil) || len(w.seen) != tt.tries || err == nil && string(got.Body) != tt.body {
				t.Errorf("%d tries, %v", len(w.seen), err)
			}
		})
	}
}

func TestCallFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	w := &wechat{answer: func(int, sent) (*http.Response, error) {
		r := reply(http.StatusTemporaryRedirect, "text/html", "")
		r.Header.Set("Location", "https://evil.example/")
		return r, nil
	}}
	got, err := of(t, w).Call(t.Context(), Request{Method: http.MethodPost, Path: "/cgi-bin/x", Body: []byte("b")}, "A")
	if err != nil || got.Status != http.StatusTemporaryRedirect || got.Header.Get("Location") != "" || len(w.seen) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCallBounds(t *testing.T) {
	t.Parallel()
	c, _ := answering(t)
	good := Request{Method: http.MethodPost, Path: "/cgi-bin/x"}
	for name, change := range map[string]func(*Request){
		"method":        func(r *Request) { r.Method = http.MethodDelete },
		"method's case": func(r *Request) { r.Method = "post" },
		"GET with body": func(r *Request) { r.Method, r.Body = http.MethodGet, []byte("x") },
		"long body":     func(r *Request) { r.Body = make([]byte, MaxRequest+1) },
		"path":          func(r *Request) { r.Path = "/cgi-bin/../sns/x" },
	} {
		r := good
		change(&r)
		if _, err := c.Call(t.Context(), r, "A"); err == nil {
			t.Errorf("%s is sent", name)
		}
	}
	if _, err := c.Call(t.Context(), good, ""); err == nil {
		t.Error("a call without token is sent")
	}
	c, _ = answering(t, strings.Repeat("x", MaxAnswer+1))
	_, err := c.Call(t.Context(), good, "A")
	if _, ok := errors.AsType[*TooLongError](err); !ok {
		t.Errorf("an answer that is too long: %v", err)
	}
}

func TestCleanPath(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"/cgi-bin/user/info", "/wxa/business/getuserphonenumber", "/a.b-c_d~1", "/..a", "/a.."} {
		if !CleanPath(good) {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []string{
		"", "/", "cgi-bin/x", "//cgi-bin/x", "/cgi-bin//x", "/cgi-bin/x/", "/cgi-bin/./x", "/cgi-bin/../x", "/cgi-bin/%2e%2e/x",
		"/cgi-bin/x?y", "/cgi-bin/x#y", "/cgi-bin/x;y", `/cgi-bin\x`, "/cgi-bin/x y", "/cgi-bin/\x00", "/cgi-bin/用", "/cgi-bin/x@y", "/cgi-bin/x:y", "/\xff",
	} {
		if CleanPath(bad) {
			t.Errorf("%q is clean", bad)
		}
	}
}

func TestErrCode(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]int{
		``:                                 0,
		`{}`:                               0,
		`{"errcode":0,"errmsg":"ok"}`:      0,
		` {"errcode":40001,"errmsg":"x"}`:  40001,
		`{"a":{"errcode":1},"errcode":-1}`: -1,
		`{"a":{"errcode":1}}`:              0,
		`[{"errcode":1}]`:                  0,
		`{"errcode":"1"}`:                  0,
		`{"errcode":1,"errcode":0}`:        0,
		`{"errcode":1`:                     0,
		"\xff\xd8\xff":                     0,
		`<xml>`:                            0,
	} {
		if got := ErrCode([]byte(body)); got != want {
			t.Errorf("%s: got %d, want %d", body, got, want)
		}
	}
}

// FuzzErrCode: no answer makes reading its code panic, and only an object has
// one.
func FuzzErrCode(f *testing.F) {
	f.Add([]byte(`{"errcode":40001,"errmsg":"x"}`))
	f.Add([]byte(" \n{}"))
	f.Add([]byte("\xff\xd8"))
	f.Fuzz(func(t *testing.T, body []byte) {
		if ErrCode(body) != 0 && !strings.Contains(string(body), "{") {
			t.Fatalf("%q has a code", body)
		}
	})
}

// FuzzTicket: whatever WeChat answers, there is a usable ticket or an error.
func FuzzTicket(f *testing.F) {
	f.Add([]byte(`{"errcode":0,"errmsg":"ok","ticket":"TICKET","expires_in":7200}`))
	f.Add([]byte(`{"errcode":45009,"errmsg":"reach max api daily quota limit"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w := &wechat{answer: func(n int, _ sent) (*http.Response, error) {
			if n > 1 {
				return nil, errors.New("once is enough")
			}
			return reply(http.StatusOK, "", string(body)), nil
		}}
		ctx, cancel := context.WithTimeout(t.Context(), openapi.FirstWait/2) // no time for a wait after "busy"
		defer cancel()
		got, err := of(t, w).Ticket(ctx, "A", TicketJSAPI)
		if (err == nil) == (got == nil) || got != nil && (got.Value == "" || got.ExpiresIn <= 0) {
			t.Fatalf("ticket %t, error %v", got != nil, err)
		}
	})
}
