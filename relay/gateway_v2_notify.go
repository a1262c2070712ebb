package relay

import (
	"context"
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// Names of the events of APIv2, which has none itself: those that APIv3 gives
// to the same events.
const (
	eventTransactionV2 = "TRANSACTION.SUCCESS"
	eventRefundV2      = "REFUND." // and the state
)

// ParseNotification verifies, or for refunds decrypts, and decodes what was
// posted to the merchant's address.
func (g *gatewayV2) ParseNotification(_ context.Context, raw RawNotification) (Notification, error) {
	n, err := g.client.ParseNotification(raw.Body)
	if bad, ok := errors.AsType[*payv2.VerifyError](err); ok {
		return Notification{}, &VerificationError{Reason: string(bad.Reason), Err: err}
	}
	if err != nil {
		return Notification{}, &VerificationError{Reason: "malformed", Err: err}
	}
	if n.Refund != nil {
		return refundNotificationV2(n.Refund, n.Fields), nil
	}
	t := transactionV2(n.Payment, n.Fields)
	return Notification{
		ID:          "v2-" + t.TransactionID, // WeChat gives no id; this is the same on every repeat
		EventType:   eventTransactionV2,
		API:         APIv2,
		Transaction: &t,
		Plaintext:   t.Raw,
	}, nil
}

// refundNotificationV2 reads a notification that nobody signed.
func refundNotificationV2(r *payv2.RefundNotice, fields payv2.Message) Notification {
	st := RefundStatement{
		MchID:         r.MchID,
		SubMchID:      r.SubMchID,
		OutRefundNo:   r.OutRefundNo,
		RefundID:      r.RefundID,
		OutTradeNo:    r.OutTradeNo,
		TransactionID: r.TransactionID,
		State:         refundStateV2(r.Status),
		AmountFen:     r.RefundFen,
		TotalFen:      r.TotalFen,
		UserAccount:   r.Receiver,
		SuccessTime:   r.SuccessTime,
		Raw:           fields.Encode(),
		Unsigned:      true,
	}
	return Notification{
		ID:        "v2-" + st.RefundID + "-" + string(st.State),
		EventType: eventRefundV2 + string(st.State),
		API:       APIv2,
		Refund:    &st,
		Plaintext: st.Raw,
	}
}
