package web

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/pages"
)

// tokenLength is the length of a cashier page's name: 128 bits of base64url.
const tokenLength = 22

// token takes the token of the path. One of another form names no order, and
// no store is asked about it.
func (x *exchange) token() (string, error) {
	if len(x.param) != tokenLength || !plainName(x.param) {
		return "", notFound("order")
	}
	return x.param, nil
}

// showCheckout answers with the cashier page, or sends the browser to WeChat
// to learn who the buyer is.
func (x *exchange) showCheckout() error {
	token, err := x.token()
	if err != nil {
		return err
	}
	result, err := x.service.Checkout(x.r.Context(), relay.CheckoutRequest{
		Token:        token,
		Target:       targetOf(x.r),
		Surroundings: relay.SurroundingsOf(x.r.UserAgent()),
		ClientIP:     x.clientIP(x.r),
		BrowserID:    x.cookie.read(x.r),
	})
	if err != nil {
		return err
	}
	if result.BrowserID != "" {
		x.cookie.set(x.w, result.BrowserID)
	}
	if result.Redirect != "" {
		return x.redirect(result.Redirect)
	}
	status := http.StatusOK
	if result.Page.State == relay.CheckoutTrouble {
		// Caches and monitors read the status alone.
		status = http.StatusServiceUnavailable
		setRetry(x.w.Header(), failure{retryAfter: answers[relay.KindUnavailable].retryAfter})
	}
	return x.pages.WriteCheckout(x.w, x.r, status, x.checkoutPage(token, &result.Page))
}

var pageStates = map[relay.CheckoutState]pages.State{
	relay.CheckoutNative:     pages.StateWaitingNative,
	relay.CheckoutJSAPI:      pages.StateWaitingJSAPI,
	relay.CheckoutH5:         pages.StateWaitingH5,
	relay.CheckoutReturned:   pages.StateReturned,
	relay.CheckoutPaid:       pages.StatePaid,
	relay.CheckoutExpired:    pages.StateExpired,
	relay.CheckoutClosed:     pages.StateClosed,
	relay.CheckoutWrongPlace: pages.StateWrongPlace,
	relay.CheckoutTrouble:    pages.StateUnavailable,
}

var pageNeeds = map[relay.CheckoutNeed]pages.Need{
	relay.NeedWeChat:  pages.NeedsWeChat,
	relay.NeedScreen:  pages.NeedsOtherScreen,
	relay.NeedBrowser: pages.NeedsBrowser,
	relay.NeedApp:     pages.NeedsApp,
}

func (x *exchange) checkoutPage(token string, p *relay.CheckoutPage) pages.Checkout {
	v := pages.Checkout{
		State:       pageStates[p.State],
		Shop:        p.Shop,
		Description: p.Description,
		AmountFen:   p.AmountFen,
		OrderNo:     p.OrderNo,
		Now:         p.Now,
		ExpiresAt:   p.ExpiresAt,
		StatusURL:   x.prefix + "/checkout/" + token + "/status",
		QRText:      p.CodeURL,
		JSAPI:       (*pages.JSAPI)(p.JSAPI),
		H5URL:       p.H5URL,
		H5Until:     p.H5Until,
		ReturnURL:   p.ReturnURL,
		Test:        p.Sandbox,
		SandboxURL:  p.SandboxURL,
		RequestID:   x.id,
	}
	if p.State == relay.CheckoutWrongPlace {
		v.Needs = pageNeeds[p.Need]
		v.PageURL = x.pageURL(p)
		v.QRText = v.PageURL
	}
	return v
}

// pageURL is the page's address for the buyer to open elsewhere: as it was
// opened here, because the order may need the signed parameters of the second
// handshake.
func (x *exchange) pageURL(p *relay.CheckoutPage) string {
	if opened := x.origin + targetOf(x.r); len(opened) <= pages.MaxQRText {
		return opened
	}
	return p.CheckoutURL
}

func (x *exchange) showCode() error {
	token, err := x.token()
	if err != nil {
		return err
	}
	codeURL, err := x.service.CheckoutCode(x.r.Context(), token)
	if err != nil {
		return err
	}
	svg, err := pages.QRSVG(codeURL)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", "image/svg+xml")
	h.Set("Content-Length", strconv.Itoa(len(svg)))
	_, err = x.w.Write(svg)
	return err
}

func (x *exchange) showStatic() error {
	if !x.pages.ServeStatic(x.w, x.r, x.param) {
		return notFound("file")
	}
	return nil
}

var errLocation = errors.New("redirect target holds a byte that a header must not")

// redirect sends the browser on with a GET. The target is relay's, checked
// and escaped there; the check here keeps a mistake there from becoming a
// second header (threats D08).
func (x *exchange) redirect(to string) error {
	for i := range len(to) {
		if to[i] <= ' ' || to[i] >= 0x7f {
			return errLocation
		}
	}
	h := x.w.Header()
	// Sites open logins in windows of their own and hear of the end by the
	// window's opener, which a policy of any step on the way would take away.
	h.Del("Cross-Origin-Opener-Policy")
	h.Set("Location", to)
	h.Set("Content-Length", "0")
	x.w.WriteHeader(http.StatusSeeOther)
	return nil
}

// refusePage tells a buyer what is wrong with a cashier page.
func (x *exchange) refusePage(f failure) error {
	kind := pages.MessageUnavailable
	switch {
	case f.status == http.StatusMethodNotAllowed:
		kind = pages.MessageNotAllowed
	case f.kind == relay.KindNotFound:
		kind = pages.MessageOrderNotFound
	case f.kind == relay.KindRate:
		kind = pages.MessageTooMany
	case f.status < http.StatusInternalServerError:
		kind = pages.MessageLinkRefused
	}
	return x.message(f, kind)
}

// message answers with a page of plain words.
func (x *exchange) message(f failure, kind pages.MessageKind) error {
	return x.tell(f, pages.Message{Kind: kind})
}

// tell answers with a page of plain words, and with relay's own where it has
// some. Browsers cannot answer the challenge that a 401 must come with.
func (x *exchange) tell(f failure, m pages.Message) error {
	status := f.status
	if status == http.StatusUnauthorized {
		status = http.StatusForbidden
	}
	m.RequestID, m.Test = x.id, x.service.Sandbox()
	// The page of a snapshot user says it all, in the visitor's language.
	if f.kind != 0 && m.Kind != pages.MessageSnapshot {
		m.Detail = f.Message
	}
	setRetry(x.w.Header(), f)
	return x.pages.WriteMessage(x.w, x.r, status, m)
}
