package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

// Token is what a code was worth: who the user is to this account, and the
// right to ask for more. It prints, logs and marshals as REDACTED.
type Token struct {
	AccessToken  string
	RefreshToken string
	OpenID       string
	UnionID      string // empty unless the account belongs to an Open Platform account
	Scope        string
	ExpiresIn    time.Duration // of AccessToken
	// SnapshotUser says that WeChat made the user up, for a page that it shows
	// without consent. Nothing may be bound to such an openid, least of all a
	// payment.
	SnapshotUser bool
}

const redacted = "REDACTED"

// Format redacts under every verb.
func (Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText redacts.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// tokenReply is the answer to /sns/oauth2/access_token and refresh_token.
type tokenReply struct {
	ErrCode      int          `json:"errcode"`
	ErrMsg       string       `json:"errmsg"`
	AccessToken  string       `json:"access_token"`
	ExpiresIn    int64        `json:"expires_in"` // seconds
	RefreshToken string       `json:"refresh_token"`
	OpenID       string       `json:"openid"`
	Scope        string       `json:"scope"`
	UnionID      string       `json:"unionid"`
	SnapshotUser snapshotFlag `json:"is_snapshotuser"`
}

// snapshotFlag is 1 or absent by WeChat's document. Whatever else stands there
// is taken for a yes unless it says no: a user who is nobody must not become
// somebody by a form that was not thought of.
type snapshotFlag bool

// UnmarshalJSON takes any value.
func (f *snapshotFlag) UnmarshalJSON(data []byte) error {
	switch string(data) {
	case "0", "false", `""`, `"0"`, `"false"`:
		*f = false
	default:
		*f = true
	}
	return nil
}

// Failure implements openapi.Reply.
func (r *tokenReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// Exchange turns the code that a browser brought into a token. A code works
// once and for five minutes. An *Error whose [Error.CodeSpent] is true means
// that the authorisation must begin again.
func (c *Client) Exchange(ctx context.Context, code string) (*Token, error) {
	const op = "exchange code"
	if !isCode(code) {
		return nil, fmt.Errorf("%s: %w", op, errCode)
	}
	return c.token(ctx, openapi.Call{Op: op, Path: "/sns/oauth2/access_token", Query: func() url.Values {
		return url.Values{
			"appid": {c.appID}, "secret": {string(c.secret())}, "code": {code}, "grant_type": {"authorization_code"},
		}
	}})
}

// token makes a call that answers a token.
func (c *Client) token(ctx context.Context, call openapi.Call) (*Token, error) {
	var reply tokenReply
	if err := c.api.Do(ctx, call, &reply); err != nil {
		return nil, err
	}
	if reply.AccessToken == "" || reply.OpenID == "" {
		return nil, errors.New(call.Op + ": answer has no access_token or openid")
	}
	return &Token{
		AccessToken:  reply.AccessToken,
		RefreshToken: reply.RefreshToken,
		OpenID:       reply.OpenID,
		UnionID:      reply.UnionID,
		Scope:        reply.Scope,
		ExpiresIn:    time.Duration(reply.ExpiresIn) * time.Second,
		SnapshotUser: bool(reply.SnapshotUser),
	}, nil
}

var errCode = errors.New("code is not 1 to 512 visible characters")

// maxCode is the longest code or refresh token that is sent, in bytes.
const maxCode = 512

// isCode keeps what cannot be a code of WeChat from being sent to it.
func isCode(s string) bool { return openapi.IsVisible(s, maxCode) }
