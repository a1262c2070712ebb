package relay

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// prepaidLife is how long WeChat's prepay id and code address are used:
	// they live two hours (v3.md section 9), less time for the buyer.
	prepaidLife = 110 * time.Minute
	// h5Life is that of an H5 address, which lives five minutes.
	h5Life = 4 * time.Minute
	// minPaymentLife is how long WeChat lets a payment live at least: APIv2
	// refuses less than a minute, APIv3 makes it one (v2.md section 6, v3.md
	// section 9), and the call itself takes some of it.
	minPaymentLife = 70 * time.Second
	// maxPayments bounds the attempts to pay one order.
	maxPayments = 50
	// maxSentDescription is what WeChat takes of a description, in bytes.
	maxSentDescription = 127
	// maxNumbers is how many numbers one call may try: WeChat refuses one that
	// was used, and the next is tried at once. The last one is kept whatever
	// WeChat says, so that a shop that keeps asking in vain does not use up the
	// order's attempts.
	maxNumbers = 2
)

// CreatePaymentRequest is the body of POST /v1/orders/{order_no}/payments.
type CreatePaymentRequest struct {
	TradeType TradeType `json:"trade_type"`
	OpenID    string    `json:"openid"`
	PayerIP   string    `json:"payer_ip"`
	Account   string    `json:"account"`
}

// PaymentInvocation is what a client's own front end pays with.
type PaymentInvocation struct {
	OutTradeNo string           `json:"out_trade_no"`
	TradeType  TradeType        `json:"trade_type"`
	ExpiresAt  string           `json:"expires_at"`
	JSAPI      *JSAPIInvocation `json:"jsapi,omitempty"` // with mini_program too
	App        *AppInvocation   `json:"app,omitempty"`
	CodeURL    string           `json:"code_url,omitempty"`
	H5URL      string           `json:"h5_url,omitempty"` // lives five minutes
}

// CreatePayment gives a client the data with which a buyer pays its order by
// one trade type. Asked again it answers with the living payment, created
// false; another trade type closes that one at WeChat first.
func (s *Service) CreatePayment(ctx context.Context, caller *Caller, orderNo string, req CreatePaymentRequest) (v PaymentInvocation, created bool, err error) {
	c := caller.Client
	w := wish{client: c, order: OrderKey{ClientID: c.ID, OrderNo: orderNo}, trade: req.TradeType, openID: req.OpenID, account: req.Account}
	if req.PayerIP != "" {
		var ok bool
		if w.payerIP, ok = s.buyersIP(req.PayerIP); !ok {
			return v, false, refuse(KindParam, "payer_ip", "the public address of the buyer's phone, as your server sees it")
		}
	}
	if err := s.checkWish(&w); err != nil {
		return v, false, err
	}
	if err := s.claimForOrder(ctx, caller, w.order); err != nil {
		return v, false, err
	}
	p, created, err := s.payable(ctx, w)
	if err != nil {
		return v, false, outcome(err)
	}
	v, err = s.invocation(&p)
	return v, created, err
}

// invocation is what a front end needs of a payment that WeChat knows.
func (s *Service) invocation(p *Payment) (v PaymentInvocation, err error) {
	v = PaymentInvocation{OutTradeNo: p.OutTradeNo, TradeType: p.TradeType, ExpiresAt: stamp(p.ExpiresAt)}
	switch p.TradeType {
	case TradeNative:
		v.CodeURL = p.CodeURL
	case TradeH5:
		v.H5URL = p.H5URL
	case TradeJSAPI, TradeMiniProgram:
		v.JSAPI, err = s.invokeJSAPI(p)
	case TradeApp:
		v.App, err = s.invokeApp(p)
	}
	return v, err
}

// payable returns a payment that the buyer can pay now in the wished way:
// the living one, or a new one. One goroutine at a time works on an order.
func (s *Service) payable(ctx context.Context, w wish) (p Payment, created bool, err error) {
	unlock, err := s.rt.prepaying.lock(ctx, w.order)
	if err != nil {
		return p, false, err
	}
	defer unlock()

	o, payments, err := s.openOrder(ctx, w.order)
	if err != nil {
		return p, false, err
	}
	m, err := s.merchantFor(o.MchID, o.SubMchID)
	if err != nil {
		return p, false, err
	}
	if err = s.choosePayer(ctx, &w, m); err != nil {
		return p, false, err
	}
	if p, err = s.living(ctx, m, payments, &w); err != nil {
		return p, false, err
	}
	return s.makePayable(ctx, m, &o, &w, p)
}

// makePayable gives the living payment, if there is one, what a buyer pays
// with, or makes a new payment. A number that WeChat will never take again is
// replaced within the same call, so that no client hears of it.
func (s *Service) makePayable(ctx context.Context, m *merchant, o *Order, w *wish, living Payment) (p Payment, created bool, err error) {
	p, created = living, living.OutTradeNo == ""
	switch {
	case created:
		if p, err = s.newPayment(ctx, o, w, m); err != nil {
			return p, false, err
		}
	case s.invocable(&p):
		return p, false, nil
	}
	for left := maxNumbers - 1; ; left-- {
		err = s.prepay(ctx, m, &p)
		spent, ok := errors.AsType[*spentError](err)
		if !ok || left == 0 {
			return p, created, err
		}
		if err = s.giveUp(ctx, m, &p, spent.refused); err != nil {
			return p, false, err
		}
		if p, err = s.newPayment(ctx, o, w, m); err != nil {
			return p, false, err
		}
		created = true
	}
}

// invocable reports whether what WeChat answered can still be paid with.
func (s *Service) invocable(p *Payment) bool {
	life := prepaidLife
	if p.TradeType == TradeH5 {
		life = h5Life
	}
	return p.Status == PaymentPending && s.rt.now().Sub(p.PrepaidAt) < life
}

// living finds the payment that can be paid in the wished way, if there is
// one, and closes those that can be paid in another.
func (s *Service) living(ctx context.Context, m *merchant, payments []Payment, w *wish) (p Payment, err error) {
	for i := range payments {
		switch q := &payments[i]; {
		case !q.Live():
		case w.fits(q) && m.speaks(q.API):
			p = *q
		default:
			if err := s.abandon(ctx, m, q); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// fits reports whether a payment is made in the wished way. WeChat compares
// the address for which an H5 payment was ordered with that of the phone.
func (w *wish) fits(p *Payment) bool {
	return p.TradeType == w.trade && p.AppID == w.appID && p.PayerAppID == w.payerAppID && p.OpenID == w.openID &&
		(p.TradeType != TradeH5 || p.PayerIP == w.payerIP)
}

// openOrder reads an order that can still be paid, with its payments.
func (s *Service) openOrder(ctx context.Context, key OrderKey) (o Order, payments []Payment, err error) {
	o, payments, err = s.orderWithPayments(ctx, key)
	if err != nil {
		return o, nil, err
	}
	return o, payments, s.stillOpen(&o)
}

// orderWithPayments reads an order and all attempts to pay it, in one state
// of the store. An order that does not exist is KindNotFound.
func (s *Service) orderWithPayments(ctx context.Context, key OrderKey) (o Order, payments []Payment, err error) {
	err = s.rt.store.View(ctx, func(r Reader) error {
		if o, err = r.Order(key); err != nil {
			return err
		}
		payments, err = paymentsOf(r, &o)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		err = notFound("order")
	}
	return o, payments, err
}

func paymentsOf(r Reader, o *Order) ([]Payment, error) {
	payments := make([]Payment, 0, len(o.Payments))
	for _, no := range o.Payments {
		p, err := r.Payment(PaymentKey{MchID: o.MchID, OutTradeNo: no})
		if err != nil {
			return nil, err
		}
		payments = append(payments, p)
	}
	return payments, nil
}

func (s *Service) stillOpen(o *Order) error {
	switch {
	case o.Status.Settled():
		return refuse(KindOrderPaid, "", "the order is paid")
	case !o.Status.Open():
		return refuse(KindOrderClosed, "", "the order is closed")
	case !s.rt.now().Before(o.ExpiresAt):
		return refuse(KindOrderClosed, "", "the order has expired")
	}
	return nil
}

// abandon closes a payment at WeChat to make room for another; if it turns
// out to be paid, the order is.
func (s *Service) abandon(ctx context.Context, m *merchant, p *Payment) error {
	paid, err := s.closePayment(ctx, m, p)
	if err == nil && paid {
		err = s.afterPaid(ctx, p.Order)
	}
	return err
}

// newPayment stores a payment before WeChat is told of it, so that a
// notification can never be for a number that we do not know.
func (s *Service) newPayment(ctx context.Context, o *Order, w *wish, m *merchant) (Payment, error) {
	number, err := s.rt.random.id(s.rt.now())
	if err != nil {
		return Payment{}, err
	}
	now := s.rt.now().Truncate(time.Second)
	p := Payment{
		PaymentKey:    PaymentKey{MchID: o.MchID, OutTradeNo: number},
		Order:         o.OrderKey,
		API:           m.prefer,
		TradeType:     w.trade,
		AppID:         w.appID,
		SubMchID:      o.SubMchID,
		SubAppID:      w.subAppID,
		OpenID:        w.openID,
		PayerAppID:    w.payerAppID,
		AmountFen:     o.AmountFen,
		Description:   sendable(o.Description),
		NotifyURL:     s.PublicURL() + "/wechat/notify/" + m.Name,
		ProfitSharing: o.ProfitSharing,
		PayerIP:       cmp.Or(w.payerIP, nobodysIP),
		Status:        PaymentCreated,
		CreatedAt:     now,
		ExpiresAt:     o.ExpiresAt,
	}
	if least := now.Add(minPaymentLife); p.ExpiresAt.Before(least) {
		p.ExpiresAt = least // the order's own end closes it at WeChat before
	}
	if direct(w.client) {
		// WeChat tells the client itself, who knows its order by the attach.
		p.NotifyURL, p.Attach = o.NotifyURL, cmp.Or(o.Attach, o.OrderNo)
	}
	p.AskAt = s.nextAsk(&p, p.CreatedAt)
	return p, s.rt.store.Update(ctx, func(tx Tx) error {
		cur, err := tx.Order(o.OrderKey)
		if err != nil {
			return err
		}
		if err := s.stillOpen(&cur); err != nil {
			return err
		}
		if len(cur.Payments) >= maxPayments {
			return refuse(KindRate, "", "too many attempts to pay this order; make a new one")
		}
		cur.Payments = append(slices.Clip(cur.Payments), number)
		cur.Status = OrderPaying
		cur.Version++
		if err := tx.PutOrder(&cur); err != nil {
			return err
		}
		return tx.PutPayment(&p)
	})
}

// prepay tells WeChat of a stored payment, or tells it again: the same
// number with the same content is harmless and refreshes what has run out.
// A spentError tells that WeChat will not take the number again.
func (s *Service) prepay(ctx context.Context, m *merchant, p *Payment) error {
	answer, err := m.gateway(p.API).Prepay(ctx, p)
	var refused *GatewayError
	switch {
	case err == nil:
	case errors.As(err, &refused) && saysPaid(refused):
		return s.prepaidPaid(ctx, m, p, refused)
	case errors.As(err, &refused) && !refused.Retryable && (saysClosed(refused) || saysSpoilt(refused)):
		return &spentError{refused}
	default:
		// After any other refusal (a permission that is missing, a limit) the
		// next try repeats the same number, so that a shop that keeps asking
		// does not use up the order's attempts.
		return upstream(err)
	}
	now := s.rt.now()
	return s.changePayment(ctx, p, func(cur *Payment) bool {
		if cur.Status == PaymentCreated {
			cur.Status = PaymentPending
		}
		cur.PrepayID, cur.CodeURL, cur.H5URL, cur.PrepaidAt = answer.PrepayID, answer.CodeURL, answer.H5URL, now
		return true
	})
}

// prepaidPaid learns of a payment that WeChat says was made. Money that is
// kept as a case leaves the order to be paid by another number.
func (s *Service) prepaidPaid(ctx context.Context, m *merchant, p *Payment, refused *GatewayError) error {
	paid, err := s.ask(ctx, m, p)
	if err == nil && !paid {
		err = upstream(refused)
	}
	if err == nil {
		err = s.afterPaid(ctx, p.Order)
	}
	if err == nil {
		err = &spentError{refused}
	}
	return err
}

// spentError says that WeChat refuses a payment because of its number.
type spentError struct{ refused *GatewayError }

// Error names the refusal.
func (e *spentError) Error() string { return "number spent: " + e.refused.Error() }

// Unwrap returns what the caller is told when another number did not help.
func (e *spentError) Unwrap() error { return upstream(e.refused) }

// giveUp ends a payment whose number WeChat refuses. Nobody can have been
// shown anything to pay with unless WeChat knew the payment before; then it
// is closed there, and may turn out to be paid.
func (s *Service) giveUp(ctx context.Context, m *merchant, p *Payment, refused *GatewayError) error {
	if p.Status != PaymentCreated || saysClosed(refused) {
		return s.abandon(ctx, m, p)
	}
	return s.changePayment(ctx, p, func(cur *Payment) bool {
		if cur.Status != PaymentCreated {
			return false
		}
		cur.Status, cur.AskAt = PaymentFailed, time.Time{}
		return true
	})
}

// changePayment changes the stored payment in a transaction and brings p up
// to date with it.
func (s *Service) changePayment(ctx context.Context, p *Payment, change func(*Payment) bool) error {
	var changed Payment // the transaction may outlive Update
	err := s.rt.store.Update(ctx, func(tx Tx) error {
		cur, err := tx.Payment(p.PaymentKey)
		if err != nil {
			return err
		}
		if change(&cur) {
			if !cur.Live() {
				cur.AskAt = time.Time{} // nothing is left to ask WeChat about
			}
			if err := tx.PutPayment(&cur); err != nil {
				return err
			}
		}
		changed = cur
		return nil
	})
	if err == nil {
		*p = changed
	}
	return err
}

// invokeJSAPI signs what the page in WeChat pays with.
func (s *Service) invokeJSAPI(p *Payment) (*JSAPIInvocation, error) {
	m, err := s.merchantFor(p.MchID, p.SubMchID)
	if err != nil {
		return nil, err
	}
	v, err := m.gateway(p.API).InvokeJSAPI(p)
	return &v, err
}

// invokeApp signs what the mobile app pays with.
func (s *Service) invokeApp(p *Payment) (*AppInvocation, error) {
	m, err := s.merchantFor(p.MchID, p.SubMchID)
	if err != nil {
		return nil, err
	}
	v, err := m.gateway(p.API).InvokeApp(p)
	return &v, err
}

// direct reports whether WeChat notifies the client itself.
func direct(c *Client) bool { return c != nil && c.Callback == CallbackDirect }

// sendable cuts a description to what WeChat takes: at most 127 bytes on a
// character border, without characters beyond the Basic Multilingual Plane
// (v3.md section 2).
func sendable(description string) string {
	var b strings.Builder
	for _, r := range description {
		if r > 0xFFFF {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > maxSentDescription {
			break
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "-"
	}
	return b.String()
}
