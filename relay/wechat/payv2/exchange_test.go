package payv2

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// contextOfOneTry ends before a second try would begin.
func contextOfOneTry(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithTimeout(t.Context(), firstWait/2)
}

func isCodeError(err error, code string) bool {
	e, ok := errors.AsType[*APIError](err)
	return ok && e.Code == code
}

// script answers the tries of one call in turn.
type script struct {
	t      *testing.T
	steps  []step
	seen   []string // host of each try
	first  Message
	nonces map[string]bool
}

type step func(w http.ResponseWriter, r *http.Request) error

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	m, err := ParseMessage(body)
	if err != nil {
		s.t.Errorf("try %d: %v", len(s.seen)+1, err)
	}
	if _, err := VerifyRequest(m, []byte(testKey)); err != nil || s.nonces[m["nonce_str"]] {
		s.t.Errorf("try %d repeats its nonce or is badly signed: %v", len(s.seen)+1, err)
	}
	s.nonces[m["nonce_str"]] = true
	business := edited(m, "nonce_str", "-", "sign", "-")
	if s.first == nil {
		s.first = business
	}
	if !maps.Equal(business, s.first) {
		s.t.Errorf("try %d has other fields", len(s.seen)+1)
	}
	s.seen = append(s.seen, r.URL.Host)
	if len(s.steps) == 0 {
		s.t.Fatalf("try %d was not expected", len(s.seen))
	}
	next := s.steps[0]
	s.steps = s.steps[1:]
	var stepErr error
	resp, err := serve(func(w http.ResponseWriter, r *http.Request) { stepErr = next(w, r) })(nil).Transport.RoundTrip(r)
	if stepErr != nil {
		return nil, stepErr
	}
	return resp, err
}

// raw answers with a body as it is.
func raw(status int, body string) step {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return nil
	}
}

// signedAnswer answers as WeChat does.
func signedAnswer(m Message) step {
	return func(w http.ResponseWriter, _ *http.Request) error {
		body, err := SignedReply(m, []byte(testKey), SignHMACSHA256, rand.Reader)
		_, _ = w.Write(body)
		return err
	}
}

// businessError answers with a signed refusal.
func businessError(code string) step {
	return signedAnswer(success("result_code", "FAIL", "err_code", code, "err_code_des", "openid oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"))
}

func refuse(http.ResponseWriter, *http.Request) error { return errors.New("connection refused") }

func hang(_ http.ResponseWriter, r *http.Request) error {
	<-r.Context().Done()
	return r.Context().Err()
}

// scripted returns a client in a bubble whose calls meet the steps.
func scripted(t *testing.T, steps ...step) (*Client, *script) {
	t.Helper()
	s := &script{t: t, steps: steps, nonces: map[string]bool{}}
	return newTestClient(t, func(o *ClientOptions) {
		o.Now, o.HTTP = time.Now, func(*tls.Certificate) *http.Client { return &http.Client{Transport: s} }
	}), s
}

func TestClientRetries(t *testing.T) {
	t.Parallel()
	const p, b = "primary.example", "backup.example"
	good := signedAnswer(success())
	systemError := businessError(CodeSystemError)
	answer := func(edit ...string) string {
		m := edited(success("return_code", "SUCCESS", "nonce_str", "n"), edit...)
		return string(signedBody(t, m, testKey, SignHMACSHA256))
	}
	tests := []struct {
		name  string
		steps []step
		hosts []string
		ok    bool
	}{
		{"success", []step{good}, []string{p}, true},
		{"connection refused, backup answers", []step{refuse, good}, []string{p, b}, true},
		{"timeout, backup answers", []step{hang, good}, []string{p, b}, true},
		{"502 page, backup answers", []step{raw(502, "<html>"), good}, []string{p, b}, true},
		{"system error, same host", []step{systemError, good}, []string{p, p}, true},
		{"other spelling", []step{businessError("SYSTEM_ERROR"), good}, []string{p, p}, true},
		{"need retry", []step{businessError(CodeNeedRetry), good}, []string{p, p}, true},
		{"too many, same host", []step{businessError(CodeFrequencyLimited), good}, []string{p, p}, true},
		{"429 without words", []step{raw(429, ""), good}, []string{p, p}, true},
		{"unsigned system error", []step{raw(200, string(FailReply("SYSTEMERROR"))), good}, []string{p, p}, true},
		{"both hosts down", []step{refuse, refuse, refuse, refuse}, []string{p, b, p, b}, false},
		{"system error for ever", []step{systemError, systemError, systemError, systemError}, []string{p, p, p, p}, false},
		{"down, then system error", []step{refuse, systemError, good}, []string{p, b, b}, true},
		{"a minute to wait", []step{businessError(CodeTooMuch)}, []string{p}, false},
		{"final code", []step{businessError("NOAUTH")}, []string{p}, false},
		{"final code without signature", []step{raw(200, string(FailReply("签名错误")))}, []string{p}, false},
		{"400 of the front", []step{raw(400, "<html>No required SSL certificate was sent</html>")}, []string{p}, false},
		{"redirect", []step{raw(302, "")}, []string{p}, false},
		{"too long", []step{raw(200, strings.Repeat(" ", maxAnswer+1))}, []string{p}, false},
		{"no XML", []step{raw(200, "{}")}, []string{p}, false},
		{"XML with a comment", []step{raw(200, strings.Replace(answer(), "<appid>", "<!-- --><appid>", 1))}, []string{p}, false},
		{"unsigned", []step{raw(200, string(edited(success("return_code", "SUCCESS")).Encode()))}, []string{p}, false},
		{"signed with another key", []step{raw(200, string(signedBody(t, success("return_code", "SUCCESS"), oldKey, SignHMACSHA256)))}, []string{p}, false},
		{"signed with the weaker algorithm", []step{raw(200, string(signedBody(t, success("return_code", "SUCCESS"), testKey, SignMD5)))}, []string{p}, false},
		{"signature type lies", []step{raw(200, answer("sign_type", "MD5"))}, []string{p}, false},
		{"a field added", []step{raw(200, strings.Replace(answer(), "<appid>", "<x>1</x><appid>", 1))}, []string{p}, false},
		{"no result", []step{raw(200, answer("result_code", "-"))}, []string{p}, false},
		{"no return code", []step{raw(200, answer("return_code", "-"))}, []string{p}, false},
		{"other merchant", []step{raw(200, answer("mch_id", "1900000001"))}, []string{p}, false},
		{"other app", []step{raw(200, answer("appid", "wx1"))}, []string{p}, false},
		{"unsigned claim that it is closed", []step{raw(200, string(FailReply("ORDERCLOSED")))}, []string{p}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, tt.steps...)
				err := c.CloseOrder(t.Context(), OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"})
				if (err == nil) != tt.ok {
					t.Errorf("got %v", err)
				}
				noSecrets(t, err)
				if !slices.Equal(s.seen, tt.hosts) || len(s.steps) != 0 {
					t.Errorf("tries at %v, want %v", s.seen, tt.hosts)
				}
			})
		})
	}
}

// TestClientRefusedAnswer: an answer that was not believed is an alarm.
func TestClientRefusedAnswer(t *testing.T) {
	t.Parallel()
	for want, m := range map[VerifyReason]Message{
		ReasonMissing:   success("return_code", "SUCCESS"),
		ReasonSignature: success("return_code", "SUCCESS", "sign", strings.Repeat("0", 64)),
		ReasonSignType:  success("return_code", "SUCCESS", "sign_type", "MD5", "sign", strings.Repeat("0", 32)),
	} {
		var got []VerifyReason
		c, _ := scripted(t, raw(200, string(m.Encode())))
		c.hooks.AnswerRefused = func(op string, reason VerifyReason) {
			if op != "closeorder" {
				t.Errorf("op %q", op)
			}
			got = append(got, reason)
		}
		err := c.CloseOrder(t.Context(), OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"})
		if !isReason(err, want) || !slices.Equal(got, []VerifyReason{want}) {
			t.Errorf("got %v, told %v, want %v", err, got, want)
		}
	}
}

func TestClientReportsTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, refuse, businessError("NOAUTH"))
		var got []Attempt
		c.hooks.AttemptDone = func(a Attempt) { got = append(got, a) }
		err := c.CloseOrder(t.Context(), OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"})
		if len(got) != 2 || got[0].Host != "primary.example" || got[0].HTTPStatus != 0 || got[0].Err == nil ||
			got[1].Host != "backup.example" || got[1].Try != 2 || got[1].HTTPStatus != 200 || !errors.Is(err, got[1].Err) {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestClientEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s := scripted(t, hang)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := c.CloseOrder(ctx, OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != time.Second || len(s.seen) != 1 {
			t.Errorf("took %v, %d tries", took, len(s.seen))
		}
	})
}

// TestClientPatience: refunds take WeChat longer than other calls (section 4).
func TestClientPatience(t *testing.T) {
	t.Parallel()
	calls := map[string]func(context.Context, *Client) error{
		"close": func(ctx context.Context, c *Client) error {
			return c.CloseOrder(ctx, OrderRequest{AppID: testAppID, OutTradeNo: "A000000001"})
		},
		"refund": func(ctx context.Context, c *Client) error {
			_, _, err := c.Refund(ctx, &RefundRequest{AppID: testAppID, OutTradeNo: "A000000001", OutRefundNo: "R000000001", TotalFen: 1, RefundFen: 1})
			return err
		},
	}
	for name, want := range map[string]time.Duration{"close": DefaultAttemptTimeout, "refund": 2 * DefaultAttemptTimeout} {
		synctest.Test(t, func(t *testing.T) {
			var took time.Duration
			c, _ := scripted(t, hang, businessError("NOAUTH"))
			c.hooks.AttemptDone = func(a Attempt) {
				if a.Try == 1 {
					took = a.Duration
				}
			}
			if err := calls[name](t.Context(), c); !isCodeError(err, "NOAUTH") || took != want {
				t.Errorf("%s: the first try took %v, want %v; %v", name, took, want, err)
			}
		})
	}
}

func TestAPIError(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		err       APIError
		text      string
		retryable bool
		duplicate bool
	}{
		{"system error", APIError{Op: "refund", HTTPStatus: 200, Code: "SYSTEMERROR"}, "refund: WeChat answered 200 SYSTEMERROR", true, false},
		{"need retry", APIError{Op: "refund", HTTPStatus: 200, Code: "BIZERR_NEED_RETRY"}, "refund: WeChat answered 200 BIZERR_NEED_RETRY", true, false},
		{"a minute", APIError{Op: "refund", HTTPStatus: 200, Code: "INVALID_REQ_TOO_MUCH"}, "refund: WeChat answered 200 INVALID_REQ_TOO_MUCH", true, false},
		{"slower", APIError{Op: "refund", HTTPStatus: 200, Code: "FREQUENCY_LIMITED"}, "refund: WeChat answered 200 FREQUENCY_LIMITED", true, false},
		{"front", APIError{Op: "refund", HTTPStatus: 502}, "refund: WeChat answered 502", true, false},
		{"not enough", APIError{Op: "refund", HTTPStatus: 200, Code: "NOTENOUGH", Message: "secret words"}, "refund: WeChat answered 200 NOTENOUGH", false, false},
		{"unsigned", APIError{Op: "refund", HTTPStatus: 200, ReturnFail: true, Message: "签名错误"}, "refund: WeChat answered 200 return_code FAIL", false, false},
		{"used", APIError{Op: "o", HTTPStatus: 200, Code: "OUT_TRADE_NO_USED"}, "o: WeChat answered 200 OUT_TRADE_NO_USED", false, true},
		{"201", APIError{Op: "o", HTTPStatus: 200, Code: "INVALID_REQUEST", Message: "201 商户订单号重复"}, "o: WeChat answered 200 INVALID_REQUEST", false, true},
		{"other invalid request", APIError{Op: "o", HTTPStatus: 200, Code: "INVALID_REQUEST", Message: "参数错误"}, "o: WeChat answered 200 INVALID_REQUEST", false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("Error() = %q, want %q", got, tt.text)
			}
			if tt.err.Retryable() != tt.retryable || tt.err.DuplicateOrder() != tt.duplicate {
				t.Errorf("retryable %t, duplicate %t", tt.err.Retryable(), tt.err.DuplicateOrder())
			}
		})
	}
}
