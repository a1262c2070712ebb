// Package oauth speaks the web authorisation of WeChat's official accounts and
// website apps, as the account's server.
//
// Begin with [NewClient]. [Client.AuthorizeURL] or [Client.QRConnectURL] is
// where the browser goes, [Client.Exchange] turns the code that it comes back
// with into the user's openid. The package keeps no state: binding the code to
// a browser and using it once is the caller's part.
//
// WeChat takes the account's secret in the query of a GET, so no error of this
// package has an address in its text.
package oauth

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/transport"
)

// WeChat's hosts.
const (
	DefaultOpenURL   = "https://open.weixin.qq.com"
	DefaultBaseURL   = openapi.DefaultBaseURL
	DefaultBackupURL = openapi.DefaultBackupURL // for disasters
)

// Scopes of web authorisation.
const (
	ScopeBase     = "snsapi_base"     // silent; openid only
	ScopeUserInfo = "snsapi_userinfo" // asks the user; name and picture too
	ScopeLogin    = "snsapi_login"    // of website apps; name and picture too
)

// Error is WeChat's refusal of a call.
type Error = errcode.Error

// DefaultAttemptTimeout is how long one try of a call may take.
const DefaultAttemptTimeout = transport.DefaultAttemptTimeout

// Options are what NewClient needs.
type Options struct {
	// AppID names the account; Secret returns its AppSecret and is asked
	// before each call.
	AppID  string
	Secret func() []byte
	// OpenURL is where browsers are sent; BaseURL and BackupURL are called.
	// None has a final slash. An empty OpenURL has WeChat's value; when BaseURL
	// is empty, it and BackupURL have; else an empty BackupURL means none.
	OpenURL   string
	BaseURL   string
	BackupURL string
	// HTTP makes the requests; nil means a client of its own. Redirects are
	// never followed and cookies never kept, whatever it says.
	HTTP *http.Client
	// AttemptTimeout bounds one try; 0 means DefaultAttemptTimeout. The
	// context of a call bounds all tries together.
	AttemptTimeout time.Duration
}

// Client speaks to WeChat for one account. It is safe for concurrent use.
type Client struct {
	appID   string
	secret  func() []byte
	openURL string
	api     *openapi.Caller
}

// NewClient returns a client. Its error names everything that is wrong with
// the options.
func NewClient(o Options) (*Client, error) {
	c := &Client{appID: o.AppID, secret: o.Secret, openURL: o.OpenURL}
	if c.openURL == "" {
		c.openURL = DefaultOpenURL
	}
	var problems []error
	if c.appID == "" {
		problems = append(problems, errors.New("app id is missing"))
	}
	if c.secret == nil {
		problems = append(problems, errors.New("app secret is missing"))
	}
	if err := transport.CheckBaseURL(c.openURL); err != nil {
		problems = append(problems, fmt.Errorf("WeChat address: %w", err))
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

// AuthorizeURL returns where to send a browser inside WeChat for the scope.
// WeChat sends it on to redirectURI with code and state; state is up to 128
// letters and digits. The order of the parameters is fixed by WeChat's
// document (developers.weixin.qq.com/doc/service/guide/h5/auth.html), and the
// fragment is required.
func (c *Client) AuthorizeURL(redirectURI, scope, state string) string {
	return c.connectURL("/connect/oauth2/authorize", redirectURI, scope, state)
}

// QRConnectURL returns where to send a browser outside WeChat, on a computer:
// to the page that shows a QR code for the phone. The account is a website app
// of the Open Platform, whose one scope is ScopeLogin
// (developers.weixin.qq.com/doc/oplatform/developers/dev/auth/web.md).
func (c *Client) QRConnectURL(redirectURI, state string) string {
	return c.connectURL("/connect/qrconnect", redirectURI, ScopeLogin, state)
}

func (c *Client) connectURL(path, redirectURI, scope, state string) string {
	return c.openURL + path + "?appid=" + escape(c.appID) + "&redirect_uri=" + escape(redirectURI) +
		"&response_type=code&scope=" + escape(scope) + "&state=" + escape(state) + "#wechat_redirect"
}

// escape percent-encodes once, a blank too: WeChat does not read + as one.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
