package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// What the tests of package relay_test see of the inside: they live outside
// because a store in memory imports this package.

type (
	LoginResult = loginResult
	WeChat      interface {
		Gateway
		notificationParser
		loginClient
	}
)

// PlayWeChat puts the test in WeChat's place.
func (s *Service) PlayWeChat(w WeChat) {
	for _, m := range s.merchants {
		for api := range m.connections {
			m.connections[api] = connection{gateway: w, parser: w}
		}
	}
	for name := range s.logins {
		s.logins[name] = w
	}
}

// Payable makes or finds a payment.
func (s *Service) Payable(ctx context.Context, c *Client, key OrderKey, trade TradeType, openID string) (Payment, bool, error) {
	w := wish{client: c, order: key, trade: trade, openID: openID}
	if err := s.checkWish(&w); err != nil {
		return Payment{}, false, err
	}
	return s.payable(ctx, w)
}

// LogTo puts another log in place.
func (s *Service) LogTo(l *slog.Logger) { s.log = l }

// CallerFor is a client whose signature was verified.
func CallerFor(c *Client, nonce string) *Caller { return &Caller{Client: c, nonce: nonce} }

// ClientByID finds a configured client.
func (s *Service) ClientByID(id string) *Client { return s.clients[id] }

// SweepExpired runs one round of the expiry worker.
func (rt *Runtime) SweepExpired(ctx context.Context) { rt.expiry.sweep(ctx) }

// ExpiryFailures counts the orders whose close is tried again later.
func (rt *Runtime) ExpiryFailures() int { return len(rt.expiry.failed) }

// Sendable is the description as WeChat gets it.
func Sendable(s string) string { return sendable(s) }

// ExpiryTick is the worker's rhythm.
const ExpiryTick = expiryTick

// What WeChat may say to a code.
var (
	ErrCodeSpent = errCodeSpent
	ErrLoginRate = errLoginRate
	ErrLoginBusy = errLoginBusy
)

// MaxPayerClients bounds what is remembered of a person.
const MaxPayerClients = maxPayerClients

// MaxFlows and FlowLife bound browser flows.
const (
	MaxFlows = maxFlows
	FlowLife = flowLife
)

// Store is the runtime's store.
func (rt *Runtime) Store() Store { return rt.store }

// Refresh asks WeChat about an order's payments, those apart that it was asked
// about a moment ago.
func (s *Service) Refresh(ctx context.Context, key OrderKey) error { return s.refresh(ctx, key) }

// Settle books a statement that a notification made.
func (s *Service) Settle(ctx context.Context, n *Notification) error {
	_, err := s.settle(ctx, n.Transaction, &Evidence{
		Payment: PaymentKey{MchID: n.Transaction.MchID, OutTradeNo: n.Transaction.OutTradeNo}, ID: n.ID, ReceivedAt: s.rt.now(), Plaintext: n.Plaintext,
	})
	return err
}

// CaseRefundEnded moves a case on.
func (s *Service) CaseRefundEnded(tx Tx, r *Refund, now time.Time) error {
	_, err := s.caseRefundEnded(tx, r, now)
	return err
}

// OnlyV2 leaves a merchant with the older generation alone, without the
// certificate that refunds need.
func (s *Service) OnlyV2(name string) {
	m := s.merchants[name]
	m.connections = map[API]connection{APIv2: m.connections[m.prefer]}
	m.prefer = APIv2
}

// PlayWeChatFor puts another WeChat in place for one merchant.
func (s *Service) PlayWeChatFor(name string, w WeChat) {
	m := s.merchants[name]
	for api := range m.connections {
		m.connections[api] = connection{gateway: w, parser: w}
	}
}

// AskTick is the asker's rhythm.
const AskTick = askTick

// FollowRefunds tells or asks WeChat once about each refund that is due,
// without the worker's pace.
func (rt *Runtime) FollowRefunds(ctx context.Context) error {
	var due []Task
	err := rt.store.View(ctx, func(r Reader) (err error) {
		due, err = r.Tasks(TaskFollowRefund, rt.now(), 1000)
		return err
	})
	for _, t := range due {
		err = errors.Join(err, rt.refunds.follow(ctx, rt.current.Load(), RefundKey{MchID: t.MchID, OutRefundNo: t.Number}))
	}
	return err
}
