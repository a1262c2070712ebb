package web

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

const (
	// uploadTime is how long a client may take to send the body of a call,
	// which may be a picture.
	uploadTime = 20 * time.Second
	// downloadTime is how long a client may take to read the answer to a call,
	// which may be a picture too.
	downloadTime = time.Minute

	parameterToken   = "access_token"
	parameterAccount = "account"
)

// isSigned reports whether a call is signed as the relay's own are. Others
// come from libraries that take the relay for WeChat, and are answered so.
func (x *exchange) isSigned() bool { return len(x.r.Header.Values("Authorization")) > 0 }

func (x *exchange) refuseAPI(f failure) error {
	if x.isSigned() {
		return x.refuseJSON(f)
	}
	return x.refuseAsWeChat(f)
}

// callAPI passes a call of WeChat's server interface on.
func (x *exchange) callAPI() error {
	if err := x.fromRelay(); err != nil {
		return err
	}
	query, err := x.apiQuery()
	if err != nil {
		return err
	}
	req := relay.APIRequest{Method: x.r.Method, Path: x.param, Query: query, ContentType: x.r.Header.Get("Content-Type")}
	var caller *relay.Caller
	if x.isSigned() {
		req.Account = query.Get(parameterAccount)
		query.Del(parameterAccount)
		caller, err = x.signedCall(&req)
	} else {
		caller, err = x.tokenCall(&req)
	}
	if err != nil {
		return err
	}
	if req.Method == http.MethodGet && len(req.Body) > 0 {
		return paramError("", "a GET has no body")
	}
	leave := x.gates.calls.enter(x.r.Context(), caller.Client.ID)
	if leave == nil {
		return &relay.Error{Kind: relay.KindRate, Message: "too many calls at once; wait for some to end"}
	}
	defer leave()
	answer, err := x.service.CallAPI(x.r.Context(), caller, req)
	if err != nil {
		return err
	}
	return x.writeAPI(&answer)
}

// apiQuery reads the parameters of a call. Those of the relay's own stand
// there once: of two, WeChat or a proxy might read the other (threats C14).
func (x *exchange) apiQuery() (url.Values, error) {
	query, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		return nil, paramError("", "the query is malformed")
	}
	for _, name := range []string{parameterToken, parameterAccount} {
		if len(query[name]) > 1 {
			return nil, paramError(name, "is given twice")
		}
	}
	return query, nil
}

// signedCall checks a call that is signed by its header. It shows no token.
func (x *exchange) signedCall(req *relay.APIRequest) (*relay.Caller, error) {
	if req.Query.Has(parameterToken) {
		return nil, paramError(parameterToken, "the call is signed by its Authorization header; leave out access_token")
	}
	if err := x.readUpload(req); err != nil {
		return nil, err
	}
	caller, err := x.service.Authenticate(relay.SignedRequest{
		Method: x.r.Method, Target: targetOf(x.r), Authorization: x.r.Header.Values("Authorization"), Body: req.Body,
	})
	if err != nil {
		return nil, err
	}
	x.clientID = caller.Client.ID
	if req.Method == http.MethodGet {
		return caller, nil
	}
	return caller, x.service.CheckNonce(x.r.Context(), caller)
}

// tokenCall checks a call that shows a token, before its body is read.
func (x *exchange) tokenCall(req *relay.APIRequest) (*relay.Caller, error) {
	token := req.Query.Get(parameterToken)
	if token == "" {
		return nil, asWeChat(errcode.MissingToken, "access_token missing")
	}
	caller, err := x.service.AuthenticateAPIToken(token)
	if err != nil {
		return nil, err
	}
	x.clientID = caller.Client.ID
	req.Query.Del(parameterToken)
	return caller, x.readUpload(req)
}

// readUpload reads the body of a call. Large ones wait for nobody: when too
// many are on their way the next is refused.
func (x *exchange) readUpload(req *relay.APIRequest) (err error) {
	if x.r.ContentLength < 0 || x.r.ContentLength > maxBody {
		leave := x.enterUpload()
		if leave == nil {
			x.hangUp()
			return &relay.Error{Kind: relay.KindUnavailable, Message: "too many uploads at once; try again in a moment"}
		}
		defer leave()
	}
	req.Body, err = x.readUpTo(relay.MaxAPIBody, uploadTime)
	return err
}

// writeAPI passes an answer on. It comes from WeChat, but what is in it a
// client may have put there, and it is sent from the relay's own origin: no
// browser may take it for a page (threats I12).
func (x *exchange) writeAPI(a *relay.APIAnswer) error {
	h := x.w.Header()
	if a.ContentDisposition != "" {
		h.Set("Content-Disposition", a.ContentDisposition)
	}
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	rc := http.NewResponseController(x.w)
	if err := rc.SetWriteDeadline(x.now().Add(downloadTime)); err == nil {
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	}
	return writeWhole(x.w, a.Status, cmp.Or(a.ContentType, "application/octet-stream"), a.Body)
}
