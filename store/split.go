package store

import "github.com/wxrelay/wxrelay/relay"

// EncodeSplit appends the row of a split to dst. It fails on a row longer than
// MaxRow and on a time outside the years 1678 to 2261, and dst is then as
// before.
func EncodeSplit(dst []byte, s *relay.Split) ([]byte, error) {
	e := encoder{b: begin(dst)}
	e.text(1, s.MchID)
	e.text(2, s.OutOrderNo)
	e.text(3, s.ClientID)
	e.text(4, s.SplitNo)
	e.text(5, s.OrderNo)
	e.text(6, s.Digest)
	e.text(7, s.SubMchID)
	e.text(8, s.SubAppID)
	e.text(9, s.AppID)
	e.text(10, s.OutTradeNo)
	e.text(11, s.TransactionID)
	for i := range s.Receivers {
		e.nested(12, func(in *encoder) { encodeReceiver(in, &s.Receivers[i]) })
	}
	e.bool(13, s.Unfreeze)
	e.text(14, s.Description)
	e.text(15, string(s.Status))
	e.time(16, s.CreatedAt)
	e.text(17, s.WeChatID)
	e.text(18, s.FailCode)
	for i := range s.Returns {
		e.nested(19, func(in *encoder) { encodeReturn(in, &s.Returns[i]) })
	}
	e.time(20, s.DueAt)
	e.int(21, int64(s.Calls))
	return finish(&e, len(dst), KindSplit)
}

func encodeReceiver(e *encoder, r *relay.SplitReceiver) {
	e.text(1, string(r.Type))
	e.text(2, r.Account)
	e.text(3, r.Name)
	e.int(4, r.AmountFen)
	e.text(5, r.Description)
	e.text(6, string(r.Result))
	e.text(7, r.FailReason)
}

func encodeReturn(e *encoder, r *relay.SplitReturn) {
	e.text(1, r.OutReturnNo)
	e.text(2, r.ReturnNo)
	e.text(3, r.Account)
	e.int(4, r.AmountFen)
	e.text(5, r.Description)
	e.text(6, string(r.Status))
	e.text(7, r.FailReason)
	e.time(8, r.CreatedAt)
	e.text(9, r.ReturnID)
}

// DecodeSplit reads the row of a split. A damaged one is relay.ErrCorrupt. The
// result shares no memory with row.
func DecodeSplit(row []byte) (relay.Split, error) {
	d, err := open(KindSplit, row)
	if err != nil {
		return relay.Split{}, err
	}
	var s relay.Split
	for d.next() {
		switch d.field {
		case 1:
			s.MchID = d.text()
		case 2:
			s.OutOrderNo = d.text()
		case 3:
			s.ClientID = d.text()
		case 4:
			s.SplitNo = d.text()
		case 5:
			s.OrderNo = d.text()
		case 6:
			s.Digest = d.text()
		case 7:
			s.SubMchID = d.text()
		case 8:
			s.SubAppID = d.text()
		case 9:
			s.AppID = d.text()
		case 10:
			s.OutTradeNo = d.text()
		case 11:
			s.TransactionID = d.text()
		case 12:
			s.Receivers = append(s.Receivers, decodeReceiver(&d))
		case 13:
			s.Unfreeze = d.bool()
		case 14:
			s.Description = d.text()
		case 15:
			s.Status = relay.SplitStatus(d.text())
		case 16:
			s.CreatedAt = d.time()
		case 17:
			s.WeChatID = d.text()
		case 18:
			s.FailCode = d.text()
		case 19:
			s.Returns = append(s.Returns, decodeReturn(&d))
		case 20:
			s.DueAt = d.time()
		case 21:
			s.Calls = d.int()
		}
	}
	if err := d.result(KindSplit); err != nil {
		return relay.Split{}, err
	}
	return s, nil
}

func decodeReceiver(d *decoder) (r relay.SplitReceiver) {
	d.nested(func(in *decoder) {
		switch in.field {
		case 1:
			r.Type = relay.ReceiverType(in.text())
		case 2:
			r.Account = in.text()
		case 3:
			r.Name = in.text()
		case 4:
			r.AmountFen = in.int64()
		case 5:
			r.Description = in.text()
		case 6:
			r.Result = relay.ShareResult(in.text())
		case 7:
			r.FailReason = in.text()
		}
	})
	return r
}

func decodeReturn(d *decoder) (r relay.SplitReturn) {
	d.nested(func(in *decoder) {
		switch in.field {
		case 1:
			r.OutReturnNo = in.text()
		case 2:
			r.ReturnNo = in.text()
		case 3:
			r.Account = in.text()
		case 4:
			r.AmountFen = in.int64()
		case 5:
			r.Description = in.text()
		case 6:
			r.Status = relay.SplitReturnStatus(in.text())
		case 7:
			r.FailReason = in.text()
		case 8:
			r.CreatedAt = in.time()
		case 9:
			r.ReturnID = in.text()
		}
	})
	return r
}
