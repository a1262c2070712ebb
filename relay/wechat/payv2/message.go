package payv2

import (
	"maps"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/relay/wechat/internal/strictxml"
)

// MaxNotification is the longest notification that is looked at, in bytes.
const MaxNotification = 64 << 10

// Message is one flat XML document: the fields of a request, an answer or a
// notification by their names. Values are text as signed, after the decoding
// of CDATA and references; a field that is present without a value is the
// empty string.
type Message map[string]string

// Roots of the documents.
const (
	rootMessage = "xml"
	rootRefund  = "root" // the content of req_info
)

var (
	// notificationLimits are for what anybody may post (threats A11 and A12).
	notificationLimits = strictxml.Limits{Bytes: MaxNotification, Elements: 128}
	// answerLimits are for WeChat's answers, the longest of which lists 20
	// refunds with their coupons.
	answerLimits = strictxml.Limits{Bytes: maxAnswer, Elements: 2048}
)

// parseDocument reads a flat document (section 2).
func parseDocument(body []byte, root string, l strictxml.Limits) (Message, error) {
	return strictxml.Parse(body, root, l)
}

// ParseMessage reads one document with the root xml, as strictly as the
// limits of a notification demand. It returns nothing on error, and what it
// returns encodes to a document that it reads as the same fields.
func ParseMessage(body []byte) (Message, error) {
	return parseDocument(body, rootMessage, notificationLimits)
}

// ParseAnswer reads an answer of WeChat in the same way, which may be longer
// than what strangers post.
func ParseAnswer(body []byte) (Message, error) {
	return parseDocument(body, rootMessage, answerLimits)
}

// Encode writes the message as a document with the root xml, fields sorted by
// name. Equal messages have equal documents.
func (m Message) Encode() []byte { return m.encode(rootMessage) }

func (m Message) encode(root string) []byte {
	var b strings.Builder
	b.WriteString("<" + root + ">")
	for _, name := range slices.Sorted(maps.Keys(m)) {
		b.WriteString("<" + name + ">")
		writeText(&b, m[name])
		b.WriteString("</" + name + ">")
	}
	b.WriteString("</" + root + ">")
	return []byte(b.String())
}

// escaper makes any text survive outside CDATA. A carriage return must be a
// reference, for readers turn a literal one into a line feed (XML 1.0 2.11).
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")

// writeText writes a value the way WeChat does, in CDATA, unless CDATA cannot
// hold it.
func writeText(b *strings.Builder, value string) {
	switch {
	case value == "":
	case strings.Contains(value, "]]>"), strings.Contains(value, "\r"):
		_, _ = escaper.WriteString(b, value) // a Builder does not fail
	default:
		b.WriteString("<![CDATA[" + value + "]]>")
	}
}
