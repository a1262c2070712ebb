package pages

import (
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
	"github.com/wxrelay/wxrelay/internal/language"
)

// State is what the cashier page has to tell.
type State string

// The states in which a cashier page can be drawn.
const (
	StateWaitingNative State = "waiting_native" // a code waits to be scanned; needs QRText
	StateWaitingJSAPI  State = "waiting_jsapi"  // inside WeChat; needs JSAPI
	StateWaitingH5     State = "waiting_h5"     // a phone's browser; needs H5URL
	StateReturned      State = "returned"       // back from WeChat to a phone's browser, with no word of it yet; needs H5URL
	StateCancelled     State = "cancelled"      // the buyer left WeChat's sheet; JSAPI or H5URL lets them try again
	StatePaid          State = "paid"
	StateRefunded      State = "refunded"
	StateExpired       State = "expired"
	StateClosed        State = "closed"
	StateWrongPlace    State = "wrong_place" // cannot be paid here; Needs says where
	StateUnavailable   State = "unavailable" // WeChat or the store cannot be reached right now
	StateNotFound      State = "not_found"   // no such order: drawn as a message page
	StateRefused       State = "refused"     // the link's signature or parameters are wrong: drawn as a message page
)

// States that only the script reaches, between two answers of the server.
const (
	stateConfirming State = "confirming" // WeChat's sheet says paid; not believed before the server says so
	stateFailed     State = "failed"     // WeChat's sheet could not be opened
	stateChecking   State = "checking"   // the time is up; the server decides
)

// Need is what a place lacks in which an order cannot be paid.
type Need int

// The needs of a page with StateWrongPlace.
const (
	NeedsWeChat      Need = iota // paid inside WeChat only; QRText, if set, leads there
	NeedsOtherScreen             // paid by scanning with a camera, so another screen has to show it
	NeedsBrowser                 // paid in the browser of a phone; QRText, if set, leads there
	NeedsApp                     // paid in the shop's own app or mini-program, and by no page at all
)

// JSAPI holds the six values for WeixinJSBridge's getBrandWCPayRequest, under
// WeChat's own names. They allow the payment of this one order and are meant
// for the page; none is a secret of the merchant.
type JSAPI struct {
	AppID     string `json:"appId"`     //nolint:tagliatelle // WeChat's own name
	TimeStamp string `json:"timeStamp"` //nolint:tagliatelle // WeChat's own name
	NonceStr  string `json:"nonceStr"`  //nolint:tagliatelle // WeChat's own name
	Package   string `json:"package"`
	SignType  string `json:"signType"` //nolint:tagliatelle // WeChat's own name
	PaySign   string `json:"paySign"`  //nolint:tagliatelle // WeChat's own name
}

// Checkout is all that a cashier page shows and knows. Every text is taken
// for foreign and only ever shown as text.
type Checkout struct {
	State State

	Shop        string // who is paid, as the buyer knows it
	Description string // what for
	AmountFen   int64
	OrderNo     string

	// Now is the server's time and ExpiresAt the end of the order. The page
	// counts down the difference, so that the phone's clock does not matter.
	// Without ExpiresAt no time is shown.
	Now       time.Time
	ExpiresAt time.Time

	// StatusURL is the path, query included, that tells the status: JSON
	// {"status","close_reason","return_url"}, and the same in messages named
	// "status" when asked for text/event-stream, the first one at once. Empty
	// turns live status off.
	StatusURL string

	QRText string // drawn as a code: WeChat's code_url, or with NeedsWeChat the page's own address
	JSAPI  *JSAPI
	H5URL  string // WeChat's h5_url

	// H5Until is when H5URL runs out: the page then asks the server for
	// another one. Without it the page keeps what it has.
	H5Until time.Time

	Needs   Need   // with StateWrongPlace
	PageURL string // with StateWrongPlace: the page's own address, to be copied

	// ReturnURL is the shop's page, complete and signed. After payment the page
	// goes there by itself within seconds; an order that is over otherwise
	// offers it as a link. While an order can still be paid it is left out of
	// the page, so that no address saying "paid" is handed out early; the
	// status answer brings it.
	ReturnURL string

	// Test shows the sandbox banner; SandboxURL, if set, is linked from it.
	Test       bool
	SandboxURL string

	RequestID string // for support; shown only where something went wrong
}

// Errors of WriteCheckout: the caller mixed up what a page needs.
var (
	ErrState   = errors.New("no such state of a cashier page")
	ErrMissing = errors.New("the cashier page lacks what its state needs")
)

// WriteCheckout answers r with the cashier page in the visitor's language and
// the HTTP status given. On an error of the view model (ErrState, ErrMissing,
// ErrQRText) nothing has been written yet.
func (p *Pages) WriteCheckout(w http.ResponseWriter, r *http.Request, status int, v Checkout) error {
	if kind, ok := messageOf[v.State]; ok {
		return p.WriteMessage(w, r, status, Message{Kind: kind, RequestID: v.RequestID, Test: v.Test, SandboxURL: v.SandboxURL})
	}
	lang := language.Of(r)
	view, err := newCheckoutView(v, lang)
	if err != nil {
		return err
	}
	return p.write(w, r, status, "checkout.html", lang, view)
}

// messageOf names the states that have no order to show.
var messageOf = map[State]MessageKind{
	StateNotFound: MessageOrderNotFound,
	StateRefused:  MessageLinkRefused,
}

// layoutView is what every page has.
type layoutView struct {
	Lang       string
	Words      *words
	Heading    string
	Lead       string
	Advice     string // what to look at before paying
	Paying     string // the states with something to pay, for data-show
	State      State
	Test       bool
	SandboxURL string
	RequestID  string
}

func (v *layoutView) sandboxed() bool { return v.Test }

// payingStates are the states in which the buyer may still pay.
const payingStates = "waiting_native waiting_jsapi waiting_h5 returned cancelled failed wrong_place"

// checkoutView is the cashier page as its template sees it.
type checkoutView struct {
	layoutView
	Shop        string
	Description string
	Amount      string // "1,234.56"
	AmountPlain string // "1234.56"
	OrderNo     string
	Deadline    string // for machines, RFC 3339
	DeadlineCN  string // for people, Beijing time
	QR          template.HTML
	QRLabel     string
	CanInvoke   bool
	H5URL       string
	PageURL     string
	ReturnURL   string
	Live        bool
	Config      scriptConfig
}

// scriptConfig is what the script is told, as JSON in a block that browsers
// do not run.
type scriptConfig struct {
	State       State  `json:"state"`
	StatusURL   string `json:"status_url,omitempty"`
	ReturnURL   string `json:"return_url,omitempty"`
	RemainingMS int64  `json:"remaining_ms,omitempty"`
	FreshMS     int64  `json:"fresh_ms,omitempty"` // the page is loaded again after so long
	JSAPI       *JSAPI `json:"jsapi,omitempty"`
}

func newCheckoutView(v Checkout, lang language.Language) (*checkoutView, error) {
	if err := v.check(); err != nil {
		return nil, err
	}
	w := catalogue[lang]
	said := w.States[v.State]
	if elsewhere, ok := w.Needs[v.Needs]; ok && v.State == StateWrongPlace {
		said = elsewhere
	}
	view := &checkoutView{
		layoutView: layoutView{
			Lang: lang.Tag(), Words: w, Heading: said.Title, Lead: said.Lead, Advice: w.Advice, Paying: payingStates, State: v.State,
			Test: v.Test, SandboxURL: webAddress(v.SandboxURL),
		},
		Shop: plain(v.Shop, maxName), Description: plain(v.Description, maxDescription), OrderNo: plain(v.OrderNo, maxName),
		Amount: fenGrouped(v.AmountFen), AmountPlain: fenDecimal(v.AmountFen),
	}
	view.setWays(v)
	if v.State == StateUnavailable {
		view.RequestID = plain(v.RequestID, maxName)
	}
	if err := view.setQR(v); err != nil {
		return nil, err
	}
	view.setTimes(v)
	return view, nil
}

// setWays gives the page the ways on that its state has, and no others.
func (view *checkoutView) setWays(v Checkout) {
	view.Config.State = v.State
	if v.State == StateWaitingJSAPI || v.State == StateCancelled {
		view.Config.JSAPI = v.JSAPI
		view.CanInvoke = v.JSAPI != nil
	}
	if v.State == StateWaitingH5 || v.State == StateReturned || v.State == StateCancelled {
		view.H5URL = webAddress(v.H5URL)
	}
	if v.State == StateWrongPlace && v.Needs != NeedsApp {
		view.PageURL = webAddress(v.PageURL)
	}
	if v.State.watched() {
		view.Config.StatusURL = v.StatusURL
		view.Live = v.StatusURL != ""
		return
	}
	view.ReturnURL = webAddress(v.ReturnURL)
	view.Config.ReturnURL = view.ReturnURL
}

func (v *Checkout) check() error {
	lacks := ""
	switch v.State {
	case StateWaitingNative:
		if v.QRText == "" {
			lacks = "QRText"
		}
	case StateWaitingJSAPI:
		if v.JSAPI == nil {
			lacks = "JSAPI"
		}
	case StateWaitingH5, StateReturned:
		if webAddress(v.H5URL) == "" {
			lacks = "H5URL"
		}
	case StateCancelled, StatePaid, StateRefunded, StateExpired, StateClosed, StateWrongPlace, StateUnavailable:
	default:
		return fmt.Errorf("state %q: %w", v.State, ErrState)
	}
	if lacks != "" {
		return fmt.Errorf("state %q without %s: %w", v.State, lacks, ErrMissing)
	}
	return nil
}

// minFreshMS is how long a page stays before it loads itself again.
const minFreshMS = 5000

// watched reports whether the page can still see a payment arrive.
func (s State) watched() bool {
	switch s {
	case StateWaitingNative, StateWaitingJSAPI, StateWaitingH5, StateReturned, StateCancelled, StateWrongPlace:
		return true
	default:
		return false
	}
}

func (view *checkoutView) setQR(v Checkout) error {
	wanted := v.State == StateWaitingNative ||
		v.State == StateWrongPlace && (v.Needs == NeedsWeChat || v.Needs == NeedsBrowser)
	if !wanted || v.QRText == "" {
		return nil
	}
	svg, err := QRSVG(v.QRText)
	if err != nil {
		return err
	}
	view.QR = template.HTML(svg) //nolint:gosec // drawn by QRSVG: numbers of modules, none of the text
	view.QRLabel = view.Words.QRLabel
	if v.State == StateWrongPlace {
		view.QRLabel = view.Words.QRLabelPage
	}
	return nil
}

func (view *checkoutView) setTimes(v Checkout) {
	if v.ExpiresAt.IsZero() || !v.State.watched() {
		return
	}
	view.Deadline = v.ExpiresAt.UTC().Format(time.RFC3339)
	view.DeadlineCN = v.ExpiresAt.In(beijing.Zone).Format("2006-01-02 15:04")
	// One millisecond rather than none: zero would mean that no time is known.
	view.Config.RemainingMS = max(v.ExpiresAt.Sub(v.Now).Milliseconds(), 1)
	if view.H5URL != "" && !v.H5Until.IsZero() {
		// Not at once, should WeChat ever hand out an address that is over.
		view.Config.FreshMS = max(v.H5Until.Sub(v.Now).Milliseconds(), minFreshMS)
	}
}
