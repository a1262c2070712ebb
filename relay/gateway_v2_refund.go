package relay

import (
	"context"
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// refundStatesV2 translates the states of APIv2 (v2.md section 11).
var refundStatesV2 = map[payv2.RefundStatus]RefundState{
	payv2.RefundProcessing: RefundStateProcessing,
	payv2.RefundSuccess:    RefundStateSuccess,
	payv2.RefundClosed:     RefundStateClosed,
	payv2.RefundChange:     RefundStateAbnormal,
}

// refundStateV2 translates a state; an unknown one is not final.
func refundStateV2(status payv2.RefundStatus) RefundState {
	if state, ok := refundStatesV2[status]; ok {
		return state
	}
	return RefundStateProcessing
}

// Refund implements RefundGateway. WeChat only says that it accepted.
func (g *gatewayV2) Refund(ctx context.Context, r *Refund) (RefundStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, fields, err := g.client.Refund(ctx, refundRequestV2(r))
	if err = g.told("refund", err); err != nil {
		return RefundStatement{}, err
	}
	return RefundStatement{
		MchID:         r.MchID, // WeChat answers about the caller's refunds alone
		SubMchID:      r.SubMchID,
		OutRefundNo:   r.OutRefundNo,
		RefundID:      reply.RefundID,
		OutTradeNo:    r.OutTradeNo,
		TransactionID: reply.TransactionID,
		State:         RefundStateProcessing,
		AmountFen:     reply.RefundFen,
		TotalFen:      reply.TotalFen,
		Raw:           fields.Encode(),
	}, nil
}

// maxSentReason is what WeChat takes of a refund's reason, in bytes.
const maxSentReason = 80

// refundRequestV2 is what WeChat is told of a refund. It depends on the
// stored refund alone, so that each repeat has the same content.
func refundRequestV2(r *Refund) *payv2.RefundRequest {
	req := &payv2.RefundRequest{
		AppID:         r.AppID,
		Partner:       partnerV2(r.SubMchID, r.SubAppID),
		TransactionID: r.TransactionID,
		OutRefundNo:   r.OutRefundNo,
		TotalFen:      r.TotalFen,
		RefundFen:     r.AmountFen,
		Reason:        unambiguousV2(r.Reason, maxSentReason),
		NotifyURL:     r.NotifyURL,
	}
	if r.TransactionID == "" {
		req.OutTradeNo = r.OutTradeNo
	}
	return req
}

// QueryRefund implements RefundGateway.
func (g *gatewayV2) QueryRefund(ctx context.Context, r *Refund) (RefundStatement, error) {
	list, err := g.refunds(ctx, payv2.RefundQueryRequest{
		AppID: r.AppID, Partner: partnerV2(r.SubMchID, r.SubAppID), OutRefundNo: r.OutRefundNo,
	})
	if err != nil {
		return RefundStatement{}, err
	}
	return list[0], nil // the client has made sure that there is exactly one
}

// ListRefunds returns all refunds of a paid payment, those too that were made
// in WeChat's own console. A payment without refunds has none.
func (g *gatewayV2) ListRefunds(ctx context.Context, p *Payment) ([]RefundStatement, error) {
	list, err := g.refunds(ctx, payv2.RefundQueryRequest{
		AppID: p.AppID, Partner: partnerV2(p.SubMchID, p.SubAppID), TransactionID: p.TransactionID,
	})
	if refused, ok := errors.AsType[*GatewayError](err); ok && refused.Code == payv2.CodeRefundNotExist {
		return nil, nil
	}
	return list, err
}

// refunds asks WeChat and reads its answer.
func (g *gatewayV2) refunds(ctx context.Context, asked payv2.RefundQueryRequest) ([]RefundStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	answer, fields, err := g.client.RefundQuery(ctx, asked)
	if err = g.told("query_refund", err); err != nil {
		return nil, err
	}
	raw := fields.Encode()
	list := make([]RefundStatement, 0, len(answer.List))
	for _, r := range answer.List {
		list = append(list, RefundStatement{
			MchID:         g.mchID,
			SubMchID:      asked.SubMchID,
			OutRefundNo:   r.OutRefundNo,
			RefundID:      r.RefundID,
			OutTradeNo:    answer.OutTradeNo,
			TransactionID: answer.TransactionID,
			State:         refundStateV2(r.Status),
			AmountFen:     r.RefundFen,
			TotalFen:      answer.TotalFen,
			UserAccount:   r.Receiver,
			SuccessTime:   r.SuccessTime,
			Raw:           raw,
		})
	}
	return list, nil
}
