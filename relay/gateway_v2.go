package relay

import (
	"errors"
	"log/slog"

	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// gatewayV2 speaks APIv2 for one merchant: it translates between what relay
// decides and what WeChat's formats say.
type gatewayV2 struct {
	mchID   string
	client  *payv2.Client
	observe func(op, outcome string)
}

// connectV2 makes a merchant's APIv2 connection. It calls nobody.
func connectV2(m *Merchant, p Platform, rt *Runtime, logger *slog.Logger) (connection, error) {
	g, err := newGatewayV2(m, p, rt, logger.With(slog.String("merchant", m.Name)))
	if err != nil {
		return connection{}, err
	}
	return connection{gateway: g, parser: g}, nil
}

func newGatewayV2(m *Merchant, p Platform, rt *Runtime, logger *slog.Logger) (*gatewayV2, error) {
	client, err := payv2.NewClient(payv2.ClientOptions{
		MchID:       m.MchID,
		Key:         m.APIv2.Key.Reveal(),
		SignType:    m.APIv2.SignType,
		AcceptMD5:   m.APIv2.AcceptMD5,
		Certificate: m.APIv2.Certificate,
		BaseURL:     p.PayAPI,
		BackupURL:   p.PayAPIBackup,
		HTTP:        certifiedHTTP,
		Now:         rt.clock,
		Rand:        rt.random.source,
		UserAgent:   userAgent,
		Hooks:       hooksV2(logger, rt.observe.Upstream),
	})
	return &gatewayV2{mchID: m.MchID, client: client, observe: rt.observe.Upstream}, err
}

// hooksV2 tells operator and metrics what no caller is told.
func hooksV2(logger *slog.Logger, observe func(op, outcome string)) payv2.Hooks {
	count := func(op, outcome string) {
		if observe != nil {
			observe(op, outcome)
		}
	}
	return payv2.Hooks{
		AnswerRefused: func(op string, reason payv2.VerifyReason) {
			count(op, "answer_refused")
			logger.Error("an answer that claims to be WeChat's was not believed", slog.String("op", op), slog.String("reason", string(reason)))
		},
		MD5Accepted: func() {
			count("notification", "md5_accepted")
			logger.Warn("a notification was signed with MD5 although HMAC-SHA256 was ordered; accept_md5_notify lets it pass")
		},
	}
}

// told reports a call's outcome to the observer and translates WeChat's
// refusals.
func (g *gatewayV2) told(op string, err error) error {
	var refused *payv2.APIError
	if !errors.As(err, &refused) {
		return toldPlainly(g.observe, op, err)
	}
	return toldRefusal(g.observe, &GatewayError{
		Op: op, HTTPStatus: refused.HTTPStatus, Code: codeV2(refused), Retryable: refused.Retryable(), Repeat: refused.Repeat,
	})
}

// codeV2 is what relay goes by. A number that was used with other content has
// one code, however WeChat says it (v2.md section 6), and a refusal of the
// communication one of its own, as WeChat gives it words alone.
func codeV2(refused *payv2.APIError) string {
	switch {
	case refused.DuplicateOrder():
		return payv2.CodeOutTradeNoUsed
	case refused.Code == "" && refused.ReturnFail:
		return "RETURN_FAIL"
	default:
		return refused.Code
	}
}

// LogValue keeps credentials out of logs.
func (g *gatewayV2) LogValue() slog.Value { return slog.StringValue("merchant " + g.mchID) }
