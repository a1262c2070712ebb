package strictjson

import (
	"bytes"
	"strings"
	"unicode"
)

// nameSet holds the names met in one object. Few names are compared one by
// one; a document with many must not cost the square of their number.
type nameSet struct {
	few  [16][]byte
	n    int
	many map[string]struct{}
}

// add reports whether name was new.
func (s *nameSet) add(name []byte) bool {
	if s.many != nil {
		if _, found := s.many[string(name)]; found {
			return false
		}
		s.many[string(name)] = struct{}{}
		return true
	}
	for _, old := range s.few[:s.n] {
		if bytes.Equal(old, name) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = name
		s.n++
		return true
	}
	s.many = make(map[string]struct{}, 2*len(s.few))
	for _, old := range s.few {
		s.many[string(old)] = struct{}{}
	}
	s.many[string(name)] = struct{}{}
	return true
}

// maxNameShown bounds how much of a stranger's member name an error repeats.
const maxNameShown = 64

// printable cuts a stranger's name down to what may stand in an error text.
func printable(name []byte) string {
	if len(name) > maxNameShown {
		name = name[:maxNameShown]
	}
	return strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, string(name))
}
