package strictjson

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// planKind is how a type is decoded.
type planKind int

const (
	structPlan planKind = iota + 1
	pointerPlan
	slicePlan
	mapPlan
	stringPlan
	boolPlan
	intPlan
	uintPlan
	textPlan // encoding.TextUnmarshaler
	jsonPlan // json.Unmarshaler
)

// plan is the decoding of one type, compiled once.
type plan struct {
	kind   planKind
	typ    reflect.Type
	elem   *plan          // of pointerPlan and slicePlan
	fields []field        // of structPlan
	index  map[string]int // position in fields by JSON name
}

type field struct {
	name string
	raw  []byte // name again, for comparing without a conversion
	at   int    // index in the struct
	plan *plan
}

// maxFields is the width of the set of fields seen.
const maxFields = 64

var (
	plans sync.Map // reflect.Type to *plan

	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
	jsonUnmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// planOf returns the plan of t, compiling it at the first use.
func planOf(t reflect.Type) (*plan, error) {
	if p, ok := plans.Load(t); ok {
		return p.(*plan), nil
	}
	p, err := compile(t, map[reflect.Type]*plan{})
	if err != nil {
		return nil, err
	}
	plans.Store(t, p)
	return p, nil
}

// compile makes the plan of t; made holds the plans under way, so that a type
// may contain itself behind a pointer.
func compile(t reflect.Type, made map[reflect.Type]*plan) (*plan, error) {
	if p, ok := made[t]; ok {
		return p, nil
	}
	p := &plan{typ: t}
	made[t] = p
	switch pt := reflect.PointerTo(t); {
	case pt.Implements(jsonUnmarshalerType):
		p.kind = jsonPlan
		return p, nil
	case pt.Implements(textUnmarshalerType):
		p.kind = textPlan
		return p, nil
	}
	return p, p.compile(made)
}

func (p *plan) compile(made map[reflect.Type]*plan) (err error) {
	switch t := p.typ; t.Kind() {
	case reflect.Struct:
		p.kind = structPlan
		return p.compileFields(made)
	case reflect.Pointer:
		p.kind = pointerPlan
		p.elem, err = compile(t.Elem(), made)
		return err
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return fmt.Errorf("strictjson: unsupported type %s", t)
		}
		p.kind = slicePlan
		p.elem, err = compile(t.Elem(), made)
		return err
	case reflect.Map:
		if t.Key().Kind() != reflect.String || t.Elem().Kind() != reflect.String {
			return fmt.Errorf("strictjson: unsupported type %s", t)
		}
		p.kind = mapPlan
	case reflect.String:
		p.kind = stringPlan
	case reflect.Bool:
		p.kind = boolPlan
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		p.kind = intPlan
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		p.kind = uintPlan
	default:
		return fmt.Errorf("strictjson: unsupported type %s", t)
	}
	return nil
}

func (p *plan) compileFields(made map[reflect.Type]*plan) error {
	p.index = make(map[string]int)
	for i := range p.typ.NumField() {
		sf := p.typ.Field(i)
		if sf.Anonymous {
			return fmt.Errorf("strictjson: %s embeds %s, which is unsupported", p.typ, sf.Type)
		}
		name, ok, err := jsonName(sf)
		if err != nil {
			return fmt.Errorf("strictjson: %s: %w", p.typ, err)
		}
		if !ok {
			continue
		}
		if _, twice := p.index[name]; twice || len(p.fields) == maxFields {
			return fmt.Errorf("strictjson: %s repeats the name %q or has over %d fields", p.typ, name, maxFields)
		}
		fp, err := compile(sf.Type, made)
		if err != nil {
			return err
		}
		p.index[name] = len(p.fields)
		p.fields = append(p.fields, field{name: name, raw: []byte(name), at: i, plan: fp})
	}
	return nil
}

// jsonName returns the member name of a field; ok is false for one that JSON
// does not reach.
func jsonName(sf reflect.StructField) (name string, ok bool, err error) {
	tag := sf.Tag.Get("json")
	if !sf.IsExported() || tag == "-" {
		return "", false, nil
	}
	name, options, _ := strings.Cut(tag, ",")
	switch options {
	case "", "omitempty", "omitzero":
	default:
		return "", false, fmt.Errorf("field %s has the unsupported tag option %q", sf.Name, options)
	}
	if name == "" {
		name = sf.Name
	}
	return name, true, nil
}

// hasFolded reports whether name, which is not the name of a field, equals
// one but for case. encoding/json would have taken it.
func (p *plan) hasFolded(name []byte) bool {
	for i := range p.fields {
		if bytes.EqualFold(p.fields[i].raw, name) {
			return true
		}
	}
	return false
}
