package relay

import (
	"net/netip"

	"github.com/wxrelay/wxrelay/internal/safehttp"
)

// nobodysIP stands where WeChat wants an address and the buyer's is not
// known: one that RFC 5737 gives to documents and nobody has. It never
// changes, because a repeat must have the same content.
const nobodysIP = "192.0.2.1"

// documentation are the networks of examples (RFC 5737, RFC 3849). A sandbox
// takes them, as its buyers are examples too.
var documentation = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("2001:db8::/32"),
}

// buyersIP reads an address that WeChat may be told as the buyer's, in its
// one spelling: a public one. Others would be refused by WeChat, and tell it
// of networks that are not its business (threats I07).
func (s *Service) buyersIP(text string) (ip string, ok bool) {
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" {
		return "", false
	}
	addr = addr.Unmap()
	if safehttp.PublicAddr(addr) {
		return addr.String(), true
	}
	for _, network := range documentation {
		if s.Sandbox() && network.Contains(addr) {
			return addr.String(), true
		}
	}
	return "", false
}

// visitorsIP is the address of a browser as WeChat may be told it. A sandbox
// on the developer's own machine sees private ones, in whose place it gets
// nobody's.
func (s *Service) visitorsIP(text string) string {
	ip, ok := s.buyersIP(text)
	if !ok && s.Sandbox() {
		return nobodysIP
	}
	return ip
}
