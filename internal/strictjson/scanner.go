package strictjson

import (
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads JSON tokens from data, per RFC 8259.
type scanner struct {
	data  []byte
	pos   int
	depth int
}

// plainByte tells the bytes that stand for themselves in a string: not the
// quote, the backslash, a control character or part of a longer UTF-8 form.
var plainByte = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// peek returns the byte at the read position, or 0 at the end, which begins
// no token.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// end makes sure that nothing but white space is left.
func (s *scanner) end() error {
	s.space()
	if s.pos != len(s.data) {
		return s.fail(Trailing)
	}
	return nil
}

// open takes the bracket that begins a container.
func (s *scanner) open(bracket byte) error {
	if s.peek() != bracket {
		if err := s.skip(); err != nil {
			return err
		}
		return s.fail(Type)
	}
	return s.enter()
}

// enter steps into the container whose bracket is at the read position.
func (s *scanner) enter() error {
	if s.depth == MaxDepth {
		return s.fail(Depth)
	}
	s.depth++
	s.pos++
	return nil
}

// next steps to the next member or element, or out of the container at its
// closing bracket.
func (s *scanner) next(closing byte, first bool) (more bool, err error) {
	s.space()
	c := s.peek()
	if c == closing {
		s.pos++
		s.depth--
		return false, nil
	}
	if first {
		return true, nil
	}
	if c != ',' {
		return false, s.fail(Syntax)
	}
	s.pos++
	s.space()
	return true, nil
}

// name reads a member's name and the colon behind it.
func (s *scanner) name() ([]byte, error) {
	if s.peek() != '"' {
		return nil, s.fail(Syntax)
	}
	name, err := s.string()
	if err != nil {
		return nil, err
	}
	s.space()
	if s.peek() != ':' {
		return nil, s.fail(Syntax)
	}
	s.pos++
	return name, nil
}

// skip reads one value of any type, checking it as thoroughly as one that is
// kept.
func (s *scanner) skip() error {
	s.space()
	switch c := s.peek(); {
	case c == '{':
		return s.skipObject()
	case c == '[':
		return s.skipArray()
	case c == '"':
		_, err := s.string()
		return err
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	case c == '-' || isDigit(c):
		_, _, err := s.number()
		return err
	default:
		return s.fail(Syntax)
	}
}

func (s *scanner) skipObject() error {
	return s.members(func([]byte) error { return s.skip() })
}

func (s *scanner) skipArray() error { return s.items(s.skip) }

// members walks an object: each name once, then value, which reads what
// stands behind it.
func (s *scanner) members(value func(name []byte) error) error {
	if err := s.enter(); err != nil {
		return err
	}
	var seen nameSet
	for first := true; ; first = false {
		more, err := s.next('}', first)
		if err != nil || !more {
			return err
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if !seen.add(name) {
			return s.fail(Duplicate).in(printable(name))
		}
		if err := value(name); err != nil {
			return err
		}
	}
}

// items walks an array; item reads one element.
func (s *scanner) items(item func() error) error {
	if err := s.enter(); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.next(']', first)
		if err != nil || !more {
			return err
		}
		if err := item(); err != nil {
			return err
		}
	}
}

func (s *scanner) literal(word string) error {
	end := s.pos + len(word)
	if end > len(s.data) || string(s.data[s.pos:end]) != word {
		return s.fail(Syntax)
	}
	s.pos = end
	return nil
}

// number reads a number; plain says that it has no fraction and no exponent.
func (s *scanner) number() (text []byte, plain bool, err error) {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	switch c := s.peek(); {
	case c == '0':
		s.pos++
	case isDigit(c):
		s.digits()
	default:
		return nil, false, s.fail(Syntax)
	}
	plain = true
	if s.peek() == '.' {
		plain = false
		s.pos++
		if s.digits() == 0 {
			return nil, false, s.fail(Syntax)
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		plain = false
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if s.digits() == 0 {
			return nil, false, s.fail(Syntax)
		}
	}
	return s.data[start:s.pos], plain, nil
}

func (s *scanner) digits() (n int) {
	for isDigit(s.peek()) {
		s.pos++
		n++
	}
	return n
}

// string reads the string whose opening quote is at the read position. The
// result may share memory with the input.
func (s *scanner) string() ([]byte, error) {
	s.pos++
	start := s.pos
	ascii := true
	for i := start; i < len(s.data); i++ {
		c := s.data[i]
		if plainByte[c] {
			continue
		}
		switch {
		case c == '"':
			s.pos = i + 1
			text := s.data[start:i]
			if !ascii && !utf8.Valid(text) {
				return nil, s.fail(Encoding)
			}
			return text, nil
		case c == '\\':
			s.pos = i
			return s.escaped(s.data[start:i])
		case c < 0x20:
			s.pos = i
			return nil, s.fail(Syntax)
		default:
			ascii = false
		}
	}
	s.pos = len(s.data)
	return nil, s.fail(Syntax)
}

// escaped reads on in a string from its first backslash; head is what came
// before it.
func (s *scanner) escaped(head []byte) ([]byte, error) {
	text := append(make([]byte, 0, 2*len(head)+16), head...)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		switch {
		case c == '"':
			s.pos++
			if !utf8.Valid(text) {
				return nil, s.fail(Encoding)
			}
			return text, nil
		case c < 0x20:
			return nil, s.fail(Syntax)
		case c != '\\':
			text = append(text, c)
			s.pos++
		default:
			var err error
			if text, err = s.escape(text); err != nil {
				return nil, err
			}
		}
	}
	return nil, s.fail(Syntax)
}

// escape appends what the escape at the read position stands for.
func (s *scanner) escape(text []byte) ([]byte, error) {
	s.pos++
	c := s.peek()
	s.pos++
	switch c {
	case '"', '\\', '/':
		return append(text, c), nil
	case 'b':
		return append(text, '\b'), nil
	case 'f':
		return append(text, '\f'), nil
	case 'n':
		return append(text, '\n'), nil
	case 'r':
		return append(text, '\r'), nil
	case 't':
		return append(text, '\t'), nil
	case 'u':
		return s.unicodeEscape(text)
	default:
		s.pos--
		return nil, s.fail(Syntax)
	}
}

// unicodeEscape appends the character of four hex digits, or of two such
// escapes that form a surrogate pair. A lone surrogate is no character, and
// decoders differ in what they make of it.
func (s *scanner) unicodeEscape(text []byte) ([]byte, error) {
	r, ok := s.hex4()
	if !ok {
		return nil, s.fail(Syntax)
	}
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(text, r), nil
	}
	if s.peek() != '\\' {
		return nil, s.fail(Encoding)
	}
	s.pos++
	if s.peek() != 'u' {
		return nil, s.fail(Encoding)
	}
	s.pos++
	low, ok := s.hex4()
	if !ok {
		return nil, s.fail(Syntax)
	}
	pair := utf16.DecodeRune(r, low)
	if pair == utf8.RuneError {
		return nil, s.fail(Encoding)
	}
	return utf8.AppendRune(text, pair), nil
}

func (s *scanner) hex4() (r rune, ok bool) {
	if s.pos+4 > len(s.data) {
		return 0, false
	}
	for _, c := range s.data[s.pos : s.pos+4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	s.pos += 4
	return r, true
}
