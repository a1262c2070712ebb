package caddymodule

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/internal/testport"
	"github.com/wxrelay/wxrelay/relay"
)

// provisionSandbox loads a sandbox as Caddy does. release is what Caddy does
// when its configuration ends.
func provisionSandbox(t *testing.T, text string) (s *Sandbox, release func(), err error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	value, err := ctx.LoadModuleByID("http.handlers.wxrelay_sandbox", json.RawMessage(text))
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return value.(*Sandbox), cancel, nil
}

// A reload keeps the sandbox; other settings are another one.
func TestSandboxOutlivesReload(t *testing.T) {
	t.Parallel()
	old, releaseOld, err := provisionSandbox(t, `{"time_scale": 0.25}`)
	if err != nil {
		t.Fatal(err)
	}
	renewed, releaseNew, err := provisionSandbox(t, `{"time_scale": 0.25}`)
	if err != nil {
		t.Fatal(err)
	}
	other, releaseOther, err := provisionSandbox(t, `{"time_scale": 0.75}`)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseOther()
	if renewed.sandbox != old.sandbox {
		t.Error("the same settings made another sandbox")
	}
	if other.sandbox == old.sandbox {
		t.Error("other settings got the same sandbox")
	}
	releaseOld()
	if n, _ := sandboxes.References(renewed.key); n != 1 {
		t.Errorf("%d references after the old configuration ended, want 1", n)
	}
	releaseNew()
	if _, alive := sandboxes.References(renewed.key); alive {
		t.Error("the sandbox outlived its last configuration")
	}
}

func TestSandboxRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"time scale", `{"time_scale": 2}`, "time scale"},
		{"unset secret", `{"accounts": [{"app_id": "wx7777777777777777", "secret": "{env.WXRELAY_TEST_UNSET}"}]}`, "account wx7777777777777777: secret: placeholder"},
		{"missing certificate", `{"merchants": [{"mch_id": "1900000110", "public_key": "/does/not/exist"}]}`, "merchant 1900000110: certificate: reading key file"},
		{"shop without a relay", `{"shop": {"relay_url": "", "client_id": "1000000000000001", "secret": "` + testSecret + `"}}`, "shop"},
		{"shop of a strange relay", `{"shop": {"relay_url": "ftp://x", "client_id": "1000000000000001", "secret": "` + testSecret + `"}}`, "shop: relay_url: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := provisionSandbox(t, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestSandboxKnowsConfiguredMerchants(t *testing.T) {
	t.Setenv("WXRELAY_TEST_KEY", "0123456789abcdef0123456789ABCDEF")
	file := filepath.Join(t.TempDir(), "pub.pem")
	writeFile(t, file, pemKeys().public, 0o644)
	s := &Sandbox{
		Accounts: []SandboxAccount{{AppID: "wx7777777777777777", Secret: "x"}},
		Merchants: []SandboxMerchant{{
			MchID: "1900000110", APIv3Key: "{env.WXRELAY_TEST_KEY}", CertificateSerial: "ab", PublicKey: file,
			AppIDs: []string{"wx7777777777777777"},
		}},
		Shop: &SandboxShop{RelayURL: "http://LOCALHOST:8080/", ClientID: "1000000000000001", Secret: testSecret},
	}
	r := newResolver()
	_, options := s.build(r)
	if len(r.problems) > 0 {
		t.Fatal(r.problems)
	}
	m := options.Merchants[0]
	if string(m.APIv3Key) != "0123456789abcdef0123456789ABCDEF" || len(m.Certificates) != 1 ||
		m.Certificates[0].Serial != "AB" || m.Certificates[0].PublicKey == nil {
		t.Errorf("merchant %+v", m)
	}
	derived := relay.DeriveNotifySecret(relay.NewSecret(testSecret))
	if options.Shop.RelayURL != "http://localhost:8080" || string(options.Shop.NotifySecret) != string(derived.Reveal()) {
		t.Errorf("shop of %s has another notify secret than the relay derives", options.Shop.RelayURL)
	}
	if s.Merchants[0].APIv3Key != "{env.WXRELAY_TEST_KEY}" {
		t.Error("the field that is marshalled again was filled in")
	}
}

func TestSandboxAnswersItsPathsAlone(t *testing.T) {
	t.Parallel()
	s, release, err := provisionSandbox(t, `{"time_scale": 0.5}`)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	w := httptest.NewRecorder()
	if err := s.ServeHTTP(w, request("/sandbox/credentials", "/x"), nextHandler); err != nil || w.Code != http.StatusOK {
		t.Errorf("credentials: %d, %v", w.Code, err)
	}
	if err := s.ServeHTTP(httptest.NewRecorder(), request("/books", "/sandbox"), nextHandler); err == nil {
		t.Error("a foreign path did not go on")
	}
}

// A configuration that fails after the sandbox was made gives it back.
func TestRefusedConfigurationReleasesSandbox(t *testing.T) {
	config := fmt.Sprintf(`{
		"admin": {"disabled": true, "config": {"persist": false}},
		"logging": {"logs": {"default": {"writer": {"output": "discard"}}}},
		"apps": {"http": {"servers": {"srv0": {"listen": ["127.0.0.1:%d"], "routes": [{"handle": [
			{"handler": "wxrelay_sandbox", "time_scale": 0.125},
			{"handler": "static_response", "status_code": "200", "nonsense": true}
		]}]}}}}}`, testport.Free(t))
	var parsed caddy.Config
	if err := caddy.StrictUnmarshalJSON([]byte(config), &parsed); err != nil {
		t.Fatal(err)
	}
	if err := caddy.Validate(&parsed); err == nil {
		t.Fatal("accepted")
	}
	sandboxes.Range(func(_, value any) bool {
		t.Error("a sandbox is left over")
		return false
	})
}
