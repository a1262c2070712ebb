package relay

import (
	"container/list"
	"strings"
	"sync"
	"time"
)

// Limits of browser flows (threats section 0, J04).
const (
	flowLife = 600 * time.Second
	maxFlows = 20000
)

// flow is one browser's trip to WeChat, or through the second handshake of a
// cashier page. It lives in memory alone: after a restart the visitor opens
// the page again and nothing is lost.
type flow struct {
	id        string // the state sent to WeChat, 32 hex characters
	browserID string
	purpose   LoginPurpose
	clientID  string
	expires   time.Time

	// With loginForPage: the cashier page, and whether its second handshake
	// was passed.
	token     string
	confirmed bool

	// With the other purposes: where the browser returns and what the site
	// wants back.
	redirectURI string
	state       string
	hasState    bool

	appID string // of the account that is asked; empty when none is
	scope string // as WeChat is asked

	who       LoginUser // once WeChat told
	code      string    // digest of WeChat's code that told it
	snapshot  string    // digest of WeChat's code that was worth a snapshot user
	restarted bool      // WeChat's code was spent, so that the trip began anew
	handed    string    // the ticket or code that the site was given last
}

type flowKey struct{ browserID, page string }

// key names what a browser has one of: a flow for each cashier page, and one
// for each login, so that two tabs are two (threats E03).
func (fl *flow) key() flowKey {
	if fl.purpose == loginForPage {
		return flowKey{fl.browserID, fl.token}
	}
	return flowKey{fl.browserID, fl.id}
}

// flows keeps the trips of all browsers, bounded in number and age.
type flows struct {
	mu    sync.Mutex // guards all below
	byKey map[flowKey]*list.Element
	byID  map[string]*list.Element
	order list.List // of *flow, oldest first
}

// get returns the browser's flow for a cashier page.
func (f *flows) get(browserID, token string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return live(f.byKey[flowKey{browserID, token}], now)
}

// byState returns the flow that was sent to WeChat with that state.
func (f *flows) byState(state string, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return live(f.byID[state], now)
}

func live(e *list.Element, now time.Time) (flow, bool) {
	if e == nil || !e.Value.(*flow).expires.After(now) {
		return flow{}, false
	}
	return *e.Value.(*flow), true
}

// put keeps a flow, in place of an older one of the same browser and page, for
// a life from now. It reports false when too many are under way.
func (f *flows) put(fl flow, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(f.byKey[fl.key()])
	for e := f.order.Front(); e != nil && !e.Value.(*flow).expires.After(now); e = f.order.Front() {
		f.drop(e)
	}
	if f.order.Len() >= maxFlows {
		return false
	}
	if f.byKey == nil {
		f.byKey, f.byID = map[flowKey]*list.Element{}, map[string]*list.Element{}
	}
	fl.expires = now.Add(flowLife)
	// Not the whole request of which they are parts: a browser may make it as
	// long as the server takes.
	fl.browserID, fl.token, fl.state = strings.Clone(fl.browserID), strings.Clone(fl.token), strings.Clone(fl.state)
	e := f.order.PushBack(&fl)
	f.byKey[fl.key()] = e
	f.byID[fl.id] = e
	return true
}

// note keeps what changed of a flow, without making its life longer. A flow
// that ended meanwhile stays so.
func (f *flows) note(fl flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byID[fl.id]; e != nil {
		fl.expires = e.Value.(*flow).expires
		e.Value = &fl
	}
}

func (f *flows) drop(e *list.Element) {
	if e == nil {
		return
	}
	fl := f.order.Remove(e).(*flow)
	delete(f.byKey, fl.key())
	delete(f.byID, fl.id)
}
