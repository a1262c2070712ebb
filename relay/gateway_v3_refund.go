package relay

import (
	"context"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// Refund implements RefundGateway.
func (g *gatewayV3) Refund(ctx context.Context, r *Refund) (RefundStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, raw, err := g.client.Refund(ctx, refundRequestV3(r))
	if err = g.told("refund", err); err != nil {
		return RefundStatement{}, err
	}
	return refundV3(r, reply, raw)
}

// refundRequestV3 is what WeChat is told of a refund. It depends on the
// stored refund alone, so that each repeat has the same content.
func refundRequestV3(r *Refund) *payv3.RefundRequest {
	req := &payv3.RefundRequest{
		SubMchID:      r.SubMchID,
		TransactionID: r.TransactionID,
		OutRefundNo:   r.OutRefundNo,
		Reason:        r.Reason,
		NotifyURL:     r.NotifyURL,
		Amount:        payv3.RefundRequestAmount{Refund: r.AmountFen, Total: r.TotalFen, Currency: Currency},
	}
	if r.TransactionID == "" {
		req.OutTradeNo = r.OutTradeNo
	}
	return req
}

// QueryRefund implements RefundGateway.
func (g *gatewayV3) QueryRefund(ctx context.Context, r *Refund) (RefundStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, raw, err := g.client.RefundByOutRefundNo(ctx, r.OutRefundNo, r.SubMchID)
	if err = g.told("query_refund", err); err != nil {
		return RefundStatement{}, err
	}
	return refundV3(r, reply, raw)
}

// refundV3 reads WeChat's answer about a refund of this merchant.
func refundV3(asked *Refund, r *payv3.RefundReply, raw []byte) (RefundStatement, error) {
	st := RefundStatement{
		MchID:         asked.MchID, // WeChat answers about the caller's refunds alone
		SubMchID:      asked.SubMchID,
		OutRefundNo:   r.OutRefundNo,
		RefundID:      r.RefundID,
		OutTradeNo:    r.OutTradeNo,
		TransactionID: r.TransactionID,
		State:         RefundState(r.Status),
		AmountFen:     r.Amount.Refund,
		TotalFen:      r.Amount.Total,
		UserAccount:   r.UserReceivedAccount,
		Raw:           raw,
	}
	if r.Status != payv3.RefundSuccess || r.SuccessTime == "" {
		return st, nil
	}
	var err error
	st.SuccessTime, err = r.SucceededAt()
	return st, err
}
