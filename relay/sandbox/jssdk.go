package sandbox

import (
	"crypto/subtle"
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
	"github.com/wxrelay/wxrelay/relay/wechat/jssdk"
)

//go:embed assets/js-sdk.js
var jsSDKScript []byte

// The words of the WeChat client on wx.config (oauth.md 6).
const (
	configOK        = "config:ok"
	configSignature = "config:invalid signature"
	configDomain    = "config:invalid url domain"
	configAppID     = "config:invalid appid"
)

// jsSDKResult is what the client says to a page.
type jsSDKResult struct {
	Message string `json:"errMsg"` //nolint:tagliatelle // WeChat's spelling
}

// serveJSSDK answers GET /sandbox/js-sdk.js: window.wx for a browser that is
// not WeChat, in place of WeChat's own script.
func serveJSSDK(w http.ResponseWriter, r *http.Request) {
	script := strings.Replace(string(jsSDKScript), "SANDBOX_ORIGIN", originOf(r), 1)
	page.Static(w, r, "js-sdk.js", []byte(script))
}

// serveJSSDKCheck answers GET /sandbox/js-sdk/check: the WeChat client's
// judgement on wx.config. Pages of every site may ask, as in life; the
// answer tells nothing but whether they were right.
func (s *Sandbox) serveJSSDKCheck(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	writeJSON(w, http.StatusOK, jsSDKResult{s.judgeConfig(r.URL.Query())})
}

// judgeConfig checks what a page gave to wx.config against the address that
// the browser shows.
func (s *Sandbox) judgeConfig(query url.Values) string {
	account := s.directory.accounts[query.Get("appId")]
	if account == nil || account.Kind != "" && account.Kind != OfficialAccount {
		return configAppID
	}
	shown, err := jssdk.ParsePage(query.Get("url"))
	if err != nil {
		return configDomain
	}
	origin, err := url.Parse(shown.Origin())
	if err != nil || len(account.JSDomains) > 0 && !slices.Contains(account.JSDomains, origin.Hostname()) {
		return configDomain
	}
	ticket, ok := s.accountTokens.livingTicket(account.AppID)
	timestamp, err := strconv.ParseInt(query.Get("timestamp"), 10, 64)
	if !ok || err != nil || query.Get("nonceStr") == "" {
		return configSignature
	}
	want := jssdk.Sign(ticket, query.Get("nonceStr"), timestamp, shown)
	if subtle.ConstantTimeCompare([]byte(want), []byte(query.Get("signature"))) != 1 {
		return configSignature
	}
	return configOK
}
