package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// weChatRefusal is how WeChat refuses its own calls: with status 200 and a
// number in the body (oauth.md section 1). Libraries read nothing else.
type weChatRefusal struct {
	Code    int    `json:"errcode"`
	Message string `json:"errmsg"`
}

// weChatCodes are the numbers of refusals that do not name one. That of a
// wrong secret stands for an unknown client too (threats C17).
var weChatCodes = map[relay.Kind]int{
	relay.KindSign:   errcode.WrongSecret,
	relay.KindRate:   errcode.TooMany,
	relay.KindNoAuth: errcode.NotAuthorised,
	relay.KindParam:  errcode.InvalidParameter,
}

// refuseAsWeChat answers a site that speaks WeChat's own calls. The request's
// id stands where WeChat has its own. What is no fault of the request reads as
// "busy", which libraries try again, and keeps its status for monitors; so
// does a method that is not taken.
func (x *exchange) refuseAsWeChat(f failure) error {
	r, status := weChatRefusal{f.weChatCode, f.Message}, http.StatusOK
	switch code, known := weChatCodes[f.kind]; {
	case r.Code != 0:
	case known:
		r.Code = code
	case f.status == http.StatusMethodNotAllowed:
		r.Code, r.Message = x.needed()
		status = f.status
	default:
		r.Code, r.Message, status = errcode.Busy, "system error, try again", f.status
		setRetry(x.w.Header(), f)
	}
	r.Message += ", rid: " + f.RequestID
	return writeJSON(x.w, status, r)
}

// needed is WeChat's answer to a method that a call does not take.
func (x *exchange) needed() (int, string) {
	if x.w.Header().Get("Allow") == allowPost {
		return errcode.NeedsPOST, "require POST method"
	}
	return errcode.NeedsGET, "require GET method"
}
