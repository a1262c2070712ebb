package caddymodule

import (
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

// Merchant is a WeChat Pay merchant number with its credentials.
type Merchant struct {
	// Name is what clients call the merchant, 1 to 64 of A-Z a-z 0-9 _ -. It
	// is part of the address that WeChat notifies,
	// {public_url}/wechat/notify/{name}: a payment under way is lost sight of
	// when it changes. Required, unique among merchants.
	Name string `json:"name"`

	// MchID is the merchant number as WeChat Pay's console shows it.
	// Required, except that with a sandbox platform it is the sandbox's
	// merchant by default. Placeholders are filled in.
	MchID string `json:"mch_id,omitempty"`

	// Accounts names the accounts whose app ids are bound to the merchant
	// number; of several, the first of the kind needed is used. The default
	// is the only account when there is one, website apps left out.
	Accounts []string `json:"accounts,omitempty"`

	// SubMchID makes MchID the number of a service provider, who collects for
	// this merchant: the merchant's own number. A provider's number may stand
	// in several blocks, each with another SubMchID and the same credentials.
	// Placeholders are filled in.
	SubMchID string `json:"sub_mch_id,omitempty"`

	// SubAppID is the app id of that merchant, when its buyers pay in an
	// account of its own. Accounts then names this account beside the
	// provider's. Placeholders are filled in.
	SubAppID string `json:"sub_app_id,omitempty"`

	// APIv3 holds the credentials for APIv3. Required unless APIv2 is given,
	// except that with a sandbox platform both are the sandbox's by default.
	APIv3 *APIv3 `json:"api_v3,omitempty"`

	// APIv2 holds the credentials for APIv2. With both, notifications of
	// either generation are taken.
	APIv2 *APIv2 `json:"api_v2,omitempty"`

	// Prefer says in which protocol generation new payments are made,
	// "api_v3" or "api_v2". The default is the only one with credentials, and
	// api_v3 of two.
	Prefer string `json:"prefer,omitempty"`

	// Anomaly says what happens to money that could not settle its order. By
	// default all of it is held for the operator.
	Anomaly *Anomaly `json:"anomaly,omitempty"`
}

// Anomaly says, for each kind of case, whether its money goes back by itself,
// "refund", or waits for the operator, "hold", which is the default. Money of
// an unknown order always waits.
type Anomaly struct {
	// DuplicatePayment is for the second payment of an order.
	DuplicatePayment string `json:"duplicate_payment,omitempty"`

	// PaidAfterClose is for a payment that the buyer made after its order was
	// closed or had expired, by WeChat's clock.
	PaidAfterClose string `json:"paid_after_close,omitempty"`

	// AmountMismatch is for a payment of another amount than was asked.
	AmountMismatch string `json:"amount_mismatch,omitempty"`

	// DailyRefund is how much may go back by itself on one day of Beijing
	// time, in fen; what exceeds it is held. The default is 1000000, ten
	// thousand yuan.
	DailyRefund int64 `json:"daily_refund,omitempty"`
}

// APIv3 holds what a merchant needs to speak WeChat Pay's APIv3.
type APIv3 struct {
	// Key is the APIv3 key, exactly 32 bytes, that was set in the merchant
	// console. Required. Write a placeholder, {env.NAME} or {file./path}.
	Key string `json:"key,omitempty"`

	// CertificateSerial is the serial number of the merchant's API
	// certificate in hexadecimal digits without colons. Required.
	// Placeholders are filled in.
	CertificateSerial string `json:"certificate_serial,omitempty"`

	// PrivateKey is the path of the merchant's private key, which WeChat Pay
	// calls apiclient_key.pem. A placeholder may fill in the path or the PEM
	// text itself. Required.
	PrivateKey string `json:"private_key,omitempty"`

	// PublicKeys are WeChat Pay's public keys, with which its answers and
	// notifications are verified. At least one is required unless
	// PlatformCertificates is set; several may live side by side.
	PublicKeys []PlatformKey `json:"public_keys,omitempty"`

	// PlatformCertificates fetches WeChat Pay's platform certificates and
	// follows their rotation. It may stand beside PublicKeys while a
	// merchant moves from one to the other.
	PlatformCertificates bool `json:"platform_certificates,omitempty"`
}

// PlatformKey is one of WeChat Pay's public keys.
type PlatformKey struct {
	// ID is the key's id, which begins with PUB_KEY_ID_. Placeholders are
	// filled in.
	ID string `json:"id"`

	// File is the path of the key, which WeChat Pay calls pub_key.pem. A
	// placeholder may fill in the path or the PEM text itself.
	File string `json:"file"`
}

// build resolves the merchant. only are the accounts of one that names none.
func (m *Merchant) build(r *resolver, only []string, onSandbox bool) *relay.Merchant {
	block := "merchant " + m.Name
	merchant := &relay.Merchant{
		Name:     m.Name,
		MchID:    r.text(block, "mch_id", m.MchID),
		Accounts: r.texts(block, "accounts", m.Accounts),
		SubMchID: r.text(block, "sub_mch_id", m.SubMchID),
		SubAppID: r.text(block, "sub_app_id", m.SubAppID),
	}
	if onSandbox && m.MchID == "" {
		merchant.MchID = sandbox.DefaultMchID
	}
	if len(m.Accounts) == 0 {
		merchant.Accounts = only
	}
	if m.APIv3 != nil {
		merchant.APIv3 = m.APIv3.build(r, block, onSandbox)
	}
	if m.APIv2 != nil {
		merchant.APIv2 = m.APIv2.build(r, block, onSandbox)
	}
	if onSandbox && m.APIv3 == nil && m.APIv2 == nil {
		merchant.APIv3, merchant.APIv2 = sandboxAPIv3(), sandboxAPIv2()
	}
	if m.Prefer != "" {
		prefer, err := relay.ParseAPI(m.Prefer)
		r.fail(block, "prefer", err)
		merchant.Prefer = prefer
	}
	if m.Anomaly != nil {
		merchant.Anomaly = relay.AnomalyPolicy{
			DuplicatePayment: relay.CasePolicy(m.Anomaly.DuplicatePayment),
			PaidAfterClose:   relay.CasePolicy(m.Anomaly.PaidAfterClose),
			AmountMismatch:   relay.CasePolicy(m.Anomaly.AmountMismatch),
			DailyRefundFen:   m.Anomaly.DailyRefund,
		}
	}
	return merchant
}

func (c *APIv3) build(r *resolver, block string, onSandbox bool) *relay.APIv3Credentials {
	credentials := &relay.APIv3Credentials{
		Key:                  r.secret(block, "api_v3 key", c.Key),
		CertificateSerial:    strings.ToUpper(r.text(block, "api_v3 certificate_serial", c.CertificateSerial)),
		PublicKeys:           make(map[string]*rsa.PublicKey, len(c.PublicKeys)),
		PlatformCertificates: c.PlatformCertificates,
	}
	r.refuseExample(block, "api_v3 key", credentials.Key, sandbox.DefaultAPIv3Key, onSandbox)
	if text := r.privatePEM(block, "api_v3 private_key", c.PrivateKey); text != nil {
		key, err := payv3.ParsePrivateKey(text)
		if !r.fail(block, "api_v3 private_key", err) {
			credentials.PrivateKey = key
		}
	}
	for _, k := range c.PublicKeys {
		k.build(r, block, credentials.PublicKeys)
	}
	return credentials
}

// build adds the key to keys, or records why not.
func (k *PlatformKey) build(r *resolver, block string, keys map[string]*rsa.PublicKey) {
	const field = "api_v3 public_key"
	id := r.text(block, field, k.ID)
	if k.File == "" {
		r.fail(block, field, errors.New("needs the path of the key's PEM file"))
		return
	}
	text, _ := r.pem(block, field, k.File)
	if id == "" || text == nil {
		return
	}
	if _, twice := keys[id]; twice {
		r.fail(block, field, fmt.Errorf("%s is given twice", id))
		return
	}
	key, err := payv3.ParsePublicKey(text)
	if !r.fail(block, field, err) {
		keys[id] = key
	}
}

// sandboxAPIv3 are the APIv3 credentials that the sandbox accepts from a
// merchant that brings none.
func sandboxAPIv3() *relay.APIv3Credentials {
	c := sandbox.DefaultCredentials()
	return &relay.APIv3Credentials{
		Key:               relay.NewSecret(string(c.APIv3Key)),
		CertificateSerial: c.CertificateSerial,
		PrivateKey:        c.PrivateKey,
		PublicKeys:        map[string]*rsa.PublicKey{c.PublicKeyID: c.PublicKey},
	}
}

// refuseExample refuses the sandbox's published secrets where real money is
// moved (threats H15).
func (r *resolver) refuseExample(block, field string, secret relay.Secret, example string, onSandbox bool) {
	if !onSandbox && subtle.ConstantTimeCompare(secret.Reveal(), []byte(example)) == 1 {
		r.fail(block, field, errors.New("is the sandbox's, which everybody knows; use the one from WeChat's console"))
	}
}
