package store

import "github.com/wxrelay/wxrelay/relay"

// EncodeAccountToken appends the row of an account's token to dst. It fails on
// a row longer than MaxRow and on a time outside the years 1678 to 2261, and
// dst is then as before.
func EncodeAccountToken(dst []byte, a *relay.AccountToken) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, a.AppID)
	e.text(2, string(a.Kind))
	e.bytes(3, a.Sealed)
	e.time(4, a.ObtainedAt)
	e.time(5, a.ExpiresAt)
	e.text(6, a.Holder)
	e.time(7, a.LeaseUntil)
	return finish(&e, len(dst), KindAccountToken)
}

// DecodeAccountToken reads the row of an account's token. A damaged one is
// relay.ErrCorrupt. The result shares no memory with row.
func DecodeAccountToken(row []byte) (relay.AccountToken, error) {
	d, err := open(KindAccountToken, row)
	if err != nil {
		return relay.AccountToken{}, err
	}
	var a relay.AccountToken
	for d.next() {
		switch d.field {
		case 1:
			a.AppID = d.text()
		case 2:
			a.Kind = relay.TokenKind(d.text())
		case 3:
			a.Sealed = d.bytes()
		case 4:
			a.ObtainedAt = d.time()
		case 5:
			a.ExpiresAt = d.time()
		case 6:
			a.Holder = d.text()
		case 7:
			a.LeaseUntil = d.time()
		}
	}
	if err := d.result(KindAccountToken); err != nil {
		return relay.AccountToken{}, err
	}
	return a, nil
}
