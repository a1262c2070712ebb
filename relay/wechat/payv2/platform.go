package payv2

import (
	"bytes"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// VerifyRequest checks a merchant's signature over a request, as WeChat does:
// by the algorithm that the request names, MD5 when it names none (section
// 3). It returns the algorithm, with which the answer is signed. Errors are
// *VerifyError.
func VerifyRequest(m Message, key []byte) (SignType, error) {
	t := SignType(m[fieldSignType])
	if t == "" {
		t = SignMD5
	}
	if !t.Known() {
		return "", &VerifyError{Reason: ReasonSignType}
	}
	if err := m.verify(t, key); err != nil {
		return "", err
	}
	return t, nil
}

// SignedReply returns the body of an answer with return_code SUCCESS and the
// given fields, among them result_code.
func SignedReply(fields Message, key []byte, t SignType, rand io.Reader) ([]byte, error) {
	m := maps.Clone(fields)
	m[fieldReturnCode], m[fieldReturnMsg] = codeSuccess, "OK"
	if err := m.sign(key, t, rand); err != nil {
		return nil, fmt.Errorf("signing as the platform: %w", err)
	}
	return m.Encode(), nil
}

// SuccessReply returns the one answer with which a receiver takes a
// notification (section 8).
func SuccessReply() []byte { return reply(codeSuccess, "OK") }

// FailReply returns the answer with which a receiver refuses a notification,
// and the unsigned one with which WeChat refuses a request.
func FailReply(reason string) []byte { return reply(codeFail, reason) }

func reply(code, words string) []byte {
	return Message{fieldReturnCode: code, fieldReturnMsg: words}.Encode()
}

// ErrReply says that a receiver did not take a notification.
var ErrReply = errors.New("answer is no success")

// ParseReply judges a receiver's answer as WeChat does (section 8): a document
// that says SUCCESS, and nothing before or after it. Errors are ErrReply.
func ParseReply(body []byte) error {
	if !bytes.HasPrefix(body, []byte("<")) || !bytes.HasSuffix(body, []byte(">")) {
		return ErrReply
	}
	m, err := ParseMessage(body)
	if err != nil || m[fieldReturnCode] != codeSuccess {
		return ErrReply
	}
	return nil
}

// NewPaymentNotification returns the body of the notification of a payment,
// signed for the merchant with the key.
func NewPaymentNotification(t *Transaction, key []byte, st SignType, rand io.Reader) ([]byte, error) {
	return SignPayment(PaymentFields(t), key, st, rand)
}

// PaymentFields returns what the notification of a payment says, before it is
// signed. It can be kept and given to SignPayment later.
func PaymentFields(t *Transaction) Message {
	m := t.Fields()
	delete(m, "trade_state") // a notification is sent after success only
	delete(m, "trade_state_desc")
	m[fieldReturnCode], m[fieldResultCode] = codeSuccess, codeSuccess
	return m
}

// SignPayment returns the body of a notification that says the fields.
func SignPayment(fields Message, key []byte, st SignType, rand io.Reader) ([]byte, error) {
	m := maps.Clone(fields)
	if st != SignMD5 {
		m[fieldSignType] = string(st)
	}
	if err := m.sign(key, st, rand); err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	return m.Encode(), nil
}

// NewRefundNotification returns the body of the notification of a refund,
// encrypted for the merchant with the key.
func NewRefundNotification(n *RefundNotice, key []byte, rand io.Reader) ([]byte, error) {
	return SealRefund(RefundFields(n), key, rand)
}

// RefundFields returns what the notification of a refund says, before a part
// of it is encrypted. It can be kept and given to SealRefund later.
func RefundFields(n *RefundNotice) Message {
	m := n.content()
	m[fieldReturnCode], m[fieldAppID], m[fieldMchID] = codeSuccess, n.AppID, n.MchID
	n.addTo(m)
	return m
}

// SealRefund returns the body of a notification that says the fields: those
// of the envelope in the open, the others in req_info.
func SealRefund(fields Message, key []byte, rand io.Reader) ([]byte, error) {
	nonce, err := newNonce(rand)
	if err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	m, content := Message{}, maps.Clone(fields)
	for _, name := range []string{fieldReturnCode, fieldAppID, fieldMchID, fieldSubAppID, fieldSubMchID} {
		m.set(name, content[name])
		delete(content, name)
	}
	if m[fieldReqInfo], err = sealReqInfo(key, content.encode(rootRefund)); err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	m[fieldNonce] = nonce
	return m.Encode(), nil
}

// content are the fields inside req_info.
func (n *RefundNotice) content() Message {
	m := Message{
		"total_fee":             strconv.FormatInt(n.TotalFen, 10),
		"settlement_total_fee":  strconv.FormatInt(n.TotalFen, 10),
		"refund_fee":            strconv.FormatInt(n.RefundFen, 10),
		"settlement_refund_fee": strconv.FormatInt(n.SettlementRefundFen, 10),
	}
	m.set("transaction_id", n.TransactionID)
	m.set("out_trade_no", n.OutTradeNo)
	m.set("refund_id", n.RefundID)
	m.set("out_refund_no", n.OutRefundNo)
	m.set("refund_status", string(n.Status))
	m.setTime("success_time", beijing.Readable, n.SuccessTime)
	m.set("refund_recv_accout", n.Receiver) // misspelt on the wire
	m.set("refund_account", n.Account)
	m.set("refund_request_source", n.Source)
	return m
}

// VerifyJSAPI checks the signature of an invocation, as WeChat's app does
// before it lets a page ask for money. Errors are *VerifyError.
func VerifyJSAPI(v JSAPIInvocation, key []byte) error {
	return verifyInvocation(v.fields(), v.PaySign, key, SignType(v.SignType))
}

// VerifyApp checks the signature of an app's invocation against the algorithm
// of its order. Errors are *VerifyError.
func VerifyApp(v AppInvocation, key []byte, t SignType) error {
	return verifyInvocation(v.fields(), v.Sign, key, t)
}

func verifyInvocation(fields Message, sign string, key []byte, t SignType) error {
	switch {
	case !t.Known():
		return &VerifyError{Reason: ReasonSignType}
	case sign == "":
		return &VerifyError{Reason: ReasonMissing}
	case !hmac.Equal([]byte(Sign(fields, key, t)), []byte(sign)):
		return &VerifyError{Reason: ReasonSignature}
	}
	return nil
}
