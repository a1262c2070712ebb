package sandbox

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/internal/strictjson"
)

// decodeBody decodes a body strictly and checks it against its rules.
func (s *Sandbox) decodeBody(c *apiCall, rules *rule) (*strictjson.Value, error) {
	tree, wrong := parseStrict(c.body)
	if wrong != nil {
		return nil, wrong
	}
	if wrong := rules.validate(tree, ""); wrong != nil {
		return nil, wrong
	}
	return tree, nil
}

// parseStrict reads the JSON text of a request. Like WeChat Pay, and unlike a
// lenient decoder, it refuses names that occur twice, text behind the value
// and bad UTF-8 (v3.md 2).
func parseStrict(body []byte) (*strictjson.Value, *parameterError) {
	tree, err := strictjson.Parse(body)
	if err == nil {
		return tree, nil
	}
	if found, ok := errors.AsType[*strictjson.Error](err); ok && utf8.Valid(body) {
		switch found.Problem {
		case strictjson.Duplicate:
			return nil, &parameterError{field: pointerTo(found.Field), issue: "the name occurs twice", location: "body"}
		case strictjson.Depth:
			return nil, &parameterError{field: pointerTo(found.Field), issue: "nested too deeply", location: "body"}
		case strictjson.Encoding:
			return nil, &parameterError{field: pointerTo(found.Field), issue: "a character is not valid", location: "body"}
		default:
		}
	}
	return nil, &parameterError{issue: "the body is not a JSON text in UTF-8", location: "body"}
}

// pointerTo writes a path of names joined by dots as a JSON pointer.
func pointerTo(path string) string {
	if path == "" {
		return "" // the whole document
	}
	return "/" + strings.ReplaceAll(escapePointer(path), ".", "/")
}

// escapePointer escapes a member name for a JSON pointer (RFC 6901).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// canonical writes a value with sorted names and without blanks, so that two
// requests can be compared; names in except are left out at the top.
func canonical(v *strictjson.Value, except ...string) string {
	switch v.Kind {
	case strictjson.ObjectKind:
		members := slices.Clone(v.Members)
		slices.SortFunc(members, func(a, b strictjson.Member) int { return strings.Compare(a.Name, b.Name) })
		var parts []string
		for _, m := range members {
			if !slices.Contains(except, m.Name) {
				parts = append(parts, strconv.Quote(m.Name)+":"+canonical(m.Value))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case strictjson.ArrayKind:
		var parts []string
		for _, item := range v.Items {
			parts = append(parts, canonical(item))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case strictjson.StringKind:
		return strconv.Quote(v.Text)
	default:
		return v.Text
	}
}
