package store

import "github.com/wxrelay/wxrelay/relay"

// EncodePayment appends the row of a payment to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodePayment(dst []byte, p *relay.Payment) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, p.MchID)
	e.text(2, p.OutTradeNo)
	e.text(3, p.Order.ClientID)
	e.text(4, p.Order.OrderNo)
	e.text(5, string(p.TradeType))
	e.text(6, p.AppID)
	e.text(7, p.OpenID)
	e.int(8, p.AmountFen)
	e.text(9, p.Description)
	e.text(10, p.Attach)
	e.text(11, p.NotifyURL)
	e.text(12, string(p.Status))
	e.time(13, p.CreatedAt)
	e.time(14, p.ExpiresAt)
	e.text(15, p.PrepayID)
	e.text(16, p.CodeURL)
	e.time(17, p.PrepaidAt)
	e.text(18, p.TransactionID)
	e.int(19, p.PaidFen)
	e.time(20, p.PaidAt)
	e.text(21, p.PayerOpenID)
	e.text(22, string(p.API))
	e.text(23, p.SubMchID)
	e.text(24, p.SubAppID)
	e.text(25, p.PayerAppID)
	e.bool(26, p.ProfitSharing)
	e.text(27, p.PayerIP)
	e.text(28, p.H5URL)
	e.time(29, p.AskAt)
	e.int(30, int64(p.Asks))
	e.int(31, p.PayerFen)
	e.text(32, p.BankType)
	e.int(33, p.RefundedFen)
	e.int(34, p.ReservedFen)
	return finish(&e, len(dst), KindPayment)
}

// DecodePayment reads the row of a payment. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodePayment(row []byte) (relay.Payment, error) {
	d, err := open(KindPayment, row)
	if err != nil {
		return relay.Payment{}, err
	}
	var p relay.Payment
	for d.next() {
		switch d.field {
		case 1:
			p.MchID = d.text()
		case 2:
			p.OutTradeNo = d.text()
		case 3:
			p.Order.ClientID = d.text()
		case 4:
			p.Order.OrderNo = d.text()
		case 5:
			p.TradeType = relay.TradeType(d.text())
		case 6:
			p.AppID = d.text()
		case 7:
			p.OpenID = d.text()
		case 8:
			p.AmountFen = d.int64()
		case 9:
			p.Description = d.text()
		case 10:
			p.Attach = d.text()
		case 11:
			p.NotifyURL = d.text()
		case 12:
			p.Status = relay.PaymentStatus(d.text())
		case 13:
			p.CreatedAt = d.time()
		case 14:
			p.ExpiresAt = d.time()
		case 15:
			p.PrepayID = d.text()
		case 16:
			p.CodeURL = d.text()
		case 17:
			p.PrepaidAt = d.time()
		case 18:
			p.TransactionID = d.text()
		case 19:
			p.PaidFen = d.int64()
		case 20:
			p.PaidAt = d.time()
		case 21:
			p.PayerOpenID = d.text()
		case 22:
			p.API = relay.API(d.text())
		case 23:
			p.SubMchID = d.text()
		case 24:
			p.SubAppID = d.text()
		case 25:
			p.PayerAppID = d.text()
		case 26:
			p.ProfitSharing = d.bool()
		case 27:
			p.PayerIP = d.text()
		case 28:
			p.H5URL = d.text()
		case 29:
			p.AskAt = d.time()
		case 30:
			p.Asks = d.int()
		case 31:
			p.PayerFen = d.int64()
		case 32:
			p.BankType = d.text()
		case 33:
			p.RefundedFen = d.int64()
		case 34:
			p.ReservedFen = d.int64()
		}
	}
	if err := d.result(KindPayment); err != nil {
		return relay.Payment{}, err
	}
	return p, nil
}

// EncodeEvidence appends the row of an evidence to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeEvidence(dst []byte, v *relay.Evidence) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, v.Payment.MchID)
	e.text(2, v.Payment.OutTradeNo)
	e.text(3, v.ID)
	e.text(4, v.Source)
	e.time(5, v.ReceivedAt)
	e.text(6, v.Serial)
	e.text(7, v.EventType)
	e.bytes(8, v.Plaintext)
	return finish(&e, len(dst), KindEvidence)
}

// DecodeEvidence reads the row of an evidence. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeEvidence(row []byte) (relay.Evidence, error) {
	d, err := open(KindEvidence, row)
	if err != nil {
		return relay.Evidence{}, err
	}
	var v relay.Evidence
	for d.next() {
		switch d.field {
		case 1:
			v.Payment.MchID = d.text()
		case 2:
			v.Payment.OutTradeNo = d.text()
		case 3:
			v.ID = d.text()
		case 4:
			v.Source = d.text()
		case 5:
			v.ReceivedAt = d.time()
		case 6:
			v.Serial = d.text()
		case 7:
			v.EventType = d.text()
		case 8:
			v.Plaintext = d.bytes()
		}
	}
	if err := d.result(KindEvidence); err != nil {
		return relay.Evidence{}, err
	}
	return v, nil
}
