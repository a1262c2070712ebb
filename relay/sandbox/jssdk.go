package sandbox

import (
	"crypto/sha1" //nolint:gosec // WeChat's own signature of pages
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/wxrelay/wxrelay/relay/sandbox/page"
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
	shown, err := url.Parse(query.Get("url"))
	if err != nil || shown.Scheme != "http" && shown.Scheme != "https" || shown.Host == "" {
		return configDomain
	}
	if len(account.JSDomains) > 0 && !slices.Contains(account.JSDomains, strings.ToLower(shown.Hostname())) {
		return configDomain
	}
	ticket, ok := s.accountTokens.livingTicket(account.AppID)
	if !ok || query.Get("nonceStr") == "" {
		return configSignature
	}
	sum := sha1.Sum([]byte("jsapi_ticket=" + ticket + "&noncestr=" + query.Get("nonceStr") + //nolint:gosec // see the import
		"&timestamp=" + query.Get("timestamp") + "&url=" + query.Get("url")))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(query.Get("signature"))) != 1 {
		return configSignature
	}
	return configOK
}
