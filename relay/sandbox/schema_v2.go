package sandbox

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

var (
	nonceForm  = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)
	numberForm = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)
)

// ruleV2 says what a field of an APIv2 request must be. Every table of rules
// is one documented request. Fields in no table are signed like all others and
// otherwise without effect.
type ruleV2 struct {
	name   string
	max    int // bytes
	needed bool
	check  func(value string) string // returns what is wrong, or ""
}

// neededV2 lists the fields without which a call is refused at once.
func neededV2(rules []ruleV2) (names []string) {
	for _, r := range rules {
		if r.needed {
			names = append(names, r.name)
		}
	}
	return names
}

// checkRulesV2 checks fields against their rules. A field without a value is
// none.
func checkRulesV2(rules []ruleV2, fields payv2.Message) error {
	for _, r := range rules {
		value := fields[r.name]
		switch {
		case value == "":
			continue
		case len(value) > r.max:
			return parameterV2(r.name, "the length must be at most "+strconv.Itoa(r.max)+" bytes")
		case r.check == nil:
			continue
		}
		if issue := r.check(value); issue != "" {
			return parameterV2(r.name, issue)
		}
	}
	return nil
}

// parameterV2 refuses a field.
func parameterV2(name, issue string) error {
	return refuseV2("PARAM_ERROR", name+"参数错误 ("+issue+")")
}

// amountIssueV2 wants a sum of at least one fen, in plain digits.
func amountIssueV2(s string) string {
	if !numberForm.MatchString(s) || s == "0" {
		return "the value must be a whole number of fen, at least 1"
	}
	return ""
}

func offsetIssueV2(s string) string {
	if !numberForm.MatchString(s) {
		return "the value must be a whole number"
	}
	return ""
}

func timeIssueV2(s string) string {
	if _, err := beijing.Parse(beijing.Compact, s); err != nil {
		return "the time must be yyyyMMddHHmmss"
	}
	return ""
}

func jsonIssueV2(s string) string {
	if !json.Valid([]byte(s)) {
		return "the value must be JSON"
	}
	return ""
}

// tradeFieldsV2 compares requests: everything that the merchant chose, but
// not how the request was signed.
func tradeFieldsV2(fields payv2.Message) string {
	business := payv2.Message{}
	for name, value := range fields {
		switch name {
		case "nonce_str", "sign", "sign_type":
			continue
		}
		if value != "" {
			business[name] = value
		}
	}
	return string(business.Encode())
}

// fenOf reads an amount whose rule was checked.
func fenOf(s string) int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
