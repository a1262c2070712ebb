package relay

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testKeys are made once: RSA keys are slow to find.
var testKeys = sync.OnceValue(func() (keys struct{ merchant, platform, small *rsa.PrivateKey }) {
	keys.merchant = mustRSAKey(2048)
	keys.platform = mustRSAKey(2048)
	keys.small = mustRSAKey(1024)
	return keys
})

func mustRSAKey(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return key
}

// wellFormed returns a configuration in which nothing is wrong.
func wellFormed(t *testing.T) *Config {
	t.Helper()
	return &Config{
		PublicURL: &url.URL{Scheme: "https", Host: "pay.example.com"},
		Accounts: []*Account{
			{Name: "shop", Kind: AccountOfficial, AppID: "wx8888888888888888", Secret: NewSecret("app-secret")},
			{Name: "blog", Kind: AccountOfficial, AppID: "wx7777777777777777", Secret: NewSecret("app-secret")},
		},
		Merchants: []*Merchant{{
			Name: "main", MchID: "1900000109", Accounts: []string{"shop"},
			APIv3: &APIv3Credentials{
				Key:               NewSecret("0123456789abcdef0123456789ABCDEF"),
				CertificateSerial: "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
				PrivateKey:        testKeys().merchant,
				PublicKeys:        map[string]*rsa.PublicKey{"PUB_KEY_ID_0001": &testKeys().platform.PublicKey},
			},
		}},
		Clients: []*Client{{
			Name: "bookshop", ID: "1000000000000001",
			Secrets:       []Secret{NewSecret("0123456789abcdef0123456789ABCDEF")},
			NotifySecrets: []Secret{NewSecret("abcdef0123456789ABCDEF0123456789")},
			Merchant:      "main", Account: "shop",
			NotifyURL:    "https://books.example.com/pay/notify",
			AllowOrigins: []string{"https://books.example.com"},
			Notify:       NotifyStandard,
			Allow:        []TradeType{TradeJSAPI, TradeNative},
			Rate:         DefaultRate,
			Schedule:     DefaultSchedule(),
		}},
	}
}

// mistake is a change to a well-formed configuration that is to be refused.
type mistake struct {
	name   string
	change func(c *Config)
	want   string // block, field and the beginning of the fix; empty: to be accepted
}

func TestConfigValidate(t *testing.T) {
	t.Parallel()
	checkMistakes(t, []mistake{
		{"nothing wrong", func(*Config) {}, ""},
		{"no public_url", func(c *Config) { c.PublicURL = nil }, "public_url: is required"},
		{"public_url in plain http", func(c *Config) { c.PublicURL.Scheme = "http" }, `public_url: "http://pay.example.com" must use https`},
		{"public_url not normal", func(c *Config) { c.PublicURL.Host = "PAY.example.com" }, `public_url: must be written "https://pay.example.com"`},
		{"platform address", func(c *Config) { c.Platform.BaseAPI = "api" }, "platform: base_api: "},
		{"networks of all", func(c *Config) { c.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")} }, "allow_networks: "},
		{"no account", func(c *Config) { c.Accounts = nil }, "account: at least one account block"},
		{"no merchant", func(c *Config) { c.Merchants = nil }, "merchant: at least one merchant block"},

		{"account name", func(c *Config) { c.Accounts[1].Name = "a b" }, "account a b: "},
		{"account twice", func(c *Config) { c.Accounts[1].Name = "shop" }, `account shop: "shop" is already used`},
		{"account kind", func(c *Config) { c.Accounts[0].Kind = "component" }, "account shop: kind: "},
		{"mini-program's secret", func(c *Config) {
			c.Accounts[0].Kind, c.Accounts[0].Secret = AccountMiniProgram, NewSecret("a b")
		}, "account shop: secret: "},
		{"app id", func(c *Config) { c.Accounts[0].AppID = "wx1" }, "account shop: app_id: "},
		{"app id twice", func(c *Config) { c.Accounts[1].AppID = c.Accounts[0].AppID }, "account blog: app_id: "},
		{"account secret", func(c *Config) { c.Accounts[0].Secret = Secret{} }, "account shop: secret: "},

		{"merchant twice", func(c *Config) {
			other := *c.Merchants[0]
			other.MchID = "1900000110"
			c.Merchants = append(c.Merchants, &other)
		}, `merchant main: "main" is already used`},
		{"mch id", func(c *Config) { c.Merchants[0].MchID = "x" }, "merchant main: mch_id: "},
		{"mch id twice", func(c *Config) {
			other := *c.Merchants[0]
			other.Name = "second"
			c.Merchants = append(c.Merchants, &other)
		}, "merchant second: mch_id: "},
		{"merchant without accounts", func(c *Config) { c.Merchants[0].Accounts = nil }, "merchant main: accounts: "},
		{"merchant with a strange account", func(c *Config) { c.Merchants[0].Accounts = []string{"shop", "attic"} }, `merchant main: accounts: there is no account "attic"; known are ["shop" "blog"]`},
		{"merchant with an account twice", func(c *Config) { c.Merchants[0].Accounts = []string{"shop", "shop"} }, `merchant main: accounts: account "shop" is named twice`},
		{"no credentials", func(c *Config) { c.Merchants[0].APIv3 = nil }, "merchant main: api_v3: is required unless api_v2 is given"},
		{"APIv3 key", func(c *Config) { c.Merchants[0].APIv3.Key = NewSecret("short") }, "merchant main: api_v3 key: must be exactly 32 bytes, but has 5"},
		{"serial", func(c *Config) { c.Merchants[0].APIv3.CertificateSerial = "" }, "merchant main: api_v3 certificate_serial: "},
		{"no private key", func(c *Config) { c.Merchants[0].APIv3.PrivateKey = nil }, "merchant main: api_v3 private_key: is required"},
		{"small private key", func(c *Config) { c.Merchants[0].APIv3.PrivateKey = testKeys().small }, "merchant main: api_v3 private_key: RSA key of 1024 bits"},
		{"no public key", func(c *Config) { c.Merchants[0].APIv3.PublicKeys = nil }, "merchant main: api_v3 public_key: is required unless"},
		{"public key id", func(c *Config) {
			c.Merchants[0].APIv3.PublicKeys = map[string]*rsa.PublicKey{"1": &testKeys().platform.PublicKey}
		}, "merchant main: api_v3 public_key: "},
		{"public key missing", func(c *Config) { c.Merchants[0].APIv3.PublicKeys["PUB_KEY_ID_0001"] = nil }, "merchant main: api_v3 public_key: PUB_KEY_ID_0001 has no key"},
		{"small public key", func(c *Config) { c.Merchants[0].APIv3.PublicKeys["PUB_KEY_ID_0001"] = &testKeys().small.PublicKey }, "merchant main: api_v3 public_key: PUB_KEY_ID_0001: RSA key of 1024 bits"},
		{"own key as WeChat's", func(c *Config) {
			c.Merchants[0].APIv3.PublicKeys["PUB_KEY_ID_0001"] = &testKeys().merchant.PublicKey
		}, "merchant main: api_v3 public_key: PUB_KEY_ID_0001 is the merchant's own key"},

		{"client twice", func(c *Config) {
			other := *c.Clients[0]
			other.ID = "1000000000000002"
			c.Clients = append(c.Clients, &other)
		}, `client bookshop: "bookshop" is already used`},
		{"client id", func(c *Config) { c.Clients[0].ID = "1" }, "client bookshop: id: "},
		{"client id twice", func(c *Config) {
			other := *c.Clients[0]
			other.Name = "second"
			c.Clients = append(c.Clients, &other)
		}, `client second: id: "1000000000000001" is already used by client bookshop`},
		{"no secret", func(c *Config) { c.Clients[0].Secrets = nil }, "client bookshop: secret: is required"},
		{"short secret", func(c *Config) { c.Clients[0].Secrets = []Secret{NewSecret("x")} }, "client bookshop: secret: must be 32 characters of 0-9 A-Z a-z, but has 1"},
		{"secret twice", func(c *Config) { c.Clients[0].Secrets = append(c.Clients[0].Secrets, c.Clients[0].Secrets[0]) }, "client bookshop: secret: both are the same"},
		{"three secrets", func(c *Config) {
			c.Clients[0].Secrets = []Secret{
				NewSecret("0123456789abcdef0123456789ABCDE1"),
				NewSecret("0123456789abcdef0123456789ABCDE2"), NewSecret("0123456789abcdef0123456789ABCDE3"),
			}
		}, "client bookshop: secret: at most two"},
		{"no notify secret", func(c *Config) { c.Clients[0].NotifySecrets = nil }, "client bookshop: notify_secret: is required"},
		{"short notify secret", func(c *Config) { c.Clients[0].NotifySecrets = []Secret{NewSecret("x")} }, "client bookshop: notify_secret: must be 32"},
		{"three public keys", func(c *Config) { c.Clients[0].PublicKeys = make([]ed25519.PublicKey, 3) }, "client bookshop: public_key: at most two"},
		{"strange merchant", func(c *Config) { c.Clients[0].Merchant = "attic" }, `client bookshop: merchant: there is no merchant "attic"; known are ["main"]`},
		{"which merchant", func(c *Config) { c.Clients[0].Merchant = "" }, "client bookshop: merchant: is required when there are several"},
		{"strange account", func(c *Config) { c.Clients[0].Account = "attic" }, `client bookshop: account: there is no account "attic"`},
		{"account of another merchant", func(c *Config) { c.Clients[0].Account = "blog" }, `client bookshop: account: account "blog" is not bound to merchant "main"`},
		{"notify url", func(c *Config) { c.Clients[0].NotifyURL = "ftp://x" }, "client bookshop: notify_url: "},
		{"origin with a path", func(c *Config) { c.Clients[0].AllowOrigins = []string{"https://a.example/x"} }, "client bookshop: allow_origin: "},
		{"origin not normal", func(c *Config) { c.Clients[0].AllowOrigins = []string{"https://A.example"} }, `client bookshop: allow_origin: must be written "https://a.example"`},
		{"client's networks", func(c *Config) { c.Clients[0].AllowNetworks = []netip.Prefix{{}} }, "client bookshop: allow_networks: "},
		{"notify format", func(c *Config) { c.Clients[0].Notify = "" }, "client bookshop: notify: "},
		{"nothing allowed", func(c *Config) { c.Clients[0].Allow = nil }, "client bookshop: allow: at least one"},
		{"trade type", func(c *Config) { c.Clients[0].Allow = []TradeType{"cash"} }, "client bookshop: allow: "},
		{"nothing that has an account", func(c *Config) {
			c.Clients[0].Allow = []TradeType{TradeApp, TradeMiniProgram}
		}, `client bookshop: allow: merchant "main" has no account of the kind that app needs`},
		{"rate", func(c *Config) { c.Clients[0].Rate = 0 }, "client bookshop: rate: "},
		{"max amount", func(c *Config) { c.Clients[0].MaxAmountFen = -1 }, "client bookshop: max_amount: "},
		{"daily amount", func(c *Config) { c.Clients[0].DailyFen = -1 }, "client bookshop: daily_amount: "},
		{"callback", func(c *Config) { c.Clients[0].Callback = "both" }, "client bookshop: callback: "},
		{"direct without an address", func(c *Config) {
			c.Clients[0].Callback, c.Clients[0].NotifyURL = CallbackDirect, ""
		}, "client bookshop: notify_url: is required with callback direct"},
		{"compat", func(c *Config) { c.Clients[0].Compat = "sha1" }, "client bookshop: compat: unrecognized"},
		{"compat without a secret", func(c *Config) {
			c.Clients[0].Compat, c.Clients[0].Secrets = CompatHMAC, nil
		}, "client bookshop: compat: needs a secret"},
		{"schedule", func(c *Config) { c.Clients[0].Schedule = []time.Duration{0} }, "client bookshop: retry: "},
	})
}

// checkMistakes makes each change to a configuration of its own.
func checkMistakes(t *testing.T, mistakes []mistake) {
	t.Helper()
	for _, tt := range mistakes {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := wellFormed(t)
			tt.change(c)
			err := c.Validate()
			switch {
			case err == nil && tt.want == "":
			case err == nil:
				t.Errorf("accepted; want %q", tt.want)
			case tt.want == "":
				t.Errorf("refused: %v", err)
			case !slices.ContainsFunc(strings.Split(err.Error(), "\n"), func(line string) bool { return strings.HasPrefix(line, tt.want) }):
				t.Errorf("got %v, want a line that begins with %q", err, tt.want)
			}
		})
	}
}

func TestConfigValidateReportsAllAtOnce(t *testing.T) {
	t.Parallel()
	c := wellFormed(t)
	c.PublicURL = nil
	c.Accounts[0].AppID = ""
	c.Merchants[0].APIv3.Key = Secret{}
	c.Clients[0].Merchant = "attic"
	err := c.Validate()
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"public_url: ", "account shop: app_id: ", "merchant main: api_v3 key: ", "client bookshop: merchant: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

func TestConfigOfEd25519ClientNeedsNoSecret(t *testing.T) {
	t.Parallel()
	c := wellFormed(t)
	c.Clients[0].Secrets = nil
	c.Clients[0].PublicKeys = []ed25519.PublicKey{make(ed25519.PublicKey, ed25519.PublicKeySize)}
	if err := c.Validate(); err != nil {
		t.Errorf("refused: %v", err)
	}
}

// H15: a sandbox believes everybody, so it serves a public address only when
// the operator says so.
func TestUnsafeSandbox_H15(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, public string
		sandbox      bool
		unsafe       bool
	}{
		{"WeChat, public", "https://pay.example.com", false, false},
		{"sandbox, public", "https://pay.example.com", true, true},
		{"sandbox, this machine", "http://localhost:8080", true, false},
		{"sandbox, private network", "http://10.0.0.1", true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(tt.public)
			if err != nil {
				t.Fatal(err)
			}
			c := &Config{PublicURL: u, Platform: Platform{Sandbox: tt.sandbox}}
			if err := c.UnsafeSandbox(); (err != nil) != tt.unsafe {
				t.Errorf("UnsafeSandbox() = %v, want unsafe %t", err, tt.unsafe)
			}
		})
	}
}

func TestLoopbackPlatform(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		platform Platform
		want     bool
	}{
		{Platform{PayAPI: "http://localhost:8081", Sandbox: true}, true},
		{Platform{PayAPI: "http://127.0.0.1:8081", Sandbox: true}, true},
		{Platform{PayAPI: "http://localhost:8081"}, false},
		{Platform{PayAPI: "https://sandbox.example.com", Sandbox: true}, false},
		{Platform{}, false},
	} {
		if got := (&Config{Platform: tt.platform}).LoopbackPlatform(); got != tt.want {
			t.Errorf("LoopbackPlatform of %+v = %t, want %t", tt.platform, got, tt.want)
		}
	}
}
