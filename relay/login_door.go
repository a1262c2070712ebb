package relay

import (
	"slices"

	"github.com/wxrelay/wxrelay/relay/wechat/oauth"
)

// loginDoor is how a browser gets in: through an account of ours, or by being
// opened elsewhere.
type loginDoor struct {
	account *Account
	scope   string // as the account is asked
	page    bool   // the address has to be opened in WeChat
}

// doorKinds lists, by surroundings, whose login is used; the first that is
// configured decides. Official accounts log in inside WeChat alone, where a
// website app's code to scan is of no use, and neither is it on a phone,
// which cannot scan its own screen.
var doorKinds = map[Surroundings][]AccountKind{
	SurroundWeChat:      {AccountOfficial, AccountWebsiteApp},
	SurroundMiniProgram: {AccountOfficial, AccountWebsiteApp},
	SurroundPhone:       {AccountOfficial, AccountWebsiteApp},
	SurroundDesktop:     {AccountWebsiteApp, AccountOfficial},
}

// loginDoor chooses account and scope. Refusals have the field that is wrong. A
// site that speaks WeChat's own parameters knows its users by one account and
// is never told which one a code is of: the page that it names decides.
func (s *Service) loginDoor(c *Client, req *LoginRequest) (loginDoor, error) {
	kinds := doorKinds[req.Surroundings]
	switch req.Scope {
	case "", oauth.ScopeBase, oauth.ScopeUserInfo:
		if req.Purpose == LoginForCode {
			kinds = []AccountKind{AccountOfficial}
		}
	case oauth.ScopeLogin:
		kinds = []AccountKind{AccountWebsiteApp}
	default:
		return loginDoor{}, refuse(KindParam, "scope", "snsapi_base, snsapi_userinfo or snsapi_login")
	}
	a, err := s.accountOfKind(c, req.Account, kinds...)
	if err != nil {
		return loginDoor{}, err
	}
	door := loginDoor{account: a, scope: req.Scope}
	switch {
	case a.Kind == AccountWebsiteApp:
		door.scope = oauth.ScopeLogin
	case !slices.Contains([]Surroundings{SurroundWeChat, SurroundMiniProgram}, req.Surroundings):
		door.page = true
	case door.scope == "":
		door.scope = oauth.ScopeBase
	}
	return door, nil
}
