package web

import (
	"net/url"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/oauth"
)

// beginConnect takes a browser that a site would have sent to WeChat itself,
// with WeChat's own parameters and the client's id as appid (oauth.md sections
// 2 and 4). Their order is free here, and what else sites and WeChat add to
// them is let pass. A parameter that stands there twice could be read in two
// ways (threats C14).
func (x *exchange) beginConnect() error {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return paramError("", "the query is malformed")
	}
	for _, name := range []string{"appid", "redirect_uri", "response_type", "scope", "state"} {
		if len(values[name]) > 1 {
			return paramError(name, "is given twice")
		}
	}
	if values.Get("response_type") != "code" {
		return paramError("response_type", "must be code")
	}
	req := relay.LoginRequest{
		Purpose:     relay.LoginForCode,
		ClientID:    values.Get("appid"),
		RedirectURI: values.Get("redirect_uri"),
		State:       values.Get("state"),
		HasState:    values.Has("state"),
		Scope:       values.Get("scope"),
	}
	if x.route == routeScan {
		req.Scope = oauth.ScopeLogin // the one of the page with a code to scan
	}
	return x.login(req)
}
