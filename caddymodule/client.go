package caddymodule

import (
	"crypto/ed25519"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/wxrelay/wxrelay/relay"
)

// Client is a third-party site that uses the relay.
type Client struct {
	// Name is what logs and the command line call the client, 1 to 64 of
	// A-Z a-z 0-9 _ -. Required, unique among clients.
	Name string `json:"name"`

	// ID is the client's id in signatures: 16 characters of 0-9 A-Z a-z.
	// Required, unique among clients. Placeholders are filled in.
	ID string `json:"id,omitempty"`

	// Secrets sign the client's requests: 32 characters of 0-9 A-Z a-z each.
	// Two may live side by side, during rotation. At least one is required
	// unless PublicKeys are given. Write placeholders, {env.NAME} or
	// {file./path}: what stands here in clear is shown by Caddy's admin API,
	// and a warning says so at the start.
	Secrets []string `json:"secrets,omitempty"`

	// PublicKeys verify requests that the client signs as WXRELAY1-ED25519:
	// standard base64 of the 32 bytes of each key. Two may live side by
	// side, during rotation. Placeholders are filled in.
	PublicKeys []string `json:"public_keys,omitempty"`

	// NotifySecrets sign what the client is told, and return links: 32
	// characters of 0-9 A-Z a-z each. Two may live side by side, during
	// rotation, and both sign then; formats with room for one signature, get
	// and WeChat's own, use the first. The default is derived from each of
	// Secrets: the bytes of HMAC-SHA256 with the secret as key over
	// "wxrelay notify v1", each modulo 62 as an index into 0-9 A-Z a-z.
	// Write placeholders.
	NotifySecrets []string `json:"notify_secrets,omitempty"`

	// Merchant is the name of the merchant that collects the client's money.
	// The default is the only merchant when there is one. Where there is
	// none, clients log their users in and call WeChat, and nobody can pay.
	Merchant string `json:"merchant,omitempty"`

	// Account is the name of the account in which buyers pay and people log
	// in. The default is the merchant's first account of the kind needed.
	Account string `json:"account,omitempty"`

	// RedirectURIs are the addresses to which browsers may return from a
	// login, each compared as a whole string: absolute https, or http on a
	// private host, at most 2048 bytes, with an ASCII host, without user
	// info, fragment and *, and without the parameters code, state, iss,
	// error and ticket, which the relay adds. None by default: then nobody
	// logs in at this client. Placeholders are filled in.
	RedirectURIs []string `json:"redirect_uris,omitempty"`

	// OpenIDPolicy says which openids the client may name in orders and
	// payments: "issued", only those that a login at this relay gave to this
	// very client under the app id in which the buyer pays; or "unborrowed",
	// which is the default: any but those that logins at this relay gave to
	// other clients alone or under another app id.
	OpenIDPolicy string `json:"openid_policy,omitempty"`

	// AllowAPI are the paths of WeChat's server interface that the client may
	// call through the relay: whole paths such as
	// /cgi-bin/message/custom/send, or /cgi-bin/menu/* for all below
	// /cgi-bin/menu/. None by default.
	AllowAPI []string `json:"allow_api,omitempty"`

	// RawToken lets the client fetch the account's own access_token and
	// jsapi_ticket, where AllowAPI has the path, instead of ones that are
	// good at this relay alone. Whoever has the raw token may call everything
	// at WeChat in the account's name.
	RawToken bool `json:"raw_token,omitempty"`

	// Messages is the address at which the client is told what people write
	// to its account and do there, as events of type message.received:
	// absolute http or https without user info, query and fragment. The
	// account is Account, or any of Merchant's when that is not given, and
	// needs a message_token. By default the client is not told. Placeholders
	// are filled in.
	Messages string `json:"messages,omitempty"`

	// NotifyURL is where the client is told what happened to orders that
	// name no address themselves: absolute http or https without user info,
	// query and fragment. Placeholders are filled in.
	NotifyURL string `json:"notify_url,omitempty"`

	// AllowOrigins are the origins, scheme://host[:port], that notify_url and
	// return_url of an order may have, and whose pages may use the JS-SDK.
	// Placeholders are filled in.
	AllowOrigins []string `json:"allow_origins,omitempty"`

	// OrderNo is a stricter rule for the client's order numbers: a regular
	// expression in RE2 syntax that the whole number has to match, on top of
	// the rule for all clients, ^[0-9A-Za-z_-]{1,32}$. No placeholders: the
	// braces are the expression's own.
	OrderNo string `json:"order_no,omitempty"`

	// Notify is the form in which the client is told: "standard", a POST by
	// Standard Webhooks 1.0, which is the default; "get", a signed GET; or
	// "wechat_v2" or "wechat_v3", the notification as WeChat would have sent
	// it, signed again for this client, so that an unchanged SDK verifies it
	// with ID as merchant number and the notify secret as APIv2 or APIv3 key.
	// v3 is signed with the relay's own key, which GET /v1/notify-key gives
	// out; v2 with HMAC-SHA256, or with MD5 where CompatV2 is "md5".
	Notify string `json:"notify,omitempty"`

	// Callback says whom WeChat notifies: "relay", which is the default, or
	// "direct", the client's own notify_url. Direct is for sites of the
	// merchant's owner, which hold the merchant's keys; the relay then learns
	// by query what was paid and tells nobody.
	Callback string `json:"callback,omitempty"`

	// CompatV2 lets the client sign its requests by WeChat's v2 rule beside
	// the relay's own: "hmac" by HMAC-SHA256, "md5" by MD5 too, except for
	// refunds and for closing orders. By default it may not.
	CompatV2 string `json:"compat_v2,omitempty"`

	// Confirm asks the client to repeat the order's parameters, signed, in
	// the address of the checkout page, so that nobody else can send a buyer
	// there.
	Confirm bool `json:"confirm,omitempty"`

	// Allow lists what the client may use: the trade types jsapi, native, h5,
	// app and mini_program, and beside them refund and profit_sharing. The
	// default is every trade type, and neither refund nor profit_sharing.
	Allow []string `json:"allow,omitempty"`

	// Rate is how many signed requests the client may send per second, with
	// bursts of twice that. The default is 50.
	Rate float64 `json:"rate,omitempty"`

	// MaxAmount is the largest amount of one order, in fen. The default, 0,
	// leaves it at the 1000000000 fen that no order may exceed.
	MaxAmount int64 `json:"max_amount,omitempty"`

	// DailyAmount is the largest sum of the orders that the client makes on
	// one day of Beijing time, in fen. The default, 0, sets no limit.
	DailyAmount int64 `json:"daily_amount,omitempty"`

	// Retry holds the offsets, from WeChat's callback, of the attempts to
	// tell the client after the first one, which follows at once. They grow;
	// at most 100, none above 30 days. The default is
	// 1m 2m 3m 4m 5m 10m 20m 30m 1h 2h 5h 12h 24h.
	Retry []caddy.Duration `json:"retry,omitempty"`

	// AllowNetworks are private address ranges, in CIDR form, that
	// deliveries to this client may reach in addition to those of the app.
	// None by default. Placeholders are filled in.
	AllowNetworks []string `json:"allow_networks,omitempty"`
}

// build resolves the client. only is the name of the only merchant, or empty
// when there are more or none.
func (c *Client) build(r *resolver, only string) *relay.Client {
	block := "client " + c.Name
	client := &relay.Client{
		Name:          c.Name,
		ID:            r.text(block, "id", c.ID),
		Secrets:       r.secrets(block, "secret", c.Secrets),
		PublicKeys:    c.publicKeys(r, block),
		NotifySecrets: r.secrets(block, "notify_secret", c.NotifySecrets),
		Merchant:      r.text(block, "merchant", c.Merchant),
		Account:       r.text(block, "account", c.Account),
		NotifyURL:     r.text(block, "notify_url", c.NotifyURL),
		AllowOrigins:  c.origins(r, block),
		Notify:        relay.NotifyFormat(c.Notify),
		Callback:      relay.CallbackMode(c.Callback),
		Compat:        relay.CompatMode(c.CompatV2),
		Confirm:       c.Confirm,
		Rate:          c.Rate,
		MaxAmountFen:  c.MaxAmount,
		DailyFen:      c.DailyAmount,
		AllowNetworks: r.networks(block, c.AllowNetworks),
		RedirectURIs:  r.texts(block, "redirect_uri", c.RedirectURIs),
		OpenIDPolicy:  relay.OpenIDPolicy(c.OpenIDPolicy),
		AllowAPI:      c.AllowAPI,
		RawToken:      c.RawToken,
		MessagesURL:   r.text(block, "messages", c.Messages),
	}
	if c.OrderNo != "" {
		rule, err := relay.ParseOrderNoRule(c.OrderNo)
		r.fail(block, "order_no", err)
		client.OrderNo = rule
	}
	allowed, err := relay.ParseAllow(c.Allow)
	if r.fail(block, "allow", err) {
		allowed.Trades = relay.AllTradeTypes() // so that one mistake is told once
	}
	client.Allow, client.AllowRefund, client.AllowSharing = allowed.Trades, allowed.Refund, allowed.Sharing
	for _, offset := range c.Retry {
		client.Schedule = append(client.Schedule, time.Duration(offset))
	}
	c.applyDefaults(client, only)
	return client
}

// applyDefaults fills in what the operator left out.
func (c *Client) applyDefaults(client *relay.Client, onlyMerchant string) {
	if c.Merchant == "" {
		client.Merchant = onlyMerchant
	}
	if c.Notify == "" {
		client.Notify = relay.NotifyStandard
	}
	if c.Callback == "" {
		client.Callback = relay.CallbackRelay
	}
	if c.Rate == 0 {
		client.Rate = relay.DefaultRate
	}
	if len(c.Retry) == 0 {
		client.Schedule = relay.DefaultSchedule()
	}
	if len(c.NotifySecrets) == 0 {
		for _, secret := range client.Secrets {
			client.NotifySecrets = append(client.NotifySecrets, relay.DeriveNotifySecret(secret))
		}
	}
}

func (c *Client) publicKeys(r *resolver, block string) []ed25519.PublicKey {
	var keys []ed25519.PublicKey
	for _, text := range r.texts(block, "public_key", c.PublicKeys) {
		key, err := relay.ParseEd25519PublicKey(text)
		if !r.fail(block, "public_key", err) {
			keys = append(keys, key)
		}
	}
	return keys
}

func (c *Client) origins(r *resolver, block string) []string {
	var origins []string
	for _, text := range r.texts(block, "allow_origin", c.AllowOrigins) {
		origin, err := relay.ParseOrigin(text)
		if !r.fail(block, "allow_origin", err) {
			origins = append(origins, origin)
		}
	}
	return origins
}

// networks resolves address ranges.
func (r *resolver) networks(block string, values []string) []netip.Prefix {
	var networks []netip.Prefix
	for _, text := range r.texts(block, "allow_networks", values) {
		network, err := relay.ParseNetwork(text)
		if !r.fail(block, "allow_networks", err) {
			networks = append(networks, network)
		}
	}
	return networks
}
