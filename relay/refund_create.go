package relay

import "slices"

const (
	// maxRefunds is how many refunds of one payment WeChat takes (v2.md
	// section 11). Refunds that it refused do not count.
	maxRefunds = 50
	// maxRefundRecords bounds what one order holds, so that a client that
	// keeps asking for what is refused does not grow it for ever.
	maxRefundRecords = 200
)

// reserveRefund stores a refund inside the transaction that decides on it and
// reserves its money, so that the sum of refunds never passes what was paid,
// also while they are on their way (threats C09). The caller has filled in
// who wants it and why: OutRefundNo, Source, AmountFen, Reason, and RefundNo
// or CaseID. What WeChat needs is copied from the payment. The caller puts p,
// and o if there is one, and wakes the follower after the commit.
func (s *Service) reserveRefund(tx Tx, p *Payment, o *Order, r *Refund) error {
	m, err := s.merchantFor(p.MchID, p.SubMchID)
	if err != nil {
		return err
	}
	api, err := m.refundAPI(p.API)
	if err != nil {
		return err
	}
	switch {
	case p.Status != PaymentPaid:
		return refuse(KindOrderConflict, "", "the payment is not paid")
	case r.AmountFen < 1:
		return refuse(KindParam, "amount", "integer fen, 1 or more")
	case r.AmountFen > p.PaidFen-p.ReservedFen:
		return refusef(KindAmountExceeded, "amount", "at most %d fen are left to refund", p.PaidFen-p.ReservedFen)
	}
	if err := checkUnshared(tx, p, o, r.AmountFen); err != nil {
		return err
	}
	if o != nil {
		if err := countRefunds(tx, p, o); err != nil {
			return err
		}
		o.Refunds = append(slices.Clip(o.Refunds), r.OutRefundNo)
	}
	p.ReservedFen += r.AmountFen

	r.MchID, r.SubMchID, r.SubAppID, r.AppID = p.MchID, p.SubMchID, p.SubAppID, p.AppID
	r.ClientID, r.OrderNo = p.Order.ClientID, p.Order.OrderNo
	r.API = api
	r.OutTradeNo, r.TransactionID, r.TotalFen = p.OutTradeNo, p.TransactionID, p.PaidFen
	r.NotifyURL = s.PublicURL() + "/wechat/notify/" + m.Name
	if r.Source == RefundByClient && direct(s.clients[r.ClientID]) {
		r.NotifyURL = p.NotifyURL // WeChat tells the client itself, and the relay asks
	}
	r.Status, r.CreatedAt = RefundProcessing, s.rt.now()
	if r.DueAt.IsZero() {
		r.DueAt = r.CreatedAt
	}
	return tx.PutRefund(r)
}

// countRefunds refuses one refund too many before WeChat does.
func countRefunds(tx Tx, p *Payment, o *Order) error {
	taken := 0
	for _, no := range o.Refunds {
		r, err := tx.Refund(RefundKey{MchID: p.MchID, OutRefundNo: no})
		if err != nil {
			return err
		}
		if r.OutTradeNo == p.OutTradeNo && r.Status != RefundFailed {
			taken++
		}
	}
	if taken >= maxRefunds || len(o.Refunds) >= maxRefundRecords {
		return refusef(KindOrderConflict, "", "WeChat Pay takes at most %d refunds of one payment", maxRefunds)
	}
	return nil
}

// refundAPI is the generation in which money of a payment goes back: its own,
// or the other one when the merchant cannot refund by that.
func (m *merchant) refundAPI(api API) (API, error) {
	for _, candidate := range []API{api, m.prefer, APIv3, APIv2} {
		if _, ok := m.connections[candidate]; !ok {
			continue
		}
		if candidate == APIv2 && (m.APIv2 == nil || m.APIv2.Certificate == nil) {
			continue // v2.md section 11: the call needs the merchant's certificate
		}
		return candidate, nil
	}
	return "", refusef(KindNoAuth, "", "merchant %s cannot refund: its api_v2 has no client_certificate", m.Name)
}
