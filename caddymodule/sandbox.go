package caddymodule

import (
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/sandbox/shop"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

func init() {
	caddy.RegisterModule(Sandbox{})
}

// sandboxes holds what outlives configurations, by the settings. A sandbox
// is memory alone, so that Provision may make one.
var sandboxes = caddy.NewUsagePool()

// Sandbox plays WeChat and the buyer's phone, to develop and test against:
// point the platform of a relay to its site. No money moves in it, and
// everybody who reaches it can pay; its site should not be public.
//
// A reload keeps its orders as long as its settings stay the same; sandboxes
// with the same settings are one. It forgets everything when the server
// stops.
type Sandbox struct {
	// Public lets notifications go to public addresses. Without it they only
	// go to loopback and private ones.
	Public bool `json:"public,omitempty"`

	// TimeScale shortens the rhythm in which notifications are repeated:
	// 0.1 makes seconds of tens of seconds. More than 0 and at most 1, which
	// is the default and WeChat's own rhythm.
	TimeScale float64 `json:"time_scale,omitempty"`

	// Accounts are known beside the default one. An account with the default
	// app id replaces it.
	Accounts []SandboxAccount `json:"accounts,omitempty"`

	// Merchants are known beside the default one. A merchant with the
	// default number replaces it.
	Merchants []SandboxMerchant `json:"merchants,omitempty"`

	// Shop shows a demo shop, which is a client of the relay.
	Shop *SandboxShop `json:"shop,omitempty"`

	key     string
	held    bool // a reference to the sandbox is ours to give back
	sandbox *sandbox.Sandbox
}

// SandboxAccount is a WeChat account that a sandbox knows.
type SandboxAccount struct {
	// AppID is "wx" and 16 letters or digits. Placeholders are filled in.
	AppID string `json:"app_id"`

	// Secret is the account's app secret. Placeholders are filled in.
	Secret string `json:"secret"`

	// Kind is the kind of the account: "official_account", "mini_program",
	// "mobile_app" or "website_app". It decides in which trade types users of
	// the account can pay; by default in all.
	Kind string `json:"kind,omitempty"`
}

// SandboxMerchant is a WeChat Pay merchant number that a sandbox knows.
type SandboxMerchant struct {
	// MchID is the merchant number. Placeholders are filled in.
	MchID string `json:"mch_id"`

	// APIv3Key is the merchant's APIv3 key, 32 bytes. Placeholders are filled
	// in.
	APIv3Key string `json:"api_v3_key,omitempty"`

	// APIv2Key is the merchant's APIv2 key, 32 letters and digits.
	// Placeholders are filled in.
	APIv2Key string `json:"api_v2_key,omitempty"`

	// CertificateSerial is the serial number of the merchant's certificate
	// in hexadecimal digits. Placeholders are filled in.
	CertificateSerial string `json:"certificate_serial,omitempty"`

	// PublicKey is the path of the PEM file with the public key of the
	// merchant's certificate, or with the certificate. A placeholder may
	// fill in the path or the PEM text itself.
	PublicKey string `json:"public_key,omitempty"`

	// AppIDs are bound to the merchant number. Placeholders are filled in.
	AppIDs []string `json:"app_ids,omitempty"`

	// SubMerchants are those for which the merchant, then a service provider,
	// may ask for payments.
	SubMerchants []SandboxSubMerchant `json:"sub_merchants,omitempty"`
}

// SandboxSubMerchant is a merchant that a service provider collects for.
type SandboxSubMerchant struct {
	// MchID is the merchant's own number. Placeholders are filled in.
	MchID string `json:"mch_id"`

	// AppIDs are bound to that number. Placeholders are filled in.
	AppIDs []string `json:"app_ids,omitempty"`
}

// SandboxShop is the demo shop of a sandbox.
type SandboxShop struct {
	// RelayURL is the public_url of the relay. Placeholders are filled in.
	RelayURL string `json:"relay_url"`

	// ClientID is the id of the relay's client that the shop is.
	// Placeholders are filled in.
	ClientID string `json:"client_id"`

	// Secret is the client's secret. Placeholders are filled in.
	Secret string `json:"secret"`

	// NotifySecret is the client's notify secret. The default is derived
	// from Secret, as for a client that has none. Placeholders are filled
	// in.
	NotifySecret string `json:"notify_secret,omitempty"`
}

// CaddyModule returns the Caddy module information.
func (Sandbox) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.wxrelay_sandbox",
		New: func() caddy.Module { return new(Sandbox) },
	}
}

// Provision resolves the settings and joins the sandbox with the same ones,
// or makes it.
func (s *Sandbox) Provision(ctx caddy.Context) error {
	r := newResolver()
	settings, options := s.build(r)
	if len(r.problems) > 0 {
		errs := make([]error, len(r.problems))
		for i, p := range r.problems {
			errs[i] = p
		}
		return errors.Join(errs...)
	}
	key, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("encoding settings: %w", err)
	}
	sum := sha256.Sum256(key) // settings hold secrets, keys of pools may be printed
	s.key = string(sum[:])
	value, _, err := sandboxes.LoadOrNew(s.key, func() (caddy.Destructor, error) {
		return newSandboxEngine(options, ctx.Slogger())
	})
	if err != nil {
		return err
	}
	s.held = true
	engine := value.(*sandboxEngine)
	engine.log.swap(ctx.Slogger().Handler())
	s.sandbox = engine.sandbox
	s.announce(ctx)
	return nil
}

// announce says where to begin.
func (s *Sandbox) announce(ctx caddy.Context) {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return
	}
	address, err := localPublicURL([]*caddyhttp.Server{server})
	if err != nil {
		return // listens where no browser can call
	}
	ctx.Slogger().Info("sandbox plays WeChat here; open the phone in a browser", "phone", address.JoinPath("sandbox").String())
	if s.Shop != nil {
		ctx.Slogger().Info("the demo shop is open", "shop", address.JoinPath("shop").String()+"/")
	}
}

// build resolves the settings. The first result holds them all and is the
// same for equal settings.
func (s *Sandbox) build(r *resolver) (Sandbox, sandbox.Options) {
	settings := Sandbox{Public: s.Public, TimeScale: s.TimeScale}
	options := sandbox.Options{AllowPublic: s.Public, TimeScale: s.TimeScale}
	for _, a := range s.Accounts {
		block := "account " + a.AppID
		a.AppID = r.text(block, "app_id", a.AppID)
		a.Secret = string(r.secret(block, "secret", a.Secret).Reveal())
		if a.Kind != "" {
			r.fail(block, "kind", checkSandboxKind(a.Kind))
		}
		settings.Accounts = append(settings.Accounts, a)
		options.Accounts = append(options.Accounts, sandbox.Account{AppID: a.AppID, Secret: a.Secret, Kind: sandbox.AccountKind(a.Kind)})
	}
	for _, m := range s.Merchants {
		resolved, merchant := m.build(r)
		settings.Merchants = append(settings.Merchants, resolved)
		options.Merchants = append(options.Merchants, merchant)
	}
	if s.Shop != nil {
		settings.Shop, options.Shop = s.Shop.build(r)
	}
	return settings, options
}

func (m SandboxMerchant) build(r *resolver) (SandboxMerchant, sandbox.Merchant) {
	block := "merchant " + m.MchID
	m.MchID = r.text(block, "mch_id", m.MchID)
	m.APIv3Key = string(r.secret(block, "api_v3_key", m.APIv3Key).Reveal())
	m.CertificateSerial = strings.ToUpper(r.text(block, "certificate", m.CertificateSerial))
	m.APIv2Key = string(r.secret(block, "api_v2_key", m.APIv2Key).Reveal())
	m.AppIDs = r.texts(block, "app_ids", m.AppIDs)
	merchant := sandbox.Merchant{MchID: m.MchID, APIv3Key: []byte(m.APIv3Key), APIv2Key: []byte(m.APIv2Key), AppIDs: m.AppIDs}
	subMerchants := m.SubMerchants
	m.SubMerchants = nil // not the operator's own slice, which Caddy may marshal again
	for _, sub := range subMerchants {
		sub.MchID = r.text(block, "sub_merchant", sub.MchID)
		sub.AppIDs = r.texts(block, "sub_merchant", sub.AppIDs)
		m.SubMerchants = append(m.SubMerchants, sub)
		merchant.SubMerchants = append(merchant.SubMerchants, sandbox.SubMerchant{MchID: sub.MchID, AppIDs: sub.AppIDs})
	}
	text, _ := r.pem(block, "certificate", m.PublicKey)
	m.PublicKey = string(text)
	if text != nil {
		key, err := publicKeyOf(text)
		if !r.fail(block, "certificate", err) {
			merchant.Certificates = []sandbox.MerchantCertificate{{Serial: m.CertificateSerial, PublicKey: key}}
		}
	}
	return m, merchant
}

// publicKeyOf reads a public key, from a certificate too.
func publicKeyOf(text []byte) (*rsa.PublicKey, error) {
	if !strings.Contains(string(text), "BEGIN CERTIFICATE") {
		return payv3.ParsePublicKey(text)
	}
	certificate, err := payv3.ParseCertificate(text)
	if err != nil {
		return nil, err
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok {
		return nil, errors.New("the certificate's key is not RSA")
	}
	return key, nil
}

func (s *SandboxShop) build(r *resolver) (*SandboxShop, *shop.Options) {
	const block = "shop"
	resolved := &SandboxShop{
		RelayURL:     r.text(block, "relay_url", s.RelayURL),
		ClientID:     r.text(block, "client_id", s.ClientID),
		Secret:       string(r.secret(block, "secret", s.Secret).Reveal()),
		NotifySecret: string(r.secret(block, "notify_secret", s.NotifySecret).Reveal()),
	}
	if s.NotifySecret == "" {
		resolved.NotifySecret = string(relay.DeriveNotifySecret(relay.NewSecret(resolved.Secret)).Reveal())
	}
	if resolved.RelayURL != "" {
		publicURL, err := relay.ParsePublicURL(resolved.RelayURL)
		if !r.fail(block, "relay_url", err) {
			resolved.RelayURL = publicURL.String()
		}
	}
	return resolved, &shop.Options{
		RelayURL:     resolved.RelayURL,
		ClientID:     resolved.ClientID,
		Secret:       shop.Secret(resolved.Secret),
		NotifySecret: shop.Secret(resolved.NotifySecret),
	}
}

// ServeHTTP answers what is the sandbox's and hands everything else on.
func (s *Sandbox) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	original, _ := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	sent := asSent(r, &original)
	if !sandbox.Match(sent.URL.Path) {
		return next.ServeHTTP(w, r)
	}
	s.sandbox.ServeHTTP(w, sent)
	return nil
}

// Cleanup gives back the reference to the sandbox, which ends with the last.
func (s *Sandbox) Cleanup() error {
	if !s.held {
		return nil
	}
	s.held = false
	_, err := sandboxes.Delete(s.key)
	return err
}

// sandboxEngine is a sandbox that logs where the newest configuration says.
type sandboxEngine struct {
	sandbox *sandbox.Sandbox
	log     *swapHandler
}

func newSandboxEngine(options sandbox.Options, logger *slog.Logger) (*sandboxEngine, error) {
	log := newSwapHandler(logger.Handler())
	options.Logger = slog.New(log)
	box, err := sandbox.New(options)
	if err != nil {
		return nil, err
	}
	return &sandboxEngine{sandbox: box, log: log}, nil
}

// Destruct implements caddy.Destructor.
func (e *sandboxEngine) Destruct() error { return e.sandbox.Close() }

// Interface guards.
var (
	_ caddy.Provisioner           = (*Sandbox)(nil)
	_ caddy.CleanerUpper          = (*Sandbox)(nil)
	_ caddyhttp.MiddlewareHandler = (*Sandbox)(nil)
)
