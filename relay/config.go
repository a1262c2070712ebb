package relay

import (
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
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

	// MasterKeys seal secrets in the store, 32 bytes each: the first seals,
	// all of them open. None means the Runtime's own.
	MasterKeys []Secret

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
	Secret Secret // for logins; an account for payments alone, in an app or a mini-program, may have none

	// MessageToken verifies WeChat's server check and the messages that it
	// pushes; empty: none are taken. MessageKey is the EncodingAESKey, 43
	// characters, of messages that come encrypted.
	MessageToken Secret
	MessageKey   Secret

	VerifyFiles []VerifyFile
}

// VerifyFile proves to WeChat who owns a domain: a text that is served under
// one name at the root of every site.
type VerifyFile struct {
	Name string // such as MP_verify_abc.txt
	Text string // the whole body
}

// OpenIDPolicy says which openids a client may name in orders and payments.
type OpenIDPolicy string

// The policies (threats C10).
const (
	// OpenIDUnborrowed takes what no login of this relay produced for other
	// clients alone or under another app id. It is the default, because a
	// client may know its users by a login that this relay never saw.
	OpenIDUnborrowed OpenIDPolicy = "unborrowed"
	// OpenIDIssued takes only what a login of this relay produced for this
	// very client under the app id in which the buyer pays.
	OpenIDIssued OpenIDPolicy = "issued"
)

// Merchant is a WeChat Pay merchant number with its credentials. At least one
// generation's are there.
type Merchant struct {
	Name     string
	MchID    string   // up to 32 digits
	Accounts []string // names of the accounts bound to the number; the first of the kind needed is used
	APIv3    *APIv3Credentials
	APIv2    *APIv2Credentials
	Prefer   API // generation of new payments; empty: the only one, APIv3 of two

	// SubMchID makes MchID a service provider's number, who collects for this
	// merchant; SubAppID is the merchant's own app id, if buyers pay in it.
	// The first account that is not SubAppID's is the provider's own.
	SubMchID string
	SubAppID string

	Anomaly AnomalyPolicy
}

// AnomalyPolicy says what happens to money that could not settle its order.
// The zero value holds everything. Money of an unknown order is always held.
type AnomalyPolicy struct {
	DuplicatePayment CasePolicy
	PaidAfterClose   CasePolicy
	AmountMismatch   CasePolicy

	// DailyRefundFen bounds what goes back by policy on one Beijing day; what
	// exceeds it is held. 0 means DefaultDailyRefundFen.
	DailyRefundFen int64
}

// DefaultDailyRefundFen is 10,000 yuan.
const DefaultDailyRefundFen = 1_000_000

// APIv3Credentials are what a merchant needs to speak APIv3.
type APIv3Credentials struct {
	Key                  Secret // exactly 32 bytes
	CertificateSerial    string // upper hex
	PrivateKey           *rsa.PrivateKey
	PublicKeys           map[string]*rsa.PublicKey // PUB_KEY_ID_… to key
	PlatformCertificates bool                      // fetch and rotate platform certificates
}

// APIv2Credentials are what a merchant needs to speak APIv2.
type APIv2Credentials struct {
	Key         Secret           // exactly 32 characters
	SignType    V2SignType       // of requests, and of the notifications of orders made with it
	Certificate *tls.Certificate // the merchant's, which refunds need; nil without refunds

	// AcceptMD5 lets notifications be signed by MD5 where HMAC-SHA256 was
	// ordered (threats A04).
	AcceptMD5 bool
}

// CallbackMode says whom WeChat notifies of a client's payments.
type CallbackMode string

// The modes.
const (
	CallbackRelay  CallbackMode = "relay"
	CallbackDirect CallbackMode = "direct" // the client itself, which holds the merchant's keys
)

// CompatMode says which v2-style signatures a client may use beside the
// relay's own (contract section 3.3).
type CompatMode string

// The modes; the empty one allows none.
const (
	CompatHMAC CompatMode = "hmac"
	CompatMD5  CompatMode = "md5" // and HMAC-SHA256
)

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
	Callback      CallbackMode // empty: CallbackRelay
	Compat        CompatMode
	Confirm       bool
	Allow         []TradeType
	AllowRefund   bool
	AllowSharing  bool
	Rate          float64 // signed requests per second, burst twice that
	MaxAmountFen  int64   // per order; 0: no limit
	DailyFen      int64   // of all orders of a Beijing day; 0: no limit
	Schedule      []time.Duration
	AllowNetworks []netip.Prefix // in addition to the Config's

	// RedirectURIs are the addresses, as whole strings, to which browsers
	// return from a login.
	RedirectURIs []string
	OpenIDPolicy OpenIDPolicy // empty: OpenIDUnborrowed

	// AllowAPI are the paths below /cgi-bin/ that the client may call through
	// the relay: a whole path, or one that ends with "/*" for all below it.
	AllowAPI []string
	// RawToken lets the client fetch the account's own access_token and
	// jsapi_ticket instead of ones that work through the relay alone.
	RawToken bool

	// MessagesURL is where the client is told of messages that WeChat pushes
	// to its account, or to the accounts of its merchant when it names none;
	// empty: it did not subscribe.
	MessagesURL string
}
