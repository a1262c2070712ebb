// Package strictjson decodes JSON that strangers wrote, in one pass and
// without the tolerance of encoding/json: the check of the shape and the
// reading of the values cannot disagree, because they are the same pass.
//
// Begin with [Decode], which fills Go types, or with [Parse], which keeps a
// document as it is written. Refused everywhere, also inside members that are
// skipped: a name given twice in one object, invalid UTF-8, an unpaired
// surrogate, nesting deeper than [MaxDepth], bytes after the value. Refused
// in a known struct: a name that differs from a known one only by case, and a
// number that is not a plain integer of the right range.
//
// The result of a document that is accepted equals that of encoding/json.
// Supported targets are structs without embedding, pointers, slices, maps from
// string to string, strings, booleans, integers, and types that implement
// [encoding.TextUnmarshaler] or [encoding/json.Unmarshaler]. The only tag
// options understood are "-", omitempty and omitzero.
package strictjson

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// MaxDepth is how many arrays and objects may be open at once. WeChat's
// deepest documented object has five; the limit bounds stack use.
const MaxDepth = 16

// Options choose between the two kinds of peers. The zero value is the
// strict one.
type Options struct {
	// AllowUnknown skips members that the target does not have and takes null
	// for an absent member, as a receiver of WeChat's messages must, because
	// WeChat adds members without notice. Without it both are refused.
	AllowUnknown bool
}

// Decode reads the one JSON value in data into the value that v points to,
// whose former content is lost. On error, which is always an [*Error] when the
// document is at fault, the target is left zero.
func Decode(data []byte, v any, o Options) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("strictjson: target %T is not a pointer", v)
	}
	target = target.Elem()
	target.SetZero()
	p, err := planOf(target.Type())
	if err != nil {
		return err
	}
	d := decoder{scanner: scanner{data: data}, allowUnknown: o.AllowUnknown}
	if err := d.document(p, target); err != nil {
		target.SetZero()
		return err
	}
	return nil
}

// decoder fills values while it scans.
type decoder struct {
	scanner
	allowUnknown bool
}

func (d *decoder) document(p *plan, v reflect.Value) error {
	if err := d.value(p, v); err != nil {
		return err
	}
	return d.end()
}

// value decodes the value at the read position into v.
func (d *decoder) value(p *plan, v reflect.Value) error {
	d.space()
	if d.peek() == 'n' {
		if err := d.literal("null"); err != nil {
			return err
		}
		if !d.allowUnknown {
			return d.fail(Null)
		}
		return nil
	}
	switch p.kind {
	case pointerPlan:
		v.Set(reflect.New(p.elem.typ))
		return d.value(p.elem, v.Elem())
	case structPlan:
		return d.object(p, v)
	case mapPlan:
		return d.stringMap(p, v)
	case slicePlan:
		return d.slice(p, v)
	case stringPlan:
		s, err := d.text()
		if err == nil {
			v.SetString(string(s))
		}
		return err
	case boolPlan:
		return d.boolean(v)
	case intPlan, uintPlan:
		return d.integer(p, v)
	case textPlan:
		return d.textUnmarshaler(v)
	default:
		return d.jsonUnmarshaler(v)
	}
}

// object decodes an object into the struct v.
func (d *decoder) object(p *plan, v reflect.Value) error {
	if err := d.open('{'); err != nil {
		return err
	}
	var (
		seen    uint64
		unknown nameSet
	)
	for first := true; ; first = false {
		more, err := d.next('}', first)
		if err != nil || !more {
			return err
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		i, known := p.index[string(name)]
		if !known {
			if err := d.unknown(p, name, &unknown); err != nil {
				return err
			}
			continue
		}
		f := &p.fields[i]
		if seen&(1<<i) != 0 {
			return d.fail(Duplicate).in(f.name)
		}
		seen |= 1 << i
		if err := d.value(f.plan, v.Field(f.at)); err != nil {
			return within(err, f.name)
		}
	}
}

// unknown skips or refuses a member that p has no field for.
func (d *decoder) unknown(p *plan, name []byte, seen *nameSet) error {
	if p.hasFolded(name) {
		return d.fail(CaseVariant).in(printable(name))
	}
	if !d.allowUnknown {
		return d.fail(Unknown).in(printable(name))
	}
	if !seen.add(name) {
		return d.fail(Duplicate).in(printable(name))
	}
	if err := d.skip(); err != nil {
		return within(err, printable(name))
	}
	return nil
}

// stringMap decodes an object whose members are all strings.
func (d *decoder) stringMap(p *plan, v reflect.Value) error {
	if err := d.open('{'); err != nil {
		return err
	}
	m := reflect.MakeMap(p.typ)
	for first := true; ; first = false {
		more, err := d.next('}', first)
		if err != nil {
			return err
		}
		if !more {
			v.Set(m)
			return nil
		}
		name, err := d.name()
		if err != nil {
			return err
		}
		key := reflect.ValueOf(string(name)).Convert(p.typ.Key())
		if m.MapIndex(key).IsValid() {
			return d.fail(Duplicate).in(printable(name))
		}
		d.space()
		text, err := d.text()
		if err != nil {
			return within(err, printable(name))
		}
		m.SetMapIndex(key, reflect.ValueOf(string(text)).Convert(p.typ.Elem()))
	}
}

// slice decodes an array.
func (d *decoder) slice(p *plan, v reflect.Value) error {
	if err := d.open('['); err != nil {
		return err
	}
	out := reflect.MakeSlice(p.typ, 0, 0)
	for n := 0; ; n++ {
		more, err := d.next(']', n == 0)
		if err != nil {
			return err
		}
		if !more {
			v.Set(out)
			return nil
		}
		out = reflect.Append(out, reflect.Zero(p.elem.typ))
		if err := d.value(p.elem, out.Index(n)); err != nil {
			return within(err, strconv.Itoa(n))
		}
	}
}

func (d *decoder) boolean(v reflect.Value) error {
	switch d.peek() {
	case 't':
		v.SetBool(true)
		return d.literal("true")
	case 'f':
		v.SetBool(false)
		return d.literal("false")
	default:
		return d.wrongType()
	}
}

// integer decodes a number that is written as a plain integer. 1.0, 1e2 and
// -0 are other spellings that peers read differently; they are refused.
func (d *decoder) integer(p *plan, v reflect.Value) error {
	if c := d.peek(); c != '-' && !isDigit(c) {
		return d.wrongType()
	}
	text, plain, err := d.number()
	if err != nil {
		return err
	}
	if !plain || string(text) == "-0" {
		return d.fail(NotInteger)
	}
	if p.kind == uintPlan {
		n, err := strconv.ParseUint(string(text), 10, p.typ.Bits())
		if err != nil {
			return d.fail(Range)
		}
		v.SetUint(n)
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, p.typ.Bits())
	if err != nil {
		return d.fail(Range)
	}
	v.SetInt(n)
	return nil
}

// textUnmarshaler hands a string to the type's own decoding.
func (d *decoder) textUnmarshaler(v reflect.Value) error {
	text, err := d.text()
	if err != nil {
		return err
	}
	if v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text) != nil {
		return d.fail(Content)
	}
	return nil
}

// jsonUnmarshaler hands a checked value to the type's own decoding.
func (d *decoder) jsonUnmarshaler(v reflect.Value) error {
	start := d.pos
	if err := d.skip(); err != nil {
		return err
	}
	if v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(d.data[start:d.pos]) != nil {
		return d.fail(Content)
	}
	return nil
}

// text reads a string or says that the type is wrong.
func (d *decoder) text() ([]byte, error) {
	if d.peek() != '"' {
		return nil, d.wrongType()
	}
	return d.string()
}

// wrongType tells a well-formed value of another type from bytes that are no
// value at all.
func (d *decoder) wrongType() error {
	if err := d.skip(); err != nil {
		return err
	}
	return d.fail(Type)
}
