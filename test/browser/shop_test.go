package browser

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/pages"
)

// standInTime is the stand-in's time of day. It is far from the browser's.
var standInTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// relayStandIn serves a cashier page and its status as the relay would, with
// the status and the faults in the test's hands.
type relayStandIn struct {
	t      *testing.T
	pages  *pages.Pages
	server *httptest.Server
	shop   *httptest.Server

	// view is asked for each time the page is opened.
	view func() pages.Checkout

	// streams says how a request for live events is answered; by default
	// they are sent.
	streams http.HandlerFunc

	// polls receives a value for each plain status request.
	polls chan struct{}

	// visits receives each request that reaches the shop.
	visits chan *http.Request

	mu       sync.Mutex // guards status, changed, refusing
	refusing bool       // plain status requests fail
	status   map[string]string
	changed  chan struct{} // closed at the next change
}

func newRelay(t *testing.T, view pages.Checkout) *relayStandIn {
	t.Helper()
	p, err := pages.New(pages.Options{})
	if err != nil {
		t.Fatalf("pages.New: %v", err)
	}
	rl := &relayStandIn{
		t: t, pages: p, polls: make(chan struct{}, 1000), visits: make(chan *http.Request, 10),
		status: map[string]string{"status": "paying"}, changed: make(chan struct{}),
	}
	rl.streams = rl.stream
	mux := http.NewServeMux()
	mux.HandleFunc("GET /checkout/token", rl.checkout)
	mux.HandleFunc("GET /checkout/token/status", rl.answerStatus)
	mux.HandleFunc("GET /checkout/-/{name}", func(w http.ResponseWriter, r *http.Request) {
		if !p.ServeStatic(w, r, r.PathValue("name")) {
			http.NotFound(w, r)
		}
	})
	rl.server = httptest.NewServer(mux)
	rl.shop = httptest.NewServer(http.HandlerFunc(rl.shopPage))
	t.Cleanup(func() {
		// Streams end when their clients do; the tab is closed already.
		rl.server.CloseClientConnections()
		rl.server.Close()
		rl.shop.Close()
	})
	view = rl.fill(view)
	rl.view = func() pages.Checkout { return view }
	return rl
}

// shopPage is where the buyer returns to.
func (rl *relayStandIn) shopPage(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(`<!DOCTYPE html><html lang="en"><title>shop</title><link rel="icon" href="data:,"><p id="shop">Thank you`))
	rl.visits <- r
}

// fill gives a view what every test of it needs.
func (rl *relayStandIn) fill(v pages.Checkout) pages.Checkout {
	if v.Shop == "" {
		v.Shop = "山前书店 Foothill Books"
	}
	if v.Description == "" {
		v.Description = "《山海经校注》精装本 × 1"
	}
	if v.AmountFen == 0 {
		v.AmountFen = 12880
	}
	if v.OrderNo == "" {
		v.OrderNo = "A000001024"
	}
	v.Now = standInTime
	if v.ExpiresAt.IsZero() {
		v.ExpiresAt = v.Now.Add(29*time.Minute + 41*time.Second)
	}
	v.StatusURL = "/checkout/token/status"
	if v.ReturnURL == "" {
		v.ReturnURL = rl.shop.URL + "/done?order_no=A000001024&status=paid&sig=abc"
	}
	return v
}

func (rl *relayStandIn) page() string { return rl.server.URL + "/checkout/token" }

// become changes the status that the server tells.
func (rl *relayStandIn) become(status map[string]string) {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	rl.status = status
	close(rl.changed)
	rl.changed = make(chan struct{})
}

// refuse makes plain status requests fail, or work again.
func (rl *relayStandIn) refuse(yes bool) {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	rl.refusing = yes
}

func (rl *relayStandIn) refuses() bool {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	return rl.refusing
}

func (rl *relayStandIn) now() ([]byte, <-chan struct{}) {
	rl.mu.Lock()
	defer rl.mu.Unlock()
	body, err := json.Marshal(rl.status)
	if err != nil {
		rl.t.Errorf("encoding a status: %v", err)
	}
	return body, rl.changed
}

func (rl *relayStandIn) checkout(w http.ResponseWriter, r *http.Request) {
	if err := rl.pages.WriteCheckout(w, r, http.StatusOK, rl.view()); err != nil {
		rl.t.Errorf("WriteCheckout: %v", err)
	}
}

func (rl *relayStandIn) answerStatus(w http.ResponseWriter, r *http.Request) {
	pages.SetHeaders(w.Header())
	if r.Header.Get("Accept") == "text/event-stream" {
		rl.streams(w, r)
		return
	}
	rl.polls <- struct{}{}
	if rl.refuses() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	body, _ := rl.now()
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// stream sends the status at once and after each change.
func (rl *relayStandIn) stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		body, changed := rl.now()
		_, _ = w.Write([]byte("event: status\ndata: " + string(body) + "\n\n"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// waitForPoll waits until the page has asked for the status by itself.
func (rl *relayStandIn) waitForPoll() {
	rl.t.Helper()
	select {
	case <-rl.polls:
	case <-time.After(tabLimit):
		rl.t.Fatal("the page never asked for the status")
	}
}

// waitForVisit waits until the buyer has come back to the shop.
func (rl *relayStandIn) waitForVisit() *http.Request {
	rl.t.Helper()
	select {
	case r := <-rl.visits:
		return r
	case <-time.After(tabLimit):
		rl.t.Fatal("nobody came back to the shop")
		return nil
	}
}
