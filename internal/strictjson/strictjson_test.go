package strictjson

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
)

// sample has one field of every supported kind.
type sample struct {
	OrderNo  string            `json:"out_trade_no"`
	Amount   *money            `json:"amount,omitempty"`
	Paid     bool              `json:"paid"`
	Count    uint8             `json:"count"`
	Small    int8              `json:"small"`
	Lines    []money           `json:"lines"`
	Labels   map[string]string `json:"labels"`
	Raw      json.RawMessage   `json:"raw"`
	At       time.Time         `json:"at,omitzero"`
	Peer     netip.Addr        `json:"peer"`
	Next     *sample           `json:"next"`
	Untagged string
	Skipped  string `json:"-"`
	hidden   string //nolint:unused // shows that JSON does not reach it
}

type money struct {
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

func TestDecodeAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in string }{
		{"empty object", `{}`},
		{"white space everywhere", " \t\r\n{ \"paid\" : true , \"count\" : 3 } \n"},
		{"nested", `{"amount":{"total":100,"currency":"CNY"}}`},
		{"negative", `{"amount":{"total":-100}}`},
		{"bounds of int64", `{"lines":[{"total":9223372036854775807},{"total":-9223372036854775808}]}`},
		{"bounds of small kinds", `{"count":255,"small":-128}`},
		{"empty array", `{"lines":[]}`},
		{"map", `{"labels":{"a":"1","A":"2"}}`},
		{"empty map", `{"labels":{}}`},
		{"raw value", `{"raw":{"a":[1,2.5e3,null,"x"]}}`},
		{"time", `{"at":"2018-06-08T10:34:56+08:00"}`},
		{"text unmarshaler", `{"peer":"192.0.2.1"}`},
		{"itself behind a pointer", `{"next":{"next":{"paid":true}}}`},
		{"field without tag", `{"Untagged":"x"}`},
		{"escapes", `{"out_trade_no":"a\"\\\/\b\f\n\r\té€"}`},
		{"surrogate pair", `{"out_trade_no":"\ud83d\uDE00"}`},
		{"escaped name", `{"out\u005ftrade_no":"x"}`},
		{"direct UTF-8", `{"out_trade_no":"测试😀"}`},
		{"UTF-8 after an escape", `{"out_trade_no":"\n测试"}`},
		{"many containers side by side", `{"lines":[` + strings.Repeat(`{},`, 2*MaxDepth) + `{}]}`},
		{"depth at the limit", `{"raw":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, want := sample{OrderNo: "left over", Next: &sample{}}, sample{}
			if err := Decode([]byte(tt.in), &got, Options{}); err != nil {
				t.Fatalf("Decode(%s) = %v", tt.in, err)
			}
			if err := json.Unmarshal([]byte(tt.in), &want); err != nil {
				t.Fatalf("encoding/json refuses %s: %v", tt.in, err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("Decode(%s) = %+v, want %+v", tt.in, got, want)
			}
		})
	}
}

// TestDecodeRefuses_B15 is the table of threats B15 and C11: what
// encoding/json lets pass or reads in a way of its own.
func TestDecodeRefuses_B15(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	tests := []struct {
		name, in string
		field    string
		problem  Problem
	}{
		{"duplicate name", `{"out_trade_no":"a","out_trade_no":"b"}`, "out_trade_no", Duplicate},
		{"duplicate by escape", `{"out_trade_no":"a","out\u005ftrade_no":"b"}`, "out_trade_no", Duplicate},
		{"duplicate inside", `{"amount":{"total":1,"total":1}}`, "amount.total", Duplicate},
		{"duplicate in map", `{"labels":{"a":"1","a":"2"}}`, "labels.a", Duplicate},
		{"duplicate in raw value", `{"raw":{"a":1,"a":2}}`, "raw.a", Duplicate},
		{"case variant", `{"OUT_TRADE_NO":"a"}`, "OUT_TRADE_NO", CaseVariant},
		{"case variant inside", `{"amount":{"Total":1}}`, "amount.Total", CaseVariant},
		{"case variant outside ASCII", `{"\u017fmall":1}`, "?mall", CaseVariant},
		{"exponent", `{"amount":{"total":1e2}}`, "amount.total", NotInteger},
		{"fraction", `{"amount":{"total":100.0}}`, "amount.total", NotInteger},
		{"negative zero", `{"amount":{"total":-0}}`, "amount.total", NotInteger},
		{"string for number", `{"amount":{"total":"100"}}`, "amount.total", Type},
		{"number for string", `{"out_trade_no":1}`, "out_trade_no", Type},
		{"number for boolean", `{"paid":1}`, "paid", Type},
		{"object for string", `{"out_trade_no":{}}`, "out_trade_no", Type},
		{"array for object", `{"amount":[]}`, "amount", Type},
		{"object for array", `{"lines":{}}`, "lines", Type},
		{"number for map value", `{"labels":{"a":1}}`, "labels.a", Type},
		{"overflow", `{"amount":{"total":9223372036854775808}}`, "amount.total", Range},
		{"overflow of a small kind", `{"small":128}`, "small", Range},
		{"negative for unsigned", `{"count":-1}`, "count", Range},
		{"element named", `{"lines":[{"total":1},{"total":1.5}]}`, "lines.1.total", NotInteger},
		{"nested arrays", `{"raw":` + deep + `}`, "raw", Depth},
		{"depth over the limit", `{"raw":` + strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth) + `}`, "raw", Depth},
		{"null", `{"amount":null}`, "amount", Null},
		{"null document", `null`, "", Null},
		{"bad time", `{"at":"yesterday"}`, "at", Content},
		{"bad text", `{"peer":"x"}`, "peer", Content},
		{"time as number", `{"peer":1}`, "peer", Type},
		{"trailing value", `{} {}`, "", Trailing},
		{"trailing byte", `{}x`, "", Trailing},
		{"byte order mark", "\ufeff{}", "", Syntax},
		{"invalid UTF-8", "{\"out_trade_no\":\"\xff\"}", "out_trade_no", Encoding},
		{"invalid UTF-8 after an escape", "{\"out_trade_no\":\"\\n\xff\"}", "out_trade_no", Encoding},
		{"invalid UTF-8 in a name", "{\"a\xff\":1}", "", Encoding},
		{"lone high surrogate", `{"out_trade_no":"\ud83d"}`, "out_trade_no", Encoding},
		{"high surrogate before another escape", `{"out_trade_no":"\ud83d\n"}`, "out_trade_no", Encoding},
		{"two high surrogates", `{"out_trade_no":"\ud83d\ud83d"}`, "out_trade_no", Encoding},
		{"lone low surrogate", `{"out_trade_no":"\ude00"}`, "out_trade_no", Encoding},
		{"unknown name", `{"x":1}`, "x", Unknown},
		{"unknown name with control characters", `{"\u000a{":1}`, "?{", Unknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := sample{OrderNo: "left over"}
			err := Decode([]byte(tt.in), &got, Options{})
			var e *Error
			if !errors.As(err, &e) || e.Field != tt.field || e.Problem != tt.problem {
				t.Fatalf("Decode(%.80s) = %v, want %q %q", tt.in, err, tt.field, tt.problem)
			}
			if !reflect.DeepEqual(got, sample{}) {
				t.Errorf("Decode(%.80s) left %+v, want the zero value", tt.in, got)
			}
		})
	}
}

func TestDecodeRefusesSyntax(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		``, ` `, `{`, `}`, `[`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `{,}`, `{"a" 1}`, `{a:1}`, `{'a':1}`,
		`{"raw":[1,]}`, `{"raw":[,]}`, `{"raw":[1 2]}`, `{"raw":01}`, `{"raw":1.}`, `{"raw":.5}`, `{"raw":1e}`, `{"raw":1e+}`,
		`{"raw":-}`, `{"raw":+1}`, `{"raw":NaN}`, `{"raw":tru}`, `{"raw":nul}`, `{"paid":truE}`, `{"raw":"\x"}`, `{"raw":"\u12"}`,
		`{"raw":"\u12G4"}`, `{"raw":"\ud83d\u00"}`, `{"raw":"`, `{"raw":"\`, `{"raw":"a\`, `{"raw":"a\n`, "{\"raw\":\"\n\"}",
		"{\"raw\":\"\\t\n\"}", `{"raw":1}/*c*/`, `{/**/}`, "\x00",
	} {
		t.Run(in, func(t *testing.T) {
			t.Parallel()
			var got sample
			if err := Decode([]byte(in), &got, Options{AllowUnknown: true}); err == nil {
				t.Errorf("Decode(%q) succeeded", in)
			}
			if json.Valid([]byte(in)) {
				t.Errorf("%q is valid JSON; the case shows nothing", in)
			}
		})
	}
}

func TestDecodeAllowUnknown(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		problem  Problem // empty for success
	}{
		{"skips every type", `{"a":1.5e-3,"b":"x","c":[true,false,null,{}],"d":{"e":{}},"paid":true}`, ""},
		{"null is absence", `{"amount":null,"out_trade_no":null,"lines":null,"paid":true}`, ""},
		{"duplicate of an unknown name", `{"a":1,"a":1,"paid":true}`, Duplicate},
		{"duplicate in what is skipped", `{"x":[{"a":{"b":1,"b":2}}],"paid":true}`, Duplicate},
		{"duplicate after null", `{"paid":null,"paid":true}`, Duplicate},
		{"case variant", `{"Paid":true}`, CaseVariant},
		{"invalid UTF-8 in what is skipped", "{\"x\":\"\xc3\x28\",\"paid\":true}", Encoding},
		{"depth in what is skipped", `{"x":` + strings.Repeat(`{"a":`, 5000) + `1` + strings.Repeat("}", 5000) + `}`, Depth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got sample
			err := Decode([]byte(tt.in), &got, Options{AllowUnknown: true})
			if tt.problem == "" {
				if err != nil || !reflect.DeepEqual(got, sample{Paid: true}) {
					t.Errorf("Decode(%s) = %+v, %v", tt.in, got, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Problem != tt.problem {
				t.Errorf("Decode(%.80s) = %v, want %q", tt.in, err, tt.problem)
			}
		})
	}
}

// TestDecodeManyNames shows that a duplicate is found beyond the names that
// are compared one by one.
func TestDecodeManyNames(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 15, 16, 17, 18, 1000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"n%d":0,`, i)
		}
		var got sample
		if err := Decode([]byte("{"+b.String()+`"last":0}`), &got, Options{AllowUnknown: true}); err != nil {
			t.Errorf("%d names: %v", n, err)
		}
		for _, twice := range []string{"n0", fmt.Sprintf("n%d", n-1)} {
			if err := Decode([]byte("{"+b.String()+`"`+twice+`":0}`), &got, Options{AllowUnknown: true}); err == nil {
				t.Errorf("%d names: the second %s was not found", n, twice)
			}
		}
	}
}

// TestErrorRepeatsNoValue: values may be secrets or personal data.
func TestErrorRepeatsNoValue(t *testing.T) {
	t.Parallel()
	const secret = "s3cr3t-marker"
	for _, in := range []string{
		`{"paid":"` + secret + `"}`, `{"at":"` + secret + `"}`, `{"out_trade_no":"` + secret, `{"x":"` + secret + `"}`,
	} {
		var got sample
		if err := Decode([]byte(in), &got, Options{}); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("Decode(%s) = %v, want an error without the value", in, err)
		}
	}
	var e *Error
	long := strings.Repeat("n", 1000)
	if err := Decode([]byte(`{"`+long+`":1}`), &sample{}, Options{}); !errors.As(err, &e) || len(e.Field) != maxNameShown {
		t.Errorf("field of %d bytes, want the name cut to %d", len(e.Field), maxNameShown)
	}
}

func TestDecodeUnsupportedTargets(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		"nil":            nil,
		"no pointer":     sample{},
		"nil pointer":    (*sample)(nil),
		"any":            new(any),
		"float":          new(float64),
		"bytes":          new([]byte),
		"map of numbers": new(map[string]int),
		"embedded":       new(struct{ money }),
		"string option": new(struct {
			N int `json:"n,string"`
		}),
		"repeated name": new(struct {
			A    int `json:"Name"` //nolint:tagliatelle // the name of the other field
			Name int
		}),
	}
	for name, target := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e *Error
			if err := Decode([]byte(`{}`), target, Options{}); err == nil || errors.As(err, &e) {
				t.Errorf("Decode into %T = %v, want an error about the target", target, err)
			}
		})
	}
}

// FuzzDecode compares with encoding/json: what is accepted must be valid JSON
// and give the same values, and an error must leave nothing behind.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"out_trade_no":"a","amount":{"total":100,"currency":"CNY"},"paid":true,"count":1,"small":-1}`,
		`{"lines":[{"total":1}],"labels":{"a":"\u00e9"},"raw":[1,2.5,"x",null],"at":"2018-06-08T10:34:56+08:00"}`,
		`{"next":{"peer":"::1"},"Untagged":"\ud83d\ude00"}`, `{"a":{"a":1,"a":2}}`, `[]`, `null`, `{"total":1e2}`,
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, allowUnknown bool) {
		var got, want sample
		if err := Decode(data, &got, Options{AllowUnknown: allowUnknown}); err != nil {
			if !reflect.DeepEqual(got, sample{}) {
				t.Fatalf("error %v left %+v", err, got)
			}
			return
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("accepted %q, which encoding/json refuses: %v", data, err)
		}
		// encoding/json keeps "null" in a RawMessage where absence is meant here.
		dropNullRaw(&want)
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("Decode(%q) = %+v, encoding/json has %+v", data, got, want)
		}
	})
}

func dropNullRaw(s *sample) {
	for ; s != nil; s = s.Next {
		if string(s.Raw) == "null" {
			s.Raw = nil
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	doc := []byte(`{"out_trade_no":"1217752501201407033233368018","amount":{"total":100,"currency":"CNY"},"unknown":"` +
		strings.Repeat("ciphertext", 180) + `","paid":true,"count":` + fmt.Sprint(math.MaxUint8) + `}`)
	b.Run("strict", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var s sample
			if err := Decode(doc, &s, Options{AllowUnknown: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var s sample
			if err := json.Unmarshal(doc, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
}
