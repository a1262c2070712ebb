package relay

import (
	"context"
	"errors"
	"net/url"
	"time"
)

// returnPatience bounds how long a page waits for WeChat's word on a payment
// that its buyer may just have made.
const returnPatience = 3 * time.Second

// comeBack asks WeChat about the order's H5 payment, if its link was shown
// before: the buyer comes back from WeChat to this very page, whatever he did
// there (v3.md section 9), and often sooner than the notification. That
// WeChat does not answer is no trouble: the page goes on waiting.
func (s *Service) comeBack(ctx context.Context, o *Order, m *merchant) (back bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, returnPatience)
	defer cancel()
	_, payments, err := s.orderWithPayments(ctx, o.OrderKey)
	if err != nil {
		return false, err
	}
	for i := range payments {
		p := &payments[i]
		if p.TradeType != TradeH5 || p.Status != PaymentPending || p.H5URL == "" {
			continue
		}
		back = true
		if paid, err := s.askNow(ctx, m, p); paid {
			return true, refuse(KindOrderPaid, "", "the order is paid")
		} else if known, ok := errors.AsType[*Error](err); ok && known.Kind == KindUnavailable {
			return true, err
		}
	}
	return back, nil
}

// withWayBack adds the page to which WeChat sends the buyer afterwards.
func withWayBack(h5URL, page string) string {
	return h5URL + "&redirect_url=" + url.QueryEscape(page)
}
