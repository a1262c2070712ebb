package relay

import (
	"context"
	"errors"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// h5Scene is what WeChat is told of where an H5 payment begins: the cashier
// is a web page, whatever phone shows it.
const h5Scene = "Wap"

// Prepay implements PaymentGateway.
func (g *gatewayV3) Prepay(ctx context.Context, p *Payment) (answer Prepaid, err error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	req := prepayRequestV3(p)
	switch p.TradeType {
	case TradeNative:
		answer.CodeURL, err = g.client.PrepayNative(ctx, req)
	case TradeJSAPI, TradeMiniProgram: // one interface of WeChat for both (v3.md section 9)
		req.Payer = payerV3(p)
		answer.PrepayID, err = g.client.PrepayJSAPI(ctx, req)
	case TradeH5:
		req.SceneInfo = &payv3.SceneInfo{PayerClientIP: p.PayerIP, H5Info: &payv3.H5Info{Type: h5Scene}}
		answer.H5URL, err = g.client.PrepayH5(ctx, req)
	case TradeApp:
		answer.PrepayID, err = g.client.PrepayApp(ctx, req)
	default:
		return answer, refusef(KindParam, "trade_type", "%s is not known", p.TradeType)
	}
	return answer, g.told("prepay", err)
}

// prepayRequestV3 is what WeChat is told of every payment. It depends on the
// stored payment alone, so that each repeat has the same content.
func prepayRequestV3(p *Payment) *payv3.PrepayRequest {
	req := &payv3.PrepayRequest{
		AppID:       p.AppID,
		MchID:       p.MchID,
		Description: p.Description,
		OutTradeNo:  p.OutTradeNo,
		TimeExpire:  stamp(p.ExpiresAt),
		Attach:      p.Attach,
		NotifyURL:   p.NotifyURL,
		Amount:      payv3.Amount{Total: p.AmountFen, Currency: Currency},
	}
	if p.SubMchID != "" {
		req.Partner = &payv3.Partner{SubMchID: p.SubMchID, SubAppID: p.SubAppID}
	}
	if p.ProfitSharing {
		req.SettleInfo = &payv3.SettleInfo{ProfitSharing: true}
	}
	return req
}

// payerV3 names the payer in the app that knows the openid.
func payerV3(p *Payment) *payv3.Payer {
	if p.SubMchID != "" && p.SubAppID != "" && p.PayerAppID == p.SubAppID {
		return &payv3.Payer{SubOpenID: p.OpenID}
	}
	return &payv3.Payer{OpenID: p.OpenID}
}

// Query implements PaymentGateway.
func (g *gatewayV3) Query(ctx context.Context, p *Payment) (Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	t, raw, err := g.client.TransactionByOutTradeNo(ctx, p.OutTradeNo, p.SubMchID)
	if err = g.told("query", err); err != nil {
		return Transaction{}, err
	}
	return transactionV3(t, raw)
}

// Close implements PaymentGateway.
func (g *gatewayV3) Close(ctx context.Context, p *Payment) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	return g.told("close", g.client.CloseTransaction(ctx, p.OutTradeNo, p.SubMchID))
}

// InvokeJSAPI implements PaymentGateway.
func (g *gatewayV3) InvokeJSAPI(p *Payment) (JSAPIInvocation, error) {
	v, err := g.client.InvokeJSAPI(p.PayerAppID, p.PrepayID)
	return JSAPIInvocation(v), err
}

// InvokeApp implements PaymentGateway.
func (g *gatewayV3) InvokeApp(p *Payment) (AppInvocation, error) {
	v, err := g.client.InvokeAPP(p.PayerAppID, p.PrepayID)
	return AppInvocation(v), err
}

// transactionV3 reads WeChat's statement. A statement of success must name
// amount, number and time.
func transactionV3(t *payv3.Transaction, raw []byte) (Transaction, error) {
	out := Transaction{
		MchID:         t.MchID,
		AppID:         t.AppID,
		SubMchID:      t.SubMchID,
		SubAppID:      t.SubAppID,
		OutTradeNo:    t.OutTradeNo,
		TransactionID: t.TransactionID,
		TradeType:     t.TradeType,
		State:         TradeState(t.TradeState),
		BankType:      t.BankType,
		Attach:        t.Attach,
		Raw:           raw,
	}
	// A provider's buyer may be named in both apps. The merchant's own is the
	// one that he paid in, because a merchant who has one is ordered for in it.
	openID, subOpenID := t.PayerOpenID()
	if out.OpenID = openID; subOpenID != "" {
		out.OpenID = subOpenID
	}
	if t.Amount != nil {
		out.TotalFen, out.PayerFen, out.Currency = t.Amount.Total, t.Amount.PayerTotal, t.Amount.Currency
	}
	if out.Currency == "" {
		out.Currency = Currency // WeChat's documents call the member optional
	}
	if out.State != TradeSuccess && out.State != TradeRefund {
		return out, nil
	}
	at, err := t.SucceededAt()
	if err != nil {
		return Transaction{}, err
	}
	if t.Amount == nil || t.TransactionID == "" || t.OutTradeNo == "" {
		return Transaction{}, errors.New("statement of success without amount or number")
	}
	out.SuccessTime = at
	return out, nil
}
