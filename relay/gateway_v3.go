package relay

import (
	"context"
	"errors"
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

// told reports a call's outcome to the observer and translates WeChat's
// refusals.
func (g *gatewayV3) told(op string, err error) error {
	var refused *payv3.APIError
	if !errors.As(err, &refused) {
		return toldPlainly(g.observe, op, err)
	}
	return toldRefusal(g.observe, &GatewayError{
		Op: op, HTTPStatus: refused.HTTPStatus, Code: refused.Code, RequestID: refused.RequestID,
		Retryable: refused.Retryable(), Repeat: refused.Repeat,
	})
}

// LogValue keeps credentials out of logs.
func (g *gatewayV3) LogValue() slog.Value { return slog.StringValue("merchant " + g.mchID) }
