package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// letterV3 is a notification of APIv3: sealed once, signed afresh for every
// attempt (v3.md 13).
type letterV3 struct {
	platform *platform
	cipher   *payv3.Cipher
	serial   string

	id, event, original, summary string
	content                      func(wrong *fault) any // the plaintext; with another amount when a fault is given

	body []byte
}

// seal makes the body of an event.
func (l *letterV3) seal(id, event string, wrong *fault) ([]byte, error) {
	plaintext, err := json.Marshal(l.content(wrong))
	if err != nil {
		return nil, fmt.Errorf("encoding the content of a notification: %w", err)
	}
	signer, err := l.platform.signer(false, 0)
	if err != nil {
		return nil, err
	}
	body, err := signer.NewNotification(l.cipher, id, event, l.original, l.summary, plaintext)
	if err != nil {
		return nil, fmt.Errorf("sealing a notification: %w", err)
	}
	return body, nil
}

// faults are all there are.
func (l *letterV3) faults() faultGroup { return notifyFaults }

// taken is the rule of v3.md 13: 200 or 204, whatever the body says.
func (l *letterV3) taken(status int, _ []byte) bool {
	return status == http.StatusOK || status == http.StatusNoContent
}

// write signs one attempt.
func (l *letterV3) write(f *fault) (http.Header, []byte, error) {
	body, serial, forged, shift := l.body, l.serial, false, time.Duration(0)
	var err error
	if f != nil {
		switch f.Name {
		case faultForged:
			forged = true
		case faultStale:
			shift = -staleBy
		case faultKeyCertificate:
			serial = l.platform.currentSerial()
		case faultKeyPublic:
			serial = DefaultPublicKeyID
		case faultWrongAmount:
			body, err = l.seal(l.id, l.event, f)
		case faultUnknownEvent:
			body, err = l.seal(l.id+"-U", "SANDBOX.UNKNOWN", nil)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	signer, err := l.platform.signer(forged, shift)
	if err != nil {
		return nil, nil, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	if err := signer.SignHeaders(header, serial, body); err != nil {
		return nil, nil, fmt.Errorf("signing a notification: %w", err)
	}
	if f != nil && f.Name == faultProbe {
		probe(header)
	}
	if f != nil && f.Name == faultTampered {
		body = append(slices.Clone(body), ' ')
	}
	return header, body, nil
}

// amount returns the amount of a notification that is wrong on request: what
// the fault says, or one fen more than the right one.
func (f *fault) amount(right int64) int64 {
	switch {
	case f == nil:
		return right
	case f.AmountFen > 0:
		return f.AmountFen
	default:
		return right + 1
	}
}

// newEventID names a notification; all its attempts have the same.
func (s *Sandbox) newEventID() string {
	return "EV-SANDBOX-" + s.now().In(beijing.Zone).Format("20060102150405") + "-" + s.randomHex(8)
}

// newLetterV3 seals a notification for the merchant.
func (s *Sandbox) newLetterV3(m *merchant, l letterV3) (*letterV3, error) {
	if m.cipher == nil {
		return nil, errNoNotifyKey
	}
	l.platform, l.cipher = s.platform, m.cipher
	if l.serial == "" {
		l.serial = s.platform.defaultSerial(m)
	}
	var err error
	l.body, err = l.seal(l.id, l.event, nil)
	return &l, err
}

// paymentLetterV3 tells of a paid order.
func (s *Sandbox) paymentLetterV3(id string, o *order) (letter, error) {
	paid := *o
	return s.newLetterV3(s.directory.merchants[o.MchID], letterV3{
		id: id, event: eventPaid, original: "transaction", summary: "支付成功", serial: o.Serial,
		content: func(wrong *fault) any {
			told := paid
			told.PaidFen = wrong.amount(paid.PaidFen)
			return told.transaction()
		},
	})
}
