package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay"
)

const (
	h5URL        = "https://wx.tenpay.example/checkmweb?prepay_id=wx1&redirect_url=x"
	phoneAgent   = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1"
	weChatAgent  = phoneAgent + " MicroMessenger/8.0.60"
	desktopAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
	codeURL      = "weixin://wxpay/bizpayurl?pr=p4lpSuKzz"
)

func showing(page relay.CheckoutPage) *fakeService {
	return &fakeService{checkout: func(relay.CheckoutRequest) (relay.CheckoutResult, error) {
		return relay.CheckoutResult{Page: page}, nil
	}}
}

func openPage(state relay.CheckoutState) relay.CheckoutPage {
	now := time.Date(2026, 11, 22, 4, 0, 0, 0, time.UTC)
	return relay.CheckoutPage{
		State: state, OrderNo: "A000000001", Description: "Tea & <b>cake</b>", AmountFen: 123456,
		Now: now, ExpiresAt: now.Add(time.Hour), CheckoutURL: publicURL + "/checkout/" + token,
	}
}

func TestCheckoutStates(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*relay.CheckoutPage)
		state  relay.CheckoutState
		status int
		agent  string
		shown  string   // state of the page
		has    []string // in the page
		not    []string
	}{
		"code": {
			func(p *relay.CheckoutPage) { p.CodeURL = codeURL }, relay.CheckoutNative, 200, desktopAgent, "waiting_native",
			[]string{"<svg", "/checkout/" + token + "/status", "1,234.56", "Tea &amp; &lt;b&gt;cake"},
			[]string{codeURL, "readonly"},
		},
		"link on a phone": {
			func(p *relay.CheckoutPage) { p.H5URL, p.H5Until = h5URL, p.Now.Add(4*time.Minute) }, relay.CheckoutH5, 200, phoneAgent, "waiting_h5",
			[]string{`referrerpolicy="origin" href="https://wx.tenpay.example/checkmweb?prepay_id=wx1&amp;redirect_url=x"`, `"fresh_ms":240000`, "/checkout/" + token + "/status"},
			[]string{"<svg xmlns"},
		},
		"back on a phone": {
			func(p *relay.CheckoutPage) { p.H5URL = h5URL }, relay.CheckoutReturned, 200, phoneAgent, "returned",
			[]string{"Have you paid?", "I have paid", `referrerpolicy="origin"`},
			nil,
		},
		"in WeChat": {
			func(p *relay.CheckoutPage) {
				p.JSAPI = &relay.JSAPIInvocation{AppID: "wx8888888888888888", Package: "prepay_id=wx1", PaySign: "c2ln"}
			},
			relay.CheckoutJSAPI, 200, weChatAgent, "waiting_jsapi",
			[]string{`"appId":"wx8888888888888888"`, `"package":"prepay_id=wx1"`, `"paySign":"c2ln"`},
			nil,
		},
		"paid": {
			func(p *relay.CheckoutPage) { p.ReturnURL = "https://books.example.com/done?status=paid&sig=x" }, relay.CheckoutPaid, 200,
			desktopAgent, "paid",
			[]string{"https://books.example.com/done?status=paid&amp;sig=x"},
			[]string{"/status"},
		},
		"closed":  {nil, relay.CheckoutClosed, 200, desktopAgent, "closed", nil, nil},
		"expired": {nil, relay.CheckoutExpired, 200, desktopAgent, "expired", nil, nil},
		"trouble": {nil, relay.CheckoutTrouble, 503, desktopAgent, "unavailable", nil, nil},
		"only in WeChat": {
			func(p *relay.CheckoutPage) { p.Need = relay.NeedWeChat }, relay.CheckoutWrongPlace, 200, desktopAgent, "wrong_place",
			[]string{"<svg xmlns", publicURL + "/checkout/" + token},
			nil,
		},
		"not in WeChat": {
			func(p *relay.CheckoutPage) { p.Need = relay.NeedScreen }, relay.CheckoutWrongPlace, 200, weChatAgent, "wrong_place",
			[]string{publicURL + "/checkout/" + token},
			[]string{"<svg xmlns"},
		},
		"only in a browser": {
			func(p *relay.CheckoutPage) { p.Need = relay.NeedBrowser }, relay.CheckoutWrongPlace, 200, weChatAgent, "wrong_place",
			[]string{"Open in Browser", publicURL + "/checkout/" + token},
			nil,
		},
		"only in an app": {
			func(p *relay.CheckoutPage) { p.Need = relay.NeedApp }, relay.CheckoutWrongPlace, 200, phoneAgent, "wrong_place",
			[]string{"own app or its WeChat mini-program"},
			[]string{"<svg xmlns", "readonly"},
		},
		"sandbox": {func(p *relay.CheckoutPage) { p.Sandbox = true }, relay.CheckoutClosed, 200, desktopAgent, "closed", []string{"SANDBOX"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := openPage(c.state)
			if c.change != nil {
				c.change(&page)
			}
			w := newFace(t, showing(page)).do(t, http.MethodGet, "/checkout/"+token, "", "User-Agent", c.agent, "Accept-Language", "en")
			if w.Code != c.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
				t.Fatalf("got %d %s, want %d and a page: %s", w.Code, w.Header().Get("Content-Type"), c.status, w.Body)
			}
			if got := w.Header().Get("Retry-After") != ""; got != (c.status == 503) {
				t.Errorf("Retry-After given: %v", got)
			}
			checkTexts(t, w.Body.String(), append(c.has, `data-state="`+c.shown+`"`), c.not)
		})
	}
}

func checkTexts(t *testing.T, page string, has, not []string) {
	t.Helper()
	for _, want := range has {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, no := range not {
		if strings.Contains(page, no) {
			t.Errorf("the page holds %q", no)
		}
	}
}

// No two kinds of wrong place may be told alike.
func TestWrongPlaceNamesTheRightOne(t *testing.T) {
	t.Parallel()
	told := map[string]relay.CheckoutNeed{}
	for _, need := range []relay.CheckoutNeed{relay.NeedWeChat, relay.NeedScreen, relay.NeedBrowser, relay.NeedApp} {
		page := openPage(relay.CheckoutWrongPlace)
		page.Need = need
		said := heading(newFace(t, showing(page)).do(t, http.MethodGet, "/checkout/"+token, "", "User-Agent", desktopAgent).Body.String())
		if other, twice := told[said]; twice || said == "" {
			t.Errorf("%s and %s both say %q", need, other, said)
		}
		told[said] = need
	}
}

func heading(page string) string {
	_, rest, _ := strings.Cut(page, `<h1 id="heading" tabindex="-1">`)
	text, _, _ := strings.Cut(rest, "<")
	return text
}

// The address to copy carries the signed parameters that the page was opened
// with, unless somebody made them too long to draw.
func TestPageURL(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"":                             publicURL + "/checkout/" + token,
		"?amount=1&sig=x":              publicURL + "/checkout/" + token + "?amount=1&amp;sig=x",
		"?" + strings.Repeat("x", 4e3): publicURL + "/checkout/" + token,
	} {
		f := newFace(t, showing(openPage(relay.CheckoutWrongPlace)))
		w := f.do(t, http.MethodGet, "/checkout/"+token+query, "", "User-Agent", desktopAgent)
		if want := `value="` + want + `"`; w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.20q: status %d, want a page with %s", query, w.Code, want)
		}
	}
}

func TestCheckoutTellsRelayWhoAsks(t *testing.T) {
	t.Parallel()
	for agent, want := range map[string]relay.Surroundings{
		desktopAgent: relay.SurroundDesktop, phoneAgent: relay.SurroundPhone, weChatAgent: relay.SurroundWeChat,
	} {
		var got relay.CheckoutRequest
		f := newFace(t, &fakeService{checkout: func(req relay.CheckoutRequest) (relay.CheckoutResult, error) {
			got = req
			return relay.CheckoutResult{Page: openPage(relay.CheckoutClosed)}, nil
		}}, at("https://example.com/pay"), func(o *Options) { o.ClientIP = func(*http.Request) string { return "8.8.4.4" } })
		target := "/pay/checkout/" + token + "?order_no=A1&amount=1&sig=a_-%2B"
		f.do(t, http.MethodGet, target, "", "User-Agent", agent, "Cookie", "__Host-wxrelay="+browserID)
		if want := (relay.CheckoutRequest{Token: token, Target: target, Surroundings: want, ClientIP: "8.8.4.4", BrowserID: browserID}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestCheckoutSendsTheBrowserToWeChat(t *testing.T) {
	t.Parallel()
	const to = "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1&state=s#wechat_redirect"
	f := newFace(t, &fakeService{checkout: func(relay.CheckoutRequest) (relay.CheckoutResult, error) {
		return relay.CheckoutResult{Redirect: to, BrowserID: browserID}, nil
	}})
	w := f.do(t, http.MethodGet, "/checkout/"+token, "", "User-Agent", weChatAgent)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != to || w.Body.Len() > 0 {
		t.Errorf("got %d to %q with %d bytes, want 303 to %q", w.Code, w.Header().Get("Location"), w.Body.Len(), to)
	}
	if got := w.Header().Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-wxrelay="+browserID+";") {
		t.Errorf("Set-Cookie %q", got)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("the redirect may be kept or told: %v", w.Header())
	}
}

func TestNoCookieIsSetWithoutNeed(t *testing.T) {
	t.Parallel()
	w := newFace(t, showing(openPage(relay.CheckoutClosed))).do(t, http.MethodGet, "/checkout/"+token, "")
	if got := w.Header().Get("Set-Cookie"); got != "" {
		t.Errorf("Set-Cookie %q", got)
	}
}

func TestLocationIsOneCleanLine_D08(t *testing.T) {
	t.Parallel()
	for _, to := range []string{
		"https://x.example/\r\nSet-Cookie: a=b", "https://x.example/\n", "https://x.example/a b", "https://x.example/\x00",
		"https://x.example/\x7f", "https://x.example/é",
	} {
		f := newFace(t, &fakeService{login: func(relay.LoginCallback) (string, error) { return to, nil }})
		w := f.do(t, http.MethodGet, "/wechat/callback?code=c&state=s", "")
		if w.Code != http.StatusInternalServerError || w.Header().Get("Location") != "" {
			t.Errorf("%q: status %d to %q, want 500", to, w.Code, w.Header().Get("Location"))
		}
	}
}

// Pages have names of 128 random bits; anything else is not looked up
// (threats I09).
func TestOnlyTokensAreLookedUp_I09(t *testing.T) {
	t.Parallel()
	service := failing(errors.New("asked"))
	f := newFace(t, service)
	for _, name := range []string{
		"1", "A000000001", token[:21], token + "x", token[:21] + "%41", token[:21] + ".", token[:21] + "=", token[:21] + "é", strings.Repeat("x", 1000),
	} {
		for _, tail := range []string{"", "/status", "/qr.svg"} {
			w := f.do(t, http.MethodGet, "/checkout/"+name+tail, "", "Accept", "text/event-stream")
			if w.Code != http.StatusNotFound {
				t.Errorf("%q%s: status %d, want 404", name, tail, w.Code)
			}
		}
	}
	if got := service.callList(); got != "" {
		t.Errorf("relay was asked: %s", got)
	}
}

func TestCheckoutRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		state  string
		detail string
	}{
		"no such page":    {refusal(relay.KindNotFound, "no such page"), 404, "order_not_found", "no such page"},
		"wrong signature": {refusal(relay.KindSign, "the link's signature is wrong"), 403, "link_refused", "the link&#39;s signature is wrong"},
		"too old":         {refusal(relay.KindTimestamp, "too old"), 403, "link_refused", "too old"},
		"malformed":       {refusal(relay.KindParam, "sig missing"), 400, "link_refused", "sig missing"},
		"too many":        {refusal(relay.KindRate, "slow down"), 429, "too_many", "slow down"},
		"store in doubt":  {fmt.Errorf("at /var/lib: %w", relay.ErrUnavailable), 503, "unavailable", ""},
		"ours":            {errors.New("nil pointer at /var/lib"), 500, "unavailable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := failing(c.err)
			service.sandbox = true
			f := newFace(t, service, func(o *Options) { o.RequestID = func() string { return "req-77" } })
			w := f.do(t, http.MethodGet, "/checkout/"+token, "", "Accept-Language", "en")
			page := w.Body.String()
			if w.Code != c.status || !strings.Contains(page, `data-state="`+c.state+`"`) || !strings.Contains(page, c.detail) {
				t.Errorf("got %d, want %d, %s and %q:\n%s", w.Code, c.status, c.state, c.detail, page)
			}
			if strings.Contains(page, "/var/lib") {
				t.Error("the page tells the cause")
			}
			for _, want := range []string{"req-77", "SANDBOX"} {
				if !strings.Contains(page, want) {
					t.Errorf("the page lacks %s", want)
				}
			}
			if w.Header().Get("Content-Security-Policy") == "" || w.Header().Get("X-Frame-Options") != "DENY" {
				t.Error("the page is not guarded (threats I03, I04)")
			}
		})
	}
}

func TestPagesSpeakTheVisitorsLanguage(t *testing.T) {
	t.Parallel()
	f := newFace(t, failing(refusal(relay.KindNotFound, "no such page")))
	for accept, want := range map[string]string{"en-GB,en;q=0.9": `lang="en"`, "zh-CN": `lang="zh-CN"`, "": `lang="zh-CN"`} {
		if page := f.do(t, http.MethodGet, "/checkout/"+token, "", "Accept-Language", accept).Body.String(); !strings.Contains(page, want) {
			t.Errorf("%q: the page lacks %s", accept, want)
		}
	}
}

func TestCodeImage(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{code: func(got string) (string, error) {
		if got != token {
			t.Errorf("asked about %q", got)
		}
		return codeURL, nil
	}})
	w := f.do(t, http.MethodGet, "/checkout/"+token+"/qr.svg", "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "image/svg+xml" || !strings.HasPrefix(w.Body.String(), "<svg ") {
		t.Errorf("got %d %s %.40s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	if w.Header().Get("Cache-Control") != "no-store" || w.Header().Get("Content-Security-Policy") == "" {
		t.Errorf("the image is not guarded: %v", w.Header())
	}
}

func TestCodeThatCannotBeDrawn(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{code: func(string) (string, error) { return "", nil }})
	if w := f.do(t, http.MethodGet, "/checkout/"+token+"/qr.svg", ""); w.Code != http.StatusInternalServerError {
		t.Errorf("status %d, want 500", w.Code)
	}
}

func TestStaticFilesLieBelowThePrefix(t *testing.T) {
	t.Parallel()
	f := newFace(t, showing(openPage(relay.CheckoutClosed)), at("https://example.com/pay"))
	page := f.do(t, http.MethodGet, "/pay/checkout/"+token, "").Body.String()
	_, rest, ok := strings.Cut(page, `src="`)
	script, _, _ := strings.Cut(rest, `"`)
	if !ok || !strings.HasPrefix(script, "/pay/checkout/-/") || !f.Match(script) {
		t.Fatalf("script at %q", script)
	}
	w := f.do(t, http.MethodGet, script, "")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" || w.Body.Len() == 0 {
		t.Errorf("got %d %s with %d bytes", w.Code, w.Header().Get("Content-Type"), w.Body.Len())
	}
	if w := f.do(t, http.MethodGet, "/pay/checkout/-/checkout.html", ""); w.Code != http.StatusNotFound {
		t.Errorf("unknown file: status %d, want 404", w.Code)
	}
}

func TestLoginCallback(t *testing.T) {
	t.Parallel()
	var got relay.LoginCallback
	f := newFace(t, &fakeService{login: func(cb relay.LoginCallback) (string, error) {
		got = cb
		return publicURL + "/checkout/" + token, nil
	}})
	w := f.do(t, http.MethodGet, "/wechat/callback?code=c0de&state=st4te&from=singlemessage", "", "Cookie", "__Host-wxrelay="+browserID)
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != publicURL+"/checkout/"+token {
		t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
	}
	if want := (relay.LoginCallback{Code: "c0de", State: "st4te", BrowserID: browserID}); got != want {
		t.Errorf("relay was given %+v, want %+v", got, want)
	}
	if w.Header().Get("Referrer-Policy") != "no-referrer" {
		t.Error("the next page may learn the code (threats E13)")
	}
}

func TestOddCallbacksGoNowhere(t *testing.T) {
	t.Parallel()
	service := failing(errors.New("asked"))
	f := newFace(t, service)
	for _, query := range []string{
		"", "?code=c", "?code=c&state=s&state=t", "?code=c&code=d&state=s", "?state=s&code=" + strings.Repeat("x", 4<<10),
	} {
		w := f.do(t, http.MethodGet, "/wechat/callback"+query, "")
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `data-state="bad_request"`) {
			t.Errorf("%.40q: status %d, want 400 and a page", query, w.Code)
		}
	}
	if got := service.callList(); got != "" {
		t.Errorf("relay was asked: %s", got)
	}
}

func TestLoginRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		query  string
		err    error
		status int
		state  string
	}{
		"other browser": {"?code=c&state=s", refusal(relay.KindSign, "not begun here"), 403, "login_expired"},
		"declined":      {"?state=s", refusal(relay.KindNoAuth, "no login"), 403, "login_cancelled"},
		"snapshot":      {"?code=c&state=s", refusal(relay.KindNoAuth, "limited view"), 403, "login_failed"},
		"WeChat":        {"?code=c&state=s", refusal(relay.KindUpstream, "not confirmed"), 502, "login_failed"},
		"WeChat slow":   {"?code=c&state=s", refusal(relay.KindUpstreamTimeout, "no answer"), 504, "login_failed"},
		"many buyers":   {"?code=c&state=s", refusal(relay.KindUnavailable, "too many"), 503, "unavailable"},
		"too fast":      {"?code=c&state=s", refusal(relay.KindRate, "slow down"), 429, "too_many"},
		"ours":          {"?code=c&state=s", errors.New("nil map"), 500, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newFace(t, failing(c.err)).do(t, http.MethodGet, "/wechat/callback"+c.query, "")
			if w.Code != c.status || !strings.Contains(w.Body.String(), `data-state="`+c.state+`"`) {
				t.Errorf("got %d, want %d and %s:\n%s", w.Code, c.status, c.state, w.Body)
			}
			if w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
				t.Errorf("sent on or marked: %v", w.Header())
			}
		})
	}
}

func TestHeadOfAPageHasNoBody(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(newFace(t, showing(openPage(relay.CheckoutClosed))))
	t.Cleanup(server.Close)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+"/checkout/"+token, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK || resp.ContentLength <= 0 {
		t.Errorf("status %d with length %d", resp.StatusCode, resp.ContentLength)
	}
}
