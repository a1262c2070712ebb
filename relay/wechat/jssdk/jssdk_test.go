package jssdk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func page(tb testing.TB, address string) Page {
	tb.Helper()
	p, err := ParsePage(address)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestSignVectors(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(filepath.Join("testdata", "vectors", "jssdk_signature.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID    string
			Input struct {
				Ticket              string `json:"jsapi_ticket"`
				NonceStr, Timestamp string
				URL                 string
			}
			Expected struct{ String1, Signature string }
		}
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	for _, v := range file.Vectors {
		in := v.Input
		timestamp, err := strconv.ParseInt(in.Timestamp, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		p := page(t, in.URL)
		if got := signText(in.Ticket, in.NonceStr, timestamp, p); v.Expected.String1 != "" && got != v.Expected.String1 {
			t.Errorf("%s: text %s, want %s", v.ID, got, v.Expected.String1)
		}
		if got := Sign(in.Ticket, in.NonceStr, timestamp, p); got != v.Expected.Signature {
			t.Errorf("%s: got %s, want %s", v.ID, got, v.Expected.Signature)
		}
		if got := Sign(in.Ticket, in.NonceStr, timestamp, page(t, in.URL+"#/route?a=b")); got != v.Expected.Signature {
			t.Errorf("%s: the fragment changes the signature", v.ID)
		}
		for name, other := range map[string]string{
			"ticket":    Sign(in.Ticket+"x", in.NonceStr, timestamp, p),
			"nonce":     Sign(in.Ticket, in.NonceStr+"x", timestamp, p),
			"timestamp": Sign(in.Ticket, in.NonceStr, timestamp+1, p),
			"page":      Sign(in.Ticket, in.NonceStr, timestamp, page(t, "https"+strings.TrimPrefix(in.URL, "http"))),
		} {
			if other == v.Expected.Signature {
				t.Errorf("%s: another %s has the same signature", v.ID, name)
			}
		}
	}
}

func TestParsePage(t *testing.T) {
	t.Parallel()
	tests := []struct{ address, url, origin string }{
		{"https://good.example", "https://good.example", "https://good.example"},
		{"https://good.example/a?b=c&d=%E4%B8%AD#e?f", "https://good.example/a?b=c&d=%E4%B8%AD", "https://good.example"},
		{"https://good.example/#", "https://good.example/", "https://good.example"},
		{"https://good.example?a=b", "https://good.example?a=b", "https://good.example"},
		{"https://good.example:443/a", "https://good.example:443/a", "https://good.example"},
		{"https://good.example:80/", "https://good.example:80/", "https://good.example:80"},
		{"http://good.example:80/", "http://good.example:80/", "http://good.example"},
		{"http://127.0.0.1:8081/shop", "http://127.0.0.1:8081/shop", "http://127.0.0.1:8081"},
		{"https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"},
		{"https://xn--fiq228c.example/x", "https://xn--fiq228c.example/x", "https://xn--fiq228c.example"},
		{"https://GOOD.example/A", "https://GOOD.example/A", "https://good.example"},
		{"https://good.example/中/100%/a@b:c//d/../e;f", "https://good.example/中/100%/a@b:c//d/../e;f", "https://good.example"},
		{"https://good.example?u=https://evil.example/", "https://good.example?u=https://evil.example/", "https://good.example"},
	}
	for _, tt := range tests {
		p, err := ParsePage(tt.address)
		if err != nil || p.URL() != tt.url || p.Origin() != tt.origin {
			t.Errorf("%s: got %q of %q, %v; want %q of %q", tt.address, p.URL(), p.Origin(), err, tt.url, tt.origin)
		}
	}
	longest := "https://good.example/" + strings.Repeat("a", MaxPage-len("https://good.example/"))
	if p, err := ParsePage(longest + "#x"); err != nil || p.URL() != longest {
		t.Errorf("an address of %d bytes: %v", len(longest), err)
	}
}

// TestParsePageRefuses_D01_D02_D03_D04: whoever asks for a signature must not
// find a spelling whose origin reads well and is another in the browser. A
// prefix (D01) is another origin.
func TestParsePageRefuses_D01_D02_D03_D04(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "#", "#https://good.example/", "good.example", "/path", "//good.example/", "https:good.example", "https:/good.example", "https:///good.example",
		"https://", "https://:443/", "https://?a", "ftp://good.example/", "HTTPS://good.example/", "javascript://good.example/%0aalert(1)", "data:text/html,x",
		"https://good.example@evil.example/", "https://good.example:443@evil.example/", "https://@good.example/", "https://a:b@good.example/",
		`https://evil.example\@good.example/`, `https://good.example\.evil.example/`, `https:\\good.example/`, `https://good.example/a\b`,
		"https://gооd.example/", "https://good.example。evil.example/", "https://good．example/", "https://ｇood.example/", "https://good%2eexample/", "https://good.example%00.evil.example/",
		"https://good..example/", "https://.good.example/", "https://good.example./", "https://good.example:/", "https://good.example:0/", "https://good.example:00443/",
		"https://good.example:65536/", "https://good.example:+443/", "https://good.example:4 43/", "https://good.example:443:443/",
		"https://[::1/", "https://::1/", "https://[fe80::1%25eth0]/", "https://[0:0::1]/", "https://[127.0.0.1]/", "https://[good.example]/", "https://[::1]x/",
		"https://good.example/a b", "https://good.example/\t", "https://good.example/\r\nX: y", "https://good.example/\x00", "https://good.example/\x7f", "https://good.example/\u0085", "https://good.example/\xff",
		" https://good.example/", "https://good example/", "https://good.example;evil.example/", "https://good.example,evil.example/", "https://*.good.example/",
		"https://" + strings.Repeat("a", 64) + ".example/", "https://good.example/" + strings.Repeat("a", MaxPage),
	} {
		if p, err := ParsePage(address); err == nil || p != (Page{}) {
			t.Errorf("%q is a page of %s", address, p.Origin())
		} else if strings.Contains(err.Error(), "example") {
			t.Errorf("%q: the error quotes the address: %v", address, err)
		}
	}
	for _, other := range []string{"https://good.example.evil.example/", "https://evilgood.example/", "http://good.example/", "https://good.example:8443/", "https://www.good.example/"} {
		if got := page(t, other).Origin(); got == "https://good.example" {
			t.Errorf("%s has the origin %s", other, got)
		}
	}
}
