package safehttp

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// F01, F04, F08, F09, F10: what is refused at registration, before any name
// is looked up.
func TestCheckURL_F01_F04_F08_F09_F10(t *testing.T) {
	t.Parallel()
	c := New(Options{Deny: func(u *url.URL) bool {
		return u.Hostname() == "pay.example.com" && strings.HasPrefix(u.Path, "/wechat/") || u.Host == "[2606:4700::2]"
	}})
	tests := []struct {
		url string
		ok  bool
	}{
		{"https://good.example/notify", true},
		{"http://good.example/notify?x=1", true},
		{"https://good.example:443/", true},
		{"https://good.example:80/", true},
		{"https://GOOD.example./", true},
		{"https://xn--fiqs8s.example/", true},
		{"https://8.8.8.8/", true},
		{"https://[2606:4700::1111]/", true},
		{"https://a_b-c.example", true},

		{"https://good.example:22/", false},
		{"http://good.example:2019/", false},
		{"http://good.example:6379/", false},
		{"http://good.example:25/", false},
		{"http://good.example:0/", false},
		{"http://good.example:65536/", false},
		{"http://good.example:/", false},
		{"http://8.8.8.8:22/", false},

		{"file:///etc/passwd", false},
		{"gopher://good.example/", false},
		{"ftp://good.example/", false},
		{"unix:/run/x.sock", false},
		{"http+unix://good.example/", false},
		{"javascript:alert(1)", false},
		{"//good.example/", false},
		{"/notify", false},
		{"https:good.example", false},
		{"https://", false},
		{"https:///notify", false},
		{"", false},

		{"https://good@evil.example/", false},
		{"https://user:pass@good.example/", false},
		{"https://@good.example/", false},
		{"https://good.example/#x", false},
		{"https://good.example/#", false},
		{"https://good.example\\@evil.example/", false},
		{"https://good.example/\n", false},
		{" https://good.example/", false},
		{"https://①②⑦.0.0.1/", false},
		{"https://测试.example/", false},
		{"https://good.example/测试", false},
		{"https://%e6%b5%8b.example/", false},
		{"https://good..example/", false},
		{"https://" + strings.Repeat("a", 64) + ".example/", false},
		{"https://" + strings.Repeat("a.", 130) + "example/", false},

		{"http://2130706433/", false},
		{"http://0x7f.1/", false},
		{"http://0177.0.0.1/", false},
		{"http://127.1/", false},
		{"http://0/", false},
		{"http://127.0.0.1./", false},
		{"http://1.2.3.4.5/", false},
		{"http://localhost/", false},
		{"http://LOCALHOST./", false},
		{"http://a.localhost/", false},
		{"http://[::1]/", false},
		{"http://[::ffff:127.0.0.1]/", false},
		{"http://[fe80::1%25eth0]/", false},

		{"https://pay.example.com/wechat/notify/main", false},
		{"https://PAY.example.com./wechat/notify/main", false},
		{"https://pay.example.com:443/wechat/x", false},
		{"https://pay.example.com/shop/notify", true}, // a shop behind the same name
		{"https://[2606:4700::2]/", false},
	}
	for _, a := range forbiddenAddresses {
		addr := netip.MustParseAddr(a).WithZone("")
		tests = append(tests, struct {
			url string
			ok  bool
		}{"http://" + netip.AddrPortFrom(addr, 80).String() + "/", false})
	}
	for _, tt := range tests {
		if err := c.CheckURL(tt.url); (err == nil) != tt.ok {
			t.Errorf("CheckURL(%q) = %v, want ok %v", tt.url, err, tt.ok)
		}
	}
}

// F13: an allowed network opens itself, on every port, and nothing else.
func TestCheckURL_F13_Allowed(t *testing.T) {
	t.Parallel()
	c := New(Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8080/":          true,
		"http://[::ffff:127.0.0.1]:8080/": true,
		"http://localhost:8080/":          true,
		"http://[::1]:8080/":              false,
		"http://10.0.0.1/":                false,
		"http://8.8.8.8:8080/":            false,
		"http://intern.example:8080/":     true, // decided when it is dialled
	} {
		if err := c.CheckURL(url); (err == nil) != ok {
			t.Errorf("CheckURL(%q) = %v, want ok %v", url, err, ok)
		}
	}
	wide := c.Allowing(netip.MustParsePrefix("10.0.0.0/8"))
	if err := wide.CheckURL("http://10.0.0.1:1/"); err != nil {
		t.Errorf("the wider client refuses: %v", err)
	}
	if err := c.CheckURL("http://10.0.0.1/"); err == nil {
		t.Error("the narrower client was widened")
	}
	ports := New(Options{AllowPorts: []uint16{8443}})
	if ports.CheckURL("https://good.example:8443/") != nil || ports.CheckURL("https://good.example/") == nil {
		t.Error("the list of ports does not decide")
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, s := range []string{"https://good.example/", "http://[::1]/", "http://0x7f.1/", "http://a@b/", "https://good.example:22/#"} {
		f.Add(s)
	}
	c := New(Options{})
	f.Fuzz(func(t *testing.T, raw string) {
		if c.CheckURL(raw) != nil {
			return
		}
		for i := range len(raw) {
			if raw[i] <= ' ' || raw[i] >= 0x7f {
				t.Errorf("%q is accepted with byte %#x", raw, raw[i])
			}
		}
		if strings.ContainsAny(raw, "#\\") && !strings.Contains(raw, "?") && !strings.Contains(raw[8:], "/") {
			t.Errorf("%q is accepted", raw)
		}
		if !strings.HasPrefix(strings.ToLower(raw), "http://") && !strings.HasPrefix(strings.ToLower(raw), "https://") {
			t.Errorf("%q is accepted", raw)
		}
	})
}
