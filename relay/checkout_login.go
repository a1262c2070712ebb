package relay

import (
	"context"
	"strings"
)

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
	if known.openID != "" && known.appID == a.AppID {
		w.openID = known.openID
		return false, nil
	}
	fl := flow{token: req.Token, appID: a.AppID, confirmed: known.confirmed}
	if err := s.keepFlow(fl, req, res); err != nil {
		return false, err
	}
	started, _ := s.rt.flows.get(req.BrowserID, req.Token, s.rt.now())
	res.Redirect = s.logins[a.Name].AuthorizeURL(s.PublicURL()+"/wechat/callback", "snsapi_base", started.id)
	return true, nil
}

// LoginCallback is a browser coming back from WeChat.
type LoginCallback struct {
	Code      string
	State     string
	BrowserID string // from the cookie
}

// LoginCallback ends the trip that findPayer began and returns the address
// to go on to. The trip is bound to the browser that began it (threats
// E01..E03); coming back twice, even at the same moment, leads to the same
// page (E19).
func (s *Service) LoginCallback(ctx context.Context, in LoginCallback) (string, error) {
	unlock, err := s.rt.loggingIn.lock(ctx, in.State)
	if err != nil {
		return "", err
	}
	defer unlock()
	fl, ok := s.rt.flows.byState(in.State, s.rt.now())
	if !ok || in.BrowserID == "" || fl.browserID != in.BrowserID {
		return "", refuse(KindSign, "", "this login was not begun in this browser, or took too long; open the payment page again")
	}
	page := s.checkoutURL(fl.token)
	if fl.openID != "" {
		return page, nil
	}
	if in.Code == "" {
		return "", refuse(KindNoAuth, "", "WeChat sent no login; open the payment page again")
	}
	who, err := s.exchange(ctx, fl.appID, in.Code)
	if err != nil {
		return "", err
	}
	if err := s.learnPayer(ctx, who.OpenID, fl.appID); err != nil {
		return "", outcome(err)
	}
	fl.openID = who.OpenID
	if !s.rt.flows.put(fl, s.rt.now()) {
		return "", refuse(KindUnavailable, "", "too many buyers at once; try again in a minute")
	}
	return page, nil
}

func (s *Service) exchange(ctx context.Context, appID, code string) (loginResult, error) {
	for _, a := range s.cfg.Accounts {
		if a.AppID != appID {
			continue
		}
		who, err := s.logins[a.Name].Exchange(ctx, code)
		switch {
		case err != nil:
			return who, &Error{Kind: KindUpstream, Message: "WeChat did not confirm the login; open the payment page again", Err: err}
		case who.Snapshot:
			return who, refuse(KindNoAuth, "", `WeChat shows this page in a limited view; tap "use full service" (使用完整服务) and try again`)
		case strings.TrimSpace(who.OpenID) == "":
			return who, refuse(KindUpstream, "", "WeChat sent no openid; open the payment page again")
		}
		return who, nil
	}
	return loginResult{}, refuse(KindUnavailable, "", "this account is not configured any more")
}
