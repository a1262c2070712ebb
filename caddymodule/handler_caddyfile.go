package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
)

func init() {
	httpcaddyfile.RegisterDirective("wxrelay", parseHandler)
	// Before redir and everything that rewrites, asks for a password or
	// answers, and after the site's headers and limits. WeChat follows no
	// redirect, signs the path as it sends it, and cannot log in; a site that
	// redirects everything else, or "respond", would swallow its requests.
	// The sandbox goes first where both stand in one site, so that it stays
	// what the relay calls there.
	httpcaddyfile.RegisterDirectiveOrder("wxrelay_sandbox", httpcaddyfile.Before, "redir")
	httpcaddyfile.RegisterDirectiveOrder("wxrelay", httpcaddyfile.Before, "redir")
}

// parseHandler reads the directive, which takes nothing but a matcher:
//
//	wxrelay [<matcher>]
//
// The matcher limits the relay. Verify files are served beside it whatever it
// is, because they have to lie at the root of the site.
func parseHandler(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next() // the directive's name
	matcher, err := h.ExtractMatcherSet()
	if err != nil {
		return nil, err
	}
	h.Next()
	if h.NextArg() {
		return nil, h.ArgErr()
	}
	if err := parseBlock(h.Dispenser, words{}); err != nil {
		return nil, err
	}
	routes := h.NewRoute(matcher, new(Handler))
	if matcher != nil {
		routes = append(routes, h.NewRoute(nil, &Handler{OnlyVerifyFiles: true})...)
	}
	return routes, nil
}
