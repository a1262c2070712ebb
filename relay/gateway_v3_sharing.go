package relay

import (
	"context"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// receiverTypesV3 are WeChat's words for the kinds of receivers.
var receiverTypesV3 = map[ReceiverType]payv3.ReceiverType{
	ReceiverMerchant:  payv3.ReceiverMerchant,
	ReceiverOpenID:    payv3.ReceiverOpenID,
	ReceiverSubOpenID: payv3.ReceiverSubOpenID,
}

// shareResultsV3 are our words for WeChat's results.
var shareResultsV3 = map[payv3.ShareResult]ShareResult{
	payv3.SharePending: SharePending,
	payv3.ShareSuccess: ShareSuccess,
	payv3.ShareClosed:  ShareClosed,
}

var returnResultsV3 = map[payv3.ReturnResult]SplitReturnStatus{
	payv3.ReturnProcessing: ReturnProcessing,
	payv3.ReturnSuccess:    ReturnSucceeded,
	payv3.ReturnFailed:     ReturnFailed,
}

// Split implements SharingGateway.
func (g *gatewayV3) Split(ctx context.Context, sp *Split) (SplitStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	if len(sp.Receivers) == 0 {
		reply, err := g.client.UnfreezeProfit(ctx, sp.TransactionID, sp.OutOrderNo, sp.Description, sp.SubMchID)
		return splitV3(reply, g.told("unfreeze", err))
	}
	req := &payv3.ProfitSharingRequest{
		SubMchID:        sp.SubMchID,
		AppID:           sp.AppID,
		SubAppID:        sp.SubAppID,
		TransactionID:   sp.TransactionID,
		OutOrderNo:      sp.OutOrderNo,
		UnfreezeUnsplit: sp.Unfreeze,
	}
	for i := range sp.Receivers {
		r := &sp.Receivers[i]
		req.Receivers = append(req.Receivers, payv3.ShareReceiver{
			Type: receiverTypesV3[r.Type], Account: r.Account, Name: r.Name, Amount: r.AmountFen, Description: r.Description,
		})
	}
	reply, err := g.client.ShareProfit(ctx, req)
	return splitV3(reply, g.told("split", err))
}

// QuerySplit implements SharingGateway.
func (g *gatewayV3) QuerySplit(ctx context.Context, sp *Split) (SplitStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, err := g.client.ProfitSharingByOutOrderNo(ctx, sp.TransactionID, sp.OutOrderNo, sp.SubMchID)
	return splitV3(reply, g.told("query_split", err))
}

// splitV3 reads WeChat's answer about a split.
func splitV3(reply *payv3.ProfitSharing, err error) (SplitStatement, error) {
	if err != nil {
		return SplitStatement{}, err
	}
	st := SplitStatement{WeChatID: reply.OrderID, Finished: reply.State == payv3.ShareFinished}
	for i := range reply.Receivers {
		r := &reply.Receivers[i]
		for ours, theirs := range receiverTypesV3 {
			if r.Type == theirs {
				st.Receivers = append(st.Receivers, ReceiverStatement{
					Type: ours, Account: r.Account, AmountFen: r.Amount, Result: shareResultsV3[r.Result], FailReason: r.FailReason,
				})
			}
		}
	}
	return st, nil
}

// ReturnSplit implements SharingGateway.
func (g *gatewayV3) ReturnSplit(ctx context.Context, sp *Split, r *SplitReturn) (ReturnStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, err := g.client.ReturnShare(ctx, &payv3.ShareReturnRequest{
		SubMchID:    sp.SubMchID,
		OutOrderNo:  sp.OutOrderNo,
		OutReturnNo: r.OutReturnNo,
		ReturnMchID: r.Account,
		Amount:      r.AmountFen,
		Description: r.Description,
	})
	return returnV3(reply, g.told("return_split", err))
}

// QueryReturn implements SharingGateway.
func (g *gatewayV3) QueryReturn(ctx context.Context, sp *Split, r *SplitReturn) (ReturnStatement, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	reply, err := g.client.ShareReturnByOutReturnNo(ctx, sp.OutOrderNo, r.OutReturnNo, sp.SubMchID)
	return returnV3(reply, g.told("query_return", err))
}

func returnV3(reply *payv3.ShareReturn, err error) (ReturnStatement, error) {
	if err != nil {
		return ReturnStatement{}, err
	}
	return ReturnStatement{ReturnID: reply.ReturnID, Status: returnResultsV3[reply.Result], FailReason: reply.FailReason}, nil
}

// AddReceiver implements SharingGateway.
func (g *gatewayV3) AddReceiver(ctx context.Context, r *Receiver) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	return g.told("add_receiver", g.client.AddReceiver(ctx, receiverV3(r)))
}

// DeleteReceiver implements SharingGateway.
func (g *gatewayV3) DeleteReceiver(ctx context.Context, r *Receiver) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	return g.told("delete_receiver", g.client.DeleteReceiver(ctx, receiverV3(r)))
}

func receiverV3(r *Receiver) *payv3.ReceiverRequest {
	return &payv3.ReceiverRequest{
		SubMchID:       r.SubMchID,
		AppID:          r.AppID,
		SubAppID:       r.SubAppID,
		Type:           receiverTypesV3[r.Type],
		Account:        r.Account,
		Name:           r.Name,
		RelationType:   r.RelationType,
		CustomRelation: r.CustomRelation,
	}
}
