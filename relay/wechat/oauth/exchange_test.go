package oauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

const goodToken = `{"access_token":"ACCESS_TOKEN","expires_in":7200,"refresh_token":"REFRESH_TOKEN","openid":"OPENID","scope":"snsapi_base"}`

// step answers one try of a call.
type step func(*http.Request) (*http.Response, error)

func answer(status int, body string) step {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {"text/plain"}}, Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

func fail(err error) step {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

var (
	errDial  = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	errReset = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
)

func hang(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// script plays the steps in turn and keeps the requests.
type script struct {
	t     *testing.T
	steps []step
	seen  []*http.Request
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.seen = append(s.seen, r)
	if len(s.steps) == 0 {
		s.t.Fatalf("try %d was not expected", len(s.seen))
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	return next(r)
}

func scripted(t *testing.T, steps ...step) (*Client, *script) {
	t.Helper()
	s := &script{t: t, steps: steps}
	return newTestClient(t, func(o *Options) {
		o.BaseURL, o.BackupURL, o.HTTP = "https://primary.example", "https://backup.example", &http.Client{Transport: s}
	}), s
}

func TestExchangeRepeats(t *testing.T) {
	t.Parallel()
	const p, b = "primary.example", "backup.example"
	busy := answer(200, `{"errcode":-1,"errmsg":"system error"}`)
	good := answer(200, goodToken)
	tests := []struct {
		name  string
		steps []step
		hosts []string
		ok    bool
	}{
		{"success", []step{good}, []string{p}, true},
		{"errcode 0 is success", []step{answer(200, `{"errcode":0,"errmsg":"ok","access_token":"A","openid":"O"}`)}, []string{p}, true},
		{"busy once", []step{busy, good}, []string{p, p}, true},
		{"busy for ever", []step{busy, busy, busy}, []string{p, p, p}, false},
		{"no connection", []step{fail(errDial), good}, []string{p, b}, true},
		{"no connection to either", []step{fail(errDial), fail(errDial)}, []string{p, b}, false},
		{"no connection, then busy", []step{fail(errDial), busy, good}, []string{p, b, b}, true},
		// WeChat may have used up the code.
		{"cut", []step{fail(errReset)}, []string{p}, false},
		{"hanging", []step{hang}, []string{p}, false},
		{"502", []step{answer(502, "<html>")}, []string{p}, false},
		{"used code", []step{answer(200, `{"errcode":40163,"errmsg":"code been used, rid: 1"}`)}, []string{p}, false},
		{"redirect", []step{answer(302, "")}, []string{p}, false},
		{"too long", []step{answer(200, strings.Repeat(" ", openapi.MaxAnswer+1))}, []string{p}, false},
		{"not JSON", []step{answer(200, "<html>")}, []string{p}, false},
		{"two openids", []step{answer(200, strings.Replace(goodToken, `{`, `{"openid":"OTHER",`, 1))}, []string{p}, false},
		{"case variant", []step{answer(200, strings.Replace(goodToken, `"openid"`, `"OpenId"`, 1))}, []string{p}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.steps...)
				got, err := c.Exchange(t.Context(), "CODE")
				if (err == nil) != tt.ok || (got != nil) != tt.ok {
					t.Errorf("Exchange = %v, %v", got != nil, err)
				}
				var hosts []string
				for _, r := range s.seen {
					hosts = append(hosts, r.URL.Host)
				}
				if !slices.Equal(hosts, tt.hosts) || len(s.steps) != 0 {
					t.Errorf("tries at %v, want %v", hosts, tt.hosts)
				}
			})
		})
	}
}

func TestExchangeIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, hang)
		start := time.Now()
		_, err := c.Exchange(t.Context(), "CODE")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != DefaultAttemptTimeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, answer(200, `{"errcode":-1}`))
		ctx, cancel := context.WithTimeout(t.Context(), openapi.FirstWait/2)
		defer cancel()
		start := time.Now()
		_, err := c.Exchange(ctx, "CODE")
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != errcode.Busy || time.Since(start) != 0 {
			t.Errorf("%v after %v, want the refusal at once, for no time is left to repeat", err, time.Since(start))
		}
	})
}

// TestSafeCallsUseTheBackup: what does no harm twice is asked again at the
// backup host when the primary hangs or breaks; a refusal is final.
func TestSafeCallsUseTheBackup(t *testing.T) {
	t.Parallel()
	const p, b = "primary.example", "backup.example"
	good := answer(200, goodToken)
	tests := []struct {
		name  string
		steps []step
		hosts []string
		ok    bool
	}{
		{"cut", []step{fail(errReset), good}, []string{p, b}, true},
		{"hanging", []step{hang, good}, []string{p, b}, true},
		{"502", []step{answer(502, "<html>"), good}, []string{p, b}, true},
		{"page", []step{answer(200, "<html>"), good}, []string{p, b}, true},
		{"both cut", []step{fail(errReset), fail(errReset)}, []string{p, b}, false},
		{"404", []step{answer(404, "")}, []string{p}, false},
		{"refused", []step{answer(200, `{"errcode":40030,"errmsg":"invalid refresh_token"}`)}, []string{p}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.steps...)
				got, err := c.Refresh(t.Context(), "REFRESH_TOKEN")
				if (err == nil) != tt.ok || (got != nil) != tt.ok {
					t.Errorf("Refresh = %v, %v", got != nil, err)
				}
				var hosts []string
				for _, r := range s.seen {
					hosts = append(hosts, r.URL.Host)
				}
				if !slices.Equal(hosts, tt.hosts) || len(s.steps) != 0 {
					t.Errorf("tries at %v, want %v", hosts, tt.hosts)
				}
			})
		})
	}
}

// TestErrors_H03: AppSecret, code and tokens travel in the query; no error
// may have them.
func TestErrors_H03(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]step{
		"dial":      fail(errDial),
		"cut":       fail(errReset),
		"502":       answer(502, "body-marker"),
		"page":      answer(200, "body-marker"),
		"errcode":   answer(200, `{"errcode":40029,"errmsg":"body-marker"}`),
		"bad type":  answer(200, `{"access_token":"body-marker","openid":1}`),
		"no openid": answer(200, `{"access_token":"body-marker"}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := map[string]func(*Client) error{
				"exchange": func(c *Client) error { _, err := c.Exchange(t.Context(), "code-marker"); return err },
				"userinfo": func(c *Client) error {
					_, err := c.UserInfo(t.Context(), &Token{AccessToken: "token-marker", OpenID: "openid-marker"})
					return err
				},
			}
			calls["refresh"] = func(c *Client) error { _, err := c.Refresh(t.Context(), "token-marker"); return err }
			for call, do := range calls {
				c, _ := scripted(t, first, fail(errDial))
				err := do(c)
				if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "https:") {
					t.Errorf("%s: got %v", call, err)
				}
			}
		})
	}
}
