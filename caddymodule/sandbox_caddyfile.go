package caddymodule

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("wxrelay_sandbox", parseSandbox)
}

// parseSandbox reads the directive:
//
//	wxrelay_sandbox [<matcher>] {
//		public
//		time_scale <more than 0, at most 1>
//		account <app id> <secret> [<kind>]
//		merchant <number> {
//			api_v3_key   <key>
//			api_v2_key   <key>
//			certificate  <serial> <file>
//			app_ids      <app ids...>
//			sub_merchant <number> [<app ids...>]
//		}
//		shop {
//			relay_url     <url>
//			client_id     <id>
//			secret        <secret>
//			notify_secret <secret>
//		}
//	}
func parseSandbox(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() {
		return nil, h.Err("wxrelay_sandbox takes no argument but a matcher")
	}
	s := new(Sandbox)
	err := parseBlock(h.Dispenser, words{
		"public":     alone(&s.Public),
		"time_scale": single(s.setTimeScale),
		"account":    {parse: s.parseAccount, repeats: true},
		"merchant":   {parse: s.parseMerchant, repeats: true},
		"shop":       {parse: s.parseShop},
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Sandbox) setTimeScale(value string) error {
	scale, err := strconv.ParseFloat(value, 64)
	if err != nil || !(scale > 0 && scale <= 1) {
		return fmt.Errorf("%q must be a number above 0 and at most 1", value)
	}
	s.TimeScale = scale
	return nil
}

func (s *Sandbox) parseAccount(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) != 2 && len(args) != 3 {
		return d.Err("account takes two arguments, the app id and the secret, and perhaps a third, the kind")
	}
	a := SandboxAccount{AppID: args[0], Secret: args[1]}
	if len(args) == 3 {
		a.Kind = args[2]
		if err := checkSandboxKind(a.Kind); err != nil {
			return inWord(d, "account", err)
		}
	}
	if err := checkLiteral(a.AppID, relay.CheckAppID); err != nil {
		return inWord(d, "account", err)
	}
	s.Accounts = append(s.Accounts, a)
	return nil
}

func (s *Sandbox) parseMerchant(d *caddyfile.Dispenser) error {
	var m SandboxMerchant
	if !d.AllArgs(&m.MchID) {
		return d.Err("merchant takes exactly one argument, its number")
	}
	if err := checkLiteral(m.MchID, relay.CheckMchID); err != nil {
		return inWord(d, "merchant", err)
	}
	err := parseBlock(d, words{
		"api_v3_key":   text(&m.APIv3Key, checkSecret(relay.CheckAPIv3Key)),
		"api_v2_key":   text(&m.APIv2Key, checkSecret(relay.CheckAPIv2Key)),
		"certificate":  {parse: m.parseCertificate},
		"app_ids":      list(&m.AppIDs, relay.CheckAppID),
		"sub_merchant": {parse: m.parseSubMerchant, repeats: true},
	})
	s.Merchants = append(s.Merchants, m)
	return err
}

// checkSandboxKind refuses kinds of accounts that the sandbox does not play.
func checkSandboxKind(s string) error {
	switch k := sandbox.AccountKind(s); k {
	case sandbox.OfficialAccount, sandbox.MiniProgram, sandbox.MobileApp, sandbox.WebsiteApp:
		return nil
	default:
		return fmt.Errorf("unrecognized kind %q; known are official_account, mini_program, mobile_app and website_app", s)
	}
}

func (m *SandboxMerchant) parseSubMerchant(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("sub_merchant takes at least one argument, its number")
	}
	if err := checkLiteral(args[0], relay.CheckMchID); err != nil {
		return inWord(d, "sub_merchant", err)
	}
	for _, appID := range args[1:] {
		if err := checkLiteral(appID, relay.CheckAppID); err != nil {
			return inWord(d, "sub_merchant", err)
		}
	}
	m.SubMerchants = append(m.SubMerchants, SandboxSubMerchant{MchID: args[0], AppIDs: args[1:]})
	return nil
}

func (m *SandboxMerchant) parseCertificate(d *caddyfile.Dispenser) error {
	if !d.AllArgs(&m.CertificateSerial, &m.PublicKey) {
		return d.Err("certificate takes two arguments, the serial number and a PEM file")
	}
	if err := checkLiteral(m.CertificateSerial, relay.CheckCertificateSerial); err != nil {
		return inWord(d, "certificate", err)
	}
	return nil
}

func (s *Sandbox) parseShop(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.Err("shop takes no argument")
	}
	s.Shop = new(SandboxShop)
	return parseBlock(d, words{
		"relay_url":     text(&s.Shop.RelayURL, judged(relay.ParsePublicURL)),
		"client_id":     text(&s.Shop.ClientID, relay.CheckClientID),
		"secret":        text(&s.Shop.Secret, checkSecret(relay.CheckClientSecret)),
		"notify_secret": text(&s.Shop.NotifySecret, checkSecret(relay.CheckClientSecret)),
	})
}
