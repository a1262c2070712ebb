package caddymodule

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/wxrelay/wxrelay/relay"
)

// unmarshalBlock reads the block of an account:
//
//	account <name> {
//		kind          official_account | mini_program | mobile_app | website_app
//		app_id        <id>
//		secret        <placeholder>
//		message_token <placeholder>
//		message_key   <placeholder>
//		verify_file   <name> <text>
//	}
//
// verify_file may be given as often as needed.
func (a *Account) unmarshalBlock(d *caddyfile.Dispenser) error {
	return parseBlock(d, words{
		"kind":          text(&a.Kind, judged(relay.ParseAccountKind)),
		"app_id":        text(&a.AppID, relay.CheckAppID),
		"secret":        text(&a.Secret, checkSecret(relay.CheckAccountSecret)),
		"message_token": text(&a.MessageToken, checkSecret(relay.CheckMessageToken)),
		"message_key":   text(&a.MessageKey, checkSecret(relay.CheckMessageKey)),
		"verify_file":   {parse: a.parseVerifyFile, repeats: true},
	})
}

func (a *Account) parseVerifyFile(d *caddyfile.Dispenser) error {
	word, file := d.Val(), VerifyFile{}
	if !d.AllArgs(&file.Name, &file.Text) {
		return d.Errf("%s takes exactly two arguments, the name and the text of the file", word)
	}
	a.VerifyFiles = append(a.VerifyFiles, file)
	if err := checkLiteral(file.Text, func(string) error { return relay.CheckVerifyFile(relay.VerifyFile(file)) }); err != nil {
		return inWord(d, word, err)
	}
	return nil
}

// checkSecret makes a check of a literal out of a check of a secret.
func checkSecret(check func(relay.Secret) error) func(string) error {
	return func(s string) error { return check(relay.NewSecret(s)) }
}
