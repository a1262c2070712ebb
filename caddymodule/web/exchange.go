package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// exchange is one request and its answer under way.
type exchange struct {
	*Handler
	w        *answerWriter
	r        *http.Request
	id       string
	route    route
	param    string    // the segment of the path that names something
	clientID string    // once the signature was verified
	api      relay.API // of a notification, once its body was read
}

// endpoint is how a route is answered.
type endpoint struct {
	name    string // in the log, where paths would show tokens
	allow   string // methods, as the Allow header spells them
	browser bool   // every answer carries the headers that guard pages
	serve   func(*exchange) error
	refuse  func(*exchange, failure) error
}

const (
	allowGet  = "GET, HEAD"
	allowPost = "POST"
	allowOnce = "GET" // of what a HEAD would use up
	allowBoth = "GET, HEAD, POST"
	allowPage = "GET, HEAD, OPTIONS" // for pages of other sites
	allowAPI  = "GET, POST"
)

var endpoints = [routeCount]endpoint{
	routeOrders:   {"orders", allowPost, false, (*exchange).createOrder, (*exchange).refuseJSON},
	routeOrder:    {"order", allowGet, false, (*exchange).showOrder, (*exchange).refuseJSON},
	routePayments: {"payments", allowPost, false, (*exchange).createPayment, (*exchange).refuseJSON},
	routeClose:    {"close", allowPost, false, (*exchange).closeOrder, (*exchange).refuseJSON},
	routeRefunds:  {"refunds", allowPost, false, (*exchange).createRefund, (*exchange).refuseJSON},
	routeRefund:   {"refund", allowGet, false, (*exchange).showRefund, (*exchange).refuseJSON},
	routeSplits:   {"splits", allowPost, false, (*exchange).createSplit, (*exchange).refuseJSON},
	routeSplit:    {"split", allowGet, false, (*exchange).showSplit, (*exchange).refuseJSON},
	routeReturns:  {"returns", allowPost, false, (*exchange).returnSplit, (*exchange).refuseJSON},
	routeAdmit:    {"add_receiver", allowPost, false, (*exchange).addReceiver, (*exchange).refuseJSON},
	routeDismiss:  {"delete_receiver", allowPost, false, (*exchange).deleteReceiver, (*exchange).refuseJSON},
	routeEvents:   {"events", allowGet, false, (*exchange).listEvents, (*exchange).refuseJSON},
	routeEvent:    {"event", allowGet, false, (*exchange).showEvent, (*exchange).refuseJSON},
	routeDeliver:  {"deliver", allowPost, false, (*exchange).deliverEvent, (*exchange).refuseJSON},
	routeCheckout: {"checkout", allowGet, true, (*exchange).showCheckout, (*exchange).refusePage},
	routeStatus:   {"status", allowGet, true, (*exchange).showStatus, (*exchange).refuseJSON},
	routeCode:     {"qr", allowGet, true, (*exchange).showCode, (*exchange).refuseJSON},
	routeStatic:   {"static", allowGet, true, (*exchange).showStatic, (*exchange).refuseJSON},
	routeLogin:    {"login", allowGet, true, (*exchange).beginLogin, (*exchange).refuseLogin},
	routeTicket:   {"ticket", allowPost, false, (*exchange).redeemTicket, (*exchange).refuseJSON},
	routeCallback: {"callback", allowGet, true, (*exchange).loginCallback, (*exchange).refuseLogin},
	routeNotify:   {"notify", allowPost, false, (*exchange).takeNotification, (*exchange).refuseNotification},
	routeMessages: {"messages", allowBoth, false, (*exchange).serveMessages, (*exchange).refuseJSON},
	routeHealth:   {"health", allowGet, false, (*exchange).showHealth, (*exchange).refuseJSON},
	routeKey:      {"notify_key", allowGet, false, (*exchange).showNotifyKey, (*exchange).refuseJSON},

	routeAuthorize:    {"authorize", allowGet, true, (*exchange).beginConnect, (*exchange).refuseLogin},
	routeScan:         {"qrconnect", allowGet, true, (*exchange).beginConnect, (*exchange).refuseLogin},
	routeUserToken:    {"user_token", allowOnce, false, (*exchange).redeemCode, (*exchange).refuseAsWeChat},
	routeRefreshToken: {"refresh_token", allowOnce, false, (*exchange).refreshUserToken, (*exchange).refuseAsWeChat},
	routeUserInfo:     {"user_info", allowOnce, false, (*exchange).showUser, (*exchange).refuseAsWeChat},
	routeUserAuth:     {"user_auth", allowOnce, false, (*exchange).checkUserToken, (*exchange).refuseAsWeChat},
	routeSessions:     {"mini_sessions", allowPost, false, (*exchange).createSession, (*exchange).refuseJSON},
	routeDecrypt:      {"mini_decrypt", allowPost, false, (*exchange).decryptData, (*exchange).refuseJSON},
	routeAPI:          {"api", allowAPI, false, (*exchange).callAPI, (*exchange).refuseAPI},
	routeAPIToken:     {"api_token", allowOnce, false, (*exchange).giveToken, (*exchange).refuseAsWeChat},
	routeAPIStable:    {"api_stable_token", allowPost, false, (*exchange).giveStableToken, (*exchange).refuseAsWeChat},
	routeVerify:       {"mini_verify", allowPost, false, (*exchange).verifyData, (*exchange).refuseJSON},
	routeJSSDK:        {"js_sdk", allowPage, false, (*exchange).signPage, (*exchange).refuseJSON},
	routeScript:       {"js_sdk_script", allowGet, false, (*exchange).showScript, (*exchange).refuseJSON},
}

// ServeHTTP answers a request whose path Match knows; any other is not found.
// The request must be the original one: its URL and RequestURI as they were
// before any rewriting, because signatures cover them.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rt, param := h.find(PathOf(r.URL))
	x := &exchange{Handler: h, w: &answerWriter{ResponseWriter: w}, r: r, id: h.requestID(), route: rt, param: param}
	w.Header().Set("Request-Id", x.id)
	e := &endpoints[rt]
	if rt == routeNone {
		x.fail(r.Context(), "unknown", (*exchange).refuseJSON, notFound("address"))
		return
	}
	defer x.recover(r.Context(), e)
	if e.browser {
		pages.SetHeaders(w.Header())
	}
	if !allowed(e.allow, r.Method) {
		w.Header().Set("Allow", e.allow)
		x.fail(r.Context(), e.name, e.refuse, errMethod)
		return
	}
	if err := e.serve(x); err != nil {
		x.fail(r.Context(), e.name, e.refuse, err)
	}
}

func allowed(allow, method string) bool {
	for one := range strings.SplitSeq(allow, ", ") {
		if one == method {
			return true
		}
	}
	return false
}

// fail answers with a refusal and writes the one log line about it.
func (x *exchange) fail(ctx context.Context, name string, refuse func(*exchange, failure) error, err error) {
	f := failureOf(err)
	f.RequestID = x.id
	if !x.w.begun {
		if err := refuse(x, f); err != nil {
			f.cause = errors.Join(f.cause, fmt.Errorf("answering: %w", err))
		}
	}
	attrs := []slog.Attr{
		slog.String("request_id", x.id),
		slog.String("route", name),
		slog.Int("status", f.status),
		slog.String("code", f.Code),
		slog.String("client_ip", x.clientIP(x.r)),
	}
	if x.clientID != "" {
		attrs = append(attrs, slog.String("client_id", x.clientID))
	}
	attrs = append(attrs, slog.String("error", f.cause.Error()))
	level, text := slog.LevelInfo, "request refused"
	if f.status >= http.StatusInternalServerError {
		level, text = slog.LevelError, "request failed"
	}
	if x.w.broken || errors.Is(f.cause, context.Canceled) {
		level, text = slog.LevelDebug, "request abandoned by its sender"
	}
	x.logger.LogAttrs(ctx, level, text, attrs...)
}

// recover keeps a panic inside its request (threats H16). What was thrown may
// hold anything, so that only errors of the runtime are written down.
func (x *exchange) recover(ctx context.Context, e *endpoint) {
	thrown := recover()
	if thrown == nil {
		return
	}
	if thrown == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
		panic(thrown)
	}
	what := fmt.Sprintf("panic with a %T", thrown)
	if err, ok := thrown.(runtime.Error); ok {
		what = "panic: " + err.Error()
	}
	x.fail(ctx, e.name, e.refuse, errors.New(what+"\n"+string(debug.Stack())))
}

func (x *exchange) refuseJSON(f failure) error { return writeFailure(x.w, f) }

// answerWriter remembers whether an answer has begun and whether the other
// side went away meanwhile.
type answerWriter struct {
	http.ResponseWriter
	begun  bool
	broken bool
}

// WriteHeader begins the answer.
func (w *answerWriter) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

// Write begins the answer if need be.
func (w *answerWriter) Write(b []byte) (int, error) {
	w.begun = true
	n, err := w.ResponseWriter.Write(b)
	w.broken = w.broken || err != nil
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *answerWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
