package sandbox

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// CertificateStatus says whether a merchant's API certificate still counts.
type CertificateStatus string

// The states of a merchant certificate; each but the first is refused with a
// text of its own (v3.md 3).
const (
	CertificateValid    CertificateStatus = ""
	CertificateExpired  CertificateStatus = "expired"
	CertificateRevoked  CertificateStatus = "revoked"
	CertificateReplaced CertificateStatus = "replaced"
)

// MerchantCertificate is an API certificate of a merchant, reduced to what
// verifying takes.
type MerchantCertificate struct {
	Serial    string // upper hex
	PublicKey *rsa.PublicKey
	Status    CertificateStatus
}

// Merchant is a merchant number that the sandbox knows beside the default
// one.
type Merchant struct {
	MchID string // up to 32 digits

	// APIv3Key has 32 bytes. Empty means that the merchant never set one:
	// every v3 call is refused and no v3 notification is sent.
	APIv3Key []byte

	// APIv2Key has 32 letters and digits. Empty means that the merchant never
	// set one: every v2 call is refused and no v2 notification is sent.
	APIv2Key []byte

	// Certificates are those of the merchant. None means that the merchant
	// never applied for one.
	Certificates []MerchantCertificate

	// AppIDs are bound to the merchant number.
	AppIDs []string

	// SubMerchants are those for which the merchant, then a service provider,
	// may ask for payments.
	SubMerchants []SubMerchant

	// MaxShareRatio is what of an order the merchant can share with others,
	// in ten-thousandths. 0 means 3000, which is 30 %.
	MaxShareRatio int

	// H5Domains are registered for H5 payments. Empty means the host of each
	// order's notify_url.
	H5Domains []string

	// RefundNotifyURL is where the merchant's console says that refunds are
	// told which name no address themselves. Empty means the address of the
	// order.
	RefundNotifyURL string

	// PublicKeyOnly plays a merchant of the newer kind, who has no platform
	// certificates: GET /v3/certificates fails (v3.md 5).
	PublicKeyOnly bool
}

// SubMerchant is a merchant that a service provider receives money for.
type SubMerchant struct {
	MchID  string   // up to 32 digits
	AppIDs []string // bound to it
}

// AccountKind is the kind of a WeChat account.
type AccountKind string

// The kinds of accounts. An account of no kind is taken for all of them.
const (
	OfficialAccount AccountKind = "official_account"
	MiniProgram     AccountKind = "mini_program"
	MobileApp       AccountKind = "mobile_app"
	WebsiteApp      AccountKind = "website_app"
)

// Account is a WeChat account that the sandbox knows beside the default one.
type Account struct {
	AppID  string
	Secret string

	// Kind decides in which trade types users of the account can pay.
	Kind AccountKind

	// RedirectHosts are the registered web authorisation domains. Empty
	// allows every host.
	RedirectHosts []string

	// JSDomains are the registered domains of pages that use the JS-SDK.
	// Empty allows every host.
	JSDomains []string

	// MessageToken and MessageKey are the Token and the EncodingAESKey of the
	// account's server settings. Empty means DefaultMessageToken and
	// DefaultMessageKey.
	MessageToken, MessageKey string

	// OpenIDs are accepted as payers beside those of the test users.
	OpenIDs []string

	// BaseOnly plays an account that may not ask for snsapi_userinfo.
	BaseOnly bool
}

// user is a person who can pay and log in here.
type user struct {
	ID   string
	Name string // nickname
}

// testUsers are the people of the sandbox; the first is the current one
// until the phone page is told otherwise.
var testUsers = []user{
	{ID: "ming", Name: "小明"},
	{ID: "hong", Name: "小红"},
	{ID: "wang", Name: "老王"},
	{ID: "ada", Name: "Ada"},
}

// userByID finds a test user.
func userByID(id string) (user, bool) {
	i := slices.IndexFunc(testUsers, func(u user) bool { return u.ID == id })
	if i < 0 {
		return user{}, false
	}
	return testUsers[i], true
}

// OpenID returns the openid of a test user ("ming", "hong", "wang", "ada")
// under an app id. It has WeChat's form, 28 characters, and is the same in
// every process.
func OpenID(appID, userID string) string {
	sum := sha256.Sum256([]byte("wxrelay sandbox openid\n" + appID + "\n" + userID))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:])[:27]
}

// unionID returns the unionid of a test user.
func unionID(userID string) string {
	sum := sha256.Sum256([]byte("wxrelay sandbox unionid\n" + userID))
	return "o6_" + base64.RawURLEncoding.EncodeToString(sum[:])[:25]
}

// directory holds the merchants and accounts; it never changes once made.
type directory struct {
	merchants map[string]*merchant
	accounts  map[string]*Account
}

// merchant is a Merchant with its cipher.
type merchant struct {
	Merchant
	cipher *payv3.Cipher // nil without an APIv3 key
}

var (
	mchIDForm  = regexp.MustCompile(`^[0-9]{1,32}$`)
	appIDForm  = regexp.MustCompile(`^wx[0-9A-Za-z]{1,30}$`)
	serialForm = regexp.MustCompile(`^[0-9A-F]{1,40}$`)

	apiV2KeyForm = regexp.MustCompile(`^[0-9A-Za-z]{32}$`)
)

// newDirectory checks the lists and adds the default merchant and account.
// It reports every fault at once.
func newDirectory(merchants []Merchant, accounts []Account) (*directory, error) {
	d := &directory{merchants: map[string]*merchant{}, accounts: map[string]*Account{}}
	var faults []error
	for _, a := range defaultAccounts() {
		d.accounts[a.AppID] = &a
	}
	for _, a := range accounts {
		faults = append(faults, d.addAccount(a, accounts))
	}
	defaultMerchant := Merchant{
		MchID:    DefaultMchID,
		APIv3Key: []byte(DefaultAPIv3Key),
		APIv2Key: []byte(DefaultAPIv2Key),
		Certificates: []MerchantCertificate{
			{Serial: DefaultCertificateSerial, PublicKey: &merchantKey().PublicKey},
		},
		AppIDs:       unclaimed(d.accounts, merchants),
		SubMerchants: []SubMerchant{{MchID: DefaultSubMchID, AppIDs: []string{DefaultSubAppID}}},
	}
	for _, m := range append([]Merchant{defaultMerchant}, merchants...) {
		faults = append(faults, d.addMerchant(m))
	}
	return d, errors.Join(faults...)
}

// unclaimed lists the app ids that no configured merchant names; they belong
// to the default merchant. That of its sub merchant does not.
func unclaimed(accounts map[string]*Account, merchants []Merchant) []string {
	ids := []string{DefaultAppID}
	for _, id := range slices.Sorted(maps.Keys(accounts)) {
		claimed := slices.ContainsFunc(merchants, func(m Merchant) bool { return slices.Contains(m.AppIDs, id) })
		if !claimed && id != DefaultAppID && id != DefaultSubAppID {
			ids = append(ids, id)
		}
	}
	return ids
}

// addAccount checks and adds one account of a list. An account with a default
// app id replaces the default one.
func (d *directory) addAccount(a Account, list []Account) error {
	if !appIDForm.MatchString(a.AppID) {
		return fmt.Errorf("sandbox account %q: the app id must be wx and up to 30 letters and digits", a.AppID)
	}
	same := func(other Account) bool { return other.AppID == a.AppID }
	if first := slices.IndexFunc(list, same); slices.ContainsFunc(list[first+1:], same) {
		return fmt.Errorf("sandbox account %q: listed twice", a.AppID)
	}
	if a.Secret == "" {
		return fmt.Errorf("sandbox account %q: the secret is empty", a.AppID)
	}
	switch a.Kind {
	case "", OfficialAccount, MiniProgram, MobileApp, WebsiteApp:
	default:
		return fmt.Errorf("sandbox account %q: there is no kind %q", a.AppID, a.Kind)
	}
	d.accounts[a.AppID] = &a
	return nil
}

// addMerchant checks and adds one merchant. A merchant with the default
// number replaces the default one.
func (d *directory) addMerchant(m Merchant) error {
	if !mchIDForm.MatchString(m.MchID) {
		return fmt.Errorf("sandbox merchant %q: the number must be 1 to 32 digits", m.MchID)
	}
	if _, twice := d.merchants[m.MchID]; twice && m.MchID != DefaultMchID {
		return fmt.Errorf("sandbox merchant %q: listed twice", m.MchID)
	}
	added := &merchant{Merchant: m}
	if len(m.APIv3Key) > 0 {
		cipher, err := payv3.NewCipher(m.APIv3Key)
		if err != nil {
			return fmt.Errorf("sandbox merchant %q: APIv3 key: %w", m.MchID, err)
		}
		added.cipher = cipher
	}
	if len(m.APIv2Key) > 0 && !apiV2KeyForm.Match(m.APIv2Key) {
		return fmt.Errorf("sandbox merchant %q: APIv2 key: must be 32 letters and digits", m.MchID)
	}
	if m.MaxShareRatio < 0 || m.MaxShareRatio > 10000 {
		return fmt.Errorf("sandbox merchant %q: share ratio %d: must be 0 to 10000", m.MchID, m.MaxShareRatio)
	}
	for _, c := range m.Certificates {
		if !serialForm.MatchString(c.Serial) || c.PublicKey == nil {
			return fmt.Errorf("sandbox merchant %q: certificate %q: needs a serial of 1 to 40 upper hex digits and a public key", m.MchID, c.Serial)
		}
	}
	bound := slices.Clone(m.AppIDs)
	for _, sub := range m.SubMerchants {
		if !mchIDForm.MatchString(sub.MchID) {
			return fmt.Errorf("sandbox merchant %q: sub merchant %q: the number must be 1 to 32 digits", m.MchID, sub.MchID)
		}
		bound = append(bound, sub.AppIDs...)
	}
	for _, appID := range bound {
		if d.accounts[appID] == nil {
			return fmt.Errorf("sandbox merchant %q: bound to app id %q, which is no account here", m.MchID, appID)
		}
	}
	d.merchants[m.MchID] = added
	return nil
}

// certificate finds a certificate of the merchant.
func (m *merchant) certificate(serial string) (MerchantCertificate, bool) {
	i := slices.IndexFunc(m.Certificates, func(c MerchantCertificate) bool { return c.Serial == serial })
	if i < 0 {
		return MerchantCertificate{}, false
	}
	return m.Certificates[i], true
}

// subMerchant finds a sub merchant of a service provider.
func (m *merchant) subMerchant(mchID string) (SubMerchant, bool) {
	i := slices.IndexFunc(m.SubMerchants, func(sub SubMerchant) bool { return sub.MchID == mchID })
	if i < 0 {
		return SubMerchant{}, false
	}
	return m.SubMerchants[i], true
}

// bound reports whether the app id is bound to the merchant.
func (m *merchant) bound(appID string) bool { return slices.Contains(m.AppIDs, appID) }

// takes reports whether a user can pay in an account of this kind by the
// trade type: JSAPI inside WeChat, APP in an app, the others anywhere.
func (k AccountKind) takes(tradeType string) bool {
	switch {
	case k == "":
		return true
	case tradeType == tradeJSAPI:
		return k == OfficialAccount || k == MiniProgram
	case tradeType == tradeApp:
		return k == MobileApp
	default:
		return true
	}
}

// payerStatus says what an openid is to an app id.
type payerStatus int

const (
	payerUnknown payerStatus = iota // nobody has it
	payerForeign                    // somebody has it, under another app id
	payerKnown
)

// payer says whether the openid belongs to the app id.
func (d *directory) payer(appID, openID string) payerStatus {
	status := payerUnknown
	for id, account := range d.accounts {
		owns := slices.Contains(account.OpenIDs, openID) ||
			slices.ContainsFunc(testUsers, func(u user) bool { return OpenID(id, u.ID) == openID })
		switch {
		case owns && id == appID:
			return payerKnown
		case owns:
			status = payerForeign
		}
	}
	return status
}
