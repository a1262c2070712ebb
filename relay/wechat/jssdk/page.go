package jssdk

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxPage is the longest address of a page, in bytes.
const MaxPage = 2 << 10

// Page is the address of a page as it is signed: all that stands before the
// fragment, byte for byte as the browser has it. WeChat's client signs what it
// shows, so an address that was decoded, encoded or completed on the way does
// not match.
type Page struct{ url, origin string }

// Errors of ParsePage. They quote nothing of the address.
var (
	errLong      = errors.New("page address is empty or longer than 2048 bytes")
	errCharacter = errors.New("page address has a blank, a control character, a backslash or invalid UTF-8")
	errScheme    = errors.New("page address does not begin with http:// or https://")
	errHost      = errors.New("page address has user info, or a host or port that no browser would show so")
)

// ParsePage takes the address that a page shows (location.href). The fragment
// is cut off, as WeChat's rule says. What no browser shows is refused, so that
// the origin is one for all who read it (threats D01 to D04).
func ParsePage(address string) (Page, error) {
	address, _, _ = strings.Cut(address, "#")
	if address == "" || len(address) > MaxPage {
		return Page{}, errLong
	}
	if !utf8.ValidString(address) || strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r == '\\' || r >= 0x7f && r <= 0xa0 }) {
		return Page{}, errCharacter
	}
	scheme, rest, found := strings.Cut(address, "://")
	if !found || scheme != "http" && scheme != "https" {
		return Page{}, errScheme
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?"); end >= 0 {
		authority = rest[:end]
	}
	origin, ok := originOf(scheme, authority)
	if !ok {
		return Page{}, errHost
	}
	return Page{url: address, origin: origin}, nil
}

// URL returns the address that is signed.
func (p Page) URL() string { return p.url }

// Origin returns the page's origin as the Origin header has it: scheme, host
// in lower case, and the port if it is not the scheme's own.
func (p Page) Origin() string { return p.origin }

// originOf takes the authority apart by hand: a parser would decode escapes in
// the host and accept more spellings than a browser shows.
func originOf(scheme, authority string) (string, bool) {
	host, port, hasPort := authority, "", false
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host, port, hasPort = authority[:i], authority[i+1:], true
	}
	host = strings.ToLower(host)
	if !isName(host) && !isIPv6(host) {
		return "", false
	}
	if !hasPort {
		return scheme + "://" + host, true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", false
	}
	if scheme == "http" && n == 80 || scheme == "https" && n == 443 {
		return scheme + "://" + host, true
	}
	return scheme + "://" + host + ":" + port, true
}

// isName reports whether a host is made of labels. Names in other scripts have
// their ASCII form in an address that a browser shows.
func isName(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// isIPv6 reports whether a host is an address of version 6 in brackets, in the
// one form that browsers show.
func isIPv6(host string) bool {
	inner, ok := strings.CutPrefix(host, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	addr, err := netip.ParseAddr(inner)
	return ok && ok2 && err == nil && addr.Is6() && addr.Zone() == "" && (addr.Is4In6() || addr.String() == inner)
}
