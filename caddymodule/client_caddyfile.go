package caddymodule

import (
	"fmt"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

// unmarshalBlock reads the block of a client:
//
//	client <name> {
//		id             <16 characters>
//		secret         <placeholder>
//		public_key     <base64>
//		notify_secret  <placeholder>
//		merchant       <name>
//		account        <name>
//		notify_url     <url>
//		allow_origin   <origin>
//		redirect_uri   <url>
//		openid_policy  issued | unborrowed
//		allow_api      <paths...>
//		raw_token
//		messages       <url>
//		order_no       <regular expression>
//		notify         standard | get | wechat_v2 | wechat_v3
//		callback       relay | direct
//		compat         v2 hmac | md5
//		confirm
//		allow          <trade types, refund, profit_sharing...>
//		rate           <per second>
//		max_amount     <fen>
//		daily_amount   <fen>
//		retry          <offsets...>
//		allow_networks <ranges...>
//	}
//
// secret, public_key and notify_secret may be given twice during rotation,
// allow_origin, redirect_uri and allow_api as often as needed.
func (c *Client) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"id":             text(&c.ID, relay.CheckClientID),
		"secret":         pair(&c.Secrets, checkSecret(relay.CheckClientSecret)),
		"public_key":     pair(&c.PublicKeys, judged(relay.ParseEd25519PublicKey)),
		"notify_secret":  pair(&c.NotifySecrets, checkSecret(relay.CheckClientSecret)),
		"merchant":       text(&c.Merchant, relay.CheckName),
		"account":        text(&c.Account, relay.CheckName),
		"notify_url":     text(&c.NotifyURL, relay.CheckNotifyURL),
		"allow_origin":   texts(&c.AllowOrigins, judged(relay.ParseOrigin)),
		"order_no":       single(c.setOrderNo),
		"notify":         text(&c.Notify, judged(relay.ParseNotifyFormat)),
		"callback":       text(&c.Callback, judged(relay.ParseCallback)),
		"compat":         {parse: c.parseCompat},
		"confirm":        alone(&c.Confirm),
		"allow":          list(&c.Allow, relay.CheckAllow),
		"rate":           single(c.setRate),
		"max_amount":     amount(&c.MaxAmount, relay.CheckMaxAmount),
		"daily_amount":   amount(&c.DailyAmount, relay.CheckDailyAmount),
		"retry":          {parse: c.parseRetry},
		"allow_networks": list(&c.AllowNetworks, judged(relay.ParseNetwork)),
		"redirect_uri":   texts(&c.RedirectURIs, relay.CheckRedirectURI),
		"openid_policy":  text(&c.OpenIDPolicy, judged(relay.ParseOpenIDPolicy)),
		"allow_api":      lists(&c.AllowAPI, relay.CheckAllowAPI),
		"raw_token":      alone(&c.RawToken),
		"messages":       text(&c.Messages, relay.CheckNotifyURL),
	})
}

func (c *Client) setOrderNo(value string) error {
	c.OrderNo = value
	return judged(relay.ParseOrderNoRule)(value)
}

func (c *Client) setRate(value string) error {
	rate, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return fmt.Errorf("%q must be a number of requests per second", value)
	}
	c.Rate = rate
	return relay.CheckRate(rate)
}

func (c *Client) parseCompat(d *caddyfile.Dispenser) error {
	name, generation := d.Val(), ""
	if !d.AllArgs(&generation, &c.CompatV2) || generation != "v2" {
		return d.Errf("%s is written compat v2 hmac or compat v2 md5", name)
	}
	if err := judged(relay.ParseCompat)(c.CompatV2); err != nil {
		return inWord(d, name, err)
	}
	return nil
}

func (c *Client) parseRetry(d *caddyfile.Dispenser) error {
	values := d.RemainingArgs()
	if len(values) == 0 {
		return d.ArgErr()
	}
	var offsets []time.Duration
	for _, value := range values {
		offset, err := caddy.ParseDuration(value)
		if err != nil {
			return inWord(d, "retry", fmt.Errorf("%q must be a duration such as 90s, 5m, 2h or 1d", value))
		}
		offsets = append(offsets, offset)
		c.Retry = append(c.Retry, caddy.Duration(offset))
	}
	if err := relay.ValidateSchedule(offsets); err != nil {
		return inWord(d, "retry", err)
	}
	return nil
}
