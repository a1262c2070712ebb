package web

import (
	"errors"
	"net/http"
	"slices"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// beginLogin sends a visitor to WeChat for a site that redeems a ticket. WeChat
// adds two parameters of its own to addresses that were shared there.
func (x *exchange) beginLogin() error {
	q, err := parseQuery(x.r.URL.RawQuery, "client_id", "redirect_uri", "state", "scope", "account", "from", "isappinstalled")
	if err != nil {
		return err
	}
	state, given := q["state"]
	return x.login(relay.LoginRequest{
		Purpose:     relay.LoginForTicket,
		ClientID:    q["client_id"],
		RedirectURI: q["redirect_uri"],
		State:       state,
		HasState:    given,
		Scope:       q["scope"],
		Account:     q["account"],
	})
}

// login begins a login in the browser that asks.
func (x *exchange) login(req relay.LoginRequest) error {
	if framed(x.r) {
		return paramError("", "a login is opened as a page of its own, never inside another one")
	}
	req.Surroundings, req.BrowserID = relay.SurroundingsOf(x.r.UserAgent()), x.cookie.read(x.r)
	start, err := x.service.BeginLogin(x.r.Context(), req)
	if err != nil {
		return err
	}
	if start.BrowserID != "" {
		x.cookie.set(x.w, start.BrowserID)
	}
	if start.Redirect != "" {
		return x.redirect(start.Redirect)
	}
	place := pages.LoginOnDesktop
	if start.Page.OnPhone {
		place = pages.LoginOnPhone
	}
	return x.pages.WriteLogin(x.w, x.r, pages.Login{
		Place: place, Site: start.Page.Site, Host: start.Page.Host, PageURL: x.origin + targetOf(x.r), Test: x.service.Sandbox(),
	})
}

// framed reports whether a browser says that it loads a part of another page.
// WeChat's silent login would then tell who somebody is without a page being
// seen (threats E20, I04).
func framed(r *http.Request) bool {
	return slices.Contains([]string{"iframe", "frame", "fencedframe", "embed", "object"}, r.Header.Get("Sec-Fetch-Dest"))
}

// maxCallbackQuery bounds what relay looks up; WeChat's codes and our states
// are far shorter.
const maxCallbackQuery = 2 << 10

// loginCallback takes the browser back from WeChat. WeChat adds parameters of
// its own when a page was shared, so others are let pass.
func (x *exchange) loginCallback() error {
	values := x.r.URL.Query()
	if len(values["code"]) > 1 || len(values["state"]) != 1 || len(x.r.URL.RawQuery) > maxCallbackQuery {
		return paramError("", "the callback is malformed")
	}
	to, err := x.service.LoginCallback(x.r.Context(), relay.LoginCallback{
		Code:      values.Get("code"),
		State:     values.Get("state"),
		BrowserID: x.cookie.read(x.r),
	})
	if err != nil {
		return err
	}
	return x.redirect(to)
}

// refuseLogin tells a visitor why a login did not begin or did not succeed.
func (x *exchange) refuseLogin(f failure) error {
	m := pages.Message{Kind: x.loginMessage(&f)}
	if why, ok := errors.AsType[*relay.LoginError](f.cause); ok {
		m.AgainURL, m.ReloadAfter = why.Again, why.Wait
		if why.Snapshot {
			m.Kind = pages.MessageSnapshot
		}
		if why.Wait > 0 {
			f.retryAfter = int(why.Wait.Seconds())
		}
	}
	return x.tell(f, m)
}

func (x *exchange) loginMessage(f *failure) pages.MessageKind {
	returning := x.route == routeCallback
	switch {
	case f.status == http.StatusMethodNotAllowed:
		return pages.MessageNotAllowed
	case f.kind == relay.KindNoAuth && !returning:
		return pages.MessageLoginRefused
	case f.kind == relay.KindNoAuth && x.r.URL.Query().Get("code") == "":
		// A buyer who said no comes with a state and without a code.
		return pages.MessageLoginCancelled
	case f.kind == relay.KindUpstream, f.kind == relay.KindUpstreamTimeout, f.kind == relay.KindNoAuth:
		return pages.MessageLoginFailed
	case f.kind == relay.KindRate:
		return pages.MessageTooMany
	case f.kind == relay.KindParam:
		return pages.MessageBadRequest
	case f.status < http.StatusInternalServerError:
		return pages.MessageLoginExpired
	default:
		return pages.MessageUnavailable
	}
}

// redeemTicket tells a site who logged in.
func (x *exchange) redeemTicket() error {
	s, err := x.authenticateWrite()
	if err != nil {
		return err
	}
	if err := x.decodeEmpty(&s); err != nil {
		return err
	}
	view, err := x.service.RedeemTicket(x.r.Context(), s.caller, x.param)
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, view)
}
