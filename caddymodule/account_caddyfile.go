package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

// unmarshalBlock reads the block of an account:
//
//	account <name> {
//		kind   official_account | mini_program | mobile_app
//		app_id <id>
//		secret <placeholder>
//	}
//
// The words message_token and verify_file are not supported yet, nor is kind
// website_app.
func (a *Account) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"kind":          text(&a.Kind, judged(relay.ParseAccountKind)),
		"app_id":        text(&a.AppID, relay.CheckAppID),
		"secret":        text(&a.Secret, checkSecret(relay.CheckAccountSecret)),
		"message_token": later,
		"verify_file":   later,
	})
}

// checkSecret makes a check of a literal out of a check of a secret.
func checkSecret(check func(relay.Secret) error) func(string) error {
	return func(s string) error { return check(relay.NewSecret(s)) }
}
