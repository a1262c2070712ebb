package sandbox

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// payRequest is the body of POST /sandbox/pay: what the buyer does. Exactly
// one of the first four names the order.
type payRequest struct {
	OutTradeNo string `json:"out_trade_no"`
	CodeURL    string `json:"code_url"`
	PrepayID   string `json:"prepay_id"`
	H5URL      string `json:"h5_url"`

	MchID     string `json:"mchid"`   // when two merchants have the number
	OpenID    string `json:"openid"`  // under the app id that the order asks for; default: who the order asks for, or the phone's user
	AmountFen int64  `json:"amount"`  // what arrives, when it shall not be what was asked
	Outcome   string `json:"outcome"` // success, the default, or cancel
	Force     bool   `json:"force"`   // pay a closed order, as a buyer who was faster than the close
}

// payResult is the answer to POST /sandbox/pay.
type payResult struct {
	OutTradeNo    string `json:"out_trade_no"`
	MchID         string `json:"mchid"`
	TradeState    string `json:"trade_state"`
	TransactionID string `json:"transaction_id,omitempty"`
	OpenID        string `json:"openid,omitempty"`
	AmountFen     int64  `json:"amount,omitempty"`
	NotifyID      string `json:"notification_id,omitempty"`
}

// errPayRequest says that a pay request makes no sense.
var errPayRequest = errors.New("give one of out_trade_no, code_url, prepay_id and h5_url; outcome is success or cancel; amount is positive")

// pay lets the buyer pay or cancel.
func (s *Sandbox) pay(request *payRequest, phoneUser user) (payResult, error) {
	if request.AmountFen < 0 || (request.Outcome != "" && request.Outcome != "success" && request.Outcome != "cancel") {
		return payResult{}, errPayRequest
	}
	o, err := s.orderToPay(request)
	if err != nil {
		return payResult{}, err
	}
	if request.Outcome == "cancel" {
		return payResult{OutTradeNo: o.OutTradeNo, MchID: o.MchID, TradeState: o.State}, nil
	}
	paidFen := o.TotalFen
	if request.AmountFen > 0 {
		paidFen = request.AmountFen
	}
	paid, err := s.ledger.pay(o.orderKey, buyerOf(&o, request.OpenID, phoneUser), paidFen, request.Force)
	if err != nil {
		return payResult{}, err
	}
	result := payResult{
		OutTradeNo: paid.OutTradeNo, MchID: paid.MchID, TradeState: paid.State,
		TransactionID: paid.TransactionID, OpenID: paid.PaidBy, AmountFen: paid.PaidFen,
	}
	note, err := s.paymentNotification(&paid)
	if err != nil {
		return result, err
	}
	result.NotifyID = note.id
	if err := s.notifier.start(note); err != nil {
		return result, fmt.Errorf("starting the notification: %w", err)
	}
	return result, nil
}

// buyerOf tells who pays an order: who the request names, else who the order
// asks for, else who holds the phone.
func buyerOf(o *order, openID string, phoneUser user) buyer {
	asked := buyer{OpenID: o.OpenID, SubOpenID: o.SubOpenID}
	if openID != "" {
		asked = buyer{OpenID: openID}
		if o.SubOpenID != "" {
			asked = buyer{SubOpenID: openID}
		}
	}
	return asked.complete(o.AppID, o.SubAppID, phoneUser)
}

// complete fills in how the accounts of an order know one person; whoever is
// no test user is known to one account alone.
func (b buyer) complete(appID, subAppID string, phoneUser user) buyer {
	who, known := phoneUser, true
	if b != (buyer{}) {
		i := slices.IndexFunc(testUsers, func(u user) bool {
			return b.OpenID == OpenID(appID, u.ID) || subAppID != "" && b.SubOpenID == OpenID(subAppID, u.ID)
		})
		if known = i >= 0; known {
			who = testUsers[i]
		}
	}
	if !known {
		return b
	}
	b.OpenID = OpenID(appID, who.ID)
	if subAppID != "" {
		b.SubOpenID = OpenID(subAppID, who.ID)
	}
	return b
}

// orderToPay finds the order that a pay request names.
func (s *Sandbox) orderToPay(request *payRequest) (order, error) {
	names := []string{request.OutTradeNo, request.CodeURL, request.PrepayID, request.H5URL}
	given := slices.DeleteFunc(names, func(name string) bool { return name == "" })
	switch {
	case len(given) != 1:
		return order{}, errPayRequest
	case request.OutTradeNo != "" && request.MchID != "":
		return s.ledger.byNumber(orderKey{MchID: request.MchID, OutTradeNo: request.OutTradeNo})
	case request.OutTradeNo != "":
		return s.ledger.byOutTradeNo(request.OutTradeNo)
	case request.CodeURL != "":
		return s.ledger.byCode(request.CodeURL)
	case request.PrepayID != "":
		return s.ledger.byPrepayID(request.PrepayID)
	default:
		return s.byH5URL(request.H5URL)
	}
}

// servePay answers POST /sandbox/pay, as JSON or from the phone's form.
func (s *Sandbox) servePay(w http.ResponseWriter, r *http.Request) {
	request, form, err := readPanel(w, r, payOf)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	result, err := s.pay(request, currentUser(r)) //nolint:contextcheck // the notification outlives the request
	switch {
	case form && err != nil:
		s.renderMessage(w, r, payStatus(err), err.Error())
	case form:
		http.Redirect(w, r, "/sandbox", http.StatusSeeOther)
	case err != nil:
		writeJSON(w, payStatus(err), errorBody{Code: payCode(err), Message: err.Error()})
	default:
		writeJSON(w, http.StatusOK, result)
	}
}

// payStatus maps why a buyer cannot pay to a status.
func payStatus(err error) int {
	switch {
	case errors.Is(err, errPayRequest):
		return http.StatusBadRequest
	case errors.Is(err, errNoOrder), errors.Is(err, errCodeDead):
		return http.StatusNotFound
	case errors.Is(err, errPaid), errors.Is(err, errClosed), errors.Is(err, errOtherPayer):
		return http.StatusConflict
	default:
		return http.StatusInternalServerError
	}
}

// payCode maps why a buyer cannot pay to a code.
func payCode(err error) string {
	switch {
	case errors.Is(err, errPayRequest):
		return "PARAM_ERROR"
	case errors.Is(err, errNoOrder):
		return "ORDER_NOT_EXIST"
	case errors.Is(err, errCodeDead):
		return "CODE_EXPIRED"
	case errors.Is(err, errPaid):
		return "ORDER_PAID"
	case errors.Is(err, errClosed):
		return "ORDER_CLOSED"
	case errors.Is(err, errOtherPayer):
		return "OPENID_MISMATCH"
	default:
		return "SYSTEM_ERROR"
	}
}

// payOf reads a pay request from the phone's form.
func payOf(values url.Values) (payRequest, error) {
	amount, err := formNumber(values, "amount")
	return payRequest{
		OutTradeNo: values.Get("out_trade_no"),
		CodeURL:    values.Get("code_url"),
		PrepayID:   values.Get("prepay_id"),
		H5URL:      values.Get("h5_url"),
		MchID:      values.Get("mchid"),
		OpenID:     values.Get("openid"),
		AmountFen:  int64(amount),
		Outcome:    values.Get("outcome"),
		Force:      values.Get("force") != "",
	}, err
}
