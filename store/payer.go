package store

import "github.com/wxrelay/wxrelay/relay"

// EncodePayer appends the row of a payer to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodePayer(dst []byte, p *relay.Payer) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, p.OpenID)
	e.text(2, p.AppID)
	e.time(3, p.SeenAt)
	for _, id := range p.Clients {
		e.element(4, id)
	}
	return finish(&e, len(dst), KindPayer)
}

// DecodePayer reads the row of a payer. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodePayer(row []byte) (relay.Payer, error) {
	d, err := open(KindPayer, row)
	if err != nil {
		return relay.Payer{}, err
	}
	var p relay.Payer
	for d.next() {
		switch d.field {
		case 1:
			p.OpenID = d.text()
		case 2:
			p.AppID = d.text()
		case 3:
			p.SeenAt = d.time()
		case 4:
			p.Clients = append(p.Clients, d.text())
		}
	}
	if err := d.result(KindPayer); err != nil {
		return relay.Payer{}, err
	}
	return p, nil
}
