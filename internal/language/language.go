// Package language picks the language of an answer from what the visitor's
// browser prefers. Begin with [Of].
package language

import (
	"net/http"
	"strconv"
	"strings"
)

// Language is a language that pages are written in.
type Language int

// The languages of all pages.
const (
	Chinese Language = iota // the default: WeChat Pay's own users
	English
)

// Tag is the BCP 47 tag for the lang attribute and Content-Language.
func (l Language) Tag() string {
	if l == English {
		return "en"
	}
	return "zh-CN"
}

// maxLanguageRanges bounds how much of a header is read. Browsers send a
// handful.
const maxLanguageRanges = 32

// Of picks the language of an answer: English when the visitor's
// Accept-Language (RFC 9110, section 12.5.4) weighs it above Chinese, else
// Chinese.
func Of(r *http.Request) Language {
	return negotiate(strings.Join(r.Header.Values("Accept-Language"), ","))
}

func negotiate(header string) Language {
	type weight struct {
		q    int // thousandths; 0 is refused
		seen bool
	}
	var zh, en, anyOther weight
	zhFirst := true // on equal weights the one that was named first wins
	for i, item := range strings.SplitN(header, ",", maxLanguageRanges+1) {
		if i == maxLanguageRanges {
			break
		}
		name, q, ok := languageRange(item)
		if !ok {
			continue
		}
		var w *weight
		switch primary, _, _ := strings.Cut(name, "-"); primary {
		case "zh":
			w = &zh
		case "en":
			w = &en
			if !zh.seen && !en.seen {
				zhFirst = false
			}
		case "*":
			w = &anyOther
		default:
			continue
		}
		// Of zh-CN and zh-TW the better liked one speaks for Chinese.
		w.q, w.seen = max(w.q, q), true
	}
	// A star speaks for what the header does not name.
	if !zh.seen {
		zh.q = anyOther.q
	}
	if !en.seen {
		en.q = anyOther.q
	}
	if en.q > zh.q || (en.q == zh.q && en.seen && en.q > 0 && (!zh.seen || !zhFirst)) {
		return English
	}
	return Chinese
}

// languageRange reads one item, "en-GB;q=0.8". A weight that breaks the
// grammar drops the item: guessing could turn a refusal into a wish.
func languageRange(item string) (name string, q int, ok bool) {
	name, params, weighted := strings.Cut(item, ";")
	name = strings.ToLower(strings.TrimSpace(name))
	if name == "" {
		return "", 0, false
	}
	if !weighted {
		return name, 1000, true
	}
	key, value, _ := strings.Cut(strings.TrimSpace(params), "=")
	if !strings.EqualFold(key, "q") {
		return "", 0, false
	}
	q, ok = qvalue(value)
	return name, q, ok
}

// qvalue reads a weight: 0 or 1, with up to three decimals, at most 1.
func qvalue(s string) (thousandths int, ok bool) {
	whole, decimals, dotted := strings.Cut(s, ".")
	if (whole != "0" && whole != "1") || len(decimals) > 3 {
		return 0, false
	}
	if dotted {
		for _, c := range decimals {
			if c < '0' || c > '9' {
				return 0, false
			}
		}
	}
	n, err := strconv.Atoi(whole + (decimals + "000")[:3])
	if err != nil || n > 1000 {
		return 0, false
	}
	return n, true
}
