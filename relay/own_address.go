package relay

import (
	"net/url"
	"strings"
)

// ownPaths begin the relay's paths below PublicURL (contract section 4).
// Everything else there belongs to the sites behind the relay, which may be
// told at such an address.
var ownPaths = []string{
	"/v1/", "/checkout/", "/login", "/connect/oauth2/", "/connect/qrconnect", "/sns/", "/cgi-bin/",
	"/wechat/callback", "/wechat/notify/", "/wechat/message/", "/wechat/health",
}

// owns reports whether an address is one of the relay's own, which it must
// not call: two relays, or one and itself, would call each other for ever
// (threats F10).
func (s *Service) owns(u *url.URL) bool {
	public := s.cfg.PublicURL
	if !strings.EqualFold(u.Scheme, public.Scheme) || hostOf(u) != s.host {
		return false
	}
	path, below := strings.CutPrefix(u.EscapedPath(), public.EscapedPath())
	if !below {
		return false
	}
	for _, own := range ownPaths {
		if strings.HasPrefix(path, own) {
			return true
		}
	}
	return false
}

// ownAddress asks the configuration that is current.
func (rt *Runtime) ownAddress(u *url.URL) bool {
	s := rt.current.Load()
	return s != nil && s.owns(u)
}
