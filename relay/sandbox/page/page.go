// Package page draws the pages of the sandbox and of its demo shop: one
// look, one banner that cannot be overlooked, two languages, and headers
// that let nothing foreign run.
//
// Begin with [Load]. Templates are html/template only and say everything in
// two languages: {{t "中文" "English"}}.
package page

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/internal/language"
)

// Banner stands on every page. No page of the sandbox can be taken for
// WeChat's or for a real shop's.
const Banner = "沙箱 SANDBOX - not WeChat, no real money"

//go:embed assets
var assets embed.FS

// Set is a set of parsed templates in both languages. It is safe for
// concurrent use.
type Set struct {
	templates map[language.Language]*template.Template
}

// Load parses all files of dir that end in .html. Each of them defines one
// page by its file name; they use {{template "top" .}} and
// {{template "bottom" .}} of this package.
func Load(dir fs.FS) (*Set, error) {
	set := &Set{templates: map[language.Language]*template.Template{}}
	for _, lang := range []language.Language{language.Chinese, language.English} {
		parsed, err := template.New("").Funcs(functions(lang)).ParseFS(assets, "assets/*.html")
		if err == nil {
			parsed, err = parsed.ParseFS(dir, "*.html")
		}
		if err != nil {
			return nil, fmt.Errorf("parsing templates: %w", err)
		}
		set.templates[lang] = parsed
	}
	return set, nil
}

// functions are what templates may call.
func functions(lang language.Language) template.FuncMap {
	return template.FuncMap{
		"banner": func() string { return Banner },
		"lang":   func() string { return lang.Tag() },
		"t": func(zh, en string) string {
			if lang == language.Chinese {
				return zh
			}
			return en
		},
		"yuan": Yuan,
		"clock": func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.In(beijing.Zone).Format("15:04:05")
		},
	}
}

// Yuan writes an amount of fen as yuan.
func Yuan(fen int64) string { return fmt.Sprintf("¥%d.%02d", fen/100, fen%100) }

// Render answers with the page of this name. The page is complete before
// its first byte leaves.
func (s *Set) Render(w http.ResponseWriter, r *http.Request, status int, name string, data any) {
	s.RenderWith(w, r, status, name, data, "")
}

// RenderWith is Render for a page whose form leads to another origin, which
// browsers only follow when the page's policy names it.
func (s *Set) RenderWith(w http.ResponseWriter, r *http.Request, status int, name string, data any, formOrigin string) {
	var body bytes.Buffer
	if err := s.templates[language.Of(r)].ExecuteTemplate(&body, name, data); err != nil {
		http.Error(w, "drawing the page failed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	secure(h, formOrigin)
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept-Language")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a browser that left is not our error
}

// secure sets the headers that keep foreign code out of a page.
func secure(h http.Header, formOrigin string) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
		"connect-src 'self'; form-action "+strings.TrimSpace("'self' "+formOrigin)+"; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: browsers would hide a form's origin from its own site,
	// and over plain http nothing else says that the form is the site's own.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
}

// ServeAsset answers a request for a static file of this package: style.css
// or live.js. It reports false when there is none of this name.
func ServeAsset(w http.ResponseWriter, r *http.Request, name string) bool {
	if name != "style.css" && name != "live.js" {
		return false
	}
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return false
	}
	Static(w, r, name, content)
	return true
}

// Static answers with a file that is part of the program.
func Static(w http.ResponseWriter, r *http.Request, name string, content []byte) {
	h := w.Header()
	secure(h, "")
	h.Set("Cache-Control", "no-cache")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
}
