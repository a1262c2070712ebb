package store

import (
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

// EncodeOrder appends the row of an order to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeOrder(dst []byte, o *relay.Order) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, o.ClientID)
	e.text(2, o.OrderNo)
	e.text(3, o.Token)
	e.int(4, o.AmountFen)
	e.text(5, o.Description)
	e.text(6, o.Attach)
	e.text(7, o.NotifyURL)
	e.text(8, o.ReturnURL)
	e.int(9, int64(o.ExpiresIn))
	e.text(10, o.OpenID)
	e.bool(11, o.ProfitSharing)
	e.bytes(12, o.Metadata)
	e.text(13, o.MchID)
	e.text(14, string(o.Status))
	e.text(15, o.CloseReason)
	e.uint(16, o.Version)
	e.time(17, o.CreatedAt)
	e.time(18, o.ExpiresAt)
	e.time(19, o.ClosedAt)
	for _, s := range o.Payments {
		e.element(20, s)
	}
	e.int(21, o.PaidFen)
	e.int(22, o.RefundedFen)
	e.time(23, o.PaidAt)
	e.text(24, o.TransactionID)
	e.text(25, string(o.TradeType))
	e.text(26, o.PaidBy)
	e.text(27, o.PayerOpenID)
	e.text(28, o.PaidAppID)
	e.text(29, o.CaseID)
	e.text(30, o.SubMchID)
	for _, s := range o.Refunds {
		e.element(31, s)
	}
	for _, s := range o.Splits {
		e.element(32, s)
	}
	return finish(&e, len(dst), KindOrder)
}

// DecodeOrder reads the row of an order. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeOrder(row []byte) (relay.Order, error) {
	d, err := open(KindOrder, row)
	if err != nil {
		return relay.Order{}, err
	}
	var o relay.Order
	for d.next() {
		switch d.field {
		case 1:
			o.ClientID = d.text()
		case 2:
			o.OrderNo = d.text()
		case 3:
			o.Token = d.text()
		case 4:
			o.AmountFen = d.int64()
		case 5:
			o.Description = d.text()
		case 6:
			o.Attach = d.text()
		case 7:
			o.NotifyURL = d.text()
		case 8:
			o.ReturnURL = d.text()
		case 9:
			o.ExpiresIn = time.Duration(d.int64())
		case 10:
			o.OpenID = d.text()
		case 11:
			o.ProfitSharing = d.bool()
		case 12:
			o.Metadata = d.bytes()
		case 13:
			o.MchID = d.text()
		case 14:
			o.Status = relay.OrderStatus(d.text())
		case 15:
			o.CloseReason = d.text()
		case 16:
			o.Version = d.uint()
		case 17:
			o.CreatedAt = d.time()
		case 18:
			o.ExpiresAt = d.time()
		case 19:
			o.ClosedAt = d.time()
		case 20:
			o.Payments = append(o.Payments, d.text())
		case 21:
			o.PaidFen = d.int64()
		case 22:
			o.RefundedFen = d.int64()
		case 23:
			o.PaidAt = d.time()
		case 24:
			o.TransactionID = d.text()
		case 25:
			o.TradeType = relay.TradeType(d.text())
		case 26:
			o.PaidBy = d.text()
		case 27:
			o.PayerOpenID = d.text()
		case 28:
			o.PaidAppID = d.text()
		case 29:
			o.CaseID = d.text()
		case 30:
			o.SubMchID = d.text()
		case 31:
			o.Refunds = append(o.Refunds, d.text())
		case 32:
			o.Splits = append(o.Splits, d.text())
		}
	}
	if err := d.result(KindOrder); err != nil {
		return relay.Order{}, err
	}
	return o, nil
}
