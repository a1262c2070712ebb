package pages

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/wxrelay/wxrelay/internal/language"
)

var hostileTexts = []string{
	`<img src=x onerror=alert(1)>`,
	`"></script><script>alert(1)</script>`,
	`'><svg onload=alert(1)>`,
	`{{.Secret}} {{template "head"}}`,
	"</script\n><script>alert(1)</script>",
	`<!--<script>`,
	`-->`, `]]>`,
	`</title><script>alert(1)</script>`,
	`&lt;script&gt;`,
	"\x1b[31mred\x00\x07",
	"\u2028alert(1)\u2029//",
	"\u202emoc.live",
	`javascript:alert(1)`,
	"` ${alert(1)}",
	"\xff\xfe<b>",
}

var hostileAddresses = []string{
	"javascript:alert(1)", "JAVASCRIPT:alert(1)", "java\tscript:alert(1)", " javascript:alert(1)", "\x01javascript:alert(1)",
	"data:text/html,<script>alert(1)</script>", "vbscript:msgbox", "//evil.example/", "https:evil.example",
	"https://good.example@evil.example/", "ftp://evil.example/", `https://evil.example/"><script>`[:6], "file:///etc/passwd",
}

func TestCheckoutGolden(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		for _, lang := range []language.Language{language.Chinese, language.English} {
			t.Run(string(state)+"."+lang.Tag(), func(t *testing.T) {
				t.Parallel()
				golden(t, string(state)+"."+lang.Tag(), draw(t, ordinary(state), lang.Tag()).Body.String())
			})
		}
	}
}

func TestCheckoutSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for lang, w := range catalogue {
		for _, state := range allStates[:11] {
			answer := draw(t, ordinary(state), lang.Tag())
			doc := parse(t, answer)
			text := shownText(doc)
			for _, want := range []string{"山前书店", "《山海经校注》精装本 × 1", "128.80", "A000001024", w.States[state].Title, w.States[state].Lead} {
				if !strings.Contains(text, want) {
					t.Errorf("%s %s: no %q in %q", state, lang.Tag(), want, text)
				}
			}
			if got, _ := attribute(elements(doc)[0], "lang"); got != lang.Tag() || answer.Header().Get("Content-Language") != lang.Tag() {
				t.Errorf("%s: lang = %q, Content-Language = %q, want %q", state, got, answer.Header().Get("Content-Language"), lang.Tag())
			}
			if got := answer.Header().Get("Vary"); got != "Accept-Language" {
				t.Errorf("%s: Vary = %q", state, got)
			}
		}
	}
}

// A page that says less than it knows is safe, one that says "paid" of an
// unpaid order is not.
func TestOnlyPaidPagesSayPaid(t *testing.T) {
	t.Parallel()
	for lang, w := range catalogue {
		for _, state := range allStates {
			body := draw(t, ordinary(state), lang.Tag()).Body.String()
			if says := strings.Contains(body, w.States[StatePaid].Title); says != (state == StatePaid) {
				t.Errorf("%s %s: says that it is paid: %v", state, lang.Tag(), says)
			}
		}
	}
}

func TestHostileTextIsText_I01(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		want := shape(parse(t, draw(t, ordinary(state), "en")))
		for _, hostile := range hostileTexts {
			v := ordinary(state)
			v.Shop, v.Description, v.OrderNo, v.RequestID, v.StatusURL = hostile, hostile, hostile, hostile, hostile
			v.QRText = hostile
			v.JSAPI = &JSAPI{AppID: hostile, TimeStamp: hostile, NonceStr: hostile, Package: hostile, SignType: hostile, PaySign: hostile}
			answer := draw(t, v, "en")
			doc := parse(t, answer)
			if got := withoutModules(shape(doc)); got != withoutModules(want) {
				t.Errorf("%s: %q changes the page:\n%s", state, hostile, got)
			}
			if bytes.ContainsAny(answer.Body.Bytes(), "\x1b\x00\x07") {
				t.Errorf("%s: %q reaches the page with its control characters", state, hostile)
			}
			if byID(doc, "checkout") == nil {
				continue
			}
			c, raw := config(t, doc)
			if strings.ContainsAny(raw, "<>&\u2028\u2029") {
				t.Errorf("%s: %q stands unescaped in the block of data: %s", state, hostile, raw)
			}
			if c.JSAPI == nil {
				continue
			}
			if want := strings.ToValidUTF8(hostile, "\ufffd"); c.JSAPI.PaySign != want && strings.ReplaceAll(c.JSAPI.PaySign, "\ufffd", "") != strings.ReplaceAll(want, "\ufffd", "") {
				t.Errorf("%s: %q reaches the script as %q", state, hostile, c.JSAPI.PaySign)
			}
		}
	}
}

// withoutModules takes the code out of a shape; its path differs by content
// only, so nothing is lost but the comparison stays about the page.
func withoutModules(shape string) string { return strings.ReplaceAll(shape, "path fill d\n", "") }

func TestOnlyWebAddressesBecomeLinks_I02(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		for _, address := range hostileAddresses {
			v := ordinary(state)
			v.ReturnURL, v.PageURL, v.SandboxURL, v.Test = address, address, address, true
			if state != StateWaitingH5 && state != StateReturned {
				v.H5URL = address
			}
			doc := parse(t, draw(t, v, "en"))
			for _, n := range elements(doc) {
				if href, ok := attribute(n, "href"); ok && !ownAddress(href) {
					t.Errorf("%s: address %q became <%s href=%q>", state, address, n.Data, href)
				}
				if value, _ := attribute(n, "value"); strings.Contains(value, address) && n.Data == "input" {
					t.Errorf("%s: address %q is offered for copying", state, address)
				}
			}
			if byID(doc, "checkout") == nil {
				continue
			}
			if c, _ := config(t, doc); c.ReturnURL != "" {
				t.Errorf("%s: address %q reaches the script", state, address)
			}
		}
	}
}

// ownAddress reports whether a link of an ordinary page is ours.
func ownAddress(href string) bool {
	return href == "" || strings.HasPrefix(href, "#glyph-") || strings.HasPrefix(href, DefaultStaticPrefix) ||
		href == ordinary(StateWaitingH5).H5URL
}

// The page refreshes itself where no script runs; the address of that is the
// page's own and never foreign.
func TestRefreshHasNoAddress_I02(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		body := draw(t, ordinary(state), "en").Body.String()
		refreshes := strings.Count(body, "http-equiv")
		if strings.Contains(strings.ToLower(body), "url=") {
			t.Errorf("%s: a refresh with an address", state)
		}
		if want := map[bool]int{true: 1}[state.watched()]; refreshes != want {
			t.Errorf("%s: %d refreshes, want %d", state, refreshes, want)
		}
		if refreshes == 1 && !strings.Contains(body, `<noscript><meta http-equiv="refresh" content="8"></noscript>`) {
			t.Errorf("%s: the refresh does not stand in noscript", state)
		}
	}
}

// The code cannot be lifted into another page without payee and amount: it is
// no image with an address, and stands among them (I11).
func TestCodeStandsInline_I11(t *testing.T) {
	t.Parallel()
	doc := parse(t, draw(t, ordinary(StateWaitingNative), "en"))
	svg, err := QRSVG(ordinary(StateWaitingNative).QRText)
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	for _, n := range elements(doc) {
		if n.Data == "img" {
			t.Error("the page holds an image")
		}
		if class, _ := attribute(n, "class"); class != "qr" {
			continue
		}
		codes++
		var b strings.Builder
		if err := html.Render(&b, n.FirstChild); err != nil {
			t.Fatal(err)
		}
		if got := strings.ReplaceAll(b.String(), "></path>", "/>"); got != string(svg) {
			t.Errorf("code on the page is %.200s, want %.200s", got, svg)
		}
		if label, _ := attribute(n, "aria-label"); label != englishWords.QRLabel {
			t.Errorf("the code is called %q", label)
		}
	}
	if codes != 1 {
		t.Errorf("%d codes on the page, want 1", codes)
	}
	for _, state := range allStates {
		if has := strings.Contains(draw(t, ordinary(state), "en").Body.String(), `class="qr"`); has != (state == StateWaitingNative || state == StateWrongPlace) {
			t.Errorf("%s: code on the page: %v", state, has)
		}
	}
}

func TestConfigTellsTheScriptNoMore(t *testing.T) {
	t.Parallel()
	v := ordinary(StateWaitingJSAPI)
	c, raw := config(t, parse(t, draw(t, v, "en")))
	if c.State != v.State || c.StatusURL != v.StatusURL || c.ReturnURL != "" || *c.JSAPI != *v.JSAPI {
		t.Errorf("the script is told %s", raw)
	}
	if want := (29 * time.Minute).Milliseconds(); c.RemainingMS != want {
		t.Errorf("time left is %d ms, want %d", c.RemainingMS, want)
	}
	for _, state := range []State{StatePaid, StateRefunded, StateExpired, StateClosed, StateUnavailable} {
		if c, raw := config(t, parse(t, draw(t, ordinary(state), "en"))); c.StatusURL != "" || c.RemainingMS != 0 || c.JSAPI != nil || c.ReturnURL != v.ReturnURL {
			t.Errorf("%s: a page that waits for nothing is told %s", state, raw)
		}
	}
}

// The countdown is a difference of two times of the server.
func TestTimeLeft(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		expire time.Time
		wantMS int64
		shown  string
	}{
		{"half an hour", testTime.Add(30 * time.Minute), 1_800_000, "2026-11-22 14:30 Beijing time"},
		{"into the next day", testTime.Add(11 * time.Hour), 39_600_000, "2026-11-23 01:00 Beijing time"},
		{"over already", testTime.Add(-time.Minute), 1, "2026-11-22 13:59 Beijing time"},
		{"no end", time.Time{}, 0, ""},
	} {
		v := ordinary(StateWaitingNative)
		v.ExpiresAt = tc.expire
		doc := parse(t, draw(t, v, "en"))
		if c, _ := config(t, doc); c.RemainingMS != tc.wantMS {
			t.Errorf("%s: %d ms left, want %d", tc.name, c.RemainingMS, tc.wantMS)
		}
		place := byID(doc, "time")
		if (place == nil) != (tc.shown == "") {
			t.Errorf("%s: shown = %v", tc.name, place != nil)
		} else if place != nil && strings.TrimSpace(shownText(place)) != tc.shown {
			t.Errorf("%s: shows %q, want %q", tc.name, shownText(place), tc.shown)
		}
	}
}

func TestReturnIsOfferedWhenItIsOver(t *testing.T) {
	t.Parallel()
	for _, state := range allStates[:11] {
		n := byID(parse(t, draw(t, ordinary(state), "en")), "return")
		href, _ := attribute(n, "href")
		_, gone := attribute(n, "hidden")
		over := slices.Contains([]State{StatePaid, StateRefunded, StateExpired, StateClosed}, state)
		if gone == over || (over && href != ordinary(state).ReturnURL) {
			t.Errorf("%s: link to %q, hidden %v", state, href, gone)
		}
		v := ordinary(state)
		v.ReturnURL = ""
		n = byID(parse(t, draw(t, v, "en")), "return")
		if _, gone := attribute(n, "hidden"); !gone {
			t.Errorf("%s: a link to nowhere is shown", state)
		}
	}
}

// A signed way back that says "paid" must not be had before paying: whoever
// read it from the page could walk back to the shop with it.
func TestNoWayBackBeforeItIsOver_D12(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		body := draw(t, ordinary(state), "en").Body.String()
		if state.watched() && strings.Contains(body, "books.example.com") {
			t.Errorf("%s: the page holds the return address", state)
		}
	}
}

// WeChat checks the referring origin of an H5 payment; nothing else may leave
// the page (E13), so the link asks for the origin alone.
func TestOnlyTheH5LinkHasAReferrer_E13(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		for _, n := range elements(parse(t, draw(t, ordinary(state), "en"))) {
			policy, ok := attribute(n, "referrerpolicy")
			href, _ := attribute(n, "href")
			if ok != (href == ordinary(state).H5URL) || (ok && policy != "origin") {
				t.Errorf("%s: <%s href=%q referrerpolicy=%q>", state, n.Data, href, policy)
			}
		}
	}
}

func TestSandboxCannotBeMistaken(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		for _, lang := range []string{"zh", "en"} {
			v := ordinary(state)
			if text := shownText(parse(t, draw(t, v, lang))); strings.Contains(text, "SANDBOX") {
				t.Errorf("%s: a real page says sandbox", state)
			}
			v.Test, v.SandboxURL = true, "http://localhost:9000/sandbox"
			answer := draw(t, v, lang)
			text := shownText(parse(t, answer))
			for _, want := range []string{"沙箱 SANDBOX", "no real money"} {
				if !strings.Contains(text, want) {
					t.Errorf("%s %s: the sandbox does not say %q: %q", state, lang, want, text)
				}
			}
			if !strings.Contains(answer.Body.String(), `href="http://localhost:9000/sandbox"`) {
				t.Errorf("%s: no link to the sandbox", state)
			}
		}
	}
}

func TestWrongPlaceSaysWhere(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		needs         Need
		says          string
		code, address bool // the page's address is shown as a code, and to be copied
	}{
		{"WeChat", NeedsWeChat, englishWords.States[StateWrongPlace].Title, true, true},
		{"another screen", NeedsOtherScreen, "another screen", false, true}, // no code to the very screen that cannot scan it
		{"browser", NeedsBrowser, "phone's browser", true, true},
		{"app", NeedsApp, "own app or its WeChat mini-program", false, false}, // no page can take the money
	} {
		v := ordinary(StateWrongPlace)
		v.Needs = tc.needs
		answer := draw(t, v, "en")
		doc := parse(t, answer)
		if text := shownText(doc); !strings.Contains(text, tc.says) {
			t.Errorf("%s: page says %q, want %q", tc.name, text, tc.says)
		}
		if code := strings.Contains(answer.Body.String(), `class="qr"`); code != tc.code {
			t.Errorf("%s: a code is shown: %t, want %t", tc.name, code, tc.code)
		}
		if address := byID(doc, "address") != nil; address != tc.address {
			t.Errorf("%s: the address is shown: %t, want %t", tc.name, address, tc.address)
		}
		if lang := draw(t, v, "zh").Body.String(); !strings.Contains(lang, "请") {
			t.Errorf("%s: nothing is said in Chinese", tc.name)
		}
	}
}

// WeChat's link runs out before the order does: the page is told when, and
// never loads itself in a circle.
func TestLinkRunsOut(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name  string
		state State
		until time.Time
		want  int64
	}{
		{"waiting", StateWaitingH5, testTime.Add(4 * time.Minute), 240_000},
		{"back", StateReturned, testTime.Add(time.Minute), 60_000},
		{"over already", StateWaitingH5, testTime.Add(-time.Minute), minFreshMS},
		{"not known", StateWaitingH5, time.Time{}, 0},
		{"a page without a link", StateWaitingNative, testTime.Add(time.Minute), 0},
	} {
		v := ordinary(tc.state)
		v.H5Until = tc.until
		if c, raw := config(t, parse(t, draw(t, v, "en"))); c.FreshMS != tc.want {
			t.Errorf("%s: the script is told %s, want fresh for %d ms", tc.name, raw, tc.want)
		}
	}
}

// A number for support is of use where something went wrong, and noise
// elsewhere.
func TestRequestIDStandsWhereItHelps(t *testing.T) {
	t.Parallel()
	for _, state := range allStates {
		shown := strings.Contains(draw(t, ordinary(state), "en").Body.String(), ordinary(state).RequestID)
		if want := state == StateUnavailable || state == StateNotFound || state == StateRefused; shown != want {
			t.Errorf("%s: request number shown = %v, want %v", state, shown, want)
		}
	}
}

// A reader of the screen hears each change, finds one heading, and each
// control has a name.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	for _, state := range allStates[:11] {
		doc := parse(t, draw(t, ordinary(state), "en"))
		count := make(map[string]int)
		for _, n := range elements(doc) {
			count[n.Data]++
			if (n.Data == "button" || n.Data == "a") && nameOf(n) == "" {
				t.Errorf("%s: <%s> without a name", state, n.Data)
			}
		}
		if count["h1"] != 1 || count["main"] != 1 {
			t.Errorf("%s: %d headings, %d mains, want one of each", state, count["h1"], count["main"])
		}
		if role, _ := attribute(byID(doc, "live"), "role"); role != "status" {
			t.Errorf("%s: no live region", state)
		}
		checkIDs(t, state, doc)
	}
}

// nameOf is the text in a control, shown or not.
func nameOf(n *html.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == html.TextNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// checkIDs fails on names that stand twice or point to nothing.
func checkIDs(t *testing.T, state State, doc *html.Node) {
	t.Helper()
	ids := make(map[string]int)
	for _, n := range elements(doc) {
		if id, ok := attribute(n, "id"); ok {
			ids[id]++
		}
	}
	for _, n := range elements(doc) {
		for _, key := range []string{"id", "for", "aria-labelledby"} {
			if id, ok := attribute(n, key); ok && ids[id] != 1 {
				t.Errorf("%s: %s=%q names %d elements", state, key, id, ids[id])
			}
		}
	}
}

func TestWriteCheckoutRefusesHalfAView(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		view Checkout
		want error
	}{
		{"no state", Checkout{}, ErrState},
		{"unknown state", Checkout{State: "half_paid"}, ErrState},
		{"state of the script only", Checkout{State: stateConfirming}, ErrState},
		{"native without code", Checkout{State: StateWaitingNative}, ErrMissing},
		{"native with a code that is too long", Checkout{State: StateWaitingNative, QRText: strings.Repeat("x", MaxQRText+1)}, ErrQRText},
		{"jsapi without values", Checkout{State: StateWaitingJSAPI}, ErrMissing},
		{"h5 without address", Checkout{State: StateWaitingH5}, ErrMissing},
		{"back without address", Checkout{State: StateReturned}, ErrMissing},
		{"h5 with a hostile address", Checkout{State: StateWaitingH5, H5URL: "javascript:alert(1)"}, ErrMissing},
	} {
		w := httptest.NewRecorder()
		err := newPages(t).WriteCheckout(w, request(t, http.MethodGet, "en"), http.StatusOK, tc.view)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
		if w.Body.Len() != 0 || len(w.Header()) != 0 {
			t.Errorf("%s: something was written", tc.name)
		}
	}
}

func TestHeadOfCheckout(t *testing.T) {
	t.Parallel()
	get := draw(t, ordinary(StateWaitingNative), "en")
	w := httptest.NewRecorder()
	if err := newPages(t).WriteCheckout(w, request(t, http.MethodHead, "en"), http.StatusGone, ordinary(StateWaitingNative)); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusGone || w.Body.Len() != 0 || w.Header().Get("Content-Length") != get.Header().Get("Content-Length") {
		t.Errorf("HEAD: status %d, %d bytes, length %q, want 410, none and %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"), get.Header().Get("Content-Length"))
	}
}

// brokenPipe is a visitor who went away.
type brokenPipe struct{ http.ResponseWriter }

var errGone = errors.New("gone")

func (brokenPipe) Write([]byte) (int, error) { return 0, errGone }

func TestWriteCheckoutTellsOfALostVisitor(t *testing.T) {
	t.Parallel()
	err := newPages(t).WriteCheckout(brokenPipe{httptest.NewRecorder()}, request(t, http.MethodGet, "en"), http.StatusOK, ordinary(StatePaid))
	if !errors.Is(err, errGone) {
		t.Errorf("got %v, want the error of the write", err)
	}
}

func FuzzCheckoutText(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s, "https://books.example.com/?a="+s)
	}
	p, err := New(Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text, address string) {
		v := ordinary(StatePaid)
		v.Shop, v.Description, v.OrderNo = "s"+text, "d"+text, "o"+text
		v.ReturnURL = address
		w := httptest.NewRecorder()
		if err := p.WriteCheckout(w, request(t, http.MethodGet, "en"), http.StatusOK, v); err != nil {
			t.Fatal(err)
		}
		doc := parse(t, w)
		for _, n := range elements(doc) {
			if n.Data == "img" || n.Data == "b" {
				t.Errorf("text %q became <%s>", text, n.Data)
			}
			if href, _ := attribute(n, "href"); strings.HasPrefix(strings.ToLower(strings.TrimSpace(href)), "javascript") {
				t.Errorf("address %q became %q", address, href)
			}
		}
		config(t, doc)
	})
}
