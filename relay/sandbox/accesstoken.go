package sandbox

import (
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/internal/beijing"
)

// WeChat's rules on the tokens of accounts (oauth.md 5 and 6).
const (
	accountTokenLife = 2 * time.Hour
	tokenOverlap     = 5 * time.Minute  // of an old token with the next one
	forcePause       = 30 * time.Second // between two forced renewals that count
	forcesPerDay     = 20
	stablePerMinute  = 10_000
	stablePerDay     = 500_000
	tokensPerDay     = 2_000
	ticketsPerDay    = 10_000
)

// tokenSeries is a line of tokens of one account of which each replaces the
// one before. The two calls that give access tokens have a line each, which
// leave each other alone.
type tokenSeries string

// The series of an account.
const (
	seriesStable      tokenSeries = "stable_token"
	seriesToken       tokenSeries = "token"
	seriesJSAPITicket tokenSeries = "jsapi_ticket"
	seriesCardTicket  tokenSeries = "wx_card_ticket"
)

// seriesKey names the series of an account.
type seriesKey struct {
	AppID  string
	Series tokenSeries
}

// accountToken is an access token or a ticket of an account.
type accountToken struct {
	Text     string
	AppID    string
	Until    time.Time
	Outdated bool // replaced, so that its end is a 40001 rather than a 42001
}

// accountTokens keeps what accounts were given. Safe for concurrent use.
type accountTokens struct {
	now func() time.Time

	mu      sync.Mutex               // guards what follows
	all     map[string]*accountToken // access tokens alone
	order   []string                 // oldest first
	current map[seriesKey]*accountToken
	issued  map[seriesKey]int
	usage   map[seriesKey]*usage
	forces  map[string]*forces // by app id
}

// usage counts calls of a kind within the minute and the Beijing day.
type usage struct {
	minute, day     int64
	inMinute, inDay int
}

// forces remembers the forced renewals of an account.
type forces struct {
	day   int64
	count int
	last  time.Time
}

// newAccountTokens makes an empty store.
func newAccountTokens(now func() time.Time) *accountTokens {
	return &accountTokens{
		now: now, all: map[string]*accountToken{}, current: map[seriesKey]*accountToken{},
		issued: map[seriesKey]int{}, usage: map[seriesKey]*usage{}, forces: map[string]*forces{},
	}
}

// beijingDay numbers the days of the quotas, which begin at midnight in
// Beijing.
func beijingDay(t time.Time) int64 {
	_, offset := t.In(beijing.Zone).Zone()
	return (t.Unix() + int64(offset)) / (24 * 60 * 60)
}

// count counts a call against its limits. The caller holds mu.
func (a *accountTokens) count(key seriesKey, perMinute, perDay int) *wxError {
	u := a.usage[key]
	if u == nil {
		u = &usage{}
		a.usage[key] = u
	}
	return u.count(a.now(), perMinute, perDay)
}

// count counts a call against its limits; 0 is none.
func (u *usage) count(now time.Time, perMinute, perDay int) *wxError {
	if minute := now.Unix() / 60; u.minute != minute {
		u.minute, u.inMinute = minute, 0
	}
	if day := beijingDay(now); u.day != day {
		u.day, u.inDay = day, 0
	}
	switch {
	case perDay > 0 && u.inDay >= perDay:
		return &wxDailyQuota
	case perMinute > 0 && u.inMinute >= perMinute:
		return &wxMinuteQuota
	}
	u.inDay++
	u.inMinute++
	return nil
}

// issue makes the next token of a series. The caller holds mu.
func (a *accountTokens) issue(key seriesKey, text string) *accountToken {
	next := &accountToken{Text: text, AppID: key.AppID, Until: a.now().Add(accountTokenLife)}
	a.current[key] = next
	a.issued[key]++
	if key.Series == seriesStable || key.Series == seriesToken {
		a.all[text] = next
		a.order = append(a.order, text)
		for len(a.order) > maxGrants {
			delete(a.all, a.order[0])
			a.order = a.order[1:]
		}
	}
	return next
}

// stable answers stable_token: the same token until its last five minutes,
// and a new one at once when it is forced. fresh is the text of a new one.
func (a *accountTokens) stable(appID string, force bool, fresh string) (accountToken, *wxError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := seriesKey{appID, seriesStable}
	if wrong := a.count(key, stablePerMinute, stablePerDay); wrong != nil {
		return accountToken{}, wrong
	}
	now, current := a.now(), a.current[key]
	lives := current != nil && current.Until.Sub(now) > tokenOverlap
	if force {
		granted, wrong := a.force(appID, now)
		if wrong != nil {
			return accountToken{}, wrong
		}
		// A second one too soon changes nothing, as long as there is a token.
		if granted || !lives {
			a.outdate(current, now)
			lives = false
		}
	}
	if !lives {
		current = a.issue(key, fresh)
	}
	return *current, nil
}

// force counts a forced renewal and reports whether it takes effect. The
// caller holds mu.
func (a *accountTokens) force(appID string, now time.Time) (bool, *wxError) {
	f := a.forces[appID]
	if f == nil {
		f = &forces{}
		a.forces[appID] = f
	}
	if day := beijingDay(now); f.day != day {
		f.day, f.count = day, 0
	}
	switch {
	case !f.last.IsZero() && now.Sub(f.last) < forcePause:
		return false, nil
	case f.count >= forcesPerDay:
		return false, &wxDailyQuota
	}
	f.count++
	f.last = now
	return true, nil
}

// outdate ends a token at the given time, unless it ends earlier.
func (*accountTokens) outdate(token *accountToken, at time.Time) {
	if token != nil && token.Until.After(at) {
		token.Until, token.Outdated = at, true
	}
}

// next answers the older /cgi-bin/token: a new token each time, beside which
// the one before lives five more minutes.
func (a *accountTokens) next(appID, fresh string) (accountToken, *wxError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := seriesKey{appID, seriesToken}
	if wrong := a.count(key, 0, tokensPerDay); wrong != nil {
		return accountToken{}, wrong
	}
	a.outdate(a.current[key], a.now().Add(tokenOverlap))
	return *a.issue(key, fresh), nil
}

// ticket answers getticket: the same ticket during all its life.
func (a *accountTokens) ticket(appID string, series tokenSeries, fresh string) (accountToken, *wxError) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := seriesKey{appID, series}
	if wrong := a.count(key, 0, ticketsPerDay); wrong != nil {
		return accountToken{}, wrong
	}
	if current := a.current[key]; current != nil && a.now().Before(current.Until) {
		return *current, nil
	}
	return *a.issue(key, fresh), nil
}

// livingTicket returns the JS-SDK ticket of an account, if it has one.
func (a *accountTokens) livingTicket(appID string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	current := a.current[seriesKey{appID, seriesJSAPITicket}]
	if current == nil || !a.now().Before(current.Until) {
		return "", false
	}
	return current.Text, true
}

// owner finds whose access token a text is.
func (a *accountTokens) owner(text string) (appID string, wrong *wxError) {
	if text == "" {
		return "", &wxNoToken
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	token := a.all[text]
	switch {
	case token == nil:
		return "", &wxNotLatest
	case a.now().Before(token.Until):
		return token.AppID, nil
	case token.Outdated:
		return "", &wxNotLatest
	}
	return "", &wxTokenExpired
}

// spoil ends an access token at once: as outdated, or as if its time were
// over. Its series goes on with a new one.
func (a *accountTokens) spoil(text string, outdated bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token := a.all[text]; token != nil {
		token.Until, token.Outdated = a.now(), outdated
	}
}

// issuedTokens tells how many tokens of a series an account was given.
type issuedTokens struct {
	AppID  string      `json:"app_id"`
	Series tokenSeries `json:"series"`
	Count  int         `json:"count"`
}

// counts lists how many tokens were given, in no order.
func (a *accountTokens) counts() []issuedTokens {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]issuedTokens, 0, len(a.issued))
	for key, count := range a.issued {
		list = append(list, issuedTokens{key.AppID, key.Series, count})
	}
	return list
}

// forgetCounts begins to count anew; quotas are not counted anew.
func (a *accountTokens) forgetCounts() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.issued)
}
