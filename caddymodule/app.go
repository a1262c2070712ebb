package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wxrelay/wxrelay/caddymodule/web"
	"github.com/wxrelay/wxrelay/relay"
)

func init() {
	caddy.RegisterModule(App{})
}

// App relays WeChat Pay and WeChat login to third-party sites, its clients.
// It holds the credentials of WeChat accounts and merchant numbers, keeps
// orders and events in a store, and tells clients what happened. The handler
// wxrelay answers its paths; all handlers of a configuration share it.
//
// Secrets are written as placeholders, {env.NAME} or {file./path}, which
// Caddy's admin API shows as they are written. They are filled in once, when
// the configuration is loaded. Placeholders of requests mean nothing here.
//
// A reload keeps the store open and stops no schedule. When the path of the
// store changes, what waits in the old one stays there.
type App struct {
	// PublicURL is the address at which WeChat, buyers and clients reach the
	// relay: an origin and perhaps a path prefix. It is never taken from a
	// request, because clients sign it. https unless the host is private.
	// Required, except that with a sandbox platform on this machine the
	// default is http://localhost and the port of the first server that has
	// the handler wxrelay. Placeholders are filled in.
	PublicURL string `json:"public_url,omitempty"`

	// StoreRaw says where orders and events are kept. The default is badger,
	// a database in a directory of this machine.
	StoreRaw json.RawMessage `json:"store,omitempty" caddy:"namespace=wxrelay.stores inline_key=backend"`

	// Platform names hosts that are called in WeChat's place. The default is
	// WeChat itself.
	Platform *Platform `json:"platform,omitempty"`

	// SandboxPublic lets a sandbox platform serve a public address, for
	// demonstrations: everybody who opens it can pay without money.
	SandboxPublic bool `json:"sandbox_public,omitempty"`

	// AllowNetworks are private address ranges, in CIDR form, that
	// deliveries to any client may reach. None by default: clients choose
	// where they are told, and must not reach the operator's network by it.
	// Placeholders are filled in.
	AllowNetworks []string `json:"allow_networks,omitempty"`

	// MasterKeys seal what the store keeps of session keys and tokens: each is
	// 32 random bytes in standard base64, as a placeholder, {env.NAME} or
	// {file./path}: what stands here in clear is shown by Caddy's admin API.
	// The first seals, all of them open, so that a key is replaced by setting
	// the new one before it and removing the old one some days later.
	//
	// The default is a key that the relay makes once and keeps in Caddy's
	// storage as wxrelay/master_key. A key that is lost costs no money and no
	// order: sessions of mini-programs end and tokens are fetched anew.
	MasterKeys []string `json:"master_keys,omitempty"`

	// Accounts are the WeChat accounts.
	Accounts []*Account `json:"accounts,omitempty"`

	// Merchants are the WeChat Pay merchant numbers.
	Merchants []*Merchant `json:"merchants,omitempty"`

	// Clients are the third-party sites.
	Clients []*Client `json:"clients,omitempty"`

	logger   *slog.Logger
	store    storeModule
	storage  func() keyStorage // Caddy's own, where the relay's keys are
	config   *relay.Config     // as far as it could be resolved
	problems []*relay.Problem
	warnings []warning
	servers  []*caddyhttp.Server // that have the handler, in no order

	face   face
	engine *engine
	held   bool // a reference to the engine is ours to give back
	lease  *lease
}

// CaddyModule returns the Caddy module information.
func (App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "wxrelay",
		New: func() caddy.Module { return new(App) },
	}
}

// Provision resolves the configuration: placeholders, key files, defaults.
// What is wrong with it is left for Validate to report, all of it at once.
func (a *App) Provision(ctx caddy.Context) error {
	a.logger = ctx.Slogger()
	r := newResolver()
	a.loadStore(ctx, r)
	a.storage = func() keyStorage { return ctx.Storage() }
	a.config = a.build(r)
	a.face.init(cmp.Or(a.config.PublicURL, someLocalURL), a.config.OffersAPI()) // without a path when it is still to be found
	a.face.files = web.NewVerifyFiles(a.config.Accounts)
	a.problems, a.warnings = r.problems, r.warnings
	return registerMetrics(ctx.GetMetricsRegistry())
}

// loadStore loads the store's module, which opens nothing yet.
func (a *App) loadStore(ctx caddy.Context, r *resolver) {
	if a.StoreRaw == nil {
		a.StoreRaw = json.RawMessage(`{"backend":"` + defaultBackend + `"}`)
	}
	module, err := ctx.LoadModule(a, "StoreRaw")
	if r.fail("", "store", err) {
		return
	}
	store, ok := module.(storeModule)
	if !ok {
		r.fail("", "store", fmt.Errorf("%T is not a store", module))
		return
	}
	a.store = store
}

// build makes the relay's configuration out of the app's.
func (a *App) build(r *resolver) *relay.Config {
	config := &relay.Config{
		Platform:      a.Platform.build(r),
		AllowNetworks: r.networks("", a.AllowNetworks),
		MasterKeys:    a.buildMasterKeys(r),
	}
	if text := r.text("", "public_url", a.PublicURL); text != "" {
		publicURL, err := relay.ParsePublicURL(text)
		r.fail("", "public_url", err)
		config.PublicURL = publicURL
	}
	onlyMerchant := ""
	if len(a.Merchants) == 1 {
		onlyMerchant = a.Merchants[0].Name
	}
	onlyAccount := a.onlyAccounts()
	for _, account := range a.Accounts {
		config.Accounts = append(config.Accounts, account.build(r, config.Platform.Sandbox))
	}
	for _, merchant := range a.Merchants {
		config.Merchants = append(config.Merchants, merchant.build(r, onlyAccount, config.Platform.Sandbox))
	}
	for _, client := range a.Clients {
		config.Clients = append(config.Clients, client.build(r, onlyMerchant))
	}
	return config
}

// onlyAccounts are the accounts of a merchant that names none: the only one in
// which a buyer can pay. Website apps log in and nothing else.
func (a *App) onlyAccounts() []string {
	var names []string
	for _, account := range a.Accounts {
		if account.Kind != string(relay.AccountWebsiteApp) {
			names = append(names, account.Name)
		}
	}
	if len(names) != 1 {
		return nil
	}
	return names
}

// someLocalURL stands for a public_url whose port is only known in Start.
var someLocalURL = &url.URL{Scheme: "http", Host: "localhost"}

// Validate reports everything that is wrong with the configuration, each
// with block, field and fix.
func (a *App) Validate() error {
	config := *a.config
	if a.defaultsPublicURL() {
		config.PublicURL = someLocalURL
	}
	errs := make([]error, 0, len(a.problems))
	reported := make(map[place]bool)
	for _, p := range a.problems {
		errs = append(errs, p)
		reported[place{p.Block, p.Field}] = true
	}
	for _, err := range unjoin(config.Validate()) {
		// A value that could not be resolved is also missing; once is enough.
		if p, ok := errors.AsType[*relay.Problem](err); !ok || !reported[place{p.Block, p.Field}] {
			errs = append(errs, err)
		}
	}
	if !a.SandboxPublic {
		errs = append(errs, config.UnsafeSandbox())
	}
	return errors.Join(errs...)
}

// place is where a problem is.
type place struct{ block, field string }

// unjoin takes apart what errors.Join put together.
func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// defaultsPublicURL reports whether public_url is to be found in Start.
func (a *App) defaultsPublicURL() bool {
	return a.PublicURL == "" && a.config.LoopbackPlatform()
}

// Start opens the store, or joins the configuration that has it open, and
// begins to answer.
func (a *App) Start() error {
	if a.defaultsPublicURL() {
		publicURL, err := localPublicURL(a.servers)
		if err != nil {
			return err
		}
		a.config.PublicURL = publicURL
	}
	engine, err := acquireEngine(a.store, a.storage(), a.logger)
	if err != nil {
		return err
	}
	a.engine, a.held = engine, true
	service, err := relay.NewService(a.config, engine.runtime, a.logger)
	if err != nil {
		return fmt.Errorf("starting the relay: %w", err)
	}
	handler, err := web.New(web.Options{
		Service:   service,
		PublicURL: a.config.PublicURL,
		Ready:     engine.health,
		NotifyKey: service.NotifyKey(),
		Logger:    a.logger,
		ClientIP:  clientIP,
	})
	if err != nil {
		return fmt.Errorf("starting the relay: %w", err)
	}
	a.lease = engine.attach(service, a.logger)
	a.face.open(handler)
	a.announce()
	return nil
}

// announce logs what the operator should know about the configuration.
func (a *App) announce() {
	for _, w := range a.warnings {
		a.logger.Warn(w.text, "block", w.block, "field", w.field)
	}
	if a.config.Platform.Sandbox {
		a.logger.Warn("the platform is a sandbox; no real money moves", "platform", a.config.Platform.PayAPI)
	}
	a.announceNetworks("", a.AllowNetworks)
	for _, c := range a.Clients {
		a.announceNetworks("client "+c.Name, c.AllowNetworks)
	}
	a.logger.Info("relay started",
		"public_url", a.config.PublicURL.String(),
		"store", a.store.key(),
		"accounts", len(a.config.Accounts),
		"merchants", len(a.config.Merchants),
		"clients", len(a.config.Clients))
}

// announceNetworks makes an opened guard visible (threats F13).
func (a *App) announceNetworks(block string, networks []string) {
	if len(networks) > 0 {
		a.logger.Warn("deliveries may reach private networks", "block", block, "allow_networks", networks)
	}
}

// Stop ends live streams and hands deliveries to the configuration that was
// attached before or after this one. The store stays open: requests under
// way outlive Stop.
func (a *App) Stop() error {
	a.face.drain()
	a.lease.release()
	return nil
}

// Cleanup gives back the reference to the store, which is closed with the
// last one. It also works on an App that was never started.
func (a *App) Cleanup() error {
	if !a.held {
		return nil
	}
	a.held = false
	return releaseEngine(a.store)
}

// Interface guards.
var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.Validator    = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
