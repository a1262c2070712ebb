package relay

import (
	"errors"
	"fmt"
	"regexp"
)

var (
	messageTokenPattern = regexp.MustCompile(`^[0-9A-Za-z]{3,32}$`)
	messageKeyPattern   = regexp.MustCompile(`^[0-9A-Za-z]{43}$`)
	verifyNamePattern   = regexp.MustCompile(`^[0-9A-Za-z_-][0-9A-Za-z_.-]{0,59}\.txt$`)
	apiPathPattern      = regexp.MustCompile(`^/cgi-bin(/[0-9A-Za-z_-]+)*(/[0-9A-Za-z_-]+|/\*)$`)
)

const (
	// maxAPIPath bounds the paths that a client may be granted.
	maxAPIPath = 256
	// maxVerifyText bounds the text of a verify file; WeChat's have 16
	// characters.
	maxVerifyText = 1024
)

// CheckMessageToken refuses what cannot be the Token of an account's server
// settings.
func CheckMessageToken(s Secret) error {
	if !messageTokenPattern.Match(s.Reveal()) {
		return errors.New("must be 3 to 32 letters or digits, as the Token in the account's server settings")
	}
	return nil
}

// CheckMessageKey refuses what cannot be the EncodingAESKey of an account's
// server settings. The error tells the length, never the value.
func CheckMessageKey(s Secret) error {
	if !messageKeyPattern.Match(s.Reveal()) {
		return fmt.Errorf("must be 43 letters or digits, as the EncodingAESKey in the account's server settings, but has %d characters", s.Len())
	}
	return nil
}

// CheckVerifyFile refuses files that no console of WeChat gives out for the
// proof of a domain.
func CheckVerifyFile(f VerifyFile) error {
	if !verifyNamePattern.MatchString(f.Name) {
		return fmt.Errorf("name %q must end in .txt and be at most 64 of A-Z a-z 0-9 _ . -, without a dot in front", f.Name)
	}
	if f.Text == "" || len(f.Text) > maxVerifyText || !onlyChars(f.Text, func(c byte) bool { return c == ' ' || isVisibleASCII(c) }) {
		return fmt.Errorf("%s needs a text of 1 to %d printable ASCII characters: all that stands in the file", f.Name, maxVerifyText)
	}
	return nil
}

// CheckAllowAPI refuses paths of WeChat's server interface that a client
// cannot be granted. They have one spelling each, because they are compared
// with what clients ask for; only the last part may be a wildcard.
func CheckAllowAPI(path string) error {
	if len(path) > maxAPIPath || !apiPathPattern.MatchString(path) {
		return fmt.Errorf("%q must be a path below /cgi-bin/ of letters, digits, _ and -, or end in /* for all below it, such as /cgi-bin/message/custom/send or /cgi-bin/menu/*", path)
	}
	return nil
}
