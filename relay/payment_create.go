package relay

import (
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
	// maxPayments bounds the attempts to pay one order.
	maxPayments = 50
	// maxSentDescription is what WeChat takes of a description, in bytes.
	maxSentDescription = 127
)

// CreatePaymentRequest is the body of POST /v1/orders/{order_no}/payments.
type CreatePaymentRequest struct {
	TradeType TradeType `json:"trade_type"`
	OpenID    string    `json:"openid"`
	Account   string    `json:"account"`
}

// PaymentInvocation is what a client's own front end pays with.
type PaymentInvocation struct {
	OutTradeNo string           `json:"out_trade_no"`
	TradeType  TradeType        `json:"trade_type"`
	ExpiresAt  string           `json:"expires_at"`
	JSAPI      *JSAPIInvocation `json:"jsapi,omitempty"`
	CodeURL    string           `json:"code_url,omitempty"`
}

// CreatePayment gives a client the data with which a buyer pays its order by
// one trade type. Asked again it answers with the living payment, created
// false; another trade type closes that one at WeChat first.
func (s *Service) CreatePayment(ctx context.Context, caller *Caller, orderNo string, req CreatePaymentRequest) (v PaymentInvocation, created bool, err error) {
	c := caller.Client
	w := wish{client: c, order: OrderKey{ClientID: c.ID, OrderNo: orderNo}, trade: req.TradeType, openID: req.OpenID, account: req.Account}
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
	v = PaymentInvocation{OutTradeNo: p.OutTradeNo, TradeType: p.TradeType, ExpiresAt: stamp(p.ExpiresAt), CodeURL: p.CodeURL}
	if p.TradeType == TradeJSAPI {
		v.JSAPI, err = s.invokeJSAPI(&p)
	}
	return v, created, err
}

// wish is how somebody wants to pay an order.
type wish struct {
	client  *Client
	order   OrderKey
	trade   TradeType
	openID  string
	account string // name; empty: the client's
	appID   string // found by checkWish
}

// checkWish refuses what the client may not do, before anything is stored.
func (s *Service) checkWish(w *wish) error {
	switch w.trade {
	case TradeNative, TradeJSAPI:
	case TradeH5, TradeApp, TradeMiniProgram:
		return refusef(KindParam, "trade_type", "%s is not supported yet; use jsapi or native", w.trade)
	default:
		return refuse(KindParam, "trade_type", "jsapi or native")
	}
	if !slices.Contains(w.client.Allow, w.trade) {
		return refusef(KindNoAuth, "trade_type", "this client is not allowed %s", w.trade)
	}
	if w.trade == TradeJSAPI && (w.openID == "" || len(w.openID) > maxOpenID || !onlyChars(w.openID, isURLSafe)) {
		return refuse(KindParam, "openid", "needed for jsapi: the buyer's openid under the account")
	}
	if w.trade == TradeNative && w.openID != "" {
		return refuse(KindParam, "openid", "not used by native; leave it out")
	}
	m, err := s.merchantOf(w.client)
	if err != nil {
		return err
	}
	a, err := s.payingAccount(w, m)
	if err != nil {
		return err
	}
	w.appID = a.AppID
	return nil
}

// payingAccount finds the account whose app id the payment carries.
func (s *Service) payingAccount(w *wish, m *merchant) (*Account, error) {
	if w.account == "" {
		return s.accountOf(w.client, m, AccountOfficial)
	}
	a := s.accounts[w.account]
	if a == nil || !slices.Contains(m.Accounts, w.account) || a.Kind != AccountOfficial {
		return nil, refusef(KindParam, "account", "not an official account bound to merchant %s", m.Name)
	}
	return a, nil
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
	if p, err = s.living(ctx, m, payments, &w); err != nil {
		return p, false, err
	}
	if p.Status == PaymentPending && s.rt.now().Sub(p.PrepaidAt) < prepaidLife {
		return p, false, nil
	}
	if p.OutTradeNo != "" {
		if gone, err := s.prepayAgain(ctx, m, &p); err != nil || !gone {
			return p, false, err
		}
	}
	if p, err = s.newPayment(ctx, &o, &w, m); err != nil {
		return p, false, err
	}
	err = s.prepay(ctx, m, &p)
	return p, true, err
}

// living finds the payment that can be paid in the wished way, if there is
// one, and closes those that can be paid in another.
func (s *Service) living(ctx context.Context, m *merchant, payments []Payment, w *wish) (p Payment, err error) {
	for i := range payments {
		switch q := &payments[i]; {
		case q.Status != PaymentCreated && q.Status != PaymentPending:
		case q.TradeType == w.trade && q.AppID == w.appID && q.OpenID == w.openID:
			p = *q
		default:
			if err := s.abandon(ctx, m, q); err != nil {
				return p, err
			}
		}
	}
	return p, nil
}

// prepayAgain tells WeChat again of a payment. It reports that the payment is
// gone when a close of ours took effect without our hearing of it.
func (s *Service) prepayAgain(ctx context.Context, m *merchant, p *Payment) (gone bool, err error) {
	err = s.prepay(ctx, m, p)
	var refused *GatewayError
	if !errors.As(err, &refused) || !saysClosed(refused) {
		return false, err
	}
	return true, s.abandon(ctx, m, p)
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
		err = refuse(KindOrderPaid, "", "the order is paid")
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
	p := Payment{
		PaymentKey:    PaymentKey{MchID: o.MchID, OutTradeNo: number},
		Order:         o.OrderKey,
		API:           m.prefer,
		TradeType:     w.trade,
		AppID:         w.appID,
		SubMchID:      o.SubMchID,
		OpenID:        w.openID,
		PayerAppID:    w.appID,
		AmountFen:     o.AmountFen,
		Description:   sendable(o.Description),
		NotifyURL:     s.PublicURL() + "/wechat/notify/" + m.Name,
		ProfitSharing: o.ProfitSharing,
		Status:        PaymentCreated,
		CreatedAt:     s.rt.now().Truncate(time.Second),
		ExpiresAt:     o.ExpiresAt,
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
func (s *Service) prepay(ctx context.Context, m *merchant, p *Payment) error {
	answer, err := m.gateway(p.API).Prepay(ctx, p)
	var refused *GatewayError
	switch {
	case err == nil:
	case errors.As(err, &refused) && saysPaid(refused):
		if _, err := s.ask(ctx, m, p); err != nil {
			return err
		}
		return refuse(KindOrderPaid, "", "the order is paid")
	case errors.As(err, &refused) && !refused.Retryable:
		return s.prepayRefused(ctx, p, refused)
	default:
		return upstream(err)
	}
	now := s.rt.now()
	return s.changePayment(ctx, p, func(cur *Payment) bool {
		if cur.Status == PaymentCreated {
			cur.Status = PaymentPending
		}
		cur.PrepayID, cur.CodeURL, cur.PrepaidAt = answer.PrepayID, answer.CodeURL, now
		return true
	})
}

// prepayRefused tells the caller of a refusal. Only a number that WeChat will
// never take again is given up; after any other refusal (a permission that is
// missing, a limit) the next try repeats the same number, so that a shop that
// keeps asking does not use up the order's attempts. A payment that WeChat
// knew before keeps its state.
func (s *Service) prepayRefused(ctx context.Context, p *Payment, refused *GatewayError) error {
	err := s.changePayment(ctx, p, func(cur *Payment) bool {
		if cur.Status != PaymentCreated || !saysSpoilt(refused) {
			return false
		}
		cur.Status = PaymentFailed
		return true
	})
	if err != nil {
		return err
	}
	return upstream(refused)
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
