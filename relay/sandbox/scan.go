package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/wxrelay/wxrelay/relay/pages"
)

// Bounds of codes that wait on a screen for a phone.
const (
	scanLife = 5 * time.Minute
	maxScans = 1000
)

// scanState is how far a phone has come with a code on a screen.
type scanState string

// The states of a scan. An expired one can no longer be decided.
const (
	scanWaiting scanState = "waiting" // nobody has opened it
	scanScanned scanState = "scanned" // a phone shows who asks
	scanAllowed scanState = "allowed"
	scanRefused scanState = "refused"
	scanExpired scanState = "expired"
)

// scan is a login that waits on a screen until a phone decides. The phone
// knows ID from the picture; the screen alone knows Key, by which it learns
// the code.
type scan struct {
	ID, Key string
	Ask     authorization
	At      time.Time
	State   scanState
	Code    string // once allowed
}

// scans keeps the logins that wait. Safe for concurrent use.
type scans struct {
	now func() time.Time

	mu   sync.Mutex // guards list
	list []*scan    // oldest first
}

// add keeps a login that waits and forgets the oldest above the limit.
func (l *scans) add(added scan) {
	l.mu.Lock()
	defer l.mu.Unlock()
	added.At, added.State = l.now(), scanWaiting
	l.list = append(l.list, &added)
	l.list = slices.Delete(l.list, 0, max(0, len(l.list)-maxScans))
}

// find returns the living record of a scan, or nil. The caller holds mu.
func (l *scans) find(is func(*scan) bool) *scan {
	i := slices.IndexFunc(l.list, is)
	if i < 0 {
		return nil
	}
	found := l.list[i]
	if l.now().Sub(found.At) >= scanLife {
		found.State = scanExpired
	}
	return found
}

// byID finds a scan as the phone sees it.
func (l *scans) byID(id string) (scan, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.find(func(s *scan) bool { return s.ID == id })
	if found == nil {
		return scan{}, false
	}
	return *found, true
}

// byKey finds a scan as the screen sees it.
func (l *scans) byKey(key string) (scan, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.find(func(s *scan) bool { return s.Key == key })
	if found == nil {
		return scan{}, false
	}
	return *found, true
}

// advance takes a scan to its next state, with a code when it is allowed,
// and reports whether it was still open.
func (l *scans) advance(id string, state scanState, code string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := l.find(func(s *scan) bool { return s.ID == id })
	if found == nil || !found.Open() {
		return false
	}
	found.State, found.Code = state, code
	return true
}

// open lists the scans that can be decided, newest first.
func (l *scans) open() []scan {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []scan
	for _, s := range slices.Backward(l.list) {
		if s.Open() && l.now().Sub(s.At) < scanLife {
			list = append(list, *s)
		}
	}
	return list
}

// Open reports whether a phone can still decide.
func (s scan) Open() bool { return s.State == scanWaiting || s.State == scanScanned }

// Host is where the screen will be sent.
func (s scan) Host() string { return s.Ask.RedirectURI.Host }

// scanPage is what the screen and the phone show.
type scanPage struct {
	Assets string
	Scan   scan
	Query  string // of the screen's address, for those with one screen
	Phone  string // address in the picture
	Users  []user
	User   string
}

// Wait is the path at which the screen asks how far the phone is.
func (p scanPage) Wait() string { return "/sandbox/wait/" + p.Scan.Key }

// serveQRConnect answers /connect/qrconnect: a code on a screen, for the
// phone.
func (s *Sandbox) serveQRConnect(w http.ResponseWriter, r *http.Request) {
	a, err := s.parseAuthorization(r.URL.RawQuery, true)
	if err != nil {
		s.renderAuthorizeError(w, r, err)
		return
	}
	waiting := scan{ID: s.randomHex(16), Key: s.randomHex(16), Ask: *a}
	s.scans.add(waiting)
	s.pages.RenderWith(w, r, http.StatusOK, "qrconnect.html", scanPage{
		Assets: assetsPath, Scan: waiting, Query: r.URL.RawQuery, Phone: scanAddress(r, waiting.ID),
		Users: testUsers, User: currentUser(r).ID,
	}, anySite)
}

// scanAddress is what the picture says.
func scanAddress(r *http.Request, id string) string {
	return originOf(r) + "/sandbox/scan/" + url.PathEscape(id)
}

// serveScanPicture answers GET /sandbox/scan/{id}/qr.svg.
func (s *Sandbox) serveScanPicture(w http.ResponseWriter, r *http.Request) {
	found, ok := s.scans.byID(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	picture, err := pages.QRSVG(scanAddress(r, found.ID))
	if err != nil {
		s.fail(w, "picture", err)
		return
	}
	w.Header().Set("Content-Type", "image/svg+xml")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(picture) // a browser that left is not our error
}

// serveScan answers GET /sandbox/scan/{id}, which the phone opens.
func (s *Sandbox) serveScan(w http.ResponseWriter, r *http.Request) {
	found, ok := s.scans.byID(r.PathValue("id"))
	if !ok || !found.Open() {
		s.renderScanOver(w, r)
		return
	}
	s.scans.advance(found.ID, scanScanned, "")
	s.pages.Render(w, r, http.StatusOK, "scan.html", scanPage{
		Assets: assetsPath, Scan: found, Users: testUsers, User: currentUser(r).ID,
	})
}

// renderScanOver tells the phone that there is nothing to decide.
func (s *Sandbox) renderScanOver(w http.ResponseWriter, r *http.Request) {
	s.renderMessage(w, r, http.StatusNotFound, "二维码已过期或已使用 (the code is too old, or was used)")
}

// scanDecision is the body of POST /sandbox/scan/{id}.
type scanDecision struct {
	Decision string `json:"decision"` // allow or refuse
	User     string `json:"user"`     // default: who holds the phone
}

// scanResult is the answer to it and to the screen's question.
type scanResult struct {
	State scanState `json:"state"`
}

// scanDecisionOf reads a decision from the phone's form.
func scanDecisionOf(values url.Values) (scanDecision, error) {
	return scanDecision{Decision: values.Get("decision"), User: values.Get("user")}, nil
}

// serveScanDecision answers POST /sandbox/scan/{id}: the phone's decision.
func (s *Sandbox) serveScanDecision(w http.ResponseWriter, r *http.Request) {
	request, form, err := readPanel(w, r, scanDecisionOf)
	if err != nil {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: err.Error()})
		return
	}
	who := currentUser(r)
	known := true
	if request.User != "" {
		who, known = userByID(request.User)
	}
	if !known || request.Decision != "allow" && request.Decision != "refuse" {
		writeJSON(w, http.StatusBadRequest, errorBody{Code: "PARAM_ERROR", Message: "decision must be allow or refuse, user one of the sandbox's"})
		return
	}
	state, decided := s.decideScan(r.PathValue("id"), request.Decision == "allow", who)
	switch {
	case !decided && form:
		s.renderScanOver(w, r)
	case !decided:
		writeJSON(w, http.StatusNotFound, errorBody{Code: "RESOURCE_NOT_EXISTS", Message: "the code is too old, or was used"})
	case form:
		setCurrentUser(w, r, who)
		text := "已确认，请看电脑屏幕 (confirmed; look at the other screen)"
		if state == scanRefused {
			text = "已拒绝 (refused)"
		}
		s.renderMessage(w, r, http.StatusOK, text)
	default:
		writeJSON(w, http.StatusOK, scanResult{state})
	}
}

// decideScan ends a scan, once.
func (s *Sandbox) decideScan(id string, allow bool, who user) (scanState, bool) {
	if !allow {
		return scanRefused, s.scans.advance(id, scanRefused, "")
	}
	found, ok := s.scans.byID(id)
	if !ok {
		return "", false
	}
	// The code exists before the screen can learn of it; one that came too
	// late is told to nobody.
	code := s.newCode(&found.Ask, who)
	return scanAllowed, s.scans.advance(id, scanAllowed, code)
}

// serveWait answers GET /sandbox/wait/{key}: how far the phone is.
func (s *Sandbox) serveWait(w http.ResponseWriter, r *http.Request) {
	found, ok := s.scans.byKey(r.PathValue("key"))
	if !ok {
		found.State = scanExpired
	}
	writeJSON(w, http.StatusOK, scanResult{found.State})
}

// serveWaitOver answers GET /sandbox/wait/{key}/go: the screen goes back to
// who asked, with a code, or after a refusal without.
func (s *Sandbox) serveWaitOver(w http.ResponseWriter, r *http.Request) {
	found, ok := s.scans.byKey(r.PathValue("key"))
	switch {
	case ok && found.State == scanAllowed, ok && found.State == scanRefused:
		redirect(w, r, &found.Ask, found.Code)
	default:
		s.renderScanOver(w, r)
	}
}
