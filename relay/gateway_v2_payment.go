package relay

import (
	"context"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// tradeTypesV2 are the names that APIv2 gives to the trade types (v2.md
// section 1).
var tradeTypesV2 = map[TradeType]payv2.TradeType{
	TradeJSAPI:       payv2.TradeJSAPI,
	TradeMiniProgram: payv2.TradeJSAPI,
	TradeNative:      payv2.TradeNative,
	TradeH5:          payv2.TradeMWeb,
	TradeApp:         payv2.TradeApp,
}

// Prepay implements PaymentGateway.
func (g *gatewayV2) Prepay(ctx context.Context, p *Payment) (Prepaid, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	req, err := unifiedOrderV2(p)
	if err != nil {
		return Prepaid{}, err
	}
	answer, err := g.client.UnifiedOrder(ctx, req)
	if err = g.told("prepay", err); err != nil {
		return Prepaid{}, err
	}
	switch p.TradeType {
	case TradeNative:
		return Prepaid{CodeURL: answer.CodeURL}, nil
	case TradeH5:
		return Prepaid{H5URL: answer.MWebURL}, nil
	default:
		return Prepaid{PrepayID: answer.PrepayID}, nil
	}
}

// unifiedOrderV2 is what WeChat is told of a payment. It depends on the stored
// payment alone, so that each repeat has the same content.
func unifiedOrderV2(p *Payment) (*payv2.UnifiedOrderRequest, error) {
	if payv2.Ambiguous(p.Attach) {
		return nil, refuse(KindParam, "attach", "API v2 cannot carry & with a name and = behind it")
	}
	req := &payv2.UnifiedOrderRequest{
		AppID:         p.AppID,
		Partner:       partnerV2(p.SubMchID, p.SubAppID),
		Body:          unambiguousV2(p.Description, maxSentDescription),
		Attach:        p.Attach,
		OutTradeNo:    p.OutTradeNo,
		TotalFen:      p.AmountFen,
		ClientIP:      p.PayerIP,
		TimeExpire:    p.ExpiresAt,
		NotifyURL:     p.NotifyURL,
		ProfitSharing: p.ProfitSharing,
	}
	var known bool
	if req.TradeType, known = tradeTypesV2[p.TradeType]; !known {
		return nil, refusef(KindParam, "trade_type", "%s is not known", p.TradeType)
	}
	switch p.TradeType {
	case TradeNative:
		req.ProductID = p.OutTradeNo // WeChat wants one (v2.md section 6)
	case TradeH5:
		req.Scene = &payv2.SceneInfo{H5: siteV2(p.NotifyURL)}
	case TradeJSAPI, TradeMiniProgram:
		if p.SubMchID != "" && p.SubAppID != "" && p.PayerAppID == p.SubAppID {
			req.SubOpenID = p.OpenID
		} else {
			req.OpenID = p.OpenID
		}
	case TradeApp:
	}
	return req, nil
}

// unambiguousV2 makes words for the buyer such that they cannot pass for two
// fields of a signed text (threats A14): the sign between fields is written in
// its wide form, and the words are cut to what WeChat takes.
func unambiguousV2(words string, maxLen int) string {
	if !payv2.Ambiguous(words) {
		return words
	}
	words = strings.ReplaceAll(words, "&", "＆")
	for len(words) > maxLen {
		_, size := utf8.DecodeLastRuneInString(words)
		words = words[:len(words)-size]
	}
	return words
}

// maxSiteName keeps scene_info below its 256 bytes.
const maxSiteName = 64

// siteV2 describes the site on which an H5 payment begins, which WeChat wants
// to know: the one that it notifies.
func siteV2(notifyURL string) *payv2.H5Info {
	site := &payv2.H5Info{Type: h5Scene}
	if u, err := url.Parse(notifyURL); err == nil {
		site.WapURL = u.Scheme + "://" + u.Host
		site.WapName = u.Hostname()
	}
	site.WapName = site.WapName[:min(len(site.WapName), maxSiteName)]
	return site
}

func partnerV2(subMchID, subAppID string) payv2.Partner {
	return payv2.Partner{SubMchID: subMchID, SubAppID: subAppID}
}

// orderV2 names a payment.
func orderV2(p *Payment) payv2.OrderRequest {
	return payv2.OrderRequest{AppID: p.AppID, Partner: partnerV2(p.SubMchID, p.SubAppID), OutTradeNo: p.OutTradeNo}
}

// Query implements PaymentGateway.
func (g *gatewayV2) Query(ctx context.Context, p *Payment) (Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	t, fields, err := g.client.OrderQuery(ctx, orderV2(p))
	if err = g.told("query", err); err != nil {
		return Transaction{}, err
	}
	return transactionV2(t, fields), nil
}

// Close implements PaymentGateway.
func (g *gatewayV2) Close(ctx context.Context, p *Payment) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	return g.told("close", g.client.CloseOrder(ctx, orderV2(p)))
}

// InvokeJSAPI implements PaymentGateway.
func (g *gatewayV2) InvokeJSAPI(p *Payment) (JSAPIInvocation, error) {
	v, err := g.client.InvokeJSAPI(p.PayerAppID, p.PrepayID)
	return JSAPIInvocation(v), err
}

// InvokeApp implements PaymentGateway.
func (g *gatewayV2) InvokeApp(p *Payment) (AppInvocation, error) {
	v, err := g.client.InvokeApp(p.PayerAppID, p.PrepayID)
	return AppInvocation(v), err
}

// transactionV2 reads WeChat's statement. The client has made sure that a
// statement of success names amount, number and time.
func transactionV2(t *payv2.Transaction, fields payv2.Message) Transaction {
	out := Transaction{
		MchID:         t.MchID,
		AppID:         t.AppID,
		SubMchID:      t.SubMchID,
		SubAppID:      t.SubAppID,
		OutTradeNo:    t.OutTradeNo,
		TransactionID: t.TransactionID,
		TradeType:     string(t.TradeType),
		State:         TradeState(t.TradeState),
		TotalFen:      t.TotalFen,
		PayerFen:      t.CashFen,
		Currency:      t.FeeType,
		OpenID:        t.OpenID,
		BankType:      t.BankType,
		Attach:        t.Attach,
		SuccessTime:   t.TimeEnd,
		Raw:           fields.Encode(),
	}
	// A provider's buyer may be named in both apps. The merchant's own is the
	// one that he paid in, because a merchant who has one is ordered for in it.
	if t.SubOpenID != "" {
		out.OpenID = t.SubOpenID
	}
	if out.Currency == "" {
		out.Currency = Currency // absent means CNY (threats A17)
	}
	return out
}
