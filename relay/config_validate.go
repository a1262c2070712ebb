package relay

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"net/url"
	"slices"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct { //nolint:errname // one finding of many, not a failure of its own
	Block string // as in the Caddyfile, such as "client bookshop"; empty for the options outside of blocks
	Field string // as in the Caddyfile, such as "secret"; empty when the block as a whole is meant
	Err   error  // what is wrong and how to mend it; never holds a secret
}

// Error names block, field and fix.
func (p *Problem) Error() string {
	s := ""
	if p.Block != "" {
		s = p.Block + ": "
	}
	if p.Field != "" {
		s += p.Field + ": "
	}
	return s + p.Err.Error()
}

// Unwrap returns what is wrong, without the place.
func (p *Problem) Unwrap() error { return p.Err }

// Validate collects everything that is wrong with the configuration, as
// Problems joined by errors.Join. It touches neither store nor network.
func (c *Config) Validate() error {
	v := &validation{config: c}
	v.top()
	v.masterKeys()
	v.accounts()
	v.merchants()
	v.clients()
	return errors.Join(v.problems...)
}

// validation walks one Config and collects problems.
type validation struct {
	config   *Config
	problems []error
}

// add records err, if there is one, against a field of a block.
func (v *validation) add(block, field string, err error) {
	if err != nil {
		v.problems = append(v.problems, &Problem{Block: block, Field: field, Err: err})
	}
}

// once records a value that has to be unique and was seen before.
func (v *validation) once(seen map[string]string, value, block, field string) {
	if value == "" {
		return
	}
	if first, twice := seen[value]; twice {
		v.add(block, field, fmt.Errorf("%q is already used by %s; each needs its own", value, first))
		return
	}
	seen[value] = block
}

func (v *validation) top() {
	c := v.config
	v.add("", "public_url", c.checkPublicURL())
	for _, host := range []struct{ field, value string }{
		{"pay_api", c.Platform.PayAPI},
		{"pay_api_backup", c.Platform.PayAPIBackup},
		{"base_api", c.Platform.BaseAPI},
		{"open", c.Platform.Open},
	} {
		if host.value == "" {
			continue
		}
		_, err := ParsePlatformURL(host.value)
		v.add("platform", host.field, err)
	}
	for _, network := range c.AllowNetworks {
		_, err := ParseNetwork(network.String())
		v.add("", "allow_networks", err)
	}
	if len(c.Merchants) > 0 && len(c.Accounts) == 0 {
		v.add("", "account", errors.New("at least one account block is needed: WeChat Pay collects money for an app id"))
	}
	if len(c.Merchants) == 0 && slices.ContainsFunc(c.Clients, wantsMoneyAlone) {
		v.add("", "merchant", errors.New("at least one merchant block is needed: it collects the clients' money"))
	}
}

// checkPublicURL refuses an address that the parser would have written
// otherwise: signatures cover it, so there is one spelling only.
func (c *Config) checkPublicURL() error {
	if c.PublicURL == nil {
		return errors.New("is required: the address at which WeChat, buyers and clients reach the relay, such as https://pay.example.com")
	}
	u, err := ParsePublicURL(c.PublicURL.String())
	if err != nil {
		return err
	}
	if u.String() != c.PublicURL.String() {
		return fmt.Errorf("must be written %q", u.String())
	}
	return nil
}

func (v *validation) clients() {
	names, ids := map[string]string{}, map[string]string{}
	for _, c := range v.config.Clients {
		block := "client " + c.Name
		v.add(block, "", CheckName(c.Name))
		v.once(names, c.Name, block, "")
		v.add(block, "id", CheckClientID(c.ID))
		v.once(ids, c.ID, block, "id")
		v.clientKeys(c, block)
		v.clientBindings(c, block)
		v.clientAddresses(c, block)
		v.clientModes(c, block)
		v.clientLogins(c, block)
		v.clientLimits(c, block)
	}
}

func (v *validation) clientKeys(c *Client, block string) {
	if len(c.Secrets) == 0 && len(c.PublicKeys) == 0 {
		v.add(block, "secret", errors.New("is required unless public_key is given: the client signs its requests with it"))
	}
	if len(c.NotifySecrets) == 0 {
		v.add(block, "notify_secret", errors.New("is required when the client has no secret to derive it from"))
	}
	v.secrets(c.Secrets, block, "secret")
	v.secrets(c.NotifySecrets, block, "notify_secret")
	if len(c.PublicKeys) > 2 {
		v.add(block, "public_key", errors.New("at most two may live side by side, during rotation"))
	}
}

// secrets checks one list of secrets: one, or two during rotation.
func (v *validation) secrets(secrets []Secret, block, field string) {
	if len(secrets) > 2 {
		v.add(block, field, errors.New("at most two may live side by side, during rotation"))
	}
	for _, s := range secrets {
		v.add(block, field, CheckClientSecret(s))
	}
	if len(secrets) == 2 && hmac.Equal(secrets[0].Reveal(), secrets[1].Reveal()) {
		v.add(block, field, errors.New("both are the same; during rotation they differ"))
	}
}

func (v *validation) clientBindings(c *Client, block string) {
	m := v.config.merchant(c.Merchant)
	switch {
	case c.Merchant == "" && len(v.config.Merchants) > 0:
		v.add(block, "merchant", fmt.Errorf("is required when there are several; known are %s", quoted(v.config.merchantNames())))
	case c.Merchant != "" && m == nil:
		v.add(block, "merchant", fmt.Errorf("there is no merchant %q; known are %s", c.Merchant, quoted(v.config.merchantNames())))
	}
	if m != nil {
		v.add(block, "allow", v.config.checkWays(c, m))
	}
	if c.Account == "" {
		return
	}
	a := v.config.account(c.Account)
	switch {
	case a == nil:
		v.add(block, "account", fmt.Errorf("there is no account %q; known are %s", c.Account, quoted(v.config.accountNames())))
	case a.Kind == AccountWebsiteApp:
		// It is for logins alone, so that no merchant has to know it.
	case m != nil && !slices.Contains(m.Accounts, c.Account):
		v.add(block, "account", fmt.Errorf("account %q is not bound to merchant %q; bound are %s", c.Account, m.Name, quoted(m.Accounts)))
	}
}

// checkWays refuses a client for whom no trade type has an account: it could
// never be paid.
func (c *Config) checkWays(client *Client, m *Merchant) error {
	if len(client.Allow) == 0 || len(m.Accounts) == 0 {
		return nil // told otherwise
	}
	for _, t := range client.Allow {
		rule, known := tradeRules[t]
		for _, name := range m.Accounts {
			if a := c.account(name); !known || a == nil || slices.Contains(rule.kinds, a.Kind) {
				return nil // possible, or told otherwise
			}
		}
	}
	return fmt.Errorf("merchant %q has no account of the kind that %s needs; bind one to it, or allow another trade type", m.Name, client.Allow[0])
}

func (v *validation) clientAddresses(c *Client, block string) {
	if c.NotifyURL != "" {
		v.add(block, "notify_url", CheckNotifyURL(c.NotifyURL))
	}
	for _, origin := range c.AllowOrigins {
		normal, err := ParseOrigin(origin)
		if err == nil && normal != origin {
			err = fmt.Errorf("must be written %q", normal)
		}
		v.add(block, "allow_origin", err)
	}
	for _, network := range c.AllowNetworks {
		_, err := ParseNetwork(network.String())
		v.add(block, "allow_networks", err)
	}
}

// clientModes checks how a client signs and how it is told.
func (v *validation) clientModes(c *Client, block string) {
	_, err := ParseNotifyFormat(string(c.Notify))
	v.add(block, "notify", err)
	if c.Compat != "" {
		_, err = ParseCompat(string(c.Compat))
		v.add(block, "compat", err)
		if len(c.Secrets) == 0 {
			v.add(block, "compat", errors.New("needs a secret: v2-style signatures are made with it"))
		}
	}
	if c.Callback == "" {
		return
	}
	_, err = ParseCallback(string(c.Callback))
	v.add(block, "callback", err)
	if c.Callback == CallbackDirect && c.NotifyURL == "" {
		v.add(block, "notify_url", errors.New("is required with callback direct: WeChat calls it itself"))
	}
}

func (v *validation) clientLimits(c *Client, block string) {
	if len(c.Allow) == 0 {
		v.add(block, "allow", errors.New("at least one trade type must be allowed"))
	}
	for _, t := range c.Allow {
		_, err := ParseTradeType(string(t))
		v.add(block, "allow", err)
	}
	v.add(block, "rate", CheckRate(c.Rate))
	if c.MaxAmountFen != 0 {
		v.add(block, "max_amount", CheckMaxAmount(c.MaxAmountFen))
	}
	if c.DailyFen != 0 {
		v.add(block, "daily_amount", CheckDailyAmount(c.DailyFen))
	}
	v.add(block, "retry", ValidateSchedule(c.Schedule))
}

// UnsafeSandbox says what is wrong with putting the configuration on a
// public address: a sandbox believes everybody who says that he paid. The
// operator may want that for a demonstration, and has to say so.
func (c *Config) UnsafeSandbox() error {
	if !c.Platform.Sandbox || c.PublicURL == nil || PrivateHost(c.PublicURL.Hostname()) {
		return nil
	}
	return &Problem{Field: "platform", Err: errors.New("is a sandbox, where anybody can pay without money, but public_url is a public address; " +
		"remove platform to use WeChat, or add sandbox_public to run a demonstration")}
}

// LoopbackPlatform reports whether the platform is a sandbox on this
// machine.
func (c *Config) LoopbackPlatform() bool {
	u, err := url.Parse(c.Platform.PayAPI)
	return err == nil && c.Platform.Sandbox && LoopbackHost(u.Hostname())
}

func (c *Config) account(name string) *Account {
	i := slices.IndexFunc(c.Accounts, func(a *Account) bool { return a.Name == name })
	if i < 0 {
		return nil
	}
	return c.Accounts[i]
}

func (c *Config) accountByAppID(appID string) *Account {
	i := slices.IndexFunc(c.Accounts, func(a *Account) bool { return a.AppID == appID })
	if i < 0 {
		return nil
	}
	return c.Accounts[i]
}

func (c *Config) merchant(name string) *Merchant {
	i := slices.IndexFunc(c.Merchants, func(m *Merchant) bool { return m.Name == name })
	if i < 0 {
		return nil
	}
	return c.Merchants[i]
}

func (c *Config) accountNames() []string {
	names := make([]string, len(c.Accounts))
	for i, a := range c.Accounts {
		names[i] = a.Name
	}
	return names
}

func (c *Config) merchantNames() []string {
	names := make([]string, len(c.Merchants))
	for i, m := range c.Merchants {
		names[i] = m.Name
	}
	return names
}

// quoted writes names for an error text.
func quoted(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return fmt.Sprintf("%q", names)
}
