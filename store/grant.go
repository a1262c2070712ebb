package store

import "github.com/wxrelay/wxrelay/relay"

// EncodeGrant appends the row of a grant to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeGrant(dst []byte, g *relay.Grant) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, string(g.Kind))
	e.text(2, g.Hash)
	e.text(3, g.ClientID)
	e.text(4, g.AppID)
	e.text(5, g.User.OpenID)
	e.text(6, g.User.UnionID)
	e.text(7, g.User.Scope)
	e.text(8, g.User.Nickname)
	e.text(9, g.User.AvatarURL)
	e.bytes(10, g.Sealed)
	e.time(11, g.CreatedAt)
	e.time(12, g.ExpiresAt)
	e.time(13, g.UsedAt)
	for _, k := range g.Gave {
		e.nested(14, func(in *encoder) {
			in.text(1, string(k.Kind))
			in.text(2, k.Hash)
		})
	}
	return finish(&e, len(dst), KindGrant)
}

// DecodeGrant reads the row of a grant. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeGrant(row []byte) (relay.Grant, error) {
	d, err := open(KindGrant, row)
	if err != nil {
		return relay.Grant{}, err
	}
	var g relay.Grant
	for d.next() {
		switch d.field {
		case 1:
			g.Kind = relay.GrantKind(d.text())
		case 2:
			g.Hash = d.text()
		case 3:
			g.ClientID = d.text()
		case 4:
			g.AppID = d.text()
		case 5:
			g.User.OpenID = d.text()
		case 6:
			g.User.UnionID = d.text()
		case 7:
			g.User.Scope = d.text()
		case 8:
			g.User.Nickname = d.text()
		case 9:
			g.User.AvatarURL = d.text()
		case 10:
			g.Sealed = d.bytes()
		case 11:
			g.CreatedAt = d.time()
		case 12:
			g.ExpiresAt = d.time()
		case 13:
			g.UsedAt = d.time()
		case 14:
			g.Gave = append(g.Gave, decodeGrantKey(&d))
		}
	}
	if err := d.result(KindGrant); err != nil {
		return relay.Grant{}, err
	}
	return g, nil
}

func decodeGrantKey(d *decoder) (k relay.GrantKey) {
	d.nested(func(in *decoder) {
		switch in.field {
		case 1:
			k.Kind = relay.GrantKind(in.text())
		case 2:
			k.Hash = in.text()
		}
	})
	return k
}
