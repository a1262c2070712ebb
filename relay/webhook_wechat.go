package relay

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// What WeChat says where it has nothing to say, or in words of its own.
const (
	wechatPaid         = "支付成功"
	wechatOtherBank    = "OTHERS"
	wechatRefundByUs   = "API"
	wechatRefundByHand = "VENDOR_PLATFORM"
)

// wechatPayload is what a client with a format of WeChat's own is told, fixed
// when the fact is committed: what WeChat would have said had the client been
// the merchant (contract section 7). It is false when WeChat would have said
// nothing, because it knows no such notification or because the client would
// not know the refund's number; GET /v1/events tells those.
func (f *fact) wechatPayload(format NotifyFormat) (payload []byte, told bool, err error) {
	switch {
	case f.payment == nil:
		return nil, false, nil
	case f.kind == EventOrderPaid && format == NotifyWeChatV2:
		payload, err = json.Marshal(payv2.PaymentFields(f.transactionV2()))
	case f.kind == EventOrderPaid:
		payload, err = json.Marshal(f.transactionV3())
	case f.refund == nil, f.refund.Source == RefundByCase, f.refund.RefundID == "":
		return nil, false, nil // one that WeChat refused to take has no number there
	case format == NotifyWeChatV2:
		payload, err = json.Marshal(payv2.RefundFields(f.refundV2()))
	default:
		payload, err = json.Marshal(f.refundV3())
	}
	return payload, err == nil, err
}

// appID is the app id that the buyer's openid belongs to. The client is told
// as a merchant of its own, also where a service provider collects.
func (f *fact) appID() string { return cmp.Or(f.payment.SubAppID, f.payment.AppID) }

// attachV2 is the client's attach, unless it could move the border between
// signed fields: such values are never produced here (threats A14). Orders
// with one are refused, but this one was made before the client had the
// format.
func (f *fact) attachV2() string {
	if payv2.Ambiguous(f.order.Attach) {
		return ""
	}
	return f.order.Attach
}

// transactionV2 is v2.md section 8.
func (f *fact) transactionV2() *payv2.Transaction {
	o, p := f.order, f.payment
	return &payv2.Transaction{
		AppID:         f.appID(),
		MchID:         o.ClientID,
		OutTradeNo:    o.OrderNo,
		TransactionID: p.TransactionID,
		TradeType:     payv2.TradeType(wechatTradeType(p.TradeType)),
		OpenID:        p.PayerOpenID,
		TotalFen:      p.PaidFen,
		CashFen:       p.PayerFen,
		FeeType:       Currency,
		BankType:      cmp.Or(p.BankType, wechatOtherBank),
		Attach:        f.attachV2(),
		TimeEnd:       p.PaidAt,
	}
}

// transactionV3 is v3.md section 13.
func (f *fact) transactionV3() *payv3.Transaction {
	o, p := f.order, f.payment
	return &payv3.Transaction{
		AppID:          f.appID(),
		MchID:          o.ClientID,
		OutTradeNo:     o.OrderNo,
		TransactionID:  p.TransactionID,
		TradeType:      wechatTradeType(p.TradeType),
		TradeState:     string(TradeSuccess),
		TradeStateDesc: wechatPaid,
		BankType:       cmp.Or(p.BankType, wechatOtherBank),
		Attach:         o.Attach,
		SuccessTime:    wechatTime(p.PaidAt),
		Payer:          &payv3.Payer{OpenID: p.PayerOpenID},
		Amount:         &payv3.Amount{Total: p.PaidFen, PayerTotal: p.PayerFen, Currency: Currency, PayerCurrency: Currency},
	}
}

// refundV2 is v2.md section 12.
func (f *fact) refundV2() *payv2.RefundNotice {
	r := f.refund
	n := &payv2.RefundNotice{
		AppID:               f.appID(),
		MchID:               f.order.ClientID,
		TransactionID:       f.payment.TransactionID,
		OutTradeNo:          f.order.OrderNo,
		RefundID:            r.RefundID,
		OutRefundNo:         cmp.Or(r.RefundNo, r.OutRefundNo),
		TotalFen:            f.payment.PaidFen,
		RefundFen:           r.AmountFen,
		SettlementRefundFen: r.AmountFen,
		SuccessTime:         r.SucceededAt,
		Receiver:            r.UserAccount,
		Source:              wechatRefundByUs,
	}
	if r.Source == RefundByConsole {
		n.Source = wechatRefundByHand
	}
	switch r.Status {
	case RefundSucceeded:
		n.Status = payv2.RefundSuccess
	case RefundAbnormal:
		n.Status = payv2.RefundChange
	default:
		n.Status = payv2.RefundClosed
	}
	return n
}

// refundV3 is v3.md section 13.
func (f *fact) refundV3() *payv3.RefundNotice {
	r, p := f.refund, f.payment
	n := &payv3.RefundNotice{
		MchID:               f.order.ClientID,
		TransactionID:       p.TransactionID,
		OutTradeNo:          f.order.OrderNo,
		RefundID:            r.RefundID,
		OutRefundNo:         cmp.Or(r.RefundNo, r.OutRefundNo),
		SuccessTime:         wechatTime(r.SucceededAt),
		UserReceivedAccount: r.UserAccount,
		Amount:              payv3.RefundAmount{Total: p.PaidFen, Refund: r.AmountFen, PayerTotal: p.PayerFen, PayerRefund: payerShare(r.AmountFen, p)},
	}
	switch r.Status {
	case RefundSucceeded:
		n.Status = payv3.RefundSuccess
	case RefundAbnormal:
		n.Status = payv3.RefundAbnormal
	default:
		n.Status = payv3.RefundClosed
	}
	return n
}

// payerShare is how much of a refund the buyer gets in money: as much of it
// as he paid himself of the payment, which WeChat rounds in its own way.
func payerShare(fen int64, p *Payment) int64 {
	if p.PaidFen == 0 {
		return fen
	}
	return fen/p.PaidFen*p.PayerFen + fen%p.PaidFen*p.PayerFen/p.PaidFen
}

// wechatTradeType spells a trade type as both generations of WeChat's
// notifications do.
func wechatTradeType(t TradeType) string {
	switch t {
	case TradeJSAPI, TradeMiniProgram:
		return string(payv2.TradeJSAPI)
	case TradeNative:
		return string(payv2.TradeNative)
	case TradeApp:
		return string(payv2.TradeApp)
	case TradeH5:
		return string(payv2.TradeMWeb)
	default:
		return ""
	}
}

// wechatTime is how WeChat writes a time in JSON.
func wechatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(beijing.Zone).Format(time.RFC3339)
}
