package sandbox

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// letterV2 is a notification of APIv2, written afresh for every attempt
// (v2.md 8 and 12).
type letterV2 struct {
	key []byte
	// body writes the notification with this key; with another amount when a
	// fault is given.
	body func(key []byte, wrong *fault) ([]byte, error)
}

// faults are those that a notification without time stamp, serial and event
// type can play.
func (l *letterV2) faults() faultGroup { return notifyFaultsV2 }

// taken is the rule of v2.md 8: the document that says SUCCESS, and nothing
// around it.
func (l *letterV2) taken(status int, answer []byte) bool {
	return status == http.StatusOK && payv2.ParseReply(answer) == nil
}

// write makes one attempt.
func (l *letterV2) write(f *fault) (http.Header, []byte, error) {
	key, wrong := l.key, (*fault)(nil)
	if f != nil {
		switch f.Name {
		case faultForged:
			key = forgerKeyV2
		case faultWrongAmount:
			wrong = f
		}
	}
	body, err := l.body(key, wrong)
	if err != nil {
		return nil, nil, fmt.Errorf("writing a notification: %w", err)
	}
	if f != nil && f.Name == faultTampered {
		body = tamperedV2(body)
	}
	return http.Header{"Content-Type": {"text/xml; charset=utf-8"}}, body, nil
}

// tamperedV2 changes a notification after it was signed or encrypted: another
// number of the order, or another first block of what is encrypted.
func tamperedV2(body []byte) []byte {
	for _, element := range []string{"<out_trade_no><![CDATA[", "<req_info><![CDATA["} {
		if i := bytes.Index(body, []byte(element)); i >= 0 {
			changed := bytes.Clone(body)
			at := &changed[i+len(element)]
			if *at == 'A' {
				*at = 'B'
			} else {
				*at = 'A'
			}
			return changed
		}
	}
	return body
}

// paymentLetterV2 tells of a paid order, signed as its merchant signed.
func (s *Sandbox) paymentLetterV2(o *order) (letter, error) {
	paid := *o
	return s.newLetterV2(o, func(key []byte, wrong *fault) ([]byte, error) {
		told := paid.transactionV2(wrong)
		told.TradeState = payv2.StateSuccess // whatever came later
		return payv2.NewPaymentNotification(told, key, paid.SignType, s.rand)
	})
}

// refundLetterV2 tells of a refund that ended.
func (s *Sandbox) refundLetterV2(o *order, r *refund) (letter, error) {
	notice := payv2.RefundNotice{
		AppID: o.AppID, MchID: o.MchID, Partner: payv2.Partner{SubMchID: o.SubMchID, SubAppID: o.SubAppID},
		TransactionID: r.TransactionID, OutTradeNo: r.OutTradeNo, RefundID: r.RefundID, OutRefundNo: r.OutRefundNo,
		TotalFen: r.TotalFen, RefundFen: r.RefundFen, Status: refundStatusesV2[r.Status], SuccessTime: r.succeededAt(),
		Receiver: receivedAccount, Account: r.fundsV2(), Source: "API",
	}
	if r.Console {
		notice.Source = "VENDOR_PLATFORM"
	}
	return s.newLetterV2(o, func(key []byte, wrong *fault) ([]byte, error) {
		told := notice
		told.RefundFen = wrong.amount(notice.RefundFen)
		told.SettlementRefundFen = told.RefundFen
		return payv2.NewRefundNotification(&told, key, s.rand)
	})
}

// newLetterV2 addresses a notification to the merchant of an order.
func (s *Sandbox) newLetterV2(o *order, body func([]byte, *fault) ([]byte, error)) (letter, error) {
	m := s.directory.merchants[o.MchID]
	if len(m.APIv2Key) == 0 {
		return nil, errNoNotifyKey
	}
	return &letterV2{key: m.APIv2Key, body: body}, nil
}
