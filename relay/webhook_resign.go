package relay

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/internal/safehttp"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// errPayload says that a delivery does not hold what its format tells.
var errPayload = fmt.Errorf("building notification: %w: payload", ErrCorrupt)

// buildWeChatV2Webhook makes WeChat's v2 notification with the notify secret
// as APIv2 key (v2.md sections 8 and 12).
func buildWeChatV2Webhook(ctx context.Context, e *Event, d *Delivery, secret Secret, signType V2SignType) (*http.Request, error) {
	var fields payv2.Message
	if err := json.Unmarshal(d.Payload, &fields); err != nil || len(fields) == 0 {
		return nil, errPayload
	}
	if !signType.Known() {
		signType = V2SignHMACSHA256
	}
	var body []byte
	var err error
	if nonces := newEventNonces(secret, e.ID); e.Type == EventOrderPaid {
		body, err = payv2.SignPayment(fields, secret.Reveal(), signType, nonces)
	} else {
		body, err = payv2.SealRefund(fields, secret.Reveal(), nonces)
	}
	if err != nil {
		return nil, err
	}
	return postWeChat(ctx, e, d.URL, "text/xml; charset=utf-8", body)
}

// buildWeChatV3Webhook makes WeChat's v3 notification with the notify secret
// as APIv3 key, signed with the relay's own key (v3.md sections 4 and 13).
// The body is the same on every attempt, the signature is fresh: receivers
// refuse one that is older than five minutes.
func buildWeChatV3Webhook(ctx context.Context, e *Event, d *Delivery, secret Secret, a webhookAttempt) (*http.Request, error) {
	if a.Key == nil {
		return nil, errors.New("building notification: the relay has no key of its own")
	}
	content, err := describeV3(e, d.Payload)
	if err != nil {
		return nil, err
	}
	cipher, err := payv3.NewCipher(secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("building notification: %w", err)
	}
	sealer, err := a.Key.platform(e.CreatedAt, newEventNonces(secret, e.ID))
	if err != nil {
		return nil, err
	}
	body, err := sealer.NewNotification(cipher, e.ID, content.event, content.original, content.summary, d.Payload)
	if err != nil {
		return nil, err
	}
	req, err := postWeChat(ctx, e, d.URL, "application/json; charset=utf-8", body)
	if err != nil {
		return nil, err
	}
	signer, err := a.Key.platform(a.At, rand.Reader)
	if err != nil {
		return nil, err
	}
	return req, signer.SignHeaders(req.Header, a.Key.ID(), body)
}

// platform is WeChat's end of the wire with the relay's key.
func (k *NotifyKey) platform(at time.Time, nonces io.Reader) (*payv3.Platform, error) {
	return payv3.NewPlatform(payv3.PlatformOptions{
		Keys: []payv3.PlatformKey{{Serial: k.id, Private: k.private}},
		Now:  func() time.Time { return at },
		Rand: nonces,
	})
}

// contentV3 is what the envelope of a v3 notification says of its content.
type contentV3 struct{ event, original, summary string }

func describeV3(e *Event, payload []byte) (contentV3, error) {
	if e.Type == EventOrderPaid {
		return contentV3{payv3.EventTransactionSuccess, payv3.OriginalTypeTransaction, wechatPaid}, nil
	}
	var refund struct {
		Status payv3.RefundStatus `json:"refund_status"`
	}
	if err := json.Unmarshal(payload, &refund); err != nil {
		return contentV3{}, errPayload
	}
	switch refund.Status {
	case payv3.RefundSuccess:
		return contentV3{payv3.EventRefundSuccess, payv3.OriginalTypeRefund, "退款成功"}, nil
	case payv3.RefundAbnormal:
		return contentV3{payv3.EventRefundAbnormal, payv3.OriginalTypeRefund, "退款异常"}, nil
	case payv3.RefundClosed:
		return contentV3{payv3.EventRefundClosed, payv3.OriginalTypeRefund, "退款关闭"}, nil
	default:
		return contentV3{}, errPayload
	}
}

// postWeChat makes the request. It carries the event's id beside what WeChat
// sends, as every format does.
func postWeChat(ctx context.Context, e *Event, address, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("building notification: address is not a URL")
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Webhook-Id", e.ID)
	return req, nil
}

// eventNonces is the randomness of one event's body, the same on every
// attempt, so that a receiver may compare bodies, and unknown to everybody
// without the secret. No nonce serves two contents: an event never changes.
type eventNonces struct {
	secret []byte
	id     string
	block  byte
	left   []byte
}

func newEventNonces(secret Secret, id string) *eventNonces {
	return &eventNonces{secret: secret.Reveal(), id: id}
}

// Read goes on with HMAC-SHA256 of the id and a counter. It never fails.
func (n *eventNonces) Read(b []byte) (int, error) {
	for done := 0; done < len(b); {
		if len(n.left) == 0 {
			mac := hmac.New(sha256.New, n.secret)
			mac.Write([]byte("wxrelay notification nonce\n" + n.id + "\n"))
			mac.Write([]byte{n.block})
			n.left, n.block = mac.Sum(nil), n.block+1
		}
		k := copy(b[done:], n.left)
		n.left, done = n.left[k:], done+k
	}
	return len(b), nil
}

// judgeWeChatV2 wants WeChat's own answer (v2.md section 8). Blanks around it,
// which templates of sites leave there, do not make it another one.
func judgeWeChatV2(res *safehttp.Result, err error) webhookVerdict {
	switch {
	case err != nil:
		return webhookVerdict{Failure: string(safehttp.ReasonOf(err))}
	case res.Truncated || payv2.ParseReply(bytes.TrimSpace(res.Body)) != nil:
		return webhookVerdict{Failure: "answer is not SUCCESS"}
	default:
		return webhookVerdict{Delivered: true}
	}
}

// accepts reports whether a status can be success in a format: 200 and 204
// are the only ones of WeChat's (v3.md section 13).
func (f NotifyFormat) accepts(status int) bool {
	switch f {
	case NotifyWeChatV2:
		return status == http.StatusOK
	case NotifyWeChatV3:
		return status == http.StatusOK || status == http.StatusNoContent
	default:
		return status >= 200 && status <= 299
	}
}
