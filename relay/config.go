package relay

import (
	"crypto/ed25519"
	"crypto/rsa"
	"net/netip"
	"net/url"
	"regexp"
	"time"
)

// Config is one configuration of the relay: what an operator wrote, with
// secrets resolved and key files parsed. Validate says what is wrong with
// it; a Service is made from a valid one.
type Config struct {
	// PublicURL is the origin, and path prefix if any, at which clients,
	// buyers and WeChat reach the relay. Never taken from a request.
	PublicURL *url.URL

	// Platform holds WeChat's hosts. The zero value means the real ones.
	Platform Platform

	// AllowNetworks are private ranges that deliveries to every client may
	// reach; none by default.
	AllowNetworks []netip.Prefix

	Accounts  []*Account
	Merchants []*Merchant
	Clients   []*Client
}

// Platform names WeChat's hosts, each an origin with an optional path
// prefix and no trailing slash.
type Platform struct {
	PayAPI       string // default https://api.mch.weixin.qq.com
	PayAPIBackup string // default https://api2.mch.weixin.qq.com; empty with an overridden PayAPI: no fail-over
	BaseAPI      string // default https://api.weixin.qq.com
	Open         string // default https://open.weixin.qq.com

	// Sandbox says that these hosts play WeChat. It is shown on every page.
	Sandbox bool
}

// AccountKind is the kind of a WeChat account.
type AccountKind string

// The kinds of accounts.
const (
	AccountOfficial    AccountKind = "official_account"
	AccountMiniProgram AccountKind = "mini_program"
	AccountMobileApp   AccountKind = "mobile_app"
	AccountWebsiteApp  AccountKind = "website_app"
)

// Account is a WeChat account with its own app id and secret.
type Account struct {
	Name   string
	Kind   AccountKind
	AppID  string // wx and 16 characters
	Secret Secret
}

// Merchant is a WeChat Pay merchant number with its credentials.
type Merchant struct {
	Name     string
	MchID    string   // up to 32 digits
	Accounts []string // names of the accounts bound to the number; the first of the kind needed is used
	APIv3    *APIv3Credentials
}

// APIv3Credentials are what a merchant needs to speak APIv3.
type APIv3Credentials struct {
	Key                  Secret // exactly 32 bytes
	CertificateSerial    string // upper hex
	PrivateKey           *rsa.PrivateKey
	PublicKeys           map[string]*rsa.PublicKey // PUB_KEY_ID_… to key
	PlatformCertificates bool                      // fetch and rotate platform certificates
}

// Client is a third-party site that uses the relay.
type Client struct {
	Name          string
	ID            string              // 16 characters [0-9A-Za-z]
	Secrets       []Secret            // one, or two during rotation; 32 characters each
	PublicKeys    []ed25519.PublicKey // for WXRELAY1-ED25519
	NotifySecrets []Secret            // one, or two during rotation; never empty in a valid Config
	Merchant      string              // name
	Account       string              // name; empty: the merchant's first of the kind needed
	NotifyURL     string
	AllowOrigins  []string       // scheme://host[:port], lower case
	OrderNo       *regexp.Regexp // stricter rule for order numbers, or nil
	Notify        NotifyFormat
	Confirm       bool
	Allow         []TradeType
	Rate          float64 // signed requests per second, burst twice that
	MaxAmountFen  int64   // per order; 0: no limit
	Schedule      []time.Duration
	AllowNetworks []netip.Prefix // in addition to the Config's
}
