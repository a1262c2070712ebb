package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

// unmarshalBlock reads the block of a merchant:
//
//	merchant <name> {
//		mch_id     <number>
//		sub_mch_id <number>
//		sub_app_id <app id>
//		accounts   <names...>
//		api_v3 {
//			key                <placeholder>
//			certificate_serial <hex>
//			private_key        <file>
//			public_key         <id> <file>
//			platform_certificates
//		}
//		api_v2 {
//			key                <placeholder>
//			sign_type          MD5 | HMAC-SHA256
//			client_certificate <file> <file>
//			accept_md5_notify
//		}
//		prefer api_v3 | api_v2
//		anomaly {
//			duplicate_payment refund | hold
//			paid_after_close  refund | hold
//			amount_mismatch   refund | hold
//			daily_refund      <fen>
//		}
//	}
func (m *Merchant) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"mch_id":     text(&m.MchID, relay.CheckMchID),
		"sub_mch_id": text(&m.SubMchID, relay.CheckMchID),
		"sub_app_id": text(&m.SubAppID, relay.CheckAppID),
		"accounts":   list(&m.Accounts, relay.CheckName),
		"api_v3":     {parse: m.parseAPIv3},
		"api_v2":     {parse: m.parseAPIv2},
		"prefer":     text(&m.Prefer, judged(relay.ParseAPI)),
		"anomaly":    {parse: m.parseAnomaly},
	})
}

func (m *Merchant) parseAPIv3(d *caddyfile.Dispenser) error {
	if err := onlyBlock(d); err != nil {
		return err
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

func (m *Merchant) parseAPIv2(d *caddyfile.Dispenser) error {
	if err := onlyBlock(d); err != nil {
		return err
	}
	m.APIv2 = new(APIv2)
	return parseBlock(d, words{
		"key":                text(&m.APIv2.Key, checkSecret(relay.CheckAPIv2Key)),
		"sign_type":          text(&m.APIv2.SignType, judged(relay.ParseSignType)),
		"client_certificate": {parse: m.APIv2.parseClientCertificate},
		"accept_md5_notify":  alone(&m.APIv2.AcceptMD5Notify),
	})
}

func (c *APIv2) parseClientCertificate(d *caddyfile.Dispenser) error {
	c.ClientCertificate = new(ClientCertificate)
	if !d.AllArgs(&c.ClientCertificate.Certificate, &c.ClientCertificate.Key) {
		return d.Err("client_certificate takes two arguments, the files of the certificate and of its key")
	}
	return nil
}

func (m *Merchant) parseAnomaly(d *caddyfile.Dispenser) error {
	if err := onlyBlock(d); err != nil {
		return err
	}
	m.Anomaly = new(Anomaly)
	return parseBlock(d, words{
		"duplicate_payment": text(&m.Anomaly.DuplicatePayment, judged(relay.ParsePolicy)),
		"paid_after_close":  text(&m.Anomaly.PaidAfterClose, judged(relay.ParsePolicy)),
		"amount_mismatch":   text(&m.Anomaly.AmountMismatch, judged(relay.ParsePolicy)),
		"daily_refund":      amount(&m.Anomaly.DailyRefund, relay.CheckDailyAmount),
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
