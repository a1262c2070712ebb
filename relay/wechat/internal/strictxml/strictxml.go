// Package strictxml reads the part of XML that WeChat's messages use: one root
// and in it elements with text. Everything in which two readers of XML may
// differ is refused instead of understood: document types and entities,
// comments, processing instructions, attributes, prefixes, duplicates, other
// charsets, anything after the root (threats A07 to A13).
//
// The scanner is written by hand, because encoding/xml joins the text around
// comments and children, ignores prefixes and accepts unused document types,
// which would have to be found out afterwards.
package strictxml

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Errors of the parser. They quote nothing of the document.
var (
	errTooLong     = errors.New("document is too long")
	errNotUTF8     = errors.New("document is not UTF-8")
	errDeclaration = errors.New("document has an XML declaration that is not version 1.0 in UTF-8")
	errMarkup      = errors.New("document has markup that a message has not")
	errRoot        = errors.New("document has another root")
	errTrailing    = errors.New("document goes on after its root")
	errName        = errors.New("document has a malformed name")
	errText        = errors.New("document has text where none belongs, or characters that XML has not")
	errReference   = errors.New("document has an unknown or malformed reference")
	errTruncated   = errors.New("document ends too early")
	errDuplicate   = errors.New("document has a field twice")
	errElements    = errors.New("document has too many elements")
)

// maxName is the longest name of a field, in bytes.
const maxName = 64

var (
	byteOrderMark = []byte("\ufeff")
	declaration   = regexp.MustCompile(`^<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(?:"1\.0"|'1\.0')` +
		`(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(?i:"utf-8"|'utf-8'))?` +
		`(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(?:"(?:yes|no)"|'(?:yes|no)'))?[ \t\r\n]*\?>`)
)

// Limits bound a document.
type Limits struct {
	Bytes    int
	Elements int // below the root
	// Depth is how many elements may be open in one of the root's; 0 for text
	// alone.
	Depth int
}

// Parse reads a document with the root and returns the text of its elements by
// their names, each of which may be there once. An element with children, where
// the limits allow them, counts as one without text; what is in it must be well
// formed, and may repeat. Nothing is returned with an error.
func Parse(body []byte, root string, l Limits) (map[string]string, error) {
	if len(body) > l.Bytes {
		return nil, errTooLong
	}
	body = bytes.TrimPrefix(body, byteOrderMark)
	if !utf8.Valid(body) {
		return nil, errNotUTF8
	}
	s := scanner{rest: string(body), elements: l.Elements}
	m, err := s.document(root, l.Depth)
	if err != nil {
		return nil, fmt.Errorf("parsing XML: %w", err)
	}
	return m, nil
}

// scanner reads a document from its front.
type scanner struct {
	rest     string
	elements int // that may still come
}

func (s *scanner) document(root string, depth int) (map[string]string, error) {
	if strings.HasPrefix(s.rest, "<?") {
		d := declaration.FindString(s.rest)
		if d == "" {
			return nil, errDeclaration
		}
		s.rest = s.rest[len(d):]
	}
	s.space()
	name, empty, err := s.startTag()
	if err != nil {
		return nil, err
	}
	if name != root {
		return nil, errRoot
	}
	m := map[string]string{}
	if !empty {
		if err := s.fields(m, root, depth); err != nil {
			return nil, err
		}
	}
	if s.space(); s.rest != "" {
		return nil, errTrailing
	}
	return m, nil
}

// fields reads elements up to the end tag of root.
func (s *scanner) fields(m map[string]string, root string, depth int) error {
	for {
		s.space()
		if strings.HasPrefix(s.rest, "</") {
			return s.endTag(root)
		}
		name, value, err := s.element(depth)
		if err != nil {
			return err
		}
		if _, twice := m[name]; twice {
			return errDuplicate
		}
		m[name] = value
	}
}

// element reads one element with its text. In depth elements may be children
// instead, which are passed over.
func (s *scanner) element(depth int) (name, value string, err error) {
	name, empty, err := s.startTag()
	if err != nil || empty {
		return name, "", s.count(err)
	}
	if err := s.count(nil); err != nil {
		return "", "", err
	}
	if value, err = s.text(); err != nil {
		return "", "", err
	}
	if depth == 0 || strings.HasPrefix(s.rest, "</") {
		return name, value, s.endTag(name)
	}
	if strings.Trim(value, " \t\n") != "" {
		return "", "", errMarkup // text beside children
	}
	for !strings.HasPrefix(s.rest, "</") {
		if _, _, err := s.element(depth - 1); err != nil {
			return "", "", err
		}
		s.space()
	}
	return name, "", s.endTag(name)
}

// count takes one element from those that may come, unless err is the matter.
func (s *scanner) count(err error) error {
	if err != nil {
		return err
	}
	if s.elements == 0 {
		return errElements
	}
	s.elements--
	return nil
}

// startTag reads <name> or <name/>.
func (s *scanner) startTag() (name string, empty bool, err error) {
	switch {
	case s.rest == "":
		return "", false, errTruncated
	case s.rest[0] != '<':
		return "", false, errText
	case strings.HasPrefix(s.rest, "<!"), strings.HasPrefix(s.rest, "<?"):
		return "", false, errMarkup
	}
	s.rest = s.rest[1:]
	if name, err = s.name(); err != nil {
		return "", false, err
	}
	s.space()
	if s.skip("/>") {
		return name, true, nil
	}
	if !s.skip(">") {
		return "", false, errMarkup // an attribute, for example
	}
	return name, false, nil
}

// endTag reads </name>.
func (s *scanner) endTag(name string) error {
	if s.rest == "" {
		return errTruncated
	}
	if !s.skip("</") {
		return errMarkup // a child
	}
	got, err := s.name()
	if err != nil {
		return err
	}
	if s.space(); got != name || !s.skip(">") {
		return errMarkup
	}
	return nil
}

// name reads a name. A colon, which would make a prefix, is none of its
// characters.
func (s *scanner) name() (string, error) {
	n := 0
	for n < len(s.rest) && isNameByte(s.rest[n], n == 0) {
		n++
	}
	if n == 0 || n > maxName {
		return "", errName
	}
	name := s.rest[:n]
	s.rest = s.rest[n:]
	return name, nil
}

func isNameByte(c byte, first bool) bool {
	return isLetter(c) || c == '_' || !first && (isDigit(c) || c == '-' || c == '.')
}

// text reads character data and CDATA up to a tag. Several runs make one
// value (threat A08).
func (s *scanner) text() (string, error) {
	var b strings.Builder
	for {
		switch {
		case s.rest == "":
			return "", errTruncated
		case s.skip("<![CDATA["):
			run, rest, ok := strings.Cut(s.rest, "]]>")
			if !ok {
				return "", errTruncated
			}
			s.rest = rest
			if err := writeRun(&b, run); err != nil {
				return "", err
			}
		case strings.HasPrefix(s.rest, "<!"), strings.HasPrefix(s.rest, "<?"):
			return "", errMarkup
		case s.rest[0] == '<':
			return b.String(), nil
		case s.rest[0] == '&':
			r, err := s.reference()
			if err != nil {
				return "", err
			}
			b.WriteRune(r)
		default:
			n := strings.IndexAny(s.rest, "<&")
			if n < 0 {
				return "", errTruncated
			}
			run := s.rest[:n]
			s.rest = s.rest[n:]
			if strings.Contains(run, "]]>") { // forbidden by XML 1.0 2.4
				return "", errText
			}
			if err := writeRun(&b, run); err != nil {
				return "", err
			}
		}
	}
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n") // XML 1.0 2.11

func writeRun(b *strings.Builder, run string) error {
	for _, r := range run {
		if !isXMLChar(r) {
			return errText
		}
	}
	_, _ = lineEnds.WriteString(b, run) // a Builder does not fail
	return nil
}

var predefined = map[string]rune{"amp": '&', "lt": '<', "gt": '>', "quot": '"', "apos": '\''}

// maxReference is the longest name or number in a reference, in bytes.
const maxReference = 10

// reference reads &name; or &#number;. Only the five names of XML itself are
// known: there is no document type that could define more (threats A09, A10).
func (s *scanner) reference() (rune, error) {
	end := strings.IndexByte(s.rest[:min(len(s.rest), maxReference+2)], ';')
	if end < 0 {
		return 0, errReference
	}
	body := s.rest[1:end]
	s.rest = s.rest[end+1:]
	if r, ok := predefined[body]; ok {
		return r, nil
	}
	digits, ok := strings.CutPrefix(body, "#")
	if !ok {
		return 0, errReference
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21) // as many bits as a code point has
	if err != nil || !isXMLChar(rune(n)) {
		return 0, errReference
	}
	return rune(n), nil
}

// isXMLChar is the production Char of XML 1.0.
func isXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

func (s *scanner) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

// skip passes over prefix if the document goes on with it.
func (s *scanner) skip(prefix string) bool {
	rest, ok := strings.CutPrefix(s.rest, prefix)
	if ok {
		s.rest = rest
	}
	return ok
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
