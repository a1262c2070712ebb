package sandbox

import (
	"embed"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
)

// assetsPath is where the pages find their style and scripts.
const assetsPath = "/sandbox/assets"

// userCookie remembers who holds the phone.
const userCookie = "sandbox_user"

// What the phone page shows at most.
const (
	shownOrders   = 50
	shownAttempts = 50
	shownMessages = 20
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/phone.js
var phoneScript []byte

//go:embed assets/scan.js
var scanScript []byte

//go:embed assets/bridge.js
var bridgeScript []byte

// templates returns the directory of templates.
func templates() fs.FS {
	dir, err := fs.Sub(templateFiles, "templates")
	if err != nil {
		panic("sandbox: " + err.Error()) // constant path
	}
	return dir
}

// currentUser tells who holds the phone of this browser.
func currentUser(r *http.Request) user {
	if cookie, err := r.Cookie(userCookie); err == nil {
		if who, ok := userByID(cookie.Value); ok {
			return who
		}
	}
	return testUsers[0]
}

// setCurrentUser hands the phone of this browser to somebody.
func setCurrentUser(w http.ResponseWriter, r *http.Request, who user) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // the name of a play user; sandboxes on loopback have no TLS
		Name: userCookie, Value: who.ID, Path: "/", HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	})
}

// phonePage is what GET /sandbox shows.
type phonePage struct {
	Assets string
	Users  []user
	User   user
	Groups []phoneGroup
	Shop   bool
}

// phoneGroup is a group of faults in the control panel.
type phoneGroup struct {
	ZH, EN string
	Faults faultGroup
}

// livePage is the part of the page that changes by itself.
type livePage struct {
	Orders   []liveOrder
	Attempts []attempt
	Faults   []fault
	Rotation int
	Calls    callsReply
	Inbox    []customMessage
	Scans    []scan
}

// liveOrder is an order with its refunds.
type liveOrder struct {
	order
	Refunds []refund
}

// servePhone answers GET /sandbox.
func (s *Sandbox) servePhone(w http.ResponseWriter, r *http.Request) {
	s.pages.Render(w, r, http.StatusOK, "phone.html", phonePage{
		Assets: assetsPath,
		Users:  testUsers,
		User:   currentUser(r),
		Shop:   s.shop != nil,
		Groups: []phoneGroup{
			{"支付通知", "Notifications", notifyFaults},
			{"支付接口", "Pay API", apiFaults},
			{"退款", "Refunds", refundFaults},
			{"分账", "Profit sharing", shareFaults},
			{"登录", "Login", slices.Concat(loginFaults, oauthFaults, miniFaults)},
			{"服务端接口", "Calls of accounts", slices.Concat(cgiFaults, cgiGivingFaults, cgiShowingFaults)},
		},
	})
}

// serveLive answers GET /sandbox/live: the part of the page that the script
// fetches again and again.
func (s *Sandbox) serveLive(w http.ResponseWriter, r *http.Request) {
	var orders []liveOrder
	for _, o := range s.ledger.newest(shownOrders) {
		orders = append(orders, liveOrder{o, s.ledger.refundsOf(o.orderKey)})
	}
	s.pages.Render(w, r, http.StatusOK, "live.html", livePage{
		Orders:   orders,
		Attempts: s.notifier.recent(shownAttempts),
		Faults:   s.faults.pending(),
		Rotation: int(s.platform.stage()),
		Calls:    s.callsNow(),
		Inbox:    s.inbox.newest(shownMessages),
		Scans:    s.scans.open(),
	})
}

// Milliseconds tells how long the attempt took.
func (a attempt) Milliseconds() int64 { return int64(a.Took / time.Millisecond) }

// serveNotifications answers GET /sandbox/notifications: the log as JSON,
// newest first.
func (s *Sandbox) serveNotifications(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Attempts []attempt `json:"attempts"`
	}{append([]attempt{}, s.notifier.recent(maxLog)...)})
}

// serveUser takes the choice of who holds the phone.
func (s *Sandbox) serveUser(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	who, ok := userByID(r.PostFormValue("user"))
	if !ok {
		s.renderMessage(w, r, http.StatusBadRequest, "there is no such user")
		return
	}
	setCurrentUser(w, r, who)
	http.Redirect(w, r, "/sandbox", http.StatusSeeOther)
}

// messagePage is a page with one sentence.
type messagePage struct {
	Assets string
	Number int // WeChat's error number, if it has one
	Text   string
}

// renderMessage shows one sentence.
func (s *Sandbox) renderMessage(w http.ResponseWriter, r *http.Request, status int, text string) {
	s.pages.Render(w, r, status, "message.html", messagePage{Assets: assetsPath, Text: text})
}

// serveAsset answers GET /sandbox/assets/{name}.
func serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	switch {
	case name == "phone.js":
		page.Static(w, r, name, phoneScript)
	case name == "scan.js":
		page.Static(w, r, name, scanScript)
	case page.ServeAsset(w, r, name):
	default:
		http.NotFound(w, r)
	}
}

// serveBridge answers GET /sandbox/bridge.js: window.WeixinJSBridge for a
// browser that is not WeChat, to be put into a page under test.
func serveBridge(w http.ResponseWriter, r *http.Request) {
	script := strings.Replace(string(bridgeScript), "SANDBOX_ORIGIN", originOf(r), 1)
	page.Static(w, r, "bridge.js", []byte(script))
}

// safeHost keeps only what can stand in a host, so that a forged Host header
// cannot write script.
func safeHost(host string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".:-[]", c) {
			return c
		}
		return -1
	}, host)
}
