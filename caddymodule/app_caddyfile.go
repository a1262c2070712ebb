package caddymodule

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("wxrelay", parseGlobalOption)
}

// parseGlobalOption turns the global option wxrelay into the app's JSON.
func parseGlobalOption(d *caddyfile.Dispenser, existing any) (any, error) {
	if existing != nil {
		// Caddy would let the last one win without a word.
		d.Next()
		return nil, d.Err("the global option wxrelay is given twice; merge the blocks")
	}
	app := new(App)
	if err := app.UnmarshalCaddyfile(d); err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "wxrelay", Value: caddyconfig.JSON(app, nil)}, nil
}

// UnmarshalCaddyfile reads the global option:
//
//	wxrelay {
//		public_url <url>
//		store [badger] {
//			path <directory>
//		}
//		platform <url> | {
//			pay_api        <url>
//			pay_api_backup <url>
//			base_api       <url>
//			open           <url>
//		}
//		sandbox_public
//		allow_networks <ranges...>
//		master_key <placeholder>
//		account  <name> { ... }
//		merchant <name> { ... }
//		client   <name> { ... }
//	}
//
// master_key may be repeated: the first seals, all of them open. The blocks are
// described at Account, Merchant and Client.
func (a *App) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the option's name
	if d.NextArg() {
		return d.ArgErr()
	}
	return parseBlock(d, words{
		"public_url":     text(&a.PublicURL, judged(relay.ParsePublicURL)),
		"store":          {parse: a.parseStore},
		"platform":       {parse: a.parsePlatform},
		"sandbox_public": alone(&a.SandboxPublic),
		"allow_networks": list(&a.AllowNetworks, judged(relay.ParseNetwork)),
		"master_key":     texts(&a.MasterKeys, checkMasterKey),
		"account": named(&a.Accounts, (*Account).name, func(d *caddyfile.Dispenser, name string) (*Account, error) {
			account := &Account{Name: name}
			return account, account.unmarshalBlock(d)
		}),
		"merchant": named(&a.Merchants, (*Merchant).name, func(d *caddyfile.Dispenser, name string) (*Merchant, error) {
			merchant := &Merchant{Name: name}
			return merchant, merchant.unmarshalBlock(d)
		}),
		"client": named(&a.Clients, (*Client).name, func(d *caddyfile.Dispenser, name string) (*Client, error) {
			client := &Client{Name: name}
			return client, client.unmarshalBlock(d)
		}),
	})
}

// checkMasterKey judges a master key that stands there in clear.
func checkMasterKey(text string) error {
	_, err := relay.ParseMasterKey(relay.NewSecret(text))
	return err
}

// named is a word that opens a block with a name of its own.
func named[T any](target *[]*T, nameOf func(*T) string, parse func(*caddyfile.Dispenser, string) (*T, error)) word {
	return word{repeats: true, parse: func(d *caddyfile.Dispenser) error {
		kind, name := d.Val(), ""
		if !d.AllArgs(&name) {
			return d.Errf("%s takes exactly one argument, its name", kind)
		}
		if err := relay.CheckName(name); err != nil {
			return inWord(d, kind, err)
		}
		for _, earlier := range *target {
			if nameOf(earlier) == name {
				return inWord(d, kind, fmt.Errorf("%q is given twice", name))
			}
		}
		value, err := parse(d, name)
		if err != nil {
			return err
		}
		*target = append(*target, value)
		return nil
	}}
}

func (a *Account) name() string  { return a.Name }
func (m *Merchant) name() string { return m.Name }
func (c *Client) name() string   { return c.Name }

func (a *App) parseStore(d *caddyfile.Dispenser) error {
	backend := defaultBackend
	if d.NextArg() {
		backend = d.Val()
	}
	switch backend {
	case defaultBackend:
	case "postgres":
		return d.Err("store postgres is not supported yet")
	default:
		return d.Errf("unrecognized store %q; known is badger", backend)
	}
	if d.NextArg() {
		return d.ArgErr()
	}
	store := new(BadgerStore)
	if err := store.unmarshalBlock(d); err != nil {
		return err
	}
	a.StoreRaw = caddyconfig.JSONModuleObject(store, "backend", backend, nil)
	return nil
}

func (a *App) parsePlatform(d *caddyfile.Dispenser) error {
	a.Platform = new(Platform)
	if d.NextArg() {
		a.Platform.URL = d.Val()
		if d.NextArg() {
			return d.ArgErr()
		}
		if err := checkLiteral(a.Platform.URL, judged(relay.ParsePlatformURL)); err != nil {
			return inWord(d, "platform", err)
		}
		return parseBlock(d, words{}) // one address or a block, not both
	}
	if err := parseBlock(d, a.Platform.words()); err != nil {
		return err
	}
	if *a.Platform == (Platform{}) {
		return inWord(d, "platform", errors.New("needs an address, or a block with addresses"))
	}
	return nil
}

func (p *Platform) words() words {
	check := judged(relay.ParsePlatformURL)
	return words{
		"pay_api":        text(&p.PayAPI, check),
		"pay_api_backup": text(&p.PayAPIBackup, check),
		"base_api":       text(&p.BaseAPI, check),
		"open":           text(&p.Open, check),
	}
}
