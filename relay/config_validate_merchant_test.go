package relay

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"testing"
	"time"
)

// clientCertificate certifies the key, as WeChat Pay does for a merchant.
func clientCertificate(t *testing.T, key *rsa.PrivateKey) *tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(7), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func v2Credentials() *APIv2Credentials {
	return &APIv2Credentials{Key: NewSecret("fedcba9876543210fedcba9876543210"), SignType: V2SignMD5}
}

// onlyV2 leaves the first merchant the older generation.
func onlyV2(c *Config) *APIv2Credentials {
	c.Merchants[0].APIv3, c.Merchants[0].APIv2 = nil, v2Credentials()
	return c.Merchants[0].APIv2
}

// forSub adds a merchant for whom the first one's number collects as a
// service provider's.
func forSub(c *Config, name, subMchID string) *Merchant {
	m := *c.Merchants[0]
	m.Name, m.SubMchID = name, subMchID
	c.Merchants = append(c.Merchants, &m)
	return &m
}

func TestConfigValidateMerchant(t *testing.T) {
	t.Parallel()
	checkMistakes(t, []mistake{
		{"APIv2 alone", func(c *Config) { onlyV2(c) }, ""},
		{"both generations", func(c *Config) { c.Merchants[0].APIv2 = v2Credentials() }, ""},
		{"both, older preferred", func(c *Config) { c.Merchants[0].APIv2, c.Merchants[0].Prefer = v2Credentials(), APIv2 }, ""},
		{"APIv2 key short", func(c *Config) { onlyV2(c).Key = NewSecret("x") }, "merchant main: api_v2 key: must be exactly 32"},
		{"no sign type", func(c *Config) { onlyV2(c).SignType = "" }, "merchant main: api_v2 sign_type: "},
		{"prefer nothing known", func(c *Config) { c.Merchants[0].Prefer = "v4" }, "merchant main: prefer: must be"},
		{"prefer v2 without it", func(c *Config) { c.Merchants[0].Prefer = APIv2 }, "merchant main: prefer: api_v2 has no credentials"},
		{"prefer v3 without it", func(c *Config) { onlyV2(c); c.Merchants[0].Prefer = APIv3 }, "merchant main: prefer: api_v3 has no credentials"},

		{"certificate", func(c *Config) { onlyV2(c).Certificate = clientCertificate(t, testKeys().merchant) }, ""},
		{"certificate empty", func(c *Config) { onlyV2(c).Certificate = &tls.Certificate{} }, "merchant main: api_v2 client_certificate: holds no certificate"},
		{"certificate not one", func(c *Config) {
			onlyV2(c).Certificate = &tls.Certificate{Certificate: [][]byte{{1}}}
		}, "merchant main: api_v2 client_certificate: is not a certificate"},
		{"certificate without key", func(c *Config) {
			onlyV2(c).Certificate = clientCertificate(t, testKeys().merchant)
			c.Merchants[0].APIv2.Certificate.PrivateKey = nil
		}, "merchant main: api_v2 client_certificate: has no private key"},
		{"certificate of another key", func(c *Config) {
			onlyV2(c).Certificate = clientCertificate(t, testKeys().merchant)
			c.Merchants[0].APIv2.Certificate.PrivateKey = testKeys().platform
		}, "merchant main: api_v2 client_certificate: does not belong to its key"},

		{"refunds by policy need a certificate", func(c *Config) {
			onlyV2(c)
			c.Merchants[0].Anomaly.DuplicatePayment = PolicyRefund
		}, "merchant main: api_v2 client_certificate: is required, because the anomaly block"},
		{"refunds by a client need a certificate", func(c *Config) {
			onlyV2(c)
			c.Clients[0].AllowRefund = true
		}, "merchant main: api_v2 client_certificate: is required, because client bookshop"},
		{"refunds with prefer v2 need a certificate", func(c *Config) {
			c.Merchants[0].APIv2, c.Merchants[0].Prefer = v2Credentials(), APIv2
			c.Clients[0].AllowRefund = true
		}, "merchant main: api_v2 client_certificate: is required"},
		{"refunds with a certificate", func(c *Config) {
			onlyV2(c).Certificate = clientCertificate(t, testKeys().merchant)
			c.Merchants[0].Anomaly.PaidAfterClose, c.Clients[0].AllowRefund = PolicyRefund, true
		}, ""},
		{"refunds by APIv3 need none", func(c *Config) {
			c.Merchants[0].APIv2, c.Clients[0].AllowRefund = v2Credentials(), true
		}, ""},
		{"refunds of another merchant's client", func(c *Config) {
			onlyV2(c)
			c.Clients[0].AllowRefund, c.Clients[0].Merchant = true, "attic"
		}, "client bookshop: merchant: "},

		{"policy", func(c *Config) { c.Merchants[0].Anomaly.PaidAfterClose = "keep" }, "merchant main: anomaly paid_after_close: unrecognized"},
		{"daily refund", func(c *Config) { c.Merchants[0].Anomaly.DailyRefundFen = -1 }, "merchant main: anomaly daily_refund: "},

		{"service provider", func(c *Config) {
			c.Merchants[0].SubMchID, c.Merchants[0].SubAppID = "1900000209", "wx7777777777777777"
			c.Merchants[0].Accounts = []string{"blog", "shop"}
		}, ""},
		{"service provider of two", func(c *Config) {
			c.Merchants[0].SubMchID = "1900000209"
			forSub(c, "second", "1900000210")
		}, ""},
		{"sub merchant twice", func(c *Config) {
			c.Merchants[0].SubMchID = "1900000209"
			forSub(c, "second", "1900000209")
		}, `merchant second: sub_mch_id: "1900000209" of mch_id "1900000109" is already used by merchant main`},
		{"one number, two keys", func(c *Config) {
			c.Merchants[0].SubMchID = "1900000209"
			m := forSub(c, "second", "1900000210")
			m.APIv3 = &APIv3Credentials{Key: NewSecret("another-key-another-key-another-"), CertificateSerial: m.APIv3.CertificateSerial, PrivateKey: m.APIv3.PrivateKey, PublicKeys: m.APIv3.PublicKeys}
		}, `merchant second: mch_id: "1900000109" is also the number of merchant main, but the credentials differ`},
		{"one number, one generation more", func(c *Config) {
			c.Merchants[0].SubMchID = "1900000209"
			forSub(c, "second", "1900000210").APIv2 = v2Credentials()
		}, `merchant second: mch_id: "1900000109" is also the number of merchant main, but the credentials differ`},
		{"one number, two v2 keys", func(c *Config) {
			onlyV2(c)
			c.Merchants[0].SubMchID = "1900000209"
			m := forSub(c, "second", "1900000210")
			m.APIv2 = v2Credentials()
			m.APIv2.Key = NewSecret("another-key-another-key-another-")
		}, `merchant second: mch_id: "1900000109" is also the number of merchant main, but the credentials differ`},
		{"sub number", func(c *Config) { c.Merchants[0].SubMchID = "x" }, "merchant main: sub_mch_id: "},
		{"sub number is the provider's", func(c *Config) { c.Merchants[0].SubMchID = "1900000109" }, "merchant main: sub_mch_id: is the service provider's own"},
		{"sub app id", func(c *Config) {
			c.Merchants[0].SubMchID, c.Merchants[0].SubAppID = "1900000209", "x"
		}, "merchant main: sub_app_id: "},
		{"sub app id alone", func(c *Config) { c.Merchants[0].SubAppID = "wx7777777777777777" }, "merchant main: sub_app_id: needs sub_mch_id"},
		{"no account of the provider", func(c *Config) {
			c.Merchants[0].SubMchID, c.Merchants[0].SubAppID = "1900000209", c.Accounts[0].AppID
		}, "merchant main: accounts: at least one must be the service provider's own"},
	})
}

// Accounts that only pay need no secret; a client may be told by WeChat
// itself and may sign by the v2 rule.
func TestConfigAcceptsEveryWayToPay(t *testing.T) {
	t.Parallel()
	checkMistakes(t, []mistake{
		{"mini-program without a secret", func(c *Config) {
			c.Accounts[1].Kind, c.Accounts[1].Secret = AccountMiniProgram, Secret{}
		}, ""},
		{"mobile app without a secret", func(c *Config) {
			c.Accounts[1].Kind, c.Accounts[1].Secret = AccountMobileApp, Secret{}
		}, ""},
		{"every trade type", func(c *Config) { c.Clients[0].Allow = AllTradeTypes() }, ""},
		{"direct", func(c *Config) { c.Clients[0].Callback = CallbackDirect }, ""},
		{"compat", func(c *Config) { c.Clients[0].Compat = CompatMD5 }, ""},
		{"daily amount", func(c *Config) { c.Clients[0].DailyFen = 5_000_000 }, ""},
	})
}
