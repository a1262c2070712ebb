package sandbox

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// consoleRefund is the body of POST /sandbox/refund: the merchant refunds in
// WeChat's own console, of which its system knows nothing until it is told.
type consoleRefund struct {
	OutTradeNo string     `json:"out_trade_no"`
	MchID      string     `json:"mchid"`      // when two merchants have the number
	AmountFen  int64      `json:"amount"`     // default: all that is left
	NotifyURL  string     `json:"notify_url"` // default: the console's address
	Format     generation `json:"format"`     // of the notification; default: the order's
	Reason     string     `json:"reason"`
}

// consoleRefundResult is the answer to POST /sandbox/refund.
type consoleRefundResult struct {
	OutTradeNo  string       `json:"out_trade_no"`
	MchID       string       `json:"mchid"`
	RefundID    string       `json:"refund_id"`
	OutRefundNo string       `json:"out_refund_no"`
	AmountFen   int64        `json:"amount"`
	Status      refundStatus `json:"status"`
}

// errConsoleRefund says that a refund of the console makes no sense.
var errConsoleRefund = errors.New("give out_trade_no; amount is positive; format is v2 or v3; notify_url is an address that the sandbox may notify")

// refundInConsole lets the merchant refund in WeChat's own console. The
// console gives the refund a number of its own.
func (s *Sandbox) refundInConsole(request *consoleRefund) (refund, error) {
	wrongURL := request.NotifyURL != "" && notifyURLIssue(request.NotifyURL, s.allowPublic) != ""
	if request.OutTradeNo == "" || request.AmountFen < 0 || wrongURL ||
		request.Format != "" && request.Format != apiV2 && request.Format != apiV3 {
		return refund{}, errConsoleRefund
	}
	o, err := s.orderToPay(&payRequest{OutTradeNo: request.OutTradeNo, MchID: request.MchID})
	if err != nil {
		return refund{}, err
	}
	asked := refund{
		refundKey: refundKey{
			MchID:       o.MchID,
			OutRefundNo: "CONSOLE" + s.now().In(beijing.Zone).Format("20060102150405") + s.randomHex(6),
		},
		API: request.Format, Console: true, SubMchID: o.SubMchID, OutTradeNo: o.OutTradeNo,
		TotalFen: o.PaidFen, RefundFen: request.AmountFen, Reason: request.Reason, NotifyURL: request.NotifyURL,
		Serial: o.Serial,
	}
	if asked.API == "" {
		asked.API = o.API
	}
	if asked.RefundFen == 0 {
		asked.RefundFen = o.Refundable()
	}
	return s.refund(asked)
}

// serveConsoleRefund answers POST /sandbox/refund, as JSON or from the form.
func (s *Sandbox) serveConsoleRefund(w http.ResponseWriter, r *http.Request) {
	request, form, err := readPanel(w, r, consoleRefundOf)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	made, err := s.refundInConsole(request) //nolint:contextcheck // the notification outlives the request
	switch {
	case form && err != nil:
		s.renderMessage(w, r, consoleRefusal(err).status, err.Error())
	case form:
		http.Redirect(w, r, "/sandbox", http.StatusSeeOther)
	case err != nil:
		refusal := consoleRefusal(err)
		writeJSON(w, refusal.status, errorBody{Code: refusal.code, Message: err.Error()})
	default:
		writeJSON(w, http.StatusOK, consoleRefundResult{
			OutTradeNo: made.OutTradeNo, MchID: made.MchID, RefundID: made.RefundID, OutRefundNo: made.OutRefundNo,
			AmountFen: made.RefundFen, Status: made.Status,
		})
	}
}

// consoleRefusal words why the console does not refund as the API would.
func consoleRefusal(err error) *apiError {
	if errors.Is(err, errConsoleRefund) {
		return refuse(http.StatusBadRequest, "PARAM_ERROR", err.Error(), logBadParameter)
	}
	return asAPIError(refundRefusal(err))
}

// consoleRefundOf reads a refund from the control panel's form.
func consoleRefundOf(values url.Values) (consoleRefund, error) {
	amount, err := formNumber(values, "amount")
	return consoleRefund{
		OutTradeNo: values.Get("out_trade_no"),
		MchID:      values.Get("mchid"),
		AmountFen:  int64(amount),
		NotifyURL:  values.Get("notify_url"),
		Format:     generation(values.Get("format")),
		Reason:     values.Get("reason"),
	}, err
}
