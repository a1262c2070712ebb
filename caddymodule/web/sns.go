package web

import (
	"net/http"

	"github.com/wxrelay/wxrelay/relay"
)

// userTokenAnswer is WeChat's answer to a code.
type userTokenAnswer struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int64  `json:"expires_in"` // seconds
	RefreshToken string `json:"refresh_token"`
	OpenID       string `json:"openid"`
	Scope        string `json:"scope"`
	UnionID      string `json:"unionid,omitempty"`
}

func (x *exchange) writeUserToken(t *relay.UserToken) error {
	return writeJSON(x.w, http.StatusOK, userTokenAnswer{
		AccessToken: string(t.AccessToken.Reveal()), RefreshToken: string(t.RefreshToken.Reveal()),
		ExpiresIn: int64(t.ExpiresIn.Seconds()), OpenID: t.OpenID, Scope: t.Scope, UnionID: t.UnionID,
	})
}

// redeemCode is /sns/oauth2/access_token.
func (x *exchange) redeemCode() error {
	p, err := x.parameters(weChatCall{needAppID, needSecret, needCode, needGrantType})
	if err != nil {
		return err
	}
	if err := wantGrantType(p["grant_type"], "authorization_code"); err != nil {
		return err
	}
	caller, err := x.service.AuthenticateSecret(p["appid"], p["secret"])
	if err != nil {
		return err
	}
	x.clientID = caller.Client.ID
	token, err := x.service.RedeemCode(x.r.Context(), caller, p["code"])
	if err != nil {
		return err
	}
	return x.writeUserToken(&token)
}

// refreshUserToken is /sns/oauth2/refresh_token.
func (x *exchange) refreshUserToken() error {
	p, err := x.parameters(weChatCall{needAppID, needRefreshToken, needGrantType})
	if err != nil {
		return err
	}
	if err := wantGrantType(p["grant_type"], "refresh_token"); err != nil {
		return err
	}
	token, err := x.service.RefreshUserToken(x.r.Context(), p["appid"], p["refresh_token"])
	if err != nil {
		return err
	}
	return x.writeUserToken(&token)
}

// userAnswer is WeChat's answer about a user. It has left sex and region empty
// since 2021 and still sends them.
type userAnswer struct {
	OpenID    string   `json:"openid"`
	Nickname  string   `json:"nickname"`
	Sex       int      `json:"sex"`
	Province  string   `json:"province"`
	City      string   `json:"city"`
	Country   string   `json:"country"`
	AvatarURL string   `json:"headimgurl"`
	Privilege []string `json:"privilege"`
	UnionID   string   `json:"unionid,omitempty"`
}

// showUser is /sns/userinfo.
func (x *exchange) showUser() error {
	p, err := x.parameters(weChatCall{needAccessToken, needOpenID})
	if err != nil {
		return err
	}
	user, err := x.service.UserOf(x.r.Context(), p["access_token"], p["openid"])
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, userAnswer{
		OpenID: user.OpenID, Nickname: user.Nickname, AvatarURL: user.AvatarURL, UnionID: user.UnionID, Privilege: []string{},
	})
}

// checkUserToken is /sns/auth.
func (x *exchange) checkUserToken() error {
	p, err := x.parameters(weChatCall{needAccessToken, needOpenID})
	if err != nil {
		return err
	}
	if err := x.service.CheckUserToken(x.r.Context(), p["access_token"], p["openid"]); err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, weChatRefusal{Message: "ok"})
}
