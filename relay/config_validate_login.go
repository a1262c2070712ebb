package relay

import (
	"errors"
	"fmt"
	"slices"
)

// wantsMoneyAlone reports whether a client uses the relay for nothing but
// being paid, which takes a merchant.
func wantsMoneyAlone(c *Client) bool {
	return len(c.RedirectURIs) == 0 && len(c.AllowAPI) == 0 && c.MessagesURL == ""
}

// clientLogins checks what a client uses beside payments: logins, WeChat's
// server interface, and messages.
func (v *validation) clientLogins(c *Client, block string) {
	for i, uri := range c.RedirectURIs {
		v.add(block, "redirect_uri", CheckRedirectURI(uri))
		if slices.Contains(c.RedirectURIs[:i], uri) {
			v.add(block, "redirect_uri", fmt.Errorf("%q is given twice", uri))
		}
	}
	if c.OpenIDPolicy != "" {
		_, err := ParseOpenIDPolicy(string(c.OpenIDPolicy))
		v.add(block, "openid_policy", err)
	}
	for _, path := range c.AllowAPI {
		v.add(block, "allow_api", CheckAllowAPI(path))
	}
	if c.RawToken && len(c.AllowAPI) == 0 {
		v.add(block, "raw_token", errors.New("needs allow_api with the path that hands the token out, such as allow_api /cgi-bin/stable_token"))
	}
	if c.MessagesURL == "" {
		return
	}
	v.add(block, "messages", CheckNotifyURL(c.MessagesURL))
	if !slices.ContainsFunc(v.config.Accounts, func(a *Account) bool { return a.MessageToken.Len() > 0 && v.config.hears(c, a) }) {
		v.add(block, "messages", errors.New("none of the client's accounts takes messages; give one a message_token, or name it by account"))
	}
}

// hears reports whether messages to the account are the client's to know:
// those of the account that it names, or of all accounts of its merchant, or
// of all there are when there is no merchant.
func (c *Config) hears(client *Client, a *Account) bool {
	if client.Account != "" {
		return client.Account == a.Name
	}
	m := c.merchant(client.Merchant)
	return m == nil && len(c.Merchants) == 0 || m != nil && slices.Contains(m.Accounts, a.Name)
}
