package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is deeper than any body that WeChat documents.
const maxDepth = 12

// jsonKind is the type of a JSON value.
type jsonKind int

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// jsonValue is a decoded JSON value that still knows what encoding/json
// forgets: the spelling of numbers and null as against absent.
type jsonValue struct {
	kind    jsonKind
	text    string // of strings, numbers and booleans
	members []jsonMember
	items   []*jsonValue
}

// jsonMember is one member of an object, in the order of the text.
type jsonMember struct {
	name  string
	value *jsonValue
}

// parameterError says which part of a request is wrong, in WeChat's terms.
type parameterError struct {
	field    string // JSON pointer, parameter or header name
	value    string
	issue    string
	location string // body, url, query, header
}

// Error describes the fault without the value.
func (e *parameterError) Error() string { return e.location + " " + e.field + ": " + e.issue }

// parseStrict decodes one JSON text and refuses what a lenient decoder lets
// through: names that occur twice, text behind the value, bad UTF-8, and
// characters of four bytes, which WeChat Pay does not take (v3.md 2).
func parseStrict(body []byte) (*jsonValue, error) {
	if !utf8.Valid(body) || !json.Valid(body) {
		return nil, errors.New("the body is not a JSON text in UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	value, err := parseValue(decoder, "", 0)
	if err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is text behind the JSON value")
	}
	return value, nil
}

// parseValue reads the next value; pointer is its JSON pointer.
func parseValue(decoder *json.Decoder, pointer string, depth int) (*jsonValue, error) {
	if depth > maxDepth {
		return nil, &parameterError{field: pointer, issue: "nested too deeply", location: "body"}
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, fmt.Errorf("reading JSON: %w", err)
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			return parseObject(decoder, pointer, depth)
		}
		return parseArray(decoder, pointer, depth)
	case string:
		if issue := refusedText(t); issue != "" {
			return nil, &parameterError{field: pointer, issue: issue, location: "body"}
		}
		return &jsonValue{kind: jsonString, text: t}, nil
	case json.Number:
		return &jsonValue{kind: jsonNumber, text: t.String()}, nil
	case bool:
		return &jsonValue{kind: jsonBool, text: strconv.FormatBool(t)}, nil
	default:
		return &jsonValue{kind: jsonNull, text: "null"}, nil
	}
}

// parseObject reads the members behind an opening brace.
func parseObject(decoder *json.Decoder, pointer string, depth int) (*jsonValue, error) {
	object := &jsonValue{kind: jsonObject}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a member name: %w", err)
		}
		name, ok := token.(string)
		if !ok {
			return nil, errors.New("a member name is not a string")
		}
		field := pointer + "/" + escapePointer(name)
		if object.member(name) != nil {
			return nil, &parameterError{field: field, issue: "the name occurs twice", location: "body"}
		}
		value, err := parseValue(decoder, field, depth+1)
		if err != nil {
			return nil, err
		}
		object.members = append(object.members, jsonMember{name: name, value: value})
	}
	_, err := decoder.Token() // the closing brace
	return object, err
}

// parseArray reads the items behind an opening bracket.
func parseArray(decoder *json.Decoder, pointer string, depth int) (*jsonValue, error) {
	array := &jsonValue{kind: jsonArray}
	for decoder.More() {
		value, err := parseValue(decoder, pointer+"/"+strconv.Itoa(len(array.items)), depth+1)
		if err != nil {
			return nil, err
		}
		array.items = append(array.items, value)
	}
	_, err := decoder.Token() // the closing bracket
	return array, err
}

// refusedText says why WeChat Pay refuses the characters of s, or nothing.
func refusedText(s string) string {
	for _, r := range s {
		switch {
		case r > 0xffff:
			return "characters of four bytes in UTF-8 are not accepted"
		case r == utf8.RuneError:
			return "a character is not valid"
		}
	}
	return ""
}

// escapePointer escapes a member name for a JSON pointer (RFC 6901).
func escapePointer(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// member returns the value of a member, or nil.
func (v *jsonValue) member(name string) *jsonValue {
	for _, m := range v.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// canonical writes the value with sorted names and without blanks, so that
// two requests can be compared; names in except are left out at the top.
func (v *jsonValue) canonical(except ...string) string {
	switch v.kind {
	case jsonObject:
		members := slices.Clone(v.members)
		slices.SortFunc(members, func(a, b jsonMember) int { return strings.Compare(a.name, b.name) })
		var parts []string
		for _, m := range members {
			if !slices.Contains(except, m.name) {
				parts = append(parts, strconv.Quote(m.name)+":"+m.value.canonical())
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case jsonArray:
		var parts []string
		for _, item := range v.items {
			parts = append(parts, item.canonical())
		}
		return "[" + strings.Join(parts, ",") + "]"
	case jsonString:
		return strconv.Quote(v.text)
	default:
		return v.text
	}
}
