package store_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/store"
	"github.com/wxrelay/wxrelay/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden rows")

// record ties a kind to its functions, so that each test covers all kinds.
type record struct {
	kind   store.Kind
	fresh  func() any // pointer to a zero record
	encode func(dst []byte, p any) ([]byte, error)
	decode func(row []byte) (any, error) // pointer to the record
}

func kindOf[R any](kind store.Kind, enc func([]byte, *R) ([]byte, error), dec func([]byte) (R, error)) record {
	return record{
		kind:   kind,
		fresh:  func() any { return new(R) },
		encode: func(dst []byte, p any) ([]byte, error) { return enc(dst, p.(*R)) },
		decode: func(row []byte) (any, error) { r, err := dec(row); return &r, err },
	}
}

var records = []record{
	kindOf(store.KindOrder, store.EncodeOrder, store.DecodeOrder),
	kindOf(store.KindPayment, store.EncodePayment, store.DecodePayment),
	kindOf(store.KindEvidence, store.EncodeEvidence, store.DecodeEvidence),
	kindOf(store.KindEvent, store.EncodeEvent, store.DecodeEvent),
	kindOf(store.KindDelivery, store.EncodeDelivery, store.DecodeDelivery),
	kindOf(store.KindAttempt, store.EncodeAttempt, store.DecodeAttempt),
	kindOf(store.KindCase, store.EncodeCase, store.DecodeCase),
	kindOf(store.KindRefund, store.EncodeRefund, store.DecodeRefund),
	kindOf(store.KindSplit, store.EncodeSplit, store.DecodeSplit),
	kindOf(store.KindPayer, store.EncodePayer, store.DecodePayer),
	kindOf(store.KindGrant, store.EncodeGrant, store.DecodeGrant),
	kindOf(store.KindAccountToken, store.EncodeAccountToken, store.DecodeAccountToken),
}

// kinds is records and what is no record but a number.
var kinds = append(slices.Clone(records), kindOf(store.KindTally,
	func(dst []byte, fen *int64) ([]byte, error) { return store.EncodeTally(dst, *fen) }, store.DecodeTally))

func roundTrip(t *testing.T, r record, p any) []byte {
	t.Helper()
	row, err := r.encode(nil, p)
	if err != nil {
		t.Fatalf("encoding %+v: %v", p, err)
	}
	got, err := r.decode(row)
	if err != nil {
		t.Fatalf("decoding %x: %v", row, err)
	}
	if !reflect.DeepEqual(got, p) {
		t.Errorf("round trip:\n got %+v\nwant %+v", got, p)
	}
	return row
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, r := range kinds {
		t.Run(r.kind.String(), func(t *testing.T) {
			t.Parallel()
			roundTrip(t, r, r.fresh())
			for seed := range 20 {
				p := r.fresh()
				storetest.Fill(p, seed)
				roundTrip(t, r, p)
			}
		})
	}
}

// A field that somebody adds to a record and forgets here would be lost; each
// field alone must change the row and come back.
func TestNoFieldIsForgotten(t *testing.T) {
	t.Parallel()
	for _, r := range records {
		empty, err := r.encode(nil, r.fresh())
		if err != nil {
			t.Fatal(err)
		}
		full := r.fresh()
		storetest.Fill(full, 7)
		eachLeaf(reflect.TypeOf(full).Elem(), nil, func(path []int, name string) {
			t.Run(r.kind.String()+"."+name, func(t *testing.T) {
				t.Parallel()
				p := r.fresh()
				reflect.ValueOf(p).Elem().FieldByIndex(path).Set(reflect.ValueOf(full).Elem().FieldByIndex(path))
				if row := roundTrip(t, r, p); bytes.Equal(row, empty) {
					t.Error("the row does not hold the field")
				}
			})
		})
	}
}

func eachLeaf(typ reflect.Type, path []int, fn func([]int, string)) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		at := append(append([]int{}, path...), i)
		if f.Type.Kind() == reflect.Struct && f.Type != reflect.TypeFor[time.Time]() {
			eachLeaf(f.Type, at, func(p []int, n string) { fn(p, f.Name+"."+n) })
			continue
		}
		fn(at, f.Name)
	}
}

func TestValuesAtTheEdge(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]relay.Delivery{
		"times of long ago":  {CallbackAt: time.Date(1678, 1, 1, 0, 0, 0, 0, time.UTC)},
		"far times":          {CallbackAt: time.Date(2261, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		"the epoch":          {CallbackAt: time.Unix(0, 0).UTC()},
		"negative numbers":   {Attempts: -1, Tries: -1 << 31, Schedule: []time.Duration{-1, 0, 1 << 62}},
		"text that is bytes": {EventID: "\xff\x00\n", URL: strings.Repeat("x", 1000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			roundTrip(t, records[4], &d)
		})
	}
	t.Run("empty elements", func(t *testing.T) {
		t.Parallel()
		roundTrip(t, records[0], &relay.Order{Payments: []string{"", "a", ""}})
	})
	t.Run("other zones", func(t *testing.T) {
		t.Parallel()
		at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.FixedZone("CST", 8*3600))
		row, err := store.EncodeAttempt(nil, &relay.Attempt{StartedAt: at})
		if err != nil {
			t.Fatal(err)
		}
		got, err := store.DecodeAttempt(row)
		if err != nil || !got.StartedAt.Equal(at) || got.StartedAt.Location() != time.UTC {
			t.Errorf("got %v, %v, want the same moment in UTC", got.StartedAt, err)
		}
	})
	t.Run("time out of range", func(t *testing.T) {
		t.Parallel()
		if _, err := store.EncodeAttempt(nil, &relay.Attempt{StartedAt: time.Date(2262, 6, 1, 0, 0, 0, 0, time.UTC)}); err == nil {
			t.Error("got no error")
		}
	})
}

func TestRowTooLong(t *testing.T) {
	t.Parallel()
	dst := []byte("before")
	got, err := store.EncodeEvent(dst, &relay.Event{Body: make([]byte, store.MaxRow)})
	if long, ok := errors.AsType[*store.RowTooLongError](err); !ok || long.Kind != store.KindEvent || long.Size <= store.MaxRow {
		t.Errorf("got %v, want a RowTooLongError of an event", err)
	}
	if string(got) != "before" {
		t.Errorf("dst: got %q, want it as before", got)
	}
}

// Every damage is ErrCorrupt, never another record and never "not found"; the
// text names the kind and nothing that the row holds.
func TestDamage(t *testing.T) {
	t.Parallel()
	p := &relay.Order{Token: "topsecret", Description: "content"}
	row, err := store.EncodeOrder(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, row []byte) {
		t.Helper()
		o, err := store.DecodeOrder(row)
		switch {
		case !errors.Is(err, relay.ErrCorrupt) || errors.Is(err, relay.ErrNotFound):
			t.Errorf("%s: got %v, want ErrCorrupt", what, err)
		case !strings.Contains(err.Error(), "order") || strings.Contains(err.Error(), "topsecret") || strings.Contains(err.Error(), "content"):
			t.Errorf("%s: error text %q", what, err)
		}
		if !reflect.DeepEqual(o, relay.Order{}) {
			t.Errorf("%s: got %+v with the error", what, o)
		}
	}
	for i := range row {
		for bit := range 8 {
			b := bytes.Clone(row)
			b[i] ^= 1 << bit
			check("flipped bit", b)
		}
		check("cut short", row[:i])
	}
	check("too long", append(bytes.Clone(row), 0))
	if _, err := store.DecodePayment(row); !errors.Is(err, relay.ErrCorrupt) {
		t.Errorf("decoded as another kind: got %v, want ErrCorrupt", err)
	}
}

// sealed wraps a payload of the test's own making.
func sealed(t *testing.T, payload string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(payload, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	row, err := store.Seal(nil, store.KindAttempt, b)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func TestPayloads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, payload string
		want          relay.Attempt
		corrupt       bool
	}{
		{"empty", "", relay.Attempt{}, false},
		{"known field", "0a 01 41", relay.Attempt{EventID: "A"}, false},
		{"unknown fields of every form", "98 06 01  99 06 0102030405060708  9a 06 02 ffff  9d 06 01020304  0a 01 41", relay.Attempt{EventID: "A"}, false},
		{"last one counts", "0a 01 41 0a 01 42", relay.Attempt{EventID: "B"}, false},
		{"text cut short", "0a 05 41", relay.Attempt{}, true},
		{"length overflows", "0a ff ff ff ff ff ff ff ff ff 01", relay.Attempt{}, true},
		{"number cut short", "10 ff", relay.Attempt{}, true},
		{"number too long", "10 ff ff ff ff ff ff ff ff ff 7f", relay.Attempt{}, true},
		{"time cut short", "21 01 02", relay.Attempt{}, true},
		{"form of another field", "08 01", relay.Attempt{}, true},
		{"number where text is", "12 01 41", relay.Attempt{}, true},
		{"group", "0b", relay.Attempt{}, true},
		{"field zero", "02 01 41", relay.Attempt{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := store.DecodeAttempt(sealed(t, c.payload))
			if errors.Is(err, relay.ErrCorrupt) != c.corrupt || (err == nil) == c.corrupt {
				t.Fatalf("got error %v, want corrupt %v", err, c.corrupt)
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// The golden rows are those of schema version 1, each beside its record as
// JSON: v1 as it came out first, v1-3 with the fields that two generations,
// refunds and tasks added, v1-4 with what logins and tokens leave. Later
// programs must read them; only the newest are rewritten, and those not once
// they are out.
func TestGolden(t *testing.T) {
	t.Parallel()
	const newest = "v1-4"
	later := map[string][]store.Kind{ // kinds that a directory does not know yet
		"v1":   {store.KindTally, store.KindSplit, store.KindGrant, store.KindAccountToken},
		"v1-3": {store.KindGrant, store.KindAccountToken},
	}
	for _, dir := range []string{"v1", "v1-3", newest} {
		for _, r := range kinds {
			if slices.Contains(later[dir], r.kind) {
				continue
			}
			t.Run(dir+"/"+r.kind.String(), func(t *testing.T) {
				t.Parallel()
				name := filepath.Join("testdata", dir, r.kind.String())
				if *update && dir == newest {
					writeGolden(t, r, name)
				}
				testGolden(t, r, name)
			})
		}
	}
}

func testGolden(t *testing.T, r record, name string) {
	t.Helper()
	row, err := hex.DecodeString(strings.TrimSpace(read(t, name+".hex")))
	if err != nil {
		t.Fatal(err)
	}
	want := r.fresh()
	if err := json.Unmarshal([]byte(read(t, name+".json")), want); err != nil {
		t.Fatal(err)
	}
	got, err := r.decode(row)
	if err != nil {
		t.Fatalf("decoding the golden row: %v", err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("golden row:\n got %+v\nwant %+v", got, want)
	}
	if again, err := r.encode(nil, want); err != nil || store.SchemaVersion == 1 && !bytes.Equal(again, row) {
		t.Errorf("encoding has changed without a new schema version: got %x, %v, want %x", again, err, row)
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	dst := []byte("before")
	if got, err := store.EncodeTally(dst, -1); err == nil || string(got) != "before" {
		t.Errorf("below 0: got %q, %v, want an error and dst as before", got, err)
	}
	for name, payload := range map[string][]byte{
		"no number":       {},
		"cut short":       {0xff},
		"something after": {1, 1},
		"too large":       {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		"longer than any": {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
	} {
		row, err := store.Seal(nil, store.KindTally, payload)
		if err != nil {
			t.Fatal(err)
		}
		if fen, err := store.DecodeTally(row); !errors.Is(err, relay.ErrCorrupt) || fen != 0 {
			t.Errorf("%s: got %d, %v, want ErrCorrupt", name, fen, err)
		}
	}
	row, err := store.EncodeTally(nil, 300)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.DecodeTally(row[:len(row)-1]); !errors.Is(err, relay.ErrCorrupt) {
		t.Errorf("row cut short: got %v, want ErrCorrupt", err)
	}
	if _, err := store.DecodePayer(row); !errors.Is(err, relay.ErrCorrupt) {
		t.Errorf("read as a payer: got %v, want ErrCorrupt", err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeGolden(t *testing.T, r record, name string) {
	t.Helper()
	p := r.fresh()
	storetest.Fill(p, 42)
	row, err := r.encode(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for suffix, b := range map[string][]byte{".hex": []byte(hex.EncodeToString(row)), ".json": text} {
		if err := os.WriteFile(name+suffix, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzDecode feeds payloads that pass the checksum: decoding must not panic,
// and what it accepts must survive another round.
func FuzzDecode(f *testing.F) {
	for i, r := range kinds {
		p := r.fresh()
		storetest.Fill(p, i)
		row, err := r.encode(nil, p)
		if err != nil {
			f.Fatal(err)
		}
		payload, err := store.Open(r.kind, row)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, payload)
	}
	f.Fuzz(func(t *testing.T, which int, payload []byte) {
		r := kinds[uint(which)%uint(len(kinds))]
		if got, err := r.decode(payload); err == nil {
			t.Fatalf("a row without an envelope was read as %+v", got)
		}
		row, err := store.Seal(nil, r.kind, payload)
		if err != nil {
			t.Skip()
		}
		p, err := r.decode(row)
		if err != nil {
			if !errors.Is(err, relay.ErrCorrupt) {
				t.Fatalf("got %v, want ErrCorrupt", err)
			}
			return
		}
		again, err := r.encode(nil, p)
		if err != nil {
			return // too long, or a time that cannot be written
		}
		got, err := r.decode(again)
		if err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("second round:\n got %+v, %v\nwant %+v", got, err, p)
		}
	})
}

func BenchmarkOrder(b *testing.B) {
	o := new(relay.Order)
	storetest.Fill(o, 1)
	row, err := store.EncodeOrder(nil, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("encode", func(b *testing.B) {
		buf := make([]byte, 0, len(row))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := store.EncodeOrder(buf, o); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := store.DecodeOrder(row); err != nil {
				b.Fatal(err)
			}
		}
	})
}
