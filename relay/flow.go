package relay

import (
	"container/list"
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of browser flows (threats section 0, J04): so many logins, and as many
// cashier pages beside them. One browser has few pages open at once; one that a
// site sends round in circles begins thousands.
const (
	flowLife        = 600 * time.Second
	maxFlows        = 20000
	maxBrowserFlows = 32
)

// maxHeard is how many of WeChat's codes a flow remembers.
const maxHeard = 8

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
	heard     []string  // digests of the codes about which WeChat said something, the last few
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

// hear notes that WeChat said something about a code.
func (fl *flow) hear(digest string) {
	if slices.Contains(fl.heard, digest) {
		return
	}
	// Never in place: other copies of the flow have the same array.
	fl.heard = append(slices.Clone(fl.heard[max(0, len(fl.heard)-maxHeard+1):]), digest)
}

// flows keeps the trips of all browsers, bounded in number and age.
type flows struct {
	mu        sync.Mutex // guards all below
	byKey     map[flowKey]*list.Element
	byID      map[string]*list.Element
	byBrowser map[string][]*list.Element // oldest first
	logins    list.List                  // of *flow, oldest first
	pages     list.List                  // the same for cashier pages
}

// line is where a flow queues. Anybody can begin logins by the thousand, which
// must not keep buyers from paying; a cashier page takes an order.
func (f *flows) line(fl *flow) *list.List {
	if fl.purpose == loginForPage {
		return &f.pages
	}
	return &f.logins
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
	if old, ok := live(f.byKey[fl.key()], now); ok {
		fl.confirmed = fl.confirmed || old.confirmed // in another tab, while WeChat was asked
	}
	return f.keep(&fl, now)
}

// join keeps the flow of a cashier page and returns it. A browser that is
// under way for that page and account already goes on with the trip that it
// has, for WeChat's browser loads a page twice, and a buyer may open it in two
// tabs: whichever comes back first, both arrive.
func (f *flows) join(fl flow, now time.Time) (flow, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if old, ok := live(f.byKey[fl.key()], now); ok {
		confirmed := fl.confirmed || old.confirmed
		if fl.appID == "" || fl.appID == old.appID {
			fl, fl.restarted = old, false
		}
		fl.confirmed = confirmed
	}
	return fl, f.keep(&fl, now)
}

// keep is put, with the lock held.
func (f *flows) keep(fl *flow, now time.Time) bool {
	f.drop(f.byKey[fl.key()])
	for _, line := range []*list.List{&f.logins, &f.pages} {
		for e := line.Front(); e != nil && !e.Value.(*flow).expires.After(now); e = line.Front() {
			f.drop(e)
		}
	}
	if own := f.byBrowser[fl.browserID]; len(own) >= maxBrowserFlows {
		f.drop(own[0])
	}
	if f.line(fl).Len() >= maxFlows {
		return false
	}
	if f.byKey == nil {
		f.byKey, f.byID, f.byBrowser = map[flowKey]*list.Element{}, map[string]*list.Element{}, map[string][]*list.Element{}
	}
	kept := fl.alone()
	kept.expires = now.Add(flowLife)
	e := f.line(&kept).PushBack(&kept)
	f.byKey[kept.key()] = e
	f.byID[kept.id] = e
	f.byBrowser[kept.browserID] = append(f.byBrowser[kept.browserID], e)
	return true
}

// alone is the flow without the whole request of which its texts are parts,
// which a browser may make as long as the server takes.
func (fl *flow) alone() flow {
	c := *fl
	for _, text := range []*string{&c.browserID, &c.token, &c.redirectURI, &c.state, &c.scope} {
		*text = strings.Clone(*text)
	}
	return c
}

// note keeps what changed of a flow, without making its life longer. A flow
// that ended meanwhile stays so.
func (f *flows) note(fl flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.byID[fl.id]; e != nil {
		old := e.Value.(*flow)
		fl.expires, fl.confirmed = old.expires, fl.confirmed || old.confirmed
		e.Value = &fl
	}
}

func (f *flows) drop(e *list.Element) {
	if e == nil {
		return
	}
	fl := e.Value.(*flow)
	f.line(fl).Remove(e)
	delete(f.byKey, fl.key())
	delete(f.byID, fl.id)
	own := f.byBrowser[fl.browserID]
	if own = slices.DeleteFunc(own, func(o *list.Element) bool { return o == e }); len(own) == 0 {
		delete(f.byBrowser, fl.browserID)
	} else {
		f.byBrowser[fl.browserID] = own
	}
}
