package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

// unmarshalBlock reads the block of a merchant:
//
//	merchant <name> {
//		mch_id   <number>
//		accounts <names...>
//		api_v3 {
//			key                <placeholder>
//			certificate_serial <hex>
//			private_key        <file>
//			public_key         <id> <file>
//			platform_certificates
//		}
//		prefer api_v3
//	}
//
// The words api_v2 and anomaly are not supported yet, nor is prefer api_v2.
func (m *Merchant) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"mch_id":   text(&m.MchID, relay.CheckMchID),
		"accounts": list(&m.Accounts, relay.CheckName),
		"api_v3":   {parse: m.parseAPIv3},
		"prefer":   text(&m.Prefer, checkPrefer),
		"api_v2":   later,
		"anomaly":  later,
	})
}

func (m *Merchant) parseAPIv3(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	m.APIv3 = new(APIv3)
	return parseBlock(d, words{
		"key":                   text(&m.APIv3.Key, checkSecret(relay.CheckAPIv3Key)),
		"certificate_serial":    text(&m.APIv3.CertificateSerial, relay.CheckCertificateSerial),
		"private_key":           text(&m.APIv3.PrivateKey, nil),
		"public_key":            {parse: m.APIv3.parsePublicKey, repeats: true},
		"platform_certificates": alone(&m.APIv3.PlatformCertificates),
	})
}

func (c *APIv3) parsePublicKey(d *caddyfile.Dispenser) error {
	var key PlatformKey
	if !d.AllArgs(&key.ID, &key.File) {
		return d.ArgErr()
	}
	if err := checkLiteral(key.ID, relay.CheckPublicKeyID); err != nil {
		return inWord(d, "public_key", err)
	}
	c.PublicKeys = append(c.PublicKeys, key)
	return nil
}
