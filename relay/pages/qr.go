package pages

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"rsc.io/qr"
)

// MaxQRText is the longest text, in bytes, that QRSVG draws. A code could
// hold about twice as much, but modules that small are hard to read from a
// phone's screen; WeChat's code addresses have at most 512 bytes.
const MaxQRText = 1024

// quietZone is the white border in modules that a reader needs around a code
// (ISO/IEC 18004).
const quietZone = 4

// ErrQRText reports a text that cannot be drawn: empty, or longer than
// MaxQRText bytes.
var ErrQRText = errors.New("text cannot be drawn as a QR code")

// QRSVG draws text as a QR code of error correction level M: an SVG of one
// path on white, one unit per module, quiet zone included, that is crisp at
// every size. The same text gives the same bytes. The answer holds nothing of
// the text but its modules, so it can stand inside a page.
func QRSVG(text string) ([]byte, error) {
	if text == "" || len(text) > MaxQRText {
		return nil, fmt.Errorf("%d bytes: %w", len(text), ErrQRText)
	}
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, fmt.Errorf("encoding %d bytes: %w", len(text), errors.Join(ErrQRText, err))
	}
	side := strconv.Itoa(code.Size + 2*quietZone)
	var b bytes.Buffer
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + side + ` ` + side +
		`" width="240" height="240" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + side + `v` + side +
		`H0z"/><path fill="#000" d="`)
	for y := range code.Size {
		writeQRRow(&b, code, y)
	}
	b.WriteString(`"/></svg>`)
	return b.Bytes(), nil
}

// writeQRRow draws each run of dark modules of a row as one rectangle.
func writeQRRow(b *bytes.Buffer, code *qr.Code, y int) {
	for x := 0; x < code.Size; x++ {
		if !code.Black(x, y) {
			continue
		}
		start := x
		for x < code.Size && code.Black(x, y) {
			x++
		}
		fmt.Fprintf(b, "M%d %dh%dv1h-%dz", start+quietZone, y+quietZone, x-start, x-start)
	}
}
