// Package openapi calls WeChat's account interfaces (api.weixin.qq.com): JSON
// answers with an errcode, secrets in the query, two hosts.
//
// No error of this package has an address in its text, because WeChat takes
// secrets and tokens in the query (threat H03).
package openapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// WeChat's hosts.
const (
	DefaultBaseURL   = "https://api.weixin.qq.com"
	DefaultBackupURL = "https://api2.weixin.qq.com" // for disasters
)

const (
	// MaxAnswer bounds an answer that is decoded, in bytes.
	MaxAnswer = 64 << 10
	// FirstWait is the wait after the first "busy"; it doubles.
	FirstWait = 200 * time.Millisecond
	maxTries  = 3
)

// Options are what New needs.
type Options struct {
	// BaseURL and BackupURL are called; neither has a final slash. When BaseURL
	// is empty both have WeChat's values; else an empty BackupURL means none.
	BaseURL   string
	BackupURL string
	// HTTP makes the calls; its redirects and cookies are not used. Nil is a
	// client of its own.
	HTTP *http.Client
	// AttemptTimeout bounds one try; 0 is transport.DefaultAttemptTimeout. The
	// context of a call bounds all tries together.
	AttemptTimeout time.Duration
}

// Caller makes calls. It is safe for concurrent use.
type Caller struct {
	hosts          *transport.Hosts
	http           *http.Client
	attemptTimeout time.Duration
}

// New returns a caller. Its error names everything that is wrong with the
// options.
func New(o Options) (*Caller, error) {
	c := &Caller{http: transport.NewClient(o.HTTP), attemptTimeout: o.AttemptTimeout}
	if c.attemptTimeout == 0 {
		c.attemptTimeout = transport.DefaultAttemptTimeout
	}
	if o.BaseURL == "" {
		o.BaseURL = DefaultBaseURL
		if o.BackupURL == "" {
			o.BackupURL = DefaultBackupURL
		}
	}
	var problem, err error
	if c.attemptTimeout < 0 {
		problem = errors.New("attempt timeout is negative")
	}
	c.hosts, err = transport.NewHosts(o.BaseURL, o.BackupURL)
	if err := errors.Join(problem, err); err != nil {
		return nil, err
	}
	return c, nil
}

// Reply is an answer that may be a failure instead.
type Reply interface {
	Failure() (code int, message string)
}

// Call is one call with a JSON answer.
type Call struct {
	Op    string // for errors, such as "exchange code"
	Path  string
	Query func() url.Values // nil for none; made anew for each try, with secrets
	Body  func() ([]byte, error)
	// Safe says that a call made twice does no harm, so that one whose outcome
	// is not known is made again at the other host. A code of a login works
	// once, and its exchange is not safe.
	Safe bool
}

// Do makes a call, a POST of JSON if it has a body, and decodes the answer
// into r. It is repeated where WeChat surely did nothing: when WeChat says that
// it is busy, and at the other host when no connection came about.
func (c *Caller) Do(ctx context.Context, call Call, r Reply) error {
	host, moved := c.hosts.First(time.Now()), false
	for tries := 1; ; tries++ {
		err := c.attempt(ctx, c.hosts.URL(host), call, r)
		if err == nil || gone(ctx) {
			return err
		}
		e, refused := errors.AsType[*errcode.Error](err)
		if refused && e.Code == errcode.Busy {
			if tries == maxTries || !transport.Pause(ctx, FirstWait<<(tries-1)) {
				return err
			}
			continue
		}
		if !unknownOutcome(e) {
			return err
		}
		host = c.hosts.Failed(host, time.Now())
		if tries == maxTries || ctx.Err() != nil || moved || c.hosts.Len() == 1 || !call.Safe && !isDialError(err) {
			return err
		}
		moved = true
	}
}

// unknownOutcome reports whether an answer is missing that WeChat itself
// meant: e is nil when none came at all.
func unknownOutcome(e *errcode.Error) bool {
	return e == nil || e.Code == 0 && e.HTTPStatus >= http.StatusInternalServerError
}

// attempt makes one try.
func (c *Caller) attempt(ctx context.Context, base string, call Call, r Reply) error {
	req := Request{Method: http.MethodGet, Path: call.Path, Accept: "application/json"}
	if call.Query != nil {
		req.Query = call.Query()
	}
	if call.Body != nil {
		body, err := call.Body()
		if err != nil {
			return fmt.Errorf("%s: building request: %w", call.Op, err)
		}
		req.Method, req.Body, req.ContentType = http.MethodPost, body, "application/json"
	}
	ctx, cancel := context.WithTimeout(ctx, c.attemptTimeout)
	defer cancel()
	resp, err := c.once(ctx, base, req, MaxAnswer)
	if err != nil {
		return fmt.Errorf("%s: %w", call.Op, err)
	}
	if resp.Status != http.StatusOK {
		return &errcode.Error{Op: call.Op, HTTPStatus: resp.Status}
	}
	// WeChat labels some of its JSON text/plain, so the label is not looked at.
	if err := strictjson.Decode(resp.Body, r, strictjson.Options{AllowUnknown: true}); err != nil {
		return fmt.Errorf("%s: %w", call.Op, err)
	}
	if code, message := r.Failure(); code != 0 {
		return &errcode.Error{Op: call.Op, Code: code, HTTPStatus: resp.Status, Message: cleanMessage(message)}
	}
	return nil
}

// Request is a call whose answer is passed on as it is.
type Request struct {
	Method      string
	Path        string // clean, from the first slash
	Query       url.Values
	ContentType string
	Accept      string
	Body        []byte
}

// Response is an answer as it came.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Pass makes a call within the timeout and returns the answer, whatever it is,
// up to limit bytes. The other host is asked only when no connection to the
// first came about, for the call may be a write.
func (c *Caller) Pass(ctx context.Context, req Request, limit int64, timeout time.Duration) (*Response, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	host := c.hosts.First(time.Now())
	for tries := 1; ; tries++ {
		resp, err := c.once(ctx, c.hosts.URL(host), req, limit)
		if _, tooLong := errors.AsType[*transport.TooLongError](err); err == nil || tooLong || gone(ctx) {
			return resp, err
		}
		host = c.hosts.Failed(host, time.Now())
		if !isDialError(err) || tries == c.hosts.Len() || ctx.Err() != nil {
			return resp, err
		}
	}
}

// gone reports whether the caller gave up, which says nothing about the host.
func gone(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }

// once sends a request to one host and reads the answer.
func (c *Caller) once(ctx context.Context, base string, r Request, limit int64) (*Response, error) {
	address := base + r.Path
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	var body io.Reader = http.NoBody
	if len(r.Body) > 0 {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, body)
	if err != nil {
		return nil, errors.New("building request: method or address is malformed")
	}
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	req.Header.Set("Accept-Encoding", "identity") // a compressed answer could grow without bound
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, transport.WithoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := transport.ReadAll(resp.Body, limit)
	if err != nil {
		return nil, err
	}
	return &Response{Status: resp.StatusCode, Header: resp.Header, Body: answer}, nil
}

// isDialError reports whether the request cannot have reached WeChat.
func isDialError(err error) bool {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Op == "dial"
	}
	return false
}

// cleanMessage drops the request id that WeChat appends and what a log should
// not have.
func cleanMessage(s string) string {
	if i := strings.LastIndex(s, "rid:"); i >= 0 {
		s = strings.TrimRight(s[:i], " ,")
	}
	return transport.LogText(s, 200)
}

// IsVisible reports whether a text is 1 to limit bytes of ASCII that one can
// see, as all of WeChat's codes and tokens are.
func IsVisible(s string, limit int) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
