package sandbox

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// h5Path is the path of WeChat's middle page, which opens the app from a
// phone's browser.
const h5Path = "/cgi-bin/mmpayweb-bin/checkmweb"

// What the middle page says instead of opening the app (v2.md 6), with the
// reason behind WeChat's vague words.
const (
	h5NoReferer = "商家参数格式有误，请联系商家解决 (parameter format: the page that links here must send a Referer)"
	h5OtherHost = "商家存在未配置的参数，请联系商家解决 (domain not configured: the Referer is not on the domain that the merchant registered)"
	h5InWeChat  = "请在微信外打开订单，进行支付 (open this order outside WeChat)"
	h5Expired   = "支付请求已失效，请重新发起支付 (h5_url is older than five minutes, or was replaced)"
	h5OtherUser = "该支付链接已被其他微信用户打开 (h5_url serves one WeChat user, and another one opened it)"
	h5Paid      = "该订单已支付 (the order is paid)"
	h5Closed    = "该订单已关闭 (the order is closed)"
)

// h5URL is the address that opens WeChat from a phone's browser (v3.md 9).
// Merchants may append redirect_url.
func (o *order) h5URL(origin string) string {
	return origin + h5Path + "?prepay_id=" + url.QueryEscape(o.PrepayID) + "&package=" + o.H5Package
}

// byH5URL returns the order whose living h5_url this is.
func (s *Sandbox) byH5URL(raw string) (order, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Path != h5Path {
		return order{}, errCodeDead
	}
	o, err := s.byH5Query(u.Query())
	if err != nil || s.now().Sub(o.PreparedAt) >= h5Life {
		return order{}, errCodeDead
	}
	return o, nil
}

// byH5Query returns the order that the parameters of an h5_url name.
func (s *Sandbox) byH5Query(values url.Values) (order, error) {
	o, err := s.ledger.byPrepayID(values.Get("prepay_id"))
	if err != nil || o.TradeType != tradeH5 || values.Get("package") != o.H5Package {
		return order{}, errCodeDead
	}
	return o, nil
}

// h5Page is the payment window that the middle page opens, or what came of
// it when there is no page to go back to.
type h5Page struct {
	Assets   string
	Order    order
	Redirect string // as the merchant asked for
	Decided  bool
	Reason   string // why the buyer could not pay
}

// serveH5 answers WeChat's middle page.
func (s *Sandbox) serveH5(w http.ResponseWriter, r *http.Request) {
	o, refusal := s.checkH5(r)
	if refusal != "" {
		// WeChat's page is a 200; a sandbox helps scripts more with a 400.
		s.renderMessage(w, r, http.StatusBadRequest, refusal)
		return
	}
	shown := h5Page{Assets: assetsPath, Order: o}
	formOrigin := ""
	if back := s.redirectTarget(&o, r.URL.Query().Get("redirect_url")); back != nil {
		shown.Redirect = back.String()
		formOrigin = back.Scheme + "://" + back.Host
	}
	s.pages.RenderWith(w, r, http.StatusOK, "h5.html", shown, formOrigin)
}

// checkH5 checks who opens the middle page, from where and when.
func (s *Sandbox) checkH5(r *http.Request) (order, string) {
	if strings.Contains(r.UserAgent(), "MicroMessenger") {
		return order{}, h5InWeChat
	}
	o, err := s.byH5Query(r.URL.Query())
	if err != nil {
		return order{}, h5Expired
	}
	from, err := url.Parse(r.Referer())
	switch {
	case err != nil || from.Hostname() == "":
		return order{}, h5NoReferer
	case !s.h5Domain(&o, from.Hostname()):
		return order{}, h5OtherHost
	case o.Paid():
		return order{}, h5Paid
	case o.State == stateClosed:
		return order{}, h5Closed
	case s.now().Sub(o.PreparedAt) >= h5Life:
		return order{}, h5Expired
	}
	if err := s.ledger.open(o.orderKey, currentUser(r).ID); err != nil {
		return order{}, h5OtherUser
	}
	return o, ""
}

// h5Domain reports whether the merchant of an order registered a host for H5
// payments. One that registered none is taken to have registered the host of
// its notify_url.
func (s *Sandbox) h5Domain(o *order, host string) bool {
	domains := s.directory.merchants[o.MchID].H5Domains
	if u, err := url.Parse(o.NotifyURL); err == nil && len(domains) == 0 {
		domains = []string{u.Hostname()}
	}
	return slices.ContainsFunc(domains, func(domain string) bool { return strings.EqualFold(domain, host) })
}

// redirectTarget is where the browser goes back to: an address on a
// registered domain, or nowhere.
func (s *Sandbox) redirectTarget(o *order, raw string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		strings.ContainsRune(raw, '\\') || !s.h5Domain(o, u.Hostname()) {
		return nil
	}
	return u
}

// serveH5Result takes the buyer's decision and sends the browser back,
// whatever it was: the merchant has to ask what became of the order.
func (s *Sandbox) serveH5Result(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		s.renderMessage(w, r, http.StatusBadRequest, "the form is malformed")
		return
	}
	o, err := s.byH5Query(r.PostForm)
	if err == nil {
		err = s.ledger.open(o.orderKey, currentUser(r).ID)
	}
	switch {
	case errors.Is(err, errOtherPayer):
		s.renderMessage(w, r, http.StatusBadRequest, h5OtherUser)
		return
	case err != nil:
		s.renderMessage(w, r, http.StatusBadRequest, h5Expired)
		return
	}
	shown := h5Page{Assets: assetsPath, Order: o, Decided: true}
	if r.PostForm.Get("decision") == "pay" {
		request := &payRequest{OutTradeNo: o.OutTradeNo, MchID: o.MchID}
		//nolint:contextcheck // the notification outlives the request
		result, err := s.pay(request, currentUser(r))
		if err != nil {
			shown.Reason = err.Error()
		}
		shown.Order.State = result.TradeState
	}
	if back := s.redirectTarget(&o, r.PostForm.Get("redirect_url")); back != nil {
		http.Redirect(w, r, back.String(), http.StatusSeeOther) //nolint:gosec // checked against the registered domain
		return
	}
	s.pages.Render(w, r, http.StatusOK, "h5.html", shown)
}
