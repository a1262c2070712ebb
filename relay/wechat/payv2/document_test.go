package payv2

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestParseMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		want Message // nil for refused
	}{
		{"plain", `<xml><a>1</a><b>x y</b></xml>`, Message{"a": "1", "b": "x y"}},
		{"CDATA", `<xml><a><![CDATA[1]]></a></xml>`, Message{"a": "1"}},
		{"A08 CDATA in two runs", `<xml><a><![CDATA[1]]><![CDATA[00]]></a></xml>`, Message{"a": "100"}},
		{"CDATA and text", `<xml><a>1<![CDATA[<&]]>2</a></xml>`, Message{"a": "1<&2"}},
		{"CDATA that ends CDATA", `<xml><a><![CDATA[]]]]><![CDATA[>]]></a></xml>`, Message{"a": "]]>"}},
		{"references", `<xml><a>&lt;&amp;&gt;&quot;&apos;&#65;&#x6d4B;&#10;&#13;</a></xml>`, Message{"a": "<&>\"'A测\n\r"}},
		{"reference is not expanded twice", `<xml><a>&amp;lt;</a></xml>`, Message{"a": "&lt;"}},
		{"no reference in CDATA", `<xml><a><![CDATA[&lt;]]></a></xml>`, Message{"a": "&lt;"}},
		{"white space between", " \n<xml>\r\n\t<a>1</a>\n</xml >\n", Message{"a": "1"}},
		{"white space kept", "<xml><a> 1\t\n</a></xml>", Message{"a": " 1\t\n"}},
		{"line ends", "<xml><a>1\r\n2\r3</a></xml>", Message{"a": "1\n2\n3"}},
		{"empty field", `<xml><a></a><b/><c /></xml>`, Message{"a": "", "b": "", "c": ""}},
		{"empty message", `<xml/>`, Message{}},
		{"names", `<xml><_a-b.c1>1</_a-b.c1><A>2</A><a>3</a></xml>`, Message{"_a-b.c1": "1", "A": "2", "a": "3"}},
		{"declaration", `<?xml version="1.0" encoding="utf-8"?><xml><a>1</a></xml>`, Message{"a": "1"}},
		{"declaration, single quotes", `<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>` + "\n<xml><a>1</a></xml>", Message{"a": "1"}},
		{"declaration without charset", `<?xml version="1.0"?><xml><a>1</a></xml>`, Message{"a": "1"}},
		{"A13 byte order mark", "\ufeff<xml><a>1</a></xml>", Message{"a": "1"}},
		{"byte order mark and declaration", "\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?><xml><a>1</a></xml>", Message{"a": "1"}},

		{"A07 duplicate", `<xml><a>1</a><b>2</b><a>1</a></xml>`, nil},
		{"A07 duplicate of an empty one", `<xml><a/><a>1</a></xml>`, nil},
		{"A06 two signatures", `<xml><sign>X</sign><sign>Y</sign></xml>`, nil},
		{"A08 comment", `<xml><a>1<!-- -->00</a></xml>`, nil},
		{"A08 comment between", `<xml><!-- --><a>1</a></xml>`, nil},
		{"A08 comment in front", `<!-- --><xml><a>1</a></xml>`, nil},
		{"A08 comment after", `<xml><a>1</a></xml><!-- -->`, nil},
		{"A08 child", `<xml><a>1<b/>00</a></xml>`, nil},
		{"A08 child alone", `<xml><a><b>1</b></a></xml>`, nil},
		{"A08 prefix", `<xml><x:a>1</x:a></xml>`, nil},
		{"A08 namespace", `<xml xmlns="urn:x"><a>1</a></xml>`, nil},
		{"A08 attribute", `<xml><a x="1">1</a></xml>`, nil},
		{"A08 attribute of the root", `<xml x="1"><a>1</a></xml>`, nil},
		{"A08 processing instruction", `<xml><a>1<?php ?>00</a></xml>`, nil},
		{"A08 processing instruction between", `<xml><?x ?><a>1</a></xml>`, nil},
		{"A08 processing instruction in front", `<?x ?><xml><a>1</a></xml>`, nil},
		{"A09 document type", `<!DOCTYPE xml><xml><a>1</a></xml>`, nil},
		{"A09 external entity", `<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><a>&x;</a></xml>`, nil},
		{"A09 entity without a type", `<xml><a>&x;</a></xml>`, nil},
		{"A09 type after the declaration", `<?xml version="1.0"?><!DOCTYPE xml><xml><a>1</a></xml>`, nil},
		{"A10 explosion", explosion(), nil},
		{"A13 GBK", `<?xml version="1.0" encoding="GBK"?><xml><a>1</a></xml>`, nil},
		{"A13 two declarations", `<?xml version="1.0"?><?xml version="1.0"?><xml><a>1</a></xml>`, nil},
		{"A13 version", `<?xml version="1.1"?><xml><a>1</a></xml>`, nil},
		{"A13 declaration after a blank", ` <?xml version="1.0"?><xml><a>1</a></xml>`, nil},
		{"A13 UTF-16", "\xff\xfe<\x00x\x00m\x00l\x00>\x00", nil},
		{"A13 overlong", "<xml><a>\xc0\xaf</a></xml>", nil},
		{"A13 lone byte", "<xml><a>\xff</a></xml>", nil},
		{"A13 two marks", "\ufeff\ufeff<xml><a>1</a></xml>", nil},
		{"A13 surrogate", "<xml><a>\xed\xa0\x80</a></xml>", nil},
		{"second root", `<xml><a>1</a></xml><xml><a>1</a></xml>`, nil},
		{"trailing text", `<xml><a>1</a></xml>x`, nil},
		{"trailing NUL", "<xml><a>1</a></xml>\x00", nil},
		{"leading text", `x<xml><a>1</a></xml>`, nil},
		{"text in the root", `<xml>x<a>1</a></xml>`, nil},
		{"CDATA in the root", `<xml><![CDATA[ ]]><a>1</a></xml>`, nil},
		{"reference in the root", `<xml>&#32;<a>1</a></xml>`, nil},
		{"other root", `<root><a>1</a></root>`, nil},
		{"root in capitals", `<XML><a>1</a></XML>`, nil},
		{"control character", "<xml><a>\x01</a></xml>", nil},
		{"control character in CDATA", "<xml><a><![CDATA[\x00]]></a></xml>", nil},
		{"control character by reference", `<xml><a>&#1;</a></xml>`, nil},
		{"NUL by reference", `<xml><a>&#0;</a></xml>`, nil},
		{"surrogate by reference", `<xml><a>&#xD800;</a></xml>`, nil},
		{"no character", `<xml><a>&#xFFFE;</a></xml>`, nil},
		{"beyond Unicode", `<xml><a>&#x110000;</a></xml>`, nil},
		{"endless reference", `<xml><a>&#00000000000000000065;</a></xml>`, nil},
		{"empty reference", `<xml><a>&;</a></xml>`, nil},
		{"reference without a number", `<xml><a>&#;&#x;</a></xml>`, nil},
		{"reference with a sign", `<xml><a>&#+65;</a></xml>`, nil},
		{"open reference", `<xml><a>&amp</a></xml>`, nil},
		{"CDATA end in text", `<xml><a>]]></a></xml>`, nil},
		{"open CDATA", `<xml><a><![CDATA[1</a></xml>`, nil},
		{"lower-case CDATA", `<xml><a><![cdata[1]]></a></xml>`, nil},
		{"wrong end", `<xml><a>1</b></xml>`, nil},
		{"wrong end of the root", `<xml><a>1</a></xmlx>`, nil},
		{"no end", `<xml><a>1</a>`, nil},
		{"no end of a field", `<xml><a>1`, nil},
		{"end without name", `<xml><a>1</></xml>`, nil},
		{"name that begins with a digit", `<xml><1>1</1></xml>`, nil},
		{"name that is not ASCII", `<xml><é>1</é></xml>`, nil},
		{"no name", `<xml><>1</></xml>`, nil},
		{"space before a name", `<xml>< a>1</a></xml>`, nil},
		{"long name", "<xml><" + strings.Repeat("a", 65) + "/></xml>", nil},
		{"nothing", ``, nil},
		{"blank", "\n", nil},
		{"JSON", `{"return_code":"SUCCESS"}`, nil},
		{"HTML", `<html><body>x</body></html>`, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseMessage([]byte(tt.in))
			if (err == nil) != (tt.want != nil) || !maps.Equal(got, tt.want) {
				t.Errorf("ParseMessage(%.200q) = %q, %v; want %q", tt.in, got, err, tt.want)
			}
			if err != nil && got != nil {
				t.Error("something is returned with an error")
			}
		})
	}
}

// explosion is the billion laughs.
func explosion() string {
	var b strings.Builder
	b.WriteString(`<!DOCTYPE x [<!ENTITY l0 "lol">`)
	for i := 1; i <= 9; i++ {
		fmt.Fprintf(&b, `<!ENTITY l%d "%s">`, i, strings.Repeat(fmt.Sprintf("&l%d;", i-1), 10))
	}
	b.WriteString(`]><xml><a>&l9;</a></xml>`)
	return b.String()
}

// TestParseMessageFetchesNothing_A09: an entity that names an address is never
// asked for.
func TestParseMessageFetchesNothing_A09(t *testing.T) {
	t.Parallel()
	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the canary was asked") }))
	t.Cleanup(canary.Close)
	for _, in := range []string{
		`<!DOCTYPE r [<!ENTITY x SYSTEM "` + canary.URL + `/">]><xml><a>&x;</a></xml>`,
		`<!DOCTYPE xml SYSTEM "` + canary.URL + `/"><xml><a>1</a></xml>`,
		`<?xml-stylesheet href="` + canary.URL + `/"?><xml><a>1</a></xml>`,
	} {
		if _, err := ParseMessage([]byte(in)); err == nil {
			t.Errorf("%s is read", in)
		}
	}
}

// TestParseMessageStaysSmall_A10: refusing an explosion costs no more than its
// bytes.
func TestParseMessageStaysSmall_A10(t *testing.T) {
	body := []byte(explosion())
	if got := testing.AllocsPerRun(10, func() { _, _ = ParseMessage(body) }); got > 20 {
		t.Errorf("%v allocations", got)
	}
}

func TestParseMessageLimits_A11_A12(t *testing.T) {
	t.Parallel()
	wide := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "<f%d/>", i)
		}
		return "<xml>" + b.String() + "</xml>"
	}
	long := func(n int) string {
		const frame = "<xml><a></a></xml>"
		return "<xml><a>" + strings.Repeat("1", n-len(frame)) + "</a></xml>"
	}
	tests := []struct {
		name string
		in   string
		ok   bool
	}{
		{"as wide as allowed", wide(128), true},
		{"too wide", wide(129), false},
		{"far too wide", wide(60000)[:MaxNotification-6] + "</xml>", false},
		{"as long as allowed", long(MaxNotification), true},
		{"too long", long(MaxNotification + 1), false},
		{"deep", strings.Repeat("<a>", 20000), false},
		{"deep below the root", "<xml>" + strings.Repeat("<a>", 20000), false},
		{"depth of three", "<xml><a><b></b></a></xml>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := ParseMessage([]byte(tt.in)); (err == nil) != tt.ok {
				t.Errorf("got %v", err)
			}
		})
	}
	if _, err := parseDocument([]byte(wide(500)), rootMessage, answerLimits); err != nil {
		t.Errorf("an answer with 500 fields: %v", err)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Message{
		`<xml></xml>`: {},
		`<xml><A><![CDATA[2]]></A><a></a><b><![CDATA[<&>]]></b></xml>`: {"b": "<&>", "a": "", "A": "2"},
		`<xml><a>]]&gt;&amp;&lt;</a></xml>`:                            {"a": "]]>&<"},
		`<xml><a>1&#13;` + "\n" + `2</a></xml>`:                        {"a": "1\r\n2"},
	} {
		if got := string(m.Encode()); got != want {
			t.Errorf("%q encodes to %s, want %s", m, got, want)
		}
		if back, err := ParseMessage([]byte(want)); err != nil || !maps.Equal(back, m) {
			t.Errorf("%s reads as %q, %v", want, back, err)
		}
	}
}

// TestXMLVerifyVectors reads and verifies documents of others.
func TestXMLVerifyVectors(t *testing.T) {
	t.Parallel()
	type input struct {
		XML      string   `json:"xml"`
		Key      string   `json:"key"`
		SignType SignType `json:"sign_type"`
	}
	type want struct {
		Valid bool `json:"valid"`
	}
	forEachVector(t, "v2_xml_verify", func(t *testing.T, v vector[input, want]) {
		m, err := ParseMessage([]byte(v.Input.XML))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.verify(v.Input.SignType, []byte(v.Input.Key)); (err == nil) != v.Expected.Valid {
			t.Errorf("got %v, want valid %t", err, v.Expected.Valid)
		}
		for i := range v.Input.XML {
			changed := []byte(v.Input.XML)
			changed[i] ^= 1
			m, err := ParseMessage(changed)
			if err == nil && m.verify(v.Input.SignType, []byte(v.Input.Key)) == nil && !strings.ContainsAny(v.Input.XML[i:i+1], "\n\t ") {
				t.Errorf("verifies with byte %d changed: %s", i, changed)
			}
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte(`<xml><a>1</a><b><![CDATA[<&]]></b><c/></xml>`))
	f.Add([]byte("\ufeff<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<xml>\n<a>&#13;&lt;]]&gt;</a></xml>\n"))
	f.Add([]byte(strings.Repeat("<a>", 1000)))
	f.Add([]byte(explosion()))
	f.Add(SuccessReply())
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseMessage(body)
		if err != nil {
			if m != nil {
				t.Fatal("something is returned with an error")
			}
			return
		}
		encoded := m.Encode()
		again, err := parseDocument(encoded, rootMessage, answerLimits) // escaped text is longer
		if err != nil || !maps.Equal(again, m) {
			t.Fatalf("%q reads as %q, encodes to %s, reads as %q, %v", body, m, encoded, again, err)
		}
		if twice := again.Encode(); string(twice) != string(encoded) {
			t.Fatalf("encodes to %s, then to %s", encoded, twice)
		}
	})
}
