package strictjson

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
)

func TestParseKeepsTheSpelling(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte(` {"n":-1.50e2,"a":[true,null,"é\u00e9"],"o":{}} `))
	if err != nil {
		t.Fatal(err)
	}
	want := &Value{Kind: ObjectKind, Members: []Member{
		{"n", &Value{Kind: NumberKind, Text: "-1.50e2"}},
		{"a", &Value{Kind: ArrayKind, Items: []*Value{
			{Kind: BoolKind, Text: "true"}, {Kind: NullKind, Text: "null"}, {Kind: StringKind, Text: "éé"},
		}}},
		{"o", &Value{Kind: ObjectKind}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, want %+v", got, want)
	}
	if m := got.Member("n"); m == nil || m.Text != "-1.50e2" {
		t.Errorf("Member(n) = %+v, want the number", m)
	}
	if m := got.Member("N"); m != nil {
		t.Errorf("Member(N) = %+v, want none: names are compared as they stand", m)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, field string
		problem         Problem
	}{
		{"nothing", ``, "", Syntax},
		{"no value", `?`, "", Syntax},
		{"further bytes", `{} {}`, "", Trailing},
		{"cut object", `{"a":1`, "", Syntax},
		{"cut array", `[1`, "", Syntax},
		{"comma at the end", `[1,]`, "1", Syntax},
		{"wrong literal", `{"a":nul}`, "a", Syntax},
		{"leading zero", `[01]`, "", Syntax},
		{"name given twice", `{"a":1,"a":2}`, "a", Duplicate},
		{"name given twice, escaped", `{"a":1,"\u0061":2}`, "a", Duplicate},
		{"name given twice, inside", `{"x":[0,{"a":1,"a":2}]}`, "x.1.a", Duplicate},
		{"invalid UTF-8", "{\"a\":\"\xff\"}", "a", Encoding},
		{"half a surrogate pair", `{"a":"\ud83d"}`, "a", Encoding},
		{"too deep", strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), strings.Repeat(".0", MaxDepth)[1:], Depth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := Parse([]byte(tt.in))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Problem != tt.problem || e.Field != tt.field {
				t.Errorf("Parse(%q) = %v, want %q %s", tt.in, err, tt.field, tt.problem)
			}
			if v != nil {
				t.Errorf("Parse(%q) returned a value with its error", tt.in)
			}
		})
	}
}

// FuzzParse compares with encoding/json: what is accepted must be valid JSON
// and mean the same there.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,"x",null,true,{"b":-0.5e3}]}`, `{"a":1,"a":2}`, `"\ud83d"`, `[[[[]]]]`, ` 1 `, `{"":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			if v != nil {
				t.Fatalf("error %v came with a value", err)
			}
			return
		}
		var want any
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		if err := d.Decode(&want); err != nil || !json.Valid(data) {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", data, err)
		}
		if got := plainValue(v); !reflect.DeepEqual(got, want) {
			t.Fatalf("Parse(%q) means %#v, encoding/json has %#v", data, got, want)
		}
	})
}

// plainValue is v as encoding/json would have decoded it with UseNumber.
func plainValue(v *Value) any {
	switch v.Kind {
	case ObjectKind:
		object := map[string]any{}
		for _, m := range v.Members {
			object[m.Name] = plainValue(m.Value)
		}
		return object
	case ArrayKind:
		array := []any{}
		for _, item := range v.Items {
			array = append(array, plainValue(item))
		}
		return array
	case StringKind:
		return v.Text
	case NumberKind:
		return json.Number(v.Text)
	case BoolKind:
		return v.Text == "true"
	default:
		return nil
	}
}
