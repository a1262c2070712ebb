package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/errcode"
)

// giveToken is GET /cgi-bin/token.
func (x *exchange) giveToken() error {
	p, err := x.parameters(weChatCall{needGrantType, needAppID, needSecret})
	if err != nil {
		return err
	}
	return x.writeToken(relay.APITokenPath, p["grant_type"], p["appid"], p["secret"])
}

// stableTokenRequest is the body of a call for a stable token. That a renewal
// is forced is let pass and changes nothing: a client's token is new each
// time, and the account's is the relay's to renew.
type stableTokenRequest struct {
	GrantType    string `json:"grant_type"`
	AppID        string `json:"appid"`
	Secret       string `json:"secret"`
	ForceRefresh bool   `json:"force_refresh"`
}

// giveStableToken is POST /cgi-bin/stable_token.
func (x *exchange) giveStableToken() error {
	body, err := x.readBody(bodyTime)
	if err != nil {
		return err
	}
	var req stableTokenRequest
	if err := strictjson.Decode(body, &req, strictjson.Options{AllowUnknown: true}); err != nil {
		return asWeChat(errcode.BadData, "data format error")
	}
	for _, p := range []struct {
		value string
		weChatParameter
	}{{req.GrantType, needGrantType}, {req.AppID, needAppID}, {req.Secret, needSecret}} {
		if p.value == "" {
			return asWeChat(p.missing, p.name+" missing")
		}
	}
	return x.writeToken(relay.APIStableTokenPath, req.GrantType, req.AppID, req.Secret)
}

// apiTokenAnswer is WeChat's answer to a call for a token.
type apiTokenAnswer struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int64  `json:"expires_in"` // seconds
}

func (x *exchange) writeToken(path, grantType, id, secret string) error {
	if err := x.fromRelay(); err != nil {
		return err
	}
	if err := wantGrantType(grantType, "client_credential"); err != nil {
		return err
	}
	caller, err := x.service.AuthenticateSecret(id, secret)
	if err != nil {
		return err
	}
	x.clientID = caller.Client.ID
	token, err := x.service.APIToken(x.r.Context(), caller, path)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, apiTokenAnswer{string(token.Value.Reveal()), int64(token.ExpiresIn.Seconds())})
}
