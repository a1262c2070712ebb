package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

type fakeMessages struct {
	check func(account string, query url.Values) (string, error)
	take  func(ctx context.Context, account string, query url.Values, body []byte) error
}

func (f *fakeMessages) CheckMessages(account string, query url.Values) (string, error) {
	return f.check(account, query)
}

func (f *fakeMessages) TakeMessage(ctx context.Context, account string, query url.Values, body []byte) error {
	return f.take(ctx, account, query, body)
}

// The check is answered with the text itself and nothing else; what is not
// WeChat's learns nothing, not even what it sent.
func TestMessageCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		status int
		body   string // exactly, when it is no JSON
	}{
		{"WeChat's", nil, http.StatusOK, "4375120948345356249"},
		{"forged", refusal(relay.KindSign, "signature is wrong"), http.StatusForbidden, ""},
		{"unknown account", refusal(relay.KindNotFound, "shop"), http.StatusNotFound, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var asked url.Values
			f := newFace(t, &fakeService{fakeMessages: fakeMessages{check: func(account string, query url.Values) (string, error) {
				asked = query
				return "4375120948345356249", tt.err
			}}})
			w := f.do(t, http.MethodGet, "/wechat/message/shop?signature=f464&echostr=4375120948345356249&nonce=1514711492", "")
			if w.Code != tt.status || tt.body != "" && w.Body.String() != tt.body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, tt.status, tt.body)
			}
			if tt.err != nil && (strings.Contains(w.Body.String(), "4375") || strings.Contains(w.Body.String(), "f464") || strings.Contains(f.log.String(), "4375")) {
				t.Errorf("a refusal tells what it was sent: %s\n%s", w.Body, f.log.String())
			}
			if tt.err == nil && (w.Header().Get("Content-Type") != "text/plain; charset=utf-8" || w.Header().Get("X-Content-Type-Options") != "nosniff") {
				t.Errorf("headers %v, want text that is no page", w.Header())
			}
			if asked.Get("echostr") != "4375120948345356249" || asked.Get("signature") != "f464" {
				t.Errorf("asked with %v", asked)
			}
		})
	}
}

// WeChat hears success when the message is safe, and a fault that makes it
// send the message again when nobody knows.
func TestMessageAnswers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		status int
		code   string
	}{
		{"taken", nil, http.StatusOK, ""},
		{"forged", refusal(relay.KindSign, "signature is wrong"), http.StatusForbidden, "SIGN_ERROR"},
		{"stale", refusal(relay.KindTimestamp, "old"), http.StatusForbidden, "SIGN_ERROR"},
		{"malformed", refusal(relay.KindParam, "no XML"), http.StatusBadRequest, "PARAM_ERROR"},
		{"unknown account", refusal(relay.KindNotFound, "shop"), http.StatusNotFound, "NOT_FOUND"},
		{"store in doubt", refusal(relay.KindUnavailable, "disk"), http.StatusServiceUnavailable, "UNAVAILABLE"},
		{"store says so", fmt.Errorf("at /var: %w", relay.ErrUnavailable), http.StatusServiceUnavailable, "UNAVAILABLE"},
		{"out of time", context.DeadlineExceeded, http.StatusServiceUnavailable, "UNAVAILABLE"},
		{"a mistake of ours", errors.New("nil map"), http.StatusInternalServerError, "INTERNAL"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFace(t, &fakeService{fakeMessages: fakeMessages{take: func(ctx context.Context, account string, query url.Values, body []byte) error {
				if deadline, ok := ctx.Deadline(); account != "shop" || query.Get("nonce") != "n" || string(body) != "<xml/>" || !ok || deadline.IsZero() {
					t.Errorf("taken for %q with %v and %q, deadline %t", account, query, body, ok)
				}
				return tt.err
			}}})
			w := f.do(t, http.MethodPost, "/wechat/message/shop?nonce=n", "<xml/>")
			if w.Code != tt.status || tt.err == nil && w.Body.String() != "success" || !strings.Contains(w.Body.String(), tt.code) {
				t.Errorf("got %d %s, want %d %s", w.Code, w.Body, tt.status, tt.code)
			}
			if lines := strings.Count(f.log.String(), "\n"); (lines == 1) != (tt.err != nil) {
				t.Errorf("%d log lines: %s", lines, f.log.String())
			}
			if tt.err != nil && !strings.Contains(f.log.String(), fmt.Sprint(`"status":`, tt.status)) && !strings.Contains(f.log.String(), fmt.Sprint("status=", tt.status)) {
				t.Errorf("the log does not tell the status %d: %s", tt.status, f.log.String())
			}
		})
	}
}

// A body over 64 KiB is not read, a query that does not parse is nobody's.
func TestMessageLimits(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{fakeMessages: fakeMessages{take: func(context.Context, string, url.Values, []byte) error {
		t.Error("taken")
		return nil
	}}})
	if w := f.do(t, http.MethodPost, "/wechat/message/shop?nonce=n", strings.Repeat("x", 64<<10+1)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a long body: %d, want 413", w.Code)
	}
	f = newFace(t, &fakeService{fakeMessages: fakeMessages{check: func(_ string, query url.Values) (string, error) {
		if len(query) != 0 {
			t.Errorf("asked with %v, want nothing of a broken query", query)
		}
		return "", refusal(relay.KindSign, "no parameters")
	}}})
	if w := f.do(t, http.MethodGet, "/wechat/message/shop?echostr=1&a=%zz", ""); w.Code != http.StatusForbidden {
		t.Errorf("a broken query: %d, want 403", w.Code)
	}
	if w := f.do(t, http.MethodPut, "/wechat/message/shop", ""); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT: %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}
