package relay

import (
	"context"
	"errors"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// BilledRefunds names the refunds of a day that WeChat's bill knows.
func (g *gatewayV3) BilledRefunds(ctx context.Context, day time.Time, subMchID string) ([]BilledRefund, error) {
	rows, err := g.client.TradeBill(ctx, day, payv3.BillRefund, subMchID)
	switch {
	case errors.Is(err, payv3.ErrNoStatement):
		_ = g.told("bill", nil)
		return nil, nil
	case errors.Is(err, payv3.ErrStatementCreating):
		_ = g.told("bill", nil)
		return nil, errBillNotReady
	}
	if err = g.told("bill", err); err != nil {
		return nil, err
	}
	var billed []BilledRefund
	for i := range rows {
		if r := &rows[i]; r.IsRefund() && r.OutRefundNo != "" {
			billed = append(billed, BilledRefund{OutRefundNo: r.OutRefundNo, OutTradeNo: r.OutTradeNo})
		}
	}
	return billed, nil
}
