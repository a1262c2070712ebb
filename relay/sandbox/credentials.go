package sandbox

import (
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
)

// Credentials that the sandbox accepts without any configuration. All of
// them are public and say so.
const (
	// DefaultMchID is the merchant number of WeChat's own examples.
	DefaultMchID = "1900000109"
	// DefaultAppID is the app id of WeChat's own examples.
	DefaultAppID = "wx8888888888888888"
	// DefaultAppSecret is the secret of the default account.
	DefaultAppSecret = "SANDBOXappsecretSANDBOXappsecret"
	// DefaultAPIv3Key is the APIv3 key of the default merchant, 32 bytes.
	DefaultAPIv3Key = "SANDBOX-not-a-secret-APIv3-key-0"
	// DefaultAPIv2Key is the APIv2 key of the default merchant, 32 letters and
	// digits.
	DefaultAPIv2Key = "SANDBOXnotASecretAPIv2key0000000"
	// DefaultMiniProgramAppID, DefaultMobileAppID and DefaultWebsiteAppID are
	// bound to the default merchant beside DefaultAppID, which is an official
	// account.
	DefaultMiniProgramAppID = "wx5a4d42000000000a"
	DefaultMobileAppID      = "wx5a4d42000000000b"
	DefaultWebsiteAppID     = "wx5a4d42000000000c"
	// DefaultMiniProgramSecret, DefaultMobileSecret and DefaultWebsiteSecret
	// are the secrets of these accounts.
	DefaultMiniProgramSecret = "SANDBOXminiprogramsecretSANDBOX0" //nolint:gosec // public, and worth nothing
	DefaultMobileSecret      = "SANDBOXmobileappsecretSANDBOX000"
	DefaultWebsiteSecret     = "SANDBOXwebsitesecretSANDBOX00000"
	// DefaultMessageToken and DefaultMessageKey are the Token and the
	// EncodingAESKey of every account's server settings.
	DefaultMessageToken = "SANDBOXmessagetoken"
	DefaultMessageKey   = "SANDBOXnotASecretEncodingAESKey000000000000"
	// DefaultSubMchID is a merchant for which the default merchant receives
	// money as a service provider, and DefaultSubAppID its official account.
	DefaultSubMchID  = "1900000209"
	DefaultSubAppID  = "wx5a4d42000000000d"
	DefaultSubSecret = "SANDBOXsubmerchantsecretSANDBOX0"
	// DefaultCertificateSerial is the serial of the default merchant's
	// certificate: "SANDBOX MERCHANT 001" in hex.
	DefaultCertificateSerial = "53414E44424F58204D45524348414E5420303031"
	// DefaultPublicKeyID names the key of the public-key mode. Ids end in
	// digits; these are zeros and the ASCII codes of SANDBOX.
	DefaultPublicKeyID = "PUB_KEY_ID_0000000000000000000083657868667988"

	defaultPlatformSerial = "53414E44424F5820504C4154464F524D20303031"
	rotatedPlatformSerial = "53414E44424F5820504C4154464F524D20303032"
)

// defaultAccounts are known without any configuration.
func defaultAccounts() []Account {
	return []Account{
		{AppID: DefaultAppID, Secret: DefaultAppSecret, Kind: OfficialAccount},
		{AppID: DefaultMiniProgramAppID, Secret: DefaultMiniProgramSecret, Kind: MiniProgram},
		{AppID: DefaultMobileAppID, Secret: DefaultMobileSecret, Kind: MobileApp},
		{AppID: DefaultWebsiteAppID, Secret: DefaultWebsiteSecret, Kind: WebsiteApp},
		{AppID: DefaultSubAppID, Secret: DefaultSubSecret, Kind: OfficialAccount},
	}
}

// Credentials are what a merchant and an account need to speak to the
// sandbox. They are derived from a public constant and are the same in every
// process; nothing in them is secret.
type Credentials struct {
	MchID               string
	APIv3Key            []byte
	APIv2Key            []byte
	CertificateSerial   string
	Certificate         *x509.Certificate
	PrivateKey          *rsa.PrivateKey
	PublicKeyID         string
	PublicKey           *rsa.PublicKey
	PlatformCertificate *x509.Certificate
	AppID               string
	AppSecret           string
}

// DefaultCredentials returns the credentials of the default merchant and
// account. The first call derives the keys, which takes a few hundred
// milliseconds; later calls share them.
func DefaultCredentials() Credentials {
	return Credentials{
		MchID:               DefaultMchID,
		APIv3Key:            []byte(DefaultAPIv3Key),
		APIv2Key:            []byte(DefaultAPIv2Key),
		CertificateSerial:   DefaultCertificateSerial,
		Certificate:         merchantCertificate(),
		PrivateKey:          merchantKey(),
		PublicKeyID:         DefaultPublicKeyID,
		PublicKey:           &publicModeKey().PublicKey,
		PlatformCertificate: platformCertificate(),
		AppID:               DefaultAppID,
		AppSecret:           DefaultAppSecret,
	}
}

// ClientCertificate is the merchant's certificate with its key, as refunds of
// APIv2 show it on the connection.
func (c *Credentials) ClientCertificate() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{c.Certificate.Raw}, PrivateKey: c.PrivateKey, Leaf: c.Certificate}
}

// credentialsReply is the body of GET /sandbox/credentials.
type credentialsReply struct {
	Notice              string          `json:"notice"`
	MchID               string          `json:"mch_id"`
	APIv3Key            string          `json:"api_v3_key"`
	APIv2Key            string          `json:"api_v2_key"`
	CertificateSerial   string          `json:"certificate_serial"`
	Certificate         string          `json:"certificate"`
	PrivateKey          string          `json:"private_key"`
	PublicKeyID         string          `json:"public_key_id"`
	PublicKey           string          `json:"public_key"`
	PlatformSerial      string          `json:"platform_certificate_serial"`
	PlatformCertificate string          `json:"platform_certificate"`
	AppID               string          `json:"app_id"`
	AppSecret           string          `json:"app_secret"`
	Accounts            []accountOf     `json:"accounts"`
	MessageToken        string          `json:"message_token"`
	MessageKey          string          `json:"message_key"`
	SubMchID            string          `json:"sub_mch_id"`
	SubAppID            string          `json:"sub_app_id"`
	Users               []credentialsOf `json:"users"`
}

// accountOf is a default account as GET /sandbox/credentials shows it.
type accountOf struct {
	Kind      AccountKind `json:"kind"`
	AppID     string      `json:"app_id"`
	AppSecret string      `json:"app_secret"`
}

// credentialsOf is a test user as GET /sandbox/credentials shows it.
type credentialsOf struct {
	User   string `json:"user"`
	OpenID string `json:"openid"`
}

// serveCredentials answers GET /sandbox/credentials.
func (s *Sandbox) serveCredentials(w http.ResponseWriter, _ *http.Request) {
	c := DefaultCredentials()
	private, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		s.fail(w, "credentials", fmt.Errorf("encoding the private key: %w", err))
		return
	}
	public, err := x509.MarshalPKIXPublicKey(c.PublicKey)
	if err != nil {
		s.fail(w, "credentials", fmt.Errorf("encoding the public key: %w", err))
		return
	}
	reply := credentialsReply{
		Notice:              "SANDBOX - not WeChat, no real money; everything here is public",
		MchID:               c.MchID,
		APIv3Key:            string(c.APIv3Key),
		APIv2Key:            string(c.APIv2Key),
		CertificateSerial:   c.CertificateSerial,
		Certificate:         pemText("CERTIFICATE", c.Certificate.Raw),
		PrivateKey:          pemText("PRIVATE KEY", private),
		PublicKeyID:         c.PublicKeyID,
		PublicKey:           pemText("PUBLIC KEY", public),
		PlatformSerial:      defaultPlatformSerial,
		PlatformCertificate: pemText("CERTIFICATE", c.PlatformCertificate.Raw),
		AppID:               c.AppID,
		AppSecret:           c.AppSecret,
		MessageToken:        DefaultMessageToken,
		MessageKey:          DefaultMessageKey,
		SubMchID:            DefaultSubMchID,
		SubAppID:            DefaultSubAppID,
	}
	for _, a := range defaultAccounts() {
		if a.AppID != DefaultSubAppID {
			reply.Accounts = append(reply.Accounts, accountOf{Kind: a.Kind, AppID: a.AppID, AppSecret: a.Secret})
		}
	}
	for _, u := range testUsers {
		reply.Users = append(reply.Users, credentialsOf{User: u.ID, OpenID: OpenID(c.AppID, u.ID)})
	}
	writeJSON(w, http.StatusOK, reply)
}

// pemText encodes one PEM block.
func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// writeJSON answers with v as JSON. What is answered here always encodes.
func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		http.Error(w, "encoding the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a client that left is not our error
}
