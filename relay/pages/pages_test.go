package pages

import (
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func newPages(t *testing.T) *Pages {
	t.Helper()
	p, err := New(Options{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

func request(t *testing.T, method, language string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://pay.example.com/checkout/token", nil)
	r.Header.Set("Accept-Language", language)
	return r
}

// draw renders a cashier page and gives back the answer.
func draw(t *testing.T, v Checkout, language string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := newPages(t).WriteCheckout(w, request(t, http.MethodGet, language), http.StatusOK, v); err != nil {
		t.Fatalf("WriteCheckout(%s): %v", v.State, err)
	}
	return w
}

// parse reads a page as a browser would.
func parse(t *testing.T, w *httptest.ResponseRecorder) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(w.Body.String()))
	if err != nil {
		t.Fatalf("parsing the page: %v", err)
	}
	return doc
}

// elements lists the elements of a page in document order.
func elements(doc *html.Node) []*html.Node {
	var found []*html.Node
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode {
			found = append(found, n)
		}
	}
	return found
}

func attribute(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func byID(doc *html.Node, id string) *html.Node {
	for _, n := range elements(doc) {
		if got, _ := attribute(n, "id"); got == id {
			return n
		}
	}
	return nil
}

// shownText is the text that a visitor sees or hears: no scripts, nothing
// hidden, and noscript taken as it is without scripts.
func shownText(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	if n.Type == html.ElementNode {
		if _, hidden := attribute(n, "hidden"); hidden || slices.Contains([]string{"script", "style", "head"}, n.Data) {
			return ""
		}
	}
	var b strings.Builder
	for c := range n.ChildNodes() {
		b.WriteString(shownText(c) + " ")
	}
	return b.String()
}

// shape is the structure of a page: the elements and the names of their
// attributes, with nothing of what stands in them.
func shape(doc *html.Node) string {
	var b strings.Builder
	for _, n := range elements(doc) {
		b.WriteString(n.Data)
		for _, a := range n.Attr {
			b.WriteString(" " + a.Key)
		}
		b.WriteString("\n")
	}
	return b.String()
}

var testTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// ordinary is a view of each state as the relay would make it.
func ordinary(state State) Checkout {
	return Checkout{
		State: state, Shop: "山前书店", Description: "《山海经校注》精装本 × 1", AmountFen: 12880, OrderNo: "A000001024",
		Now: testTime, ExpiresAt: testTime.Add(29 * time.Minute),
		StatusURL: "/checkout/token/status",
		QRText:    "weixin://wxpay/bizpayurl?pr=p4lpSuKzz",
		JSAPI: &JSAPI{
			AppID: "wx8888888888888888", TimeStamp: "1795296000", NonceStr: "5K8264ILTKCH16CQ",
			Package: "prepay_id=wx2216", SignType: "RSA", PaySign: "c2lnbmF0dXJl+/=",
		},
		H5URL:     "https://wx.tenpay.example/checkmweb?prepay_id=wx1&package=2",
		H5Until:   testTime.Add(4 * time.Minute),
		PageURL:   "https://pay.example.com/checkout/token",
		ReturnURL: "https://books.example.com/done?order_no=A000001024&status=paid&sig=abc",
		RequestID: "req_2KWPBgLlAfxdpx2AI54pPJ85f4W",
	}
}

var allStates = []State{
	StateWaitingNative, StateWaitingJSAPI, StateWaitingH5, StateReturned, StateCancelled, StatePaid, StateRefunded,
	StateExpired, StateClosed, StateWrongPlace, StateUnavailable, StateNotFound, StateRefused,
}

var allKinds = []MessageKind{
	MessageOrderNotFound, MessageLinkRefused, MessageBadRequest, MessageLoginRefused, MessageLoginExpired,
	MessageLoginCancelled, MessageLoginFailed, MessageSnapshot, MessageOpenInWeChat, MessageTooMany, MessageUnavailable, MessageNotAllowed,
}

var contentHash = regexp.MustCompile(`\.[0-9a-f]{16}\.`)

// golden compares a page with the file of that name. The hash of static files
// is left out: it changes with every touch of the style sheet.
func golden(t *testing.T, name, page string) {
	t.Helper()
	page = contentHash.ReplaceAllString(page, ".HASH.")
	file := filepath.Join("testdata", "golden", name+".html")
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (run with -update to write it)", err)
	}
	if page != string(want) {
		t.Errorf("%s differs from its golden file; look at the change and run with -update\ngot:\n%s", name, page)
	}
}

func TestNewRefusesOddPrefixes(t *testing.T) {
	t.Parallel()
	for _, prefix := range []string{"checkout/-/", "/checkout/-", "https://cdn.example/x/", "//cdn.example/", "/a?b/", "/a#b/", "/%zz/"} {
		if _, err := New(Options{StaticPrefix: prefix}); err == nil {
			t.Errorf("New accepted the static prefix %q", prefix)
		}
	}
	p, err := New(Options{StaticPrefix: "/relay/checkout/-/"})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	if got := p.StaticURL("checkout.css"); !strings.HasPrefix(got, "/relay/checkout/-/checkout.") {
		t.Errorf("StaticURL = %q, want it below the prefix", got)
	}
}

func TestHiddenAgreesWithItsList(t *testing.T) {
	t.Parallel()
	if hidden(StatePaid, "waiting_native paid") || !hidden(StatePaid, "waiting_native unpaid") || !hidden(StatePaid, "") {
		t.Error("hidden does not match whole names")
	}
}

// A page that is hidden in its own state, or a state that the script knows
// and the catalogue does not, would show nothing.
func TestEveryNameOfAStateIsAState(t *testing.T) {
	t.Parallel()
	known := append(slices.Clone(allStates), stateConfirming, stateFailed, stateChecking)
	for _, state := range allStates[:11] {
		for _, n := range elements(parse(t, draw(t, ordinary(state), "zh"))) {
			list, ok := attribute(n, "data-show")
			if !ok {
				continue
			}
			for name := range strings.FieldsSeq(list) {
				if !slices.Contains(known, State(name)) {
					t.Errorf("state %s: <%s data-show> names %q, which is no state", state, n.Data, name)
				}
			}
			if _, gone := attribute(n, "hidden"); !gone && hidden(state, list) {
				t.Errorf("state %s: <%s data-show=%q> is shown", state, n.Data, list)
			}
		}
	}
}

func TestWebAddress_I02(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://books.example.com/done?a=1&b=2": "https://books.example.com/done?a=1&b=2",
		"http://127.0.0.1:8080/shop":             "http://127.0.0.1:8080/shop",
		"":                                       "",
		"javascript:alert(1)":                    "",
		"JaVaScRiPt:alert(1)":                    "",
		" https://books.example.com":             "",
		"\tjavascript:alert(1)":                  "",
		"java\nscript:alert(1)":                  "",
		"data:text/html,x":                       "",
		"vbscript:x":                             "",
		"//evil.example/":                        "",
		"/relative":                              "",
		"https:evil.example":                     "",
		"https:///evil.example":                  "",
		"https://good.example@evil.example/":     "",
		"weixin://wxpay/bizpayurl":               "",
	} {
		if got := webAddress(address); got != want {
			t.Errorf("webAddress(%q) = %q, want %q", address, got, want)
		}
	}
}

// config reads the block of data that the script gets.
func config(t *testing.T, doc *html.Node) (c scriptConfig, raw string) {
	t.Helper()
	n := byID(doc, "checkout")
	if n == nil || n.Data != "script" {
		t.Fatal("the page has no block of data")
	}
	if kind, _ := attribute(n, "type"); kind != "application/json" {
		t.Fatalf("block of data has type %q", kind)
	}
	raw = n.FirstChild.Data
	d := json.NewDecoder(strings.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		t.Fatalf("block of data %s: %v", raw, err)
	}
	return c, raw
}
