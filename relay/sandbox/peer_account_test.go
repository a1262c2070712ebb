package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/wxrelay/wxrelay/relay/wechat/account"
	"github.com/wxrelay/wxrelay/relay/wechat/miniprogram"
)

// overTheWire starts a sandbox behind a real server.
func overTheWire(t *testing.T) (*Sandbox, string) {
	t.Helper()
	s := newSandbox(t, Options{})
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// The account's own client takes tokens, a ticket and a call from the sandbox,
// and understands how it refuses.
func TestAccountOverTheWire(t *testing.T) {
	t.Parallel()
	s, address := overTheWire(t)
	c, err := account.NewClient(account.Options{
		AppID: DefaultAppID, Secret: func() []byte { return []byte(DefaultAppSecret) }, BaseURL: address,
	})
	if err != nil {
		t.Fatal(err)
	}
	first, err := c.StableToken(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.StableToken(t.Context(), false)
	if err != nil || again.Value != first.Value || first.ExpiresIn < 5*time.Minute || first.ExpiresIn > 2*time.Hour {
		t.Errorf("the stable token changes or lives %v, %v", first.ExpiresIn, err)
	}
	old, err := c.Token(t.Context())
	if err != nil || old.Value == first.Value {
		t.Errorf("the older series gives the stable token, or %v", err)
	}
	for name, token := range map[string]string{"stable": first.Value, "older": old.Value} {
		ticket, err := c.Ticket(t.Context(), token, account.TicketJSAPI)
		if err != nil || ticket.ExpiresIn != 2*time.Hour {
			t.Errorf("ticket by the %s token: %v", name, err)
		}
	}
	userInfo := account.Request{
		Method: http.MethodGet, Path: "/cgi-bin/user/info",
		Query: url.Values{"openid": {OpenID(DefaultAppID, "ming")}, "lang": {"zh_CN"}},
	}
	answer, err := c.Call(t.Context(), userInfo, first.Value)
	if err != nil || answer.Status != http.StatusOK || account.ErrCode(answer.Body) != 0 || !strings.Contains(string(answer.Body), OpenID(DefaultAppID, "ming")) {
		t.Errorf("user info: %v", err)
	}
	answer, err = c.Call(t.Context(), userInfo, "nobodys-token")
	if err != nil || account.ErrCode(answer.Body) != 40001 && account.ErrCode(answer.Body) != 40014 {
		t.Errorf("user info by nobody's token: %v", err)
	}
	_, err = c.Ticket(t.Context(), "nobodys-token", account.TicketJSAPI)
	if e, ok := errors.AsType[*account.Error](err); !ok || !e.TokenInvalid() {
		t.Errorf("ticket by nobody's token: %v", err)
	}
	mustStatus(t, post(t, s, "/sandbox/faults", `{"faults":[{"fault":"`+faultCGIAddress+`"}]}`), http.StatusOK)
	_, err = c.StableToken(t.Context(), false)
	if e, ok := errors.AsType[*account.Error](err); !ok || e.AllowIP() != "203.0.113.7" {
		t.Errorf("from an address that is not allowed: %v", err)
	}
}

// The mini-program's own client logs in at the sandbox and reads the data that
// it encrypts.
func TestMiniProgramOverTheWire(t *testing.T) {
	t.Parallel()
	s, address := overTheWire(t)
	c, err := miniprogram.NewClient(miniprogram.Options{
		AppID: DefaultMiniProgramAppID, Secret: func() []byte { return []byte(DefaultMiniProgramSecret) }, BaseURL: address,
	})
	if err != nil {
		t.Fatal(err)
	}
	code := miniLogin(t, s, `{}`)
	session, err := c.Session(t.Context(), code)
	if err != nil || session.OpenID != OpenID(DefaultMiniProgramAppID, "ming") {
		t.Fatalf("session of another user, or %v", err)
	}
	_, err = c.Session(t.Context(), code)
	if e, ok := errors.AsType[*miniprogram.Error](err); !ok || e.Code != 40163 || !e.CodeSpent() {
		t.Errorf("the same code again: %v", err)
	}
	w := post(t, s, "/sandbox/mini-data", `{}`)
	var sealed miniSealed
	if err := json.Unmarshal(w.Body.Bytes(), &sealed); err != nil {
		t.Fatal(err)
	}
	if !miniprogram.VerifySignature(sealed.RawData, session.Key, sealed.Signature) {
		t.Error("the signature of the raw data is refused")
	}
	plain, err := miniprogram.Decrypt(session.Key, sealed.IV, sealed.EncryptedData, DefaultMiniProgramAppID)
	if err != nil || !strings.Contains(string(plain), `"watermark"`) {
		t.Errorf("the encrypted data: %v", err)
	}
	if _, err := miniprogram.Decrypt(session.Key, sealed.IV, sealed.EncryptedData, DefaultAppID); !errors.Is(err, miniprogram.ErrData) {
		t.Errorf("read as another account's: %v", err)
	}
}
