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

// flow is one browser's trip for one cashier page: to WeChat for an openid,
// or through the second handshake. It lives in memory alone: after a restart
// the buyer opens the page again and nothing is lost.
type flow struct {
	id        string // the state sent to WeChat, 32 hex characters
	browserID string
	token     string
	appID     string
	openID    string // once WeChat told it
	confirmed bool   // the second handshake was passed
	expires   time.Time
}

type flowKey struct{ browserID, token string }

// flows keeps the trips of all browsers, bounded in number and age.
type flows struct {
	mu    sync.Mutex // guards all below
	byKey map[flowKey]*list.Element
	byID  map[string]*list.Element
	order list.List // of *flow, oldest first
}

// get returns the browser's flow for a page.
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

// put keeps a flow, in place of an older one of the same browser and page.
// It reports false when too many are under way.
func (f *flows) put(fl flow, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(f.byKey[flowKey{fl.browserID, fl.token}])
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
	fl.browserID, fl.token = strings.Clone(fl.browserID), strings.Clone(fl.token)
	e := f.order.PushBack(&fl)
	f.byKey[flowKey{fl.browserID, fl.token}] = e
	f.byID[fl.id] = e
	return true
}

func (f *flows) drop(e *list.Element) {
	if e == nil {
		return
	}
	fl := f.order.Remove(e).(*flow)
	delete(f.byKey, flowKey{fl.browserID, fl.token})
	delete(f.byID, fl.id)
}
