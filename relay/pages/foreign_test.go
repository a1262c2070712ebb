package pages

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestPlain_G09(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"ordinary", "《山海经校注》 × 1", "《山海经校注》 × 1"},
		{"markup stays, as text", "<b>&amp;</b>", "<b>&amp;</b>"},
		{"terminal colours", "a\x1b[31mred\x1b[0m", "a[31mred[0m"},
		{"lines", "one\r\ntwo\tthree", "one  two three"},
		{"line separators", "one\u2028two\u0085three", "one two three"},
		{"right to left override", "Foothill\u202e moc.live", "Foothill moc.live"},
		{"isolates", "\u2067abc\u2069", "abc"},
		{"zero width", "Pay\u200bPal\ufeff", "PayPal"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"NUL", "a\x00b", "ab"},
		{"joined emoji stays", "👩\u200d🍳", "👩\u200d🍳"},
		{"edges", "  x  ", "x"},
		{"too long", strings.Repeat("微", 21), strings.Repeat("微", 20) + "…"},
		{"just fits", strings.Repeat("微", 20), strings.Repeat("微", 20)},
	} {
		if got := plain(tc.in, 20); got != tc.want {
			t.Errorf("%s: plain(%q) = %q, want %q", tc.name, tc.in, got, tc.want)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("a\x1b[31m\u202e\xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 {
			limit = 0
		}
		got := plain(s, limit)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > limit+1 {
			t.Errorf("plain(%q, %d) = %q", s, limit, got)
		}
		if strings.ContainsFunc(got, unicode.IsControl) || strings.ContainsFunc(got, reorders) {
			t.Errorf("plain(%q) = %q keeps what it must drop", s, got)
		}
	})
}
