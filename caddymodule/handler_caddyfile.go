package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("wxrelay", parseHandler)
	// After redir, so that headers, limits and canonical redirects of the
	// site apply, and before everything that rewrites or answers: WeChat
	// signs the path as it sends it, and "respond" would swallow it.
	httpcaddyfile.RegisterDirectiveOrder("wxrelay", httpcaddyfile.After, "redir")
}

// parseHandler reads the directive, which takes nothing but a matcher:
//
//	wxrelay [<matcher>]
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	if err := parseBlock(h.Dispenser, words{}); err != nil {
		return nil, err
	}
	return new(Handler), nil
}
