// Package message takes the messages that WeChat pushes to the server of an
// account, and the check of that server's address, in both its modes: in the
// clear and encrypted. The platform's side is there too, for a simulator.
//
// Begin with [NewReceiver], whose [Receiver.Echo] answers the check and whose
// [Receiver.Open] verifies, decrypts and reads a message, in this order and not
// otherwise.
//
// What is verified differs. The signature of a message in the clear covers a
// time and a nonce, but not the message: whoever has seen one such address can
// post what he likes to it. An encrypted message is WeChat's in every byte. A
// receiver that has a key therefore takes nothing in the clear.
//
// No error quotes a message, a signature or a key. Section numbers in comments
// are those of oauth.md, the project's digest of WeChat's documents.
package message

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/strictjson"
	"github.com/wxrelay/wxrelay/relay/wechat/internal/strictxml"
)

// MaxMessage is the longest message that is looked at, in bytes.
const MaxMessage = 64 << 10

// limits bound a message: the longest that WeChat documents tells the result of
// sending eight articles, some hundred elements, five deep.
var limits = strictxml.Limits{Bytes: MaxMessage, Elements: 1024, Depth: 8}

// Format is how a message is written. Accounts of mini-programs choose it in
// WeChat's console.
type Format string

// The formats.
const (
	FormatXML  Format = "xml"
	FormatJSON Format = "json"
)

// Message is a message or an event: the fields that all have, and the whole as
// WeChat wrote it.
type Message struct {
	ToUserName   string // the account's original id, gh_ and more
	FromUserName string // the user's openid
	CreateTime   time.Time
	MsgType      string // "event" for events
	Event        string // empty for messages of users
	EventKey     string
	MsgID        string // empty for most events
	Format       Format
	Raw          []byte // the document, decrypted
}

// ErrForm says that a message is not written as WeChat writes them.
var ErrForm = errors.New("message is malformed")

// parse reads a message that was verified.
func parse(raw []byte) (*Message, error) {
	get, format, err := fields(raw)
	if err != nil {
		return nil, err
	}
	m := &Message{
		ToUserName:   get("ToUserName"),
		FromUserName: get("FromUserName"),
		MsgType:      get("MsgType"),
		Event:        get("Event"),
		EventKey:     get("EventKey"),
		MsgID:        get("MsgId"),
		Format:       format,
		Raw:          raw,
	}
	if m.MsgID == "" {
		m.MsgID = get("MsgID") // of events that report a task
	}
	seconds, err := strconv.ParseInt(get("CreateTime"), 10, 64)
	if err != nil || seconds <= 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("%w: CreateTime is no time", ErrForm)
	}
	m.CreateTime = time.Unix(seconds, 0).UTC()
	if m.ToUserName == "" || m.FromUserName == "" || m.MsgType == "" {
		return nil, fmt.Errorf("%w: ToUserName, FromUserName or MsgType is missing", ErrForm)
	}
	return m, nil
}

// fields reads a document into a function that gives the text of its fields,
// empty for those that are missing or have parts. The first byte tells the
// format, for the label of the HTTP body does not always.
func fields(raw []byte) (get func(name string) string, f Format, err error) {
	if len(raw) > MaxMessage {
		return nil, "", fmt.Errorf("%w: it is longer than %d bytes", ErrForm, MaxMessage)
	}
	if start := bytes.TrimLeft(raw, " \t\r\n"); len(start) == 0 || start[0] != '{' {
		m, err := strictxml.Parse(raw, "xml", limits)
		if err != nil {
			return nil, "", fmt.Errorf("%w: %w", ErrForm, err)
		}
		return func(name string) string { return m[name] }, FormatXML, nil
	}
	object, err := strictjson.Parse(raw)
	if err != nil {
		return nil, "", fmt.Errorf("%w: parsing JSON failed", ErrForm) // its error has names of the document
	}
	return func(name string) string {
		// CreateTime and MsgId are numbers in some messages, text in others.
		if v := object.Member(name); v != nil && (v.Kind == strictjson.StringKind || v.Kind == strictjson.NumberKind) {
			return v.Text
		}
		return ""
	}, FormatJSON, nil
}
