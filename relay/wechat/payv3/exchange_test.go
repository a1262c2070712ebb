package payv3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

const goodPrepayAnswer = `{"prepay_id":"wx201410272009395522657a690389285100"}`

// script answers the tries of one call in turn; each step gets the writer of
// its try, or fails the connection.
type script struct {
	t     *testing.T
	p     *Platform
	steps []step
	seen  []string // host of each try
	auths map[string]bool
	body  []byte
	at    []time.Time
}

type step func(s *script, w http.ResponseWriter, r *http.Request) error

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if len(s.seen) > 0 && !bytes.Equal(body, s.body) {
		s.t.Errorf("try %d has another body", len(s.seen)+1)
	}
	a, err := ParseAuthorization(r.Header.Get("Authorization"))
	if err != nil || s.auths[a.Nonce] {
		s.t.Errorf("try %d repeats its nonce or is malformed: %v", len(s.seen)+1, err)
	}
	if a.Timestamp != fmt.Sprint(time.Now().Unix()) {
		s.t.Errorf("try %d is signed at %s, want now", len(s.seen)+1, a.Timestamp)
	}
	s.auths[a.Nonce], s.body = true, body
	s.seen, s.at = append(s.seen, r.URL.Host), append(s.at, time.Now())
	if len(s.steps) == 0 {
		s.t.Fatalf("try %d was not expected", len(s.seen))
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	var stepErr error
	resp, err := serve(func(w http.ResponseWriter, r *http.Request) { stepErr = next(s, w, r) }).Transport.RoundTrip(r)
	if stepErr != nil {
		return nil, stepErr
	}
	return resp, err
}

func answer(status int, body string) step {
	return func(s *script, w http.ResponseWriter, _ *http.Request) error {
		reply(s.t, w, s.p, testPublicKey, status, body)
		return nil
	}
}

// unsigned answers as proxies and most errors do.
func unsigned(status int, body string, headers ...string) step {
	return func(_ *script, w http.ResponseWriter, _ *http.Request) error {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return nil
	}
}

// resign answers with one header changed.
func resign(name, value string) step {
	return func(s *script, w http.ResponseWriter, _ *http.Request) error {
		if err := s.p.SignHeaders(w.Header(), testPublicKey, []byte(goodPrepayAnswer)); err != nil {
			return err
		}
		w.Header().Set(name, value)
		_, _ = io.WriteString(w, goodPrepayAnswer)
		return nil
	}
}

func refuse(*script, http.ResponseWriter, *http.Request) error {
	return errors.New("connection refused")
}

func hang(_ *script, _ http.ResponseWriter, r *http.Request) error {
	<-r.Context().Done()
	return r.Context().Err()
}

// scripted returns a client in a bubble whose calls meet the steps.
func scripted(t *testing.T, steps ...step) (*Client, *script) {
	t.Helper()
	p, err := NewPlatform(PlatformOptions{Keys: []PlatformKey{{Serial: testPublicKey, Private: testKeys().platform}}})
	if err != nil {
		t.Fatal(err)
	}
	s := &script{t: t, p: p, steps: steps, auths: map[string]bool{}}
	return newTestClient(t, func(o *ClientOptions) { o.Now, o.HTTP = time.Now, &http.Client{Transport: s} }), s
}

func TestClientRetries(t *testing.T) {
	t.Parallel()
	testKeys()
	const p, b = "primary.example", "backup.example"
	systemError := unsigned(500, `{"code":"SYSTEM_ERROR","message":"x"}`)
	tests := []struct {
		name  string
		steps []step
		hosts []string
		ok    bool
	}{
		{"success", []step{answer(200, goodPrepayAnswer)}, []string{p}, true},
		{"connection refused, backup answers", []step{refuse, answer(200, goodPrepayAnswer)}, []string{p, b}, true},
		{"timeout, backup answers", []step{hang, answer(200, goodPrepayAnswer)}, []string{p, b}, true},
		{"502 page, backup answers", []step{unsigned(502, "<html>"), answer(200, goodPrepayAnswer)}, []string{p, b}, true},
		{"503, backup answers", []step{unsigned(503, `{"code":"SERVICE_UNAVAILABLE"}`), answer(200, goodPrepayAnswer)}, []string{p, b}, true},
		{"system error, same host", []step{systemError, answer(200, goodPrepayAnswer)}, []string{p, p}, true},
		{"old spelling", []step{unsigned(500, `{"code":"SYSTEMERROR"}`), answer(200, goodPrepayAnswer)}, []string{p, p}, true},
		{"system error with another status", []step{unsigned(400, `{"code":"SYSTEM_ERROR"}`), answer(200, goodPrepayAnswer)}, []string{p, p}, true},
		{"too many, same host", []step{unsigned(429, `{"code":"FREQUENCY_LIMITED"}`), answer(200, goodPrepayAnswer)}, []string{p, p}, true},
		{"both hosts down", []step{refuse, refuse, refuse, refuse}, []string{p, b, p, b}, false},
		{"system error for ever", []step{systemError, systemError, systemError, systemError}, []string{p, p, p, p}, false},
		{"down, then system error", []step{refuse, systemError, answer(200, goodPrepayAnswer)}, []string{p, b, b}, true},
		{"400", []step{unsigned(400, `{"code":"PARAM_ERROR"}`)}, []string{p}, false},
		{"401", []step{unsigned(401, `{"code":"SIGN_ERROR"}`)}, []string{p}, false},
		{"403", []step{unsigned(403, `{"code":"NO_AUTH"}`)}, []string{p}, false},
		{"404 without JSON", []step{unsigned(404, `not found`)}, []string{p}, false},
		{"final code with 500", []step{unsigned(500, `{"code":"OPENID_MISMATCH"}`)}, []string{p}, false},
		{"redirect", []step{unsigned(307, ``, "Location", "https://evil.example/")}, []string{p}, false},
		{"202", []step{answer(202, goodPrepayAnswer)}, []string{p}, false},
		{"too long", []step{answer(200, strings.Repeat(" ", maxAnswer+1))}, []string{p}, false},
		{"B08 probe, then genuine", []step{resign(headerSignature, ProbePrefix+"x"), answer(200, goodPrepayAnswer)}, []string{p, p}, true},
		{"B08 probes", []step{resign(headerSignature, ProbePrefix+"x"), resign(headerSignature, ProbePrefix+"x")}, []string{p, p}, false},
		{"B08 probes with an outage between", []step{resign(headerSignature, ProbePrefix+"x"), refuse, resign(headerSignature, ProbePrefix+"x")}, []string{p, p, b}, false},
		{"B09 unsigned", []step{unsigned(200, goodPrepayAnswer)}, []string{p}, false},
		{"B09 wrong signature", []step{resign(headerSignature, "AAAA")}, []string{p}, false},
		{"B09 other body", []step{resign(headerNonce, "other")}, []string{p}, false},
		{"B09 unknown key", []step{resign(headerSerial, "ABCDEF")}, []string{p}, false},
		{"B09 stale", []step{resign(headerTimestamp, "946684000")}, []string{p}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.steps...)
				id, err := c.PrepayJSAPI(t.Context(), goodPrepay())
				if (err == nil) != tt.ok || (id != "") != tt.ok {
					t.Errorf("got %q, %v", id, err)
				}
				if !slices.Equal(s.seen, tt.hosts) || len(s.steps) != 0 {
					t.Errorf("tries at %v, want %v", s.seen, tt.hosts)
				}
			})
		})
	}
}

// TestClientRefusedAnswer_B08_B09: forged answers are told apart from probes.
func TestClientRefusedAnswer_B08_B09(t *testing.T) {
	t.Parallel()
	testKeys()
	for name, tt := range map[string]struct {
		steps []step
		want  []VerifyReason
	}{
		"probes":   {[]step{resign(headerSignature, ProbePrefix+"x"), resign(headerSignature, ProbePrefix+"x")}, []VerifyReason{ReasonProbe, ReasonProbe}},
		"unsigned": {[]step{unsigned(200, goodPrepayAnswer)}, []VerifyReason{ReasonMissingHeader}},
		"forged":   {[]step{resign(headerSignature, "AAAA")}, []VerifyReason{ReasonSignature}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := scripted(t, tt.steps...)
				var got []VerifyReason
				c.hooks.AnswerRefused = func(op string, reason VerifyReason) {
					if op != "prepay jsapi" {
						t.Errorf("op %q", op)
					}
					got = append(got, reason)
				}
				_, err := c.PrepayJSAPI(t.Context(), goodPrepay())
				wantReason(t, err, tt.want[0])
				if !slices.Equal(got, tt.want) {
					t.Errorf("hook got %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestClientWaits(t *testing.T) {
	t.Parallel()
	testKeys()
	limited := unsigned(429, `{"code":"FREQUENCY_LIMITED"}`)
	longer := unsigned(429, `{"code":"FREQUENCY_LIMITED"}`, "Retry-After", "7")
	good := answer(200, goodPrepayAnswer)
	tests := []struct {
		name  string
		first step
		least time.Duration
	}{
		{"refused: at once", refuse, 0},
		{"hanging: after the attempt's time", hang, DefaultAttemptTimeout},
		{"system error", unsigned(500, `{"code":"SYSTEM_ERROR"}`), firstWait},
		{"limited", limited, firstWait429},
		{"limited with Retry-After", longer, 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.first, good)
				start := time.Now()
				if _, err := c.PrepayJSAPI(t.Context(), goodPrepay()); err != nil {
					t.Fatal(err)
				}
				if waited := s.at[1].Sub(start); waited < tt.least || waited > tt.least*3/2 {
					t.Errorf("waited %v, want %v to its half more", waited, tt.least)
				}
			})
		})
	}
}

// TestClientContextBoundsAllTries: the caller's deadline ends the waiting and
// the hanging, and the last error is what is told.
func TestClientContextBoundsAllTries(t *testing.T) {
	t.Parallel()
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, hang, hang)
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		start := time.Now()
		_, err := c.PrepayJSAPI(ctx, goodPrepay())
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 8*time.Second || len(s.seen) != 2 {
			t.Errorf("%v after %v and %d tries", err, time.Since(start), len(s.seen))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, unsigned(429, `{"code":"FREQUENCY_LIMITED"}`))
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, err := c.PrepayJSAPI(ctx, goodPrepay())
		if e, ok := errors.AsType[*APIError](err); !ok || e.HTTPStatus != 429 || time.Since(start) != 0 {
			t.Errorf("%v after %v, want the refusal at once, for no time is left to repeat", err, time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, hang)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.PrepayJSAPI(ctx, goodPrepay())
		if !errors.Is(err, context.Canceled) || len(s.seen) != 1 {
			t.Errorf("%v after %d tries", err, len(s.seen))
		}
		if got := c.hosts.First(time.Now()); got != 0 {
			t.Error("a caller who gave up must not condemn the host")
		}
	})
}

// TestClientRemembersBadHost: a hanging host costs its timeout once a minute,
// not once a call.
func TestClientRemembersBadHost(t *testing.T) {
	t.Parallel()
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		good := answer(200, goodPrepayAnswer)
		c, s := scripted(t, hang, good, good, good)
		for range 2 {
			if _, err := c.PrepayJSAPI(t.Context(), goodPrepay()); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(transport.BackupHold)
		if _, err := c.PrepayJSAPI(t.Context(), goodPrepay()); err != nil {
			t.Fatal(err)
		}
		want := []string{"primary.example", "backup.example", "backup.example", "primary.example"}
		if !slices.Equal(s.seen, want) {
			t.Errorf("tries at %v, want %v", s.seen, want)
		}
	})
}

func TestClientAttemptHook(t *testing.T) {
	t.Parallel()
	testKeys()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, hang, unsigned(500, `{"code":"SYSTEM_ERROR"}`), answer(200, goodPrepayAnswer))
		var got []Attempt
		c.hooks.AttemptDone = func(a Attempt) { got = append(got, a) }
		if _, err := c.PrepayJSAPI(t.Context(), goodPrepay()); err != nil {
			t.Fatal(err)
		}
		want := []Attempt{
			{Op: "prepay jsapi", Host: "primary.example", Try: 1, Duration: DefaultAttemptTimeout},
			{Op: "prepay jsapi", Host: "backup.example", Try: 2, HTTPStatus: 500},
			{Op: "prepay jsapi", Host: "backup.example", Try: 3, HTTPStatus: 200},
		}
		for i, a := range got {
			if (a.Err == nil) != (i == 2) {
				t.Errorf("try %d: error %v", i+1, a.Err)
			}
			got[i].Err = nil
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestClientErrors_H03: no error has the query of an address, a body or a key.
func TestClientErrors_H03(t *testing.T) {
	t.Parallel()
	testKeys()
	const marker = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
	for name, first := range map[string]step{
		"refused":  refuse,
		"400":      unsigned(400, `{"code":"PARAM_ERROR","message":"`+marker+`","detail":{"field":"/payer/openid","value":"`+marker+`"}}`),
		"page":     unsigned(404, marker),
		"bad JSON": answer(200, `{"out_trade_no":"`+marker),
		"unsigned": unsigned(200, marker),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, _ := scripted(t, first, refuse, refuse, refuse)
				_, _, err := c.TransactionByOutTradeNo(t.Context(), "A000000001", "")
				if err == nil {
					t.Fatal("succeeds")
				}
				for _, secret := range []string{marker, "mchid=", testMchID, testAPIv3Key, "A000000001", "https://"} {
					if strings.Contains(err.Error(), secret) {
						t.Errorf("%q has %q", err, secret)
					}
				}
			})
		})
	}
}

// FuzzResponse feeds success and error bodies to their readers.
func FuzzResponse(f *testing.F) {
	f.Add(200, []byte(goodPrepayAnswer))
	f.Add(400, []byte(`{"code":"PARAM_ERROR","message":"x","detail":{"field":"/amount/total"}}`))
	f.Add(500, []byte(`{"code":"SYSTEM_ERROR","detail":[]}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e := newAPIError("op", status, http.Header{"Request-Id": {string(body)}}, body)
		if len(e.Code) > 64 || len(e.Message) > 256 || len(e.Field) > 128 || len(e.RequestID) > 128 || strings.ContainsAny(e.Error()+e.Message, "\r\n\x00") {
			t.Fatalf("unbounded or unprintable: %+v", e)
		}
		var reply prepayReply
		if err := decodePeer(body, &reply); err != nil && reply != (prepayReply{}) {
			t.Fatalf("error %v with %+v", err, reply)
		}
		var list certificatesReply
		if err := decodePeer(body, &list); err != nil && list.Data != nil {
			t.Fatalf("error %v with %+v", err, list)
		}
	})
}

// BenchmarkPrepay shows what a call costs beside its signature.
func BenchmarkPrepay(b *testing.B) {
	p := publicKeyPlatform(b)
	h := http.Header{}
	if err := p.SignHeaders(h, testPublicKey, []byte(goodPrepayAnswer)); err != nil {
		b.Fatal(err)
	}
	c := newTestClient(b, func(o *ClientOptions) {
		o.HTTP = &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(strings.NewReader(goodPrepayAnswer))}, nil
		})}
	})
	b.Run("call", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.PrepayJSAPI(b.Context(), goodPrepay()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("signature_alone", func(b *testing.B) {
		for b.Loop() {
			if _, err := Sign(testKeys().merchant, []byte(goodPrepayAnswer)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
