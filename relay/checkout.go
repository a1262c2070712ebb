package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// CheckoutRequest is a browser asking for a cashier page.
type CheckoutRequest struct {
	Token        string
	Target       string // path and query as the browser sent them
	Surroundings Surroundings
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
	ReturnURL   string           // signed way back, once the order is settled or closed
	Phone       bool             // opened on a phone outside WeChat
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
	return s.keepFlow(flow{token: req.Token, confirmed: true}, req, res)
}

// keepFlow stores a browser's flow, giving the browser a name if it has
// none.
func (s *Service) keepFlow(fl flow, req *CheckoutRequest, res *CheckoutResult) error {
	state, err := s.rt.random.state()
	if err != nil {
		return err
	}
	if req.BrowserID == "" {
		if req.BrowserID, err = s.rt.random.token(); err != nil {
			return err
		}
		res.BrowserID = req.BrowserID
	}
	fl.id, fl.browserID = state, req.BrowserID
	if !s.rt.flows.put(fl, s.rt.now()) {
		return refuse(KindUnavailable, "", "too many buyers at once; try again in a minute")
	}
	return nil
}

// offer picks the trade type by surroundings and prepares the payment.
func (s *Service) offer(ctx context.Context, o *Order, c *Client, req *CheckoutRequest, res *CheckoutResult) error {
	res.Page.Phone = req.Surroundings == SurroundPhone
	trade := TradeNative
	if req.Surroundings == SurroundWeChat {
		trade = TradeJSAPI
	}
	if !slices.Contains(c.Allow, trade) || res.Page.Phone && s.paysInWeChat(c) {
		res.Page.State = CheckoutWrongPlace
		return nil
	}
	w := wish{client: c, order: o.OrderKey, trade: trade}
	if trade == TradeJSAPI {
		redirect, err := s.findPayer(o, &w, req, res)
		if err != nil || redirect {
			return err
		}
	}
	return s.showPayment(ctx, &w, res)
}

// paysInWeChat reports whether the client's buyers can pay inside WeChat. On
// a phone that is the way to go: a phone cannot scan its own screen.
func (s *Service) paysInWeChat(c *Client) bool {
	m, err := s.merchantOf(c)
	if err != nil || !slices.Contains(c.Allow, TradeJSAPI) {
		return false
	}
	_, err = s.accountOf(c, m, AccountOfficial)
	return err == nil
}

// showPayment puts the payable payment on the page. That WeChat cannot be
// reached is a state of the page, not an error.
func (s *Service) showPayment(ctx context.Context, w *wish, res *CheckoutResult) error {
	err := s.checkWish(w)
	var p Payment
	if err == nil {
		p, _, err = s.payable(ctx, *w)
	}
	var known *Error
	switch {
	case err == nil && p.TradeType == TradeNative:
		res.Page.State, res.Page.CodeURL = CheckoutNative, p.CodeURL
	case err == nil:
		res.Page.State = CheckoutJSAPI
		res.Page.JSAPI, err = s.invokeJSAPI(&p)
	case errors.As(outcome(err), &known):
		return s.troubled(ctx, w.order, known, res)
	}
	return err
}

// troubled shows why an order cannot be paid now. The order may have been
// paid or closed while we asked.
func (s *Service) troubled(ctx context.Context, key OrderKey, cause *Error, res *CheckoutResult) error {
	res.Page.State = CheckoutTrouble
	if cause.Kind != KindOrderPaid && cause.Kind != KindOrderClosed {
		s.log.WarnContext(ctx, "no payment for a cashier page", "client_id", key.ClientID, "order_no", key.OrderNo,
			"upstream_code", cause.UpstreamCode, "error", cause.Err)
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
