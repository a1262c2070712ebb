package jssdk

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzParsePage: an address that is accepted is signed byte for byte, and the
// standard library finds the same origin in it.
func FuzzParsePage(f *testing.F) {
	f.Add("https://good.example/a?b=c#d")
	f.Add("http://127.0.0.1:8081")
	f.Add("https://[::1]:443/")
	f.Add(`https://evil.example\@good.example/`)
	f.Fuzz(func(t *testing.T, address string) {
		p, err := ParsePage(address)
		if err != nil {
			if p != (Page{}) {
				t.Fatalf("%q: error and page", address)
			}
			return
		}
		if rest, ok := strings.CutPrefix(address, p.URL()); !ok || rest != "" && rest[0] != '#' {
			t.Fatalf("%q is signed as %q", address, p.URL())
		}
		if again, err := ParsePage(p.URL()); err != nil || again != p {
			t.Fatalf("%q: %v when read again", address, err)
		}
		authority, _, _ := strings.Cut(strings.SplitAfterN(p.URL(), "://", 2)[1], "/")
		authority, _, _ = strings.Cut(authority, "?")
		u, err := url.Parse(strings.SplitAfterN(p.URL(), "://", 2)[0] + authority)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		o, err := url.Parse(p.Origin())
		if err != nil || u.User != nil || strings.ToLower(u.Hostname()) != o.Hostname() || u.Scheme != o.Scheme {
			t.Fatalf("%q: origin %q, %v", address, p.Origin(), err)
		}
	})
}
