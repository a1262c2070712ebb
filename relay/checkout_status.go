package relay

import "context"

// CheckoutStatus is what a waiting page asks for.
type CheckoutStatus struct {
	Status    string `json:"status"` // the order's status, or expired
	ExpiresAt string `json:"expires_at"`
	ReturnURL string `json:"return_url,omitempty"` // signed way back, once the outcome is known
}

// Final reports whether nothing more will happen on the page.
func (c CheckoutStatus) Final() bool {
	return c.Status != string(OrderCreated) && c.Status != string(OrderPaying)
}

// CheckoutStatus tells a page how its order stands. It reads the store and
// never calls WeChat.
func (s *Service) CheckoutStatus(ctx context.Context, token string) (CheckoutStatus, error) {
	o, c, err := s.checkoutOrder(ctx, token)
	if err != nil {
		return CheckoutStatus{}, err
	}
	v := CheckoutStatus{Status: string(o.Status), ExpiresAt: stamp(o.ExpiresAt), ReturnURL: s.wayBack(&o, c)}
	// An order whose time is over may still turn out paid until WeChat has
	// closed it: the page waits, and has no way back to the shop before.
	if o.Status == OrderClosed && o.CloseReason == CloseReasonExpired {
		v.Status = string(CheckoutExpired)
	}
	return v, nil
}

// WatchCheckout returns a channel that gets a value whenever the page's
// order changes, and the function that ends the watch. Too many watchers are
// KindUnavailable; the page polls instead.
func (s *Service) WatchCheckout(ctx context.Context, token string) (<-chan struct{}, func(), error) {
	o, _, err := s.checkoutOrder(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	changed, stop, ok := s.rt.watchers.watch(o.OrderKey)
	if !ok {
		return nil, nil, refuse(KindUnavailable, "", "too many pages wait; poll instead")
	}
	return changed, stop, nil
}

// CheckoutCode returns the text of the NATIVE code of the page's living
// payment. It never calls WeChat.
func (s *Service) CheckoutCode(ctx context.Context, token string) (string, error) {
	o, _, err := s.checkoutOrder(ctx, token)
	if err != nil {
		return "", err
	}
	if settledState(&o, s.rt.now()) != "" {
		return "", notFound("code; the order cannot be paid now")
	}
	var payments []Payment
	err = s.rt.store.View(ctx, func(r Reader) error {
		payments, err = paymentsOf(r, &o)
		return err
	})
	for i := range payments {
		if p := &payments[i]; p.Status == PaymentPending && p.CodeURL != "" {
			return p.CodeURL, nil
		}
	}
	if err != nil {
		return "", outcome(err)
	}
	return "", notFound("code")
}
