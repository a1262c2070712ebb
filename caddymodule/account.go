package caddymodule

import (
	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// Account is a WeChat account: an app id and its secret.
type Account struct {
	// Name is what merchants and clients call the account, 1 to 64 of
	// A-Z a-z 0-9 _ -. Required, unique among accounts.
	Name string `json:"name"`

	// Kind is the kind of the account: "official_account", which is the
	// default, "mini_program" or "mobile_app". "website_app" is not supported
	// yet.
	Kind string `json:"kind,omitempty"`

	// AppID is the account's app id as WeChat's console shows it: "wx" and
	// 16 letters or digits. Required, except that with a sandbox platform it
	// is the sandbox's account by default. Placeholders are filled in.
	AppID string `json:"app_id,omitempty"`

	// Secret is the account's app secret. Write a placeholder, {env.NAME} or
	// {file./path}: what stands here in clear is shown by Caddy's admin API,
	// and a warning says so at the start. Required, except that with a
	// sandbox platform it is the sandbox's secret by default.
	Secret string `json:"secret,omitempty"`
}

// build resolves the account. On a sandbox platform what is missing becomes
// what the sandbox accepts.
func (a *Account) build(r *resolver, onSandbox bool) *relay.Account {
	block := "account " + a.Name
	account := &relay.Account{
		Name:  a.Name,
		Kind:  relay.AccountKind(r.text(block, "kind", a.Kind)),
		AppID: r.text(block, "app_id", a.AppID),
	}
	if a.Kind == "" {
		account.Kind = relay.AccountOfficial
	}
	if onSandbox && a.AppID == "" {
		account.AppID = sandbox.DefaultAppID
	}
	switch {
	case onSandbox && a.Secret == "":
		account.Secret = relay.NewSecret(sandbox.DefaultAppSecret)
	default:
		account.Secret = r.secret(block, "secret", a.Secret)
		r.refuseExample(block, "secret", account.Secret, sandbox.DefaultAppSecret, onSandbox)
	}
	return account
}
