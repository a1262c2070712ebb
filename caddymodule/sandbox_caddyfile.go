package caddymodule

import (
	"fmt"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/wxrelay/wxrelay/relay"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("wxrelay_sandbox", parseSandbox)
	httpcaddyfile.RegisterDirectiveOrder("wxrelay_sandbox", httpcaddyfile.After, "redir")
}

// parseSandbox reads the directive:
//
//	wxrelay_sandbox [<matcher>] {
//		public
//		time_scale <more than 0, at most 1>
//		account <app id> <secret>
//		merchant <number> {
//			api_v3_key  <key>
//			certificate <serial> <file>
//			app_ids     <app ids...>
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
	var a SandboxAccount
	if !d.AllArgs(&a.AppID, &a.Secret) {
		return d.Err("account takes two arguments, the app id and the secret")
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
		"api_v3_key":  text(&m.APIv3Key, checkSecret(relay.CheckAPIv3Key)),
		"certificate": {parse: m.parseCertificate},
		"app_ids":     list(&m.AppIDs, relay.CheckAppID),
	})
	s.Merchants = append(s.Merchants, m)
	return err
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
