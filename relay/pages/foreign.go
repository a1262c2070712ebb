package pages

import (
	"strings"
	"unicode"
)

// Longest foreign texts, in characters, that a page shows. The relay's own
// limits are lower for all but the detail of an error.
const (
	maxName        = 128
	maxDescription = 512
	maxDetail      = 300
)

// plain makes foreign text fit for showing: valid UTF-8 of at most limit
// characters, on one line, without control characters and without the marks
// that reorder the text around them. Escaping is the template's affair; this
// keeps a payee from posing as another by invisible means, and a terminal
// from obeying a page (threats G09).
func plain(s string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case unicode.IsControl(r) || reorders(r):
			continue
		}
		if n == limit {
			return strings.TrimSpace(b.String()) + "…"
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// reorders reports whether r is an explicit directional embedding, override or
// isolate (Unicode Standard Annex 9, section 2), or a zero-width character
// that only hides.
func reorders(r rune) bool {
	return (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) || r == 0x200B || r == 0xFEFF
}
