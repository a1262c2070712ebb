package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/wxrelay/wxrelay/relay"
)

// TestConnectTellsRelayWhatTheSiteSent: WeChat's parameters in any order,
// beside what sites and WeChat add to them.
func TestConnectTellsRelayWhatTheSiteSent_E25(t *testing.T) {
	t.Parallel()
	back := "redirect_uri=" + url.QueryEscape(goodBack)
	for name, c := range map[string]struct {
		target string
		want   relay.LoginRequest
	}{
		"in order": {
			"/connect/oauth2/authorize?appid=" + clientID + "&" + back + "&response_type=code&scope=snsapi_base&state=s1",
			relay.LoginRequest{RedirectURI: goodBack, State: "s1", HasState: true, Scope: "snsapi_base"},
		},
		"in another order, with more": {
			"/connect/oauth2/authorize?connect_redirect=1&state=a%26b%0D%0A%FF+%2B&scope=snsapi_userinfo&forcePopup=true&forceSnapShot=false&uin=MTIz&key=x&" +
				back + "&response_type=code&appid=" + clientID + "&from=singlemessage",
			relay.LoginRequest{RedirectURI: goodBack, State: "a&b\r\n\xff +", HasState: true, Scope: "snsapi_userinfo"},
		},
		"without state": {
			"/connect/oauth2/authorize?appid=" + clientID + "&" + back + "&response_type=code&scope=snsapi_base",
			relay.LoginRequest{RedirectURI: goodBack, Scope: "snsapi_base"},
		},
		"empty state": {
			"/connect/oauth2/authorize?appid=" + clientID + "&" + back + "&response_type=code&scope=snsapi_base&state=",
			relay.LoginRequest{RedirectURI: goodBack, HasState: true, Scope: "snsapi_base"},
		},
		"a code to scan": {
			"/connect/qrconnect?appid=" + clientID + "&" + back + "&response_type=code&scope=snsapi_login&state=s1",
			relay.LoginRequest{RedirectURI: goodBack, State: "s1", HasState: true, Scope: "snsapi_login"},
		},
		"a code to scan, whatever the scope": {
			"/connect/qrconnect?appid=" + clientID + "&" + back + "&response_type=code&scope=snsapi_userinfo&state=s1",
			relay.LoginRequest{RedirectURI: goodBack, State: "s1", HasState: true, Scope: "snsapi_login"},
		},
	} {
		var got relay.LoginRequest
		f := newFace(t, &fakeService{fakeLogins: fakeLogins{begin: func(req relay.LoginRequest) (relay.LoginStart, error) {
			got = req
			return relay.LoginStart{Redirect: "https://open.example/x"}, nil
		}}})
		w := f.do(t, http.MethodGet, c.target, "", "User-Agent", weChatAgent, "Cookie", "__Host-wxrelay="+browserID)
		c.want.Purpose, c.want.ClientID, c.want.BrowserID, c.want.Surroundings = relay.LoginForCode, clientID, browserID, relay.SurroundWeChat
		if got != c.want {
			t.Errorf("%s: relay got %+v, want %+v", name, got, c.want)
		}
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "https://open.example/x" {
			t.Errorf("%s: %d to %q", name, w.Code, w.Header().Get("Location"))
		}
		for header, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if got := w.Header().Get(header); got != want {
				t.Errorf("%s: %s: got %q, want %q", name, header, got, want)
			}
		}
	}
}

// TestConnectForm_C14_D09: what could be read in two ways begins nothing, and
// neither does a page inside another one (I04).
func TestConnectForm_C14_D09(t *testing.T) {
	t.Parallel()
	f := newFace(t, &fakeService{fakeLogins: fakeLogins{begin: func(relay.LoginRequest) (relay.LoginStart, error) {
		t.Error("relay was asked")
		return relay.LoginStart{}, nil
	}}})
	good := "/connect/oauth2/authorize?appid=" + clientID + "&redirect_uri=" + url.QueryEscape(goodBack) + "&scope=snsapi_base"
	for _, target := range []string{
		good, good + "&response_type=", good + "&response_type=token", good + "&response_type=code&response_type=code",
		good + "&response_type=code&redirect_uri=https%3A%2F%2Fevil.example", good + "&response_type=code&appid=2000000000000002",
		good + "&response_type=code&state=a&state=b", good + "&response_type=code&scope=snsapi_userinfo", good + "&response_type=code&state=%zz",
		good + "&response_type=code;state=b",
	} {
		w := f.do(t, http.MethodGet, target, "", "Accept-Language", "en")
		if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), `data-state="bad_request"`) {
			t.Errorf("%s: %d to %q, want a page", target, w.Code, w.Header().Get("Location"))
		}
	}
	w := f.do(t, http.MethodGet, good+"&response_type=code", "", "Sec-Fetch-Dest", "iframe")
	if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
		t.Errorf("in a frame: %d to %q", w.Code, w.Header().Get("Location"))
	}
}

// TestConnectRefused: an unknown site gets a page and nothing else.
func TestConnectRefused(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/connect/oauth2/authorize", "/connect/qrconnect"} {
		f := newFace(t, failing(refusal(relay.KindNoAuth, "not registered")))
		w := f.do(t, http.MethodGet, path+"?appid=1&redirect_uri=https%3A%2F%2Fevil.example%2F&response_type=code&scope=snsapi_base&state=st4te", "")
		if w.Code != http.StatusForbidden || w.Header().Get("Location") != "" || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: %d %v", path, w.Code, w.Header())
		}
		checkTexts(t, w.Body.String(), []string{`data-state="login_refused"`}, []string{"evil.example", "st4te"})
		if log := f.log.String(); strings.Contains(log, "st4te") || strings.Contains(log, "evil") {
			t.Errorf("%s: the log holds the query: %s", path, log)
		}
	}
}
