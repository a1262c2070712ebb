package relay

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxRedirectURI bounds the addresses to which browsers return from a login.
const maxRedirectURI = 2048

// loginParams are the parameters that a login adds to the address to which
// the browser returns. A registered address has none of them, so that each
// stands there once (threats D09).
var loginParams = []string{"code", "state", "iss", "error", "ticket"}

// CheckRedirectURI refuses addresses to which no browser may return from a
// login. What is registered is compared as a whole string, so that it must
// not be one that browsers and servers read in different ways: absolute https,
// or http on a host that the internet cannot reach, with an ASCII host, no
// user info, no fragment, no wildcard and none of the parameters that a login
// adds (threats section D).
func CheckRedirectURI(s string) error {
	if len(s) > maxRedirectURI {
		return fmt.Errorf("must be at most %d bytes long", maxRedirectURI)
	}
	if err := checkAddressText(s); err != nil {
		return err
	}
	// Browsers take https:/host and https:host for https://host; url.Parse
	// does not.
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || !strings.HasPrefix(s, "https://") && !strings.HasPrefix(s, "http://") {
		return fmt.Errorf("%q must be an absolute address that begins with https://", s)
	}
	if u.User != nil || strings.Contains(u.Host, "@") {
		// Not quoted: what stands before the @ may be a password.
		return errors.New("must not have a user name or password in the address")
	}
	if _, err := normalHost(u); err != nil {
		return err
	}
	if u.Scheme == "http" && !PrivateHost(u.Hostname()) {
		return fmt.Errorf("%q must use https: whoever reads the answer on its way logs in as the user", s)
	}
	if err := checkRedirectPath(u); err != nil {
		return err
	}
	return checkRedirectQuery(u.RawQuery)
}

// checkAddressText refuses what an address cannot hold, whatever it stands
// for.
func checkAddressText(s string) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("must be UTF-8 text")
	case strings.Contains(s, "#"):
		return errors.New("must not have a fragment in the address")
	case strings.Contains(s, "*"):
		return fmt.Errorf("%q must not have a *: there are no wildcards; register each address", s)
	case strings.Contains(s, `\`):
		// Browsers read a backslash as a slash (threats D03).
		return fmt.Errorf("%q must not have a backslash", s)
	case strings.ContainsFunc(s, isInvisible):
		return fmt.Errorf("%q must not have blanks, control or invisible characters", s)
	default:
		return nil
	}
}

// isInvisible reports whether nobody would see that a character is there.
func isInvisible(r rune) bool {
	return unicode.IsControl(r) || unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

func isHostChar(c byte) bool { return isAlnum(c) || c == '.' || c == '-' || c == '_' || c == ':' }

// checkRedirectPath refuses paths that browsers change before they go there,
// and escaped control characters (threats D01, D08).
func checkRedirectPath(u *url.URL) error {
	if strings.ContainsFunc(u.Path, unicode.IsControl) {
		return errors.New("must not have an escaped control character in its path")
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		if part == "." || part == ".." {
			return errors.New("must not have the parts . or .. in its path")
		}
	}
	return nil
}

// checkRedirectQuery refuses queries with one of the parameters that a login
// adds, as any server might read them: with the other separator, in capital
// letters, or as a list.
func checkRedirectQuery(query string) error {
	for item := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		text, err := url.QueryUnescape(item)
		if err != nil {
			return errors.New("must not have a broken escape in its query")
		}
		if strings.ContainsFunc(text, unicode.IsControl) {
			return errors.New("must not have an escaped control character in its query")
		}
		name, _, _ := strings.Cut(item, "=")
		name, _ = url.QueryUnescape(name)
		name, _, _ = strings.Cut(strings.ToLower(strings.TrimSpace(name)), "[")
		if slices.Contains(loginParams, name) {
			return fmt.Errorf("must not have the parameter %s in its query: the relay adds it", name)
		}
	}
	return nil
}
