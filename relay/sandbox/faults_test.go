package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pendingOf decodes the list of faults to come.
func pendingOf(t *testing.T, w *httptest.ResponseRecorder) []fault {
	t.Helper()
	mustStatus(t, w, http.StatusOK)
	var state faultState
	if err := json.Unmarshal(w.Body.Bytes(), &state); err != nil {
		t.Fatalf("decoding %q: %v", w.Body, err)
	}
	return state.Pending
}

func TestFaultsAreArrangedAndCleared(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	got := pendingOf(t, post(t, s, "/sandbox/faults", `{"fault":"lost","times":2}`))
	if want := []fault{{Name: "lost", Times: 2}}; !slices.Equal(got, want) {
		t.Errorf("pending = %+v, want %+v", got, want)
	}
	got = pendingOf(t, post(t, s, "/sandbox/faults", `{"faults":[{"fault":"API 429","operation":"query"},{"fault":"notification_late","seconds":1.5}]}`))
	want := []fault{{Name: "lost", Times: 2}, {Name: "api_429", Times: 1, Operation: "query"}, {Name: "late", Times: 1, Seconds: 1.5}}
	if !slices.Equal(got, want) {
		t.Errorf("pending = %+v, want %+v", got, want)
	}
	if got = pendingOf(t, get(s, "/sandbox/faults")); !slices.Equal(got, want) {
		t.Errorf("GET = %+v, want %+v", got, want)
	}
	if got = pendingOf(t, post(t, s, "/sandbox/faults", `{"clear":true,"fault":"slow"}`)); !slices.Equal(got, []fault{{Name: "slow", Times: 1}}) {
		t.Errorf("after clear = %+v", got)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/sandbox/faults", nil))
	if got = pendingOf(t, w); len(got) != 0 {
		t.Errorf("after DELETE = %+v", got)
	}
}

func TestFaultsOfTheForm(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	r := httptest.NewRequest(http.MethodPost, "/sandbox/faults", strings.NewReader("fault=late&times=3&seconds=7"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	mustStatus(t, w, http.StatusSeeOther)
	if got := s.faults.pending(); !slices.Equal(got, []fault{{Name: "late", Times: 3, Seconds: 7}}) {
		t.Errorf("pending = %+v", got)
	}
}

func TestFaultsRefuse(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for name, body := range map[string]string{
		"nothing":             `{}`,
		"not JSON":            `{`,
		"unknown name":        `{"fault":"earthquake"}`,
		"unknown member":      `{"fault":"lost","colour":"red"}`,
		"negative times":      `{"fault":"lost","times":-1}`,
		"too many times":      `{"fault":"lost","times":1001}`,
		"negative seconds":    `{"fault":"late","seconds":-1}`,
		"negative amount":     `{"fault":"wrong_amount","amount":-1}`,
		"unknown operation":   `{"fault":"api_429","operation":"dance"}`,
		"operation of others": `{"fault":"lost","operation":"query"}`,
		"one good, one bad":   `{"faults":[{"fault":"lost"},{"fault":"x"}]}`,
		"too many":            `{"faults":[` + strings.Repeat(`{"fault":"lost"},`, maxFaults) + `{"fault":"lost"}]}`,
	} {
		if w := post(t, s, "/sandbox/faults", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: status = %d, want 400", name, w.Code)
		}
	}
	if got := s.faults.pending(); len(got) != 0 {
		t.Errorf("pending = %+v, want none", got)
	}
}

// Another site's page must not arrange anything.
func TestControlPanelRefusesOtherSites(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	for _, path := range []string{"/sandbox/faults", "/sandbox/pay", "/sandbox/user", "/sandbox/consent", "/sandbox/jsapi", "/sandbox/mini-login", "/sandbox/mini-data", "/sandbox/message"} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"fault":"lost"}`))
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden {
			t.Errorf("%s: status = %d, want 403", path, w.Code)
		}
	}
}

// sendCut sends a call and reports whether the connection was cut.
func sendCut(t *testing.T, s *Sandbox, c call) (w *httptest.ResponseRecorder, wasCut bool) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			if err, ok := r.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(r)
			}
			wasCut = true
		}
	}()
	return c.send(t, s), false
}

func TestAPIFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		status int // 0: the connection is cut
		effect bool
		code   string
	}{
		faultAPI429:            {429, false, "FREQUENCY_LIMITED"},
		faultAPI500Before:      {500, false, "SYSTEM_ERROR"},
		faultAPI500After:       {500, true, "SYSTEM_ERROR"},
		faultAPI502:            {502, false, ""},
		faultAPICutBefore:      {0, false, ""},
		faultAPICut:            {0, true, ""},
		faultAPIUnsigned:       {200, true, ""},
		faultAPIWrongSignature: {200, true, ""},
		faultAPIProbe:          {200, true, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t, Options{})
			mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"`+name+`","operation":"prepay"}`), http.StatusOK)
			mustStatus(t, certificateCall().send(t, s), http.StatusOK) // another operation is left alone

			w, wasCut := sendCut(t, s, native(prepayBody(t, nil)))
			if wasCut != (test.status == 0) {
				t.Fatalf("cut = %v", wasCut)
			}
			if !wasCut {
				mustStatus(t, w, test.status)
			}
			if test.code != "" && errorOf(t, w).Code != test.code {
				t.Errorf("body = %s, want %s", w.Body, test.code)
			}
			if test.status == 200 {
				if _, err := ring(t).Verify(t.Context(), w.Header(), w.Body.Bytes(), testNow); err == nil {
					t.Error("the answer verifies")
				}
			}
			want := http.StatusNotFound
			if test.effect {
				want = http.StatusOK
			}
			mustStatus(t, query("T00001").send(t, s), want)
			mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusOK) // counted down
		})
	}
}

func TestAPIFaultsWaitForAGoodSignature(t *testing.T) {
	t.Parallel()
	s := newSandbox(t, Options{})
	mustStatus(t, post(t, s, "/sandbox/faults", `{"fault":"api_429"}`), http.StatusOK)
	bad := native(prepayBody(t, nil))
	bad.at = testNow.Add(-time.Hour)
	mustStatus(t, bad.send(t, s), http.StatusUnauthorized)
	mustStatus(t, native(prepayBody(t, nil)).send(t, s), http.StatusTooManyRequests)
}

func TestSlowAndSilentAPI(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSandbox(t, Options{Now: time.Now})
		ask := func(fault string) (time.Duration, int, bool) {
			mustStatus(t, post(t, s, "/sandbox/faults", fault), http.StatusOK)
			c, start := certificateCall(), time.Now()
			c.at = start
			w, wasCut := sendCut(t, s, c)
			if wasCut {
				return time.Since(start), 0, true
			}
			return time.Since(start), w.Code, false
		}
		if took, status, _ := ask(`{"fault":"api_slow"}`); took != 3*time.Second || status != http.StatusOK {
			t.Errorf("api_slow: %d after %v, want 200 after 3s", status, took)
		}
		if took, _, wasCut := ask(`{"fault":"api_timeout","seconds":40}`); took != 40*time.Second || !wasCut {
			t.Errorf("api_timeout: cut %v after %v, want a cut after 40s", wasCut, took)
		}
	})
}

// Every fault that the page offers is one that can be arranged.
func TestEveryFaultIsOffered(t *testing.T) {
	t.Parallel()
	page := get(newSandbox(t, Options{}), "/sandbox").Body.String()
	for _, group := range []faultGroup{notifyFaults, apiFaults, oauthFaults, loginFaults} {
		for _, kind := range group {
			f := fault{Name: kind.Name}
			if err := f.check(); err != nil {
				t.Errorf("%s: %v", kind.Name, err)
			}
			if !strings.Contains(page, `value="`+kind.Name+`"`) {
				t.Errorf("%s is not on the page", kind.Name)
			}
		}
	}
}

// docs/sandbox.md is the list of what can go wrong with accounts.
func TestFaultsOfAccountsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "sandbox.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range slices.Concat(loginFaults, oauthFaults, miniFaults, cgiFaults, cgiGivingFaults, cgiShowingFaults) {
		if !strings.Contains(string(text), "`"+kind.Name+"`") {
			t.Errorf("docs/sandbox.md does not name %s", kind.Name)
		}
	}
}
