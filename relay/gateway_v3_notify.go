package relay

import (
	"context"
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// ParseNotification verifies, decrypts and decodes what was posted to the
// merchant's address.
func (g *gatewayV3) ParseNotification(ctx context.Context, raw RawNotification) (Notification, error) {
	n, err := g.client.ParseNotification(ctx, raw.Header, raw.Body)
	if err != nil {
		return Notification{}, verificationError(err)
	}
	out := Notification{ID: n.ID, EventType: n.EventType, Serial: n.Serial, API: APIv3, Plaintext: n.Plaintext}
	switch {
	case n.EventType == payv3.EventTransactionSuccess:
		out.Transaction, err = toldTransactionV3(n)
	case payv3.IsRefundEvent(n.EventType):
		out.Refund, err = toldRefundV3(n)
	}
	if err != nil {
		return Notification{}, &VerificationError{Reason: "malformed", Err: err}
	}
	return out, nil
}

func toldTransactionV3(n *payv3.Notification) (*Transaction, error) {
	t, err := n.Transaction()
	if err != nil {
		return nil, err
	}
	told, err := transactionV3(t, n.Plaintext)
	return &told, err
}

func toldRefundV3(n *payv3.Notification) (*RefundStatement, error) {
	r, err := n.Refund()
	if err != nil {
		return nil, err
	}
	st := RefundStatement{
		MchID:         r.MchID,
		SubMchID:      r.SubMchID,
		OutRefundNo:   r.OutRefundNo,
		RefundID:      r.RefundID,
		OutTradeNo:    r.OutTradeNo,
		TransactionID: r.TransactionID,
		State:         RefundState(r.Status),
		AmountFen:     r.Amount.Refund,
		TotalFen:      r.Amount.Total,
		UserAccount:   r.UserReceivedAccount,
		Raw:           n.Plaintext,
	}
	if r.Status == payv3.RefundSuccess {
		st.SuccessTime, err = r.SucceededAt()
	}
	return &st, err
}

// verificationError gives a refusal the closed word that metrics count by.
func verificationError(err error) error {
	if bad, ok := errors.AsType[*payv3.VerifyError](err); ok {
		return &VerificationError{Reason: string(bad.Reason), Err: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &VerificationError{Reason: "malformed", Err: err}
}
