package pages

import (
	"net/http/httptest"
	"strings"
	"testing"
)

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, header string
		want         language
	}{
		{"no header", "", chinese},
		{"chinese", "zh-CN,zh;q=0.9", chinese},
		{"english", "en-US,en;q=0.9", english},
		{"english region only", "en-GB", english},
		{"upper case", "EN", english},
		{"chinese first, english second", "zh-CN,zh;q=0.9,en;q=0.8", chinese},
		{"english first, chinese second", "en-US,en;q=0.9,zh-CN;q=0.8", english},
		{"weights beat order", "en;q=0.3,zh;q=0.7", chinese},
		{"weights beat order the other way", "zh;q=0.300,en;q=0.301", english},
		{"equal weights, english named first", "en,zh", english},
		{"equal weights, chinese named first", "zh,en", chinese},
		{"the better liked variant speaks for its language", "zh-TW;q=0.1,en;q=0.5,zh-CN;q=0.9", chinese},
		{"another language, then english", "fr-FR,fr;q=0.9,en;q=0.5", english},
		{"another language only", "fr-FR,fr;q=0.9", chinese},
		{"anything", "*", chinese},
		{"english refused", "en;q=0", chinese},
		{"chinese refused, anything else", "zh;q=0,*;q=0.5", english},
		{"english and, less, anything", "en;q=0.8,*;q=0.5", english},
		{"anything above english", "en;q=0.5,*;q=0.8", chinese},
		{"both refused", "zh;q=0,en;q=0", chinese},
		{"spaces", " en ; q=0.9 , zh ; q=0.1", english},
		{"a language that begins like english", "enm", chinese},
		{"malformed weight drops the item", "en;q=1.5,zh;q=0.1", chinese},
		{"negative weight", "en;q=-1", chinese},
		{"four decimals", "en;q=0.9999", chinese},
		{"other parameter", "en;level=1", chinese},
		{"empty items", ",,en,,", english},
		{"far too many items", strings.Repeat("fr,", 40) + "en", chinese},
	} {
		if got := negotiate(tc.header); got != tc.want {
			t.Errorf("%s: negotiate(%q) = %s, want %s", tc.name, tc.header, got.tag(), tc.want.tag())
		}
	}
}

func TestLanguageOfJoinsHeaderLines(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Add("Accept-Language", "fr")
	r.Header.Add("Accept-Language", "en;q=0.5")
	if got := languageOf(r); got != english {
		t.Errorf("languageOf = %s, want en", got.tag())
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", "*", "en", "zh-CN,zh;q=0.9,en;q=0.8", "en;q=", ";q=1", "en;q=0.", "en;;q=1", "\x00,\xff;q=0.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := negotiate(header)
		if got != chinese && got != english {
			t.Fatalf("negotiate(%q) = %d", header, got)
		}
		if got == english && !strings.Contains(strings.ToLower(header), "en") && !strings.Contains(header, "*") {
			t.Errorf("negotiate(%q) is English, which nobody asked for", header)
		}
	})
}
