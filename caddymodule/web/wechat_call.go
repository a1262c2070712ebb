package web

import (
	"net/url"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// weChatCall is a call of WeChat's own that the relay answers itself: the
// parameters without which it is refused, in WeChat's order (oauth.md sections 3
// and 5).
type weChatCall []weChatParameter

type weChatParameter struct {
	name    string
	missing int
}

var (
	needAppID        = weChatParameter{"appid", errcode.MissingAppID}
	needSecret       = weChatParameter{"secret", errcode.MissingSecret}
	needCode         = weChatParameter{"code", errcode.MissingCode}
	needRefreshToken = weChatParameter{"refresh_token", errcode.MissingRefresh}
	needAccessToken  = weChatParameter{"access_token", errcode.MissingToken}
	needOpenID       = weChatParameter{"openid", errcode.MissingOpenID}
	needGrantType    = weChatParameter{"grant_type", errcode.InvalidGrant}
)

// parameters reads what a call needs. Others are let pass, as WeChat does:
// libraries send lang, a random number and more. One that is needed and stands
// there twice could be read in two ways (threats C14).
func (x *exchange) parameters(call weChatCall) (map[string]string, error) {
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, asWeChat(errcode.InvalidParameter, "invalid parameter")
	}
	out := make(map[string]string, len(call))
	for _, p := range call {
		switch given := values[p.name]; {
		case len(given) > 1:
			return nil, asWeChat(errcode.InvalidParameter, p.name+" is given twice")
		case len(given) == 0 || given[0] == "":
			return nil, asWeChat(p.missing, p.name+" missing")
		default:
			out[p.name] = given[0]
		}
	}
	return out, nil
}

func asWeChat(code int, message string) error {
	return &relay.Error{Kind: relay.KindParam, WeChatCode: code, Message: message}
}

func wantGrantType(given, want string) error {
	if given != want {
		return asWeChat(errcode.InvalidGrant, "invalid grant_type")
	}
	return nil
}
