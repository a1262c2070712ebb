package web

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the script
	"encoding/hex"
	"net/http"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// signPage answers with the signature that lets a page call WeChat's JS-SDK:
// to a client's server, whose request is signed, and to the page itself, whose
// browser says of which origin it is.
func (x *exchange) signPage() error {
	h := x.w.Header()
	h.Add("Vary", "Origin")
	if x.r.Method == http.MethodOptions {
		return x.answerPreflight()
	}
	if len(x.r.Header.Values("Authorization")) > 0 {
		return x.signClientsPage()
	}
	origin, err := x.pageOrigin()
	if err != nil {
		return err
	}
	x.allowOrigin()
	query, err := parseQuery(x.r.URL.RawQuery, "url", "client_id")
	if err != nil {
		return err
	}
	signature, err := x.service.SignOwnPage(x.r.Context(), relay.OwnPageRequest{URL: query["url"], Origin: origin, ClientID: query["client_id"]})
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, signature)
}

// signClientsPage sets no header of CORS: a client's secret has no place in a
// page.
func (x *exchange) signClientsPage() error {
	s, err := x.authenticateRead()
	if err != nil {
		return err
	}
	query, err := x.query(&s, "url")
	if err != nil {
		return err
	}
	signature, err := x.service.SignPage(x.r.Context(), s.caller, query["url"])
	if err != nil {
		return err
	}
	return writeJSON(x.w, http.StatusOK, signature)
}

// answerPreflight lets pages of allowed origins send a plain GET, and with no
// header of their own.
func (x *exchange) answerPreflight() error {
	if x.allowOrigin() {
		x.w.Header().Set("Access-Control-Allow-Methods", http.MethodGet)
		x.w.Header().Set("Access-Control-Max-Age", "86400")
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// allowOrigin lets a page of an allowed origin read the answer. Never any
// origin, and never with cookies (threats E24).
func (x *exchange) allowOrigin() bool {
	given := x.r.Header.Values("Origin")
	if len(given) != 1 || !x.service.AllowsOrigin(given[0]) {
		return false
	}
	x.w.Header().Set("Access-Control-Allow-Origin", given[0])
	return true
}

// pageOrigin is the origin of the page that asks, by its browser's word.
// Browsers send Origin with a page's request for another site. A page of this
// very site is known by Referer, and where it hides that, by Sec-Fetch-Site,
// which pages cannot set; the site is then the relay's own address, since
// Host is nobody's word (threats I05).
func (x *exchange) pageOrigin() (string, error) {
	h := x.r.Header
	if given := h.Values("Origin"); len(given) > 0 {
		if len(given) > 1 {
			return "", paramError("", "Origin is given twice")
		}
		return given[0], nil
	}
	site := h.Get("Sec-Fetch-Site")
	if site == "" || site == "same-origin" {
		if u, err := url.Parse(h.Get("Referer")); err == nil && u.Host != "" && u.User == nil {
			origin, err := relay.ParseOrigin(u.Scheme + "://" + u.Host)
			if err != nil {
				return "", errNoOrigin
			}
			return origin, nil
		}
	}
	if site == "same-origin" {
		return x.origin, nil
	}
	return "", errNoOrigin
}

var errNoOrigin = &relay.Error{Kind: relay.KindSign, Message: "sign the request, or let a page of an allowed origin make it"}

//go:embed js-sdk.js
var scriptText []byte

// scriptTag changes with the script.
var scriptTag = func() string {
	sum := sha256.Sum256(scriptText)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}()

// showScript answers with the script that pages include. Its address is
// fixed, so that a cache asks again after an hour.
func (x *exchange) showScript() error {
	h := x.w.Header()
	h.Set("Content-Type", "text/javascript; charset=utf-8")
	h.Set("Cache-Control", "public, max-age=3600")
	h.Set("ETag", scriptTag)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cross-Origin-Resource-Policy", "cross-origin") // it is for pages of other sites
	http.ServeContent(x.w, x.r, "", time.Time{}, bytes.NewReader(scriptText))
	return nil
}
