package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/openapi"
)

// Token is an access token of the account, or a ticket. It prints, logs and
// marshals as REDACTED.
type Token struct {
	Value string
	// ExpiresIn counts from the answer. Of a ticket it is always two hours,
	// whenever that very ticket was first given out (section 6).
	ExpiresIn time.Duration
}

const redacted = "REDACTED"

// Format redacts under every verb.
func (Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText redacts.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue redacts.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// tokenReply is the answer to a call for a token.
type tokenReply struct {
	ErrCode     int    `json:"errcode"`
	ErrMsg      string `json:"errmsg"`
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

// Failure implements openapi.Reply.
func (r *tokenReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// stableTokenRequest is the body of /cgi-bin/stable_token. The last field is
// sent always: WeChat refuses some requests that leave it out (section 5).
type stableTokenRequest struct {
	GrantType    string `json:"grant_type"`
	AppID        string `json:"appid"`
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh"`
}

// StableToken asks for the account's access token. Until its last five minutes
// WeChat answers the same one to everybody who asks, then a new one while the
// old one still works for those minutes.
//
// With force WeChat makes a new one at once and the old one worthless: no more
// than 20 times a day and each 30 seconds, after a leak or when good tokens
// are refused again and again.
func (c *Client) StableToken(ctx context.Context, force bool) (*Token, error) {
	return c.token(ctx, openapi.Call{
		Op:   "get stable token",
		Path: "/cgi-bin/stable_token",
		Body: func() ([]byte, error) {
			return json.Marshal(stableTokenRequest{"client_credential", c.appID, string(c.secret()), force}) //nolint:gosec // WeChat wants the AppSecret in the body
		},
		Safe: !force,
	})
}

// Token asks for an access token of the older series. Each call makes a new one
// and lets the last die within five minutes, so one place alone may call it. It
// leaves the stable token alone.
func (c *Client) Token(ctx context.Context) (*Token, error) {
	return c.token(ctx, openapi.Call{
		Op:   "get token",
		Path: "/cgi-bin/token",
		Query: func() url.Values {
			return url.Values{"grant_type": {"client_credential"}, "appid": {c.appID}, "secret": {string(c.secret())}}
		},
	})
}

func (c *Client) token(ctx context.Context, call openapi.Call) (*Token, error) {
	var reply tokenReply
	if err := c.api.Do(ctx, call, &reply); err != nil {
		return nil, err
	}
	return newToken(call.Op, reply.AccessToken, reply.ExpiresIn)
}

// TicketKind is what a ticket is for.
type TicketKind string

// The kinds of tickets (section 6).
const (
	TicketJSAPI TicketKind = "jsapi"   // signs the addresses of pages
	TicketCard  TicketKind = "wx_card" // cards and coupons
)

// ticketReply is the answer to /cgi-bin/ticket/getticket.
type ticketReply struct {
	ErrCode   int    `json:"errcode"`
	ErrMsg    string `json:"errmsg"`
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// Failure implements openapi.Reply.
func (r *ticketReply) Failure() (code int, message string) { return r.ErrCode, r.ErrMsg }

// Ticket asks for the account's ticket of a kind, which during its life is the
// same one. When WeChat refuses the access token, [Error.TokenInvalid] of the
// error is true.
func (c *Client) Ticket(ctx context.Context, accessToken string, kind TicketKind) (*Token, error) {
	const op = "get ticket"
	var reply ticketReply
	err := c.api.Do(ctx, openapi.Call{Op: op, Path: "/cgi-bin/ticket/getticket", Safe: true, Query: func() url.Values {
		return url.Values{"access_token": {accessToken}, "type": {string(kind)}}
	}}, &reply)
	if err != nil {
		return nil, err
	}
	return newToken(op, reply.Ticket, reply.ExpiresIn)
}

// Bounds of what WeChat may answer. It says 512 characters and two hours; more
// is taken, for it has added to both before.
const (
	maxValue = 2048
	maxLife  = 30 * 24 * time.Hour
)

// newToken refuses what cannot be a token, so that nobody caches it.
func newToken(op, value string, expiresIn int64) (*Token, error) {
	if !isValue(value) {
		return nil, errors.New(op + ": answer has no token, or one with odd characters")
	}
	if expiresIn <= 0 || expiresIn > int64(maxLife/time.Second) {
		return nil, errors.New(op + ": answer has an impossible expires_in")
	}
	return &Token{Value: value, ExpiresIn: time.Duration(expiresIn) * time.Second}, nil
}

func isValue(s string) bool { return openapi.IsVisible(s, maxValue) }
