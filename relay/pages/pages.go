// Package pages draws what a buyer sees: the cashier page and the plain
// message pages around it, with their style sheet, their script and the QR
// code. Everything is embedded and nothing is fetched from another host.
//
// Begin with New. WriteCheckout and WriteMessage answer a request with a whole
// page in the visitor's language (Chinese, or English when it is preferred);
// ServeStatic answers for the files that those pages refer to. The view models
// are plain structs: the package knows no store, no order and no WeChat.
//
// It promises that text of others (descriptions, shop names, addresses) is
// only ever shown as text, that an address becomes a link only if it is
// absolute http or https, that every page carries the headers of SetHeaders,
// that nothing is written before the whole page has been drawn, and that equal
// input gives equal bytes.
package pages

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/internal/language"
)

//go:embed templates/*.html
var templateFiles embed.FS

// DefaultStaticPrefix is the path below which the static files are served
// when the public address of the relay has no path of its own. It lies below
// /checkout/ because that is a path of the relay; no order's token is "-".
const DefaultStaticPrefix = "/checkout/-/"

// Options says how pages are drawn.
type Options struct {
	// StaticPrefix is the absolute path, with a slash at both ends, below
	// which the caller answers with ServeStatic. Empty means
	// DefaultStaticPrefix.
	StaticPrefix string
}

// Pages draws pages. It is immutable, and safe for use by many goroutines.
type Pages struct {
	prefix    string
	templates *template.Template
	static    map[string]staticFile // by served name
	names     map[string]string     // served name by plain name
}

// New prepares the templates and the static files. It fails only on a static
// prefix that is not a plain absolute path ending in a slash.
func New(o Options) (*Pages, error) {
	if o.StaticPrefix == "" {
		o.StaticPrefix = DefaultStaticPrefix
	}
	if err := checkPrefix(o.StaticPrefix); err != nil {
		return nil, fmt.Errorf("static prefix %q: %w", o.StaticPrefix, err)
	}
	p := &Pages{prefix: o.StaticPrefix}
	if err := p.loadStatic(); err != nil {
		return nil, fmt.Errorf("loading static files: %w", err)
	}
	t, err := template.New("pages").Funcs(template.FuncMap{
		"static": p.StaticURL,
		"hidden": hidden,
	}).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("parsing templates: %w", err)
	}
	p.templates = t
	return p, nil
}

func checkPrefix(prefix string) error {
	u, err := url.Parse(prefix)
	switch {
	case err != nil:
		return errors.New("not a path")
	case u.Path != prefix || u.Host != "":
		return errors.New("must be a plain path")
	case !strings.HasPrefix(prefix, "/") || !strings.HasSuffix(prefix, "/"):
		return errors.New("must begin and end with a slash")
	}
	return nil
}

// hidden reports whether a part of the page that belongs to the given states
// (separated by spaces) stays hidden in this one. The script decides in the
// same way from the data-show attribute, so that the two cannot disagree.
func hidden(state State, shown string) bool {
	for s := range strings.FieldsSeq(shown) {
		if State(s) == state {
			return false
		}
	}
	return true
}

// drawable is what a template draws.
type drawable interface {
	// sandboxed reports whether no real money moves.
	sandboxed() bool
}

// write draws a whole page first and answers only then, so that a failure
// never leaves half a page behind.
func (p *Pages) write(w http.ResponseWriter, r *http.Request, status int, name string, lang language.Language, data drawable) error {
	var page bytes.Buffer
	if err := p.templates.ExecuteTemplate(&page, name, data); err != nil {
		return fmt.Errorf("drawing %s: %w", name, err)
	}
	h := w.Header()
	SetHeaders(h)
	if data.sandboxed() {
		// The sandbox's payment window, of another origin, tells the page that
		// opened it what came of it.
		h.Set("Cross-Origin-Opener-Policy", "same-origin-allow-popups")
	}
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Language", lang.Tag())
	h.Add("Vary", "Accept-Language")
	h.Set("Content-Length", strconv.Itoa(page.Len()))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return nil
	}
	if _, err := w.Write(page.Bytes()); err != nil {
		return fmt.Errorf("sending %s: %w", name, err)
	}
	return nil
}

// webAddress gives back an address that may become a link: absolute, http or
// https, with a host and without user info. Anything else becomes empty. It
// is the second lock: callers check addresses against their own lists first.
func webAddress(s string) string {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.String()
}
