package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/account"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// MaxAPIBody bounds the body of a call below APIPrefix, in bytes.
const MaxAPIBody = account.MaxRequest

// APIRequest is a client's call of WeChat's server interface.
type APIRequest struct {
	Method      string // GET or POST
	Path        string // as it was sent, from APIPrefix
	Query       url.Values
	ContentType string
	Body        []byte
	Account     string // name; empty: the client's own, or else the first
}

// APIAnswer is WeChat's answer to it, as it came.
type APIAnswer struct {
	Status             int
	ContentType        string
	ContentDisposition string
	Body               []byte
}

// CallAPI makes a client's call in the name of an account, with the account's
// token in place of the client's. The client may call what it was granted and
// nothing else. When WeChat refuses the token, another is looked for once and
// the call is made again.
func (s *Service) CallAPI(ctx context.Context, caller *Caller, req APIRequest) (APIAnswer, error) {
	c := caller.Client
	if !account.CleanPath(req.Path) {
		return APIAnswer{}, refuse(KindParam, "", "the path has escapes, dots or empty parts")
	}
	if !c.mayPass(req.Path) {
		return APIAnswer{}, apiNotGranted()
	}
	a, err := s.apiAccount(c, req.Account)
	if err != nil {
		return APIAnswer{}, err
	}
	if req.Method != http.MethodGet && caller.nonce != "" {
		if err := s.useNonce(ctx, caller); err != nil {
			return APIAnswer{}, err
		}
	}
	if req.Path == apiTicketPath && req.Method == http.MethodGet && req.Query.Get("type") == string(account.TicketJSAPI) {
		return s.ticketAnswer(ctx, a)
	}
	return s.passCall(ctx, a, req)
}

// passCall makes the call at WeChat.
func (s *Service) passCall(ctx context.Context, a *Account, req APIRequest) (APIAnswer, error) {
	var answer *account.Response
	var lost error // of a call that went out and was not answered
	err := s.withToken(ctx, a, func(access Secret) (bool, error) {
		answer, lost = s.apis[a.Name].Call(ctx, account.Request{
			Method: req.Method, Path: req.Path, Query: req.Query, ContentType: req.ContentType, Body: req.Body,
		}, string(access.Reveal()))
		return lost == nil && errcode.IsTokenInvalid(account.ErrCode(answer.Body)), lost
	})
	if answer == nil && lost == nil {
		return APIAnswer{}, err // there was no token
	}
	if err := toldPlainly(s.rt.observe.Upstream, "cgi_bin", lost); err != nil {
		return APIAnswer{}, callLost(err)
	}
	if !isFinal(answer.Status) {
		return APIAnswer{}, &Error{Kind: KindUpstream, Message: "the answer is none of WeChat's interface", Err: fmt.Errorf("answer has status %d", answer.Status)}
	}
	return APIAnswer{
		Status:             answer.Status,
		ContentType:        answer.Header.Get("Content-Type"),
		ContentDisposition: answer.Header.Get("Content-Disposition"),
		Body:               answer.Body,
	}, nil
}

// isFinal reports whether a status stands for an answer to the call. Redirects,
// of which WeChat's interface has none, lead elsewhere, and what lies outside
// of HTTP's classes cannot be written.
func isFinal(status int) bool {
	return status >= http.StatusOK && status < http.StatusMultipleChoices || status >= http.StatusBadRequest && status < 600
}

// callLost says what is known of a call without an answer.
func callLost(err error) error {
	if _, ok := errors.AsType[*account.TooLongError](err); ok {
		return &Error{Kind: KindUpstream, Message: "WeChat's answer is too long to be passed on", Err: err}
	}
	return &Error{Kind: KindUpstreamTimeout, Message: "WeChat did not answer; it may have done what was asked", Err: err}
}

// ticketReply is WeChat's answer to a call for a ticket.
type ticketReply struct {
	Code      int    `json:"errcode"`
	Message   string `json:"errmsg"`
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expires_in"` // seconds
}

// ticketAnswer answers from the centre, so that clients do not use up the
// account's quota of tickets.
func (s *Service) ticketAnswer(ctx context.Context, a *Account) (APIAnswer, error) {
	t, err := s.lendToken(ctx, a, TokenJSAPITicket)
	if err != nil {
		return APIAnswer{}, err
	}
	left := int64(t.expiresAt.Sub(s.rt.now()).Seconds())
	body, err := json.Marshal(ticketReply{Message: "ok", Ticket: string(t.value.Reveal()), ExpiresIn: left})
	return APIAnswer{Status: http.StatusOK, ContentType: "application/json; charset=utf-8", Body: body}, err
}

// mayCall reports whether a clean path is granted to the client.
func (c *Client) mayCall(path string) bool {
	return slices.ContainsFunc(c.AllowAPI, func(granted string) bool {
		below, all := strings.CutSuffix(granted, "*")
		return path == granted || all && len(path) > len(below) && strings.HasPrefix(path, below)
	})
}

// mayPass reports whether a call to the path is passed on. The calls for
// tokens are not: they are answered here. Whoever has a ticket signs pages of
// every domain of the account, so that no wildcard grants it by itself. Nor
// does one under another spelling, which WeChat might take for the same.
func (c *Client) mayPass(path string) bool {
	switch strings.ToLower(path) {
	case APITokenPath, APIStableTokenPath:
		return false
	case apiTicketPath:
		return slices.Contains(c.AllowAPI, path) || c.RawToken && c.mayCall(path)
	}
	return c.mayCall(path)
}

// apiAccount chooses the account in whose name a client calls: the one that
// it names, or else its own before any other.
func (s *Service) apiAccount(c *Client, name string) (*Account, error) {
	if a := s.accounts[c.Account]; name == "" && a != nil && s.apis[a.Name] != nil {
		return a, nil
	}
	a, err := s.accountOfKind(c, name, AccountOfficial, AccountMiniProgram)
	if err != nil {
		return nil, err
	}
	if s.apis[a.Name] == nil {
		return nil, refuse(KindUnavailable, "account", "the account has no secret configured, without which WeChat gives no token")
	}
	return a, nil
}

func apiNotGranted() error {
	return refuse(KindNoAuth, "", "api unauthorized: the operator has not granted this path to the client")
}
