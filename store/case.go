package store

import "github.com/wxrelay/wxrelay/relay"

// EncodeCase appends the row of a case to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeCase(dst []byte, c *relay.Case) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, c.ID)
	e.text(2, string(c.Kind))
	e.text(3, string(c.Status))
	e.text(4, c.Payment.MchID)
	e.text(5, c.Payment.OutTradeNo)
	e.text(6, c.Order.ClientID)
	e.text(7, c.Order.OrderNo)
	e.text(8, c.TransactionID)
	e.int(9, c.AmountFen)
	e.int(10, c.ExpectedFen)
	e.text(11, c.Currency)
	e.text(12, c.AppID)
	e.time(13, c.PaidAt)
	e.time(14, c.CreatedAt)
	e.time(15, c.SeenAt)
	e.text(16, string(c.Policy))
	e.text(17, c.HeldBecause)
	e.text(18, c.OutRefundNo)
	e.time(19, c.ResolvedAt)
	e.text(20, c.ResolvedBy)
	e.text(21, c.Reason)
	return finish(&e, len(dst), KindCase)
}

// DecodeCase reads the row of a case. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeCase(row []byte) (relay.Case, error) {
	d, err := open(KindCase, row)
	if err != nil {
		return relay.Case{}, err
	}
	var c relay.Case
	for d.next() {
		switch d.field {
		case 1:
			c.ID = d.text()
		case 2:
			c.Kind = relay.CaseKind(d.text())
		case 3:
			c.Status = relay.CaseStatus(d.text())
		case 4:
			c.Payment.MchID = d.text()
		case 5:
			c.Payment.OutTradeNo = d.text()
		case 6:
			c.Order.ClientID = d.text()
		case 7:
			c.Order.OrderNo = d.text()
		case 8:
			c.TransactionID = d.text()
		case 9:
			c.AmountFen = d.int64()
		case 10:
			c.ExpectedFen = d.int64()
		case 11:
			c.Currency = d.text()
		case 12:
			c.AppID = d.text()
		case 13:
			c.PaidAt = d.time()
		case 14:
			c.CreatedAt = d.time()
		case 15:
			c.SeenAt = d.time()
		case 16:
			c.Policy = relay.CasePolicy(d.text())
		case 17:
			c.HeldBecause = d.text()
		case 18:
			c.OutRefundNo = d.text()
		case 19:
			c.ResolvedAt = d.time()
		case 20:
			c.ResolvedBy = d.text()
		case 21:
			c.Reason = d.text()
		}
	}
	if err := d.result(KindCase); err != nil {
		return relay.Case{}, err
	}
	return c, nil
}
