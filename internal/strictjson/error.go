package strictjson

import "strconv"

// Problem is the kind of fault in a document.
type Problem string

// The problems, each worded to complete "field: ...".
const (
	Syntax      Problem = "is not valid JSON"
	Encoding    Problem = "is not valid UTF-8"
	Trailing    Problem = "is followed by further bytes"
	Depth       Problem = "is nested too deeply"
	Duplicate   Problem = "is given twice"
	CaseVariant Problem = "differs from a known name by case"
	Unknown     Problem = "is not a known name"
	Null        Problem = "must not be null"
	Type        Problem = "has the wrong type"
	NotInteger  Problem = "is not a plain integer"
	Range       Problem = "is out of range"
	Content     Problem = "has content that its type refuses"
)

// Error says what is wrong with a document and where. It repeats no value
// from the document, only names.
type Error struct {
	// Field is the path of member names and element numbers to the fault,
	// joined by dots; empty when the document as a whole is at fault.
	Field string
	// Problem is the kind of fault.
	Problem Problem
	// Offset is how many bytes were read when the fault was found.
	Offset int
}

// Error returns the path, the problem and the offset.
func (e *Error) Error() string {
	field := e.Field
	if field == "" {
		field = "document"
	}
	return field + " " + string(e.Problem) + " (byte " + strconv.Itoa(e.Offset) + ")"
}

// in puts the fault inside the member called name.
func (e *Error) in(name string) *Error {
	if e.Field != "" {
		name += "." + e.Field
	}
	e.Field = name
	return e
}

// fail makes an error for the read position.
func (s *scanner) fail(p Problem) *Error { return &Error{Problem: p, Offset: s.pos} }

// within puts err inside the member called name.
func within(err error, name string) error {
	if e, ok := err.(*Error); ok { //nolint:errorlint // made by this package a few calls below, never wrapped
		return e.in(name)
	}
	return err
}
