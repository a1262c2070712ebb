package caddymodule

import (
	"errors"

	"github.com/wxrelay/wxrelay/relay"
)

// Platform names the hosts that are called as WeChat. Each address is an
// origin and perhaps a path prefix, with https unless the host is private.
type Platform struct {
	// URL stands in for all hosts at once and says that they are a sandbox:
	// no real money moves, every page shows it, and accounts and merchants
	// get the sandbox's credentials by default. It excludes the other
	// fields. Placeholders are filled in.
	URL string `json:"url,omitempty"`

	// PayAPI is the host of WeChat Pay's API. The default is
	// https://api.mch.weixin.qq.com. Placeholders are filled in.
	PayAPI string `json:"pay_api,omitempty"`

	// PayAPIBackup is the second host of WeChat Pay's API. The default is
	// https://api2.mch.weixin.qq.com, or none when PayAPI is given.
	// Placeholders are filled in.
	PayAPIBackup string `json:"pay_api_backup,omitempty"`

	// BaseAPI is the host of WeChat's API for accounts. The default is
	// https://api.weixin.qq.com. Placeholders are filled in.
	BaseAPI string `json:"base_api,omitempty"`

	// Open is the host to which browsers are sent to log in. The default is
	// https://open.weixin.qq.com. Placeholders are filled in.
	Open string `json:"open,omitempty"`
}

// WeChat's own hosts.
const (
	wechatPayAPI       = "https://api.mch.weixin.qq.com"
	wechatPayAPIBackup = "https://api2.mch.weixin.qq.com"
	wechatBaseAPI      = "https://api.weixin.qq.com"
	wechatOpen         = "https://open.weixin.qq.com"
)

// build resolves the platform; a nil Platform is WeChat itself.
func (p *Platform) build(r *resolver) relay.Platform {
	if p == nil {
		p = &Platform{}
	}
	if p.URL != "" {
		if (Platform{URL: p.URL}) != *p {
			r.fail("platform", "", errors.New("one address for all hosts excludes addresses of single hosts; remove one or the other"))
		}
		url := r.platformURL("platform", p.URL, "")
		return relay.Platform{PayAPI: url, BaseAPI: url, Open: url, Sandbox: true}
	}
	backup := wechatPayAPIBackup
	if p.PayAPI != "" {
		backup = ""
	}
	return relay.Platform{
		PayAPI:       r.platformURL("pay_api", p.PayAPI, wechatPayAPI),
		PayAPIBackup: r.platformURL("pay_api_backup", p.PayAPIBackup, backup),
		BaseAPI:      r.platformURL("base_api", p.BaseAPI, wechatBaseAPI),
		Open:         r.platformURL("open", p.Open, wechatOpen),
	}
}

// platformURL resolves one address, or takes the default when it is empty.
func (r *resolver) platformURL(field, value, byDefault string) string {
	if value == "" {
		return byDefault
	}
	block := "platform"
	if field == block {
		block = ""
	}
	text := r.text(block, field, value)
	if text == "" {
		return ""
	}
	url, err := relay.ParsePlatformURL(text)
	r.fail(block, field, err)
	return url
}
