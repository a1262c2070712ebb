package pages

import "net/http"

// ContentSecurityPolicy is the policy of every page: script and style only
// from our own files, never inline; no frames in either direction; requests
// only to ourselves. WeChat's web view injects its bridge natively and needs
// no host here.
const ContentSecurityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// permissionsPolicy turns off what a cashier never needs. Copying the page's
// address stays allowed for ourselves.
const permissionsPolicy = "accelerometer=(), camera=(), clipboard-write=(self), display-capture=(), fullscreen=(), " +
	"geolocation=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()"

// SetHeaders sets the security headers that every answer to a browser below
// /checkout and /login carries: pages, status answers and redirects alike.
// The one place that needs a referrer, WeChat's H5 link, asks for it on the
// link itself and sends the origin only.
func SetHeaders(h http.Header) {
	setTypeHeaders(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Permissions-Policy", permissionsPolicy)
}

// setTypeHeaders sets what static files share with pages: they are framed,
// sniffed and referred from no more than pages are.
func setTypeHeaders(h http.Header) {
	h.Set("Content-Security-Policy", ContentSecurityPolicy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
