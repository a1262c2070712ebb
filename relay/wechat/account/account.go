// Package account speaks the server interface of WeChat's accounts: the global
// access token, the JS-SDK's ticket, and calls of any path in the account's
// name.
//
// Begin with [NewClient]. [Client.StableToken] gives the token that
// [Client.Ticket] and [Client.Call] need. The package keeps no state: who
// fetches a token, when, and for whom it is kept are the caller's part.
//
// WeChat takes secrets and tokens in the query, so no error of this package has
// an address in its text (threat H03). Section numbers in comments are those of
// oauth.md, the project's digest of WeChat's documents.
package account

import (
	"errors"
	"net/http"
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

// Times that a call may take by itself.
const (
	DefaultAttemptTimeout = transport.DefaultAttemptTimeout // one try for a token or ticket
	DefaultCallTimeout    = 20 * time.Second                // a Call, which may carry media
)

// Error is WeChat's refusal of a call for a token or ticket.
type Error = errcode.Error

// Options are what NewClient needs.
type Options struct {
	// AppID names the account; Secret returns its AppSecret and is asked
	// before each call that needs it.
	AppID  string
	Secret func() []byte
	// BaseURL and BackupURL are called; neither has a final slash. When BaseURL
	// is empty both have WeChat's values; else an empty BackupURL means none.
	BaseURL   string
	BackupURL string
	// HTTP makes the requests; nil means a client of its own. Redirects are
	// never followed and cookies never kept, whatever it says. Its own timeout
	// bounds each request too.
	HTTP *http.Client
	// AttemptTimeout bounds one try for a token or ticket, CallTimeout a Call;
	// 0 means the default. The context bounds all tries together.
	AttemptTimeout time.Duration
	CallTimeout    time.Duration
}

// Client speaks to WeChat for one account. It is safe for concurrent use.
type Client struct {
	appID       string
	secret      func() []byte
	api         *openapi.Caller
	callTimeout time.Duration
}

// NewClient returns a client. Its error names everything that is wrong with
// the options.
func NewClient(o Options) (*Client, error) {
	c := &Client{appID: o.AppID, secret: o.Secret, callTimeout: o.CallTimeout}
	if c.callTimeout == 0 {
		c.callTimeout = DefaultCallTimeout
	}
	var problems []error
	if c.appID == "" {
		problems = append(problems, errors.New("app id is missing"))
	}
	if c.secret == nil {
		problems = append(problems, errors.New("app secret is missing"))
	}
	if c.callTimeout < 0 {
		problems = append(problems, errors.New("call timeout is negative"))
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
