package sandbox

import (
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

// issueExtra is WeChat's word on a member that it does not know.
const issueExtra = "extra illegal parameters"

// rule says what a value of a request body must be. Every table of rules is
// one documented request of WeChat Pay.
type rule struct {
	kind     strictjson.Kind
	required bool
	min, max int                       // bytes of a string; items of an array
	least    int64                     // of a number
	check    func(value string) string // returns what is wrong with a string, or ""
	fields   []fieldRule               // of an object
	items    *rule                     // of an array
}

// fieldRule is the rule of a named member.
type fieldRule struct {
	name string
	rule rule
}

// text is the rule of a string of at most limit bytes.
func text(limit int) rule { return rule{kind: strictjson.StringKind, min: 1, max: limit} }

// integer is the rule of a whole number of at least least.
func integer(least int64) rule { return rule{kind: strictjson.NumberKind, least: least} }

// object is the rule of an object with exactly these members.
func object(fields ...fieldRule) rule { return rule{kind: strictjson.ObjectKind, fields: fields} }

// needed makes a rule one for a member that must be there.
func (r rule) needed() rule { r.required = true; return r }

// checked adds a check of the characters.
func (r rule) checked(check func(string) string) rule { r.check = check; return r }

// validate checks a value against its rule and returns the first fault.
func (r *rule) validate(v *strictjson.Value, pointer string) *parameterError {
	fault := func(issue string) *parameterError {
		return &parameterError{field: pointer, value: v.Text, issue: issue, location: "body"}
	}
	if v.Kind != r.kind {
		return fault("the value must be " + article(r.kind))
	}
	switch r.kind {
	case strictjson.StringKind:
		if issue := r.stringIssue(v.Text); issue != "" {
			return fault(issue)
		}
	case strictjson.NumberKind:
		n, err := strconv.ParseInt(v.Text, 10, 64)
		if err != nil || v.Text != strconv.FormatInt(n, 10) {
			return fault("the value must be a whole number")
		}
		if n < r.least {
			return fault("the value must be at least " + strconv.FormatInt(r.least, 10))
		}
	case strictjson.ArrayKind:
		return r.validateItems(v, pointer)
	case strictjson.ObjectKind:
		return r.validateFields(v, pointer)
	case strictjson.NullKind, strictjson.BoolKind:
	}
	return nil
}

// stringIssue says what is wrong with a string. WeChat Pay takes no
// characters of four bytes (v3.md 2).
func (r *rule) stringIssue(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool { return c > 0xffff }) {
		return "characters of four bytes in UTF-8 are not accepted"
	}
	if len(s) < r.min || len(s) > r.max {
		return "the length must be " + strconv.Itoa(r.min) + " to " + strconv.Itoa(r.max) + " bytes"
	}
	if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "control characters are not accepted"
	}
	if r.check != nil {
		return r.check(s)
	}
	return ""
}

// validateItems checks each item of an array.
func (r *rule) validateItems(v *strictjson.Value, pointer string) *parameterError {
	if len(v.Items) < r.min || len(v.Items) > r.max {
		return &parameterError{field: pointer, issue: "the number of items is out of range", location: "body"}
	}
	for i, item := range v.Items {
		if err := r.items.validate(item, pointer+"/"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// validateFields checks the members of an object: known, there, right.
func (r *rule) validateFields(v *strictjson.Value, pointer string) *parameterError {
	for _, m := range v.Members {
		if !r.knows(m.Name) {
			return &parameterError{
				field: pointer + "/" + escapePointer(m.Name), value: m.Value.Text,
				issue: issueExtra, location: "body",
			}
		}
	}
	for _, f := range r.fields {
		field := pointer + "/" + f.name
		value := v.Member(f.name)
		if value == nil {
			if f.rule.required {
				return &parameterError{field: field, issue: "the parameter is missing", location: "body"}
			}
			continue
		}
		if err := f.rule.validate(value, field); err != nil {
			return err
		}
	}
	return nil
}

// knows reports whether an object has a member of this name.
func (r *rule) knows(name string) bool {
	for _, f := range r.fields {
		if f.name == name {
			return true
		}
	}
	return false
}

// article names the kind in an error text.
func article(k strictjson.Kind) string {
	switch k {
	case strictjson.BoolKind:
		return "a boolean"
	case strictjson.NumberKind:
		return "a number"
	case strictjson.StringKind:
		return "a string"
	case strictjson.ArrayKind:
		return "an array"
	case strictjson.ObjectKind:
		return "an object"
	default:
		return "null"
	}
}
