package relay

import (
	"context"
	"errors"
	"time"
)

// CheckoutRequest is a browser asking for a cashier page.
type CheckoutRequest struct {
	Token        string
	Target       string // path and query as the browser sent them
	Surroundings Surroundings
	ClientIP     string // of the browser as the server sees it; empty when it does not know
	BrowserID    string // from the cookie; empty when the browser has none
}

// CheckoutResult is what to do with the browser: send it to Redirect when
// that is not empty, show the page otherwise.
type CheckoutResult struct {
	Page      CheckoutPage
	Redirect  string
	BrowserID string // set the cookie to this when not empty
}

// CheckoutState is what a cashier page shows.
type CheckoutState string

// The states of the page.
const (
	CheckoutNative     CheckoutState = "waiting_native"
	CheckoutJSAPI      CheckoutState = "waiting_jsapi"
	CheckoutH5         CheckoutState = "waiting_h5"
	CheckoutReturned   CheckoutState = "returned" // the H5 link was shown before; the buyer may have paid
	CheckoutPaid       CheckoutState = "paid"
	CheckoutClosed     CheckoutState = "closed"
	CheckoutExpired    CheckoutState = "expired"
	CheckoutWrongPlace CheckoutState = "wrong_place"
	CheckoutTrouble    CheckoutState = "unavailable"
)

// CheckoutPage is the content of a cashier page.
type CheckoutPage struct {
	State       CheckoutState
	Shop        string // who is paid: the client's name
	OrderNo     string
	Description string
	AmountFen   int64
	ExpiresAt   time.Time
	Now         time.Time
	CheckoutURL string           // the page's own address
	CodeURL     string           // with CheckoutNative
	JSAPI       *JSAPIInvocation // with CheckoutJSAPI
	H5URL       string           // with CheckoutH5 and CheckoutReturned
	H5Until     time.Time        // when H5URL runs out
	Need        CheckoutNeed     // with CheckoutWrongPlace
	ReturnURL   string           // signed way back, once the order is settled or closed
	Sandbox     bool
	SandboxURL  string // the phone to pay with, when the sandbox is on this machine
}

// Checkout is the second handshake: it decides what the buyer's browser
// shows, and makes or finds the payment that can be paid there. Refusals are
// KindNotFound for a token that does not exist, KindSign, KindParam and
// KindTimestamp for a link that its client did not sign as it must.
func (s *Service) Checkout(ctx context.Context, req CheckoutRequest) (CheckoutResult, error) {
	o, c, err := s.checkoutOrder(ctx, req.Token)
	if err != nil {
		return CheckoutResult{}, err
	}
	res := CheckoutResult{Page: s.checkoutPage(&o, c)}
	if err := s.secondHandshake(c, &o, &req, &res); err != nil {
		return CheckoutResult{}, err
	}
	if res.Page.State != "" {
		return res, nil
	}
	return res, s.offer(ctx, &o, c, &req, &res)
}

// checkoutOrder finds the order of a page and its client, which is nil when
// the configuration does not know it any more.
func (s *Service) checkoutOrder(ctx context.Context, token string) (o Order, c *Client, err error) {
	if len(token) != checkoutTokenSize || !onlyChars(token, isURLSafe) {
		return o, nil, notFound("page")
	}
	err = s.rt.store.View(ctx, func(r Reader) error {
		key, err := r.OrderByToken(token)
		if err != nil {
			return err
		}
		o, err = r.Order(key)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return o, nil, notFound("page")
	}
	return o, s.clients[o.ClientID], outcome(err)
}

// checkoutPage fills what every state shows, and the state itself when
// nothing can be paid any more.
func (s *Service) checkoutPage(o *Order, c *Client) CheckoutPage {
	now := s.rt.now()
	page := CheckoutPage{
		OrderNo:     o.OrderNo,
		Description: o.Description,
		AmountFen:   o.AmountFen,
		ExpiresAt:   o.ExpiresAt,
		Now:         now,
		CheckoutURL: s.checkoutURL(o.Token),
		Sandbox:     s.Sandbox(),
		State:       settledState(o, now),
	}
	if c != nil {
		page.Shop = c.Name
	}
	if s.cfg.LoopbackPlatform() {
		page.SandboxURL = s.cfg.Platform.PayAPI + "/sandbox"
	}
	if c == nil && page.State == "" {
		page.State = CheckoutTrouble
	}
	page.ReturnURL = s.wayBack(o, c)
	return page
}

// settledState is the page of an order that cannot be paid now; empty for
// one that can.
func settledState(o *Order, now time.Time) CheckoutState {
	switch {
	case o.Status.Settled():
		return CheckoutPaid
	case o.Status == OrderClosed && o.CloseReason == CloseReasonExpired:
		return CheckoutExpired
	case o.Status == OrderClosed:
		return CheckoutClosed
	case !now.Before(o.ExpiresAt):
		return CheckoutExpired
	default:
		return ""
	}
}

// wayBack signs the buyer's way back to the shop once the outcome is known.
func (s *Service) wayBack(o *Order, c *Client) string {
	if c == nil || o.Status.Open() {
		return ""
	}
	nonce, err := s.rt.random.token()
	if err != nil {
		return ""
	}
	return returnLink(c, o, s.rt.now(), nonce)
}

// secondHandshake checks the signed link where the client wants it
// confirmed. A browser that passed it once may come back to the bare
// address, as it does from WeChat.
func (s *Service) secondHandshake(c *Client, o *Order, req *CheckoutRequest, res *CheckoutResult) error {
	if c == nil || !c.Confirm {
		return nil
	}
	if fl, ok := s.rt.flows.get(req.BrowserID, req.Token, s.rt.now()); ok && fl.confirmed {
		return nil
	}
	if err := verifyCheckoutLink(c, o, s.host, req.Target, s.rt.now()); err != nil {
		return err
	}
	return s.keepPage(&flow{clientID: c.ID, token: req.Token, confirmed: true}, req, res)
}

// keepPage stores the flow of a cashier page.
func (s *Service) keepPage(fl *flow, req *CheckoutRequest, res *CheckoutResult) error {
	named, err := s.keepFlow(fl, req.BrowserID)
	if named != "" {
		req.BrowserID, res.BrowserID = named, named
	}
	return err
}

// offer picks the trade type by surroundings and prepares the payment.
func (s *Service) offer(ctx context.Context, o *Order, c *Client, req *CheckoutRequest, res *CheckoutResult) error {
	m, err := s.merchantFor(o.MchID, o.SubMchID)
	if err != nil {
		return s.notOffered(ctx, o.OrderKey, err, res)
	}
	w := wish{client: c, order: o.OrderKey, payerIP: s.visitorsIP(req.ClientIP)}
	at, ok := s.placeFor(req.Surroundings, c, m, w.payerIP)
	if !ok {
		err := refuse(KindUnavailable, "", "WeChat wants the public address of the phone, which the server does not see, or lets the merchant take no H5 payments")
		return s.notOffered(ctx, o.OrderKey, err, res)
	}
	if at.need != "" {
		res.Page.State, res.Page.Need = CheckoutWrongPlace, at.need
		return nil
	}
	w.trade = at.trade
	back := false
	switch w.trade {
	case TradeJSAPI:
		redirect, err := s.findPayer(o, m, &w, req, res)
		if err != nil || redirect {
			return err
		}
	case TradeH5:
		if back, err = s.comeBack(ctx, o, m); err != nil {
			return s.notOffered(ctx, o.OrderKey, err, res)
		}
	default:
	}
	err = s.showPayment(ctx, &w, res)
	known, refused := errors.AsType[*Error](err)
	switch {
	case refused && w.trade == TradeH5 && saysNoLeave(known):
		s.log.WarnContext(ctx, "WeChat does not let this merchant take H5 payments; phones are sent another way",
			"merchant", m.Name, "upstream_code", known.UpstreamCode)
		m.noH5.note(s.rt.now())
		return s.offer(ctx, o, c, req, res)
	case err != nil:
		return s.notOffered(ctx, o.OrderKey, err, res)
	}
	if back {
		res.Page.State = CheckoutReturned
	}
	return nil
}

// showPayment puts the payable payment on the page.
func (s *Service) showPayment(ctx context.Context, w *wish, res *CheckoutResult) error {
	if err := s.checkWish(w); err != nil {
		return err
	}
	p, _, err := s.payable(ctx, *w)
	if err != nil {
		return err
	}
	switch p.TradeType {
	case TradeNative:
		res.Page.State, res.Page.CodeURL = CheckoutNative, p.CodeURL
	case TradeH5:
		res.Page.State, res.Page.H5URL = CheckoutH5, withWayBack(p.H5URL, res.Page.CheckoutURL)
		res.Page.H5Until = p.PrepaidAt.Add(h5Life)
	default:
		res.Page.State = CheckoutJSAPI
		res.Page.JSAPI, err = s.invokeJSAPI(&p)
	}
	return err
}

// notOffered tells why there is nothing to pay with. That WeChat cannot be
// reached is a state of the page, not an error.
func (s *Service) notOffered(ctx context.Context, key OrderKey, err error, res *CheckoutResult) error {
	err = outcome(err)
	known, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	return s.troubled(ctx, key, known, res)
}

// troubled shows why an order cannot be paid now. The order may have been
// paid or closed while we asked.
func (s *Service) troubled(ctx context.Context, key OrderKey, cause *Error, res *CheckoutResult) error {
	res.Page.State = CheckoutTrouble
	if cause.Kind != KindOrderPaid && cause.Kind != KindOrderClosed {
		s.log.WarnContext(ctx, "no payment for a cashier page", "client_id", key.ClientID, "order_no", key.OrderNo,
			"upstream_code", cause.UpstreamCode, "error", cause)
		return nil
	}
	var o Order
	err := s.rt.store.View(ctx, func(r Reader) (err error) {
		o, err = r.Order(key)
		return err
	})
	if err != nil {
		return outcome(err)
	}
	res.Page = s.checkoutPage(&o, s.clients[o.ClientID])
	if res.Page.State == "" {
		res.Page.State = CheckoutTrouble // paid, but of another amount: the order is as open as before
	}
	return nil
}
