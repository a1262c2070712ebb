package relay

import "github.com/wxrelay/wxrelay/relay/wechat/oauth"

// findPayer finds the buyer's openid for a page inside WeChat: the order's
// own, or what WeChat told of this browser before. Otherwise it starts the
// silent login and reports that the browser must go there.
func (s *Service) findPayer(o *Order, m *merchant, w *wish, req *CheckoutRequest, res *CheckoutResult) (redirect bool, err error) {
	if o.OpenID != "" {
		w.openID = o.OpenID
		return false, nil
	}
	a, err := s.accountOf(w.client, m, AccountOfficial)
	if err != nil {
		return false, err
	}
	known, _ := s.rt.flows.get(req.BrowserID, req.Token, s.rt.now())
	if known.who.OpenID != "" && known.appID == a.AppID {
		w.openID = known.who.OpenID
		return false, nil
	}
	fl := flow{clientID: w.client.ID, token: req.Token, appID: a.AppID, scope: oauth.ScopeBase, confirmed: known.confirmed}
	if err := s.keepPage(&fl, req, res); err != nil {
		return false, err
	}
	res.Redirect, err = s.toWeChat(&fl)
	return true, err
}
