package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// upstreamTimeout bounds one call to WeChat, retries and fail-over included.
const upstreamTimeout = 15 * time.Second

// gatewayV3 speaks APIv3 for one merchant: it translates between what relay
// decides and what WeChat's formats say.
type gatewayV3 struct {
	mchID   string
	client  *payv3.Client
	observe func(op, outcome string)
}

// connectV3 makes a merchant's APIv3 connection. It calls nobody.
func connectV3(m *Merchant, p Platform, rt *Runtime, logger *slog.Logger) (connection, error) {
	g, err := newGatewayV3(m, p, rt, logger.With(slog.String("merchant", m.Name)))
	if err != nil {
		return connection{}, err
	}
	c := connection{gateway: g, parser: g}
	if m.APIv3.PlatformCertificates {
		c.maintain = func(ctx context.Context) { _ = g.client.MaintainCertificates(ctx) } // ends with ctx alone
	}
	return c, nil
}

func newGatewayV3(m *Merchant, p Platform, rt *Runtime, logger *slog.Logger) (*gatewayV3, error) {
	keys, err := payv3.NewKeyRing(payv3.KeyRingOptions{
		PublicKeys:   m.APIv3.PublicKeys,
		Certificates: m.APIv3.PlatformCertificates,
	})
	if err != nil {
		return nil, err
	}
	client, err := payv3.NewClient(payv3.ClientOptions{
		MchID:             m.MchID,
		CertificateSerial: m.APIv3.CertificateSerial,
		PrivateKey:        m.APIv3.PrivateKey,
		APIv3Key:          m.APIv3.Key.Reveal(),
		Keys:              keys,
		BaseURL:           p.PayAPI,
		BackupURL:         p.PayAPIBackup,
		HTTP:              platformHTTP(),
		Now:               rt.clock,
		Rand:              rt.random.source,
		UserAgent:         userAgent,
		Hooks:             hooksV3(logger, rt.observe.Upstream),
	})
	return &gatewayV3{mchID: m.MchID, client: client, observe: rt.observe.Upstream}, err
}

// hooksV3 tells operator and metrics what no caller is told.
func hooksV3(logger *slog.Logger, observe func(op, outcome string)) payv3.Hooks {
	return payv3.Hooks{
		AnswerRefused: func(op string, reason payv3.VerifyReason) {
			if observe != nil {
				observe(op, "answer_refused")
			}
			if reason != payv3.ReasonProbe {
				logger.Error("an answer that claims to be WeChat's was not believed", slog.String("op", op), slog.String("reason", string(reason)))
			}
		},
		CertificatesDownloaded: func(serials []string, err error) {
			if err != nil {
				logger.Warn("downloading platform certificates failed", slog.Any("error", err))
				return
			}
			logger.Info("platform certificates downloaded", slog.Any("serials", serials))
		},
	}
}

// Prepay implements Gateway.
func (g *gatewayV3) Prepay(ctx context.Context, p *Payment) (answer Prepaid, err error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
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
	if p.ProfitSharing {
		req.SettleInfo = &payv3.SettleInfo{ProfitSharing: true}
	}
	switch p.TradeType {
	case TradeNative:
		answer.CodeURL, err = g.client.PrepayNative(ctx, req)
	case TradeJSAPI:
		req.Payer = &payv3.Payer{OpenID: p.OpenID}
		answer.PrepayID, err = g.client.PrepayJSAPI(ctx, req)
	default:
		return answer, refusef(KindParam, "trade_type", "%s is not supported yet", p.TradeType)
	}
	return answer, g.told("prepay", err)
}

// Query implements Gateway.
func (g *gatewayV3) Query(ctx context.Context, p *Payment) (Transaction, error) {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	t, raw, err := g.client.TransactionByOutTradeNo(ctx, p.OutTradeNo, "")
	if err = g.told("query", err); err != nil {
		return Transaction{}, err
	}
	return transactionV3(t, raw)
}

// Close implements Gateway.
func (g *gatewayV3) Close(ctx context.Context, p *Payment) error {
	ctx, cancel := context.WithTimeout(ctx, upstreamTimeout)
	defer cancel()
	return g.told("close", g.client.CloseTransaction(ctx, p.OutTradeNo, ""))
}

// InvokeJSAPI implements Gateway.
func (g *gatewayV3) InvokeJSAPI(p *Payment) (JSAPIInvocation, error) {
	v, err := g.client.InvokeJSAPI(p.PayerAppID, p.PrepayID)
	return JSAPIInvocation(v), err
}

// InvokeApp implements Gateway.
func (g *gatewayV3) InvokeApp(p *Payment) (AppInvocation, error) {
	v, err := g.client.InvokeAPP(p.PayerAppID, p.PrepayID)
	return AppInvocation(v), err
}

// Refund implements Gateway.
func (g *gatewayV3) Refund(context.Context, *Refund) (RefundStatement, error) {
	return RefundStatement{}, refuse(KindParam, "", "refunds are not supported yet")
}

// QueryRefund implements Gateway.
func (g *gatewayV3) QueryRefund(context.Context, *Refund) (RefundStatement, error) {
	return RefundStatement{}, refuse(KindParam, "", "refunds are not supported yet")
}

// ParseNotification verifies, decrypts and decodes what was posted to the
// merchant's address.
func (g *gatewayV3) ParseNotification(ctx context.Context, raw RawNotification) (Notification, error) {
	n, err := g.client.ParseNotification(ctx, raw.Header, raw.Body)
	if err != nil {
		return Notification{}, verificationError(err)
	}
	out := Notification{ID: n.ID, EventType: n.EventType, Serial: n.Serial, API: APIv3, Plaintext: n.Plaintext}
	if n.EventType != payv3.EventTransactionSuccess {
		return out, nil
	}
	t, err := n.Transaction()
	if err == nil {
		var told Transaction
		told, err = transactionV3(t, n.Plaintext)
		out.Transaction = &told
	}
	if err != nil {
		return Notification{}, &VerificationError{Reason: "malformed", Err: err}
	}
	return out, nil
}

// verificationError gives a refusal the closed word that metrics count by.
func verificationError(err error) error {
	if bad, ok := errors.AsType[*payv3.VerifyError](err); ok {
		return &VerificationError{Reason: string(bad.Reason), Err: err}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &VerificationError{Reason: "malformed", Err: err}
}

// transactionV3 reads WeChat's statement. A statement of success must name
// amount, number and time.
func transactionV3(t *payv3.Transaction, raw []byte) (Transaction, error) {
	if t.SubMchID != "" {
		return Transaction{}, errors.New("statement is about a service provider's sub merchant")
	}
	out := Transaction{
		MchID:         t.MchID,
		AppID:         t.AppID,
		OutTradeNo:    t.OutTradeNo,
		TransactionID: t.TransactionID,
		TradeType:     t.TradeType,
		State:         TradeState(t.TradeState),
		Raw:           raw,
	}
	if t.Payer != nil {
		out.OpenID = t.Payer.OpenID
	}
	if t.Amount != nil {
		out.TotalFen, out.Currency = t.Amount.Total, t.Amount.Currency
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

// told reports a call's outcome to the observer and translates WeChat's
// refusals.
func (g *gatewayV3) told(op string, err error) error {
	outcome := "ok"
	var refused *payv3.APIError
	switch {
	case errors.As(err, &refused):
		outcome = "refused"
		err = &GatewayError{Op: op, HTTPStatus: refused.HTTPStatus, Code: refused.Code, RequestID: refused.RequestID, Retryable: refused.Retryable()}
	case err != nil:
		outcome = "failed"
		err = fmt.Errorf("%s: %w", op, err)
	}
	if g.observe != nil {
		g.observe(op, outcome)
	}
	return err
}

// LogValue keeps credentials out of logs.
func (g *gatewayV3) LogValue() slog.Value { return slog.StringValue("merchant " + g.mchID) }
