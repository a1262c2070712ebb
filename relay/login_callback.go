package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// exchangeTime bounds how long WeChat may take for all that a callback asks.
const exchangeTime = 15 * time.Second

// rateWait is how long WeChat's limit per minute lasts (oauth.md section 8).
const rateWait = time.Minute

// LoginCallback is a browser coming back from WeChat.
type LoginCallback struct {
	Code      string
	State     string
	BrowserID string // from the cookie
}

// LoginError is why a browser that came back from WeChat does not go on, and
// what its visitor can do about it.
type LoginError struct {
	Err      *Error
	Snapshot bool          // WeChat showed its limited view, whose user is nobody
	Again    string        // where the login begins anew; empty: where it began
	Wait     time.Duration // the same address works after so long; 0: it does not
}

// Error returns the refusal's text, for logs.
func (e *LoginError) Error() string { return e.Err.Error() }

// Unwrap returns the refusal.
func (e *LoginError) Unwrap() error { return e.Err }

// LoginCallback ends a trip to WeChat and returns the address to go on to: the
// cashier page, or the site's with a ticket or a code. The trip is bound to
// the browser that began it (threats E01..E03). Coming back again, even at the
// same moment, succeeds as the first time did (E19).
func (s *Service) LoginCallback(ctx context.Context, in LoginCallback) (string, error) {
	unlock, err := s.rt.loggingIn.lock(ctx, in.State)
	if err != nil {
		return "", err
	}
	defer unlock()
	fl, ok := s.rt.flows.byState(in.State, s.rt.now())
	if !ok || in.BrowserID == "" || fl.browserID != in.BrowserID {
		return "", refuse(KindSign, "", "this login was not begun in this browser, or took too long; begin again where you came from")
	}
	if fl.purpose != loginForPage && !s.registered(&fl) {
		return "", notRegistered()
	}
	// Browsers in WeChat load a page twice and give up the first time. What
	// WeChat says to a code it says once, so that it is heard out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeTime)
	defer cancel()
	if saidNo(in.Code) {
		return s.declined(ctx, &fl)
	}
	if err := s.identify(ctx, &fl, in.Code); err != nil {
		return s.notIdentified(ctx, &fl, in.Code, err)
	}
	return s.goOn(ctx, &fl)
}

// registered reports whether the configuration still has the flow's site and
// address.
func (s *Service) registered(fl *flow) bool {
	c := s.clients[fl.clientID]
	return c != nil && slices.Contains(c.RedirectURIs, fl.redirectURI)
}

// saidNo reports whether a callback says that the user did not agree: by no
// code, or in some of WeChat's clients by a word in its place.
func saidNo(code string) bool { return code == "" || code == "authdeny" }

// declined tells who asked that the user did not agree. The site of a code
// learns it as from WeChat: by its state alone.
func (s *Service) declined(ctx context.Context, fl *flow) (string, error) {
	switch {
	case fl.purpose == LoginForTicket:
		return s.tellSite(ctx, fl, oauthDenied, nil), nil
	case fl.purpose == LoginForCode:
		return returnTo(fl, "", ""), nil
	case fl.who.OpenID != "":
		return s.checkoutURL(fl.token), nil
	default:
		return "", refuse(KindNoAuth, "", "WeChat sent no login; open the payment page again")
	}
}

// identify finds out who the user is, unless this code told it already. A
// cashier page asks once.
func (s *Service) identify(ctx context.Context, fl *flow, code string) error {
	digest := digestOf(code)
	switch {
	case fl.who.OpenID != "" && (fl.purpose == loginForPage || fl.code == digest):
		return nil
	case fl.snapshot == digest:
		return errSnapshot
	}
	login := s.loginOf(fl.appID)
	if login == nil {
		return refuse(KindUnavailable, "", "this account is not configured any more")
	}
	found, err := login.Exchange(ctx, code)
	switch {
	case err != nil:
		return err
	case found.Snapshot:
		return errSnapshot
	case !isOpenID(found.User.OpenID):
		return refuse(KindUpstream, "", "WeChat sent no openid; try again")
	case found.Partly != nil:
		s.log.WarnContext(ctx, "WeChat did not tell name and picture of a user who agreed", "client_id", fl.clientID, "app_id", fl.appID, "error", found.Partly)
	}
	if found.User.Scope == "" {
		found.User.Scope = fl.scope
	}
	fl.who, fl.code, fl.restarted = found.User, digest, false
	fl.hear(digest)
	if !s.rt.flows.put(*fl, s.rt.now()) {
		return tooManyFlows()
	}
	return nil
}

// isOpenID keeps from sites what no openid can be, and what no payment would
// take for one.
func isOpenID(s string) bool {
	return s != "" && len(s) <= maxOpenID && onlyChars(s, isURLSafe)
}

// What may come of a code; loginClient's errors wrap those that WeChat said.
var (
	errSnapshot  = errors.New("the user is one of WeChat's limited view")
	errCodeSpent = errors.New("the code was used before, is too old or none")
	errLoginRate = errors.New("too many logins in a minute")
	errLoginBusy = errors.New("WeChat is busy, or was not heard")
)

// notIdentified decides what becomes of a browser whose code told nobody. A
// code that is spent, because WeChat's answer to it was lost, begins the trip
// again once, lest the browser go round in circles. It may be another user's
// than the one who is known; a code that was heard of before is but a page of
// the browser's history.
func (s *Service) notIdentified(ctx context.Context, fl *flow, code string, err error) (string, error) {
	switch {
	case errors.Is(err, errSnapshot):
		fl.snapshot = digestOf(code)
		s.rt.flows.note(*fl)
		again, _ := s.toWeChat(fl)
		return "", &LoginError{
			Err:      refuse(KindNoAuth, "", `WeChat shows this page in a limited view; tap "use full service" (使用完整服务) and try again`),
			Snapshot: true, Again: again,
		}
	case errors.Is(err, errCodeSpent) && fl.who.OpenID != "" && !fl.restarted && slices.Contains(fl.heard, digestOf(code)):
		return s.goOn(ctx, fl)
	case errors.Is(err, errCodeSpent) && !fl.restarted:
		fl.restarted = true
		fl.hear(digestOf(code))
		s.rt.flows.note(*fl)
		return s.toWeChat(fl)
	case errors.Is(err, errLoginRate):
		return "", &LoginError{
			Err:  &Error{Kind: KindRate, Message: "too many logins at WeChat; try again in a minute", Err: err},
			Wait: rateWait,
		}
	}
	known := loginFailure(err)
	if fl.purpose == LoginForTicket && !errors.Is(err, errCodeSpent) {
		return s.tellSite(ctx, fl, oauthWord(known), known), nil
	}
	return "", known
}

// loginFailure words why WeChat told nobody.
func loginFailure(err error) *Error {
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	known := &Error{Kind: KindUpstream, Message: "WeChat did not confirm the login; begin again where you came from", Err: err}
	if errors.Is(err, errLoginBusy) || errors.Is(err, context.DeadlineExceeded) {
		known.Kind, known.Message = KindUnavailable, "WeChat cannot be reached; try again"
	}
	return known
}

// goOn sends a browser on whose user is known.
func (s *Service) goOn(ctx context.Context, fl *flow) (string, error) {
	if err := s.learnPayer(ctx, fl.who.OpenID, fl.appID, fl.clientID); err != nil {
		return "", outcome(err)
	}
	switch fl.purpose {
	case LoginForTicket:
		return s.handOut(ctx, fl, GrantTicket, "ticket")
	case LoginForCode:
		return s.handOut(ctx, fl, GrantCode, "code")
	default:
		return s.checkoutURL(fl.token), nil
	}
}
