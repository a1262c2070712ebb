package web

import (
	"net/url"
	"strings"

	"github.com/wxrelay/wxrelay/relay"
)

// route is one row of contract section 4.
type route uint8

const (
	routeNone route = iota
	routeOrders
	routeOrder
	routePayments
	routeClose
	routeRefunds
	routeRefund
	routeSplits
	routeSplit
	routeReturns
	routeAdmit
	routeDismiss
	routeEvents
	routeEvent
	routeDeliver
	routeCheckout
	routeStatus
	routeCode
	routeStatic
	routeLogin
	routeTicket
	routeCallback
	routeNotify
	routeMessages
	routeHealth
	routeKey
	routeAuthorize
	routeScan
	routeUserToken
	routeRefreshToken
	routeUserInfo
	routeUserAuth
	routeSessions
	routeDecrypt
	routeVerify
	routeJSSDK
	routeScript
	routeAPI
	routeAPIToken
	routeAPIStable
	routeCount
)

// fixed are the routes of one path each.
var fixed = map[string]route{
	"/v1/orders":                          routeOrders,
	"/v1/events":                          routeEvents,
	"/v1/notify-key":                      routeKey,
	"/v1/mini-program/sessions":           routeSessions,
	"/v1/js-sdk":                          routeJSSDK,
	"/v1/js-sdk.js":                       routeScript,
	"/v1/profit-sharing/receivers":        routeAdmit,
	"/v1/profit-sharing/receivers/delete": routeDismiss,
	"/login":                              routeLogin,
	"/wechat/callback":                    routeCallback,
	"/wechat/health":                      routeHealth,
	"/connect/oauth2/authorize":           routeAuthorize,
	"/connect/qrconnect":                  routeScan,
	"/sns/oauth2/access_token":            routeUserToken,
	"/sns/oauth2/refresh_token":           routeRefreshToken,
	"/sns/userinfo":                       routeUserInfo,
	"/sns/auth":                           routeUserAuth,
	relay.APITokenPath:                    routeAPIToken,
	relay.APIStableTokenPath:              routeAPIStable,
}

// family is the routes below one path: the path, one segment that is the
// route's parameter, and what may follow it.
type family struct {
	path   string
	routes []leaf
}

type leaf struct {
	suffix string
	route  route
}

// families lists the static files first: they lie where a token would.
var families = [...]family{
	{"/checkout/-/", []leaf{{"", routeStatic}}},
	{"/checkout/", []leaf{{"", routeCheckout}, {"/status", routeStatus}, {"/qr.svg", routeCode}}},
	{"/v1/orders/", []leaf{{"", routeOrder}, {"/payments", routePayments}, {"/close", routeClose}, {"/refunds", routeRefunds}, {"/profit-sharing", routeSplits}}},
	{"/v1/refunds/", []leaf{{"", routeRefund}}},
	{"/v1/profit-sharing/", []leaf{{"", routeSplit}, {"/returns", routeReturns}}},
	{"/v1/events/", []leaf{{"", routeEvent}, {"/deliver", routeDeliver}}},
	{"/v1/mini-program/sessions/", []leaf{{"/decrypt", routeDecrypt}, {"/verify", routeVerify}}},
	{"/v1/tickets/", []leaf{{"", routeTicket}}},
	{"/wechat/notify/", []leaf{{"", routeNotify}}},
	{"/wechat/message/", []leaf{{"", routeMessages}}},
}

// findRoute finds the route of a path below the public address and the value
// of its one parameter. Segments are compared as they are sent: an escape, a
// doubled slash or a slash at the end makes another path.
func findRoute(path string) (route, string) {
	if rt, known := fixed[path]; known {
		return rt, ""
	}
	if rest, ok := strings.CutPrefix(path, relay.APIPrefix); ok && rest != "" {
		return routeAPI, path
	}
	return findBelow(path)
}

// findBelow finds the route of a path in one of the families.
func findBelow(path string) (route, string) {
	for i := range families {
		rest, ok := strings.CutPrefix(path, families[i].path)
		if !ok {
			continue
		}
		param, suffix := rest, ""
		if slash := strings.IndexByte(rest, '/'); slash >= 0 {
			param, suffix = rest[:slash], rest[slash:]
		}
		if param == "" {
			return routeNone, ""
		}
		for _, l := range families[i].routes {
			if l.suffix == suffix {
				return l.route, param
			}
		}
		return routeNone, ""
	}
	return routeNone, ""
}

// PathOf is the path of an address in the form in which routes are matched:
// as it was sent wherever an escape could stand for something else, such as
// %2F for a slash. Give Match this path of the original address, before any
// rewriting.
func PathOf(u *url.URL) string {
	if u.RawPath != "" {
		return u.RawPath
	}
	return u.Path
}

func routePrefix(publicURL *url.URL) string {
	return strings.TrimSuffix(PathOf(publicURL), "/")
}

// Matcher is Handler.Match before there is a Handler: it tells which paths are
// the relay's below a public address; api says whether those of WeChat's
// server interface are.
func Matcher(publicURL *url.URL, api bool) func(path string) bool {
	return (&Handler{prefix: routePrefix(publicURL), api: api}).Match
}

// Match reports whether the path, in the form of PathOf, is one of the
// relay's. It allocates nothing.
func (h *Handler) Match(path string) bool {
	rt, _ := h.find(path)
	return rt != routeNone
}

func (h *Handler) find(path string) (route, string) {
	rest, ok := strings.CutPrefix(path, h.prefix)
	if !ok {
		return routeNone, ""
	}
	rt, param := findRoute(rest)
	if !h.api && (rt == routeAPI || rt == routeAPIToken || rt == routeAPIStable) {
		return routeNone, "" // somebody else's scripts
	}
	return rt, param
}

// SecretPath reports whether a path, in the form of PathOf, names something
// that whoever reads it could use: it belongs in no access log (threats H04).
func (h *Handler) SecretPath(path string) bool {
	switch rt, _ := h.find(path); rt {
	case routeTicket, routeDecrypt, routeVerify,
		routeJSSDK: // its url is a page's, which may have come with a login's code
		return true
	default:
		return false
	}
}
