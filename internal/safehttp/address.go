package safehttp

import (
	"net/netip"
	"slices"
)

// forbidden4 is every IPv4 range that is not somebody's public host: the
// special-purpose registry of IANA (RFC 6890 and its successors), multicast,
// and the metadata services of clouds that live on public-looking addresses.
var forbidden4 = prefixes(
	"0.0.0.0/8",        // this network
	"10.0.0.0/8",       // private
	"100.64.0.0/10",    // carrier NAT; Alibaba Cloud metadata 100.100.100.200
	"127.0.0.0/8",      // loopback
	"168.63.129.16/32", // Azure wire server
	"169.254.0.0/16",   // link-local; metadata 169.254.169.254
	"172.16.0.0/12",    // private
	"192.0.0.0/24",     // protocol assignments; Oracle Cloud metadata 192.0.0.192
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relay anycast
	"192.168.0.0/16",   // private
	"198.18.0.0/15",    // benchmarking
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"224.0.0.0/4",      // multicast
	"240.0.0.0/4",      // reserved, broadcast
)

// global6 is the only part of IPv6 that is given out to public hosts.
// Everything else (loopback, ULA with fd00:ec2::254, link-local, site-local,
// multicast, discard, translation prefixes) is refused by not being in it.
var global6 = netip.MustParsePrefix("2000::/3")

// forbidden6 is what is special inside global6.
var forbidden6 = prefixes(
	"2001::/23",     // protocol assignments: Teredo, ORCHID, benchmarking
	"2001:db8::/32", // documentation
	"2002::/16",     // 6to4: carries an IPv4 address
	"3fff::/20",     // documentation
)

// nat64 carries an IPv4 address in its last four bytes (RFC 6052). A host
// without IPv4 reaches public sites through it, so the address inside
// decides.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		out[i] = netip.MustParsePrefix(t)
	}
	return out
}

// PublicAddr reports whether the address belongs to a public host. It is the
// one table of the product; net/netip's own predicates miss several of these
// ranges.
func PublicAddr(a netip.Addr) bool {
	a = plainAddr(a)
	switch {
	case a.Is4():
		return !containsAddr(forbidden4, a)
	case nat64.Contains(a):
		b := a.As16()
		return PublicAddr(netip.AddrFrom4([4]byte(b[12:])))
	default:
		return global6.Contains(a) && !containsAddr(forbidden6, a)
	}
}

// plainAddr undoes the spellings under which an address would slip through a
// prefix: IPv4 mapped into IPv6, and zones, with which Contains is false.
func plainAddr(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func containsAddr(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// plainNetworks copies the list in one canonical spelling and order, so that
// equal lists compare equal.
func plainNetworks(list []netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(list))
	for _, p := range list {
		if !p.IsValid() {
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p.Masked())
	}
	slices.SortFunc(out, netip.Prefix.Compare)
	return slices.Compact(out)
}
