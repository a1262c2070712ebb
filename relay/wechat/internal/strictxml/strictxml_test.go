package strictxml

import (
	"maps"
	"strings"
	"testing"
)

var testLimits = Limits{Bytes: 4096, Elements: 12, Depth: 3}

// TestParse is about elements with children; the tests of payv2 are about flat
// documents, byte for byte.
func TestParse(t *testing.T) {
	t.Parallel()
	type fields = map[string]string
	tests := []struct {
		name string
		in   string
		want fields // nil for refused
	}{
		{"flat", `<xml><a>1</a><b/></xml>`, fields{"a": "1", "b": ""}},
		{"children", "<xml><a>1</a>\n<b>\n <c>2</c>\n <d/>\n</b>\n</xml>", fields{"a": "1", "b": ""}},
		{"children repeat", `<xml><b><i>1</i><i>2</i></b></xml>`, fields{"b": ""}},
		{"child named like a field", `<xml><a>1</a><b><a>2</a></b></xml>`, fields{"a": "1", "b": ""}},
		{"as deep as allowed", `<xml><a><b><c><d>1</d></c></b></a></xml>`, fields{"a": ""}},
		{"as many as allowed", `<xml><a>` + strings.Repeat("<b/>", 11) + `</a></xml>`, fields{"a": ""}},

		{"A11 too deep", `<xml><a><b><c><d><e/></d></c></b></a></xml>`, nil},
		{"A11 too many", `<xml><a>` + strings.Repeat("<b/>", 12) + `</a></xml>`, nil},
		{"A11 far too deep", `<xml>` + strings.Repeat("<a>", 1000) + `</xml>`, nil},
		{"A07 duplicate of one with children", `<xml><a><b/></a><a>1</a></xml>`, nil},
		{"A08 text before a child", `<xml><a>1<b/></a></xml>`, nil},
		{"A08 text after a child", `<xml><a><b/>00</a></xml>`, nil},
		{"A08 CDATA before a child", `<xml><a><![CDATA[1]]><b/></a></xml>`, nil},
		{"A08 CDATA after a child", `<xml><a><b/><![CDATA[1]]></a></xml>`, nil},
		{"A08 comment in a child", `<xml><a><b>1<!-- --></b></a></xml>`, nil},
		{"A08 comment beside a child", `<xml><a><b/><!-- --></a></xml>`, nil},
		{"A08 attribute of a child", `<xml><a><b c="1"/></a></xml>`, nil},
		{"A09 entity in a child", `<xml><a><b>&x;</b></a></xml>`, nil},
		{"crossed ends", `<xml><a><b></a></b></xml>`, nil},
		{"no end", `<xml><a><b/>`, nil},
		{"too long", `<xml><a>` + strings.Repeat("1", 4096) + `</a></xml>`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse([]byte(tt.in), "xml", testLimits)
			if (err == nil) != (tt.want != nil) || !maps.Equal(got, tt.want) {
				t.Errorf("Parse(%.200q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			if err != nil && got != nil {
				t.Error("something is returned with an error")
			}
		})
	}
	if _, err := Parse([]byte(`<xml><a><b/></a></xml>`), "xml", Limits{Bytes: 100, Elements: 10}); err == nil {
		t.Error("a child is read where none may be")
	}
}

// FuzzParse: a document that is read without children is read alike where
// children may be.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`<xml><a>1</a><b><![CDATA[<&]]></b><c/></xml>`))
	f.Add([]byte(`<xml><a><b>1</b><b>2</b></a></xml>`))
	f.Add([]byte(`<xml><a><b></a></b></xml>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		flat, err := Parse(body, "xml", Limits{Bytes: testLimits.Bytes, Elements: testLimits.Elements})
		deep, deepErr := Parse(body, "xml", testLimits)
		if err == nil && (deepErr != nil || !maps.Equal(flat, deep)) {
			t.Fatalf("%q reads as %q and as %q, %v", body, flat, deep, deepErr)
		}
		if deepErr != nil && deep != nil {
			t.Fatal("something is returned with an error")
		}
	})
}
