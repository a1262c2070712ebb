// Package shop is the demo shop of the sandbox: a site that lets its visitors
// pay through a relay, exactly as a site of somebody else would. It shares
// no code with the relay and talks to it over HTTP alone, so that its files
// can be copied:
//
//   - client.go signs requests to the relay,
//   - login.go logs visitors in with WeChat, by the relay's tickets,
//   - webhook.go verifies notifications by Standard Webhooks,
//   - getnotify.go verifies notifications of the "get" form,
//   - returnlink.go verifies the link with which the visitor comes back.
//
// Begin with [New]. The shop forgets everything when it ends.
package shop

import (
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"time"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
)

//go:embed templates/*.html
var templateFiles embed.FS

// maxBody bounds what is read of any request.
const maxBody = 64 << 10

// Options are the settings of a shop, which are those that the relay's
// operator gives to a client.
type Options struct {
	// RelayURL is the relay's public address, with its path prefix if any.
	RelayURL string
	// ClientID has 16 characters.
	ClientID string
	// Secret signs what the shop asks of the relay.
	Secret Secret
	// NotifySecret verifies what the relay tells the shop.
	NotifySecret Secret

	// Transport carries the calls to the relay; default a transport without
	// the environment's proxy.
	Transport http.RoundTripper
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Rand is the source of randomness; default crypto/rand.
	Rand io.Reader
}

// Shop is the demo shop. It is an http.Handler for the paths below /shop/
// and safe for concurrent use.
type Shop struct {
	clientID     string
	notifySecret Secret
	now          func() time.Time
	rand         io.Reader
	relay        *Client
	relayOrigin  string
	book         *book
	sessions     *sessions
	pages        *page.Set
	mux          *http.ServeMux
}

// New makes a shop. It reports every fault of the options at once.
func New(o Options) (*Shop, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 2, IdleConnTimeout: 30 * time.Second}
	}
	var faults []error
	relay, err := NewClient(o)
	faults = append(faults, err)
	if o.NotifySecret == "" {
		faults = append(faults, errors.New("shop: the notify secret is empty"))
	}
	dir, err := fs.Sub(templateFiles, "templates")
	faults = append(faults, err)
	pages, err := page.Load(dir)
	faults = append(faults, err)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	s := &Shop{
		clientID: o.ClientID, notifySecret: o.NotifySecret, now: o.Now, rand: o.Rand,
		relay: relay, relayOrigin: relay.base.Scheme + "://" + relay.base.Host,
		book: newBook(), sessions: newSessions(o.Now), pages: pages,
	}
	s.mux = s.routes()
	return s, nil
}

// routes makes the table of paths. What changes something is refused to
// pages of other sites.
func (s *Shop) routes() *http.ServeMux {
	protection := http.NewCrossOriginProtection()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /shop/{$}", s.serveProducts)
	mux.Handle("POST /shop/buy", protection.Handler(http.HandlerFunc(s.serveBuy)))
	mux.Handle("POST /shop/switch", protection.Handler(http.HandlerFunc(s.serveSwitch)))
	mux.HandleFunc("GET /shop/login", s.serveLogin)
	mux.HandleFunc("GET "+callbackPath, s.serveLoginCallback)
	mux.Handle("POST /shop/logout", protection.Handler(http.HandlerFunc(s.serveLogout)))
	mux.HandleFunc("GET /shop/orders", s.serveOrders)
	mux.HandleFunc("GET /shop/orders/live", s.serveOrdersLive)
	mux.HandleFunc("GET /shop/return", s.serveReturn)
	mux.HandleFunc("POST /shop/notify", s.serveNotify)
	mux.HandleFunc("GET /shop/notify-get", s.serveNotifyGet)
	mux.HandleFunc("GET /shop/assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !page.ServeAsset(w, r, r.PathValue("name")) {
			http.NotFound(w, r)
		}
	})
	return mux
}

// ServeHTTP answers what is below /shop/.
func (s *Shop) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// product is something to buy.
type product struct {
	ID       string
	ZH, EN   string
	Cover    string
	PriceFen int64
}

// products is all the shop sells.
var products = []product{
	{"book", "《沙箱里的书店》", "A Bookshop in a Sandbox", "书", 1990},
	{"tea", "一杯龙井", "A cup of Longjing", "茶", 800},
	{"stamp", "一枚邮票", "A postage stamp", "邮", 1},
}

// productByID finds a product.
func productByID(id string) (product, bool) {
	for _, p := range products {
		if p.ID == id {
			return p, true
		}
	}
	return product{}, false
}

// said is a text in the languages of the visitors.
type said struct{ ZH, EN string }

// failed tells an error in its own words, which are the developer's.
func failed(err error) said { return said{err.Error(), err.Error()} }

// shown is what every page of the shop needs.
type shown struct {
	Assets   string
	Down     bool
	Products []product
	Orders   []orderView
	Strays   []receipt
	Order    order
	Message  said
	LogIn    bool // below the message, offer to log in
	Verified bool
	Status   string
	Visitor  *Visitor // nil for a guest
	Picture  string
}

// show draws a page.
func (s *Shop) show(w http.ResponseWriter, r *http.Request, status int, name string, data shown) {
	data.Assets = "/shop/assets"
	data.Down = s.book.isDown()
	data.Visitor = s.sessions.visitor(sessionOf(r))
	data.Picture = ownPicture(r, data.Visitor)
	s.pages.RenderWith(w, r, status, name, data, s.relayOrigin)
}

// serveProducts answers GET /shop/.
func (s *Shop) serveProducts(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "products.html", shown{Products: products})
}

// serveBuy creates the order at the relay and sends the visitor to the
// relay's cashier.
func (s *Shop) serveBuy(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	wanted, ok := productByID(r.PostFormValue("product"))
	if !ok {
		s.show(w, r, http.StatusBadRequest, "message.html", shown{Message: said{"没有这个商品。", "There is no such product."}})
		return
	}
	number, err := s.orderNo()
	if err != nil {
		s.show(w, r, http.StatusInternalServerError, "message.html", shown{Message: failed(err)})
		return
	}
	request := OrderRequest{
		OrderNo: number, AmountFen: wanted.PriceFen, Description: wanted.ZH, ReturnURL: ownAddress(r) + "/shop/return",
	}
	buyer := s.sessions.visitor(sessionOf(r))
	if buyer != nil {
		request.OpenID = buyer.payingOpenID()
	}
	made, err := s.relay.CreateOrder(r.Context(), request)
	if err != nil {
		s.show(w, r, http.StatusBadGateway, "message.html", shown{Message: failed(err)})
		return
	}
	s.book.add(order{
		Buyer: buyer, OrderNo: number, Product: wanted, AmountFen: wanted.PriceFen,
		CheckoutURL: made.CheckoutURL, CreatedAt: s.now(),
	})
	http.Redirect(w, r, made.CheckoutURL, http.StatusSeeOther)
}

// orderNo makes an order number of ten letters and digits.
func (s *Shop) orderNo() (string, error) {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789" // 32, so that no letter is likelier
	raw := make([]byte, 9)
	if _, err := io.ReadFull(s.rand, raw); err != nil {
		return "", fmt.Errorf("reading random bytes: %w", err)
	}
	for i := range raw {
		raw[i] = letters[raw[i]%byte(len(letters))]
	}
	return "S" + string(raw), nil
}

// ownAddress is the origin at which the visitor sees the shop. A real shop
// has it in its settings; the relay checks it against the client's list.
func ownAddress(r *http.Request) string {
	own := url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		own.Scheme = "https"
	}
	return own.String()
}

// serveSwitch opens and closes the shop's ears: a shop that is down answers
// notifications with 503, and the relay tries again.
func (s *Shop) serveSwitch(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	s.book.setDown(r.PostFormValue("down") == "true")
	http.Redirect(w, r, "/shop/orders", http.StatusSeeOther)
}

// serveOrders answers GET /shop/orders.
func (s *Shop) serveOrders(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, "orders.html", shown{})
}

// serveOrdersLive answers the part of the orders page that changes by
// itself.
func (s *Shop) serveOrdersLive(w http.ResponseWriter, r *http.Request) {
	orders, strays := s.book.view()
	s.askRelay(r.Context(), orders)
	s.show(w, r, http.StatusOK, "orders-live.html", shown{Orders: orders, Strays: strays})
}

// serveReturn answers the link with which the visitor comes back. The link
// is signed, so that nobody can make the page say what it likes; yet goods
// are only handed out after a notification.
func (s *Shop) serveReturn(w http.ResponseWriter, r *http.Request) {
	link, err := VerifyReturn(s.notifySecret, s.clientID, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, s.now())
	if err != nil {
		s.show(w, r, http.StatusBadRequest, "return.html", shown{Message: failed(err)})
		return
	}
	bought, _ := s.book.order(link.OrderNo)
	s.show(w, r, http.StatusOK, "return.html", shown{Verified: true, Status: link.Status, Order: bought})
}
