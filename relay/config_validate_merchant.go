package relay

import (
	"crypto"
	"crypto/hmac"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/wxrelay/wxrelay/relay/wechat/payv3"
)

func (v *validation) merchants() {
	names, numbers := map[string]string{}, map[string]string{}
	for i, m := range v.config.Merchants {
		block := "merchant " + m.Name
		v.add(block, "", CheckName(m.Name))
		v.once(names, m.Name, block, "")
		v.add(block, "mch_id", CheckMchID(m.MchID))
		v.numbers(m, block, numbers)
		v.sharedNumber(i, block)
		v.bindings(m, block)
		v.provider(m, block)
		v.generations(m, block)
		v.apiV3(m.APIv3, block)
		v.apiV2(m.APIv2, block)
		v.anomalies(m, block)
		v.canRefund(m, block)
	}
}

// numbers checks that no two merchants collect for the same one. A service
// provider's number may stand in several, each with another sub merchant.
func (v *validation) numbers(m *Merchant, block string, seen map[string]string) {
	if m.SubMchID == "" {
		v.once(seen, m.MchID, block, "mch_id")
		return
	}
	first, twice := seen[m.MchID+"/"+m.SubMchID]
	if twice {
		v.add(block, "sub_mch_id", fmt.Errorf("%q of mch_id %q is already used by %s; each needs its own", m.SubMchID, m.MchID, first))
		return
	}
	seen[m.MchID+"/"+m.SubMchID] = block
}

// sharedNumber checks that merchants of one number have the same credentials:
// they are the number's, and what WeChat sends for one merchant may reach the
// address of another.
func (v *validation) sharedNumber(i int, block string) {
	m := v.config.Merchants[i]
	for _, other := range v.config.Merchants[:i] {
		if other.MchID == m.MchID && m.MchID != "" && !sameCredentials(other, m) {
			v.add(block, "mch_id", fmt.Errorf("%q is also the number of merchant %s, but the credentials differ; a number has one set", m.MchID, other.Name))
			return
		}
	}
}

func sameCredentials(a, b *Merchant) bool {
	if (a.APIv3 == nil) != (b.APIv3 == nil) || (a.APIv2 == nil) != (b.APIv2 == nil) {
		return false
	}
	if a.APIv3 != nil && (!sameSecret(a.APIv3.Key, b.APIv3.Key) || a.APIv3.CertificateSerial != b.APIv3.CertificateSerial) {
		return false
	}
	return a.APIv2 == nil || sameSecret(a.APIv2.Key, b.APIv2.Key)
}

func sameSecret(a, b Secret) bool { return hmac.Equal(a.Reveal(), b.Reveal()) }

// bindings checks that a merchant's accounts exist.
func (v *validation) bindings(m *Merchant, block string) {
	if len(m.Accounts) == 0 {
		v.add(block, "accounts", errors.New("at least one account must be named that is bound to the merchant number"))
	}
	seen := map[string]bool{}
	for _, name := range m.Accounts {
		if v.config.account(name) == nil {
			v.add(block, "accounts", fmt.Errorf("there is no account %q; known are %s", name, quoted(v.config.accountNames())))
		}
		if seen[name] {
			v.add(block, "accounts", fmt.Errorf("account %q is named twice", name))
		}
		seen[name] = true
	}
}

// provider checks what a service provider's merchant needs: the number that
// it collects for, and an account of the provider's own.
func (v *validation) provider(m *Merchant, block string) {
	if m.SubMchID == "" {
		if m.SubAppID != "" {
			v.add(block, "sub_app_id", errors.New("needs sub_mch_id beside it: only a service provider collects for another's app id"))
		}
		return
	}
	v.add(block, "sub_mch_id", CheckMchID(m.SubMchID))
	if m.SubMchID == m.MchID {
		v.add(block, "sub_mch_id", errors.New("is the service provider's own number; give that of the merchant for whom it collects"))
	}
	if m.SubAppID != "" {
		v.add(block, "sub_app_id", CheckAppID(m.SubAppID))
	}
	own := func(name string) bool {
		a := v.config.account(name)
		return a != nil && a.AppID != m.SubAppID
	}
	if len(m.Accounts) > 0 && !slices.ContainsFunc(m.Accounts, own) {
		v.add(block, "accounts", errors.New("at least one must be the service provider's own, with an app id other than sub_app_id"))
	}
}

// generations checks that the merchant can speak to WeChat at all, and in the
// generation that it prefers.
func (v *validation) generations(m *Merchant, block string) {
	switch {
	case m.APIv3 == nil && m.APIv2 == nil:
		v.add(block, "api_v3", errors.New("is required unless api_v2 is given: the credentials with which the merchant speaks to WeChat Pay"))
	case m.Prefer == "":
	case m.Prefer != APIv3 && m.Prefer != APIv2:
		v.add(block, "prefer", errors.New("must be api_v3 or api_v2"))
	case m.Prefer == APIv3 && m.APIv3 == nil:
		v.add(block, "prefer", errors.New("api_v3 has no credentials in this block; add api_v3 or leave prefer out"))
	case m.Prefer == APIv2 && m.APIv2 == nil:
		v.add(block, "prefer", errors.New("api_v2 has no credentials in this block; add api_v2 or leave prefer out"))
	}
}

func (v *validation) apiV3(c *APIv3Credentials, block string) {
	if c == nil {
		return
	}
	v.add(block, "api_v3 key", CheckAPIv3Key(c.Key))
	v.add(block, "api_v3 certificate_serial", CheckCertificateSerial(c.CertificateSerial))
	if c.PrivateKey == nil {
		v.add(block, "api_v3 private_key", errors.New("is required: the merchant's apiclient_key.pem"))
	} else {
		v.add(block, "api_v3 private_key", payv3.CheckKeySize(&c.PrivateKey.PublicKey))
	}
	if len(c.PublicKeys) == 0 && !c.PlatformCertificates {
		v.add(block, "api_v3 public_key", errors.New("is required unless platform_certificates is given: without either no answer of WeChat can be verified"))
	}
	for id, key := range c.PublicKeys {
		v.add(block, "api_v3 public_key", CheckPublicKeyID(id))
		if key == nil {
			v.add(block, "api_v3 public_key", fmt.Errorf("%s has no key", id))
			continue
		}
		switch err := payv3.CheckKeySize(key); {
		case err != nil:
			v.add(block, "api_v3 public_key", fmt.Errorf("%s: %w", id, err))
		case c.PrivateKey != nil && key.Equal(&c.PrivateKey.PublicKey):
			v.add(block, "api_v3 public_key", fmt.Errorf("%s is the merchant's own key; download WeChat Pay's public key (pub_key.pem)", id))
		}
	}
}

func (v *validation) apiV2(c *APIv2Credentials, block string) {
	if c == nil {
		return
	}
	v.add(block, "api_v2 key", CheckAPIv2Key(c.Key))
	_, err := ParseSignType(string(c.SignType))
	v.add(block, "api_v2 sign_type", err)
	if c.Certificate != nil {
		v.add(block, "api_v2 client_certificate", checkClientCertificate(c.Certificate))
	}
}

// checkClientCertificate refuses a certificate that does not belong to its
// key: the TLS handshake of every refund would fail.
func checkClientCertificate(c *tls.Certificate) error {
	if len(c.Certificate) == 0 {
		return errors.New("holds no certificate; give apiclient_cert.pem and apiclient_key.pem")
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		return fmt.Errorf("is not a certificate: %w", err)
	}
	key, ok := c.PrivateKey.(crypto.Signer)
	if !ok {
		return errors.New("has no private key; give apiclient_cert.pem and apiclient_key.pem")
	}
	certified, ok := leaf.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !certified.Equal(key.Public()) {
		return errors.New("does not belong to its key; both files come in one download of the merchant console")
	}
	return nil
}

func (v *validation) anomalies(m *Merchant, block string) {
	a := &m.Anomaly
	for _, policy := range []struct {
		field string
		value CasePolicy
	}{
		{"anomaly duplicate_payment", a.DuplicatePayment},
		{"anomaly paid_after_close", a.PaidAfterClose},
		{"anomaly amount_mismatch", a.AmountMismatch},
	} {
		if policy.value != "" {
			_, err := ParsePolicy(string(policy.value))
			v.add(block, policy.field, err)
		}
	}
	if a.DailyRefundFen != 0 {
		v.add(block, "anomaly daily_refund", CheckDailyAmount(a.DailyRefundFen))
	}
}

// refunds reports whether any policy gives money back by itself.
func (a *AnomalyPolicy) refunds() bool {
	return a.DuplicatePayment == PolicyRefund || a.PaidAfterClose == PolicyRefund || a.AmountMismatch == PolicyRefund
}

// canRefund checks that refunds of new payments can be made when somebody may
// ask for them. APIv2 takes refunds from the merchant's certificate alone,
// and a refund that fails a month later helps nobody.
func (v *validation) canRefund(m *Merchant, block string) {
	if m.APIv2 == nil || m.APIv2.Certificate != nil || m.generation() != APIv2 {
		return
	}
	const field = "api_v2 client_certificate"
	if m.Anomaly.refunds() {
		v.add(block, field, errors.New("is required, because the anomaly block refunds: APIv2 takes refunds only with apiclient_cert.pem and apiclient_key.pem"))
	}
	for _, c := range v.config.Clients {
		if c.AllowRefund && c.Merchant == m.Name {
			v.add(block, field, fmt.Errorf("is required, because client %s is allowed refunds: APIv2 takes them only with apiclient_cert.pem and apiclient_key.pem", c.Name))
			return
		}
	}
}

// generation is that of new payments: the preferred one, or the only one, or
// APIv3 where nothing else is said.
func (m *Merchant) generation() API {
	switch {
	case m.Prefer != "":
		return m.Prefer
	case m.APIv3 == nil && m.APIv2 != nil:
		return APIv2
	default:
		return APIv3
	}
}
