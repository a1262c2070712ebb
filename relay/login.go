package relay

import (
	"context"
	"errors"
	"slices"
)

// LoginPurpose is what a browser's trip to WeChat is for.
type LoginPurpose string

// The purposes.
const (
	loginForPage   LoginPurpose = ""       // the openid for a cashier page
	LoginForTicket LoginPurpose = "ticket" // the site redeems a ticket
	LoginForCode   LoginPurpose = "code"   // the site exchanges a code, as it would at WeChat
)

// maxClientState bounds the state that a site wants back (threats E25).
const maxClientState = 2 << 10

// LoginRequest is a browser that a site sends to log its user in.
type LoginRequest struct {
	Purpose      LoginPurpose // LoginForTicket or LoginForCode
	ClientID     string
	RedirectURI  string // where the browser returns; one of the client's, whole
	State        string // of the site, handed back unchanged
	HasState     bool   // the site sent one, were it empty
	Scope        string // empty: snsapi_base
	Account      string // name; empty: by surroundings
	Surroundings Surroundings
	BrowserID    string // from the cookie; empty when the browser has none
}

// LoginStart is what to do with the browser: send it to Redirect when that is
// not empty, show the page otherwise.
type LoginStart struct {
	Redirect  string
	Page      LoginPage
	BrowserID string // set the cookie to this when not empty
}

// LoginPage tells a visitor outside WeChat to go on in WeChat.
type LoginPage struct {
	Site    string // who asks: the client's name
	Host    string // where the browser will return
	OnPhone bool   // opened on a phone, which cannot scan its own screen
}

// BeginLogin sends a browser to WeChat and remembers why, or says where the
// visitor has to open the address. A site or an address that is not registered
// is KindNoAuth and never leads anywhere (threats section D); what is wrong
// after that is told to the site of a ticket in OAuth's words (RFC 6749
// section 4.1.2.1), and refused on a page for a code, as WeChat does.
func (s *Service) BeginLogin(ctx context.Context, req LoginRequest) (LoginStart, error) {
	c := s.clients[req.ClientID]
	if c == nil || !slices.Contains(c.RedirectURIs, req.RedirectURI) {
		return LoginStart{}, notRegistered()
	}
	if err := checkClientState(&req); err != nil {
		return LoginStart{}, err
	}
	fl := flow{
		purpose: req.Purpose, clientID: c.ID, redirectURI: req.RedirectURI,
		state: req.State, hasState: req.HasState,
	}
	where, err := s.loginDoor(c, &req)
	if err != nil {
		return s.beginFailed(ctx, &fl, err)
	}
	if where.page {
		return LoginStart{Page: LoginPage{Site: c.Name, Host: addressHost(req.RedirectURI), OnPhone: req.Surroundings == SurroundPhone}}, nil
	}
	fl.appID, fl.scope = where.account.AppID, where.scope
	var start LoginStart
	if start.BrowserID, err = s.keepFlow(&fl, req.BrowserID); err != nil {
		return s.beginFailed(ctx, &fl, err)
	}
	start.Redirect, err = s.toWeChat(&fl)
	return start, err
}

// notRegistered says the same of a site that does not exist and of an address
// that is not one of its own.
func notRegistered() *Error {
	return refuse(KindNoAuth, "", "client_id or redirect_uri is not registered here; redirect_uri is compared as a whole")
}

// checkClientState refuses what cannot be handed back. Without a state the
// site could not tell its own visitor's return from a forged one, so that a
// ticket is not given without; WeChat's own parameters may leave it out.
func checkClientState(req *LoginRequest) error {
	switch {
	case len(req.State) > maxClientState:
		return refusef(KindParam, "state", "must be at most %d bytes", maxClientState)
	case req.Purpose == LoginForTicket && req.State == "":
		return refuse(KindParam, "state", "is required: a random text that ties the answer to this visitor's session")
	default:
		return nil
	}
}

// keepFlow remembers a flow, giving the browser a name if it has none, which
// is returned.
func (s *Service) keepFlow(fl *flow, browserID string) (named string, err error) {
	if browserID == "" {
		if named, err = s.rt.random.token(); err != nil {
			return "", err
		}
		browserID = named
	}
	if fl.id, err = s.rt.random.state(); err != nil {
		return "", err
	}
	fl.browserID = browserID
	kept, ok := s.rt.flows.join(*fl, s.rt.now())
	if !ok {
		return "", tooManyFlows()
	}
	*fl = kept
	return named, nil
}

func tooManyFlows() *Error {
	return refuse(KindUnavailable, "", "too many visitors at once; try again in a minute")
}

// toWeChat is where the browser of a flow is asked who it is.
func (s *Service) toWeChat(fl *flow) (string, error) {
	login := s.loginOf(fl.appID)
	if login == nil {
		return "", refuse(KindUnavailable, "", "this account is not configured any more")
	}
	return login.AuthorizeURL(s.PublicURL()+"/wechat/callback", fl.scope, fl.id), nil
}

// loginOf finds the connection of an account.
func (s *Service) loginOf(appID string) loginClient {
	if a := s.cfg.accountByAppID(appID); a != nil {
		return s.logins[a.Name]
	}
	return nil
}

// beginFailed tells the site of a ticket what was wrong with its request.
func (s *Service) beginFailed(ctx context.Context, fl *flow, err error) (LoginStart, error) {
	known, ok := errors.AsType[*Error](err)
	if fl.purpose != LoginForTicket || !ok {
		return LoginStart{}, err
	}
	return LoginStart{Redirect: s.tellSite(ctx, fl, oauthWord(known), known)}, nil
}
