package relay

import "context"

// CloseOrder closes an order here and at WeChat. Closing a closed order
// changes nothing; one that turns out to be paid is KindOrderPaid.
func (s *Service) CloseOrder(ctx context.Context, caller *Caller, orderNo string) (OrderView, error) {
	key := OrderKey{ClientID: caller.Client.ID, OrderNo: orderNo}
	if err := s.claimForOrder(ctx, caller, key); err != nil {
		return OrderView{}, err
	}
	if err := s.closeOrder(ctx, key, CloseReasonRequested); err != nil {
		return OrderView{}, outcome(err)
	}
	return s.Order(ctx, caller, orderNo, false)
}

// closeOrder closes each payment at WeChat, then the order.
func (s *Service) closeOrder(ctx context.Context, key OrderKey, reason string) error {
	unlock, err := s.rt.prepaying.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()

	o, payments, err := s.orderWithPayments(ctx, key)
	switch {
	case err != nil:
		return err
	case o.Status == OrderClosed:
		return nil
	case o.Status.Settled():
		return refuse(KindOrderPaid, "", "the order is paid")
	}
	for i := range payments {
		p := &payments[i]
		if p.Status != PaymentCreated && p.Status != PaymentPending {
			continue
		}
		m, err := s.merchantFor(p.MchID, p.SubMchID)
		if err != nil {
			return err
		}
		if err := s.abandon(ctx, m, p); err != nil {
			return err
		}
	}
	return s.markClosed(ctx, key, reason)
}

// markClosed moves an open order to closed and starts telling its client.
func (s *Service) markClosed(ctx context.Context, key OrderKey, reason string) error {
	now := s.rt.now()
	id, err := s.rt.random.id(now)
	if err != nil {
		return err
	}
	var told *Delivery
	err = s.rt.store.Update(ctx, func(tx Tx) error {
		o, err := tx.Order(key)
		switch {
		case err != nil:
			return err
		case o.Status.Settled():
			return refuse(KindOrderPaid, "", "the order is paid")
		case o.Status == OrderClosed:
			return nil
		}
		o.Status, o.CloseReason, o.ClosedAt = OrderClosed, reason, now
		o.Version++
		if err := tx.PutOrder(&o); err != nil {
			return err
		}
		told, err = s.tell(tx, fact{id: "evt_" + id, kind: EventOrderClosed, order: &o, at: now})
		return err
	})
	if err != nil {
		return err
	}
	s.rt.watchers.tell(key)
	if told != nil {
		s.rt.dispatcher.Wake(told.Destination(), told.NextAt())
	}
	return nil
}
