package relay

import (
	"context"
	"log/slog"
	"net/url"
	"strings"
)

// OAuth's words for what went wrong (RFC 6749 section 4.1.2.1).
const (
	oauthInvalidRequest = "invalid_request"
	oauthInvalidScope   = "invalid_scope"
	oauthUnauthorized   = "unauthorized_client"
	oauthDenied         = "access_denied"
	oauthServerError    = "server_error"
	oauthUnavailable    = "temporarily_unavailable"
)

// oauthWord says a refusal in OAuth's words.
func oauthWord(e *Error) string {
	switch {
	case e.Kind == KindParam && e.Field == "scope":
		return oauthInvalidScope
	case e.Field == "account":
		return oauthUnauthorized
	case e.Kind == KindParam:
		return oauthInvalidRequest
	case e.Kind == KindUnavailable, e.Kind == KindUpstreamTimeout, e.Kind == KindRate:
		return oauthUnavailable
	default:
		return oauthServerError
	}
}

// tellSite is the address by which a site learns that there is no login. What
// the word leaves out is for the operator's log.
func (s *Service) tellSite(ctx context.Context, fl *flow, word string, cause error) string {
	attrs := []any{"client_id", fl.clientID, "error", word}
	if cause != nil {
		attrs = append(attrs, "cause", cause)
	}
	level := slog.LevelInfo
	if word == oauthServerError {
		level = slog.LevelError // the operator has to mend something: no login of anybody succeeds
	}
	s.log.Log(ctx, level, "a site was told that its visitor is not logged in", attrs...)
	return returnTo(fl, "error", word)
}

// returnTo is the site's address with what the relay adds: name and value,
// unless the name is empty, and the site's state, if it sent one.
func returnTo(fl *flow, name, value string) string {
	var added []string
	if name != "" {
		added = append(added, name+"="+escapeValue(value))
	}
	if fl.hasState {
		added = append(added, "state="+escapeValue(fl.state))
	}
	return withParams(fl.redirectURI, added...)
}

// withParams appends parameters to a registered address and leaves the rest
// of it as it is, byte for byte. Only what a header cannot carry is escaped:
// the bytes of characters outside ASCII.
func withParams(address string, params ...string) string {
	var b strings.Builder
	for i := range len(address) {
		if c := address[i]; c < 0x80 {
			b.WriteByte(c)
		} else {
			writeEscape(&b, c)
		}
	}
	for i, p := range params {
		switch {
		case i > 0 || strings.Contains(address, "?") && !strings.HasSuffix(address, "?") && !strings.HasSuffix(address, "&"):
			b.WriteByte('&')
		case !strings.Contains(address, "?"):
			b.WriteByte('?')
		}
		b.WriteString(p)
	}
	return b.String()
}

// escapeValue percent-encodes a value once, so that every decoder gets the
// very bytes back: a blank is %20, which forms and addresses read alike.
func escapeValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; isURLSafeByte(c) {
			b.WriteByte(c)
		} else {
			writeEscape(&b, c)
		}
	}
	return b.String()
}

// isURLSafeByte reports whether a byte means itself wherever it stands in an
// address (RFC 3986 section 2.3).
func isURLSafeByte(c byte) bool { return isAlnum(c) || strings.IndexByte("-._~", c) >= 0 }

func writeEscape(b *strings.Builder, c byte) {
	const digits = "0123456789ABCDEF"
	b.WriteByte('%')
	b.WriteByte(digits[c>>4])
	b.WriteByte(digits[c&15])
}

// addressHost is the host of a registered address, for showing.
func addressHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
