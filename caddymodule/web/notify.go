package web

import (
	"context"
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/wechat/payv2"
)

// notifyTime is all the time a notification gets, its body included: WeChat
// gives up after five seconds, and a doubtful store must be told before
// (contract section 6).
const notifyTime = 4 * time.Second

// takeNotification answers WeChat. Success is said only after what was told
// is on stable storage.
func (x *exchange) takeNotification() error {
	ctx, cancel := context.WithTimeout(x.r.Context(), notifyTime)
	defer cancel()
	body, err := x.readBody(notifyTime)
	if err != nil {
		return err
	}
	x.api = relay.APIOf(body)
	if err := x.service.Notify(ctx, x.param, relay.RawNotification{Header: x.r.Header, Body: body}); err != nil {
		return err
	}
	if x.api == relay.APIv2 {
		return x.writeXML(http.StatusOK, payv2.SuccessReply())
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// writeXML answers in the form of APIv2, of which WeChat takes exactly one as
// success (v2.md section 8).
func (x *exchange) writeXML(status int, body []byte) error {
	return writeWhole(x.w, status, "text/xml; charset=utf-8", body)
}

// refuseNotification sends WeChat's own form of a refusal, in the generation
// of what was sent, once that could be read, and in words that
// depend on the kind of refusal alone: an unknown merchant, which relay
// reports like a wrong signature, reads like one (threats B18).
func (x *exchange) refuseNotification(f failure) error {
	message := "notification not accepted"
	switch {
	case f.kind == relay.KindSign:
		message = "signature not accepted"
	case f.kind == relay.KindNotFound:
		message = "order not known; send it again"
	case f.kind == relay.KindTooLarge:
		message = "notification too large"
	case f.status == http.StatusMethodNotAllowed:
		message = "method not allowed"
	case f.status >= http.StatusInternalServerError:
		message = "not stored; send it again"
	}
	setRetry(x.w.Header(), f)
	if x.api == relay.APIv2 {
		return x.writeXML(f.status, payv2.FailReply(message))
	}
	return writeJSON(x.w, f.status, struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}{"FAIL", message})
}
