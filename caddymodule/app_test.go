package caddymodule

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// pemKeys are two key pairs as PEM files: the merchant's and the platform's.
var pemKeys = sync.OnceValue(func() (keys struct{ private, public string }) {
	merchant, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	platform, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(merchant)
	if err != nil {
		panic(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&platform.PublicKey)
	if err != nil {
		panic(err)
	}
	keys.private = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	keys.public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	return keys
})

// provision loads an app as Caddy does, up to Validate.
func provision(t *testing.T, text string) (*App, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	app := new(App)
	if err := caddy.StrictUnmarshalJSON([]byte(text), app); err != nil {
		t.Fatal(err)
	}
	if err := app.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	return app, app.Validate()
}

// merchantApp is an app that speaks to WeChat, with marked secrets in the
// environment and key files on the disk.
func merchantApp(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	private, public := filepath.Join(dir, "apiclient_key.pem"), filepath.Join(dir, "pub_key.pem")
	writeFile(t, private, pemKeys().private, 0o600)
	writeFile(t, public, pemKeys().public, 0o644)
	t.Setenv("MARKED_APP_SECRET", "MARKEDappsecret")
	t.Setenv("MARKED_APIV3_KEY", "MARKEDapiv3keyMARKEDapiv3keyMARK")
	t.Setenv("MARKED_APIV2_KEY", "MARKEDapiv2keyMARKEDapiv2keyMARK")
	t.Setenv("MARKED_CLIENT_SECRET", "MARKEDclientsecretMARKEDclientse")
	t.Setenv("MARKED_NOTIFY_SECRET", "MARKEDnotifysecretMARKEDnotifyse")
	return fmt.Sprintf(`{
		"public_url": "https://Pay.example.com/wx/",
		"store": {"backend": "badger", "path": %q},
		"accounts": [{"name": "shop", "app_id": "wx8888888888888888", "secret": "{env.MARKED_APP_SECRET}"}],
		"merchants": [{"name": "main", "mch_id": "1900000109", "api_v3": {
			"key": "{env.MARKED_APIV3_KEY}",
			"certificate_serial": "5157f09efdc096de15ebe81a47057a7232f1b8e1",
			"private_key": %q,
			"public_keys": [{"id": "PUB_KEY_ID_0001", "file": %q}]
		}, "api_v2": {"key": "{env.MARKED_APIV2_KEY}"}}],
		"clients": [{"name": "bookshop", "id": "1000000000000001",
			"secrets": ["{env.MARKED_CLIENT_SECRET}"], "notify_secrets": ["{env.MARKED_NOTIFY_SECRET}"]}]
	}`, filepath.Join(dir, "store"), private, public)
}

func TestAppDefaults(t *testing.T) {
	app, err := provision(t, merchantApp(t))
	if err != nil {
		t.Fatal(err)
	}
	c := app.config
	if got := c.PublicURL.String(); got != "https://pay.example.com/wx" {
		t.Errorf("public_url %q is not normal", got)
	}
	want := relay.Platform{
		PayAPI: "https://api.mch.weixin.qq.com", PayAPIBackup: "https://api2.mch.weixin.qq.com",
		BaseAPI: "https://api.weixin.qq.com", Open: "https://open.weixin.qq.com",
	}
	if c.Platform != want {
		t.Errorf("platform %+v, want WeChat", c.Platform)
	}
	if c.Accounts[0].Kind != relay.AccountOfficial {
		t.Errorf("kind %q", c.Accounts[0].Kind)
	}
	merchant := c.Merchants[0]
	if !slices.Equal(merchant.Accounts, []string{"shop"}) {
		t.Errorf("accounts %q, want the only one", merchant.Accounts)
	}
	if merchant.APIv3.CertificateSerial != "5157F09EFDC096DE15EBE81A47057A7232F1B8E1" {
		t.Errorf("serial %q, want upper case", merchant.APIv3.CertificateSerial)
	}
	if merchant.APIv2.SignType != relay.V2SignMD5 || merchant.APIv2.AcceptMD5 || merchant.APIv2.Certificate != nil || merchant.Anomaly != (relay.AnomalyPolicy{}) {
		t.Errorf("merchant %+v has other defaults", merchant)
	}
	client := c.Clients[0]
	if client.Callback != relay.CallbackRelay || client.Compat != "" || client.AllowRefund || client.AllowSharing || client.DailyFen != 0 {
		t.Errorf("client %+v allows more than by default", client)
	}
	if client.Merchant != "main" || client.Notify != relay.NotifyStandard || client.Rate != 50 ||
		!slices.Equal(client.Allow, relay.AllTradeTypes()) || client.AllowRefund || client.AllowSharing ||
		len(client.Schedule) != 13 || client.Schedule[12] != 24*time.Hour {
		t.Errorf("client %+v has other defaults", client)
	}
	if got := string(client.NotifySecrets[0].Reveal()); got != "MARKEDnotifysecretMARKEDnotifyse" {
		t.Errorf("notify secret %q", got)
	}
}

func TestNotifySecretIsDerivedFromEachSecret(t *testing.T) {
	t.Parallel()
	const next = "abcdef0123456789ABCDEF0123456789"
	app, err := provision(t, `{"platform": {"url": "http://localhost:8081"},
		"accounts": [{"name": "shop"}], "merchants": [{"name": "main"}],
		"clients": [{"name": "a", "id": "1000000000000001", "secrets": ["`+testSecret+`", "`+next+`"]}]}`)
	if err != nil {
		t.Fatal(err)
	}
	secrets := app.config.Clients[0].NotifySecrets
	if len(secrets) != 2 {
		t.Fatalf("%d notify secrets, want one for each secret", len(secrets))
	}
	for i, secret := range []string{testSecret, next} {
		want := relay.DeriveNotifySecret(relay.NewSecret(secret))
		if string(secrets[i].Reveal()) != string(want.Reveal()) {
			t.Errorf("notify secret %d is not derived from its secret", i)
		}
	}
}

// The sandbox brings its own credentials, so that nobody has to obtain any.
func TestSandboxPlatformFillsIn(t *testing.T) {
	t.Parallel()
	app, err := provision(t, `{"platform": {"url": "http://localhost:8081"}, "accounts": [{"name": "shop"}], "merchants": [{"name": "main"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	c, known := app.config, sandbox.DefaultCredentials()
	if !c.Platform.Sandbox || c.Platform.PayAPI != "http://localhost:8081" || c.Platform.PayAPIBackup != "" || c.Platform.Open != c.Platform.PayAPI {
		t.Errorf("platform %+v", c.Platform)
	}
	if c.Accounts[0].AppID != known.AppID || string(c.Accounts[0].Secret.Reveal()) != known.AppSecret {
		t.Errorf("account %+v", c.Accounts[0])
	}
	m := c.Merchants[0]
	if m.Prefer != "" || m.APIv2 == nil || string(m.APIv2.Key.Reveal()) != sandbox.DefaultAPIv2Key || m.APIv2.Certificate == nil {
		t.Errorf("merchant %+v, want the sandbox's credentials of both generations", m)
	}
	if m.MchID != known.MchID || string(m.APIv3.Key.Reveal()) != string(known.APIv3Key) || !m.APIv3.PrivateKey.Equal(known.PrivateKey) ||
		!m.APIv3.PublicKeys[known.PublicKeyID].Equal(known.PublicKey) {
		t.Errorf("merchant %+v", m)
	}
}

// Each account gets what the sandbox knows for its kind or its app id, and
// what the operator wrote stays.
func TestSandboxPlatformFillsInByKind(t *testing.T) {
	t.Parallel()
	app, err := provision(t, `{"platform": {"url": "http://localhost:8081"}, "accounts": [
		{"name": "shop"}, {"name": "mini", "kind": "mini_program"}, {"name": "app", "kind": "mobile_app"},
		{"name": "sub", "app_id": "`+sandbox.DefaultSubAppID+`"}, {"name": "other", "app_id": "wx7777777777777777", "secret": "mine"},
		{"name": "site", "kind": "website_app"}
	], "merchants": [{"name": "main", "accounts": ["shop", "mini", "app", "sub"], "sub_mch_id": "`+sandbox.DefaultSubMchID+`",
		"sub_app_id": "`+sandbox.DefaultSubAppID+`", "prefer": "api_v2"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		kind          relay.AccountKind
		appID, secret string
	}{
		{relay.AccountOfficial, sandbox.DefaultAppID, sandbox.DefaultAppSecret},
		{relay.AccountMiniProgram, sandbox.DefaultMiniProgramAppID, sandbox.DefaultMiniProgramSecret},
		{relay.AccountMobileApp, sandbox.DefaultMobileAppID, sandbox.DefaultMobileSecret},
		{relay.AccountOfficial, sandbox.DefaultSubAppID, sandbox.DefaultSubSecret},
		{relay.AccountOfficial, "wx7777777777777777", "mine"},
		{relay.AccountWebsiteApp, sandbox.DefaultWebsiteAppID, sandbox.DefaultWebsiteSecret},
	} {
		if a := app.config.Accounts[i]; a.Kind != want.kind || a.AppID != want.appID || string(a.Secret.Reveal()) != want.secret {
			t.Errorf("account %s is %+v, want %+v", a.Name, a, want)
		}
	}
	m := app.config.Merchants[0]
	if m.SubMchID != sandbox.DefaultSubMchID || m.SubAppID != sandbox.DefaultSubAppID || m.Prefer != relay.APIv2 || m.APIv3 == nil || m.APIv2 == nil {
		t.Errorf("merchant %+v", m)
	}
}

// What logins, messages and the server interface need arrives resolved.
func TestAppResolvesLogins(t *testing.T) {
	t.Setenv("WXRELAY_TEST_TOKEN", "messagetoken")
	t.Setenv("WXRELAY_TEST_KEY", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG")
	t.Setenv("WXRELAY_TEST_VERIFY", "proof")
	t.Setenv("WXRELAY_TEST_SECRET", testSecret)
	app, err := provision(t, `{"public_url": "https://login.example.com",
		"accounts": [{"name": "shop", "app_id": "wx8888888888888888", "secret": "{env.WXRELAY_TEST_SECRET}",
			"message_token": "{env.WXRELAY_TEST_TOKEN}", "message_key": "{env.WXRELAY_TEST_KEY}",
			"verify_files": [{"name": "MP_verify_abc.txt", "text": "{env.WXRELAY_TEST_VERIFY}"}]}],
		"clients": [{"name": "books", "id": "1000000000000001", "secrets": ["{env.WXRELAY_TEST_SECRET}"],
			"redirect_uris": ["https://{env.WXRELAY_TEST_VERIFY}.example/cb"], "openid_policy": "issued",
			"allow_api": ["/cgi-bin/menu/*"], "raw_token": true, "messages": "https://{env.WXRELAY_TEST_VERIFY}.example/m"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	a, c := app.config.Accounts[0], app.config.Clients[0]
	if string(a.MessageToken.Reveal()) != "messagetoken" || a.MessageKey.Len() != 43 ||
		!slices.Equal(a.VerifyFiles, []relay.VerifyFile{{Name: "MP_verify_abc.txt", Text: "proof"}}) {
		t.Errorf("account %+v", a)
	}
	if !slices.Equal(c.RedirectURIs, []string{"https://proof.example/cb"}) || c.OpenIDPolicy != relay.OpenIDIssued ||
		!slices.Equal(c.AllowAPI, []string{"/cgi-bin/menu/*"}) || !c.RawToken || c.MessagesURL != "https://proof.example/m" {
		t.Errorf("client %+v", c)
	}
	if len(app.warnings) != 0 {
		t.Errorf("warnings %v, want none", app.warnings)
	}
}

// A merchant with a block of credentials gets no others.
func TestSandboxPlatformOfOneGeneration(t *testing.T) {
	t.Parallel()
	app, err := provision(t, `{"platform": {"url": "http://localhost:8081"}, "accounts": [{"name": "shop"}],
		"merchants": [{"name": "main", "api_v2": {"sign_type": "HMAC-SHA256"}}]}`)
	if err != nil {
		t.Fatal(err)
	}
	m := app.config.Merchants[0]
	if m.APIv3 != nil || m.APIv2 == nil || m.APIv2.SignType != relay.V2SignHMACSHA256 ||
		string(m.APIv2.Key.Reveal()) != sandbox.DefaultAPIv2Key || m.APIv2.Certificate == nil {
		t.Errorf("merchant %+v, want APIv2 alone with the sandbox's key and certificate", m)
	}
}

// Everything that is wrong comes at once, each with its place, and what could
// not be resolved is not also reported as missing.
func TestAppValidateReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, broken := filepath.Join(dir, "key.pem"), filepath.Join(dir, "broken.pem")
	writeFile(t, private, pemKeys().private, 0o600)
	writeFile(t, broken, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600)
	_, err := provision(t, fmt.Sprintf(`{
		"public_url": "http://pay.example.com",
		"store": {"backend": "badger", "path": "{env.WXRELAY_TEST_UNSET}"},
		"allow_networks": ["10.1.2.3/16"],
		"accounts": [
			{"name": "shop", "app_id": "wx8888888888888888", "secret": "{env.WXRELAY_TEST_UNSET}"},
			{"name": "blog", "kind": "component", "app_id": "wx8888888888888888", "secret": "x", "message_token": "a", "message_key": "b",
				"verify_files": [{"name": "a.html", "text": "a"}, {"name": "b.txt", "text": "{env.WXRELAY_TEST_UNSET}"}]}
		],
		"merchants": [
			{"name": "main", "mch_id": "1900000109", "accounts": ["attic"], "prefer": "api_v2", "anomaly": {"duplicate_payment": "keep"}, "api_v3": {
				"key": "short", "certificate_serial": "AB", "private_key": %[1]q,
				"public_keys": [{"id": "PUB_KEY_ID_1", "file": %[1]q}, {"id": "PUB_KEY_ID_2", "file": "/does/not/exist"}, {"id": "PUB_KEY_ID_3", "file": ""}]
			}},
			{"name": "other", "mch_id": "1900000110", "accounts": ["shop"], "api_v3": {
				"key": "0123456789abcdef0123456789ABCDEF", "certificate_serial": "AB", "private_key": %[2]q, "platform_certificates": true
			}},
			{"name": "bare", "mch_id": "1900000111", "accounts": ["shop"]},
			{"name": "old", "mch_id": "1900000112", "accounts": ["shop"], "sub_app_id": "wx8888888888888888", "api_v2": {
				"key": "short", "sign_type": "SHA1", "client_certificate": {"certificate": %[1]q, "key": "/does/not/exist"}
			}},
			{"name": "half", "mch_id": "1900000113", "accounts": ["shop"], "prefer": "api_v1", "api_v2": {
				"key": "0123456789abcdef0123456789ABCDEF", "client_certificate": {"certificate": %[1]q}
			}}
		],
		"clients": [
			{"name": "a", "id": "1000000000000001", "secrets": [%[3]q], "merchant": "nowhere", "callback": "direct", "order_no": "("},
			{"name": "b", "id": "1000000000000001", "public_keys": ["abc"], "allow": ["cash"], "retry": [1]},
			{"name": "c", "id": "1000000000000003", "secrets": ["{env.WXRELAY_TEST_UNSET}"], "merchant": "main", "allow_origins": ["x"], "max_amount": -1, "daily_amount": -1},
			{"name": "d", "id": "1000000000000004", "secrets": [%[3]q], "merchant": "main", "compat_v2": "sha1", "callback": "later"},
			{"name": "e", "id": "1000000000000005", "public_keys": ["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="], "notify_secrets": [%[3]q], "merchant": "main", "compat_v2": "md5"}
		]
	}`, private, broken, testSecret))
	if err == nil {
		t.Fatal("accepted")
	}
	lines := strings.Split(err.Error(), "\n")
	for _, want := range []string{
		`public_url: "http://pay.example.com" must use https`,
		`store: `,
		`allow_networks: "10.1.2.3/16" has bits beyond its length`,
		`account shop: secret: placeholder {env.WXRELAY_TEST_UNSET} is empty or not set`,
		`account blog: kind: unrecognized kind "component"`,
		`account blog: message_token: must be 3 to 32`,
		`account blog: message_key: must be 43`,
		`account blog: verify_file: evaluated placeholder {env.WXRELAY_TEST_UNSET} is empty`,
		`account blog: app_id: "wx8888888888888888" is already used by account shop`,
		`merchant main: accounts: there is no account "attic"`,
		`merchant main: prefer: api_v2 has no credentials in this block`,
		`merchant main: anomaly duplicate_payment: unrecognized policy "keep"`,
		`merchant main: api_v3 key: must be exactly 32 bytes, but has 5`,
		`merchant main: api_v3 public_key: reading key file: stat /does/not/exist`,
		`merchant main: api_v3 public_key: needs the path`,
		`merchant other: api_v3 private_key: `,
		`merchant bare: api_v3: is required unless api_v2 is given`,
		`merchant old: sub_app_id: needs sub_mch_id beside it`,
		`merchant old: api_v2 key: must be exactly 32 printable characters`,
		`merchant old: api_v2 sign_type: unrecognized sign type "SHA1"`,
		`merchant old: api_v2 client_certificate: reading key file: stat /does/not/exist`,
		`merchant half: prefer: unrecognized protocol generation "api_v1"`,
		`merchant half: api_v2 client_certificate: needs two paths`,
		`client a: merchant: there is no merchant "nowhere"`,
		`client a: notify_url: is required with callback direct`,
		`client a: order_no: must be a regular expression`,
		`client b: id: "1000000000000001" is already used by client a`,
		`client b: public_key: must be the standard base64`,
		`client b: notify_secret: is required`,
		`client b: merchant: is required when there are several`,
		`client b: allow: unrecognized trade type "cash"`,
		`client b: retry: `,
		`client c: secret: placeholder {env.WXRELAY_TEST_UNSET} is empty`,
		`client c: allow_origin: "x" must be`,
		`client c: max_amount: must be 1 to`,
		`client c: daily_amount: must be 1 to`,
		`client d: compat: unrecognized v2 algorithm "sha1"`,
		`client d: callback: unrecognized callback "later"`,
		`client e: compat: needs a secret`,
	} {
		if n := count(lines, want); n != 1 {
			t.Errorf("%d lines begin with %q, want 1", n, want)
		}
	}
	for _, unwanted := range []string{"public_url: is required", "account shop: secret: must be", "merchant other: api_v3 private_key: is required", "client c: secret: must be"} {
		if n := count(lines, unwanted); n != 0 {
			t.Errorf("%d lines begin with %q: the same mistake twice", n, unwanted)
		}
	}
	if t.Failed() {
		t.Logf("all lines:\n%v", err)
	}
}

func count(lines []string, prefix string) (n int) {
	for _, line := range lines {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

func TestAppRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", `{}`, "public_url: is required"},
		{"no public_url with a distant sandbox", `{"platform": {"url": "https://sandbox.example.com"}}`, "public_url: is required"},
		{"H15: a sandbox on a public address", `{"public_url": "https://pay.example.com", "platform": {"url": "http://localhost:8081"}}`, "platform: is a sandbox"},
		{"platform twice over", `{"public_url": "http://localhost", "platform": {"url": "http://localhost:1", "open": "http://localhost:2"}}`, "platform: one address for all hosts excludes"},
		{"platform in plain http", `{"public_url": "http://localhost", "platform": {"url": "http://wechat.example.com"}}`, "platform: \"http://wechat.example.com\" must use https"},
		{"store that is none", `{"public_url": "http://localhost", "store": {"backend": "tape"}}`, "store: "},
		{"negative ballast", `{"public_url": "http://localhost", "store": {"backend": "badger", "ballast": -1}}`, "store: "},
		{"H15: the sandbox's secret for real", `{"public_url": "http://localhost", "accounts": [{"name": "a", "app_id": "wx8888888888888888", "secret": "` + sandbox.DefaultAppSecret + `"}]}`, "account a: secret: is the sandbox's"},
		{"H15: the sandbox's v2 key for real", `{"public_url": "http://localhost", "merchants": [{"name": "m", "api_v2": {"key": "` + sandbox.DefaultAPIv2Key + `"}}]}`, "merchant m: api_v2 key: is the sandbox's"},
		{"H15: the sandbox's message token for real", `{"public_url": "http://localhost", "accounts": [{"name": "a", "app_id": "wx8888888888888888", "secret": "x", "message_token": "` + sandbox.DefaultMessageToken + `"}]}`, "account a: message_token: is the sandbox's"},
		{"H15: the sandbox's message key for real", `{"public_url": "http://localhost", "accounts": [{"name": "a", "app_id": "wx8888888888888888", "secret": "x", "message_token": "mine", "message_key": "` + sandbox.DefaultMessageKey + `"}]}`, "account a: message_key: is the sandbox's"},
		{"H15: the secret of the sandbox's mini-program for real", `{"public_url": "http://localhost", "accounts": [{"name": "a", "kind": "mini_program", "app_id": "wx8888888888888888", "secret": "` + sandbox.DefaultMiniProgramSecret + `"}]}`, "account a: secret: is the sandbox's"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := provision(t, tt.text)
			if err == nil || count(strings.Split(err.Error(), "\n"), tt.want) == 0 {
				t.Errorf("got %v, want a line that begins with %q", err, tt.want)
			}
		})
	}
}

func TestSandboxPublicIsTheOperatorsWord(t *testing.T) {
	t.Parallel()
	if _, err := provision(t, `{"public_url": "https://demo.example.com", "sandbox_public": true, "platform": {"url": "http://localhost:8081"}}`); err != nil {
		t.Errorf("refused: %v", err)
	}
}

// H03, H06: what Caddy marshals again, and what somebody prints, has the
// placeholders and not the secrets.
func TestProvisionedAppShowsNoSecrets_H06(t *testing.T) {
	app, err := provision(t, merchantApp(t))
	if err != nil {
		t.Fatal(err)
	}
	marshalled, err := json.Marshal(app)
	if err != nil {
		t.Fatal(err)
	}
	configured, err := json.Marshal(app.config)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"JSON of the app":    string(marshalled),
		"JSON of the config": string(configured),
		"%+v of the account": fmt.Sprintf("%+v %#v", app.config.Accounts[0], app.config.Accounts[0]),
		"%+v of the client":  fmt.Sprintf("%+v %#v", app.config.Clients[0], app.config.Clients[0]),
		"%+v of the keys":    fmt.Sprintf("%+v %+v", app.config.Merchants[0].APIv3.Key, app.config.Merchants[0].APIv2),
	} {
		if strings.Contains(text, "MARKEDclient") || strings.Contains(text, "MARKEDnotify") ||
			strings.Contains(text, "MARKEDapp") || strings.Contains(text, "MARKEDapiv") {
			t.Errorf("%s shows a secret: %s", name, text)
		}
	}
	if !strings.Contains(string(marshalled), "{env.MARKED_CLIENT_SECRET}") {
		t.Errorf("the placeholder is gone: %s", marshalled)
	}
}

// H06: adapting fills nothing in.
func TestAdaptShowsNoSecrets_H06(t *testing.T) {
	t.Setenv("MARKED_SECRET", "MARKEDclientsecretMARKEDclientse")
	text, ok := adapt(t, "Caddyfile", []byte("{\n\twxrelay {\n\t\tclient a {\n\t\t\tsecret {env.MARKED_SECRET}\n\t\t}\n\t}\n}\n"))
	if !ok || strings.Contains(text, "MARKEDclient") || !strings.Contains(text, "{env.MARKED_SECRET}") {
		t.Errorf("got %s", text)
	}
}
