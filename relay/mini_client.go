package relay

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// miniClient asks WeChat who the user of a mini-program is.
type miniClient interface {
	Session(ctx context.Context, code string) (*miniprogram.Session, error)
}

// miniClients are the logins of the mini-programs by account name; one without
// a secret has none and is there to be paid in.
func miniClients(cfg *Config) (map[string]miniClient, error) {
	clients := make(map[string]miniClient)
	for _, a := range cfg.Accounts {
		if a.Kind != AccountMiniProgram || a.Secret.Len() == 0 {
			continue
		}
		c, err := miniprogram.NewClient(miniprogram.Options{
			AppID:   a.AppID,
			Secret:  a.Secret.Reveal,
			BaseURL: cfg.Platform.BaseAPI,
			HTTP:    platformHTTP(),
		})
		if err != nil {
			return nil, fmt.Errorf("account %s: %w", a.Name, err)
		}
		clients[a.Name] = c
	}
	return clients, nil
}

// miniRefusal says what a client does about a login that failed. Busy was
// tried again already.
func miniRefusal(account string, err error) error {
	refused, ok := errors.AsType[*errcode.Error](err)
	if !ok {
		return &Error{Kind: KindUpstreamTimeout, Message: "WeChat did not answer; the code may be used up: call wx.login again", Err: err}
	}
	said := func(kind Kind, field, message string) error {
		return &Error{Kind: kind, Field: field, Message: message, Err: err}
	}
	switch refused.Code {
	case errcode.InvalidCode:
		return said(KindParam, "code", "is none of this account; call wx.login again")
	case errcode.CodeUsed:
		return said(KindParam, "code", "was used before and works once; call wx.login again")
	case errcode.CodeExpired:
		return said(KindParam, "code", "has expired; call wx.login again")
	case errcode.UserBlocked:
		return said(KindNoAuth, "", "WeChat blocks logins of this user")
	case errcode.TooMany:
		return said(KindRate, "", "WeChat was asked too often about this user; wait a minute")
	}
	if refused.Retryable() {
		return said(KindUnavailable, "", "WeChat is busy; call wx.login again in a moment")
	}
	// The operator's log gets the account and what to mend, the client the
	// code alone.
	hint := ""
	switch ip := refused.AllowIP(); {
	case ip != "":
		hint = "; add " + ip + " to its IP list in WeChat's console"
	case refused.Alarm():
		hint = "; check its app_id and secret in WeChat's console: " + refused.Message
	}
	return &Error{
		Kind: KindUpstream, Message: "WeChat refused the login; ask the operator", UpstreamCode: strconv.Itoa(refused.Code),
		Err: fmt.Errorf("account %s: %w%s", account, err, hint),
	}
}
