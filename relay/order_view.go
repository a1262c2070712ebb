package relay

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// stamp is a time in answers and events: RFC 3339 with offset, seconds.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(beijing.Zone).Format(time.RFC3339)
}

// CreatedOrderView is the answer to POST /v1/orders.
type CreatedOrderView struct {
	OrderNo     string      `json:"order_no"`
	Status      OrderStatus `json:"status"`
	Amount      int64       `json:"amount"`
	Currency    string      `json:"currency"`
	CheckoutURL string      `json:"checkout_url"`
	CreatedAt   string      `json:"created_at"`
	ExpiresAt   string      `json:"expires_at"`
}

// OrderView is an order as its client reads it.
type OrderView struct {
	CreatedOrderView
	Description    string          `json:"description"`
	Attach         string          `json:"attach,omitempty"`
	NotifyURL      string          `json:"notify_url,omitempty"`
	ReturnURL      string          `json:"return_url,omitempty"`
	ExpiresIn      int64           `json:"expires_in"`
	OpenID         string          `json:"openid,omitempty"`
	ProfitSharing  bool            `json:"profit_sharing,omitempty"`
	Metadata       json.RawMessage `json:"metadata,omitempty"`
	CloseReason    string          `json:"close_reason,omitempty"`
	ClosedAt       string          `json:"closed_at,omitempty"`
	PaidAmount     int64           `json:"paid_amount"`
	RefundedAmount int64           `json:"refunded_amount"`
	PaidAt         string          `json:"paid_at,omitempty"`
	TransactionID  string          `json:"transaction_id,omitempty"`
	TradeType      TradeType       `json:"trade_type,omitempty"`
	Payments       []PaymentView   `json:"payments"`
	Refunds        []RefundView    `json:"refunds"`
	Case           *CaseView       `json:"case,omitempty"`
}

// PaymentView is a payment as the order's client reads it.
type PaymentView struct {
	OutTradeNo    string        `json:"out_trade_no"`
	TradeType     TradeType     `json:"trade_type"`
	Status        PaymentStatus `json:"status"`
	CreatedAt     string        `json:"created_at"`
	ExpiresAt     string        `json:"expires_at"`
	TransactionID string        `json:"transaction_id,omitempty"`
	PaidAmount    int64         `json:"paid_amount,omitempty"`
	PaidAt        string        `json:"paid_at,omitempty"`
}

// CaseView is an anomaly as the order's client reads it.
type CaseView struct {
	ID             string     `json:"id"`
	Kind           CaseKind   `json:"kind"`
	Status         CaseStatus `json:"status"`
	OutTradeNo     string     `json:"out_trade_no"`
	TransactionID  string     `json:"transaction_id,omitempty"`
	Amount         int64      `json:"amount"`
	ExpectedAmount int64      `json:"expected_amount,omitempty"`
	CreatedAt      string     `json:"created_at"`
	Policy         CasePolicy `json:"policy,omitempty"`
	HeldBecause    string     `json:"held_because,omitempty"`
	OutRefundNo    string     `json:"out_refund_no,omitempty"`
	ResolvedAt     string     `json:"resolved_at,omitempty"`
	Reason         string     `json:"reason,omitempty"`
}

func (s *Service) createdView(o *Order) CreatedOrderView {
	return CreatedOrderView{
		OrderNo:     o.OrderNo,
		Status:      o.Status,
		Amount:      o.AmountFen,
		Currency:    Currency,
		CheckoutURL: s.checkoutURL(o.Token),
		CreatedAt:   stamp(o.CreatedAt),
		ExpiresAt:   stamp(o.ExpiresAt),
	}
}

func (s *Service) checkoutURL(token string) string { return s.PublicURL() + "/checkout/" + token }

// Order tells a client the state of its order. With refresh WeChat is asked
// first about payments that may have been made.
func (s *Service) Order(ctx context.Context, caller *Caller, orderNo string, refresh bool) (OrderView, error) {
	key := OrderKey{ClientID: caller.Client.ID, OrderNo: orderNo}
	if refresh {
		if err := s.refresh(ctx, key); err != nil {
			return OrderView{}, outcome(err)
		}
		if err := s.refreshRefunds(ctx, key); err != nil {
			return OrderView{}, outcome(err)
		}
	}
	var v OrderView
	err := s.rt.store.View(ctx, func(r Reader) error {
		o, err := r.Order(key)
		if err != nil {
			return err
		}
		v, err = s.orderView(r, &o)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return OrderView{}, notFound("order")
	}
	return v, outcome(err)
}

// orderView collects what belongs to an order.
func (s *Service) orderView(r Reader, o *Order) (OrderView, error) {
	v := OrderView{
		CreatedOrderView: s.createdView(o),
		Description:      o.Description,
		Attach:           o.Attach,
		NotifyURL:        o.NotifyURL,
		ReturnURL:        o.ReturnURL,
		ExpiresIn:        int64(o.ExpiresIn / time.Second),
		OpenID:           o.OpenID,
		ProfitSharing:    o.ProfitSharing,
		Metadata:         o.Metadata,
		CloseReason:      o.CloseReason,
		ClosedAt:         stamp(o.ClosedAt),
		PaidAmount:       o.PaidFen,
		RefundedAmount:   o.RefundedFen,
		PaidAt:           stamp(o.PaidAt),
		TransactionID:    o.TransactionID,
		TradeType:        o.TradeType,
		Payments:         make([]PaymentView, 0, len(o.Payments)),
	}
	payments, err := paymentsOf(r, o)
	if err != nil {
		return OrderView{}, err
	}
	for i := range payments {
		v.Payments = append(v.Payments, paymentView(&payments[i]))
	}
	if v.Refunds, err = refundViews(r, o); err != nil {
		return OrderView{}, err
	}
	if o.CaseID != "" {
		c, err := r.Case(o.CaseID)
		if err != nil {
			return OrderView{}, err
		}
		v.Case = caseView(&c)
	}
	return v, nil
}

func paymentView(p *Payment) PaymentView {
	return PaymentView{
		OutTradeNo:    p.OutTradeNo,
		TradeType:     p.TradeType,
		Status:        p.Status,
		CreatedAt:     stamp(p.CreatedAt),
		ExpiresAt:     stamp(p.ExpiresAt),
		TransactionID: p.TransactionID,
		PaidAmount:    p.PaidFen,
		PaidAt:        stamp(p.PaidAt),
	}
}

func caseView(c *Case) *CaseView {
	return &CaseView{
		ID:             c.ID,
		Kind:           c.Kind,
		Status:         c.Status,
		OutTradeNo:     c.Payment.OutTradeNo,
		TransactionID:  c.TransactionID,
		Amount:         c.AmountFen,
		ExpectedAmount: c.ExpectedFen,
		CreatedAt:      stamp(c.CreatedAt),
		Policy:         c.Policy,
		HeldBecause:    c.HeldBecause,
		OutRefundNo:    c.OutRefundNo,
		ResolvedAt:     stamp(c.ResolvedAt),
		Reason:         c.Reason,
	}
}
