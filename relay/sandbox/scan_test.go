package sandbox

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// websiteQuery is the query of a code to scan.
func websiteQuery(state string) string {
	return strings.Replace(authorizeQuery(scopeLogin, state), DefaultAppID, DefaultWebsiteAppID, 1)
}

var (
	waitForm  = regexp.MustCompile(`data-wait="(/sandbox/wait/[0-9a-f]{32})"`)
	phoneForm = regexp.MustCompile(`data-phone href="http://example\.com(/sandbox/scan/[0-9a-f]{32})"`)
)

// openScreen opens a page to scan and returns where the screen waits and
// what the picture says.
func openScreen(t *testing.T, s *Sandbox) (wait, phone string) {
	t.Helper()
	w := get(s, "/connect/qrconnect?"+websiteQuery("S1"))
	mustStatus(t, w, http.StatusOK)
	waits, phones := waitForm.FindStringSubmatch(w.Body.String()), phoneForm.FindStringSubmatch(w.Body.String())
	if waits == nil || phones == nil {
		t.Fatalf("the page has no code to scan: %s", w.Body)
	}
	return waits[1], phones[1]
}

// stateAt asks as the screen does.
func stateAt(t *testing.T, s *Sandbox, wait string) scanState {
	t.Helper()
	w := get(s, wait)
	mustStatus(t, w, http.StatusOK)
	var result scanResult
	if err := json.Unmarshal(w.Body.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	return result.State
}

func TestPhoneAllowsWhatTheScreenShows(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	wait, phone := openScreen(t, s)
	picture := get(s, phone+"/qr.svg")
	mustStatus(t, picture, http.StatusOK)
	if picture.Header().Get("Content-Type") != "image/svg+xml" || !strings.Contains(picture.Body.String(), "<svg") {
		t.Errorf("picture = %s", picture.Body)
	}
	if live := get(s, "/sandbox/live").Body.String(); !strings.Contains(live, `data-scan href="`+phone+`"`) {
		t.Error("the phone's own page does not list the code")
	}
	if got := stateAt(t, s, wait); got != scanWaiting {
		t.Errorf("before the phone = %s", got)
	}
	if w := get(s, wait+"/go"); w.Header().Get("Location") != "" {
		t.Errorf("before the phone the screen is sent to %s", w.Header().Get("Location"))
	}
	page := get(s, phone)
	mustStatus(t, page, http.StatusOK)
	if !strings.Contains(page.Body.String(), DefaultWebsiteAppID) || !strings.Contains(page.Body.String(), "127.0.0.1") {
		t.Errorf("the phone does not show who asks: %s", page.Body)
	}
	if got := stateAt(t, s, wait); got != scanScanned {
		t.Errorf("once scanned = %s", got)
	}
	mustStatus(t, post(t, s, phone, `{"decision":"allow","user":"hong"}`), http.StatusOK)
	if got := stateAt(t, s, wait); got != scanAllowed {
		t.Errorf("once allowed = %s", got)
	}
	query := locationOf(t, get(s, wait+"/go")).Query()
	g, wrong := s.login.useCode(DefaultWebsiteAppID, query.Get("code"))
	if wrong != nil || g.UserID != "hong" || g.Scope != scopeLogin || query.Get("state") != "S1" {
		t.Errorf("grant = %+v, %v, query %v", g, wrong, query)
	}
	mustStatus(t, get(s, phone), http.StatusNotFound)
	mustStatus(t, post(t, s, phone, `{"decision":"allow"}`), http.StatusNotFound)
}

func TestPhoneRefusesWhatTheScreenShows(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	wait, phone := openScreen(t, s)
	r := httptest.NewRequest(http.MethodPost, phone, strings.NewReader("decision=refuse&user=ada"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	mustStatus(t, w, http.StatusOK)
	query := locationOf(t, get(s, wait+"/go")).Query()
	if query.Has("code") || query.Get("state") != "S1" {
		t.Errorf("query = %v, want the state alone", query)
	}
}

// The picture is for everybody to see: what it says must not lead to the
// code of who scans it.
func TestPictureDoesNotTellTheCode(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	_, phone := openScreen(t, s)
	mustStatus(t, post(t, s, phone, `{"decision":"allow"}`), http.StatusOK)
	key := strings.Replace(phone, "/scan/", "/wait/", 1)
	if got := stateAt(t, s, key); got != scanExpired {
		t.Errorf("the address in the picture tells the state %s", got)
	}
	mustStatus(t, get(s, key+"/go"), http.StatusNotFound)
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now})
	wait, phone := openScreen(t, s)
	for name, body := range map[string]string{
		"no decision": `{}`, "other decision": `{"decision":"maybe"}`, "nobody": `{"decision":"allow","user":"nobody"}`, "not JSON": `{`,
	} {
		if w := post(t, s, phone, body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status = %d, want 400", name, w.Code)
		}
	}
	r := httptest.NewRequest(http.MethodPost, phone, strings.NewReader(`{"decision":"allow"}`))
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	mustStatus(t, w, http.StatusForbidden)
	mustStatus(t, get(s, "/sandbox/scan/unknown"), http.StatusNotFound)
	mustStatus(t, get(s, "/sandbox/scan/unknown/qr.svg"), http.StatusNotFound)
	c.set(testNow.Add(scanLife))
	if got := stateAt(t, s, wait); got != scanExpired {
		t.Errorf("after five minutes = %s", got)
	}
	mustStatus(t, post(t, s, phone, `{"decision":"allow"}`), http.StatusNotFound)
	mustStatus(t, get(s, wait+"/go"), http.StatusNotFound)
	if len(s.scans.open()) != 0 {
		t.Error("an expired code is listed")
	}
}

func TestScansAreBoundedAndDecidedOnce(t *testing.T) {
	t.Parallel()
	l := &scans{now: func() time.Time { return testNow }}
	for i := range maxScans + 5 {
		l.add(scan{ID: time.Duration(i).String()})
	}
	if len(l.list) != maxScans {
		t.Errorf("%d scans are kept, want %d", len(l.list), maxScans)
	}
	var group sync.WaitGroup
	var mu sync.Mutex
	winners := 0
	for range 20 {
		group.Go(func() {
			if l.advance(time.Duration(maxScans).String(), scanAllowed, "c") {
				mu.Lock()
				defer mu.Unlock()
				winners++
			}
		})
	}
	group.Wait()
	if winners != 1 {
		t.Errorf("%d decisions were taken, want 1", winners)
	}
}

// WeChat's parameter for tests plays a snapshot user without a fault.
func TestForcedSnapshot(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for value, want := range map[string]int{"true": 1, "false": 0} {
		w := consent(t, s, authorizeQuery(scopeUserInfo, "s")+"&forceSnapShot="+value, false, "allow", "ming")
		if got := wx(t, s, tokenTarget(locationOf(t, w).Query().Get("code"))); got.IsSnapshotUser != want {
			t.Errorf("forceSnapShot=%s: %+v", value, got)
		}
	}
}
