package payv2

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// Names of the fields that the package itself acts on.
const (
	fieldAppID      = "appid"
	fieldMchID      = "mch_id"
	fieldSubAppID   = "sub_appid"
	fieldSubMchID   = "sub_mch_id"
	fieldNonce      = "nonce_str"
	fieldReturnCode = "return_code"
	fieldReturnMsg  = "return_msg"
	fieldResultCode = "result_code"
	fieldErrCode    = "err_code"
	fieldReqInfo    = "req_info"
	fieldAttach     = "attach"
)

// errNumber says that a number is not written as WeChat writes it.
var errNumber = errors.New("is not a plain decimal number")

// decoder reads typed values out of a message and remembers the first thing
// that is wrong.
type decoder struct {
	m   Message
	err error
}

func (d *decoder) fail(name string, err error) {
	if d.err == nil {
		d.err = fmt.Errorf("%s %w", name, err)
	}
}

// require makes sure that the fields have values.
func (d *decoder) require(names ...string) {
	for _, name := range names {
		if d.m[name] == "" {
			d.fail(name, errors.New("is missing"))
		}
	}
}

// fen reads an amount; an absent one is 0.
func (d *decoder) fen(name string) int64 {
	text := d.m[name]
	if text == "" {
		return 0
	}
	n, err := parseNumber(text)
	if err != nil {
		d.fail(name, err)
	}
	return n
}

// time reads a time in Beijing's zone; an absent one is the zero time.
func (d *decoder) time(name, layout string) time.Time {
	text := d.m[name]
	if text == "" {
		return time.Time{}
	}
	at, err := beijing.Parse(layout, text)
	if err != nil {
		d.fail(name, errors.New("is not a time as WeChat writes it"))
	}
	return at
}

// parseNumber reads digits alone, without a sign or leading zeros, so that one
// number has one spelling (threat A16).
func parseNumber(s string) (int64, error) {
	if !consistsOf(s, 18, isDigit) || len(s) > 1 && s[0] == '0' {
		return 0, errNumber
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, errNumber
	}
	return n, nil
}

// set writes a field that has a value.
func (m Message) set(name, value string) {
	if value != "" {
		m[name] = value
	}
}

func (m Message) setFen(name string, fen int64) {
	if fen != 0 {
		m[name] = strconv.FormatInt(fen, 10)
	}
}

func (m Message) setTime(name, layout string, t time.Time) {
	if !t.IsZero() {
		m[name] = t.In(beijing.Zone).Format(layout)
	}
}
