package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// The wire types of protocol buffers that rows use.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var (
	errCutShort  = errors.New("field cut short")
	errWireType  = errors.New("field of an unexpected form")
	errFieldZero = errors.New("field number out of range")
	errRange     = errors.New("number out of range")
)

// encoder appends fields to b. The first error stays in err.
type encoder struct {
	b   []byte
	err error
}

func (e *encoder) tag(field, wire int) {
	e.b = binary.AppendUvarint(e.b, uint64(field)<<3|uint64(wire))
}

func (e *encoder) text(field int, s string) {
	if s != "" {
		e.element(field, s)
	}
}

// element appends one element of a list, which may be empty.
func (e *encoder) element(field int, s string) {
	e.tag(field, wireBytes)
	e.b = binary.AppendUvarint(e.b, uint64(len(s)))
	e.b = append(e.b, s...)
}

func (e *encoder) bytes(field int, p []byte) {
	if len(p) == 0 {
		return
	}
	e.tag(field, wireBytes)
	e.b = binary.AppendUvarint(e.b, uint64(len(p)))
	e.b = append(e.b, p...)
}

func (e *encoder) uint(field int, v uint64) {
	if v != 0 {
		e.tag(field, wireVarint)
		e.b = binary.AppendUvarint(e.b, v)
	}
}

func (e *encoder) int(field int, v int64) {
	if v != 0 {
		e.uint(field, zigzag(v))
	}
}

func (e *encoder) bool(field int, v bool) {
	if v {
		e.uint(field, 1)
	}
}

// time appends nanoseconds since 1970; the zero time is left out.
func (e *encoder) time(field int, t time.Time) {
	if t.IsZero() {
		return
	}
	if y := t.Year(); y < 1678 || y > 2261 {
		e.err = fmt.Errorf("field %d: time %w", field, errRange)
		return
	}
	e.tag(field, wireFixed64)
	e.b = binary.LittleEndian.AppendUint64(e.b, uint64(t.UnixNano()))
}

// durations appends a list as one field.
func (e *encoder) durations(field int, ds []time.Duration) {
	if len(ds) == 0 {
		return
	}
	var buf [binary.MaxVarintLen64]byte
	n := 0
	for _, d := range ds {
		n += binary.PutUvarint(buf[:], zigzag(int64(d)))
	}
	e.tag(field, wireBytes)
	e.b = binary.AppendUvarint(e.b, uint64(n))
	for _, d := range ds {
		e.b = binary.AppendUvarint(e.b, zigzag(int64(d)))
	}
}

// nested appends one element of a list of records within the record.
func (e *encoder) nested(field int, fill func(*encoder)) {
	var in encoder
	fill(&in)
	e.element(field, string(in.b))
	if e.err == nil {
		e.err = in.err
	}
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

// decoder reads fields from a string, so that texts share its memory without
// being copied one by one. The first error stays in err and ends the loop
//
//	for d.next() {
//		switch d.field { ... }
//	}
type decoder struct {
	rest  string
	err   error
	field int
	wire  int
	num   uint64
	val   string
}

// next reads one field, of whatever number.
func (d *decoder) next() bool {
	if d.err != nil || d.rest == "" {
		return false
	}
	tag := d.uvarint()
	d.wire = int(tag & 7)
	if n := tag >> 3; n == 0 || n > math.MaxInt32 {
		d.fail(errFieldZero)
	} else {
		d.field = int(n)
	}
	switch d.wire {
	case wireVarint:
		d.num = d.uvarint()
	case wireFixed64:
		d.num = d.fixed(8)
	case wireFixed32:
		d.num = d.fixed(4)
	case wireBytes:
		n := d.uvarint()
		if n > uint64(len(d.rest)) {
			d.fail(errCutShort)
			break
		}
		d.val, d.rest = d.rest[:n], d.rest[n:]
	default:
		d.fail(errWireType)
	}
	return d.err == nil
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for i := 0; i < len(d.rest) && i < binary.MaxVarintLen64; i++ {
		c := d.rest[i]
		if i == binary.MaxVarintLen64-1 && c > 1 {
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			d.rest = d.rest[i+1:]
			return v
		}
	}
	d.fail(errCutShort)
	return 0
}

func (d *decoder) fixed(n int) uint64 {
	if len(d.rest) < n {
		d.fail(errCutShort)
		return 0
	}
	var v uint64
	for i := range n {
		v |= uint64(d.rest[i]) << (8 * i)
	}
	d.rest = d.rest[n:]
	return v
}

func (d *decoder) want(wire int) bool {
	if d.wire != wire {
		d.fail(errWireType)
		return false
	}
	return true
}

func (d *decoder) text() string {
	if !d.want(wireBytes) {
		return ""
	}
	return d.val
}

func (d *decoder) bytes() []byte {
	if s := d.text(); s != "" {
		return []byte(s)
	}
	return nil
}

func (d *decoder) uint() uint64 {
	if !d.want(wireVarint) {
		return 0
	}
	return d.num
}

func (d *decoder) int64() int64 { return unzigzag(d.uint()) }

func (d *decoder) int() int {
	v := d.int64()
	if int64(int(v)) != v {
		d.fail(errRange)
	}
	return int(v)
}

func (d *decoder) bool() bool { return d.uint() != 0 }

func (d *decoder) time() time.Time {
	if !d.want(wireFixed64) {
		return time.Time{}
	}
	return time.Unix(0, int64(d.num)).UTC()
}

func (d *decoder) durations() []time.Duration {
	in := decoder{rest: d.text()}
	n := 0
	for i := range len(in.rest) {
		if in.rest[i] < 0x80 {
			n++
		}
	}
	if n == 0 && in.rest == "" {
		return nil
	}
	ds := make([]time.Duration, 0, n)
	for in.rest != "" && in.err == nil {
		ds = append(ds, time.Duration(unzigzag(in.uvarint())))
	}
	if in.err != nil {
		d.fail(in.err)
		return nil
	}
	return ds
}

// nested reads the fields of a record within the record, one at a time.
func (d *decoder) nested(field func(*decoder)) {
	in := decoder{rest: d.text()}
	for in.next() {
		field(&in)
	}
	if in.err != nil {
		d.fail(in.err)
	}
}

// finish seals the row that starts at from.
func finish(e *encoder, from int, kind Kind) ([]byte, error) {
	if e.err != nil {
		return e.b[:from], fmt.Errorf("encoding %s: %w", kind, e.err)
	}
	return seal(e.b, from, kind)
}

// open checks a row and starts decoding it; the only copy of it is made here.
func open(kind Kind, row []byte) (decoder, error) {
	p, err := Open(kind, row)
	if err != nil {
		return decoder{}, err
	}
	return decoder{rest: string(p)}, nil
}

// result turns the decoder's error into the caller's.
func (d *decoder) result(kind Kind) error {
	if d.err == nil {
		return nil
	}
	return corrupt(kind, d.err.Error())
}
