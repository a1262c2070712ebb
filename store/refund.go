package store

import "github.com/wxrelay/wxrelay/relay"

// EncodeRefund appends the row of a refund to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeRefund(dst []byte, r *relay.Refund) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, r.MchID)
	e.text(2, r.OutRefundNo)
	e.text(3, r.ClientID)
	e.text(4, r.RefundNo)
	e.text(5, r.OrderNo)
	e.text(6, string(r.Source))
	e.text(7, r.CaseID)
	e.text(8, string(r.API))
	e.text(9, r.SubMchID)
	e.text(10, r.SubAppID)
	e.text(11, r.AppID)
	e.text(12, r.OutTradeNo)
	e.text(13, r.TransactionID)
	e.int(14, r.AmountFen)
	e.int(15, r.TotalFen)
	e.text(16, r.Reason)
	e.text(17, r.NotifyURL)
	e.text(18, string(r.Status))
	e.time(19, r.CreatedAt)
	e.text(20, r.RefundID)
	e.time(21, r.SucceededAt)
	e.text(22, r.FailCode)
	e.time(23, r.DueAt)
	e.int(24, int64(r.Calls))
	e.text(25, r.UserAccount)
	return finish(&e, len(dst), KindRefund)
}

// DecodeRefund reads the row of a refund. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeRefund(row []byte) (relay.Refund, error) {
	d, err := open(KindRefund, row)
	if err != nil {
		return relay.Refund{}, err
	}
	var r relay.Refund
	for d.next() {
		switch d.field {
		case 1:
			r.MchID = d.text()
		case 2:
			r.OutRefundNo = d.text()
		case 3:
			r.ClientID = d.text()
		case 4:
			r.RefundNo = d.text()
		case 5:
			r.OrderNo = d.text()
		case 6:
			r.Source = relay.RefundSource(d.text())
		case 7:
			r.CaseID = d.text()
		case 8:
			r.API = relay.API(d.text())
		case 9:
			r.SubMchID = d.text()
		case 10:
			r.SubAppID = d.text()
		case 11:
			r.AppID = d.text()
		case 12:
			r.OutTradeNo = d.text()
		case 13:
			r.TransactionID = d.text()
		case 14:
			r.AmountFen = d.int64()
		case 15:
			r.TotalFen = d.int64()
		case 16:
			r.Reason = d.text()
		case 17:
			r.NotifyURL = d.text()
		case 18:
			r.Status = relay.RefundStatus(d.text())
		case 19:
			r.CreatedAt = d.time()
		case 20:
			r.RefundID = d.text()
		case 21:
			r.SucceededAt = d.time()
		case 22:
			r.FailCode = d.text()
		case 23:
			r.DueAt = d.time()
		case 24:
			r.Calls = d.int()
		case 25:
			r.UserAccount = d.text()
		}
	}
	if err := d.result(KindRefund); err != nil {
		return relay.Refund{}, err
	}
	return r, nil
}
