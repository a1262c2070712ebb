package sandbox

import (
	"errors"
)

// The events that merchants are told of, as v3 names them (v3.md 13).
const (
	eventPaid           = "TRANSACTION.SUCCESS"
	eventRefundSuccess  = "REFUND.SUCCESS"
	eventRefundAbnormal = "REFUND.ABNORMAL"
	eventRefundClosed   = "REFUND.CLOSED"
)

// errNoNotifyKey says that a merchant can be told nothing.
var errNoNotifyKey = errors.New("the merchant has not set the key that notifications take")

// refundEvent names the event of a refund that ended.
func refundEvent(status refundStatus) string {
	switch status {
	case refundAbnormal:
		return eventRefundAbnormal
	case refundClosed:
		return eventRefundClosed
	default:
		return eventRefundSuccess
	}
}

// paymentNotification makes the notification of a paid order, in the form of
// the API that made it.
func (s *Sandbox) paymentNotification(o *order) (*notification, error) {
	id := s.newEventID()
	var written letter
	var err error
	if o.API == apiV2 {
		written, err = s.paymentLetterV2(o)
	} else {
		written, err = s.paymentLetterV3(id, o)
	}
	if err != nil {
		return nil, err
	}
	return &notification{id: id, outTradeNo: o.OutTradeNo, event: eventPaid, url: o.NotifyURL, letter: written}, nil
}

// refundNotification makes the notification of a refund that ended, in the
// form that the refund says. Its address is the refund's own, or what the
// merchant set in the console (v3.md 12).
func (s *Sandbox) refundNotification(o *order, r *refund) (*notification, error) {
	id := s.newEventID()
	var written letter
	var err error
	if r.API == apiV2 {
		written, err = s.refundLetterV2(o, r)
	} else {
		written, err = s.refundLetterV3(id, o, r)
	}
	if err != nil {
		return nil, err
	}
	url := r.NotifyURL
	if url == "" {
		url = s.consoleURL(o)
	}
	return &notification{id: id, outTradeNo: o.OutTradeNo, event: refundEvent(r.Status), url: url, letter: written}, nil
}

// consoleURL is where the merchant's console says that refunds are told. A
// merchant that set nothing there is told where it is told of the payment.
func (s *Sandbox) consoleURL(o *order) string {
	if set := s.directory.merchants[o.MchID].RefundNotifyURL; set != "" {
		return set
	}
	return o.NotifyURL
}
