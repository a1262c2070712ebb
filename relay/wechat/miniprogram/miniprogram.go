// Package miniprogram speaks the login of WeChat's mini-programs, as the
// account's server, and reads what the mini-program's own code hands over
// signed or encrypted with the session's key.
//
// Begin with [NewClient]: [Client.Session] turns the code of wx.login() into
// the user's openid and the session's key. [VerifySignature] and [Decrypt] are
// for the data that wx.getUserProfile, getPhoneNumber and the like return. The
// key must not leave the server; [Sign] and [Encrypt] are the other end, for a
// simulator of WeChat.
//
// Section numbers in comments are those of oauth.md, the project's digest of
// WeChat's documents.
package miniprogram

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// WeChat's hosts.
const (
	DefaultBaseURL   = openapi.DefaultBaseURL
	DefaultBackupURL = openapi.DefaultBackupURL // for disasters
)

// DefaultAttemptTimeout is how long one try of a call may take.
const DefaultAttemptTimeout = transport.DefaultAttemptTimeout

// Error is WeChat's refusal of a call.
type Error = errcode.Error

// Options are what NewClient needs.
type Options struct {
	// AppID names the account; Secret returns its AppSecret and is asked
	// before each call.
	AppID  string
	Secret func() []byte
	// BaseURL and BackupURL are called; neither has a final slash. When BaseURL
	// is empty both have WeChat's values; else an empty BackupURL means none.
	BaseURL   string
	BackupURL string
	// HTTP makes the requests; nil means a client of its own. Redirects are
	// never followed and cookies never kept, whatever it says.
	HTTP *http.Client
	// AttemptTimeout bounds one try; 0 means DefaultAttemptTimeout. The
	// context of a call bounds all tries together.
	AttemptTimeout time.Duration
}

// Client speaks to WeChat for one mini-program. It is safe for concurrent use.
type Client struct {
	appID  string
	secret func() []byte
	api    *openapi.Caller
}

// NewClient returns a client. Its error names everything that is wrong with
// the options.
func NewClient(o Options) (*Client, error) {
	c := &Client{appID: o.AppID, secret: o.Secret}
	var problems []error
	if c.appID == "" {
		problems = append(problems, errors.New("app id is missing"))
	}
	if c.secret == nil {
		problems = append(problems, errors.New("app secret is missing"))
	}
	var err error
	c.api, err = openapi.New(openapi.Options{
		BaseURL: o.BaseURL, BackupURL: o.BackupURL, HTTP: o.HTTP, AttemptTimeout: o.AttemptTimeout,
	})
	if err := errors.Join(append(problems, err)...); err != nil {
		return nil, err
	}
	return c, nil
}

// Session is what a code of wx.login() was worth.
type Session struct {
	OpenID  string
	UnionID string // empty unless the account belongs to an Open Platform account
	Key     SessionKey
}

// sessionReply is the answer to /sns/jscode2session.
type sessionReply struct {
	ErrCode    int    `json:"errcode"`
	ErrMsg     string `json:"errmsg"`
	OpenID     string `json:"openid"`
	UnionID    string `json:"unionid"`
	SessionKey string `json:"session_key"`
}

// Failure implements openapi.Reply.
func (r *sessionReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// Session exchanges the code that wx.login() gave the mini-program. A code
// works once and for five minutes; an *Error whose [Error.CodeSpent] is true
// means that the mini-program must call wx.login() again (section 4).
func (c *Client) Session(ctx context.Context, code string) (*Session, error) {
	const op = "exchange mini-program code"
	if !isCode(code) {
		return nil, errors.New(op + ": code is not 1 to 512 visible characters")
	}
	var reply sessionReply
	err := c.api.Do(ctx, openapi.Call{Op: op, Path: "/sns/jscode2session", Query: func() url.Values {
		return url.Values{
			"appid": {c.appID}, "secret": {string(c.secret())}, "js_code": {code}, "grant_type": {"authorization_code"},
		}
	}}, &reply)
	if err != nil {
		return nil, err
	}
	s := &Session{OpenID: reply.OpenID, UnionID: reply.UnionID, Key: SessionKey(reply.SessionKey)}
	if s.OpenID == "" || !s.Key.Valid() {
		return nil, errors.New(op + ": answer has no openid or no session_key of 16 bytes")
	}
	return s, nil
}

// maxCode is the longest code that is sent, in bytes.
const maxCode = 512

// isCode keeps what cannot be a code of WeChat from being sent to it.
func isCode(s string) bool { return openapi.IsVisible(s, maxCode) }
