package web

import (
	"net/http"
	"net/url"
)

// cookieForm is how the cookie that names a browser is called and guarded.
type cookieForm struct {
	name   string
	secure bool
}

// cookieFor takes the __Host- prefix, which keeps sibling hosts from setting
// the cookie (threats E15), wherever browsers accept it: with https. Plain
// http is there for a relay on one's own machine.
func cookieFor(publicURL *url.URL) cookieForm {
	if publicURL.Scheme == "https" {
		return cookieForm{name: "__Host-wxrelay", secure: true}
	}
	return cookieForm{name: "wxrelay"}
}

// read returns the browser's id, or nothing when the cookie is missing,
// doubled or not one that was set here.
func (f cookieForm) read(r *http.Request) string {
	cookies := r.CookiesNamed(f.name)
	if len(cookies) != 1 || !validBrowserID(cookies[0].Value) {
		return ""
	}
	return cookies[0].Value
}

func (f cookieForm) set(w http.ResponseWriter, browserID string) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure with https; cookieFor says why not always
		Name:     f.name,
		Value:    browserID,
		Path:     "/",
		Secure:   f.secure,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

// validBrowserID bounds what a browser can make relay look up.
func validBrowserID(s string) bool { return len(s) >= 16 && len(s) <= 64 && plainName(s) }

// plainName reports whether a path parameter or cookie holds nothing but
// letters, digits, underscore and hyphen.
func plainName(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != ""
}
