package relay

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"
)

// RawNotification is what somebody posted to a merchant's notify address.
// Nothing in it may be believed before it is verified.
type RawNotification struct {
	Header http.Header
	Body   []byte
}

// VerificationError says why a notification was not believed. Reason is one
// of a closed set of words, fit for a metric's label.
type VerificationError struct {
	Reason string
	Err    error
}

// Error names the reason.
func (e *VerificationError) Error() string { return "notification refused: " + e.Reason }

// Unwrap returns the cause.
func (e *VerificationError) Unwrap() error { return e.Err }

// Notify takes a notification for a merchant. It returns nil when WeChat may
// be told success: the statement is genuine and all it changes is on stable
// storage, or was before. Refusals are KindSign and KindParam, with nothing
// changed; KindNotFound after money for an unknown order was kept as a case,
// so that WeChat repeats; KindUnavailable when the store is in doubt.
func (s *Service) Notify(ctx context.Context, merchantName string, n RawNotification) error {
	began := s.rt.now()
	label, err := s.notify(ctx, merchantName, n)
	if s.rt.observe.Notification != nil {
		s.rt.observe.Notification(label, s.rt.now().Sub(began))
	}
	return err
}

func (s *Service) notify(ctx context.Context, merchantName string, n RawNotification) (string, error) {
	m := s.merchants[merchantName]
	if m == nil {
		return "unknown_merchant", s.refuseUnknownMerchant(ctx, n)
	}
	genuine, err := m.parse(ctx, n)
	if err != nil {
		return refusalOf(err)
	}
	evidence := &Evidence{
		Payment:    PaymentKey{MchID: m.MchID},
		ID:         genuine.ID,
		Source:     evidenceNotification,
		ReceivedAt: s.rt.now(),
		Serial:     genuine.Serial,
		EventType:  genuine.EventType,
		Plaintext:  genuine.Plaintext,
	}
	if genuine.Refund != nil {
		evidence.Payment.OutTradeNo = genuine.Refund.OutTradeNo
		return s.settleRefund(ctx, m, genuine.Refund, evidence)
	}
	if genuine.Transaction == nil {
		return s.keepForLater(ctx, evidence)
	}
	if genuine.Transaction.MchID != m.MchID || genuine.Transaction.SubMchID != m.SubMchID {
		return "foreign", errForeign
	}
	if genuine.Transaction.State != TradeSuccess {
		return "not_success", refuse(KindParam, "", "notification does not say that money arrived")
	}
	evidence.Payment.OutTradeNo = genuine.Transaction.OutTradeNo
	result, err := s.settle(ctx, genuine.Transaction, evidence)
	return answerFor(result, err)
}

// answerFor turns what a statement did into a label and the answer.
func answerFor(result settleResult, err error) (string, error) {
	var known *Error
	switch {
	case errors.Is(err, errForeign):
		return "foreign", err
	case errors.As(err, &known) && known.Kind == KindUnavailable:
		return "unavailable", err
	case err != nil:
		return "unavailable", &Error{Kind: KindUnavailable, Message: "cannot take this now", Err: err}
	case result == unknownOrder:
		return string(result), notFound("order; the money is kept as a case")
	default:
		return string(result), nil
	}
}

// refusalOf turns a failed verification into a label and a refusal that
// tells a prober nothing.
func refusalOf(err error) (string, error) {
	if bad, ok := errors.AsType[*VerificationError](err); ok {
		return bad.Reason, &Error{Kind: KindSign, Message: "notification refused", Err: err}
	}
	return "unavailable", &Error{Kind: KindUnavailable, Message: "cannot verify this now", Err: err}
}

// refuseUnknownMerchant does the work of a verification, so that neither the
// answer nor its time tells which merchants exist (threats B18).
func (s *Service) refuseUnknownMerchant(ctx context.Context, n RawNotification) error {
	for _, m := range s.merchants {
		_, err := m.parse(ctx, n)
		if err == nil {
			err = &VerificationError{Reason: "unknown_merchant"}
		}
		_, refusal := refusalOf(err)
		return refusal
	}
	return &Error{Kind: KindSign, Message: "notification refused"}
}

// unnumbered stands for the number of what is about no payment. It is too
// short for a number of WeChat's.
const unnumbered = "-"

// keepForLater stores genuine statements that are about neither a payment's
// success nor a refund, such as complaints, so that nothing that was
// acknowledged is lost.
func (s *Service) keepForLater(ctx context.Context, e *Evidence) (string, error) {
	var about struct {
		MchID      string `json:"mchid"`
		OutTradeNo string `json:"out_trade_no"`
	}
	e.Payment.OutTradeNo = unnumbered
	if err := json.Unmarshal(e.Plaintext, &about); err == nil {
		if about.MchID != "" && about.MchID != e.Payment.MchID {
			return "foreign", errForeign
		}
		if defaultOrderNo.MatchString(about.OutTradeNo) {
			e.Payment.OutTradeNo = about.OutTradeNo
		}
	}
	if err := s.rt.store.Update(ctx, func(tx Tx) error { return tx.PutEvidence(e) }); err != nil {
		return answerFor("", err)
	}
	return "kept", nil
}

// queryEvidence is the evidence of an answer to our own question.
func queryEvidence(t *Transaction, now time.Time) *Evidence {
	return &Evidence{
		Payment:    PaymentKey{MchID: t.MchID, OutTradeNo: t.OutTradeNo},
		ID:         "query-" + t.TransactionID,
		Source:     evidenceQuery,
		ReceivedAt: now,
		EventType:  string(t.State),
		Plaintext:  t.Raw,
	}
}
