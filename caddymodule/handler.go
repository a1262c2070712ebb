package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wxrelay/wxrelay/caddymodule/web"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler answers the relay's paths below public_url and hands every other
// request on, untouched. It may stand in several sites and routes, which
// then share one relay; the app wxrelay configures it.
//
// It also serves the accounts' verify files at the root of the site.
//
// Paths and signatures are judged by the request as the client sent it,
// before any rewriting. Requests of the relay's with a secret or a person's
// name in the address, such as WeChat's login code, are left out of access
// logs; the relay's own log tells of those that it refused.
type Handler struct {
	// OnlyVerifyFiles makes the handler serve the accounts' verify files and
	// nothing else. The Caddyfile adds such a handler to a site in which a
	// matcher limits the relay.
	OnlyVerifyFiles bool `json:"only_verify_files,omitempty"`

	app *App
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.wxrelay",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured("wxrelay")
	if errors.Is(err, caddy.ErrNotConfigured) {
		return errors.New("the directive wxrelay needs the global option wxrelay, which holds its configuration")
	}
	if err != nil {
		return fmt.Errorf("loading the app wxrelay: %w", err)
	}
	h.app = app.(*App)
	if server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server); ok {
		h.app.servers = append(h.app.servers, server)
		// A server that shuts down waits for open requests, and may do so
		// before the app is told to stop.
		server.RegisterOnShutdown(h.app.face.drain)
	}
	return nil
}

// ServeHTTP answers what is the relay's.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	sent := r.URL
	if original.URL != nil {
		sent = original.URL
	}
	path := web.PathOf(sent)
	if h.app.face.files.Serve(w, r.Method, path) {
		return nil
	}
	if h.OnlyVerifyFiles || !h.app.face.match(path) {
		return next.ServeHTTP(w, r)
	}
	handler, err := h.app.face.handler(r.Context())
	if err != nil {
		return unavailable(w, err)
	}
	if !h.app.engine.users.enter() {
		return unavailable(w, errors.New("the relay is closing"))
	}
	defer h.app.engine.users.leave()
	if secretQuery(sent.RawQuery) || handler.SecretPath(path) {
		caddyhttp.SetVar(r.Context(), caddyhttp.LogSkipVar, true)
	}
	handler.ServeHTTP(w, asSent(r, &original))
	return nil
}

// secretNames are the query parameters that must not be kept in access logs:
// WeChat's login codes, what ties a login to a browser or a site, signatures
// of links and pushes, who somebody is, and what clients of WeChat's own calls
// send in the address.
var secretNames = [...]string{
	"code", "state", "ticket", "sig", "sign", "signature", "msg_signature", "secret", "access_token", "refresh_token", "openid",
}

// secretQuery reports whether a query holds one of them. Caddy redacts
// headers in access logs and never queries (threats H04).
func secretQuery(query string) bool {
	for query != "" {
		item, rest, _ := strings.Cut(query, "&")
		name, _, _ := strings.Cut(item, "=")
		if slices.Contains(secretNames[:], name) || strings.Contains(name, "%") {
			return true // with an escape it may be one of them
		}
		query = rest
	}
	return false
}

// unavailable refuses a request that came too early or too late.
func unavailable(w http.ResponseWriter, err error) error {
	w.Header().Set("Retry-After", "1")
	return caddyhttp.Error(http.StatusServiceUnavailable, err)
}

// asSent is the request as the client sent it. Rewriting changes Method, URL
// and RequestURI of a request and nothing else that matters here.
func asSent(r, original *http.Request) *http.Request {
	if original.URL == nil {
		return r
	}
	sent := new(http.Request)
	*sent = *r
	sent.Method, sent.URL, sent.RequestURI = original.Method, original.URL, original.RequestURI
	return sent
}

// clientIP is the address of the client as Caddy sees it, which honours the
// servers' trusted_proxies.
func clientIP(r *http.Request) string {
	ip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	return ip
}

// Interface guards.
var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
