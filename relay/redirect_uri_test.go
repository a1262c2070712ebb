package relay

import (
	"net/url"
	"strings"
	"testing"
)

func TestCheckRedirectURI(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri string
		refusal   string // empty: accepted
	}{
		{"plain", "https://good.example/cb", ""},
		{"without path", "https://good.example", ""},
		{"port", "https://good.example:8443/cb", ""},
		{"query", "https://good.example/cb?from=wx&back=%2Fcart%3Fa%3D1", ""},
		{"nested encoding", "https://good.example/cb?next=https%253A%252F%252Fgood.example%252F", ""},
		{"CJK in path and query", "https://good.example/书店/回来?来自=微信", ""},
		{"escaped slash", "https://good.example/a%2Fb", ""},
		{"parameter that only looks like ours", "https://good.example/cb?zipcode=1&statement=2&tickets=3", ""},
		{"punycode host", "https://xn--fiqs8s.example/cb", ""},
		{"http on this machine", "http://localhost:8081/shop/login/callback", ""},
		{"http on IPv6 loopback", "http://[::1]:8081/cb", ""},
		{"http in a private network", "http://10.1.2.3/cb", ""},
		{"longest", "https://good.example/" + strings.Repeat("a", 2048-len("https://good.example/")), ""},

		{"empty", "", "absolute address"},
		{"too long", "https://good.example/" + strings.Repeat("a", 2049-len("https://good.example/")), "at most 2048 bytes"},
		{"relative", "/cb", "absolute address"},
		{"http on the internet", "http://good.example/cb", "must use https"},
		{"no port after the colon", "https://good.example:/cb", "colon without a port"},
		{"port too high", "https://good.example:65536/cb", "port"},
		{"not UTF-8", "https://good.example/\xff", "UTF-8"},
		{"blank", "https://good.example/a b", "blanks"},
		{"zero-width space", "https://good.example/a\u200bb", "invisible"},
		{"broken escape in path", "https://good.example/%zz", "absolute address"},
		{"broken escape in query", "https://good.example/?a=%zz", "broken escape"},
		{"zone", "http://[fe80::1%25eth0]/cb", "host of ASCII"},

		{"D01 dots", "https://good.example/cb/../evil", ". or .."},
		{"D01 escaped dots", "https://good.example/cb/%2e%2e/evil", ". or .."},
		{"D02 user", "https://good.example@evil.example/cb", "user name"},
		{"D02 user with port", "https://good.example:443@evil.example/", "user name"},
		{"D02 empty user", "https://@evil.example/", "user name"},
		{"D03 backslash", `https://evil.example\@good.example/cb`, "backslash"},
		{"D03 backslash in path", `https://good.example/\evil.example`, "backslash"},
		{"D03 no scheme", "//evil.example", "absolute address"},
		{"D03 three slashes", "///evil.example", "absolute address"},
		{"D03 one slash", "https:/evil.example", "absolute address"},
		{"D03 no slash", "https:evil.example", "absolute address"},
		{"D03 empty host", "https:///evil.example", "absolute address"},
		{"D04 Cyrillic", "https://gооd.example/cb", "host of ASCII"},
		{"D04 ideographic full stop", "https://good.example。evil.example/cb", "host of ASCII"},
		{"D04 full-width full stop", "https://good．example/cb", "host of ASCII"},
		{"D04 escaped host", "https://good%E3%80%82example/cb", "host of ASCII"},
		{"D05 fragment", "https://good.example/cb#x", "fragment"},
		{"D05 empty fragment", "https://good.example/cb#", "fragment"},
		{"D05 host in a fragment", "https://evil.example#@good.example/cb", "fragment"},
		{"D06 wildcard host", "https://*.good.example/cb", "no wildcards"},
		{"D06 wildcard path", "https://good.example/cb/*", "no wildcards"},
		{"D07 javascript", "javascript:alert(1)//good.example", "absolute address"},
		{"D07 data", "data:text/html,x", "absolute address"},
		{"D07 mixed case", "JaVaScRiPt:alert(1)", "absolute address"},
		{"D07 tab", "java\tscript:alert(1)", "control"},
		{"D07 weixin", "weixin://good.example/cb", "absolute address"},
		{"D08 line break", "https://good.example/cb\r\nSet-Cookie:a=b", "control"},
		{"D08 escaped line break", "https://good.example/cb%0d%0aSet-Cookie:a=b", "escaped control character in its path"},
		{"D08 escaped line break in query", "https://good.example/cb?a=%0d%0ab", "escaped control character in its query"},
		{"D09 code", "https://good.example/cb?code=x", "parameter code"},
		{"D09 state", "https://good.example/cb?a=1&state=x", "parameter state"},
		{"D09 iss", "https://good.example/cb?iss", "parameter iss"},
		{"D09 error", "https://good.example/cb?error=", "parameter error"},
		{"D09 ticket", "https://good.example/cb?ticket=x", "parameter ticket"},
		{"D09 escaped name", "https://good.example/cb?%63ode=x", "parameter code"},
		{"D09 capital letters", "https://good.example/cb?Code=x", "parameter code"},
		{"D09 behind a semicolon", "https://good.example/cb?a=1;code=x", "parameter code"},
		{"D09 list", "https://good.example/cb?code[]=x", "parameter code"},
		{"D11 loopback as user", "http://127.0.0.1:1@evil.example/cb", "user name"},
		{"D11 localhost as user", "http://localhost:80@evil.example", "user name"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := CheckRedirectURI(tt.uri)
			switch {
			case tt.refusal == "" && err != nil:
				t.Errorf("CheckRedirectURI(%q): %v, want nil", tt.uri, err)
			case tt.refusal != "" && (err == nil || !strings.Contains(err.Error(), tt.refusal)):
				t.Errorf("CheckRedirectURI(%q): %v, want an error with %q", tt.uri, err, tt.refusal)
			case tt.refusal == "user name" && strings.Contains(err.Error(), "@"):
				t.Errorf("the error shows the user info: %v", err)
			}
		})
	}
}

// Whatever is accepted leads to the host that stands in it, and takes a code
// without having one already.
func FuzzCheckRedirectURI(f *testing.F) {
	for _, seed := range []string{
		"https://good.example/cb?a=1", "http://localhost:8081/cb", `https://evil.example\@good.example/cb`,
		"https://good.example/书店?来自=微信", "https://a@b/", "https://[::1]/", "https://good.example?;code", "https:///x",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckRedirectURI(s) != nil {
			return
		}
		u, err := url.Parse(s)
		if err != nil || u.User != nil || u.Fragment != "" || u.Opaque != "" {
			t.Fatalf("accepted %q, which reads %#v, %v", s, u, err)
		}
		_, rest, _ := strings.Cut(s, "://")
		host := rest
		if end := strings.IndexAny(rest, "/?"); end >= 0 {
			host = rest[:end]
		}
		if host != u.Host {
			t.Errorf("accepted %q: host %q, but up to the path stands %q", s, u.Host, host)
		}
		values, err := url.ParseQuery(strings.ReplaceAll(u.RawQuery, ";", "&"))
		if err != nil {
			t.Errorf("accepted %q with a query that does not parse: %v", s, err)
		}
		for _, name := range loginParams {
			if values.Has(name) {
				t.Errorf("accepted %q, which has %s already", s, name)
			}
		}
	})
}
