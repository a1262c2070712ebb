package sandbox

import (
	"strconv"
	"strings"
)

// issueExtra is WeChat's word on a member that it does not know.
const issueExtra = "extra illegal parameters"

// rule says what a value of a request body must be. Every table of rules is
// one documented request of WeChat Pay.
type rule struct {
	kind     jsonKind
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
func text(limit int) rule { return rule{kind: jsonString, min: 1, max: limit} }

// integer is the rule of a whole number of at least least.
func integer(least int64) rule { return rule{kind: jsonNumber, least: least} }

// object is the rule of an object with exactly these members.
func object(fields ...fieldRule) rule { return rule{kind: jsonObject, fields: fields} }

// needed makes a rule one for a member that must be there.
func (r rule) needed() rule { r.required = true; return r }

// checked adds a check of the characters.
func (r rule) checked(check func(string) string) rule { r.check = check; return r }

// validate checks a value against its rule and returns the first fault.
func (r *rule) validate(v *jsonValue, pointer string) *parameterError {
	fault := func(issue string) *parameterError {
		return &parameterError{field: pointer, value: v.text, issue: issue, location: "body"}
	}
	if v.kind != r.kind {
		return fault("the value must be " + r.kind.article())
	}
	switch r.kind {
	case jsonString:
		if issue := r.stringIssue(v.text); issue != "" {
			return fault(issue)
		}
	case jsonNumber:
		n, err := strconv.ParseInt(v.text, 10, 64)
		if err != nil || v.text != strconv.FormatInt(n, 10) {
			return fault("the value must be a whole number")
		}
		if n < r.least {
			return fault("the value must be at least " + strconv.FormatInt(r.least, 10))
		}
	case jsonArray:
		return r.validateItems(v, pointer)
	case jsonObject:
		return r.validateFields(v, pointer)
	case jsonNull, jsonBool:
	}
	return nil
}

// stringIssue says what is wrong with a string.
func (r *rule) stringIssue(s string) string {
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
func (r *rule) validateItems(v *jsonValue, pointer string) *parameterError {
	if len(v.items) < r.min || len(v.items) > r.max {
		return &parameterError{field: pointer, issue: "the number of items is out of range", location: "body"}
	}
	for i, item := range v.items {
		if err := r.items.validate(item, pointer+"/"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return nil
}

// validateFields checks the members of an object: known, there, right.
func (r *rule) validateFields(v *jsonValue, pointer string) *parameterError {
	for _, m := range v.members {
		if !r.knows(m.name) {
			return &parameterError{
				field: pointer + "/" + escapePointer(m.name), value: m.value.text,
				issue: issueExtra, location: "body",
			}
		}
	}
	for _, f := range r.fields {
		field := pointer + "/" + f.name
		value := v.member(f.name)
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
func (k jsonKind) article() string {
	switch k {
	case jsonBool:
		return "a boolean"
	case jsonNumber:
		return "a number"
	case jsonString:
		return "a string"
	case jsonArray:
		return "an array"
	case jsonObject:
		return "an object"
	default:
		return "null"
	}
}
