package payv3

import (
	"errors"
	"strings"
	"time"
)

// Authorization is the content of a request's Authorization header.
type Authorization struct {
	MchID     string // who calls; digits
	Nonce     string // up to 32 letters and digits
	Timestamp string // seconds, as written
	SerialNo  string // of the merchant's certificate, in hex
	Signature string // base64
}

// Errors of ParseAuthorization, which WeChat words differently.
var (
	// ErrAuthorizationScheme says that the header has another scheme than
	// WECHATPAY2-SHA256-RSA2048.
	ErrAuthorizationScheme = errors.New("unsupported authorization scheme")
	// ErrAuthorizationFormat says that the header breaks the grammar.
	ErrAuthorizationFormat = errors.New("malformed authorization header")
)

// String renders the header.
func (a Authorization) String() string { return a.render(scheme) }

func (a Authorization) render(scheme string) string {
	return scheme + ` mchid="` + a.MchID + `",nonce_str="` + a.Nonce + `",timestamp="` + a.Timestamp +
		`",serial_no="` + a.SerialNo + `",signature="` + a.Signature + `"`
}

// ParseAuthorization reads an Authorization header strictly: the scheme, one
// space, and the five items in any order, each once, in double quotes, joined
// by single commas. It does not verify; see [VerifyRequest].
func ParseAuthorization(header string) (Authorization, error) {
	name, rest, ok := strings.Cut(header, " ")
	if name != scheme {
		return Authorization{}, ErrAuthorizationScheme
	}
	if !ok {
		return Authorization{}, ErrAuthorizationFormat
	}
	var a Authorization
	for rest != "" {
		var key, value string
		if key, rest, ok = strings.Cut(rest, `="`); !ok {
			return Authorization{}, ErrAuthorizationFormat
		}
		if value, rest, ok = strings.Cut(rest, `"`); !ok || !a.set(key, value) {
			return Authorization{}, ErrAuthorizationFormat
		}
		if rest == "" {
			break
		}
		if rest, ok = strings.CutPrefix(rest, ","); !ok || rest == "" {
			return Authorization{}, ErrAuthorizationFormat
		}
	}
	if a.MchID == "" || a.Nonce == "" || a.Timestamp == "" || a.SerialNo == "" || a.Signature == "" {
		return Authorization{}, ErrAuthorizationFormat
	}
	return a, nil
}

// set stores one item; it refuses unknown and repeated keys and values that
// do not look like the item.
func (a *Authorization) set(key, value string) bool {
	var (
		target *string
		maxLen int
		class  func(byte) bool
	)
	switch key {
	case "mchid":
		target, maxLen, class = &a.MchID, 32, isDigit
	case "nonce_str":
		target, maxLen, class = &a.Nonce, 32, isAlphanumeric
	case "timestamp":
		target, maxLen, class = &a.Timestamp, maxTimestampLen, isDigit
	case "serial_no":
		target, maxLen, class = &a.SerialNo, maxSerialLen, isAlphanumeric
	case "signature":
		target, maxLen, class = &a.Signature, maxSignatureLen, isBase64
	default:
		return false
	}
	if *target != "" || !consistsOf(value, maxLen, class) {
		return false
	}
	*target = value
	return true
}

// Lengths beyond which a header is not looked at.
const (
	maxTimestampLen = 12
	maxSerialLen    = 64
	maxSignatureLen = 684 // base64 of a 4096-bit signature
)

// timestampWindow is how far a signature's time may be off, either way
// (doc 4012365342).
const timestampWindow = 300 * time.Second

// parseTimestamp reads seconds written as a plain decimal number: no sign, no
// leading zero, no blank.
func parseTimestamp(s string) (time.Time, bool) {
	if !consistsOf(s, maxTimestampLen, isDigit) || s[0] == '0' {
		return time.Time{}, false
	}
	var seconds int64
	for i := range len(s) {
		seconds = seconds*10 + int64(s[i]-'0')
	}
	return time.Unix(seconds, 0), true
}

// inWindow reports whether at is less than the window away from now.
func inWindow(at, now time.Time) bool {
	return now.Sub(at).Abs() < timestampWindow
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isAlphanumeric(c byte) bool {
	return isDigit(c) || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func isBase64(c byte) bool { return isAlphanumeric(c) || c == '+' || c == '/' || c == '=' }

// isVisible tells the characters that a header value may have between blanks.
func isVisible(c byte) bool { return 0x21 <= c && c <= 0x7e }

// consistsOf reports whether s has 1 to maxLen bytes, all of the class.
func consistsOf(s string, maxLen int, class func(byte) bool) bool {
	if s == "" || len(s) > maxLen {
		return false
	}
	for i := range len(s) {
		if !class(s[i]) {
			return false
		}
	}
	return true
}
