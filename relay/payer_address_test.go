package relay

import (
	"net/netip"
	"testing"
)

func FuzzBuyersIP(f *testing.F) {
	for _, s := range []string{"8.8.4.4", "::ffff:8.8.4.4", "2001:4860:4860::8888", "127.0.0.1", "fe80::1%eth0", "0x7f.1", "8.8.4.4:80", "203.0.113.7", ""} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, sandbox bool) {
		s := &Service{cfg: &Config{Platform: Platform{Sandbox: sandbox}}}
		ip, ok := s.buyersIP(text)
		if !ok {
			if ip != "" {
				t.Errorf("%q was refused and read as %q", text, ip)
			}
			return
		}
		addr, err := netip.ParseAddr(ip)
		if err != nil || addr.String() != ip || addr.Is4In6() || addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast() || addr.IsUnspecified() {
			t.Errorf("%q goes to WeChat as %q, %v", text, ip, err)
		}
		if again, ok := s.buyersIP(ip); !ok || again != ip {
			t.Errorf("%q became %q, which is read as %q %t", text, ip, again, ok)
		}
	})
}
