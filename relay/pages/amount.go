package pages

import (
	"strconv"
	"strings"
)

// fenDecimal writes an amount in fen as yuan with two decimals, "1234.56".
// It uses integers only, so that no amount is ever rounded.
func fenDecimal(fen int64) string {
	// The absolute value of the smallest int64 fits in a uint64 only.
	sign, abs := "", uint64(fen)
	if fen < 0 {
		sign, abs = "-", -abs
	}
	cents := strconv.FormatUint(abs%100, 10)
	if len(cents) < 2 {
		cents = "0" + cents
	}
	return sign + strconv.FormatUint(abs/100, 10) + "." + cents
}

// fenGrouped is fenDecimal with the yuan in groups of three, "1,234.56".
func fenGrouped(fen int64) string {
	s := fenDecimal(fen)
	sign := ""
	if strings.HasPrefix(s, "-") {
		sign, s = "-", s[1:]
	}
	point := len(s) - len(".00")
	for i := point - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}
