package web

import (
	"bytes"
	"encoding/json"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay"
)

// compatCall is what a v2-style request (contract section 3.3) of a route may
// say. The v2 rule joins names and values without escaping, so that only
// documented names are taken (threats C15).
type compatCall struct {
	body   map[string]fieldKind // the body's members; nil for a call without a body
	query  []string             // the query's parameters
	param  string               // the name of the path's parameter, which may be repeated as a field
	strong bool                 // MD5 is not taken
}

// compatCalls are the calls that may be signed v2-style.
var compatCalls = [routeCount]*compatCall{
	routeOrders:   {body: fieldsOf[relay.CreateOrderRequest]()},
	routeOrder:    {query: []string{"refresh"}, param: "order_no"},
	routePayments: {body: fieldsOf[relay.CreatePaymentRequest](), param: "order_no"},
	routeClose:    {body: map[string]fieldKind{}, param: "order_no", strong: true},
	routeRefunds:  {body: fieldsOf[relay.CreateRefundRequest](), param: "order_no", strong: true},
	routeRefund:   {query: []string{"refresh"}, param: "refund_no"},
	routeEvents:   {query: []string{"after", "limit"}},
	routeEvent:    {param: "id"},
	routeTicket:   {body: map[string]fieldKind{}, param: "ticket"},
}

// compatSigning are the fields of the signature itself.
var compatSigning = [...]string{"client_id", "timestamp", "nonce_str", "sign_type", "sign"}

// fieldKind is how the text of a field becomes a member of the body.
type fieldKind uint8

const (
	fieldText fieldKind = iota + 1
	fieldInteger
	fieldFlag   // true or false
	fieldObject // an object as JSON text
)

// fieldsOf lists the members of a body, so that the names of a call are kept
// in one place, the type that its body is decoded into.
func fieldsOf[T any]() map[string]fieldKind {
	t := reflect.TypeFor[T]()
	fields := make(map[string]fieldKind, t.NumField())
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind := f.Type
		if kind.Kind() == reflect.Pointer {
			kind = kind.Elem()
		}
		switch {
		case kind == reflect.TypeFor[json.RawMessage]():
			fields[name] = fieldObject
		case kind.Kind() == reflect.String:
			fields[name] = fieldText
		case kind.Kind() == reflect.Int64:
			fields[name] = fieldInteger
		case kind.Kind() == reflect.Bool:
			fields[name] = fieldFlag
		}
	}
	return fields
}

// knows reports whether the call documents a field of that name.
func (c *compatCall) knows(name string) bool {
	if _, ok := c.body[name]; ok || (name == c.param && name != "") {
		return true
	}
	return slices.Contains(c.query, name) || slices.Contains(compatSigning[:], name)
}

// holdsAnother reports whether a value reads like its end and another field of
// the call: under one signature it could be cut in two, or two be joined to it.
func (c *compatCall) holdsAnother(value string) bool {
	_, others, _ := strings.Cut(value, "&")
	for part := range strings.SplitSeq(others, "&") {
		if name, _, ok := strings.Cut(part, "="); ok && c.knows(name) {
			return true
		}
	}
	return false
}

// compatFields takes the fields of a request that is signed v2-style; nil for
// one that is not. They come from the query, or from a body whose type is
// said rightly, and never from both (threats C14).
func (x *exchange) compatFields(call *compatCall, body []byte) (map[string]string, error) {
	// A cheap look spares most requests a second reading.
	inQuery, inBody := strings.Contains(x.r.URL.RawQuery, "sign"), bytes.Contains(body, []byte("sign"))
	if !inQuery && !inBody {
		return nil, nil
	}
	var fields map[string]string
	var err error
	types := x.r.Header.Values("Content-Type")
	switch {
	case inQuery:
		fields, err = parseForm(x.r.URL.RawQuery)
	case isForm(types):
		fields, err = parseForm(string(body))
	case isJSON(types):
		fields, err = parseFlat(body)
	default:
		return nil, errMedia
	}
	switch {
	case err != nil:
		return nil, err
	case fields["sign"] == "":
		return nil, nil
	case x.r.URL.RawQuery != "" && len(body) > 0:
		return nil, paramError("", "send the signed fields in the query or in the body, not in both")
	case inBody && call.body == nil:
		return nil, paramError("", "this request takes no body")
	}
	for name, value := range fields {
		if !call.knows(name) {
			return nil, paramError("", "a field is not known here; with a v2-style signature only documented names are taken")
		}
		if call.body[name] != fieldObject && call.holdsAnother(value) {
			return nil, paramError(name, "holds & and the name of another field with =, which a v2-style signature cannot tell from that field")
		}
	}
	return withoutEmpty(fields), nil
}

// parseForm reads fields as application/x-www-form-urlencoded: plain names,
// each once, each with =. What other parsers let pass, such as ";" between
// fields, is refused (threats C14).
func parseForm(text string) (map[string]string, error) {
	fields := make(map[string]string)
	for pair := range strings.SplitSeq(text, "&") {
		name, raw, ok := strings.Cut(pair, "=")
		value, err := url.QueryUnescape(raw)
		if !ok || !plainField(name) || strings.Contains(raw, ";") || err != nil || !utf8.ValidString(value) {
			return nil, paramError("", "the fields are malformed; write name=value joined by &, escaped as in a form")
		}
		if _, twice := fields[name]; twice {
			return nil, paramError(name, "is given twice")
		}
		fields[name] = value
	}
	return fields, nil
}

// parseFlat reads fields from a JSON object of texts, integers and flags. An
// integer signs as it is written.
func parseFlat(body []byte) (map[string]string, error) {
	object, err := strictjson.Parse(body)
	if err != nil {
		return nil, jsonRefusal(err)
	}
	if object.Kind != strictjson.ObjectKind || object.Member("sign") == nil {
		return nil, nil
	}
	fields := make(map[string]string, len(object.Members))
	for _, m := range object.Members {
		if !plainField(m.Name) {
			return nil, paramError("", "a field is not known here; with a v2-style signature only documented names are taken")
		}
		switch kind := m.Value.Kind; {
		case kind == strictjson.StringKind, kind == strictjson.BoolKind, kind == strictjson.NumberKind && integer.MatchString(m.Value.Text):
			fields[m.Name] = m.Value.Text
		default:
			return nil, paramError(m.Name, "must be a text, an integer, true or false: a v2-style signature covers no other values")
		}
	}
	return fields, nil
}

// withoutEmpty leaves out fields without a value: to the v2 rule they are the
// same as none, and so they are here.
func withoutEmpty(fields map[string]string) map[string]string {
	for name, value := range fields {
		if value == "" {
			delete(fields, name)
		}
	}
	return fields
}

// plainField reports whether a name could be that of a field.
func plainField(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '_' && (c < 'a' || c > 'z') {
			return false
		}
	}
	return name != ""
}

// integer is the one spelling of an integer that is taken.
var integer = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,18})$`)

// document writes the fields that belong to the body as the JSON that the
// call takes, so that one decoder judges both forms.
func (c *compatCall) document(fields map[string]string) ([]byte, error) {
	members := make(map[string]json.RawMessage, len(fields))
	for name, value := range fields {
		kind, ok := c.body[name]
		if !ok {
			continue
		}
		raw, refused := kind.json(value)
		if refused != "" {
			return nil, paramError(name, refused)
		}
		members[name] = raw
	}
	return json.Marshal(members)
}

// json writes the text of a field as JSON, or says what is wrong with it.
func (k fieldKind) json(value string) (raw json.RawMessage, refused string) {
	switch k {
	case fieldInteger:
		if !integer.MatchString(value) {
			return nil, string(strictjson.NotInteger)
		}
	case fieldFlag:
		if value != "true" && value != "false" {
			return nil, "must be true or false"
		}
	case fieldObject:
		if !json.Valid([]byte(value)) {
			return nil, string(strictjson.Syntax)
		}
	default: // text of UTF-8 always encodes
		text, err := json.Marshal(value)
		if err != nil {
			return nil, string(strictjson.Encoding)
		}
		return text, ""
	}
	return json.RawMessage(value), ""
}
