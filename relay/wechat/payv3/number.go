package payv3

import (
	"errors"
	"fmt"
	"time"
)

// What is no number is kept out of an address, where "." or ".." would name
// another resource.

var (
	errOutTradeNo    = errors.New("number is not 6 to 32 of [0-9A-Za-z_|*-]")
	errOutNo         = errors.New("number is not 1 to 64 of [0-9A-Za-z_|*@-]")
	errTransactionID = errors.New("number is not 1 to 32 letters and digits")
	errSubMchID      = errors.New("sub_mchid is not 1 to 32 digits")
)

func isOutTradeNo(s string) bool {
	return len(s) >= 6 && consistsOf(s, 32, func(c byte) bool { return isNumberByte(c) && c != '@' })
}

// isOutNo checks a merchant's number of a refund, a split or a return
// (v3.md sections 12 and 16).
func isOutNo(s string) bool { return consistsOf(s, 64, isNumberByte) }

func isNumberByte(c byte) bool {
	return isAlphanumeric(c) || c == '_' || c == '-' || c == '|' || c == '*' || c == '@'
}

func isTransactionID(s string) bool { return consistsOf(s, 32, isAlphanumeric) }

// checkSubMchID takes "" for a direct merchant.
func checkSubMchID(s string) error {
	if s != "" && !consistsOf(s, 32, isDigit) {
		return errSubMchID
	}
	return nil
}

// parseTime reads a time of WeChat, in UTC.
func parseTime(name, s string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, fmt.Errorf("%s is not RFC 3339", name)
	}
	return at.UTC(), nil
}
