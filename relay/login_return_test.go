package relay

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnTo(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://a.example/cb":         "https://a.example/cb?ticket=t&state=s",
		"https://a.example":            "https://a.example?ticket=t&state=s",
		"https://a.example/cb?":        "https://a.example/cb?ticket=t&state=s",
		"https://a.example/cb?x=1":     "https://a.example/cb?x=1&ticket=t&state=s",
		"https://a.example/cb?x=1&":    "https://a.example/cb?x=1&ticket=t&state=s",
		"https://a.example/cb?x=%2526": "https://a.example/cb?x=%2526&ticket=t&state=s",
		"https://a.example/书?页=1":      "https://a.example/%E4%B9%A6?%E9%A1%B5=1&ticket=t&state=s",
	} {
		if got := returnTo(&flow{redirectURI: address, state: "s", hasState: true}, "ticket", "t"); got != want {
			t.Errorf("returnTo(%q) = %q, want %q", address, got, want)
		}
	}
}

// FuzzReturnTo: whatever a site sends, its address stays its own, the relay's
// parameters stand there once, and no byte leaves the header line (threats
// D08, D09, E25).
func FuzzReturnTo(f *testing.F) {
	f.Add("https://a.example/cb?x=1", "state")
	f.Add("https://a.example/登录?来=%E5%8D%97&u=https%253A%252F%252Fx.example%252F", "测试&ticket=mine\r\n#")
	f.Add("http://[::1]:8080/cb?&", "\x00\xff+ %")
	f.Fuzz(func(t *testing.T, address, state string) {
		if CheckRedirectURI(address) != nil || len(state) > maxClientState {
			return
		}
		to := returnTo(&flow{redirectURI: address, state: state, hasState: true}, "ticket", "0123")
		for i := range len(to) {
			if to[i] <= ' ' || to[i] >= 0x7f {
				t.Fatalf("byte %#x in %q", to[i], to)
			}
		}
		was, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		is, err := url.Parse(to)
		if err != nil || is.Scheme != was.Scheme || is.Host != was.Host || is.Path != was.Path || is.Fragment != "" || is.User != nil {
			t.Fatalf("%q became %q: %v", address, to, err)
		}
		at := strings.LastIndex(to, "ticket=0123&state=")
		if at < 1 || strings.IndexByte("?&", to[at-1]) < 0 {
			t.Fatalf("%q has no ticket and state at its end", to)
		}
		sent := to[at+len("ticket=0123&state="):]
		for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
			if got, err := decode(sent); err != nil || got != state {
				t.Fatalf("state %q came back as %q", state, sent)
			}
		}
	})
}
