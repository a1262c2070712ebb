package miniprogram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

const testKey = SessionKey("tiihtNczf5v6AKRyjwEUhQ==")

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a client of a WeChat that gives the bodies in turn, and
// what it was asked.
func answering(tb testing.TB, bodies ...string) (*Client, *[]*http.Request) {
	tb.Helper()
	var seen []*http.Request
	c, err := NewClient(Options{
		AppID: "appid", Secret: func() []byte { return []byte("secret-marker") },
		BaseURL: "https://a.example", BackupURL: "https://b.example",
		HTTP: &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			seen = append(seen, r)
			if len(seen) > len(bodies) {
				return nil, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset")}
			}
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(bodies[len(seen)-1]))}, nil
		})},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c, &seen
}

const goodSession = `{"openid":"O","session_key":"tiihtNczf5v6AKRyjwEUhQ==","unionid":"U"}`

func TestSession(t *testing.T) {
	t.Parallel()
	c, seen := answering(t, goodSession)
	got, err := c.Session(t.Context(), "CODE")
	if err != nil || *got != (Session{"O", "U", testKey}) {
		t.Fatalf("session differs, %v", err)
	}
	r := (*seen)[0]
	if r.Method != http.MethodGet || r.URL.Host != "a.example" || r.URL.Path != "/sns/jscode2session" ||
		r.URL.RawQuery != "appid=appid&grant_type=authorization_code&js_code=CODE&secret=secret-marker" {
		t.Errorf("asked %s %s", r.Method, r.URL)
	}
}

func TestSessionRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		code  int
		spent bool
	}{{40029, true}, {40163, true}, {42003, true}, {40226, false}, {45011, false}, {40125, false}}
	for _, tt := range tests {
		c, seen := answering(t, fmt.Sprintf(`{"errcode":%d,"errmsg":"words, rid: 1"}`, tt.code))
		_, err := c.Session(t.Context(), "CODE")
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Code != tt.code || e.CodeSpent() != tt.spent || e.Message != "words" || len(*seen) != 1 {
			t.Errorf("%d: got %#v after %d calls", tt.code, err, len(*seen))
		}
	}
}

// TestSessionRepeats: a code works once, so only "busy" is asked again.
func TestSessionRepeats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, seen := answering(t, `{"errcode":-1,"errmsg":"system error"}`, goodSession)
		if _, err := c.Session(t.Context(), "CODE"); err != nil || len(*seen) != 2 {
			t.Errorf("busy once: %d calls, %v", len(*seen), err)
		}
	})
	c, seen := answering(t)
	if _, err := c.Session(t.Context(), "CODE"); err == nil || len(*seen) != 1 {
		t.Errorf("cut: %d calls, %v", len(*seen), err)
	}
}

func TestSessionRefusesIncomplete(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{}`, `{"openid":"O"}`, `{"session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, `{"openid":"O","session_key":"c2hvcnQ="}`,
		`{"openid":"O","session_key":"tiihtNczf5v6AKRyjwEUhQ"}`, `{"openid":"O","session_key":"tiihtNczf5v6AKRyjwEUhQ==\n"}`,
		`{"openid":"O","openid":"P","session_key":"tiihtNczf5v6AKRyjwEUhQ=="}`, `<html>`,
	} {
		c, _ := answering(t, body)
		if got, err := c.Session(t.Context(), "CODE"); err == nil || got != nil {
			t.Errorf("%s gives a session", body)
		}
	}
	for _, code := range []string{"", "a b", "a\n", "码", "\x7f", strings.Repeat("c", 513)} {
		c, seen := answering(t, goodSession)
		if _, err := c.Session(t.Context(), code); err == nil || len(*seen) != 0 {
			t.Errorf("code %q is sent", code)
		}
	}
}

// TestErrors_H03: no error has the secret, the code, the key or an address.
func TestErrors_H03(t *testing.T) {
	t.Parallel()
	for _, bodies := range [][]string{
		nil, {`body-marker`}, {`{"errcode":40029,"errmsg":"body-marker"}`}, {`{"openid":"body-marker","session_key":"body-marker"}`},
	} {
		c, _ := answering(t, bodies...)
		_, err := c.Session(t.Context(), "code-marker")
		if err == nil || strings.Contains(err.Error(), "marker") || strings.Contains(err.Error(), "example") {
			t.Errorf("%v: got %v", bodies, err)
		}
	}
}

func TestSessionKeyIsRedacted_H03(t *testing.T) {
	t.Parallel()
	s := Session{OpenID: "O", Key: "marker"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "key", s.Key, "session", s, "pointer", &s)
	marshalled, err := json.Marshal(&s)
	if err != nil {
		t.Fatal(err)
	}
	printed := []string{log.String(), string(marshalled)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		printed = append(printed, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, s.Key))
	}
	for _, s := range printed {
		if strings.Contains(s, "marker") || strings.Contains(s, "6d61726b6572") {
			t.Errorf("printed %s", s)
		}
	}
}

func TestNewClientNamesEveryProblem(t *testing.T) {
	t.Parallel()
	c, err := NewClient(Options{BaseURL: "https://a.example/", AttemptTimeout: -1})
	if err == nil || c != nil {
		t.Fatalf("NewClient = %v, %v", c, err)
	}
	for _, want := range []string{"app id", "app secret", "final slash", "attempt timeout"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
}

// FuzzSession: whatever WeChat answers, there is a complete session or an
// error.
func FuzzSession(f *testing.F) {
	f.Add([]byte(goodSession))
	f.Add([]byte(`{"errcode":40029,"errmsg":"invalid code, rid: 1"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, _ := answering(t, string(body))
		got, err := c.Session(t.Context(), "CODE")
		if (err == nil) == (got == nil) || got != nil && (got.OpenID == "" || !got.Key.Valid()) {
			t.Fatalf("session %t, error %v", got != nil, err)
		}
	})
}
