package strictjson

import "strconv"

// Kind is the type of a JSON value.
type Kind int

// The types of RFC 8259 section 3.
const (
	NullKind Kind = iota
	BoolKind
	NumberKind
	StringKind
	ArrayKind
	ObjectKind
)

// Value is a JSON value as it was written. It keeps what decoding into Go
// types forgets: the spelling of numbers, null as against absent, the order
// of members.
type Value struct {
	Kind    Kind
	Text    string   // of a string, unescaped; of a number, true, false and null, as written
	Members []Member // of an object, in the order of the text
	Items   []*Value // of an array
}

// Member is one member of an object.
type Member struct {
	Name  string
	Value *Value
}

// Member returns the value of the member of that name, or nil.
func (v *Value) Member(name string) *Value {
	for i := range v.Members {
		if v.Members[i].Name == name {
			return v.Members[i].Value
		}
	}
	return nil
}

// Parse reads the one JSON value in data, for rules that depend on how a
// document is written. It refuses what [Decode] refuses everywhere, with an
// [*Error]; it knows no names and no types, so that those are the caller's to
// judge.
func Parse(data []byte) (*Value, error) {
	s := scanner{data: data}
	v, err := s.tree()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// tree reads the value at the read position.
func (s *scanner) tree() (*Value, error) {
	s.space()
	v := &Value{Kind: kindOf(s.peek())}
	var err error
	switch v.Kind {
	case ObjectKind:
		err = s.treeMembers(v)
	case ArrayKind:
		err = s.treeItems(v)
	case StringKind:
		var text []byte
		text, err = s.string()
		v.Text = string(text)
	case NullKind, BoolKind, NumberKind:
		start := s.pos
		err = s.skip()
		v.Text = string(s.data[start:s.pos])
	}
	return v, err
}

// kindOf tells the kind of a value from its first byte. A byte that begins
// none is left for skip to refuse.
func kindOf(first byte) Kind {
	switch first {
	case '{':
		return ObjectKind
	case '[':
		return ArrayKind
	case '"':
		return StringKind
	case 't', 'f':
		return BoolKind
	case 'n':
		return NullKind
	default:
		return NumberKind
	}
}

func (s *scanner) treeMembers(object *Value) error {
	return s.members(func(name []byte) error {
		value, err := s.tree()
		if err != nil {
			return within(err, printable(name))
		}
		object.Members = append(object.Members, Member{Name: string(name), Value: value})
		return nil
	})
}

func (s *scanner) treeItems(array *Value) error {
	return s.items(func() error {
		item, err := s.tree()
		if err != nil {
			return within(err, strconv.Itoa(len(array.Items)))
		}
		array.Items = append(array.Items, item)
		return nil
	})
}
