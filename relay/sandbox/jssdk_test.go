package sandbox

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// signedConfig is what a page gives to wx.config, signed by a ticket.
func signedConfig(ticket, address string) url.Values {
	sum := sha1.Sum([]byte("jsapi_ticket=" + ticket + "&noncestr=Wm3WZYTPz0wzccnW&timestamp=1795296000&url=" + address))
	return url.Values{
		"appId": {DefaultAppID}, "timestamp": {"1795296000"}, "nonceStr": {"Wm3WZYTPz0wzccnW"},
		"signature": {hex.EncodeToString(sum[:])}, "url": {address},
	}
}

// configSays asks the client's judgement.
func configSays(t *testing.T, s *Sandbox, query url.Values) string {
	t.Helper()
	w := get(s, "/sandbox/js-sdk/check?"+query.Encode())
	mustStatus(t, w, http.StatusOK)
	if w.Header().Get("Access-Control-Allow-Origin") != "*" {
		t.Error("pages of other origins cannot ask")
	}
	var result jsSDKResult
	if err := json.Unmarshal(w.Body.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	return result.Message
}

func TestJSSDKConfig(t *testing.T) {
	t.Parallel()
	c := newClock(testNow)
	s := newSandbox(t, Options{Now: c.now, Accounts: []Account{
		{AppID: DefaultAppID, Secret: DefaultAppSecret, Kind: OfficialAccount, JSDomains: []string{"pay.example.com"}},
	}})
	const address = "https://pay.example.com/p?a=%E4%B8%AD&b=1"
	if got := configSays(t, s, signedConfig("x", address)); got != configSignature {
		t.Errorf("without any ticket = %q", got)
	}
	token := stable(t, s, false).AccessToken
	ticket := cgi(t, s, "/cgi-bin/ticket/getticket?type=jsapi&access_token="+token, "").Ticket
	if got := configSays(t, s, signedConfig(ticket, address)); got != configOK {
		t.Errorf("well signed = %q", got)
	}
	for name, test := range map[string]struct{ field, value, want string }{
		"other page":      {"url", address + "&c=2", configSignature},
		"other encoding":  {"url", "https://pay.example.com/p?a=中&b=1", configSignature},
		"other nonce":     {"nonceStr", "x", configSignature},
		"no nonce":        {"nonceStr", "", configSignature},
		"other time":      {"timestamp", "1795296001", configSignature},
		"upper case":      {"signature", strings.ToUpper(signedConfig(ticket, address).Get("signature")), configSignature},
		"other domain":    {"url", "https://evil.example/p", configDomain},
		"no address":      {"url", "file:///p", configDomain},
		"unknown account": {"appId", "wx404", configAppID},
		"mini-program":    {"appId", DefaultMiniProgramAppID, configAppID},
	} {
		query := signedConfig(ticket, address)
		query.Set(test.field, test.value)
		if got := configSays(t, s, query); got != test.want {
			t.Errorf("%s = %q, want %q", name, got, test.want)
		}
	}
	c.set(testNow.Add(2 * time.Hour))
	if got := configSays(t, s, signedConfig(ticket, address)); got != configSignature {
		t.Errorf("with a ticket that is over = %q", got)
	}
}

func TestJSSDKScriptNamesTheSandbox(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/sandbox/js-sdk.js", nil)
	r.Host = "localhost:8081"
	w := httptest.NewRecorder()
	newSandbox(t, Options{}).ServeHTTP(w, r)
	mustStatus(t, w, http.StatusOK)
	if !strings.Contains(w.Body.String(), "const origin = 'http://localhost:8081';") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/javascript") {
		t.Errorf("%s: %s", w.Header().Get("Content-Type"), w.Body)
	}
}
