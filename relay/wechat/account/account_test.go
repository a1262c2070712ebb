package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sent is a request as the wire had it.
type sent struct {
	method, host, path, contentType, body string
	query                                 url.Values
}

// wechat answers every request by one function and keeps what was sent.
type wechat struct {
	answer func(n int, s sent) (*http.Response, error)
	seen   []sent
}

func (w *wechat) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	s := sent{r.Method, r.URL.Host, r.URL.Path, r.Header.Get("Content-Type"), string(body), r.URL.Query()}
	w.seen = append(w.seen, s)
	return w.answer(len(w.seen), s)
}

func reply(status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status,
		Header:     http.Header{"Content-Type": {contentType}, "Set-Cookie": {"a=b"}, "Server": {"nginx"}},
		Body:       io.NopCloser(strings.NewReader(body)),
	}
}

// answering returns a client of a WeChat that gives the bodies in turn.
func answering(tb testing.TB, bodies ...string) (*Client, *wechat) {
	tb.Helper()
	w := &wechat{answer: func(n int, s sent) (*http.Response, error) {
		if n > len(bodies) {
			tb.Errorf("call %d of %s was not expected", n, s.path)
			return nil, errors.New("not expected")
		}
		return reply(http.StatusOK, "text/plain", bodies[n-1]), nil
	}}
	return of(tb, w), w
}

func of(tb testing.TB, w http.RoundTripper) *Client {
	tb.Helper()
	c, err := NewClient(Options{
		AppID: "appid", Secret: func() []byte { return []byte("secret-marker") },
		BaseURL: "https://a.example", BackupURL: "https://b.example", HTTP: &http.Client{Transport: w},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const goodToken = `{"access_token":"TOKEN","expires_in":7200}`

func TestStableToken(t *testing.T) {
	t.Parallel()
	for force, want := range map[bool]string{
		false: `{"grant_type":"client_credential","appid":"appid","secret":"secret-marker","force_refresh":false}`,
		true:  `{"grant_type":"client_credential","appid":"appid","secret":"secret-marker","force_refresh":true}`,
	} {
		c, w := answering(t, goodToken)
		got, err := c.StableToken(t.Context(), force)
		if err != nil || *got != (Token{"TOKEN", 2 * time.Hour}) {
			t.Fatalf("force %t: token differs, %v", force, err)
		}
		if s := w.seen[0]; s.method != http.MethodPost || s.path != "/cgi-bin/stable_token" || s.contentType != "application/json" || s.body != want || len(s.query) != 0 {
			t.Errorf("force %t: sent %+v", force, s)
		}
	}
}

func TestToken(t *testing.T) {
	t.Parallel()
	c, w := answering(t, goodToken)
	got, err := c.Token(t.Context())
	if err != nil || *got != (Token{"TOKEN", 2 * time.Hour}) {
		t.Fatalf("token differs, %v", err)
	}
	s := w.seen[0]
	if s.method != http.MethodGet || s.path != "/cgi-bin/token" || s.query.Encode() != "appid=appid&grant_type=client_credential&secret=secret-marker" {
		t.Errorf("sent %+v", s)
	}
}

func TestTicket(t *testing.T) {
	t.Parallel()
	c, w := answering(t, `{"errcode":0,"errmsg":"ok","ticket":"TICKET","expires_in":7200}`)
	got, err := c.Ticket(t.Context(), "A", TicketJSAPI)
	if err != nil || *got != (Token{"TICKET", 2 * time.Hour}) {
		t.Fatalf("ticket differs, %v", err)
	}
	s := w.seen[0]
	if s.method != http.MethodGet || s.path != "/cgi-bin/ticket/getticket" || s.query.Encode() != "access_token=A&type=jsapi" {
		t.Errorf("sent %+v", s)
	}
	c, _ = answering(t, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest, rid: 1"}`)
	_, err = c.Ticket(t.Context(), "A", TicketJSAPI)
	if e, ok := errors.AsType[*Error](err); !ok || !e.TokenInvalid() {
		t.Errorf("got %v", err)
	}
}

// TestTokenRefusesOddAnswers: what cannot be a token is not handed on, because
// it would be cached for hours.
func TestTokenRefusesOddAnswers(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"empty":        `{}`,
		"no life":      `{"access_token":"A"}`,
		"negative":     `{"access_token":"A","expires_in":-1}`,
		"for ever":     `{"access_token":"A","expires_in":9223372036854775807}`,
		"no token":     `{"access_token":"","expires_in":7200}`,
		"blank":        `{"access_token":"A B","expires_in":7200}`,
		"control":      `{"access_token":"A\n","expires_in":7200}`,
		"long":         `{"access_token":"` + strings.Repeat("A", maxValue+1) + `","expires_in":7200}`,
		"two tokens":   `{"access_token":"A","access_token":"B","expires_in":7200}`,
		"wrong secret": `{"errcode":40125,"errmsg":"invalid appsecret, rid: 1"}`,
	} {
		c, _ := answering(t, body, body)
		if got, err := c.Token(t.Context()); err == nil || got != nil {
			t.Errorf("%s: got a token", name)
		}
	}
}

// TestTokenRepeats: the calls that do no harm twice are made again at the
// backup host; a forced one counts against the day's twenty and is not.
func TestTokenRepeats(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
	tests := []struct {
		name  string
		call  func(*testing.T, *Client) error
		tries int
	}{
		{"stable", func(t *testing.T, c *Client) error { _, err := c.StableToken(t.Context(), false); return err }, 2},
		{"ticket", func(t *testing.T, c *Client) error { _, err := c.Ticket(t.Context(), "A", TicketJSAPI); return err }, 2},
		{"forced", func(t *testing.T, c *Client) error { _, err := c.StableToken(t.Context(), true); return err }, 1},
		{"old series", func(t *testing.T, c *Client) error { _, err := c.Token(t.Context()); return err }, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := &wechat{answer: func(int, sent) (*http.Response, error) { return nil, reset }}
			if err := tt.call(t, of(t, w)); err == nil || len(w.seen) != tt.tries {
				t.Errorf("%d tries, %v", len(w.seen), err)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		c, w := answering(t, `{"errcode":-1,"errmsg":"system error"}`, goodToken)
		if _, err := c.StableToken(t.Context(), true); err != nil || len(w.seen) != 2 {
			t.Errorf("busy once: %d tries, %v", len(w.seen), err)
		}
	})
}

// TestErrors_H03: no error has a secret, a token or an address.
func TestErrors_H03(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(int, sent) (*http.Response, error){
		"dial": func(int, sent) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New("refused")}
		},
		"cut":  func(int, sent) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"500":  func(int, sent) (*http.Response, error) { return reply(500, "text/html", "body-marker"), nil },
		"page": func(int, sent) (*http.Response, error) { return reply(200, "text/html", "body-marker"), nil },
		"errcode": func(int, sent) (*http.Response, error) {
			return reply(200, "", `{"errcode":40013,"errmsg":"body-marker"}`), nil
		},
		"odd": func(int, sent) (*http.Response, error) {
			return reply(200, "", `{"access_token":"body-marker ","ticket":"body-marker "}`), nil
		},
	} {
		c := of(t, &wechat{answer: answer})
		_, err1 := c.StableToken(t.Context(), false)
		_, err2 := c.Token(t.Context())
		_, err3 := c.Ticket(t.Context(), "token-marker", TicketCard)
		for _, err := range []error{err1, err2, err3} {
			if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "example") {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if name == "dial" || name == "cut" {
			_, err := c.Call(t.Context(), Request{Method: "GET", Path: "/cgi-bin/x", Query: url.Values{"openid": {"marker"}}}, "token-marker")
			if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "example") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

func TestTokenIsRedacted_H03(t *testing.T) {
	t.Parallel()
	token := Token{Value: "marker"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token, "pointer", &token, "inside", struct{ T *Token }{&token})
	marshalled, err := json.Marshal(&token)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, token), fmt.Sprintf(verb, &token), fmt.Sprintf(verb, []Token{token}))
	}
	for _, s := range printed {
		if strings.Contains(s, "marker") || strings.Contains(s, "6d61726b6572") {
			t.Errorf("printed %s", s)
		}
	}
}

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	c, err := NewClient(Options{BaseURL: "https://a.example/", AttemptTimeout: -1, CallTimeout: -1})
	if err == nil || c != nil {
		t.Fatalf("NewClient = %v, %v", c, err)
	}
	for _, want := range []string{"app id", "app secret", "final slash", "attempt timeout", "call timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}
