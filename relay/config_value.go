package relay

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// Bounds of configured values.
const (
	// DefaultRate is how many signed requests per second a client may send
	// when nothing else is said.
	DefaultRate = 50
	// maxRate bounds the rate; beyond it a limit is a typing mistake.
	maxRate = 1_000_000
	// clientSecretLen is the length of every secret of a client.
	clientSecretLen = 32
	// apiKeyLen is the length that WeChat Pay prescribes for the APIv3 key and
	// for the APIv2 key.
	apiKeyLen = 32
	// maxDailyFen bounds sums of a day; beyond it a limit is a typing mistake.
	maxDailyFen = 1_000_000_000_000
)

var (
	namePattern        = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)
	appIDPattern       = regexp.MustCompile(`^wx[0-9A-Za-z]{16}$`)
	mchIDPattern       = regexp.MustCompile(`^[0-9]{1,32}$`)
	serialPattern      = regexp.MustCompile(`^([0-9A-Fa-f]{2}){1,32}$`)
	publicKeyIDPattern = regexp.MustCompile(`^PUB_KEY_ID_[0-9]{1,53}$`)
	printable          = regexp.MustCompile(`^[!-~]{1,256}$`)
)

// CheckName refuses names of accounts, merchants and clients that could not
// stand in a path: 1 to 64 of letters, digits, "_" and "-".
func CheckName(s string) error {
	if !namePattern.MatchString(s) {
		return fmt.Errorf("name %q must be 1 to 64 of A-Z a-z 0-9 _ -", s)
	}
	return nil
}

// CheckAppID refuses what cannot be an app id of WeChat.
func CheckAppID(s string) error {
	if !appIDPattern.MatchString(s) {
		return fmt.Errorf(`%q must be "wx" and 16 letters or digits, as the account's console shows it`, s)
	}
	return nil
}

// CheckMchID refuses what cannot be a merchant number of WeChat Pay.
func CheckMchID(s string) error {
	if !mchIDPattern.MatchString(s) {
		return fmt.Errorf("%q must be 1 to 32 digits, as the merchant console shows it", s)
	}
	return nil
}

// CheckCertificateSerial refuses what cannot be the serial number of the
// merchant's API certificate.
func CheckCertificateSerial(s string) error {
	if !serialPattern.MatchString(s) {
		return fmt.Errorf("%q must be the certificate's serial number in hexadecimal digits without colons", s)
	}
	return nil
}

// CheckPublicKeyID refuses what cannot be the id of a WeChat Pay public key.
func CheckPublicKeyID(s string) error {
	if !publicKeyIDPattern.MatchString(s) {
		return fmt.Errorf(`%q must be "PUB_KEY_ID_" and digits, as the merchant console shows it`, s)
	}
	return nil
}

// CheckAPIv3Key refuses an APIv3 key that is not 32 bytes long.
func CheckAPIv3Key(s Secret) error {
	if s.Len() != apiKeyLen {
		return fmt.Errorf("must be exactly %d bytes, but has %d; copy the APIv3 key from the merchant console", apiKeyLen, s.Len())
	}
	return nil
}

// CheckAPIv2Key refuses an APIv2 key that is not 32 printable characters. An
// empty one would let everybody sign (threats A03).
func CheckAPIv2Key(s Secret) error {
	if s.Len() != apiKeyLen || !printable.Match(s.Reveal()) {
		return fmt.Errorf("must be exactly %d printable characters without spaces, but has %d; copy the APIv2 key from the merchant console", apiKeyLen, s.Len())
	}
	return nil
}

// CheckAccountSecret refuses what cannot be an app secret of WeChat.
func CheckAccountSecret(s Secret) error {
	if !printable.Match(s.Reveal()) {
		return errors.New("must be the account's app secret: 1 to 256 printable characters without spaces")
	}
	return nil
}

// CheckClientID refuses client ids that are not 16 letters or digits.
func CheckClientID(s string) error {
	if !validClientID(s) {
		return fmt.Errorf("%q must be 16 characters of 0-9 A-Z a-z", s)
	}
	return nil
}

// CheckClientSecret refuses client and notify secrets that are not 32
// letters or digits. The error tells the length, never the value.
func CheckClientSecret(s Secret) error {
	if s.Len() != clientSecretLen {
		return fmt.Errorf("must be %d characters of 0-9 A-Z a-z, but has %d", clientSecretLen, s.Len())
	}
	if !onlyChars(s.value, isAlnum) {
		return fmt.Errorf("must be %d characters of 0-9 A-Z a-z, but has others", clientSecretLen)
	}
	return nil
}

// ParseEd25519PublicKey reads the 32 bytes of an Ed25519 public key from
// standard base64.
func ParseEd25519PublicKey(s string) (ed25519.PublicKey, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("must be the standard base64 of the %d bytes of an Ed25519 public key", ed25519.PublicKeySize)
	}
	return raw, nil
}

// ParsePublicURL reads the address at which the relay is reached: an origin
// and perhaps a path prefix. Plain http is for hosts that the internet
// cannot reach. A trailing slash, letter case of scheme and host, and a
// port that is the scheme's default are normalised away, because clients
// sign the host as section 3.1 of the contract writes it.
func ParsePublicURL(s string) (*url.URL, error) {
	u, err := parseAbsolute(s)
	if err != nil {
		return nil, err
	}
	if u.RawPath != "" || strings.Contains(u.Path, "//") || strings.Contains(u.Path, "/.") {
		return nil, fmt.Errorf("%q must have a plain path prefix or none: no escapes, no empty or dotted parts", s)
	}
	if u.Scheme == "http" && !PrivateHost(u.Hostname()) {
		return nil, fmt.Errorf("%q must use https: WeChat and buyers reach it over the internet", s)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

// ParsePlatformURL reads the address of a host that answers in WeChat's
// place: an origin and perhaps a path prefix, without trailing slash.
func ParsePlatformURL(s string) (string, error) {
	u, err := parseAbsolute(s)
	if err != nil {
		return "", err
	}
	if u.Scheme == "http" && !PrivateHost(u.Hostname()) {
		return "", fmt.Errorf("%q must use https: secrets are sent there", s)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// ParseOrigin reads scheme://host[:port] and nothing more, and returns it in
// lower case without a default port.
func ParseOrigin(s string) (string, error) {
	u, err := parseAbsolute(s)
	if err != nil {
		return "", err
	}
	if u.Path != "" && u.Path != "/" {
		return "", fmt.Errorf("%q must be an origin, scheme://host or scheme://host:port, without a path", s)
	}
	return u.Scheme + "://" + u.Host, nil
}

// CheckNotifyURL refuses addresses that deliveries cannot go to: they must
// be absolute http or https without user info, query and fragment.
func CheckNotifyURL(s string) error {
	_, err := parseAbsolute(s)
	return err
}

// parseAbsolute is the common ground of all configured addresses. It
// returns scheme and host in lower case, the host without default port.
func parseAbsolute(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, fmt.Errorf("%q must be an absolute http or https address", s)
	}
	switch {
	case u.User != nil:
		// Not quoted: what stands before the @ may be a password.
		return nil, errors.New("must not have a user name or password in the address")
	case u.RawQuery != "" || u.ForceQuery:
		return nil, errors.New("must not have a query in the address")
	case u.Fragment != "" || strings.HasSuffix(s, "#"):
		return nil, errors.New("must not have a fragment in the address")
	}
	host, err := normalHost(u)
	if err != nil {
		return nil, err
	}
	u.Host = host
	return u, nil
}

// normalHost lower-cases the host, checks the port, and drops it when it is
// the scheme's default. Names in other scripts look like each other and are
// not what browsers send, and there are no wildcards (threats D04, D06).
func normalHost(u *url.URL) (string, error) {
	host, port := strings.ToLower(u.Hostname()), u.Port()
	if !onlyChars(host, isHostChar) {
		return "", fmt.Errorf("%q must have a host of ASCII letters, digits, dots and hyphens; write a name in another script as browsers send it, xn--…", u.Host)
	}
	if strings.HasSuffix(u.Host, ":") {
		return "", fmt.Errorf("%q has a colon without a port", u.Host)
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || (u.Scheme == "https" && port == "443") || (u.Scheme == "http" && port == "80") {
		return host, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return "", fmt.Errorf("%q has a port that is not 1 to 65535", u.Host)
	}
	return host + ":" + port, nil
}

// privateSuffixes are the domains that the public DNS never answers for.
// RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of "internal".
var privateSuffixes = []string{".localhost", ".test", ".local", ".internal", ".home.arpa"}

// PrivateHost reports whether the internet cannot reach the host by that
// name: a loopback, private or link-local address, "localhost", a name
// without a dot, or one below a domain reserved for private use.
func PrivateHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		addr = addr.Unmap()
		return addr.IsLoopback() || addr.IsPrivate() || addr.IsLinkLocalUnicast()
	}
	if host == "" || !strings.Contains(host, ".") {
		return host != ""
	}
	for _, suffix := range privateSuffixes {
		if strings.HasSuffix(host, suffix) {
			return true
		}
	}
	return false
}

// LoopbackHost reports whether the name means this machine.
func LoopbackHost(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// ParseNetwork reads an address range in CIDR form, or one address.
func ParseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		return netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q must be an address range such as 10.1.0.0/16", s)
	}
	if p.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%q would open every network; name the ranges that deliveries may reach", s)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its length; did you mean %s", s, p.Masked())
	}
	return p, nil
}

// ParseOrderNoRule compiles a client's stricter rule for order numbers. It
// is matched against the whole number, anchored or not.
func ParseOrderNoRule(s string) (*regexp.Regexp, error) {
	if s == "" || len(s) > 256 {
		return nil, errors.New("must be a regular expression of 1 to 256 characters")
	}
	if _, err := regexp.Compile(s); err != nil {
		return nil, fmt.Errorf("must be a regular expression (RE2 syntax): %w", err)
	}
	return regexp.Compile(`\A(?:` + s + `)\z`)
}

// CheckRate refuses rates that are not a positive number per second.
func CheckRate(perSecond float64) error {
	if !(perSecond > 0 && perSecond <= maxRate) { // written so that NaN fails
		return fmt.Errorf("must be more than 0 and at most %d requests per second", maxRate)
	}
	return nil
}

// CheckMaxAmount refuses limits that no order could have.
func CheckMaxAmount(fen int64) error {
	if fen < 1 || fen > maxAmountFen {
		return fmt.Errorf("must be 1 to %d fen", maxAmountFen)
	}
	return nil
}

// CheckDailyAmount refuses limits of a day that could not be meant.
func CheckDailyAmount(fen int64) error {
	if fen < 1 || fen > maxDailyFen {
		return fmt.Errorf("must be 1 to %d fen", maxDailyFen)
	}
	return nil
}
