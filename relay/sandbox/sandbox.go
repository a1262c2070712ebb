// Package sandbox plays WeChat: the pay API in both its generations, APIv3
// and APIv2, with real signatures and strict validation - orders of every
// trade type for merchants and service providers, refunds, profit sharing,
// trade bills -, notifications with WeChat's own rhythm, H5's middle page,
// the OAuth pages and calls, an account's tokens, tickets and calls, the
// buyer's phone, the merchant's console, and faults on request. It also shows a
// demo shop (package shop).
//
// What happened is kept in one ledger, whose rules are the same whichever
// generation of the API asks; how the merchant is told is a letter of the
// generation that asked.
//
// Refunds of APIv2 show the merchant's certificate on the connection. Where
// the sandbox is reached over TLS, the server in front of it must ask clients
// for one; over plain HTTP there is none to see, and it is not asked for.
//
// Begin with [New]; the result is a plain http.Handler. [DefaultCredentials]
// gives what a merchant needs to talk to it. Every key is derived from a
// public constant, every page says SANDBOX, and notifications only go to
// loopback and private addresses unless [Options] allow more, so that play
// money and real money cannot meet.
//
// The rules come from WeChat's documents; section numbers in comments, such
// as "v3.md 9", are those of this project's protocol notes.
package sandbox

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
	"github.com/wxrelay/wxrelay/relay/sandbox/shop"
)

// defaultMaxOrders bounds the list of orders.
const defaultMaxOrders = 10_000

// Options are the settings of a sandbox. The zero value is a sandbox with
// the default merchant and account and WeChat's own rhythm.
type Options struct {
	// Merchants and Accounts are known beside the default ones; one with the
	// default number or app id replaces it. Accounts that no merchant names
	// are bound to the default merchant.
	Merchants []Merchant
	Accounts  []Account

	// TimeScale shortens the rhythm of notifications: 1.0/60 makes minutes
	// of hours. 0 means 1.
	TimeScale float64

	// AllowPublic lets notifications go to public addresses.
	AllowPublic bool

	// MaxOrders is how many orders are kept, default 10000; the oldest are
	// forgotten.
	MaxOrders int

	// Shop is the demo shop; nil shows none.
	Shop *shop.Options

	// Now is the clock; default time.Now.
	Now func() time.Time
	// Rand is the source of randomness; default crypto/rand.
	Rand io.Reader
	// Transport carries notifications; default one that refuses addresses
	// as AllowPublic says.
	Transport http.RoundTripper
	// Logger gets what goes wrong; default none.
	Logger *slog.Logger
}

// Sandbox plays WeChat. It is an http.Handler and safe for concurrent use.
// It owns the goroutines of its notifications; Close ends them.
type Sandbox struct {
	now         func() time.Time
	rand        io.Reader
	log         *slog.Logger
	allowPublic bool

	directory *directory
	ledger    *ledger
	platform  *platform
	faults    *faultBox
	notifier  *notifier
	bills     *billBox
	login     *login

	scans         *scans
	mini          *miniLogins
	accountTokens *accountTokens
	calls         *callTally
	inbox         *inbox
	media         *mediaBox
	pages         *page.Set
	shop          *shop.Shop // nil without a demo shop
	mux           *http.ServeMux
}

// New makes a sandbox. It reports every fault of the options at once.
func New(o Options) (*Sandbox, error) {
	o.fill()
	var faults []error
	if o.TimeScale <= 0 || o.TimeScale > 1 {
		faults = append(faults, fmt.Errorf("sandbox time scale %v: must be more than 0 and at most 1", o.TimeScale))
	}
	if o.MaxOrders < 1 {
		faults = append(faults, fmt.Errorf("sandbox order limit %d: must be at least 1", o.MaxOrders))
	}
	directory, err := newDirectory(o.Merchants, o.Accounts)
	faults = append(faults, err)
	pages, err := page.Load(templates())
	faults = append(faults, err)
	var demo *shop.Shop
	if o.Shop != nil {
		demo, err = shop.New(*o.Shop)
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	s := &Sandbox{
		now: o.Now, rand: o.Rand, log: o.Logger, allowPublic: o.AllowPublic,
		directory: directory,
		ledger:    newLedger(o.Now, o.Rand, o.MaxOrders),
		platform:  &platform{now: o.Now, rand: o.Rand},
		faults:    &faultBox{},
		bills:     &billBox{now: o.Now, bills: map[string]bill{}},
		login:     newLogin(o.Now),

		scans:         &scans{now: o.Now},
		mini:          newMiniLogins(o.Now),
		accountTokens: newAccountTokens(o.Now),
		calls:         &callTally{},
		inbox:         &inbox{},
		media:         &mediaBox{},
		pages:         pages,
		shop:          demo,
	}
	s.notifier = newNotifier(&o, s.faults)
	s.mux = s.routes()
	return s, nil
}

// fill sets what the options leave out.
func (o *Options) fill() {
	if o.TimeScale == 0 {
		o.TimeScale = 1
	}
	if o.MaxOrders == 0 {
		o.MaxOrders = defaultMaxOrders
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Transport == nil {
		o.Transport = guardedTransport(o.AllowPublic)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
}

// newNotifier makes the notifier of a sandbox.
func newNotifier(o *Options, faults *faultBox) *notifier {
	ctx, cancel := context.WithCancel(context.Background())
	return &notifier{
		now: o.Now, scale: o.TimeScale, faults: faults, log: o.Logger,
		client: &http.Client{
			Transport: o.Transport,
			// A redirect is an answer like any other, and a failure.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		ctx: ctx, cancel: cancel,
		sent: make(chan struct{}),
	}
}

// Match reports whether a path is the sandbox's. Those of WeChat that it
// does not play are its own too, so that they get a plain answer.
func Match(path string) bool {
	for _, tree := range []string{"/v3", "/pay", "/secapi", "/sns", "/cgi-bin", "/connect", "/sandbox", "/shop"} {
		if path == tree || strings.HasPrefix(path, tree+"/") {
			return true
		}
	}
	return false
}

// Close ends all notifications that are on their way and waits for them.
// Calls that are being answered are not waited for.
func (s *Sandbox) Close() error {
	s.notifier.stop()
	return nil
}

// routes makes the table of paths.
func (s *Sandbox) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("/v3/", s.serveV3)
	for path, operation := range operationsV2() {
		mux.HandleFunc(path, s.serveV2(operation))
	}
	mux.HandleFunc("GET /connect/oauth2/authorize", s.serveAuthorize)
	mux.HandleFunc("GET /connect/qrconnect", s.serveQRConnect)
	for path, serve := range map[string]http.HandlerFunc{
		"/sns/oauth2/access_token":  s.serveAccessToken,
		"/sns/oauth2/refresh_token": s.serveRefreshToken,
		"/sns/userinfo":             s.serveUserInfo,
		"/sns/auth":                 s.serveAuth,
		"/sns/jscode2session":       s.serveJSCode2Session,
	} {
		mux.HandleFunc("GET "+path, s.counted(path, serve))
	}
	s.cgiRoutes(mux)
	mux.HandleFunc("GET /sandbox/credentials", s.serveCredentials)
	s.controlRoutes(mux)
	if s.shop != nil {
		mux.Handle("/shop", http.RedirectHandler("/shop/", http.StatusFound))
		mux.Handle("/shop/", s.shop)
	}
	mux.HandleFunc("/", s.serveUnknown)
	return mux
}

// controlRoutes adds the phone and the control panel. What changes something
// is refused to pages of other sites.
func (s *Sandbox) controlRoutes(mux *http.ServeMux) {
	protection := http.NewCrossOriginProtection()
	own := func(pattern string, serve http.HandlerFunc) { mux.Handle(pattern, protection.Handler(serve)) }
	own("GET /sandbox", s.servePhone)
	own("GET /sandbox/{$}", s.servePhone)
	own("GET /sandbox/live", s.serveLive)
	own("GET /sandbox/jsapi", s.serveJSAPI)
	own("POST /sandbox/jsapi", s.serveJSAPIResult)
	own("GET "+h5Path, s.serveH5)
	own("POST /sandbox/h5", s.serveH5Result)
	own("POST /sandbox/app", s.serveApp)
	own("POST /sandbox/pay", s.servePay)
	own("POST /sandbox/refund", s.serveConsoleRefund)
	own("POST /sandbox/user", s.serveUser)
	own("POST /sandbox/consent", s.serveConsent)
	own("GET /sandbox/faults", s.serveFaults)
	own("POST /sandbox/faults", s.serveFaults)
	own("DELETE /sandbox/faults", s.serveFaults)
	own("GET /sandbox/scan/{id}", s.serveScan)
	own("POST /sandbox/scan/{id}", s.serveScanDecision)
	own("GET /sandbox/scan/{id}/qr.svg", s.serveScanPicture)
	own("GET /sandbox/wait/{key}", s.serveWait)
	own("GET /sandbox/wait/{key}/go", s.serveWaitOver)
	own("POST /sandbox/message", s.servePush)
	own("POST /sandbox/mini-login", s.serveMiniLogin)
	own("POST /sandbox/mini-data", s.serveMiniData)
	own("GET /sandbox/calls", s.serveCalls)
	own("DELETE /sandbox/calls", s.serveCalls)
	mux.HandleFunc("GET /sandbox/messages", s.serveInbox)
	mux.HandleFunc("GET /sandbox/notifications", s.serveNotifications)
	mux.HandleFunc("GET "+facePath+"{user}/{size}", serveFace)
	mux.HandleFunc("GET /sandbox/bridge.js", serveBridge)
	mux.HandleFunc("GET /sandbox/js-sdk.js", serveJSSDK)
	mux.HandleFunc("GET /sandbox/js-sdk/check", s.serveJSSDKCheck)
	mux.HandleFunc("GET /sandbox/assets/{name}", serveAsset)
}

// ServeHTTP answers what Match matches.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// serveUnknown answers paths that the sandbox does not play.
func (s *Sandbox) serveUnknown(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusNotFound, errorBody{Code: "RESOURCE_NOT_EXISTS", Message: "the sandbox does not play this address"})
}

// fail logs an error of the sandbox itself and answers 500.
func (s *Sandbox) fail(w http.ResponseWriter, what string, err error) {
	s.log.Error("sandbox: "+what, "error", err)
	http.Error(w, "SANDBOX: "+what+" failed; see the log", http.StatusInternalServerError)
}
