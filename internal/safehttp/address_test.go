package safehttp

import (
	"net/netip"
	"slices"
	"testing"
)

// forbiddenAddresses is rows F01 to F04 of the threats as plain addresses.
var forbiddenAddresses = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
	"127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.1.1", "169.254.169.254", "172.16.0.1", "172.31.255.255",
	"192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
	"203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
	"::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
	"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
	"2001::1", "2001:10::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "3fff::1",
	"fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "::1%lo", "fec0::1", "ff02::1", "5f00::1", "4000::1",
}

var publicAddresses = []string{
	"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.1", "192.0.1.1", "198.17.255.255",
	"198.20.0.1", "223.255.255.255", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700::1111", "2400:3200::1", "2001:4860:4860::8888",
}

// F01 to F04: one table decides about every range.
func TestPublicAddr_F01_F02_F03_F04(t *testing.T) {
	t.Parallel()
	for _, text := range forbiddenAddresses {
		if PublicAddr(netip.MustParseAddr(text)) {
			t.Errorf("%s passes for public", text)
		}
	}
	for _, text := range publicAddresses {
		if !PublicAddr(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
}

func TestPlainNetworks(t *testing.T) {
	t.Parallel()
	parse := netip.MustParsePrefix
	a := plainNetworks([]netip.Prefix{parse("::ffff:10.1.2.3/112"), parse("127.0.0.1/8"), parse("10.1.0.0/16"), {}})
	b := plainNetworks([]netip.Prefix{parse("10.1.0.0/16"), parse("127.0.0.0/8"), parse("127.9.9.9/8")})
	if !slices.Equal(a, b) || len(a) != 2 {
		t.Errorf("%v and %v, want the same two networks", a, b)
	}
}

func FuzzPublicAddr(f *testing.F) {
	for _, text := range slices.Concat(forbiddenAddresses, publicAddresses) {
		a := netip.MustParseAddr(text)
		f.Add(a.AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		public := PublicAddr(a)
		if public && (a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified()) {
			t.Errorf("%v passes for public", a)
		}
		if a.Is4() && PublicAddr(netip.AddrFrom16(a.As16())) != public {
			t.Errorf("%v and its mapped spelling differ", a)
		}
		if a.Is6() && PublicAddr(a.WithZone("x")) != public {
			t.Errorf("%v and its zoned spelling differ", a)
		}
	})
}
