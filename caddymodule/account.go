package caddymodule

import (
	"cmp"
	"slices"

	"github.com/wxrelay/wxrelay/relay"
	"github.com/wxrelay/wxrelay/relay/sandbox"
)

// Account is a WeChat account: an app id and its secret.
type Account struct {
	// Name is what merchants and clients call the account, 1 to 64 of
	// A-Z a-z 0-9 _ -. Required, unique among accounts.
	Name string `json:"name"`

	// Kind is the kind of the account: "official_account", which is the
	// default, "mini_program", "mobile_app", or "website_app", a website of
	// the Open Platform, in which people log in outside of WeChat by scanning
	// a code. Placeholders are filled in.
	Kind string `json:"kind,omitempty"`

	// AppID is the account's app id as WeChat's console shows it: "wx" and
	// 16 letters or digits. Required, except that with a sandbox platform it
	// is the sandbox's account of this kind by default. Placeholders are
	// filled in.
	AppID string `json:"app_id,omitempty"`

	// Secret is the account's app secret. Write a placeholder, {env.NAME} or
	// {file./path}: what stands here in clear is shown by Caddy's admin API,
	// and a warning says so at the start. Required for an official account,
	// in which the cashier page learns who the buyer is, and for a website
	// app; a mini-program needs it for sessions. With a sandbox platform it
	// is the sandbox's secret by default.
	Secret string `json:"secret,omitempty"`

	// MessageToken is the Token of the account's server settings, 3 to 32
	// letters or digits. With it the relay answers WeChat's server check at
	// {public_url}/wechat/message/{name} and takes the messages that WeChat
	// pushes there. By default that address is not found. Write a
	// placeholder.
	MessageToken string `json:"message_token,omitempty"`

	// MessageKey is the EncodingAESKey of the account's server settings, 43
	// letters or digits, for messages that come encrypted; with it those in
	// clear are refused. By default they come in clear. Write a placeholder.
	MessageKey string `json:"message_key,omitempty"`

	// VerifyFiles are the files by which WeChat's console proves who owns a
	// domain. Each is served at the root of every site that has the handler
	// wxrelay, exactly this name and text, before redirects, rewrites and
	// gates of the site.
	VerifyFiles []VerifyFile `json:"verify_files,omitempty"`
}

// VerifyFile is a file that WeChat fetches to prove who owns a domain.
type VerifyFile struct {
	// Name is the file's name: at most 64 of A-Z a-z 0-9 _ . -, ending in
	// ".txt". In all accounts a name stands for one text.
	Name string `json:"name"`

	// Text is all that stands in the file: 1 to 1024 printable ASCII
	// characters, without a line break. Placeholders are filled in.
	Text string `json:"text"`
}

// sandboxAccount is an account that the sandbox knows without being told.
type sandboxAccount struct {
	kind          relay.AccountKind
	appID, secret string
}

// sandboxAccounts are those accounts; the first of a kind is the default.
var sandboxAccounts = []sandboxAccount{
	{relay.AccountOfficial, sandbox.DefaultAppID, sandbox.DefaultAppSecret},
	{relay.AccountMiniProgram, sandbox.DefaultMiniProgramAppID, sandbox.DefaultMiniProgramSecret},
	{relay.AccountMobileApp, sandbox.DefaultMobileAppID, sandbox.DefaultMobileSecret},
	{relay.AccountWebsiteApp, sandbox.DefaultWebsiteAppID, sandbox.DefaultWebsiteSecret},
	{relay.AccountOfficial, sandbox.DefaultSubAppID, sandbox.DefaultSubSecret},
}

// build resolves the account. On a sandbox platform what is missing becomes
// what the sandbox accepts.
func (a *Account) build(r *resolver, onSandbox bool) *relay.Account {
	block := "account " + a.Name
	account := &relay.Account{
		Name:  a.Name,
		Kind:  cmp.Or(relay.AccountKind(r.text(block, "kind", a.Kind)), relay.AccountOfficial),
		AppID: r.text(block, "app_id", a.AppID),
	}
	if a.Secret != "" || !onSandbox {
		account.Secret = r.secret(block, "secret", a.Secret)
		for _, known := range sandboxAccounts {
			r.refuseExample(block, "secret", account.Secret, known.secret, onSandbox)
		}
	}
	if onSandbox {
		a.fillIn(account)
	}
	account.MessageToken = r.secret(block, "message_token", a.MessageToken)
	account.MessageKey = r.secret(block, "message_key", a.MessageKey)
	r.refuseExample(block, "message_token", account.MessageToken, sandbox.DefaultMessageToken, onSandbox)
	r.refuseExample(block, "message_key", account.MessageKey, sandbox.DefaultMessageKey, onSandbox)
	for _, f := range a.VerifyFiles {
		account.VerifyFiles = append(account.VerifyFiles, relay.VerifyFile{Name: f.Name, Text: r.text(block, "verify_file", f.Text)})
	}
	return account
}

// fillIn takes what the operator left out from the sandbox: the account of
// the app id, or the first of the kind.
func (a *Account) fillIn(account *relay.Account) {
	i := slices.IndexFunc(sandboxAccounts, func(known sandboxAccount) bool {
		return known.appID == account.AppID || a.AppID == "" && known.kind == account.Kind
	})
	known := sandboxAccounts[max(i, 0)]
	if a.AppID == "" {
		account.AppID = known.appID
	}
	if a.Secret == "" {
		account.Secret = relay.NewSecret(known.secret)
	}
}
