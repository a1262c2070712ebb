package safehttp

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckURL says whether the client would ever call the address, as far as
// that is known without asking a resolver: an absolute http or https URL
// with a plain ASCII host, without user info and fragment, on an allowed
// port, not literally a private host and not one of our own names. Names are
// checked again when they are dialled. The error is fit to be shown to
// whoever gave the URL.
func (c *Client) CheckURL(raw string) error {
	for i := range len(raw) {
		if raw[i] <= ' ' || raw[i] >= 0x7f {
			return errors.New("has characters that a URL must not have; write the host in ASCII (punycode)")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("is not a URL")
	}
	if strings.Contains(raw, "#") {
		return errors.New("must not have a fragment")
	}
	return c.checkURL(u)
}

func (c *Client) checkURL(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("must begin with http:// or https://")
	}
	if u.User != nil {
		return errors.New("must not have user info")
	}
	if u.Opaque != "" || u.Host == "" {
		return errors.New("must be absolute, with a host")
	}
	port, err := portOf(u)
	if err != nil {
		return err
	}
	host := plainHost(u.Hostname())
	if c.denied(u, host) {
		return errors.New("must not lead back to this relay")
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return c.checkAddr(addr, port)
	}
	if err := checkHostName(host); err != nil {
		return err
	}
	if isLocalName(host) && !c.allowsLoopback() {
		return errors.New("must not be a private or local host")
	}
	// Whether a name leads into an allowed network, where every port may be
	// called, shows only when it is dialled.
	if len(c.allow) == 0 && !c.publicPort(port) {
		return portError(port)
	}
	return nil
}

// denied asks whether the address is our own.
func (c *Client) denied(u *url.URL, host string) bool {
	if c.shared.options.Deny == nil {
		return false
	}
	plain := *u
	plain.Host = host
	if strings.Contains(host, ":") {
		plain.Host = "[" + host + "]"
	}
	if port := u.Port(); port != "" {
		plain.Host += ":" + port
	}
	return c.shared.options.Deny(&plain)
}

// checkAddr decides on one address and port; the dial check is this too.
func (c *Client) checkAddr(addr netip.Addr, port uint16) error {
	if containsAddr(c.allow, plainAddr(addr)) {
		return nil
	}
	if !PublicAddr(addr) {
		return errors.New("must not be a private or local host")
	}
	if !c.publicPort(port) {
		return portError(port)
	}
	return nil
}

func (c *Client) publicPort(port uint16) bool {
	return slices.Contains(c.shared.options.AllowPorts, port)
}

func (c *Client) allowsLoopback() bool {
	return containsAddr(c.allow, netip.AddrFrom4([4]byte{127, 0, 0, 1})) || containsAddr(c.allow, netip.IPv6Loopback())
}

func portError(port uint16) error { return fmt.Errorf("port %d is not allowed", port) }

func portOf(u *url.URL) (uint16, error) {
	text := u.Port()
	if text == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, errors.New("has an empty port")
		}
		if u.Scheme == "http" {
			return 80, nil
		}
		return 443, nil
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return 0, errors.New("has a port out of range")
	}
	return uint16(n), nil
}

// plainHost is the spelling in which hosts are compared: a name means the
// same in capitals and with the root's dot.
func plainHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// checkHostName refuses what is not a DNS name: other characters (which
// net/http would normalise, so that ①②⑦.0.0.1 becomes 127.0.0.1), and names
// that end in a number, which C resolvers read as old spellings of IPv4
// (127.1, 0x7f.1, 2130706433).
func checkHostName(host string) error {
	if host == "" || len(host) > 253 {
		return errors.New("has a host that is empty or too long")
	}
	var last string
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("has a host with an empty or too long part")
		}
		if strings.ContainsFunc(label, notHostByte) {
			return errors.New("has a host with characters that a name must not have; write it in ASCII (punycode)")
		}
		last = label
	}
	if last[0] >= '0' && last[0] <= '9' {
		return errors.New("has a host that is neither a name nor a plain IP address")
	}
	return nil
}

func notHostByte(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

func isLocalName(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
