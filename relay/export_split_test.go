package relay

import "context"

// FollowSplits runs one round of the splits' follower.
func (rt *Runtime) FollowSplits(ctx context.Context) { rt.splits.round(ctx) }

// ReserveRefund is what every refund of an order passes.
func (s *Service) ReserveRefund(tx Tx, p *Payment, o *Order, r *Refund) error {
	return s.reserveRefund(tx, p, o, r)
}
