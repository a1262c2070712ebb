package relay

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// Schemes of signed requests, contract section 3.1. They are compared as
// they stand, letter case included.
const (
	schemeHMAC    = "WXRELAY1-HMAC-SHA256"
	schemeEd25519 = "WXRELAY1-ED25519"
	schemeURL     = "WXRELAY1-URL-HMAC-SHA256"
)

// timestampWindow is how far a signed request's time may be from ours, both
// ways.
const timestampWindow = 300 * time.Second

// SignedRequest is what Authenticate looks at.
type SignedRequest struct {
	Method        string
	Target        string   // path and query as the client sent them, before any rewriting
	Authorization []string // each Authorization header line
	Body          []byte
}

// authorization is a parsed Authorization header.
type authorization struct {
	scheme    string
	clientID  string
	timestamp string
	nonce     string
	signature string
}

// parseAuthorization reads the header of contract section 3.1: items in any
// order, each exactly once, nothing else.
func parseAuthorization(lines []string) (authorization, error) {
	var a authorization
	if len(lines) == 0 {
		return a, refuse(KindSign, "Authorization", "sign the request: Authorization: "+schemeHMAC+" …")
	}
	if len(lines) > 1 {
		return a, refuse(KindParam, "Authorization", "send the header once")
	}
	scheme, rest, _ := strings.Cut(lines[0], " ")
	if scheme != schemeHMAC && scheme != schemeEd25519 {
		return a, refuse(KindSign, "Authorization", "unknown scheme; use "+schemeHMAC+" or "+schemeEd25519)
	}
	a.scheme = scheme
	for rest != "" {
		name, value, tail, ok := cutItem(rest)
		if !ok {
			return authorization{}, refuse(KindParam, "Authorization", `malformed; write name="value" items separated by commas`)
		}
		place := a.place(name)
		if place == nil {
			return authorization{}, refuse(KindParam, "Authorization", "unknown item")
		}
		if *place != "" || value == "" {
			return authorization{}, refuse(KindParam, "Authorization", "item repeated or empty: "+name)
		}
		*place, rest = value, tail
	}
	return a, a.check()
}

// place returns where the item of that name is kept.
func (a *authorization) place(name string) *string {
	switch name {
	case "client_id":
		return &a.clientID
	case "timestamp":
		return &a.timestamp
	case "nonce":
		return &a.nonce
	case "signature":
		return &a.signature
	default:
		return nil
	}
}

// check tells whether the items are there and well formed.
func (a *authorization) check() error {
	switch {
	case a.clientID == "" || a.timestamp == "" || a.nonce == "" || a.signature == "":
		return refuse(KindParam, "Authorization", "client_id, timestamp, nonce and signature are all needed")
	case !validClientID(a.clientID):
		return refuse(KindParam, "client_id", "16 characters of 0-9 A-Z a-z")
	case !validNonce(a.nonce):
		return refuse(KindParam, "nonce", "16 to 64 characters of A-Z a-z 0-9 _ -")
	}
	return nil
}

// cutItem takes one name="value" item, and the comma after it if another
// follows. Blanks are allowed after the comma, as HTTP lists have them.
func cutItem(s string) (name, value, rest string, ok bool) {
	name, s, ok = strings.Cut(s, `="`)
	if !ok || name == "" {
		return "", "", "", false
	}
	value, s, ok = strings.Cut(s, `"`)
	if !ok || strings.ContainsRune(value, '\\') {
		return "", "", "", false
	}
	if s == "" {
		return name, value, "", true
	}
	rest = strings.TrimLeft(strings.TrimPrefix(s, ","), " \t")
	return name, value, rest, s[0] == ',' && rest != ""
}

// validClientID reports whether id has the form of a client id: 16
// characters of 0-9 A-Z a-z.
func validClientID(id string) bool {
	return len(id) == 16 && onlyChars(id, isAlnum)
}

func validNonce(n string) bool {
	return len(n) >= 16 && len(n) <= 64 && onlyChars(n, isURLSafe)
}

func onlyChars(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func isURLSafe(c byte) bool { return isAlnum(c) || c == '_' || c == '-' }

// checkTimestamp refuses a time that is not plain decimal Unix seconds, or
// too far from now.
func checkTimestamp(timestamp string, now time.Time) error {
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != timestamp || seconds < 0 {
		return refuse(KindTimestamp, "timestamp", "plain decimal Unix seconds, please")
	}
	const window = int64(timestampWindow / time.Second)
	if diff := now.Unix() - seconds; diff > window || diff < -window {
		return refuse(KindTimestamp, "timestamp", "more than 300 seconds from our time; set your clock by the Date header")
	}
	return nil
}

// StringToSign builds the text of contract section 3.1 that a request's
// signature covers: eight lines, each ended by LF.
func StringToSign(scheme, clientID, method, host, target, timestamp, nonce string, body []byte) []byte {
	digest := sha256.Sum256(body)
	return joinLines(scheme, clientID, method, host, target, timestamp, nonce, hex.EncodeToString(digest[:]))
}

// joinLines ends each line by one LF, the last too.
func joinLines(lines ...string) []byte {
	n := 0
	for _, l := range lines {
		n += len(l) + 1
	}
	b := make([]byte, 0, n)
	for _, l := range lines {
		b = append(append(b, l...), '\n')
	}
	return b
}

// SignHMAC returns the base64 signature of a string to sign.
func SignHMAC(secret Secret, text []byte) string {
	return base64.StdEncoding.EncodeToString(mac(secret, text))
}

func mac(secret Secret, text []byte) []byte {
	h := hmac.New(sha256.New, secret.Reveal())
	h.Write(text)
	return h.Sum(nil)
}

// macMatches compares with every live secret, so that the time taken does
// not tell which one fits.
func macMatches(secrets []Secret, text, signature []byte) bool {
	ok := false
	for _, s := range secrets {
		ok = hmac.Equal(mac(s, text), signature) || ok
	}
	return ok
}

func ed25519Matches(keys []ed25519.PublicKey, text, signature []byte) bool {
	for _, k := range keys {
		if ed25519.Verify(k, text, signature) {
			return true
		}
	}
	return false
}
