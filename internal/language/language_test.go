package language

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		want         Language
	}{
		{"no header", "", Chinese},
		{"chinese", "zh-CN,zh;q=0.9", Chinese},
		{"english", "en-US,en;q=0.9", English},
		{"english region only", "en-GB", English},
		{"upper case", "EN", English},
		{"chinese first, english second", "zh-CN,zh;q=0.9,en;q=0.8", Chinese},
		{"english first, chinese second", "en-US,en;q=0.9,zh-CN;q=0.8", English},
		{"weights beat order", "en;q=0.3,zh;q=0.7", Chinese},
		{"weights beat order the other way", "zh;q=0.300,en;q=0.301", English},
		{"equal weights, english named first", "en,zh", English},
		{"equal weights, chinese named first", "zh,en", Chinese},
		{"the better liked variant speaks for its language", "zh-TW;q=0.1,en;q=0.5,zh-CN;q=0.9", Chinese},
		{"another language, then english", "fr-FR,fr;q=0.9,en;q=0.5", English},
		{"another language only", "fr-FR,fr;q=0.9", Chinese},
		{"anything", "*", Chinese},
		{"english refused", "en;q=0", Chinese},
		{"chinese refused, anything else", "zh;q=0,*;q=0.5", English},
		{"english and, less, anything", "en;q=0.8,*;q=0.5", English},
		{"anything above english", "en;q=0.5,*;q=0.8", Chinese},
		{"both refused", "zh;q=0,en;q=0", Chinese},
		{"spaces", " en ; q=0.9 , zh ; q=0.1", English},
		{"a language that begins like english", "enm", Chinese},
		{"malformed weight drops the item", "en;q=1.5,zh;q=0.1", Chinese},
		{"negative weight", "en;q=-1", Chinese},
		{"four decimals", "en;q=0.9999", Chinese},
		{"other parameter", "en;level=1", Chinese},
		{"empty items", ",,en,,", English},
		{"languages that begin alike", "english, zhongwen", Chinese},
		{"equal weights, a variant", "en;q=0.5,zh-TW;q=0.5", English},
		{"a weight that is none", "zh;q=broken, en;q=0.1", English},
		{"nothing but commas", strings.Repeat(",", 1000), Chinese},
		{"far too many items", strings.Repeat("fr,", 40) + "en", Chinese},
	} {
		if got := negotiate(tc.header); got != tc.want {
			t.Errorf("%s: negotiate(%q) = %s, want %s", tc.name, tc.header, got.Tag(), tc.want.Tag())
		}
	}
}

func TestOfJoinsHeaderLines(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Add("Accept-Language", "fr")
	r.Header.Add("Accept-Language", "en;q=0.5")
	if got := Of(r); got != English {
		t.Errorf("Of = %s, want en", got.Tag())
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", "*", "en", "zh-CN,zh;q=0.9,en;q=0.8", "en;q=", ";q=1", "en;q=0.", "en;;q=1", "\x00,\xff;q=0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := negotiate(header)
		if got != Chinese && got != English {
			t.Fatalf("negotiate(%q) = %d", header, got)
		}
		if got == English && !strings.Contains(strings.ToLower(header), "en") && !strings.Contains(header, "*") {
			t.Errorf("negotiate(%q) is English, which nobody asked for", header)
		}
	})
}
